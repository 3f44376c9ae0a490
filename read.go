package websocket

import (
	"context"
	"iter"
	"slices"

	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/netpoll"
	"github.com/airlock-go/websocket/internal/proto"
)

// reader is the receiving half of a Conn.
//
//	buf    |  taken  |  not yet looked at  |  free  |
//	       0         lo                    hi       bufferSize
//
// Between two calls, what is not yet looked at is the start of a header or of a
// control frame, or it follows the message that the last call returned.
type reader struct {
	turn      turn    // held by the read under way
	polled    *polled // and the one under way is a Poller's, if it is not nil
	interrupt interrupt
	recv      proto.Recv
	vigil     vigil
	inflation *inflation // nil: no compression was agreed on

	buf    *buffer // nil when there is nothing in it
	lo, hi int

	// The message of which something has been taken from the buffer.
	form    form // which form of reading it belongs to
	typ     MessageType
	partial []byte         // gathered byMessage or byFrame, and not returned
	piece   []byte         // byStream: not yet handed out; in buf or from partial
	stream  *messageReader // byStream: who may read on
}

// form is a way to read or write a message.
type form uint32

const (
	between   form = iota // no message is under way
	byMessage             // Read and what is built on it
	byStream              // Reader, Writer
	byFrame               // ReadFrame, WriteFrame
	dropped               // nobody: what CloseRead has left of a message is no message
)

// open reports whether a message is under way of which not all has been taken.
func (rd *reader) open() bool {
	return rd.recv.Open() != 0 || rd.inflating()
}

// inflating reports whether there is more of a compressed message at hand.
func (rd *reader) inflating() bool {
	return rd.inflation != nil && rd.inflation.pending
}

// more reports whether there is something that was not looked at yet.
func (rd *reader) more() bool { return rd.lo < rd.hi }

// direct returns how many bytes are to come that are what they are going to be:
// the payload of the frame under way, unless it is compressed.
func (rd *reader) direct() uint64 {
	if rd.inflation != nil && rd.inflation.inflater != nil {
		return 0
	}
	return rd.recv.Left()
}

// directSize is how much must be missing of a frame for it to be read straight
// to where it belongs, in place of through the buffer with what follows it.
const directSize = 4 << 10

// Read reads the next message. The slice is the caller's to keep.
//
// The error is a *CloseError when the connection has ended, or wraps ctx.Err(),
// and then the next read goes on in the middle of the message if need be. A read
// that has to answer a close frame does so even if ctx ends meanwhile, which takes
// time only when the peer does not read: no more than five seconds.
func (c *Conn) Read(ctx context.Context) (MessageType, []byte, error) {
	return c.ReadAppend(ctx, nil)
}

// ReadAppend is like Read but appends the message to dst, and allocates nothing
// when dst has room. With an error it returns dst as it was.
func (c *Conn) ReadAppend(ctx context.Context, dst []byte) (MessageType, []byte, error) {
	if err := c.takeRead(ctx, byMessage); err != nil {
		return 0, dst, err
	}
	defer c.releaseRead()
	return c.readAppend(ctx, dst)
}

// readAppend is ReadAppend for who has the turn to read.
func (c *Conn) readAppend(ctx context.Context, dst []byte) (MessageType, []byte, error) {
	rd := &c.rd
	resumed := rd.form == byMessage
	out, start := dst, len(dst)
	if resumed {
		out, start = rd.partial, 0
	}
	for done := false; !done; {
		var err error
		if out, done, err = c.gather(ctx, out); err == nil && !done {
			// A connection that is idle waits here, where the stack is not deep.
			err = c.fill(ctx)
		}
		if err != nil {
			switch {
			case resumed || cap(dst) == 0:
				rd.partial = out
			case rd.form == byMessage:
				rd.partial = slices.Clone(out[start:])
			}
			return 0, dst, err
		}
	}
	if resumed {
		rd.partial = nil
		if len(dst) > 0 || cap(dst) >= len(out) {
			out = append(dst, out...)
		}
	}
	c.endMessage()
	return rd.typ, out, nil
}

