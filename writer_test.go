package websocket_test

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/deflate"
	"github.com/airlock-go/websocket/internal/wstest"
)

// packedWriters are the forms of writing a message, which all must give the same
// messages.
var packedWriters = []struct {
	name  string
	write func(ctx context.Context, c *websocket.Conn, typ websocket.MessageType, p []byte) error
}{
	{"Write", func(ctx context.Context, c *websocket.Conn, typ websocket.MessageType, p []byte) error {
		return c.Write(ctx, typ, p)
	}},
	{"Writer", writeStream(1 << 30)},
	{"Writer in pieces", writeStream(1000)},
	{"Writer in large pieces", writeStream(20_000)},
}

// writeStream writes a message through Writer, size bytes at a time.
func writeStream(size int) func(context.Context, *websocket.Conn, websocket.MessageType, []byte) error {
	return func(ctx context.Context, c *websocket.Conn, typ websocket.MessageType, p []byte) error {
		w, err := c.Writer(ctx, typ)
		if err != nil {
			return err
		}
		for piece := range slices.Chunk(p, size) {
			if n, err := w.Write(piece); n != len(piece) || err != nil {
				return fmt.Errorf("wrote %d of %d: %w", n, len(piece), err)
			}
		}
		return w.Close()
	}
}

// strictly decompresses a message, with an inflater that refuses every reference
// to before a window of size bytes.
func strictly(payload, held []byte, size int) ([]byte, error) {
	f := deflate.NewInflater(held, bits.Len(uint(size))-1)
	defer f.Release()
	var p []byte
	rest := append(payload[:len(payload):len(payload)], deflate.Tail...)
	for {
		out, n, err := f.Next(rest)
		if p = append(p, out...); err != nil {
			return p, err
		}
		if rest = rest[n:]; len(out) == 0 {
			break
		}
	}
	if !f.Done() {
		return p, errors.New("the message ends in the middle of a block")
	}
	return p, nil
}

// TestStrictly: the checker fails where it has to.
func TestStrictly(t *testing.T) {
	p := slices.Concat(noise(300, 1), noise(300, 1))
	b := deflate.Compress(nil, nil, p, 15)
	b = b[:len(b)-len(deflate.Tail)]
	for bits := 8; bits <= 15; bits++ {
		got, err := strictly(b, nil, 1<<bits)
		if ok := bits > 8; ok != (err == nil && bytes.Equal(got, p)) || !ok && !errors.Is(err, deflate.ErrCorrupt) {
			t.Errorf("a reference 300 bytes back in a window of %d bits: got error %v", bits, err)
		}
	}
	if _, err := strictly(b[:len(b)-3], nil, 1<<15); err == nil {
		t.Error("a truncated message: got no error")
	}
	b = deflate.Compress(nil, p[:300], p[:300], 15)
	if _, err := strictly(b[:len(b)-len(deflate.Tail)], p[1:300], 1<<15); !errors.Is(err, deflate.ErrCorrupt) {
		t.Errorf("a reference to before all: got %v", err)
	}
}

// hearPacked reads a message, which is one frame, compressed where that is worth
// while, that reaches back no further than it was agreed. It reports whether it was
// compressed.
func hearPacked(t *testing.T, p *wstest.Peer, d *wstest.Deflate, want said) bool {
	t.Helper()
	h, payload, err := p.ReadFrame()
	if err != nil || h.Opcode != want.op() || !h.Fin || h.RSV2 || h.RSV3 {
		t.Fatalf("got %v, error %v, want a %v message of %d bytes in one frame", h, err, want.typ, len(want.data))
	}
	if !h.RSV1 {
		if !bytes.Equal(payload, want.data) {
			t.Fatalf("got %v, want the message of %d bytes as it is", h, len(want.data))
		}
		return false
	}
	held, size := d.Window()
	if got, err := strictly(payload, held, size); err != nil || !bytes.Equal(got, want.data) {
		t.Fatalf("%v, in a window of %d bytes: got %d bytes, error %v, want %d", h, size, len(got), err, len(want.data))
	}
	if got, err := d.Unpack(payload); err != nil || !bytes.Equal(got, want.data) {
		t.Fatalf("%v, with compress/flate: got %d bytes, error %v, want %d", h, len(got), err, len(want.data))
	}
	return true
}

