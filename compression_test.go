package websocket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

// sample returns n bytes of UTF-8 as applications send them. It compresses well,
// and has much in common with every other sample.
func sample(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 7692))
	var b []byte
	for len(b) < n {
		b = fmt.Appendf(b, `{"id":%d,"symbol":"AIR%d","price":"%d.%02d €","open":%t}`+"\n",
			r.IntN(1e9), r.IntN(50), r.IntN(1000), r.IntN(100), r.IntN(2) == 0)
	}
	b = b[:n]
	for i := n - 1; i >= 0 && !utf8.Valid(b); i-- {
		b[i] = '.'
	}
	return b
}

// noise returns n bytes that nobody can compress.
func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), 1}).Read(b)
	return b
}

// A said is a message of a conversation.
type said struct {
	typ  websocket.MessageType
	data []byte
}

func (s said) op() frame.Opcode { return frame.Opcode(s.typ) }

// conversation returns messages of all sizes up to max, that repeat what others
// have said.
func conversation(max int) []said {
	var all []said
	for i, n := range []int{0, 1, 127, 128, 1 << 10, 16<<10 - 1, 16 << 10, 16<<10 + 1, 100_000, 200, 300} {
		if n > max {
			continue
		}
		all = append(all, said{websocket.Text, sample(n, uint64(i))})
		if n < 50_000 {
			binary := sample(n, uint64(i))
			all = append(all, said{websocket.Binary, append(binary, 0xff)}, said{websocket.Binary, noise(n, uint64(i))})
		}
	}
	return all
}

// A setting is a way to compress that an offer and the options lead to.
type setting struct {
	name, offer string
	opts        *websocket.Compression
}

// settings are all windows with and without context takeover, the same in both
// directions.
func settings() []setting {
	var all []setting
	for bits := 8; bits <= 15; bits++ {
		opts := &websocket.Compression{SendWindowBits: bits, ReceiveWindowBits: bits}
		windows := fmt.Sprintf("permessage-deflate; client_max_window_bits=%d; server_max_window_bits=%d", bits, bits)
		all = append(all,
			setting{fmt.Sprintf("%d bits", bits), windows, opts},
			setting{fmt.Sprintf("%d bits alone", bits), windows + "; server_no_context_takeover; client_no_context_takeover", opts})
	}
	return append(all,
		setting{"a window smaller than agreed", "permessage-deflate", &websocket.Compression{SendWindowBits: 9, ReceiveWindowBits: 15}},
		setting{"by default", "permessage-deflate; client_max_window_bits", &websocket.Compression{}},
		setting{"the client was not asked", "permessage-deflate", &websocket.Compression{}},
		setting{"no window is kept", "permessage-deflate; client_max_window_bits", &websocket.Compression{SendWindowBits: -1, ReceiveWindowBits: -1}})
}

