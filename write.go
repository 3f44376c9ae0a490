package websocket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/proto"
)

// writer is the sending half of a Conn. A message takes its turn among messages
// and, for each of its frames, among frames; a control frame only the latter,
// so that it can go between the fragments of a message.
type writer struct {
	message turn
	form    atomic.Uint32 // of the message under way; set by who has its turn

	armed     bool // for who has the turn to send a frame: it has a deadline
	frame     turn
	interrupt interrupt
	send      proto.Send
	deflation *deflation // of who has the turn of a message; nil: no compression was agreed on

	owed  owed
	cork  cork
	queue queue
}

// Write sends p as one message, in one frame, compressed where that was agreed on
// and saves something. It returns when the transport has taken it, or a Handler's
// replies are held back ([Handler]); p may be used again then.
//
// ErrInvalidText means that nothing was sent, and so does an error of
// Compression.Compress. One that wraps ctx.Err() but is no *CloseError means the
// same: the turn of this message did not come in time. Any other error is the
// *CloseError of the connection. While Close is at work, Write returns it when the
// connection has ended, or ctx has, so that who leaves for it cuts nothing short. Who
// writes to many in a loop had better use TrySend, which waits for nothing.
func (c *Conn) Write(ctx context.Context, typ MessageType, p []byte) error {
	op, err := typ.opcode()
	switch {
	case err != nil:
		return err
	case c.wr.deflation.wanted(len(p)): // as things are now, not when it has the turn
		err = c.writeCompressed(ctx, op, p)
	default:
		err = c.writeWhole(ctx, op, p)
	}
	return c.afterEnd(ctx, err)
}

// writeWhole sends a message in one frame. It keeps what it has on the stack away from
// the compressor (see upgrade).
//
//go:noinline
func (c *Conn) writeWhole(ctx context.Context, op frame.Opcode, p []byte) error {
	return c.writePlain(ctx, &outgoing{Header: frame.Header{Opcode: op, Fin: true}, as: byMessage, payload: p})
}

// writePlain sends the only frame of a message that is not compressed. It needs no turn
// among messages, unless another is under way.
func (c *Conn) writePlain(ctx context.Context, f *outgoing) error {
	if c.wr.message.free() {
		if err := c.writeFrame(ctx, f); !errors.Is(err, proto.ErrSendUnfinished) {
			return err
		}
	}
	return c.writeInTurn(ctx, f)
}

func (c *Conn) writeInTurn(ctx context.Context, f *outgoing) error {
	if err := c.take(ctx, &c.wr.message, "write"); err != nil {
		return err
	}
	defer c.wr.message.unlock()
	return c.writeFrame(ctx, f)
}

// afterEnd returns err, which a write has failed with, if it has. The end of the
// connection is not returned before it has come: a handler that returns for this
// error, and has deferred CloseNow, would cut short the closing handshake that is
// under way.
func (c *Conn) afterEnd(ctx context.Context, err error) error {
	if err == nil || err != c.Err() {
		return err
	}
	select {
	case <-c.Done():
	case <-ctx.Done():
	}
	return err
}

// outgoing is a frame to be sent. Its header has Fin, Opcode, and RSV1 for a message
// that is compressed.
type outgoing struct {
	frame.Header
	as      form // of its message; between for a frame of none
	checked bool // a message in whole, whose text is known to be UTF-8
	payload []byte
	laidOut []byte // header and payload, if they are laid out already
}

// writeFrame sends one frame. It is the way of every frame but the close frame, what
// is owed, and the queue.
func (c *Conn) writeFrame(ctx context.Context, f *outgoing) error {
	if err := c.take(ctx, &c.wr.frame, "write"); err != nil {
		return err
	}
	defer c.releaseFrame()
	if err := c.Err(); err != nil {
		return err
	}
	if f.Opcode == frame.Continuation && form(c.wr.form.Load()) != f.as {
		return sendError(proto.ErrSendContinue)
	}
	if err := c.sendOwed(ctx); err != nil {
		return err
	}
	var err error
	if f.checked {
		err = c.wr.send.Message(&f.Header, f.payload)
	} else {
		err = c.wr.send.Frame(&f.Header, f.payload)
	}
	if err != nil {
		return sendError(err)
	}
	c.wr.interrupt.watch(ctx)
	if f.laidOut != nil {
		err = c.putFrame(f.laidOut)
	} else {
		err = c.transmit(&f.Header, f.payload)
	}
	if err != nil {
		return c.unsent(ctx, err)
	}
	if f.as == byMessage {
		c.sent.Add(1)
	}
	return nil
}