// flateBehind is a Compression.Compress of the standard library, which knows no
// windows.
func flateBehind(dst, dict, p []byte) ([]byte, error) {
	b := bytes.NewBuffer(dst)
	z, err := flate.NewWriterDict(b, flate.BestCompression, dict)
	if err == nil {
		_, err = z.Write(p)
	}
	err = errors.Join(err, z.Flush())
	return b.Bytes(), err
}

// TestSendPacked: what goes out is what went in, in every form of writing and
// with everything that can be agreed on.
func TestSendPacked(t *testing.T) {
	for _, set := range settings() {
		for _, writer := range packedWriters {
			t.Run(set.name+"/"+writer.name, func(t *testing.T) {
				c, p := wstest.Offering(t, &websocket.Options{Compression: set.opts}, set.offer)
				sendPacked(t, c, p, conversation(100_000), writer.write)
			})
		}
		t.Run(set.name+"/Compress", func(t *testing.T) {
			opts := *set.opts
			opts.Compress = flateBehind
			c, p := wstest.Offering(t, &websocket.Options{Compression: &opts}, set.offer)
			sendPacked(t, c, p, conversation(2000), packedWriters[0].write)
		})
	}
}

func sendPacked(t *testing.T, c *websocket.Conn, p *wstest.Peer, all []said,
	write func(context.Context, *websocket.Conn, websocket.MessageType, []byte) error) {
	d := peerOf(t, c)
	between := []byte("between " + string(sample(500, 1)))
	written := async(func() error {
		for _, m := range all {
			err := write(t.Context(), c, m.typ, m.data)
			if err == nil {
				err = c.WriteFrame(t.Context(), frame.Text, true, between)
			}
			if err != nil {
				return errors.Join(err, c.CloseNow()) // so that nobody waits
			}
		}
		return nil
	})
	for i, want := range all {
		compressed := hearPacked(t, p, d, want)
		if text := len(want.data) >= 128 && want.typ == websocket.Text; text && !compressed {
			t.Errorf("message %d of %d bytes of text is not compressed", i, len(want.data))
		}
		if len(want.data) < 128 && compressed {
			t.Errorf("message %d of %d bytes is compressed", i, len(want.data))
		}
		p.Expect(frame.Text, true, string(between))
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
	if s := c.Stats(); s.MessagesSent != uint64(2*len(all)) {
		t.Errorf("got %d messages sent, want %d", s.MessagesSent, 2*len(all))
	}
}

// TestCompressGets: Compression.Compress is given no more than the window, so that
// it may know nothing of windows, and is not asked where that is too small for it.
func TestCompressGets(t *testing.T) {
	for bits := 8; bits <= 15; bits++ {
		t.Run(fmt.Sprint(bits), func(t *testing.T) {
			calls, most := 0, 0
			opts := &websocket.Compression{SendWindowBits: 15, Compress: func(dst, dict, p []byte) ([]byte, error) {
				calls, most = calls+1, max(most, len(dict))
				return flateBehind(dst, dict, p)
			}}
			c, p := wstest.Offering(t, &websocket.Options{Compression: opts}, fmt.Sprintf("permessage-deflate; server_max_window_bits=%d", bits))
			d := peerOf(t, c)
			// What repeats just beyond a window tempts those who look further.
			repeated := bytes.Repeat(append(noise(1<<bits-20, 1), sample(100, 1)...), 3)
			messages := [][]byte{repeated, repeated, sample(1000, 1), repeated, sample(1000, 2)}
			for _, data := range messages {
				written := async(func() error { return c.Write(t.Context(), websocket.Binary, data) })
				hearPacked(t, p, d, said{websocket.Binary, data})
				if err := <-written; err != nil {
					t.Fatal(err)
				}
			}
			switch {
			case bits < 15 && calls > 0:
				t.Errorf("it was called %d times", calls)
			case bits == 15 && (calls != len(messages) || most == 0 || most > 1<<15):
				t.Errorf("it was called %d times, and got up to %d bytes of a dictionary", calls, most)
			}
		})
	}
}

// TestThreshold: what is compressed.
func TestThreshold(t *testing.T) {
	tests := []struct {
		name      string
		threshold int
		data      []byte
		want      bool
	}{
		{"below the default", 0, make([]byte, 127), false},
		{"the default", 0, make([]byte, 128), true},
		{"below another", 1000, make([]byte, 999), false},
		{"another", 1000, make([]byte, 1000), true},
		{"a small message with 1", 1, make([]byte, 20), true},
		{"a small message with none", -1, make([]byte, 20), true},
		{"too small to gain", -1, []byte("x"), false},
		{"an empty message", -1, nil, false},
		{"noise", 0, noise(1000, 1), false},
		{"noise with none", -1, noise(5000, 1), false},
	}
	for _, test := range tests {
		for _, writer := range packedWriters {
			t.Run(test.name+"/"+writer.name, func(t *testing.T) {
				c, p := wstest.Memory(t, &websocket.Options{Compression: &websocket.Compression{Threshold: test.threshold}})
				d := peerOf(t, c)
				// Twice: were the first kept in the window, the second would be small.
				for i := range 2 {
					if err := writer.write(t.Context(), c, websocket.Binary, test.data); err != nil {
						t.Fatal(err)
					}
					if got := hearPacked(t, p, d, said{websocket.Binary, test.data}); got != test.want {
						t.Errorf("message %d: got compressed %t, want %t", i, got, test.want)
					}
				}
			})
		}
	}
}

// TestWriterWindow: what a Writer has sent is in the window once, and what was in
// there before is where it was. A later message looks for both.
func TestWriterWindow(t *testing.T) {
	for bits := 8; bits <= 15; bits++ {
		for _, writer := range packedWriters {
			for _, sizes := range [][2]int{{200, 200}, {1001, 17_000}, {10_001, 17_000}, {10_001, 21_000}, {1001, 40_000}, {3, 16 << 10}} {
				t.Run(fmt.Sprintf("%d bits/%s/%d", bits, writer.name, sizes), func(t *testing.T) {
					opts := &websocket.Options{Compression: &websocket.Compression{SendWindowBits: bits, Threshold: -1}}
					c, p := wstest.Memory(t, opts)
					d := peerOf(t, c)
					first, second := letters(sizes[0], 1), letters(sizes[1], 2)
					for _, data := range [][]byte{first, second, first, second[:100], slices.Concat(second[:200], first)} {
						if err := writer.write(t.Context(), c, websocket.Text, data); err != nil {
							t.Fatal(err)
						}
						hearPacked(t, p, d, said{websocket.Text, data})
					}
				})
			}
		}
	}
}

// letters returns n letters that are to be found nowhere else: they compress, but
// not by reference.
func letters(n int, seed uint64) []byte {
	b := noise(n, seed)
	for i := range b {
		b[i] = 'a' + b[i]%16
	}
	return b
}

// TestSetWriteCompression: it is asked when a message begins.
func TestSetWriteCompression(t *testing.T) {
	c, p := wstest.MemorySize(t, compressing(0, 0), 1<<20)
	d := peerOf(t, c)
	text := sample(40_000, 1)
	for i, on := range []bool{true, false, false, true, false, true} {
		c.SetWriteCompression(on)
		data := text[:1000+i]
		if err := c.Write(t.Context(), websocket.Text, data); err != nil {
			t.Fatal(err)
		}
		if got := hearPacked(t, p, d, said{websocket.Text, data}); got != on {
			t.Errorf("message %d: got compressed %t, want %t", i, got, on)
		}
	}
	for _, on := range []bool{true, false} {
		c.SetWriteCompression(on)
		w, err := c.Writer(t.Context(), websocket.Text)
		if err != nil {
			t.Fatal(err)
		}
		c.SetWriteCompression(!on)
		for _, part := range [][]byte{text[:30_000], text[30_000:]} {
			if _, err := w.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if on {
			if !hearPacked(t, p, d, said{websocket.Text, text}) {
				t.Error("a Writer begun with compression has lost it")
			}
			continue
		}
		p.Expect(frame.Text, false, string(text[:30_000]))
		p.Expect(frame.Continuation, true, string(text[30_000:]))
	}
	plain, q := wstest.Memory(t, nil)
	plain.SetWriteCompression(true)
	if err := plain.Write(t.Context(), websocket.Text, text[:1000]); err != nil {
		t.Fatal(err)
	}
	q.ExpectText(string(text[:1000]))
}

// TestSwitchedWhileWaiting: what counts is how the switch stood when Write was
// called, not when the message got its turn.
func TestSwitchedWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := wstest.Memory(t, compressing(0, 0))
		w, err := c.Writer(t.Context(), websocket.Text)
		if err != nil {
			t.Fatal(err)
		}
		secret := string(bytes.Repeat([]byte("secret "), 100))
		c.SetWriteCompression(false)
		written := async(func() error { return c.Write(t.Context(), websocket.Text, []byte(secret)) })
		synctest.Wait()
		c.SetWriteCompression(true)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		p.ExpectText("")
		p.ExpectText(secret)
		if err := <-written; err != nil {
			t.Error(err)
		}
	})
}

