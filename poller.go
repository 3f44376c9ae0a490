package websocket

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/airlock-go/websocket/internal/netpoll"
)

// Poller serves connections like [Conn.Serve], but without a goroutine for each of
// those that wait: tens of thousands of idle ones cost little more than their
// sockets. Goroutines are started as connections have something to say, and as
// many as have it at the same time.
//
// On Linux that is so for plain TCP and Unix sockets, and compiled but not tested on
// the BSDs and macOS. Elsewhere, and for connections over TLS or wrapped by a
// listener of the program's, a Poller has a goroutine for each, and is the same in
// everything else.
//
// Its methods may be called by any number of goroutines.
type Poller struct {
	poll *netpoll.Poll // nil: there is none on this system
	max  int           // turns at the same time

	conns sync.WaitGroup // that are served, until OnClose has returned
	staff sync.WaitGroup // of workers

	mu    sync.Mutex
	slots []slot
	free  []uint32 // slots without a connection
	queue pollQueue
	busy  int // workers that have a connection

	// Some worker always looks for what comes next: it waits for sockets, or is
	// about to look at the queue, or at work on a batch of events.
	polling bool
	spare   bool
	tokens  []uint64 // of who is polling
	closed  bool

	sweeper  *time.Timer
	sweeping bool
	tick     time.Duration // between two sweeps
}

// PollerOptions are the choices of [NewPoller]. The zero value is the default.
type PollerOptions struct {
	// MaxHandlers is how many calls of OnMessage may run at the same time; 0 or less
	// means no limit but the number of connections. A call that waits, for a
	// database or for a peer that does not read, holds up no other connection until
	// there are so many that do. The ends of connections, and with them OnClose,
	// have no such limit.
	MaxHandlers int
}

const (
	// What a connection may do before others have their turn, though there is more
	// for it to do.
	readsPerTurn    = 8
	messagesPerTurn = 64

	// The slowest and the fastest sweep for connections that have been silent for
	// too long. Between two there is an eighth of the shortest KeepAlive.
	minTick = 10 * time.Millisecond
	maxTick = time.Second

	// sweepAtOnce is how many connections are looked at without a break.
	sweepAtOnce = 1024
)

// errTurnOver is the error of reading when a connection has done enough for now.
var errTurnOver = errors.New("websocket: the turn is over")

// slot is where the token of a socket leads to. The generation tells events of a
// connection from those of its predecessor.
type slot struct {
	polled     *polled // nil: free
	generation uint32
}

// NewPoller returns a Poller. opts may be nil. The error is that of the system,
// which may be out of file descriptors. A Poller that is not needed any more has to
// be closed.
func NewPoller(opts *PollerOptions) (*Poller, error) {
	p := &Poller{max: math.MaxInt, tick: maxTick}
	if opts != nil && opts.MaxHandlers > 0 {
		p.max = opts.MaxHandlers
	}
	poll, err := netpoll.Open()
	switch {
	case err == nil:
		p.poll = poll
	case !errors.Is(err, errors.ErrUnsupported):
		return nil, err
	}
	return p, nil
}

// Serve has h called with what happens on c, as [Conn.Serve] has, and returns at
// once. The HTTP handler may return then, and net/http's memory for it is freed. (Over
// HTTP/2 and HTTP/3, where the connection ends with the handler, Serve returns at the end.)
// Once it is called, the connection belongs to the Poller, and nobody else should
// read from it. What comes while the connection is being closed is dropped.
//
// After Close, the connection is closed with CloseGoingAway, which waits for the peer
// as [Conn.Close] does, OnClose is called, and the error is ErrPollerClosed.
func (p *Poller) Serve(c *Conn, h Handler) error {
	s := &polled{poller: p, conn: c, handler: h, state: pollBusy}
	if !p.admit(s) {
		_ = c.goAway(context.Background())
		_ = c.finish(h)
		return ErrPollerClosed
	}
	d := c.stream.Descriptor()
	if p.poll == nil || d == nil || p.poll.Add(d, s.token) != nil {
		s.granted = make(chan struct{}, 1)
		serve := func() {
			defer p.remove(s)
			_ = c.Serve(guest{h, s})
		}
		if c.stream.Outlives() {
			go serve()
		} else {
			serve()
		}
		return nil
	}
	c.polled.Store(s)
	p.mu.Lock()
	s.state = pollIdle
	p.mu.Unlock()
	// What came with the handshake has no event of its own.
	p.wake(s)
	return nil
}

// Close cuts off the connections that are still served, and returns when OnClose has
// returned for each. To end them with a close frame, let [Group.Shutdown] go before.
// A Handler must not call Close, which would wait for itself. After the first time it
// does nothing.
func (p *Poller) Close() error {
	p.mu.Lock()
	closed := p.closed
	p.closed = true
	p.mu.Unlock()
	if closed {
		return nil
	}
	p.cut()
	p.conns.Wait()
	var err error
	if p.poll != nil {
		err = p.poll.Close()
	}
	p.staff.Wait()
	return err
}

// cut ends all connections.
func (p *Poller) cut() {
	p.mu.Lock()
	var conns []*Conn
	for i := range p.slots {
		if s := p.slots[i].polled; s != nil {
			conns = append(conns, s.conn)
		}
	}
	p.mu.Unlock()
	for _, c := range conns {
		_ = c.CloseNow()
	}
}

// admit gives s a slot, unless the Poller is closed.
func (p *Poller) admit(s *polled) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.conns.Add(1)
	if len(p.free) == 0 {
		p.free = append(p.free, uint32(len(p.slots)))
		p.slots = append(p.slots, slot{})
	}
	i := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	p.slots[i].polled = s
	s.token = uint64(p.slots[i].generation)<<32 | uint64(i)
	p.watch(s.conn.keepAlive)
	return true
}

