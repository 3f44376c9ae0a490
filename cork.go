package websocket

import (
	"context"
	"sync/atomic"
	"time"
)

// cork holds back what the handler of Serve or a Poller writes while more messages
// lie in the read buffer, so that the replies to a burst leave in one system call.
// Before the next wait for the peer they have left. It belongs to whoever has the
// turn to send a frame, except for the two flags.
type cork struct {
	on   atomic.Bool // whoever serves the connection has more to read
	held atomic.Bool // n > 0

	buf   *buffer // nil when there is nothing in it
	n     int
	timer *time.Timer // nil until it is first needed
}

// maxHold is how long a reply waits for others, should the handler take long over
// the next.
const maxHold = time.Millisecond

// hold takes b, in place of the transport, and reports whether it did. What is held
// back goes before everything else.
func (c *Conn) hold(b []byte) (bool, error) {
	k := &c.wr.cork
	on := k.on.Load()
	if k.n == 0 && !on {
		return false, nil
	}
	if k.n+len(b) > bufferSize {
		if err := c.flushHeld(); err != nil {
			return false, err
		}
		if len(b) > bufferSize {
			return false, nil
		}
	}
	if k.n == 0 {
		k.buf = buffers.Get().(*buffer)
		k.held.Store(true)
		c.wakeFlush()
	}
	k.n += copy(k.buf[k.n:], b)
	if on {
		return true, nil
	}
	return true, c.flushHeld()
}

// wakeFlush sees to it that what is held back leaves in any case.
func (c *Conn) wakeFlush() {
	if k := &c.wr.cork; k.timer == nil {
		k.timer = time.AfterFunc(maxHold, func() {
			// Every later call returns this error.
			_ = c.uncork(context.Background())
		})
	} else {
		k.timer.Reset(maxHold)
	}
}

// flushHeld sends what is held back, on behalf of who has the turn to send a frame.
func (c *Conn) flushHeld() error {
	k := &c.wr.cork
	if k.n == 0 {
		return nil
	}
	k.timer.Stop()
	buf, n := k.buf, k.n
	k.buf, k.n = nil, 0
	k.held.Store(false)
	defer buffers.Put(buf)
	return c.push(buf[:n])
}

// uncork sends what is held back before a read waits, and has nothing held back any
// more. The end of a read's ctx must not cut off a frame, so one that has a ctx does
// not wait for this.
func (c *Conn) uncork(ctx context.Context) error {
	c.wr.cork.on.Store(false)
	if !c.wr.cork.held.Load() {
		return nil
	}
	if ctx.Done() == nil {
		return c.sendHeld()
	}
	go func() {
		// Every later call returns this error.
		_ = c.sendHeld()
	}()
	return nil
}

// sendHeld takes the turn to send a frame, and sends what is held back.
func (c *Conn) sendHeld() error {
	ctx := context.Background()
	if err := c.take(ctx, &c.wr.frame, "write"); err != nil {
		return err
	}
	defer c.releaseFrame()
	c.wr.interrupt.watch(ctx)
	if err := c.flushHeld(); err != nil {
		return c.unsent(ctx, err)
	}
	return nil
}
