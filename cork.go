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

// room returns where to put size bytes to be held back, for add; nil if they are not
// to be. What is held back goes before everything else; if it is not to be any more,
// somebody is about to send it.
func (c *Conn) room(size int) ([]byte, error) {
	k := &c.wr.cork
	if k.n == 0 && !k.on.Load() {
		return nil, nil
	}
	if k.n+size > pieceSize {
		if err := c.flushHeld(); err != nil {
			return nil, err
		}
		if size > pieceSize {
			return nil, nil
		}
	}
	if k.n == 0 {
		k.buf = buffers.Get().(*buffer)
		k.held.Store(true)
		c.wakeFlush()
	}
	return k.buf[k.n:k.n], nil
}

// add holds b back, which was put in the room for it.
func (k *cork) add(b []byte) { k.n += len(b) }

// wakeFlush sees to it that what is held back leaves in any case.
func (c *Conn) wakeFlush() {
	if k := &c.wr.cork; k.timer == nil {
		k.timer = time.AfterFunc(maxHold, func() { c.uncork(context.Background()) })
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
func (c *Conn) uncork(ctx context.Context) {
	k := &c.wr.cork
	if k.on.Load() {
		k.on.Store(false)
	}
	switch {
	case !k.held.Load():
	case ctx.Done() == nil:
		c.sendHeld()
	default:
		go c.sendHeld()
	}
}

// sendHeld takes the turn to send a frame, and sends what is held back. An error ends
// the connection, which everybody hears of.
func (c *Conn) sendHeld() {
	ctx := context.Background()
	if c.take(ctx, &c.wr.frame, "write") != nil {
		return
	}
	defer c.releaseFrame()
	c.wr.interrupt.watch(ctx)
	if err := c.flushHeld(); err != nil {
		_ = c.unsent(ctx, err)
	}
}