// remove gives the slot back: the connection has ended, and h has been told.
func (p *Poller) remove(s *polled) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := uint32(s.token)
	p.slots[i] = slot{generation: p.slots[i].generation + 1}
	p.free = append(p.free, i)
	p.conns.Done()
}

// find returns what a token stands for, or nil.
func (p *Poller) find(token uint64) *polled {
	if s := p.slots[uint32(token)].polled; s != nil && s.token == token {
		return s
	}
	return nil
}

// wake gives s a turn, because something has happened to it elsewhere than on its
// socket.
func (p *Poller) wake(s *polled) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.push(s) {
		p.hire()
	}
}

// push gives s a turn, later if it has one already, and reports whether it is in the
// queue because of that; p.mu is held.
func (p *Poller) push(s *polled) bool {
	switch s.state {
	case pollIdle:
		s.state = pollQueued
		s.since = 0
		if p.busy >= p.max {
			s.since = now()
		}
		p.queue.push(s)
		return true
	case pollBusy:
		s.state = pollAgain
	}
	return false
}

// hire starts a worker, if nobody would look for what there is to do; p.mu is held.
func (p *Poller) hire() {
	if p.spare || p.polling && !p.ready() {
		return
	}
	p.spare = true
	p.staff.Go(p.work)
}

// ready reports whether there is a connection to be taken. Guests on the way there go
// on by themselves; p.mu is held.
func (p *Poller) ready() bool {
	for p.queue.head != nil && p.busy < p.max {
		s := p.queue.head
		if s.granted == nil {
			return true
		}
		p.queue.pop()
		p.busy++
		s.granted <- struct{}{}
	}
	return false
}

// enter waits until a guest may call its handler.
func (p *Poller) enter(s *polled) {
	p.mu.Lock()
	p.queue.push(s)
	p.ready() // or it has to wait for others
	p.mu.Unlock()
	<-s.granted
}

// exit: the handler has returned.
func (p *Poller) exit() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy--
	if p.ready() {
		p.hire()
	}
}

// work is a worker: it takes what there is to do, and waits for more if nobody else
// does.
func (p *Poller) work() {
	var scratch []byte
	for s := p.take(true); s != nil; s = p.take(false) {
		scratch = s.turn(scratch)
	}
}

// take returns the connection whose turn it is, or nil when others look for it.
func (p *Poller) take(first bool) *polled {
	p.mu.Lock()
	defer p.mu.Unlock()
	if first {
		p.spare = false
	}
	for {
		if p.ready() {
			s := p.queue.pop()
			s.state = pollBusy
			p.busy++
			p.hire()
			return s
		}
		if p.polling {
			return nil
		}
		if p.await() != nil {
			return nil
		}
	}
}

// await waits for sockets; p.mu is held, but not meanwhile.
func (p *Poller) await() error {
	p.polling = true
	tokens := p.tokens[:0]
	p.mu.Unlock()
	tokens, err := p.poll.Wait(tokens)
	if err != nil {
		// The Poller was closed, and there are none. Or they would wait for ever.
		p.cut()
	}
	p.mu.Lock()
	p.polling, p.tokens = false, tokens
	for _, token := range tokens {
		if s := p.find(token); s != nil {
			p.push(s)
		}
	}
	return err
}

// rest ends a turn, and says what is next for s.
func (p *Poller) rest(s *polled, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !s.outside {
		p.busy--
	}
	switch {
	case err == netpoll.ErrNotReady && s.state == pollBusy:
		s.state = pollIdle
	case err == netpoll.ErrNotReady, err == errTurnOver:
		s.state = pollIdle
		p.push(s)
	default:
		s.state = pollEnded
		go p.end(s, err)
		if err == nil {
			p.hire() // in place of this worker, who does not come back
		}
	}
}

// end ends the connection for err. It may wait for the peer, so it does not do so in
// a turn.
func (p *Poller) end(s *polled, err error) {
	defer p.remove(s)
	if err != nil {
		s.conn.endFor(err)
	}
	_ = s.conn.finish(s.handler)
}

// leave: what remains of the turn may wait for the peer, and does not count against
// the limit of them.
func (p *Poller) leave(s *polled) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.outside = true
	p.busy--
	p.hire()
}

// watch sees to it that silent peers are noticed; p.mu is held.
func (p *Poller) watch(keepAlive time.Duration) {
	if keepAlive == 0 {
		return
	}
	tick := max(keepAlive/8, minTick)
	if p.sweeping && tick >= p.tick {
		return
	}
	p.tick = min(p.tick, tick)
	p.sweeping = true
	if p.sweeper == nil {
		p.sweeper = time.AfterFunc(p.tick, p.sweep)
	} else {
		p.sweeper.Reset(p.tick)
	}
}

// sweep gives a turn to those whose wait is over.
func (p *Poller) sweep() {
	for i := 0; p.sweepFrom(i); i += sweepAtOnce {
	}
}

// sweepFrom looks at some slots, and reports whether there are more. Those behind
// the last are the end of the sweep.
func (p *Poller) sweepFrom(i int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := int64(now())
	for _, slot := range p.slots[min(i, len(p.slots)):min(i+sweepAtOnce, len(p.slots))] {
		if s := slot.polled; s != nil && s.state == pollIdle {
			if due := s.due.Load(); due != 0 && due <= now {
				p.push(s)
			}
		}
	}
	if p.ready() {
		p.hire()
	}
	if i+sweepAtOnce < len(p.slots) {
		return true
	}
	p.sweeping = len(p.free) < len(p.slots)
	if p.sweeping {
		p.sweeper.Reset(p.tick)
	} else {
		p.tick = maxTick
	}
	return false
}
