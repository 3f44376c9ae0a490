package websocket

import (
	"sync/atomic"
	"time"
)

// polled is what a Poller knows of a connection.
type polled struct {
	poller  *Poller
	conn    *Conn
	handler Handler
	token   uint64

	// Of whoever has the turn to read:
	wait  wait         // for the peer, which goes on from one turn to the next
	due   atomic.Int64 // when it is over, since epoch; 0: never
	reads int          // that are left in this turn

	// Of whoever has poller.mu:
	state   pollState
	outside bool          // the worker that has it does not count as busy any more
	since   time.Duration // when it was queued for want of a place, from epoch; 0: there was one
	next    *polled       // in the queue

	// Of a guest: where it hears that it may go on.
	granted chan struct{}
}

type pollState uint8

const (
	pollIdle   pollState = iota // waits for its socket, or to be woken
	pollQueued                  // something has happened
	pollBusy                    // a worker has it
	pollAgain                   // and something has happened since
	pollEnded                   // it has no more turns
)

// turn has the handler called with what has come.
func (s *polled) turn(scratch []byte) []byte {
	var err error
	defer func() { s.poller.rest(s, err) }() // err is nil when the handler has called runtime.Goexit
	s.reads = readsPerTurn
	for n := 0; err == nil; n++ {
		if n == messagesPerTurn {
			err = errTurnOver
			break
		}
		scratch, err = s.conn.serveNext(s.handler, scratch, s)
	}
	return scratch
}

// spend takes one of the reads of this turn.
func (s *polled) spend() error {
	if s.reads == 0 {
		return errTurnOver
	}
	s.reads--
	return nil
}

// suspend lets the wait for the peer go on until the next turn, and reports whether
// there is time for that.
func (s *polled) suspend(w wait) bool {
	if s.conn.keepAlive == 0 {
		return true
	}
	if now()-w.began >= w.patience {
		s.forgetWait()
		return false
	}
	s.wait = w
	s.due.Store(int64(w.began + w.patience))
	return true
}

// forgetWait: something has come, or somebody else waits.
func (s *polled) forgetWait() {
	s.wait = wait{}
	s.due.Store(0)
}

// guest is the handler of a connection that has a goroutine, because its socket
// cannot be polled. Its calls count against the limit like turns do.
type guest struct {
	Handler
	polled *polled
}

func (g guest) OnMessage(c *Conn, m Message) error {
	g.polled.poller.enter(g.polled)
	defer g.polled.poller.exit()
	if err := c.orClosed(nil); err != nil {
		return err // it has ended meanwhile
	}
	return g.Handler.OnMessage(c, m)
}

// pollQueue is who has something to do, the first to have it first.
type pollQueue struct{ head, tail *polled }

func (q *pollQueue) push(s *polled) {
	if q.head == nil {
		q.head = s
	} else {
		q.tail.next = s
	}
	q.tail = s
}

func (q *pollQueue) pop() *polled {
	s := q.head
	q.head, s.next = s.next, nil
	if q.head == nil {
		q.tail = nil
	}
	return s
}
