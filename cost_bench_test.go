package websocket

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/proto"
)

// tap is a connection that takes everything at once, and gives a frame for each Read.
type tap struct {
	net.Conn
	frame []byte
}

func (s *tap) Read(p []byte) (int, error)       { return copy(p, s.frame), nil }
func (s *tap) Write(p []byte) (int, error)      { return len(p), nil }
func (s *tap) SetReadDeadline(time.Time) error  { return nil }
func (s *tap) SetWriteDeadline(time.Time) error { return nil }

// newTap returns a Conn over a tap that gives messages of size bytes.
func newTap(size int, opts *Options) *Conn {
	h := frame.Header{Fin: true, Opcode: frame.Text, Masked: true, Length: uint64(size)}
	return newConn(newHijacked(&tap{frame: append(h.Append(nil), make([]byte, size)...)}, nil), decision{}, opts)
}

// BenchmarkParts measures what reading and writing 128 bytes consists of, beside the
// whole, so that both are had in the same run.
func BenchmarkParts(b *testing.B) {
	const size = 128
	var (
		ctx     = context.Background()
		p       = make([]byte, size)
		b18     = make([]byte, 0, bufferSize)
		raw     = &tap{frame: make([]byte, size+8)}
		limited = newTap(size, &Options{})
		endless = newTap(size, &Options{WriteTimeout: -1, KeepAlive: -1})
		t       turn
		in      = interrupt{stream: limited.stream, writes: true}
		recv    = proto.Recv{Role: proto.Server}
		send    = proto.Send{Role: proto.Server}
		ev      proto.Event
		framed  = raw.frame
	)
	copy(framed, limited.stream.(*hijacked).Conn.(*tap).frame)
	for _, part := range []struct {
		name string
		do   func()
	}{
		{"the clock", func() { _ = now() }},
		{"a turn", func() { t.tryLock(); t.unlock() }},
		{"a buffer of the pool", func() { buffers.Put(buffers.Get().(*buffer)) }},
		{"a deadline, set and taken away", func() { in.arm(now()+time.Hour, 0); in.rest() }},
		{"a frame in, unmasked and checked", func() { recv.Next(framed, &ev) }},
		{"a frame out", func() {
			h := frame.Header{Fin: true, Opcode: frame.Binary}
			_ = send.Frame(&h, p)
			_ = append(h.Append(b18), p...)
		}},
		{"Read of the connection", func() { _, _ = raw.Read(b18[:bufferSize]) }},
		{"ReadAppend", func() { _, _, _ = limited.ReadAppend(ctx, b18) }},
		{"ReadAppend without limits", func() { _, _, _ = endless.ReadAppend(ctx, b18) }},
		{"Write", func() { _ = limited.Write(ctx, Binary, p) }},
		{"Write without limits", func() { _ = endless.Write(ctx, Binary, p) }},
	} {
		b.Run(part.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				part.do()
			}
		})
	}
}