// gather appends to out what is at hand of a message, and of a large frame all of it.
// It reports whether the message is complete.
func (c *Conn) gather(ctx context.Context, out []byte) (_ []byte, done bool, err error) {
	var ev proto.Event
	for {
		err := c.parse(ctx, &ev)
		switch {
		case err != nil || ev.Kind == proto.None:
			return out, false, err
		case ev.Kind == proto.Control:
			continue
		}
		c.rd.form, c.rd.typ = byMessage, MessageType(ev.Type)
		out = append(out, ev.Payload...)
		if out, err = c.readLarge(ctx, out); err != nil {
			return out, false, err
		}
		if !c.rd.open() {
			return out, true, nil
		}
	}
}

// readLarge reads the rest of a large frame straight to the end of out, as long
// as much of it is to come. out grows with what arrives, not with what the peer
// has announced.
func (c *Conn) readLarge(ctx context.Context, out []byte) ([]byte, error) {
	for left := c.rd.direct(); left >= directSize; left = c.rd.direct() {
		if cap(out)-len(out) < directSize {
			out = slices.Grow(out, int(min(left, uint64(max(len(out), directSize)))))
		}
		n, err := c.receivePayload(ctx, out[len(out):cap(out)])
		out = out[:len(out)+n]
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// receivePayload reads the next of a frame's payload to p. The buffer has
// nothing to give: the piece before has taken it all.
func (c *Conn) receivePayload(ctx context.Context, p []byte) (int, error) {
	if left := c.rd.recv.Left(); uint64(len(p)) > left {
		p = p[:left]
	}
	n, err := c.receive(ctx, p)
	if err != nil {
		return 0, err
	}
	if v := c.rd.recv.Payload(p[:n]); v != nil {
		return 0, c.violated(ctx, v)
	}
	return n, nil
}

// Messages returns the messages to come, for use with range. The Data of each
// is valid until the next turn of the loop. A close with CloseNormal,
// CloseGoingAway or CloseNoStatus, from either side, ends the loop without an
// error; any other end, that of ctx included, yields one error as the last
// element. Leaving the loop leaves the connection open.
func (c *Conn) Messages(ctx context.Context) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		var scratch []byte
		for {
			typ, data, err := c.ReadAppend(ctx, scratch)
			if err != nil {
				if !normalClose(err) {
					yield(Message{}, err)
				}
				return
			}
			if !yield(Message{typ, data}, nil) {
				return
			}
			scratch = keepScratch(data)
		}
	}
}

// maxScratch is the most that a loop holds on to between two messages.
const maxScratch = 64 << 10

func keepScratch(b []byte) []byte {
	if cap(b) > maxScratch {
		return nil
	}
	return b[:0]
}

// CloseRead is for a connection that only writes: a goroutine reads on until
// ctx or the connection ends. It answers pings and the peer's close, notices a
// silent peer, and drops the messages that come. The context returned ends with
// ctx or the connection, whose end is its cause.
func (c *Conn) CloseRead(ctx context.Context) context.Context {
	ended, cancel := context.WithCancelCause(ctx)
	go func() {
		cancel(c.discard(ctx))
	}()
	return ended
}

// discard reads and drops everything until ctx or the connection ends.
func (c *Conn) discard(ctx context.Context) error {
	if err := c.takeRead(ctx, between); err != nil {
		return err
	}
	defer c.releaseRead()
	rd := &c.rd
	rd.partial, rd.piece, rd.stream = nil, nil, nil
	for {
		// What is still to come of the message under way is nobody's.
		if rd.form = between; rd.open() {
			rd.form = dropped
		}
		if err := c.skip(ctx); err != nil {
			return err
		}
	}
}

// skip reads the next event and drops it.
func (c *Conn) skip(ctx context.Context) error {
	ev, err := c.next(ctx)
	if ev.MessageEnd {
		c.endMessage()
	}
	return err
}

// takeRead takes the turn to read in a form, and the message under way with it,
// unless that belongs to another form. For between, there is nothing to respect.
func (c *Conn) takeRead(ctx context.Context, as form) error {
	if err := c.takeTurn(ctx); err != nil {
		return err
	}
	return c.beginRead(ctx, as)
}

// takeTurn takes the turn to read for anybody but a Poller.
func (c *Conn) takeTurn(ctx context.Context) error {
	err := c.take(ctx, &c.rd.turn, "read")
	switch s := c.polled.Load(); {
	case s == nil:
	case err != nil:
		// The turn may have been here for a moment, in which the Poller wanted it.
		s.poller.wake(s)
	default:
		// The Poller's wait is cut short, and goes on in the one that follows.
		c.rd.vigil.waited(s.wait)
		s.forgetWait()
	}
	return err
}

