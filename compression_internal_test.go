package websocket

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/deflate"
)

// wire is a transport that keeps what is written, and has something to read.
type wire struct {
	stream
	in, out bytes.Buffer
}

func newWire(t *testing.T, a *agreement, with *Compression) (*Conn, *wire) {
	client, server := net.Pipe()
	w := &wire{stream: newHijacked(server, nil)}
	c := newConn(w, decision{deflate: a}, &Options{KeepAlive: -1, MaxMessageSize: -1, Compression: with})
	t.Cleanup(func() {
		client.Close()
		c.CloseNow()
	})
	return c, w
}

func (w *wire) Read(p []byte) (int, error)  { return w.in.Read(p) }
func (w *wire) Write(p []byte) (int, error) { return w.out.Write(p) }

func (w *wire) WriteBuffers(b *net.Buffers) (int64, error) { return b.WriteTo(&w.out) }

// say has the peer send a compressed message behind dict.
func (w *wire) say(dict, p []byte, bits int) {
	b := bytes.TrimSuffix(deflate.Compress(nil, dict, p, bits), []byte(deflate.Tail))
	w.in.Write(frame.Append(nil, frame.Header{Fin: true, RSV1: true, Opcode: frame.Binary, Masked: true, Length: uint64(len(b))}))
	w.in.Write(b) // masked with zeros
}

// hear returns the next message that was sent, and whether it was compressed,
// behind dict.
func (w *wire) hear(t *testing.T, dict []byte, bits int) (p []byte, compressed bool) {
	t.Helper()
	h, n, err := frame.Parse(w.out.Bytes())
	if err != nil || n == 0 {
		t.Fatalf("got header of %d bytes, error %v", n, err)
	}
	w.out.Next(n)
	b := bytes.Clone(w.out.Next(int(h.Length)))
	if !h.RSV1 {
		return b, false
	}
	f := deflate.NewInflater(dict, bits)
	defer f.Release()
	for b = append(b, deflate.Tail...); ; {
		out, n, err := f.Next(b)
		if err != nil {
			t.Fatalf("%v: %v", h, err)
		}
		if p, b = append(p, out...), b[n:]; len(out) == 0 {
			return p, true
		}
	}
}

func records(n int) []byte {
	r := rand.New(rand.NewPCG(uint64(n), 1))
	var b []byte
	for len(b) < n {
		b = fmt.Appendf(b, `{"id":%d,"name":"Airlock","open":%t},`, r.IntN(1e6), r.IntN(2) == 0)
	}
	return b[:n]
}

// TestIdleHoldsWindows: between two messages a connection has its windows, no
// larger than agreed, and nothing else.
func TestIdleHoldsWindows(t *testing.T) {
	for _, keeps := range []int{0, 256, 300, 1 << 10, 1 << 12, 1 << 15} {
		for _, bits := range []int{8, 12, 15} {
			if keeps > 1<<bits {
				continue
			}
			t.Run(fmt.Sprintf("%d of %d bits", keeps, bits), func(t *testing.T) {
				c, w := newWire(t, &agreement{sendBits: bits, receiveBits: bits, sendKeeps: keeps, receiveKeeps: keeps}, &Compression{Threshold: -1})
				var sent, received []byte // as the windows see it
				for i, n := range []int{1, 20, 100, 0, 300, 257, 20_000, 1000, 17_000, 3, 40_000, 100, 5000, 100_000, 300} {
					message := records(n)
					w.say(end(received, keeps), message, bits)
					if _, got, err := c.Read(t.Context()); err != nil || !bytes.Equal(got, message) {
						t.Fatalf("%d bytes: got %d, error %v", n, len(got), err)
					}
					received = append(received, message...)
					if err := write(c, message, i%2 == 0); err != nil {
						t.Fatal(err)
					}
					got, compressed := w.hear(t, end(sent, keeps), bits)
					if !bytes.Equal(got, message) || !compressed && n > 50 {
						t.Fatalf("%d bytes: the peer got %d, compressed %t", n, len(got), compressed)
					}
					if compressed {
						sent = append(sent, message...)
					}
					checkIdle(t, c, end(sent, keeps), end(received, keeps), keeps)
				}
			})
		}
	}
}