// peerOf returns the peer's end of the compression that c has agreed on.
func peerOf(t testing.TB, c *websocket.Conn) *wstest.Deflate {
	t.Helper()
	d, err := wstest.NewDeflate(c.Extensions())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// packedReaders are the forms of reading with what makes a difference when a
// message is compressed.
var packedReaders = slices.Concat(readers, []form{{"Reader with a large slice", readLargeStream}})

type form = struct {
	name string
	read func(ctx context.Context, c *websocket.Conn) (websocket.MessageType, []byte, error)
}

func readLargeStream(ctx context.Context, c *websocket.Conn) (websocket.MessageType, []byte, error) {
	typ, r, err := c.Reader(ctx)
	if err != nil {
		return 0, nil, err
	}
	var p []byte
	piece := make([]byte, 64<<10)
	for err == nil {
		var n int
		n, err = r.Read(piece)
		p = append(p, piece[:n]...)
	}
	if err == io.EOF {
		err = nil
	}
	return typ, p, err
}

// pack returns the frames of a conversation, by turns in one frame, in fragments
// and uncompressed.
func pack(d *wstest.Deflate, all []said) []byte {
	var b []byte
	for i, m := range all {
		switch i % 5 {
		case 0, 1:
			b = append(b, wstest.CompressedFrame(m.op(), true, d.Pack(m.data))...)
		case 2:
			b = append(b, wstest.CompressedFragments(m.op(), d.Pack(m.data), 1000)...)
		case 3:
			b = append(b, wstest.Frame(m.op(), true, m.data)...)
		case 4:
			b = append(b, wstest.CompressedFragments(m.op(), d.Pack(m.data), 30_000)...)
		}
	}
	return b
}

// TestReceivePacked: what goes in comes out, in every form of reading and with
// everything that can be agreed on.
func TestReceivePacked(t *testing.T) {
	for _, set := range settings() {
		all := conversation(100_000)
		var frames []byte
		for _, reader := range packedReaders {
			t.Run(set.name+"/"+reader.name, func(t *testing.T) {
				c, p := wstest.Offering(t, &websocket.Options{Compression: set.opts}, set.offer)
				if frames == nil {
					frames = pack(peerOf(t, c), all)
				}
				sent := async(func() error { _, err := p.Write(frames); return err })
				for i, want := range all {
					typ, got, err := reader.read(t.Context(), c)
					if err != nil || typ != want.typ || !bytes.Equal(got, want.data) {
						t.Fatalf("message %d: got %v of %d bytes, error %v, want %v of %d", i, typ, len(got), err, want.typ, len(want.data))
					}
				}
				if err := <-sent; err != nil {
					t.Fatal(err)
				}
				if s := c.Stats(); s.MessagesReceived != uint64(len(all)) || s.BytesReceived != uint64(len(frames)) {
					t.Errorf("got %+v, want %d messages and %d bytes received", s, len(all), len(frames))
				}
			})
		}
	}
}

// TestPackedEcho has a conversation both ways over every transport, with every
// form of reading and of writing.
func TestPackedEcho(t *testing.T) {
	z, err := wstest.NewDeflate("permessage-deflate; client_max_window_bits=12")
	if err != nil {
		t.Fatal(err)
	}
	some := conversation(100_000)
	someFrames := pack(z, some)
	large := said{websocket.Text, sample(1<<20, 99)}
	largeFrame := wstest.CompressedFrame(large.op(), true, z.Pack(large.data))
	wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
		for i, reader := range packedReaders {
			writer := packedWriters[i%len(packedWriters)]
			t.Run(reader.name+"/"+writer.name, func(t *testing.T) {
				c, p := connect(t, compressing(0, 0))
				d := peerOf(t, c)
				all, frames := some, someFrames
				if reader.name != "Reader" { // which takes three bytes at a time
					all, frames = append(some[:len(some):len(some)], large), slices.Concat(someFrames, largeFrame)
				}
				echoed := async(func() error {
					defer c.CloseNow() // so that nobody waits
					for {
						typ, data, err := reader.read(t.Context(), c)
						if err == nil {
							err = writer.write(t.Context(), c, typ, data)
						}
						if err != nil {
							return err
						}
					}
				})
				sent := async(func() error {
					_, err := p.Write(slices.Concat(frames, wstest.CloseFrame(1000, "")))
					return err
				})
				for _, want := range all {
					hearPacked(t, p, d, want)
				}
				p.ExpectClose(1000, "")
				p.Close()
				if err := <-sent; err != nil {
					t.Error(err)
				}
				if err := <-echoed; websocket.CloseStatus(err) != 1000 {
					t.Errorf("got %v", err)
				}
			})
		}
	})
}

