package websocket

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/airlock-go/websocket/internal/netpoll"
)

// NewGoroutinePoller is NewPoller on a system without a way to wait for many
// sockets at once.
func NewGoroutinePoller(opts *PollerOptions) (*Poller, error) {
	p, err := NewPoller(opts)
	if err != nil {
		return nil, err
	}
	if p.poll != nil {
		err = p.poll.Close()
	}
	p.poll = nil
	return p, err
}

// Break closes what the Poller waits with.
func (p *Poller) Break() error { return p.poll.Close() }

// newIdle returns a Poller that starts no workers, and connections that wait, each
// of which is due at its time.
func newIdle(due ...int64) (*Poller, []*polled) {
	p := &Poller{tick: maxTick, max: 1, spare: true}
	p.sweeper = time.AfterFunc(time.Hour, func() {})
	var all []*polled
	for _, d := range due {
		s := &polled{poller: p, conn: new(Conn)}
		s.due.Store(d)
		p.admit(s)
		all = append(all, s)
	}
	return p, all
}

// drain empties the queue.
func (p *Poller) drain() (all []*polled) {
	for p.queue.head != nil {
		all = append(all, p.queue.pop())
	}
	return all
}

func TestPollerSweep(t *testing.T) {
	const n = 2*sweepAtOnce + 100
	due := make([]int64, n)
	want := make(map[int]bool)
	for _, i := range []int{0, 5, sweepAtOnce - 1, sweepAtOnce, 2*sweepAtOnce - 1, 2 * sweepAtOnce, n - 1} {
		due[i] = 1
		want[i] = true
	}
	due[1] = int64(2 * time.Hour)    // is not over yet
	due[2], due[3], due[4] = 1, 1, 1 // but somebody is at it
	p, all := newIdle(due...)
	defer p.sweeper.Stop()
	all[2].state, all[3].state, all[4].state = pollBusy, pollQueued, pollEnded
	p.remove(all[6]) // whose slot is free
	p.sweep()
	got := p.drain()
	for _, s := range got {
		i := int(uint32(s.token))
		if all[i] != s || !want[i] || s.state != pollQueued {
			t.Errorf("the connection in slot %d was queued, in state %d", i, s.state)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d were queued, want %d", len(got), len(want))
	}
	if !p.sweeping {
		t.Error("there is no next sweep")
	}
	for i, s := range all {
		if i != 6 {
			p.remove(s)
		}
	}
	if p.sweep(); p.sweeping {
		t.Error("with nobody to look at, the sweeps go on")
	}
}

// TestPollerWatch: the shortest KeepAlive decides how often to look.
func TestPollerWatch(t *testing.T) {
	p, _ := newIdle()
	p.sweeper = nil
	for _, step := range []struct {
		keepAlive, tick time.Duration
		sweeping        bool
	}{
		{0, maxTick, false}, // off
		{20 * time.Second, maxTick, true},
		{time.Second, 125 * time.Millisecond, true},
		{20 * time.Second, 125 * time.Millisecond, true},
		{time.Nanosecond, minTick, true},
	} {
		p.mu.Lock()
		p.watch(step.keepAlive)
		if p.tick != step.tick || p.sweeping != step.sweeping {
			t.Errorf("after a KeepAlive of %v: every %v (%t), want %v (%t)", step.keepAlive, p.tick, p.sweeping, step.tick, step.sweeping)
		}
		p.mu.Unlock()
	}
	p.sweeper.Stop()
}

// TestPollerTokens: the token of a connection means nothing to its successor.
func TestPollerTokens(t *testing.T) {
	p, all := newIdle(0, 0)
	defer p.sweeper.Stop()
	first := all[1]
	p.remove(first)
	if p.find(first.token) != nil {
		t.Error("a connection is found after its end")
	}
	second := &polled{poller: p, conn: new(Conn)}
	p.admit(second)
	if uint32(second.token) != uint32(first.token) || second.token == first.token {
		t.Errorf("the tokens are %#x and %#x, want the same slot twice", first.token, second.token)
	}
	if p.find(first.token) != nil || p.find(second.token) != second || p.find(all[0].token) != all[0] {
		t.Error("a token leads to another connection than its own")
	}
	if len(p.slots) != 2 {
		t.Errorf("there are %d slots", len(p.slots))
	}
}

// TestPollerQueue: who came first is first, and what happens meanwhile is not lost.
func TestPollerQueue(t *testing.T) {
	p, all := newIdle(0, 0, 0)
	defer p.sweeper.Stop()
	for range 2 { // an empty queue is as good as a new one
		for _, i := range []int{2, 0, 2, 1, 0} {
			p.wake(all[i])
		}
		got := p.drain()
		if p.queue.tail != nil {
			t.Error("an empty queue holds on to the last in it")
		}
		if len(got) != 3 || got[0] != all[2] || got[1] != all[0] || got[2] != all[1] {
			t.Fatalf("got %d connections, or in another order", len(got))
		}
		for _, s := range got {
			s.state = pollIdle
		}
	}
	s := all[0]
	s.state = pollBusy
	p.wake(s)
	p.wake(s)
	if s.state != pollAgain || p.queue.head != nil {
		t.Errorf("state %d after something happened in a turn", s.state)
	}
	s.state = pollEnded
	if p.wake(s); s.state != pollEnded || p.queue.head != nil {
		t.Errorf("state %d after something happened behind the end", s.state)
	}
}

// TestPollerGuests: those without a socket stand in the same queue.
func TestPollerGuests(t *testing.T) {
	p, all := newIdle(0, 0, 0)
	defer p.sweeper.Stop()
	guest := func(i int) <-chan bool {
		s := all[i]
		s.granted = make(chan struct{}, 1)
		in := make(chan bool)
		go func() {
			p.enter(s)
			in <- true
		}()
		return in
	}
	<-guest(0) // who has the only place
	p.wake(all[1])
	p.exit()
	second := guest(2)
	for queued := false; !queued; {
		p.mu.Lock()
		queued = p.queue.tail == all[2]
		p.mu.Unlock()
	}
	select {
	case <-second:
		t.Error("a guest went before a socket that was there first")
	default:
	}
	p.mu.Lock()
	if !p.ready() || p.queue.pop() != all[1] {
		t.Error("a socket does not get the place that a guest has left")
	}
	if p.ready() || p.busy != 1 {
		t.Errorf("then %d have the only place", p.busy)
	}
	p.mu.Unlock()
	<-second
	p.exit()
	if p.busy != 0 {
		t.Errorf("%d have a place and do not use it", p.busy)
	}
}

// TestPollerExcused: the time for which a turn had to wait for others is not held
// against a peer that has sent something, and the time before that is.
func TestPollerExcused(t *testing.T) {
	const silent, queued = 3 * time.Second, 2 * time.Second
	for _, busy := range []int{0, 1} {
		p, all := newIdle(1)
		p.sweeper.Stop()
		p.max, p.busy, p.polling = 1, busy, true
		s, c := all[0], newTestConn(t)
		c.keepAlive = time.Minute
		w := wait{began: now() - silent - queued, patience: time.Minute, underway: true}
		p.wake(s)
		p.busy = 0
		if got := p.take(false); got != s {
			t.Fatalf("took %p, want %p", got, s)
		}
		if crowded := s.since != 0; crowded != (busy == 1) {
			t.Fatalf("%d of 1 busy: crowded %t", busy, crowded)
		}
		want := silent + queued
		if busy == 1 {
			s.since -= queued
			want = silent
		}
		if err := c.takeServed(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		c.heard(w, 1)
		c.releaseRead()
		if got := c.rd.vigil.spent.Round(time.Second); got != want {
			t.Errorf("%d of 1 busy: waited %v for the peer, want %v", busy, got, want)
		}
	}
}

// TestPollerPatience: a wait that is over when it begins is no wait without an end.
func TestPollerPatience(t *testing.T) {
	p, all := newIdle(0)
	p.sweeper.Stop()
	s := all[0]
	w := wait{began: now()}
	if !s.suspend(w) || s.due.Load() != 0 {
		t.Error("without a keepalive, a wait has an end")
	}
	s.conn.keepAlive = time.Minute
	if s.suspend(w) {
		t.Error("the wait goes on, and nobody looks for its end")
	}
	w.patience = time.Minute
	if !s.suspend(w) || s.due.Load() == 0 {
		t.Error("a wait that is not over does not go on")
	}
}

// TestPollerTurnTaken: a turn does not wait for somebody else who reads, and is given
// another when he has.
func TestPollerTurnTaken(t *testing.T) {
	p, all := newIdle(0)
	defer p.sweeper.Stop()
	s, c := all[0], newTestConn(t)
	c.polled.Store(s)
	s.due.Store(1)
	s.wait = wait{began: now() - time.Hour, patience: time.Minute}
	if err := c.takeRead(t.Context(), byMessage); err != nil {
		t.Fatal(err)
	}
	if s.due.Load() != 0 || c.rd.vigil.quiet != time.Minute {
		t.Errorf("of the Poller's wait for a minute, %v count", c.rd.vigil.quiet)
	}
	if err := c.takeServed(t.Context(), s); err != netpoll.ErrNotReady {
		t.Errorf("got %v", err)
	}
	if p.queue.head != nil {
		t.Error("there is another turn while somebody else reads")
	}
	c.releaseRead()
	if got := p.drain(); len(got) != 1 || got[0] != s {
		t.Errorf("%d connections have a turn when nobody reads any more", len(got))
	}
	s.state = pollIdle
	if err := c.takeServed(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	c.releaseRead()
	if got := p.drain(); len(got) != 0 {
		t.Error("a turn leads to another")
	}
	// One that does not want it any more has had it for a moment.
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.takeRead(over, byMessage); err == nil {
		t.Error("a turn for a ctx that has ended")
	}
	if got := p.drain(); len(got) != 1 {
		t.Error("the Poller is not told that the turn was taken for a moment")
	}
}

// TestDescriptor: a stream without a socket of its own has none to wait for.
func TestDescriptor(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	for name, conn := range map[string]net.Conn{
		"a pipe":                a,
		"a socket that is none": new(net.TCPConn),
		"a wrapped socket":      struct{ *net.TCPConn }{new(net.TCPConn)},
	} {
		if d := newHijacked(conn, nil).Descriptor(); d != nil {
			t.Errorf("%s: got %v", name, d)
		}
	}
}