// write sends a message, in one of the two ways that compress.
func write(c *Conn, message []byte, stream bool) error {
	ctx := context.Background()
	if !stream {
		return c.Write(ctx, Binary, message)
	}
	w, err := c.Writer(ctx, Binary)
	if err != nil {
		return err
	}
	for piece := range slices.Chunk(message, 7000) {
		if _, err := w.Write(piece); err != nil {
			return err
		}
	}
	return w.Close()
}

// end returns the last n bytes of p.
func end(p []byte, n int) []byte { return p[max(0, len(p)-n):] }

func checkIdle(t *testing.T, c *Conn, sent, received []byte, keeps int) {
	t.Helper()
	in, d := c.rd.inflation, c.wr.deflation
	if c.rd.buf != nil || c.rd.partial != nil || c.rd.piece != nil {
		t.Error("the reader holds a buffer")
	}
	if in.inflater != nil || in.pending || in.event.Payload != nil {
		t.Error("the reader holds an inflater")
	}
	if !bytes.Equal(in.window, received) || !bytes.Equal(d.window, sent) {
		t.Errorf("the windows hold %d and %d bytes, want the last %d and %d", len(in.window), len(d.window), len(received), len(sent))
	}
	if cap(in.window) > keeps || cap(d.window) > keeps {
		t.Errorf("the windows take %d and %d bytes, want %d at most", cap(in.window), cap(d.window), keeps)
	}
}

// TestEndDropsInflater: what was taken for a message goes back when the
// connection ends in the middle of it.
func TestEndDropsInflater(t *testing.T) {
	for _, corrupt := range []bool{false, true} {
		t.Run(fmt.Sprintf("corrupt=%t", corrupt), func(t *testing.T) {
			c, w := newWire(t, &agreement{sendBits: 15, receiveBits: 15, sendKeeps: 4096, receiveKeeps: 4096}, &Compression{})
			w.say(nil, records(50_000), 15)
			if corrupt {
				b := w.in.Bytes()
				binary.BigEndian.PutUint32(b[len(b)/2:], 0xffffffff)
			} else {
				w.in.Truncate(w.in.Len() - 10)
			}
			if _, _, err := c.Read(t.Context()); CloseStatus(err) < 0 {
				t.Fatalf("got %v", err)
			}
			if in := c.rd.inflation; in.inflater != nil || in.pending || in.event.Payload != nil {
				t.Error("the reader still holds an inflater")
			}
			if c.rd.buf != nil || c.rd.partial != nil {
				t.Error("the reader still holds a buffer")
			}
		})
	}
}

// TestStreamKeepsBuffer: what a stream has not handed out yet lies in the buffer,
// which must not go to another connection until then.
func TestStreamKeepsBuffer(t *testing.T) {
	for _, compressed := range []bool{false, true} {
		t.Run(fmt.Sprintf("compressed=%t", compressed), func(t *testing.T) {
			c, w := newWire(t, &agreement{sendBits: 15, receiveBits: 15}, &Compression{})
			message := records(60_000) // more than an inflater gives at once, packed less than a buffer
			if compressed {
				w.say(nil, message, 15)
			} else {
				message = message[:1000]
				w.in.Write(frame.Append(nil, frame.Header{Fin: true, Opcode: frame.Binary, Masked: true, Length: uint64(len(message))}))
				w.in.Write(message)
			}
			_, r, err := c.Reader(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(message))
			for i := range got {
				if c.rd.buf == nil {
					t.Fatalf("the buffer is gone after %d bytes of %d", i, len(got))
				}
				if _, err := r.Read(got[i : i+1]); err != nil && i < len(got)-1 {
					t.Fatal(err)
				}
			}
			if c.rd.buf != nil || !bytes.Equal(got, message) {
				t.Errorf("at the end the buffer is kept: %t", c.rd.buf != nil)
			}
		})
	}
}