// TestReceiveExamples has the examples of RFC 7692, section 7.2.3.
func TestReceiveExamples(t *testing.T) {
	tests := []struct {
		name     string
		payloads []string
		want     []string
	}{
		{"one block", []string{"\xf2\x48\xcd\xc9\xc9\x07\x00"}, []string{"Hello"}},
		{"sharing the window", []string{"\xf2\x48\xcd\xc9\xc9\x07\x00", "\xf2\x00\x11\x00\x00"}, []string{"Hello", "Hello"}},
		{"no compression", []string{"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"}, []string{"Hello"}},
		{"a final block", []string{"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"}, []string{"Hello"}},
		{"two blocks", []string{"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"}, []string{"Hello"}},
		{"an empty message", []string{"\x00", "\xf2\x48\xcd\xc9\xc9\x07\x00", "\x00"}, []string{"", "Hello", ""}},

		{"a block behind a final one", []string{"\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x48\xcd\xc9\xc9\x07\x00"}, []string{"HelloHello"}},
		{"a reference behind a final one", []string{"\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x00\x11\x00\x00"}, []string{"HelloHello"}},
		{"a final block that is the empty one", []string{"\x01", "\xf3\x48\xcd\xc9\xc9\x07\x00\x01"}, []string{"", "Hello"}},
	}
	for _, test := range tests {
		for _, reader := range packedReaders {
			for _, size := range []int{1, 3, 100} {
				t.Run(fmt.Sprintf("%s/%s/frames of %d", test.name, reader.name, size), func(t *testing.T) {
					c, p := wstest.Memory(t, compressing(0, 0))
					for i, payload := range test.payloads {
						p.Send(wstest.CompressedFragments(frame.Text, []byte(payload), size)...)
						typ, got, err := reader.read(t.Context(), c)
						if err != nil || typ != websocket.Text || string(got) != test.want[i] {
							t.Fatalf("message %d: got %v %q, error %v, want %q", i, typ, got, err, test.want[i])
						}
					}
				})
			}
		}
	}
}

// TestReceivePackedControl: control frames between the fragments of a compressed
// message are no part of it.
func TestReceivePackedControl(t *testing.T) {
	for _, reader := range packedReaders {
		t.Run(reader.name, func(t *testing.T) {
			c, p := wstest.Memory(t, compressing(0, 0))
			d := peerOf(t, c)
			for i := range 3 {
				want := sample(5000, uint64(i))
				b := d.Pack(want)
				p.Send(wstest.CompressedFrame(frame.Text, false, b[:100])...)
				p.SendFrame(frame.Ping, true, "one")
				p.SendFrame(frame.Continuation, false, string(b[100:200]))
				p.SendFrame(frame.Pong, true, "nobody asked")
				p.SendFrame(frame.Ping, true, "two")
				p.SendFrame(frame.Continuation, true, string(b[200:]))
				if _, got, err := reader.read(t.Context(), c); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("got %d bytes, error %v", len(got), err)
				}
				p.Expect(frame.Pong, true, "one")
				p.Expect(frame.Pong, true, "two")
			}
			p.Send(wstest.CompressedFrame(frame.Text, false, d.Pack(sample(5000, 9))[:100])...)
			p.SendClose(1001, "off")
			p.CloseWrite()
			if _, _, err := reader.read(t.Context(), c); websocket.CloseStatus(err) != 1001 {
				t.Errorf("got %v", err)
			}
			p.ExpectClose(1001, "")
		})
	}
}

// stream and frames are the forms of reading that hand out a part of a message
// when they are cut off: each returns one that goes on where it was.
func stream() form {
	var part []byte
	return form{"Reader", func(ctx context.Context, c *websocket.Conn) (websocket.MessageType, []byte, error) {
		typ, r, err := c.Reader(ctx)
		if err != nil {
			return 0, nil, err
		}
		b, err := io.ReadAll(r)
		if part = append(part, b...); err != nil {
			return 0, nil, err
		}
		whole := part
		part = nil
		return typ, whole, nil
	}}
}

func frames() form {
	var part []byte
	return form{"ReadFrame", func(ctx context.Context, c *websocket.Conn) (websocket.MessageType, []byte, error) {
		for {
			h, b, err := c.ReadFrame(ctx)
			if err != nil {
				return 0, nil, err
			}
			if h.Opcode.IsControl() {
				continue
			}
			if part = append(part, b...); h.Fin {
				whole := part
				part = nil
				return websocket.Text, whole, nil
			}
		}
	}}
}

