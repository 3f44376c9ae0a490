package websocket

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/airlock-go/websocket/frame"
)

// vigil watches over the peer while a read waits for it. It adds up waiting
// time only: time in which nobody reads is not the peer's fault, and a wait that
// a ctx cuts short goes on in the next.
type vigil struct {
	quiet  time.Duration // waited since the last byte came
	pinged bool          // and a ping is owed or was sent meanwhile
	unsent bool          // and was still owed when this wait began

	spent time.Duration // waited while the message under way was incomplete
	got   int           // and that many bytes came meanwhile, or more
}

const (
	// slowestRate is the bytes per second that a message has to come with, in
	// the long run.
	slowestRate = 256

	// maxGot is as far as bytes are counted: they buy weeks.
	maxGot = 1 << 30
)

// wait is one wait for the peer.
type wait struct {
	began    time.Duration // since epoch
	patience time.Duration // how long it was meant to last
	underway bool          // in the middle of a message, or of the header before it
}

// length returns how long the wait was: no longer than it was meant to be, for
// beyond that this process was not running, or not in time, which is not the
// peer's fault either.
func (w wait) length() time.Duration { return min(now()-w.began, w.patience) }

// beginWait arms the deadline of the read that follows, so that no timer is
// needed: it expires when the vigil is over, or a moment too early, when it was
// armed for an earlier wait, and then endWait finds nothing wrong.
func (c *Conn) beginWait() wait {
	rd := &c.rd
	if c.keepAlive == 0 {
		rd.interrupt.arm(0, 0)
		return wait{}
	}
	if s := rd.polled; s != nil && s.wait.patience > 0 {
		return s.wait
	}
	w := wait{began: now(), underway: rd.recv.Open() != 0 || rd.more()}
	if !w.underway {
		rd.vigil.message()
	}
	w.patience = rd.vigil.patience(c.keepAlive, w.underway)
	if rd.polled != nil {
		rd.interrupt.arm(0, 0)
	} else {
		rd.interrupt.arm(w.began+w.patience, w.patience)
	}
	return w
}

// heard: n bytes have come, and the wait is over.
func (c *Conn) heard(w wait, n int) {
	if s := c.rd.polled; s != nil {
		if s.since != 0 {
			// Since then the Poller had no place for it, which is not the peer's fault.
			w.patience = min(w.patience, max(0, s.since-w.began))
		}
		s.forgetWait()
	}
	c.rd.vigil.heard(w, n)
}

// endWait decides what a read deadline that has expired means: the end of ctx,
// a ping, the end of the peer, or nothing.
func (c *Conn) endWait(ctx context.Context, w wait) error {
	v := &c.rd.vigil
	if c.keepAlive > 0 {
		v.waited(w)
		if v.unsent {
			// A large frame to a slow peer is in the way of the ping. Until
			// that is out, it is for WriteTimeout to say whether the peer
			// lives; then there is time for an answer.
			v.quiet, v.unsent = c.keepAlive, !c.flushControl()
		}
	}
	switch {
	case ctx.Err() != nil:
		return interrupted("read", ctx)
	case c.keepAlive == 0:
	case v.quiet >= 2*c.keepAlive:
		return c.abort(&CloseError{Code: CloseAbnormal, Sent: true, Err: ErrKeepAlive})
	case w.underway && v.spent >= v.budget(c.keepAlive):
		return c.fail(ctx, &CloseError{Code: ClosePolicyViolation, Reason: ErrSlowMessage.Error(), Sent: true, Err: ErrSlowMessage})
	case v.quiet >= c.keepAlive && !v.pinged:
		c.oweControl(frame.Ping, c.pings.begin(nil))
		v.pinged, v.unsent = true, !c.flushControl()
	}
	return nil
}

// patience returns how long to wait before there is something to decide.
func (v *vigil) patience(keepAlive time.Duration, underway bool) time.Duration {
	d := keepAlive - v.quiet
	if v.pinged {
		d += keepAlive
	}
	if underway {
		d = min(d, v.budget(keepAlive)-v.spent)
	}
	return d
}

// budget returns how long the message under way may make reads wait in all.
func (v *vigil) budget(keepAlive time.Duration) time.Duration {
	return 2*keepAlive + time.Duration(v.got)*(time.Second/slowestRate)
}

// waited adds up a wait in which nothing came.
func (v *vigil) waited(w wait) {
	d := w.length()
	v.quiet += d
	if w.underway {
		v.spent += d
	}
}

// heard: n bytes have come.
func (v *vigil) heard(w wait, n int) {
	v.quiet, v.pinged, v.unsent = 0, false, false
	if w.underway {
		v.spent += w.length()
		v.got = min(v.got+n, maxGot)
	}
}

// message: no message is under way any more, or another one is.
func (v *vigil) message() { v.spent, v.got = 0, 0 }

// pings matches pongs with the pings that asked for them. A ping carries its
// number, in eight bytes.
type pings struct {
	mu      sync.Mutex
	last    uint64
	waiting []ping
	took    time.Duration
}

type ping struct {
	number uint64
	sent   time.Time
	done   chan<- time.Duration // nil: nobody waits
}

// begin returns the payload of a new ping, whose round-trip time goes to done. Of
// those for which nobody waits, the last is remembered.
func (p *pings) begin(done chan<- time.Duration) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	if done == nil {
		p.forget(nil)
	}
	p.waiting = append(p.waiting, ping{p.last, time.Now(), done})
	return binary.BigEndian.AppendUint64(nil, p.last)
}

// forget drops the pings for done; p.mu is held.
func (p *pings) forget(done chan<- time.Duration) {
	p.waiting = slices.DeleteFunc(p.waiting, func(w ping) bool { return w.done == done })
}

// abandon is forget for who does not wait any more.
func (p *pings) abandon(done chan<- time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(done)
}

// answered takes the payload of a pong. It answers all pings up to the one it
// names, since a peer may answer "only the most recently processed Ping frame"
// (RFC 6455, section 5.5.3); one that nobody asked for answers none.
func (p *pings) answered(payload []byte) {
	if len(payload) != 8 {
		return
	}
	number := binary.BigEndian.Uint64(payload)
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if number > p.last {
		return
	}
	for len(p.waiting) > 0 && p.waiting[0].number <= number {
		p.took = now.Sub(p.waiting[0].sent)
		if done := p.waiting[0].done; done != nil {
			done <- p.took
		}
		p.waiting = p.waiting[1:]
	}
	if len(p.waiting) == 0 {
		p.waiting = nil
	}
}

func (p *pings) rtt() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.took
}

// Ping sends a ping and waits for the pong, and returns the time that took. It
// needs somebody who reads meanwhile. An error wraps ctx.Err() when the peer did
// not answer in time, and is the *CloseError when the connection has ended.
func (c *Conn) Ping(ctx context.Context) (time.Duration, error) {
	done := make(chan time.Duration, 1)
	defer c.pings.abandon(done)
	if err := c.writeFrame(ctx, &outgoing{Header: frame.Header{Opcode: frame.Ping, Fin: true}, payload: c.pings.begin(done)}); err != nil {
		return 0, c.afterEnd(ctx, err)
	}
	select {
	case rtt := <-done:
		return rtt, nil
	case <-ctx.Done():
		return 0, interrupted("ping", ctx)
	case <-c.Done():
		return 0, c.Err()
	}
}