// TestWriterReach: a Writer, too, refers as far back as the window allows.
func TestWriterReach(t *testing.T) {
	c, p := wstest.Memory(t, compressing(0, 0))
	d := peerOf(t, c)
	message := bytes.Repeat(noise(20_000, 1), 5)
	w, err := c.Writer(t.Context(), websocket.Binary)
	if err != nil {
		t.Fatal(err)
	}
	written := async(func() error {
		_, err := io.Copy(w, bytes.NewReader(message))
		return errors.Join(err, w.Close())
	})
	h, payload, err := p.ReadFrame()
	if err != nil || len(payload) > 25_000 {
		t.Errorf("got %v, error %v, want 20,000 bytes and references to them", h, err)
	}
	if got, err := d.Unpack(payload); err != nil || !bytes.Equal(got, message) {
		t.Errorf("got %d bytes, error %v", len(got), err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

// TestUnsentPacked: a message that is not sent leaves no trace, neither on the
// wire nor in the window.
func TestUnsentPacked(t *testing.T) {
	text := sample(50_000, 1)
	broken := errors.New("broken")
	tests := []struct {
		name   string
		packed func(dst, dict, p []byte) ([]byte, error)
		says   string
	}{
		{"an error", func(dst, dict, p []byte) ([]byte, error) { return nil, broken }, "Compress: broken"},
		{"nothing", func(dst, dict, p []byte) ([]byte, error) { return dst, nil }, "empty stored block"},
		{"nothing at all", func(dst, dict, p []byte) ([]byte, error) { return nil, nil }, "empty stored block"},
		{"only the end", func(dst, dict, p []byte) ([]byte, error) { return append(dst, deflate.Tail...), nil }, "empty stored block"},
		{"another end", func(dst, dict, p []byte) ([]byte, error) {
			b, err := flateBehind(dst, dict, p)
			return append(b, 1), err
		}, "empty stored block"},
	}
	for _, writer := range packedWriters {
		for _, test := range tests {
			t.Run(test.name+"/"+writer.name, func(t *testing.T) {
				failing := false
				opts := &websocket.Options{Compression: &websocket.Compression{Compress: func(dst, dict, p []byte) ([]byte, error) {
					if failing {
						return test.packed(dst, dict, p)
					}
					return flateBehind(dst, dict, p)
				}}}
				c, p := wstest.Memory(t, opts)
				unsent(t, c, p, func() error {
					failing = true
					defer func() { failing = false }()
					err := writer.write(t.Context(), c, websocket.Text, text)
					if err == nil || !strings.Contains(err.Error(), test.says) || test.says == "Compress: broken" && !errors.Is(err, broken) {
						t.Errorf("got %v, want an error with %q", err, test.says)
					}
					return err
				})
			})
		}
		for _, invalid := range []struct {
			name string
			text string
		}{
			{"a wrong byte", string(text[:1000]) + "\xff"},
			{"a wrong byte at the beginning", "\xff" + string(text)},
			{"a wrong byte late", string(text) + "\xff" + string(text)},
			{"a wrong byte at the end", string(text[:20_000]) + "\xff"},
			{"half a character", string(text[:20_000]) + "\xe2\x82"},
		} {
			t.Run(invalid.name+"/"+writer.name, func(t *testing.T) {
				c, p := wstest.Memory(t, compressing(0, 0))
				unsent(t, c, p, func() error {
					err := writer.write(t.Context(), c, websocket.Text, []byte(invalid.text))
					if !errors.Is(err, websocket.ErrInvalidText) {
						t.Errorf("got %v, want ErrInvalidText", err)
					}
					return err
				})
			})
		}
	}
}

// unsent has send fail between messages with the same text.
func unsent(t *testing.T, c *websocket.Conn, p *wstest.Peer, send func() error) {
	t.Helper()
	d := peerOf(t, c)
	for i := range 4 {
		if err := send(); err == nil {
			t.Fatal("got no error")
		}
		text := sample(2000+i, 1)
		if err := c.Write(t.Context(), websocket.Text, text); err != nil {
			t.Fatal(err)
		}
		if !hearPacked(t, p, d, said{websocket.Text, text}) {
			t.Error("the message behind is not compressed")
		}
	}
}

// TestUnsentInTime: a compressed message whose turn does not come is not sent,
// and not in the window.
func TestUnsentInTime(t *testing.T) {
	for _, writer := range packedWriters {
		bubble(t, writer.name, func(t *testing.T) {
			const size = 1000
			opts := compressing(0, 0)
			opts.WriteTimeout = -1
			c, p := wstest.MemorySize(t, opts, size)
			d := peerOf(t, c)
			full := noise(size-4, 1)
			for range 3 {
				if err := c.Write(t.Context(), websocket.Binary, full); err != nil {
					t.Fatal(err)
				}
				// With the pipe full, a ping has the turn of a frame, and keeps it.
				pinged := async(func() error { return c.WriteFrame(t.Context(), frame.Ping, true, nil) })
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				if err := writer.write(ctx, c, websocket.Text, sample(30_000, 1)); !errors.Is(err, context.DeadlineExceeded) || c.Err() != nil {
					t.Fatalf("got %v, connection %v", err, c.Err())
				}
				cancel()
				p.Expect(frame.Binary, true, string(full))
				p.Expect(frame.Ping, true, "")
				if err := <-pinged; err != nil {
					t.Fatal(err)
				}
				text := sample(1000, 1)
				if err := c.Write(t.Context(), websocket.Text, text); err != nil {
					t.Fatal(err)
				}
				hearPacked(t, p, d, said{websocket.Text, text})
			}
		})
	}
}

// TestPackedWriterContext: a compressed message is not begun before Close, so that
// nobody is hurt when its ctx ends.
func TestPackedWriterContext(t *testing.T) {
	for _, size := range []int{10, 1000, 20_000, 200_000} {
		bubble(t, fmt.Sprint(size), func(t *testing.T) {
			c, p := wstest.Memory(t, compressing(0, 0))
			d := peerOf(t, c)
			ctx, cancel := context.WithCancel(t.Context())
			w, err := c.Writer(ctx, websocket.Text)
			if err != nil {
				t.Fatal(err)
			}
			text := sample(size, 1)
			if _, err := w.Write(text); err != nil {
				t.Fatal(err)
			}
			cancel()
			synctest.Wait()
			if _, err := w.Write(text); !errors.Is(err, context.Canceled) {
				t.Errorf("Write: got %v", err)
			}
			if err := w.Close(); !errors.Is(err, context.Canceled) {
				t.Errorf("Close: got %v", err)
			}
			if err := c.Write(t.Context(), websocket.Text, text); err != nil {
				t.Fatal(err)
			}
			hearPacked(t, p, d, said{websocket.Text, text})
		})
	}
}

// TestPackedWriterTurns: while a compressed message is being written, others wait
// and control frames do not, and after the end of the connection all is refused.
func TestPackedWriterTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := wstest.Memory(t, compressing(0, 0))
		d := peerOf(t, c)
		ctx := t.Context()
		w, err := c.Writer(ctx, websocket.Text)
		if err != nil {
			t.Fatal(err)
		}
		text := sample(60_000, 1)
		if _, err := w.Write(text[:50_000]); err != nil {
			t.Fatal(err)
		}
		waiting := async(func() error { return c.Write(ctx, websocket.Text, text) })
		synctest.Wait()
		if err := c.WriteFrame(ctx, frame.Text, true, nil); !errors.Is(err, websocket.ErrWriterOpen) {
			t.Errorf("WriteFrame: got %v, want ErrWriterOpen", err)
		}
		if err := c.WriteFrame(ctx, frame.Ping, true, []byte("ours")); err != nil {
			t.Fatal(err)
		}
		p.Expect(frame.Ping, true, "ours")
		if _, err := w.Write(text[50_000:]); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		hearPacked(t, p, d, said{websocket.Text, text})
		hearPacked(t, p, d, said{websocket.Text, text})
		if err := <-waiting; err != nil {
			t.Error(err)
		}
		if w, err = c.Writer(ctx, websocket.Text); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
		c.CloseNow()
		if err := w.Close(); err != c.Err() {
			t.Errorf("Close after the end: got %v, want %v", err, c.Err())
		}
		if err := c.Write(ctx, websocket.Text, text); err != c.Err() {
			t.Errorf("Write after the end: got %v, want %v", err, c.Err())
		}
	})
}