// TestResumePacked cuts a read off at every byte of a conversation that is
// compressed. Nothing may be lost.
func TestResumePacked(t *testing.T) {
	d := wstest.Dialogue{Name: "compressed", Line: "here"}
	add := func(text string, frames []byte) {
		d.Sent = append(d.Sent, frames...)
		d.Texts = append(d.Texts, text)
	}
	z, err := wstest.NewDeflate("permessage-deflate; client_max_window_bits=12")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		text := string(sample(150, uint64(i)))
		add(text, wstest.CompressedFrame(frame.Text, true, z.Pack([]byte(text))))
		add("plain", wstest.Frame(frame.Text, true, []byte("plain")))
		add(text, wstest.CompressedFragments(frame.Text, z.Pack([]byte(text)), 5))
		add("", wstest.CompressedFrame(frame.Text, true, z.Pack(nil)))
		zeros := strings.Repeat("\x00", 50_000)
		add(zeros, wstest.CompressedFragments(frame.Text, z.Pack([]byte(zeros)), 20))
	}
	same := func(f form) func() (form, form) { return func() (form, form) { return f, f } }
	twice := func(f func() form) func() (form, form) {
		return func() (form, form) { g := f(); return g, g }
	}
	for _, test := range []struct {
		name  string
		forms func() (before, after form)
	}{
		{"Read", same(readers[0])},
		{"Read and ReadAppend", func() (form, form) { return readers[0], readers[1] }},
		{"Messages", same(readers[4])},
		{"Reader", twice(stream)},
		{"ReadFrame", twice(frames)},
	} {
		bubble(t, test.name, func(t *testing.T) {
			c, p := wstest.Memory(t, compressing(0, 0))
			before, after := test.forms()
			resume(t, c, p, d, synctest.Wait, before.read, after.read)
		})
	}
	t.Run("tls", func(t *testing.T) {
		c, p := wstest.TLS(t, compressing(0, 0))
		resume(t, c, p, d, func() {}, readers[0].read, readers[1].read)
	})
}

// TestPackedReaderEOF: io.EOF comes with the last bytes, where they are at hand.
func TestPackedReaderEOF(t *testing.T) {
	text := sample(3000, 1)
	for _, test := range []struct {
		name  string
		sizes []int
	}{
		{"as large as the message", []int{3000}},
		{"larger", []int{5000}},
		{"in two", []int{1500, 1500}},
		{"the last byte", []int{2999, 10}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, p := wstest.Memory(t, compressing(0, 0))
			p.Send(wstest.CompressedFrame(frame.Text, true, peerOf(t, c).Pack(text))...)
			p.SendText("next")
			_, r, err := c.Reader(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			rest := text
			for i, size := range test.sizes {
				b := make([]byte, size)
				n, err := r.Read(b)
				if !bytes.HasPrefix(rest, b[:n]) || n != min(size, len(rest)) {
					t.Fatalf("Read %d: got %d bytes, want the next %d", i, n, min(size, len(rest)))
				}
				rest = rest[n:]
				if want := len(rest) == 0; (err == io.EOF) != want {
					t.Errorf("Read %d: got error %v, want io.EOF: %t", i, err, want)
				}
			}
			if _, got, err := c.Read(t.Context()); err != nil || string(got) != "next" {
				t.Errorf("got %q, error %v, want the next message", got, err)
			}
		})
	}
}

func TestPackedReaderAbandoned(t *testing.T) {
	c, p := wstest.Memory(t, compressing(0, 0))
	ctx := t.Context()
	d := peerOf(t, c)
	text := sample(30_000, 1)
	p.Send(wstest.CompressedFragments(frame.Text, d.Pack(text), 1000)...)
	p.Send(wstest.CompressedFrame(frame.Text, true, d.Pack(text[:500]))...)
	_, old, err := c.Reader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 100)
	if _, err := io.ReadFull(old, head); err != nil {
		t.Fatal(err)
	}
	checkOthersRefused(t, c, "Reader")
	_, fresh, err := c.Reader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Read(head); !errors.Is(err, websocket.ErrReaderOpen) {
		t.Errorf("the old stream: got %v, want ErrReaderOpen", err)
	}
	rest, err := io.ReadAll(fresh)
	if err != nil || string(head)+string(rest) != string(text) {
		t.Errorf("the new stream: got %d bytes, error %v, want the rest of the message", len(rest), err)
	}
	if _, got, err := c.Read(ctx); err != nil || !bytes.Equal(got, text[:500]) {
		t.Errorf("Read after the stream: got %d bytes, error %v", len(got), err)
	}
}

