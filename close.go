package websocket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
	"unicode/utf8"

	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/proto"
)

const (
	// closeTimeout bounds the closing handshake and everything that follows it.
	closeTimeout = 5 * time.Second

	// lingerTimeout bounds the wait for the peer to close its side of the
	// transport after the close frames have passed.
	lingerTimeout = time.Second

	// maxCloseReason is what a control frame leaves for the reason.
	maxCloseReason = frame.MaxControlPayload - 2
)

// Close ends the connection with the closing handshake (RFC 6455, section 7):
// it sends a close frame, waits for that of the peer, and closes the transport.
// It takes as long as the peer does, but no longer than ctx and five seconds
// allow; then the transport is closed all the same. With a ctx that has ended
// already, the close frame is still sent, if that takes no longer than a second.
// Messages of TrySend that wait in the queue are sent before, in four fifths of that
// time at most. What is written meanwhile is not sent: it fails when all this is over.
// Messages that still arrive go to a read under way, or are dropped.
//
// Close returns nil when both close frames have passed, whoever sent the first
// and however often it is called, and otherwise says why they have not. In any
// case the connection has ended when it returns.
//
// code is CloseNormal, CloseGoingAway or another that may be sent, reason at
// most 123 bytes of UTF-8. With other ones the connection is closed all the
// same, with CloseNormal or the reason cut to what is valid, and the error says
// what was wrong.
func (c *Conn) Close(ctx context.Context, code CloseCode, reason string) error {
	code, reason, mistake := checkClose(code, reason)
	err := c.closeWith(ctx, &CloseError{Code: code, Reason: reason, Sent: true, Err: net.ErrClosed})
	return errors.Join(mistake, err)
}

// CloseNow closes the transport and waits for nobody: no close frame is sent,
// and the peer sees CloseAbnormal. After the end of the connection it does
// nothing, so a handler may begin with "defer c.CloseNow()". The error is that
// of closing the transport. Over HTTP/2 and HTTP/3 it cuts off a write that is under way,
// and waits until it has returned.
func (c *Conn) CloseNow() error {
	c.settle(&CloseError{Code: CloseAbnormal, Sent: true, Err: net.ErrClosed})
	// A graceful end may be under way, and waiting. Or it is over.
	err := c.stream.Abort()
	c.end(func() error { return nil })
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// checkClose returns the code and reason to send in place of those wanted, and
// what was wrong with these.
func checkClose(code CloseCode, reason string) (CloseCode, string, error) {
	var mistake error
	if code < 0 || code > 4999 || !proto.ValidCode(uint16(code)) || code == CloseMandatoryExtension {
		// "this status code is not used by the server" (section 7.4.1)
		mistake = fmt.Errorf("websocket: close code %s may not be sent by a server", code)
		code = CloseNormal
	}
	switch {
	case !utf8.ValidString(reason):
		// "the value of which MUST be UTF-8-encoded data" (section 5.5.1)
		mistake = errors.Join(mistake, fmt.Errorf("websocket: close reason: %w", ErrInvalidText))
		reason = validPrefix(reason)
	case len(reason) > maxCloseReason:
		mistake = errors.Join(mistake, fmt.Errorf("websocket: close reason has %d bytes, at most %d fit", len(reason), maxCloseReason))
	}
	if len(reason) > maxCloseReason {
		reason = validPrefix(reason[:maxCloseReason])
	}
	return code, reason, mistake
}

// validPrefix returns s up to the first byte that is not part of a character.
func validPrefix(s string) string {
	for i, r := range s {
		if r != utf8.RuneError {
			continue
		}
		if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
			return s[:i]
		}
	}
	return s
}

// closeWith is the closing handshake from this end.
func (c *Conn) closeWith(ctx context.Context, e *CloseError) error {
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	c.settle(e)
	send := c.sendClose
	if ctx.Err() != nil {
		send = c.sendCloseEven
	}
	c.awaitQueue(ctx)
	err := send(ctx)
	if err == nil {
		// Whoever has the turn to read sees the peer's close frame. If nobody
		// has it, this goroutine does.
		err = c.discard(ctx)
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("the peer did not answer in time: %w", context.Cause(ctx))
	}
	c.end(c.stream.Abort)
	if c.said.Load() && c.answer.Load() {
		return nil
	}
	return fmt.Errorf("websocket: the closing handshake was not completed: %w", err)
}