// TestConcurrentPackedWriters: messages of many goroutines, in every form, share
// one window.
func TestConcurrentPackedWriters(t *testing.T) {
	wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
		const goroutines, messages = 8, 30
		c, p := connect(t, compressing(0, 0))
		d := peerOf(t, c)
		ended := c.CloseRead(t.Context())
		var wg sync.WaitGroup
		for i := range goroutines {
			wg.Go(func() {
				for j := range messages {
					text := append(fmt.Appendf(nil, "%d %d ", i, j), sample(1+j*j*30, uint64(j))...)
					var err error
					if j%3 == 0 {
						_, err = c.Ping(t.Context())
					}
					if err = errors.Join(err, packedWriters[(i+j)%len(packedWriters)].write(t.Context(), c, websocket.Text, text)); err != nil {
						t.Errorf("goroutine %d: %v", i, err)
						c.CloseNow() // so that nobody waits
						return
					}
				}
			})
		}
		next := make([]int, goroutines)
		for n := 0; n < goroutines*messages; {
			h, payload, err := p.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if h.Opcode == frame.Ping {
				p.SendFrame(frame.Pong, true, string(payload))
				continue
			}
			if h.RSV1 {
				if payload, err = d.Unpack(payload); err != nil {
					t.Fatal(err)
				}
			}
			var i, j int
			if _, err := fmt.Sscanf(string(payload[:min(20, len(payload))]), "%d %d ", &i, &j); err != nil {
				t.Fatal(err)
			}
			if want := sample(1+j*j*30, uint64(j)); j != next[i] || !bytes.HasSuffix(payload, want) {
				t.Fatalf("goroutine %d: got message %d of %d bytes, want %d", i, j, len(payload), next[i])
			}
			next[i]++
			n++
		}
		wg.Wait()
		c.CloseNow()
		<-ended.Done()
	})
}

// TestPackedAllocatesNothing: in the steady state a compressed message costs no
// allocation, at either end.
func TestPackedAllocatesNothing(t *testing.T) {
	c, p := wstest.MemorySize(t, compressing(0, 0), 1<<20)
	d := peerOf(t, c)
	const runs = 50
	text := sample(512, 1)
	for range 2 * runs {
		p.Send(wstest.CompressedFrame(frame.Text, true, d.Pack(text))...)
	}
	// A pool may lose what it has at any time, so that the least is what counts.
	least := func(f func()) float64 {
		n := testing.AllocsPerRun(1, f)
		for range runs - 1 {
			n = min(n, testing.AllocsPerRun(1, f))
		}
		return n
	}
	dst := make([]byte, 0, 1024)
	ctx := context.Background()
	read := least(func() {
		if _, got, err := c.ReadAppend(ctx, dst); err != nil || len(got) != len(text) {
			t.Fatalf("got %d bytes, error %v", len(got), err)
		}
	})
	write := least(func() {
		if err := c.Write(ctx, websocket.Text, text); err != nil {
			t.Fatal(err)
		}
	})
	if read != 0 || write != 0 {
		t.Errorf("got %v allocations for ReadAppend and %v for Write, want none", read, write)
	}
}
