package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/deflate"
	"github.com/airlock-go/websocket/internal/proto"
)

// Extensions returns the extension that was agreed on in the handshake with its
// parameters, as the client was told in Sec-WebSocket-Extensions, or "". The only
// one is permessage-deflate, on request of Options.Compression.
func (c *Conn) Extensions() string {
	if c.agreement == nil {
		return ""
	}
	return string(c.agreement.answer.append(nil))
}

// SetWriteCompression says whether calls of Write and Writer that are made from now
// on compress, where compression was agreed on; at first they do. It is for what is
// compressed already, such as pictures, for Writers whose messages are too large to
// be held in memory, and for secrets: whoever can make this end send text of his
// choice beside a secret, in one message or in the window, may guess the secret from
// the length of what leaves. Messages that are not compressed are not kept in the
// window either.
//
// It is a switch of the connection. While other goroutines turn it, too, nobody can
// tell what becomes of a message.
func (c *Conn) SetWriteCompression(on bool) {
	if d := c.wr.deflation; d != nil {
		d.off.Store(!on)
	}
}

// enableCompression makes the connection keep to an agreement.
func (c *Conn) enableCompression(a *agreement, with *Compression) {
	c.agreement = a
	c.rd.recv.Deflate = true
	in, d := &a.inflation, &a.deflation
	in.bits, in.keeps = a.receiveBits, a.receiveKeeps
	d.bits, d.keeps, d.threshold = a.sendBits, a.sendKeeps, with.Threshold
	if d.threshold == 0 {
		d.threshold = defaultThreshold
	}
	if with.Compress != nil && d.bits == deflate.MaxWindowBits {
		d.by = with
	}
	c.rd.inflation, c.wr.deflation = in, d
}

// inflation decompresses what a connection receives. Between two messages it is
// but the window.
type inflation struct {
	bits, keeps int
	window      []byte

	inflater *deflate.Inflater // of the message under way, if it is compressed
	event    proto.Event       // the piece under way; Payload is what is left of it
	pending  bool              // there is such a piece
	tail     bool              // and it is what every message ends with
}

// feed takes the next piece of a compressed message.
func (in *inflation) feed(ev *proto.Event) {
	if in.inflater == nil {
		in.inflater = deflate.NewInflater(in.window, in.bits)
	}
	in.event, in.pending, in.tail = *ev, true, false
}

// next sets ev to what the next part of the piece under way decompresses to, and
// to nothing at the end of the piece. The Payload is valid until the next call.
func (in *inflation) next(ev *proto.Event) error {
	for {
		out, n, err := in.inflater.Next(in.event.Payload)
		if err != nil {
			return err
		}
		in.event.Payload = in.event.Payload[n:]
		*ev = in.event
		ev.Payload = out
		switch {
		case len(out) > 0:
			ev.FrameEnd, ev.MessageEnd = false, false
			return nil
		case ev.MessageEnd && !in.tail:
			// "Append 4 octets of 0x00 0x00 0xff 0xff to the tail end of the
			// payload of the message" (RFC 7692, section 7.2.2)
			in.event.Payload, in.tail = tail, true
			continue
		case ev.MessageEnd && !in.inflater.Done():
			return errTruncated
		}
		in.pending = false
		return nil
	}
}

var tail = []byte(deflate.Tail)

var errTruncated = errors.New("the message ends in the middle of a block")

// end keeps the window for the next message.
func (in *inflation) end() {
	in.window = in.inflater.AppendWindow(in.window[:0], in.keeps)
	if cap(in.window) > in.keeps {
		in.window = append(make([]byte, 0, in.keeps), in.window...)
	}
	in.drop()
}

// drop gives back what the message under way has taken.
func (in *inflation) drop() {
	if in.inflater != nil {
		in.inflater.Release()
	}
	in.inflater, in.event, in.pending = nil, proto.Event{}, false
}

// inflate sets ev to the next event of the compressed piece under way. To the limit,
// to UTF-8 and to the caller, a message is what it decompresses to.
func (c *Conn) inflate(ctx context.Context, ev *proto.Event) error {
	c.rd.recv.Max = uint64(c.maxMessage.Load())
	in := c.rd.inflation
	if err := in.next(ev); err != nil {
		return c.violated(ctx, fmt.Errorf("%w: %w", proto.ErrDeflate, err))
	}
	if v := c.rd.recv.Inflated(ev.Type, ev.Payload, ev.MessageEnd); v != nil {
		return c.violated(ctx, v)
	}
	if ev.MessageEnd {
		in.end()
	}
	return nil
}

// deflation compresses what a connection sends. It is of whoever has the turn
// to write a message.
type deflation struct {
	off         atomic.Bool
	bits, keeps int
	threshold   int
	by          *Compression // nil: the library's own compressor is used
	window      []byte
}

// wanted reports whether a message of size bytes is to be compressed.
func (d *deflation) wanted(size int) bool {
	return d != nil && !d.off.Load() && size >= d.threshold
}