func sendError(err error) error {
	if errors.Is(err, proto.ErrSendText) {
		return ErrInvalidText
	}
	return fmt.Errorf("websocket: frame not sent: %w", err)
}

// releaseFrame ends a turn to send a frame, and sends the replies that came up
// meanwhile.
func (c *Conn) releaseFrame() {
	c.unlockFrame()
	c.flushControl()
}

// unlockFrame ends a turn to send a frame. What is written next may be no frame, as by
// crypto/tls when a peer asks it to change keys, or without a look at the clock. It must
// not find a deadline that has expired since, nor one that a context sets later; on a
// plain socket, that is no worse than having to look at the clock.
func (c *Conn) unlockFrame() {
	if c.wr.armed || c.wr.interrupt.watching && c.stream.Descriptor() == nil {
		c.wr.armed = false
		c.wr.interrupt.rest()
	}
	c.wr.frame.unlock()
}

// unsent ends the connection after a frame that the transport did not take: the
// peer may have a part of it, and could not understand what follows.
func (c *Conn) unsent(ctx context.Context, err error) error {
	e := &CloseError{Code: CloseAbnormal, Err: err}
	if isTimeout(err) {
		e.Sent, e.Err = true, ErrWriteTimeout
		if ctx.Err() != nil {
			e.Err = interrupted("write", ctx)
		}
	}
	return c.abort(e)
}

// transmit writes a frame. On a transport that goes straight to the kernel it is
// one system call.
func (c *Conn) transmit(h *frame.Header, p []byte) error {
	room, err := c.room(frame.MaxHeaderSize + len(p))
	if err != nil {
		return err
	}
	if room != nil {
		c.wr.cork.add(append(h.Append(room), p...))
		return nil
	}
	buf := buffers.Get().(*buffer)
	defer buffers.Put(buf)
	b := h.Append(buf[:0])
	n := len(p)
	switch {
	case !c.stream.Direct():
		n = min(n, pieceSize-len(b))
	case len(b)+n > bufferSize:
		return c.pushBuffers(b, p)
	}
	if err := c.push(append(b, p[:n]...)); err != nil {
		return err
	}
	return c.putFrame(p[n:])
}

// putFrame writes b, a frame or the rest of one. On transports that do not go
// straight to the kernel it goes piece by piece, because there the time without
// progress can only be measured by the piece.
func (c *Conn) putFrame(b []byte) error {
	for len(b) > pieceSize && !c.stream.Direct() {
		if err := c.put(b[:pieceSize]); err != nil {
			return err
		}
		b = b[pieceSize:]
	}
	if len(b) == 0 {
		return nil
	}
	return c.put(b)
}

// put writes b, or holds it back to go with others.
func (c *Conn) put(b []byte) error {
	room, err := c.room(len(b))
	if err != nil {
		return err
	}
	if room == nil {
		return c.push(b)
	}
	c.wr.cork.add(append(room, b...))
	return nil
}

// push writes b. What the system takes at once needs no time limit, and so no clock;
// the limit is on waiting without progress.
func (c *Conn) push(b []byte) error {
	if c.stream.Descriptor() != nil {
		n := c.stream.TryWrite(b)
		c.bytesWritten.Add(uint64(n))
		if b = b[n:]; len(b) == 0 {
			return nil
		}
	}
	for idle := 0; ; {
		c.armWrite()
		n, err := c.stream.Write(b)
		c.bytesWritten.Add(uint64(n))
		if b = b[n:]; len(b) == 0 {
			return nil
		}
		if !c.continues(n, err, &idle) {
			return err
		}
	}
}

