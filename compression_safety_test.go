package websocket_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"runtime"
	"strings"
	"testing"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/deflate"
	"github.com/airlock-go/websocket/internal/proto"
	"github.com/airlock-go/websocket/internal/wstest"
)

// endless is the payload of an empty stored block, many times.
func endless(n int) []byte { return bytes.Repeat([]byte("\x00\x00\x00\xff\xff"), n) }

// TestBomb: a message counts with what it decompresses to, and costs no more
// memory than the limit on that.
func TestBomb(t *testing.T) {
	const size = 16 << 20
	z, err := wstest.NewDeflate("permessage-deflate")
	if err != nil {
		t.Fatal(err)
	}
	bomb := z.Pack(make([]byte, size))
	if len(bomb)*100 > size {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	for _, reader := range packedReaders {
		for _, fragment := range []int{1, 10, 1 << 20} {
			t.Run(fmt.Sprintf("%s/frames of %d", reader.name, fragment), func(t *testing.T) {
				opts := compressing(0, 0)
				opts.MaxMessageSize = 64 << 10
				c, p := wstest.MemorySize(t, opts, 1<<20)
				p.Send(wstest.CompressedFragments(frame.Binary, bomb, fragment)...)
				p.CloseWrite()
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				_, _, err := reader.read(t.Context(), c)
				runtime.ReadMemStats(&after)
				if websocket.CloseStatus(err) != websocket.CloseMessageTooBig || !errors.Is(err, proto.ErrTooBig) {
					t.Errorf("got %v", err)
				}
				p.ExpectClose(1009, "message is larger than the limit")
				if cost := after.TotalAlloc - before.TotalAlloc; cost > size/16 {
					t.Errorf("it has cost %d bytes", cost)
				}
			})
		}
	}
}

// TestMaxMessageSizePacked: the limit is met to the byte.
func TestMaxMessageSizePacked(t *testing.T) {
	const max = 20_000
	tests := []struct {
		name  string
		limit int64
		data  []byte
		ok    bool
	}{
		{"zeros at the limit", max, make([]byte, max), true},
		{"zeros one over", max, make([]byte, max+1), false},
		{"text at the limit", max, sample(max, 1), true},
		{"text one over", max, sample(max+1, 1), false},
		{"noise at the limit", max, noise(max, 1), true},
		{"noise one over", max, noise(max+1, 1), false},
		{"one byte at the limit", 1, []byte("x"), true},
		{"one byte over", 1, []byte("xx"), false},
		{"nothing", 1, nil, true},
		{"1 MiB by default", 0, make([]byte, 1<<20), true},
		{"more than 1 MiB by default", 0, make([]byte, 1<<20+1), false},
		{"no limit", -1, make([]byte, 3<<20), true},
	}
	for _, test := range tests {
		for i, reader := range packedReaders {
			if i > 0 && len(test.data) > 2*max {
				break // one form will do for what takes long
			}
			for _, size := range []int{100, 1 << 20} {
				t.Run(fmt.Sprintf("%s/%s/frames of %d", test.name, reader.name, size), func(t *testing.T) {
					opts := compressing(0, 0)
					opts.MaxMessageSize = test.limit
					c, p := wstest.MemorySize(t, opts, 1<<20)
					d := peerOf(t, c)
					// Limits are by message: the second is held against it alone.
					for range 2 {
						p.Send(wstest.CompressedFragments(frame.Binary, d.Pack(test.data), size)...)
					}
					p.CloseWrite()
					for range 2 {
						_, got, err := reader.read(t.Context(), c)
						if test.ok && (err != nil || !bytes.Equal(got, test.data)) {
							t.Fatalf("got %d bytes, error %v", len(got), err)
						}
						if !test.ok && websocket.CloseStatus(err) != websocket.CloseMessageTooBig {
							t.Fatalf("got %d bytes, error %v, want CloseMessageTooBig", len(got), err)
						}
					}
				})
			}
		}
	}
	t.Run("changed in the middle", func(t *testing.T) {
		c, p := wstest.Memory(t, compressing(0, 0))
		b := peerOf(t, c).Pack(make([]byte, 100_000))
		p.Send(wstest.CompressedFrame(frame.Binary, false, b[:len(b)-20])...)
		_, r, err := c.Reader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		c.SetMaxMessageSize(60_000)
		p.SendFrame(frame.Continuation, true, string(b[len(b)-20:]))
		p.CloseWrite()
		rest, err := io.ReadAll(r)
		if websocket.CloseStatus(err) != websocket.CloseMessageTooBig || len(rest) > 59_000 {
			t.Errorf("got %d bytes, error %v", len(rest), err)
		}
	})
}

// TestEndlessNothing: who sends blocks without a byte in them comes to the end of
// something.
func TestEndlessNothing(t *testing.T) {
	tests := []struct {
		name string
		sent func() []byte
		want websocket.CloseCode
	}{
		{"in one frame", func() []byte {
			return wstest.CompressedFrame(frame.Binary, false, endless(1000))
		}, websocket.CloseMessageTooBig},
		{"in large frames", func() []byte {
			return wstest.CompressedFragments(frame.Binary, endless(10_000), 500)
		}, websocket.CloseMessageTooBig},
		{"in small frames", func() []byte {
			return wstest.CompressedFragments(frame.Binary, endless(1<<16+1), 5)
		}, websocket.ClosePolicyViolation},
	}
	for _, test := range tests {
		for _, reader := range packedReaders {
			t.Run(test.name+"/"+reader.name, func(t *testing.T) {
				opts := compressing(0, 0)
				opts.MaxMessageSize = 1000
				c, p := wstest.MemorySize(t, opts, 4<<20)
				p.Send(test.sent()...)
				p.CloseWrite()
				if _, got, err := reader.read(t.Context(), c); websocket.CloseStatus(err) != test.want {
					t.Errorf("got %d bytes, error %v, want %v", len(got), err, test.want)
				}
			})
		}
	}
}

// TestWrongBit: RSV1 where it means nothing, or nothing was agreed on.
func TestWrongBit(t *testing.T) {
	const notFirst = "RSV1 on a frame that does not begin a message"
	const noExtension = "reserved bit set without an extension"
	header := func(h frame.Header) []byte {
		h.Masked, h.Key = true, wstest.Key
		return frame.Append(nil, h)
	}
	tests := []struct {
		name   string
		agreed bool
		sent   []byte
		reason string
	}{
		{"ping", true, wstest.CompressedFrame(frame.Ping, true, nil), notFirst},
		{"pong", true, wstest.CompressedFrame(frame.Pong, true, nil), notFirst},
		{"close", true, wstest.CompressedFrame(frame.Close, true, nil), notFirst},
		{"continuation", true, wstest.CompressedFrame(frame.Continuation, true, []byte("\x00")), notFirst},
		{"a second fragment", true, append(wstest.CompressedFrame(frame.Text, false, []byte("\x00")), wstest.CompressedFrame(frame.Continuation, true, []byte("\x00"))...), notFirst},
		{"a second fragment only", true, append(wstest.Frame(frame.Text, false, nil), wstest.CompressedFrame(frame.Continuation, true, []byte("\x00"))...), notFirst},
		{"a ping between", true, append(wstest.CompressedFrame(frame.Text, false, []byte("\x00")), wstest.CompressedFrame(frame.Ping, true, nil)...), notFirst},
		{"RSV2", true, header(frame.Header{Fin: true, RSV1: true, RSV2: true, Opcode: frame.Text}), noExtension},
		{"RSV3", true, header(frame.Header{Fin: true, RSV3: true, Opcode: frame.Text}), noExtension},
		{"nothing agreed on", false, wstest.CompressedFrame(frame.Text, true, []byte("\x00")), noExtension},
		{"a ping with nothing agreed on", false, wstest.CompressedFrame(frame.Ping, true, nil), noExtension},
	}
	for _, test := range tests {
		for _, reader := range packedReaders {
			t.Run(test.name+"/"+reader.name, func(t *testing.T) {
				var opts *websocket.Options
				if test.agreed {
					opts = compressing(0, 0)
				}
				c, p := wstest.Memory(t, opts)
				p.Send(test.sent...)
				p.CloseWrite()
				var err error
				for err == nil { // a first fragment may come before
					_, _, err = reader.read(t.Context(), c)
				}
				if websocket.CloseStatus(err) != websocket.CloseProtocolError {
					t.Errorf("got %v", err)
				}
				p.ExpectClose(1002, test.reason)
			})
		}
	}
}

// bitStream is written as DEFLATE has it: numbers from their least significant bit
// on, Huffman codes from their most significant one (RFC 1951, section 3.1.1).
type bitStream struct {
	b    []byte
	free uint // bits left in the last byte
}

func (s *bitStream) bit(v uint) {
	if s.free == 0 {
		s.b, s.free = append(s.b, 0), 8
	}
	s.b[len(s.b)-1] |= byte(v&1) << (8 - s.free)
	s.free--
}

func (s *bitStream) number(v, n uint) {
	for i := range n {
		s.bit(v >> i)
	}
}

func (s *bitStream) code(v, n uint) {
	for i := range n {
		s.bit(v >> (n - 1 - i))
	}
}

// reference returns the payload of a message: literals, and a reference to three
// bytes so far back.
func reference(literals string, distance int) []byte {
	var s bitStream
	s.number(0b010, 3) // with fixed codes (RFC 1951, section 3.2.6)
	for _, c := range []byte(literals) {
		s.code(0x30+uint(c), 8)
	}
	s.code(1, 7) // three bytes
	back := uint(distance - 1)
	if extra := uint(max(bits.Len(back), 2) - 2); back < 4 {
		s.code(back, 5)
	} else {
		s.code(2*extra+2+back>>extra&1, 5)
		s.number(back, extra)
	}
	s.code(0, 7)   // the end of the block
	s.number(0, 3) // an empty block
	return s.b
}

// TestReferenceTooFar: a reference reaches as far back as was agreed, and as far
// as there is something, and not a byte further.
func TestReferenceTooFar(t *testing.T) {
	first := string(sample(300, 1))
	long := strings.Repeat("0123456789abcdef", 5000)
	tests := []struct {
		name     string
		set      *websocket.Options
		before   string // another message
		literals string
		most     int // how far back a reference may reach
	}{
		{"in a message", compressing(15, 15), "", "abcd", 4},
		{"to the message before", compressing(15, 15), first, "", 300},
		{"to both", compressing(15, 15), first, "abcd", 304},
		{"to a window of 8 bits", compressing(8, 8), first, "", 256},
		{"in a window of 8 bits", compressing(8, 8), first, "abcd", 256},
		{"in a message of a window of 8 bits", compressing(8, 8), "", long[:1000], 256},
		{"to a window of 12 bits", compressing(12, 12), long, "", 4096},
		{"to a window of 15 bits", compressing(15, 15), long, "", 32768},
		{"with no window kept", compressing(-1, -1), first, "abcd", 4},
		{"in a message with no window kept", compressing(-1, -1), first, long, 32768},
	}
	for _, test := range tests {
		for _, reader := range packedReaders {
			for _, far := range []int{0, 1} {
				t.Run(fmt.Sprintf("%s/%s/%d too far", test.name, reader.name, far), func(t *testing.T) {
					c, p := wstest.MemorySize(t, test.set, 1<<20)
					p.Send(wstest.CompressedFrame(frame.Binary, true, peerOf(t, c).Pack([]byte(test.before)))...)
					p.SendFrame(frame.Binary, true, "what is not compressed is in no window")
					p.Send(wstest.CompressedFrame(frame.Binary, true, reference(test.literals, test.most+far))...)
					p.CloseWrite()
					for range 2 {
						if _, _, err := reader.read(t.Context(), c); err != nil {
							t.Fatal(err)
						}
					}
					_, got, err := reader.read(t.Context(), c)
					if far > 0 {
						if websocket.CloseStatus(err) != websocket.CloseInvalidPayload || !errors.Is(err, deflate.ErrCorrupt) {
							t.Errorf("got %d bytes, error %v", len(got), err)
						}
						return
					}
					seen := test.before + test.literals
					want := test.literals + seen[len(seen)-test.most:][:3]
					if err != nil || string(got) != want {
						t.Errorf("got %d bytes, error %v", len(got), err)
					}
				})
			}
		}
	}
}

// TestCorrupt: what is no DEFLATE stream, or only the beginning of one.
func TestCorrupt(t *testing.T) {
	const hello = "\xf2\x48\xcd\xc9\xc9\x07\x00"
	tests := []struct {
		name    string
		payload string
		why     string // what the error says
	}{
		{"a reserved type of block", "\x06", "type of block"},
		{"a reserved type of final block", "\x07", "type of block"},
		{"a stored block of two lengths", "\x00\x05\x00\x00\x00hello\x00", "stored block"},
		{"codes that make no code", "\x04\xff\xff\xff\xff\xff\xff\xff", "code"},
		{"nothing to repeat", "\xf2\x00\x11\x00\x00", "window"},

		// "a 0x00 octet" is the least that an empty message has (RFC 7692, section
		// 7.2.3.6).
		{"nothing at all", "", "middle of a block"},
		{"half a stored block", "\x00\x20\x00\xdf\xffhello", "middle of a block"},
		{"no empty block at the end", hello[:6], "middle of a block"},
		{"a final block and no more", "\xf3\x48\xcd\xc9\xc9\x07\x00", "middle of a block"},
		{"a final block and one that is not empty", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00\x04\x00\xfb\xff", "middle of a block"},
		{"the end was not removed", hello + "\x00\x00\xff\xff", "middle of a block"},
		{"the header of a block with codes", "\x04", "code"},

		{"something behind", hello + "\x01", "stored block"},
		{"half of the end behind", hello + "\x00\x00", "stored block"},
		{"text", "Hello, world", "corrupt"},
	}
	for _, test := range tests {
		for _, reader := range packedReaders {
			for _, size := range []int{1, 1 << 20} {
				t.Run(fmt.Sprintf("%s/%s/frames of %d", test.name, reader.name, size), func(t *testing.T) {
					c, p := wstest.Memory(t, compressing(0, 0))
					p.Send(wstest.CompressedFragments(frame.Binary, []byte(test.payload), size)...)
					p.CloseWrite()
					_, _, err := reader.read(t.Context(), c)
					if websocket.CloseStatus(err) != websocket.CloseInvalidPayload || !errors.Is(err, proto.ErrDeflate) || !strings.Contains(err.Error(), test.why) {
						t.Errorf("got %v, want CloseInvalidPayload because of %q", err, test.why)
					}
					p.ExpectClose(1007, "compressed message is no DEFLATE stream")
					if err != c.Err() {
						t.Errorf("got %v, the connection says %v", err, c.Err())
					}
				})
			}
		}
	}
}

// TestPackedTruncated cuts a conversation off at every byte: messages that came
// whole are there, others never are, whether the peer vanishes or goes on.
func TestPackedTruncated(t *testing.T) {
	z, err := wstest.NewDeflate("permessage-deflate; client_max_window_bits=12")
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{string(sample(200, 1)), string(sample(300, 2)), "", string(sample(260, 1))}
	var payloads [][]byte
	var sent []byte
	var ends []int // where each message ends
	for i, text := range texts {
		payloads = append(payloads, z.Pack([]byte(text)))
		sent = append(sent, wstest.CompressedFragments(frame.Text, payloads[i], 10+100*i)...)
		ends = append(ends, len(sent))
	}
	for _, reader := range packedReaders {
		t.Run(reader.name, func(t *testing.T) {
			for cut := range sent {
				c, p := wstest.Memory(t, compressing(0, 0))
				p.Send(sent[:cut]...)
				p.CloseWrite()
				for i, end := range ends {
					_, got, err := reader.read(t.Context(), c)
					if end <= cut && (err != nil || string(got) != texts[i]) || end > cut && websocket.CloseStatus(err) != websocket.CloseAbnormal {
						t.Fatalf("cut at %d of %d: message %d: got %d bytes, error %v", cut, len(sent), i, len(got), err)
					}
					if err != nil {
						break
					}
				}
			}
			for cut := range payloads[1] {
				c, p := wstest.Memory(t, compressing(0, 0))
				p.Send(wstest.CompressedFrame(frame.Text, true, payloads[0])...)
				p.Send(wstest.CompressedFrame(frame.Text, true, payloads[1][:cut])...)
				p.CloseWrite()
				if _, got, err := reader.read(t.Context(), c); err != nil || string(got) != texts[0] {
					t.Fatalf("got %q, error %v", got, err)
				}
				if _, got, err := reader.read(t.Context(), c); websocket.CloseStatus(err) != websocket.CloseInvalidPayload {
					t.Errorf("payload cut at %d of %d: got %q, error %v", cut, len(payloads[1]), got, err)
				}
			}
		})
	}
}

// FuzzCompressedConversation sends a payload that nobody has packed behind one that
// somebody has, in frames of any size. What comes of it is what compress/flate says,
// or the end of the connection.
func FuzzCompressedConversation(f *testing.F) {
	const limit = 1 << 16
	f.Add([]byte("\xf2\x48\xcd\xc9\xc9\x07\x00"), []byte{1, 2}, byte(0))
	f.Add([]byte("\xf2\x00\x11\x00\x00"), []byte{0}, byte(1))
	f.Add([]byte("\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x00\x11\x00\x00"), []byte(nil), byte(2))
	f.Add([]byte("\x00\x05\x00\xfa\xffhello\x00"), []byte{3, 3, 3}, byte(3))
	f.Add(reference("abcd", 304), []byte{255}, byte(4))
	f.Add(reference("abcd", 305), []byte{2, 0, 0}, byte(5))
	f.Add(endless(10), []byte{5, 5, 5}, byte(6))
	f.Add([]byte("\x00"), []byte{}, byte(7))
	f.Add([]byte{}, []byte{}, byte(8))
	for i, n := range []int{50, 1000, 10_000} {
		for _, b := range [][]byte{sample(n, uint64(i)), noise(n, uint64(i)), make([]byte, limit-1+i)} {
			z, err := wstest.NewDeflate("permessage-deflate")
			if err != nil {
				f.Fatal(err)
			}
			f.Add(z.Pack(b), []byte{byte(7 * i), 100}, byte(i))
		}
	}
	first := sample(300, 1)
	f.Fuzz(func(t *testing.T, payload, cuts []byte, mode byte) {
		if len(payload) > 1<<14 || len(cuts) > 1<<8 {
			return
		}
		opts := compressing(15, 15)
		opts.MaxMessageSize = limit
		c, p := wstest.MemorySize(t, opts, 1<<20)
		op := frame.Text
		if mode&1 != 0 {
			op = frame.Binary
		}
		sent := wstest.CompressedFrame(frame.Text, true, peerOf(t, c).Pack(first))
		sent = append(sent, cutUp(op, payload, cuts)...)
		p.Send(sent...)
		p.CloseWrite()
		reader := packedReaders[int(mode/2)%len(packedReaders)]
		if _, got, err := reader.read(t.Context(), c); err != nil || !bytes.Equal(got, first) {
			t.Fatalf("the first message: got %d bytes, error %v", len(got), err)
		}
		typ, got, err := reader.read(t.Context(), c)
		if err == nil {
			want, err := wstest.Inflate(payload, first)
			if frame.Opcode(typ) != op || err != nil || !bytes.Equal(got, want) || len(got) > limit {
				t.Errorf("got %v of %d bytes, compress/flate says %d bytes, error %v", typ, len(got), len(want), err)
			}
			return
		}
		switch websocket.CloseStatus(err) {
		case websocket.CloseInvalidPayload, websocket.CloseMessageTooBig:
		default:
			t.Errorf("got %v", err)
		}
	})
}

// cutUp returns the frames of a compressed message, cut where the fuzzer says.
func cutUp(op frame.Opcode, payload, cuts []byte) []byte {
	var b []byte
	send := func(fin bool, p []byte) {
		if b == nil {
			b = wstest.CompressedFrame(op, fin, p)
			return
		}
		b = append(b, wstest.Frame(frame.Continuation, fin, p)...)
	}
	for _, cut := range cuts {
		n := min(int(cut), len(payload))
		send(false, payload[:n])
		payload = payload[n:]
	}
	send(true, payload)
	return b
}