// takeServed is takeRead for who serves the connection. A Poller leaves the turn to
// another reader, who wakes it afterwards.
func (c *Conn) takeServed(ctx context.Context, turn *polled) error {
	if turn == nil {
		return c.takeRead(ctx, byMessage)
	}
	if !c.rd.turn.tryLock() {
		return netpoll.ErrNotReady
	}
	c.rd.polled = turn
	return c.beginRead(ctx, byMessage)
}

// beginRead is the rest of takeRead.
func (c *Conn) beginRead(ctx context.Context, as form) error {
	rd := &c.rd
	rd.interrupt.watch(ctx)
	err := c.orClosed(nil)
	switch {
	case err != nil:
	case rd.form == between, rd.form == as, as == between:
	case rd.form == byMessage && as == byStream:
	case rd.form == dropped:
		for err == nil && rd.form == dropped {
			err = c.skip(ctx)
		}
	default:
		err = ErrReaderOpen
	}
	if err != nil {
		c.releaseRead()
	}
	return err
}

// releaseRead ends a turn. Replies do not wait for the next one, and a buffer
// with nothing in it goes back.
func (c *Conn) releaseRead() {
	c.flushControl()
	rd := &c.rd
	if c.orClosed(nil) != nil {
		rd.lo, rd.hi, rd.form, rd.partial, rd.piece, rd.stream = 0, 0, between, nil, nil, nil
		if rd.inflation != nil {
			rd.inflation.drop()
			rd.inflation.window = nil
		}
	}
	if rd.lo == rd.hi && len(rd.piece) == 0 && !rd.inflating() && rd.buf != nil {
		buffers.Put(rd.buf)
		rd.buf = nil
	}
	if rd.polled != nil {
		rd.polled = nil
		rd.turn.unlock()
		return
	}
	rd.turn.unlock()
	// What this reader has left is not heard of again from the socket. A Poller may
	// have got the connection just now, and found the turn taken.
	if s := c.polled.Load(); s != nil {
		s.poller.wake(s)
	}
}

// orClosed returns err, or the end of the connection if that has come.
func (c *Conn) orClosed(err error) error {
	if c.verdict.Load() == nil {
		return err
	}
	if c.done.given() {
		return c.Err()
	}
	return err
}

// endMessage: the message under way has been read to its end.
func (c *Conn) endMessage() {
	c.rd.form = between
	c.rd.vigil.message()
	c.received.Add(1)
}

// nextData returns the next event that is not about a control frame.
func (c *Conn) nextData(ctx context.Context) (proto.Event, error) {
	for {
		ev, err := c.next(ctx)
		if err != nil || ev.Kind == proto.Data {
			return ev, err
		}
	}
}

// next returns the next event, and reads if it must.
func (c *Conn) next(ctx context.Context) (proto.Event, error) {
	var ev proto.Event
	for {
		err := c.parse(ctx, &ev)
		if err != nil || ev.Kind != proto.None {
			return ev, err
		}
		if err := c.fill(ctx); err != nil {
			return ev, err
		}
	}
}

// parse sets ev to the next event, or to None when more has to be read for that. What
// a control frame asks of this end is done, or will be before the next wait.
func (c *Conn) parse(ctx context.Context, ev *proto.Event) (err error) {
	rd := &c.rd
	for {
		if rd.inflating() {
			return c.inflate(ctx, ev)
		}
		var b []byte
		if rd.buf != nil {
			b = rd.buf[rd.lo:rd.hi]
		}
		rd.recv.Max = uint64(c.maxMessage.Load())
		n, v := rd.recv.Next(b, ev)
		rd.lo += n
		switch {
		case v != nil:
			return c.violated(ctx, v)
		case ev.Compressed:
			rd.inflation.feed(ev)
			continue
		case ev.Kind == proto.Control:
			return c.control(ctx, ev)
		}
		return nil
	}
}

// control does what a control frame asks for.
func (c *Conn) control(ctx context.Context, ev *proto.Event) error {
	switch ev.Header.Opcode {
	case frame.Ping:
		// "Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in
		// response" with identical application data (sections 5.5.2, 5.5.3)
		c.oweControl(frame.Pong, ev.Payload)
	case frame.Pong:
		c.pings.answered(ev.Payload)
	case frame.Close:
		return c.closedByPeer(ctx, CloseCode(ev.Code), string(ev.Reason))
	}
	return nil
}