// closedByPeer: the peer has sent a close frame, first or in answer to ours.
func (c *Conn) closedByPeer(ctx context.Context, code CloseCode, reason string) error {
	c.answer.Store(true)
	return c.fail(ctx, &CloseError{Code: code, Reason: reason})
}

// violated: the peer has broken a rule. This is the only place where what is
// wrong turns into what is said about it on the wire; each violation brings its
// own close code and a text that is the same for all peers.
// err has one in its tree.
func (c *Conn) violated(ctx context.Context, err error) error {
	v, _ := errors.AsType[*proto.Violation](err)
	return c.fail(ctx, &CloseError{Code: CloseCode(v.Code), Reason: v.Text, Sent: true, Err: err})
}

// fail ends the connection on behalf of who has the turn to read, and returns
// the verdict. "An endpoint MUST NOT continue to attempt to process data
// (including a responding Close frame) from the remote endpoint after being
// instructed to _Fail the WebSocket Connection_" (RFC 6455, section 7.1.7).
func (c *Conn) fail(ctx context.Context, e *CloseError) error {
	e = c.settle(e)
	if s := c.rd.polled; s != nil {
		s.poller.leave(s)
	}
	// The peer is told even if the read that found this out has no time left.
	// Lingering is for the peer's good, and is bounded by that read.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		// The time for manners is over; what is still waiting returns.
		_ = c.stream.Abort()
	})
	defer stop()
	if c.sendClose(ctx) == nil {
		c.linger()
		c.end(c.stream.Close)
	}
	c.end(c.stream.Abort)
	return e
}

// abort ends the connection without another word, and returns the verdict.
func (c *Conn) abort(e *CloseError) error {
	e = c.settle(e)
	c.end(c.stream.Abort)
	return e
}

// settle records why the connection ends, and returns what is on record: the
// first to know decides.
func (c *Conn) settle(e *CloseError) *CloseError {
	if c.verdict.CompareAndSwap(nil, e) {
		return e
	}
	return c.verdict.Load()
}

// sendClose sends the close frame that belongs to the verdict, if none was sent
// before: the verdict's own, or an answer to that of the peer. "When sending a
// Close frame in response, the endpoint typically echos the status code it
// received" (RFC 6455, section 5.5.1).
func (c *Conn) sendClose(ctx context.Context) error {
	if err := c.take(ctx, &c.wr.frame, "close"); err != nil {
		return err
	}
	defer c.unlockFrame()
	// What came before the end was in order and is answered.
	if err := c.sendOwed(ctx); err != nil {
		return err
	}
	var payload []byte
	switch e := c.verdict.Load(); {
	case e.Code == CloseAbnormal:
		return e
	case e.Sent:
		payload = proto.AppendClose(nil, uint16(e.Code), e.Reason)
	case e.Code != CloseNoStatus:
		payload = proto.AppendClose(nil, uint16(e.Code), "")
	}
	h := frame.Header{Opcode: frame.Close, Fin: true}
	if c.wr.send.Frame(&h, payload) != nil {
		return nil // it was sent
	}
	c.wr.interrupt.watch(ctx)
	err := c.transmit(&h, payload)
	if err == nil {
		err = c.flushHeld()
	}
	c.said.Store(err == nil)
	return err
}

// sendCloseEven is sendClose for a ctx that has ended already. It takes a second: a
// close frame hardly ever has to wait, and says much.
func (c *Conn) sendCloseEven(ctx context.Context) error {
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), lingerTimeout)
	defer cancel()
	return c.sendClose(short)
}

// linger half-closes the transport and waits until the peer has closed it too,
// as RFC 6455, section 7.1.1, describes: closing with unread bytes would make
// TCP tell the peer of a reset, and the close frame might be lost to it.
func (c *Conn) linger() {
	if c.stream.CloseWrite() != nil {
		return
	}
	rd := &c.rd
	if rd.buf == nil {
		rd.buf = buffers.Get().(*buffer)
	}
	rd.interrupt.arm(now()+lingerTimeout, 0)
	for {
		if _, err := c.stream.Read(rd.buf[:]); err != nil {
			return
		}
	}
}

// end closes the transport, once, and with it everything that waits.
func (c *Conn) end(closeStream func() error) {
	c.release.Do(func() {
		c.rd.interrupt.close()
		c.wr.interrupt.close()
		// Whether the transport had anything to say about it is of no use to
		// anybody: the verdict is known.
		_ = closeStream()
		c.leaveAll()
		c.done.give()
	})
	if s := c.polled.Load(); s != nil {
		s.poller.wake(s)
	}
}