// TestPackedReadThenReader: what Read has of a compressed message goes on with
// Reader, and not with ReadFrame; what CloseRead has of it is nobody's.
func TestPackedReadThenReader(t *testing.T) {
	text := sample(40_000, 1)
	begin := func(t *testing.T) (*websocket.Conn, *wstest.Peer, []byte) {
		c, p := wstest.Memory(t, compressing(0, 0))
		d := peerOf(t, c)
		b := wstest.CompressedFrame(frame.Text, true, d.Pack(text))
		half := len(b) / 2
		p.Send(b[:half]...)
		return c, p, append(b[half:], wstest.CompressedFrame(frame.Text, true, d.Pack(text[39_000:]))...)
	}
	bubble(t, "Read", func(t *testing.T) {
		c, p, rest := begin(t)
		ctx, cancel := context.WithCancel(t.Context())
		read := async(func() error { _, _, err := c.Read(ctx); return err })
		synctest.Wait()
		cancel()
		if err := <-read; !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
		if _, _, err := c.ReadFrame(t.Context()); !errors.Is(err, websocket.ErrReaderOpen) {
			t.Errorf("ReadFrame: got %v, want ErrReaderOpen", err)
		}
		p.Send(rest...)
		if _, got, err := readStream(t.Context(), c); err != nil || !bytes.Equal(got, text) {
			t.Errorf("Reader: got %d bytes, error %v", len(got), err)
		}
		if _, got, err := c.Read(t.Context()); err != nil || !bytes.Equal(got, text[39_000:]) {
			t.Errorf("the next message: got %d bytes, error %v", len(got), err)
		}
	})
	for _, reader := range packedReaders {
		bubble(t, "CloseRead/"+reader.name, func(t *testing.T) {
			c, p, rest := begin(t)
			ctx, cancel := context.WithCancel(t.Context())
			c.CloseRead(ctx)
			synctest.Wait()
			cancel()
			synctest.Wait()
			p.Send(rest...)
			// What was dropped is in the window all the same.
			if _, got, err := reader.read(t.Context(), c); err != nil || !bytes.Equal(got, text[39_000:]) {
				t.Errorf("the next message: got %d bytes, error %v", len(got), err)
			}
		})
	}
	bubble(t, "CloseRead then Close", func(t *testing.T) {
		c, p, rest := begin(t)
		_, r, err := c.Reader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		ended := c.CloseRead(t.Context())
		synctest.Wait()
		p.Send(rest...)
		closed := async(func() error { return c.Close(t.Context(), websocket.CloseNormal, "") })
		p.ExpectClose(1000, "")
		p.SendClose(1000, "")
		p.Close()
		if err := <-closed; err != nil {
			t.Error(err)
		}
		<-ended.Done()
		if n := c.Stats().MessagesReceived; n != 2 {
			t.Errorf("got %d messages received, want the two that were dropped", n)
		}
	})
}