// TestSlide: a window is the end of all that went through it, and no larger.
func TestSlide(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 1, 2, 7, 256, 300} {
		var window, all []byte
		for range 500 {
			p := records(r.IntN(size*2 + 2))
			all = append(all, p...)
			window = slide(window, p, size)
			if want := end(all, size); !bytes.Equal(window, want) {
				t.Fatalf("size %d: got %q, want %q", size, window, want)
			}
			if cap(window) > size {
				t.Fatalf("size %d: it takes %d bytes", size, cap(window))
			}
		}
	}
}

// TestWritePacked: a message that was packed without a dictionary, once for many
// connections, goes in between others.
func TestWritePacked(t *testing.T) {
	for _, keeps := range []int{0, 256, 4096, 1 << 15} {
		t.Run(fmt.Sprint(keeps), func(t *testing.T) {
			c, w := newWire(t, &agreement{sendBits: 15, sendKeeps: keeps}, &Compression{})
			var said []byte
			for i := range 10 {
				plain := records(500 + 3000*i)
				packed := bytes.TrimSuffix(deflate.Compress(nil, nil, plain, 15), []byte(deflate.Tail))
				if err := c.take(t.Context(), &c.wr.message, "write"); err != nil {
					t.Fatal(err)
				}
				err := c.writePacked(t.Context(), packedText(packed), plain)
				c.wr.message.unlock()
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Write(t.Context(), Text, plain); err != nil {
					t.Fatal(err)
				}
				for range 2 {
					got, compressed := w.hear(t, end(said, keeps), 15)
					if !bytes.Equal(got, plain) || !compressed {
						t.Fatalf("message %d: got %d bytes, compressed %t, want %d", i, len(got), compressed, len(plain))
					}
					said = append(said, plain...)
				}
			}
			if n := c.Stats().MessagesSent; n != 20 {
				t.Errorf("got %d messages sent, want 20", n)
			}
		})
	}
}

// TestCompressedTurn: what is compressed refers to the messages before it, so it waits
// for its turn among them, and no longer than its ctx.
func TestCompressedTurn(t *testing.T) {
	c, _ := newWire(t, &agreement{sendBits: 15, sendKeeps: 4096}, &Compression{})
	m, err := NewPreparedMessage(Text, records(200))
	if err != nil {
		t.Fatal(err)
	}
	c.wr.message.tryLock()
	for name, write := range map[string]func(ctx context.Context) error{
		"Write":         func(ctx context.Context) error { return c.Write(ctx, Text, records(200)) },
		"WritePrepared": func(ctx context.Context) error { return c.WritePrepared(ctx, m) },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if err := write(ctx); !errors.Is(err, context.DeadlineExceeded) || c.Stats().BytesSent > 0 {
			t.Errorf("%s: %v, after %d bytes", name, err, c.Stats().BytesSent)
		}
		cancel()
	}
}

func packedText(b []byte) *outgoing {
	h := frame.Header{Opcode: frame.Text, Fin: true, RSV1: true}
	return &outgoing{Header: h, as: byMessage, checked: true, payload: b}
}

// TestWritePackedRefused: what is not sent is in no window.
func TestWritePackedRefused(t *testing.T) {
	c, _ := newWire(t, &agreement{sendBits: 15, sendKeeps: 4096}, &Compression{})
	if err := c.WriteFrame(t.Context(), frame.Text, false, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.writePacked(t.Context(), packedText([]byte{0}), records(100)); err == nil {
		t.Error("a message inside another: got no error")
	}
	if len(c.wr.deflation.window) > 0 {
		t.Errorf("the window holds %d bytes", len(c.wr.deflation.window))
	}
}
