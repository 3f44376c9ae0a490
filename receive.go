package websocket

import (
	"context"
	"errors"
	"io"

	"github.com/airlock-go/websocket/internal/netpoll"
)

// fill reads more into the buffer. What is in it already is a header or a
// control frame in the making, which leaves room.
func (c *Conn) fill(ctx context.Context) error {
	rd := &c.rd
	var p []byte // nil: to be had when there is something to read
	rd.hi -= rd.lo
	switch {
	case rd.buf != nil:
		p = rd.buf[copy(rd.buf[:], rd.buf[rd.lo:][:rd.hi]):]
	case !c.stream.Lends():
		rd.buf = buffers.Get().(*buffer)
		p = rd.buf[:]
	}
	rd.lo = 0
	n, err := c.receive(ctx, p)
	rd.hi += n
	return err
}

// receive waits for bytes from the peer. Every wait goes through here: with
// replies sent before, bounded by ctx, and under the vigil of keepalive.go.
func (c *Conn) receive(ctx context.Context, p []byte) (int, error) {
	for {
		c.flushControl()
		c.uncork(ctx)
		w := c.beginWait()
		n, err := c.readStream(p)
		if n > 0 {
			c.bytesReceived.Add(uint64(n))
			c.heard(w, n)
			return n, nil
		}
		switch {
		case err == errTurnOver, err == netpoll.ErrNotReady && c.rd.polled.suspend(w):
			return 0, err
		case err == nil:
			// A Read that has nothing to say is made again.
		case err != netpoll.ErrNotReady && !isTimeout(err):
			return 0, c.lost(err)
		default:
			if err := c.endWait(ctx, w); err != nil {
				return 0, err
			}
		}
	}
}

// readStream reads what the transport has to p, or to a buffer if p is nil. In a turn
// of a Poller it does not wait.
func (c *Conn) readStream(p []byte) (n int, err error) {
	rd := &c.rd
	wait := rd.polled == nil
	if !wait {
		if err := rd.polled.spend(); err != nil {
			return 0, err
		}
	}
	switch {
	case p == nil:
		rd.buf, n, err = c.stream.ReadBuffer(wait)
		return n, err
	case wait:
		return c.stream.Read(p)
	}
	return c.stream.TryRead(p)
}

// lost: the transport has ended without a close frame.
func (c *Conn) lost(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return c.abort(&CloseError{Code: CloseAbnormal, Err: err})
}