// TestPackedText: a message is held against UTF-8 after decompression, however it
// was cut.
func TestPackedText(t *testing.T) {
	long := strings.Repeat("😀€é", 5000)
	tests := []struct {
		name string
		text string
		ok   bool
	}{
		{"characters of all sizes", "aé€😀" + long, true},
		{"a wrong byte", "a\xffb", false},
		{"a wrong byte late", long + "\xff", false},
		{"half a character at the end", long + "\xe2\x82", false},
		{"half a character in the middle", "\xe2\x82 ", false},
		{"a surrogate", "\xed\xa0\x80", false},
	}
	for _, test := range tests {
		for _, reader := range packedReaders {
			for _, size := range []int{1, 10, 1 << 20} {
				t.Run(fmt.Sprintf("%s/%s/frames of %d", test.name, reader.name, size), func(t *testing.T) {
					c, p := wstest.Memory(t, compressing(0, 0))
					d := peerOf(t, c)
					p.Send(wstest.CompressedFragments(frame.Binary, d.Pack([]byte(test.text)), size)...)
					p.Send(wstest.CompressedFragments(frame.Text, d.Pack([]byte(test.text)), size)...)
					p.CloseWrite()
					if _, got, err := reader.read(t.Context(), c); err != nil || string(got) != test.text {
						t.Fatalf("as binary: got %d bytes, error %v", len(got), err)
					}
					_, got, err := reader.read(t.Context(), c)
					if test.ok {
						if err != nil || string(got) != test.text {
							t.Fatalf("got %d bytes, error %v", len(got), err)
						}
						return
					}
					if websocket.CloseStatus(err) != websocket.CloseInvalidPayload {
						t.Fatalf("got %d bytes, error %v", len(got), err)
					}
					p.ExpectClose(1007, "text message is not UTF-8")
				})
			}
		}
	}
}

// TestPackedReadFrame: of a compressed frame comes what it decompresses to,
// under the header that it came with.
func TestPackedReadFrame(t *testing.T) {
	c, p := wstest.Memory(t, compressing(0, 0))
	b := []byte("\xf2\x48\xcd\xc9\xc9\x07\x00")
	p.Send(wstest.CompressedFrame(frame.Text, false, b[:3])...)
	p.SendFrame(frame.Continuation, false, "")
	p.SendFrame(frame.Ping, true, "p")
	p.SendFrame(frame.Continuation, true, string(b[3:]))
	p.SendText("plain")
	var message string
	for _, want := range []struct {
		op        frame.Opcode
		fin, rsv1 bool
		length    uint64
	}{
		{frame.Text, false, true, 3},
		{frame.Continuation, false, false, 0},
		{frame.Ping, true, false, 1},
		{frame.Continuation, true, false, 4},
		{frame.Text, true, false, 5},
	} {
		h, got, err := c.ReadFrame(t.Context())
		if err != nil || h.Opcode != want.op || h.Fin != want.fin || h.RSV1 != want.rsv1 || h.Length != want.length {
			t.Fatalf("got %v, error %v, want %+v", h, err, want)
		}
		message += string(got) + "|"
	}
	// Three bytes are two characters, and a half that is kept for the next frame.
	if want := "He||p|llo|plain|"; message != want {
		t.Errorf("got %q, want %q", message, want)
	}
}

// TestPackedStreams: what is built on messages does not know of compression.
func TestPackedStreams(t *testing.T) {
	t.Run("JSON", func(t *testing.T) {
		c, p := wstest.Memory(t, compressing(0, 0))
		d := peerOf(t, c)
		type record struct{ Text string }
		want := record{string(sample(1000, 1))}
		if err := websocket.WriteJSON(t.Context(), c, want); err != nil {
			t.Fatal(err)
		}
		b, err := d.Unpack(p.ReadCompressed(frame.Text))
		if err != nil {
			t.Fatal(err)
		}
		p.Send(wstest.CompressedFrame(frame.Text, true, d.Pack(b))...)
		if got, err := websocket.ReadJSON[record](t.Context(), c); err != nil || got != want {
			t.Errorf("got %d bytes, error %v", len(got.Text), err)
		}
	})
	t.Run("NetConn", func(t *testing.T) {
		c, p := wstest.Memory(t, compressing(0, 0))
		d := peerOf(t, c)
		n := c.NetConn(t.Context(), websocket.Binary)
		want := sample(3000, 1)
		if _, err := n.Write(want); err != nil {
			t.Fatal(err)
		}
		b, err := d.Unpack(p.ReadCompressed(frame.Binary))
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range [][]byte{b[:1000], nil, b[1000:]} {
			p.Send(wstest.CompressedFrame(frame.Binary, true, d.Pack(part))...)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(n, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("got error %v", err)
		}
	})
}