// compress appends to dst what p compresses to behind dict. Another compressor knows
// nothing of windows, and is held to what it has to do.
func (d *deflation) compress(dst, dict, p []byte) ([]byte, error) {
	if d.by == nil {
		return deflate.Compress(dst, dict, p, d.bits), nil
	}
	had := len(dst)
	dst, err := d.by.Compress(dst, dict, p)
	if err != nil {
		return nil, fmt.Errorf("websocket: Compression.Compress: %w", err)
	}
	if len(dst) <= had+len(deflate.Tail) || !bytes.HasSuffix(dst, tail) {
		return nil, errors.New("websocket: what Compression.Compress returned does not end with an empty stored block")
	}
	return dst, nil
}

// slide appends p to window and keeps the last size bytes.
func slide(window, p []byte, size int) []byte {
	if len(p) >= size {
		window, p = window[:0], p[len(p)-size:]
	}
	need := len(window) + len(p)
	if need > size {
		window = window[:copy(window, window[need-size:])]
		need = size
	}
	if cap(window) < need {
		window = append(make([]byte, 0, min(2*need, size)), window...)
	}
	return append(window, p...)
}

// packed are buffers for compressed messages.
var packed = sync.Pool{New: func() any { return new([]byte) }}

// pack returns what the frame of a message with p is to hold, behind what is in dict,
// and in scratch if it is compressed: it is not if that makes it no smaller.
func (d *deflation) pack(scratch *[]byte, dict, p []byte) (payload []byte, compressed bool, err error) {
	// Room for it is made here, where the stack is not deep yet.
	*scratch = slices.Grow((*scratch)[:0], len(p)+len(p)/64+64)
	b, err := d.compress(*scratch, dict, p)
	if err != nil {
		return p, false, err
	}
	*scratch = keepScratch(b)
	if b = b[:len(b)-len(deflate.Tail)]; len(b) >= len(p) {
		return p, false, nil
	}
	return b, true, nil
}

// keep enters what has been sent, and was compressed, in the window, as the peer
// does (RFC 7692, section 7.2.1). As much of its end as the window takes will do.
func (d *deflation) keep(plain []byte) { d.window = slide(d.window, plain, d.keeps) }

// writeCompressed sends p as one message, compressed unless that makes it no smaller.
func (c *Conn) writeCompressed(ctx context.Context, op frame.Opcode, p []byte) error {
	if err := c.take(ctx, &c.wr.message, "write"); err != nil {
		return err
	}
	defer c.wr.message.unlock()
	return c.pack(ctx, byMessage, op, p)
}

// pack is writeCompressed for who has the turn to write a message.
func (c *Conn) pack(ctx context.Context, as form, op frame.Opcode, p []byte) error {
	if op == frame.Text && !proto.ValidText(p) {
		return ErrInvalidText
	}
	scratch := packed.Get().(*[]byte)
	defer packed.Put(scratch)
	payload, compressed, err := c.wr.deflation.pack(scratch, c.wr.deflation.window, p)
	if err != nil {
		return err
	}
	return c.writeChecked(ctx, as, frame.Header{Opcode: op, Fin: true, RSV1: compressed}, payload, p)
}

// writeChecked is the rest of pack. It keeps what it has on the stack away from the
// compressor (see upgrade).
//
//go:noinline
func (c *Conn) writeChecked(ctx context.Context, as form, h frame.Header, payload, plain []byte) error {
	return c.writePacked(ctx, &outgoing{Header: h, as: as, checked: true, payload: payload}, plain)
}

// writePacked sends a compressed message, in a single frame: some versions of
// Safari cannot put together one of several. What it refers to is in itself, or in
// the window. plain is what it decompresses to, or the end of that.
func (c *Conn) writePacked(ctx context.Context, f *outgoing, plain []byte) error {
	err := c.writeFrame(ctx, f)
	if err == nil && f.RSV1 {
		c.wr.deflation.keep(plain)
	}
	return err
}

// packer compresses the message of a Writer that does not fit its buffer.
type packer struct {
	*deflation
	text   proto.UTF8
	size   int    // of the message so far
	window []byte // what the next piece may refer to: the end of what came before
	out    []byte
}

func newPacker(d *deflation) *packer {
	return &packer{deflation: d, window: bytes.Clone(d.window)}
}

// add compresses p.
func (k *packer) add(op frame.Opcode, p []byte) error {
	if op == frame.Text && !k.text.Write(p) {
		return ErrInvalidText
	}
	out, err := k.compress(k.out, k.window, p)
	if err != nil {
		return err
	}
	k.out, k.size = out, k.size+len(p)
	k.window = slide(k.window, p, 1<<k.bits)
	return nil
}

// finish returns what the frame is to hold, and the end of what that decompresses
// to.
func (k *packer) finish() (b, plain []byte, err error) {
	if !k.text.Complete() {
		return nil, nil, ErrInvalidText
	}
	return k.out[:len(k.out)-len(deflate.Tail)], k.window[max(0, len(k.window)-k.size):], nil
}
