package websocket

import (
	"context"
	"slices"
	"sync"

	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/deflate"
	"github.com/airlock-go/websocket/internal/proto"
)

// PreparedMessage is a message that is encoded once and sent to any number of
// connections: with [Conn.WritePrepared], [Conn.TrySendPrepared] and
// [Group.Broadcast]. It may be used by many goroutines at once.
//
// Connections that compress share its compressed form, too, which refers to
// nothing but the message itself. For messages that have much in common with those
// before them, Write makes smaller ones, each for itself. Where
// Compression.Compress fails, the message goes uncompressed.
type PreparedMessage struct {
	op    frame.Opcode
	plain encoded
	data  []byte // the payload of plain

	mu     sync.Mutex
	packed []packedVariant
}

// encoded is a frame with its header.
type encoded struct {
	frame      []byte
	compressed bool
}

// packedVariant is what connections send that compress in one way: within a window
// of so many bits, and with the compressor of these options.
type packedVariant struct {
	bits int
	by   *Compression
	encoded
}

// maxVariants is how many a message holds on to; the oldest is dropped for another.
// The library's own compressor makes eight. One of Options that are made anew for
// every connection has a variant in each of them.
const maxVariants = 16

// NewPreparedMessage prepares a message. It copies data. A text message that is not
// UTF-8 is refused with ErrInvalidText.
func NewPreparedMessage(typ MessageType, data []byte) (*PreparedMessage, error) {
	op, err := typ.opcode()
	if err != nil {
		return nil, err
	}
	if op == frame.Text && !proto.ValidText(data) {
		return nil, ErrInvalidText
	}
	m := &PreparedMessage{op: op}
	m.plain = m.encode(false, data)
	m.data = m.plain.frame[len(m.plain.frame)-len(data):]
	return m, nil
}

func (m *PreparedMessage) encode(compressed bool, payload []byte) encoded {
	h := frame.Header{Fin: true, RSV1: compressed, Opcode: m.op, Length: uint64(len(payload))}
	b := frame.Append(make([]byte, 0, frame.MaxHeaderSize+len(payload)), h)
	return encoded{append(b, payload...), compressed}
}

// Size returns the size of the message in bytes, uncompressed and without a header.
func (m *PreparedMessage) Size() int { return len(m.data) }

// variant returns what a connection that compresses with d sends, if it is to
// compress.
func (m *PreparedMessage) variant(d *deflation, compress bool) encoded {
	if !compress {
		return m.plain
	}
	// A message that fits in the window is the same for all windows.
	bits := d.bits
	if len(m.data) <= 1<<bits {
		bits = deflate.MaxWindowBits
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range m.packed {
		if v.bits == bits && v.by == d.by {
			return v.encoded
		}
	}
	e := m.plain
	var scratch []byte
	if payload, compressed, _ := d.pack(&scratch, nil, m.data); compressed {
		e = m.encode(true, payload)
	}
	if len(m.packed) == maxVariants {
		m.packed = slices.Delete(m.packed, 0, 1)
	}
	m.packed = append(m.packed, packedVariant{bits, d.by, e})
	return e
}

// WritePrepared is like [Conn.Write] for a message that was prepared.
func (c *Conn) WritePrepared(ctx context.Context, m *PreparedMessage) error {
	return c.afterEnd(ctx, c.writePrepared(ctx, m))
}

func (c *Conn) writePrepared(ctx context.Context, m *PreparedMessage) error {
	f := outgoing{Header: frame.Header{Opcode: m.op, Fin: true}, as: byMessage, checked: true, laidOut: m.plain.frame}
	if !c.wr.deflation.wanted(m.Size()) {
		return c.writePlain(ctx, &f)
	}
	if err := c.take(ctx, &c.wr.message, "write"); err != nil {
		return err
	}
	defer c.wr.message.unlock()
	e := m.variant(c.wr.deflation, true)
	f.RSV1, f.laidOut = e.compressed, e.frame
	return c.writePacked(ctx, &f, m.data)
}