// pushBuffers is push for a frame in two pieces.
func (c *Conn) pushBuffers(header, payload []byte) error {
	b := net.Buffers{header, payload}
	for idle := 0; ; {
		c.armWrite()
		n, err := c.stream.WriteBuffers(&b)
		c.bytesWritten.Add(uint64(n))
		if len(b) == 0 {
			return nil
		}
		if !c.continues(int(n), err, &idle) {
			return err
		}
	}
}

// writeSlices is in how many slices the time limit is waited for on a transport
// that goes straight to the kernel. When in a slice bytes were taken nobody
// knows, so the limit is kept to one of them.
const writeSlices = 4

// continues reports whether a write that fell short is to be continued: its time
// is up, but it has made progress, or has been idle for less than all slices.
func (c *Conn) continues(n int, err error, idle *int) bool {
	switch {
	case !c.stream.Direct() || !isTimeout(err):
		return n > 0 && err == nil
	case n > 0:
		*idle = 0
		return true
	}
	*idle++
	return *idle < writeSlices
}

// armWrite sets the deadline of a write, if the last one did not set one that
// will do.
func (c *Conn) armWrite() {
	c.wr.armed = true
	if c.writeTimeout == 0 {
		c.wr.interrupt.arm(0, 0)
		return
	}
	limit := c.writeTimeout
	if c.stream.Direct() {
		limit /= writeSlices
	}
	slack := limit / 8
	c.wr.interrupt.arm(now()+limit+slack, slack)
}

// owed are control frames to be sent by whoever can: the reader, which must not
// wait for a message that a stalled peer keeps in the way, or the writer of that
// message when it is done.
type owed struct {
	mu     sync.Mutex
	frames []byte // opcode, length, payload; and so on
	any    atomic.Bool
}

// maxOwed is the size of frames beyond which the oldest are dropped: of several
// pings a peer may be answered the last (RFC 6455, section 5.5.3).
const maxOwed = 2 << 10

func (c *Conn) oweControl(op frame.Opcode, payload []byte) {
	o := &c.wr.owed
	if o.add(op, payload) {
		c.flushControl()
		o.trim()
	}
}

// add reports whether it is time to send what there is.
func (o *owed) add(op frame.Opcode, payload []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.frames = append(append(o.frames, byte(op), byte(len(payload))), payload...)
	o.any.Store(true)
	return len(o.frames) > maxOwed
}

// trim drops the oldest frames over the limit.
func (o *owed) trim() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.frames) > maxOwed {
		o.frames = o.frames[2+o.frames[1]:]
	}
}

// take takes all frames.
func (o *owed) take() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.frames
	o.frames = nil
	o.any.Store(false)
	return f
}

// flushControl has the control frames that are owed sent, together, unless
// another frame is being sent; then the one who sends it does so afterwards. It
// takes the turn to send at once, and does not wait: a peer that does not read
// must not hold up the call that found its ping, which has a ctx of its own. It
// reports whether everything owed is on its way.
func (c *Conn) flushControl() bool {
	if !c.wr.owed.any.Load() {
		return true
	}
	if !c.wr.frame.tryLock() {
		return false
	}
	go func() {
		// Every later call returns this error.
		_ = c.sendOwed(context.Background())
		c.releaseFrame()
	}()
	return true
}

// sendOwed sends what is owed, on behalf of who has the turn to send a frame. So
// replies go before what this end says later.
func (c *Conn) sendOwed(ctx context.Context) error {
	if !c.wr.owed.any.Load() {
		return nil
	}
	owed := c.wr.owed.take()
	if e := c.verdict.Load(); e != nil && e.Code == CloseAbnormal {
		return e
	}
	buf := buffers.Get().(*buffer)
	defer buffers.Put(buf)
	b := buf[:0]
	for len(owed) > 0 {
		h, payload := frame.Header{Opcode: frame.Opcode(owed[0]), Fin: true}, owed[2:2+owed[1]]
		if c.wr.send.Frame(&h, payload) == nil {
			b = append(h.Append(b), payload...)
		}
		owed = owed[2+len(payload):]
	}
	c.wr.interrupt.watch(ctx)
	if err := c.put(b); err != nil {
		return c.unsent(ctx, err)
	}
	return nil
}
