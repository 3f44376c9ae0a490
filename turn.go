package websocket

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// turn is a lock that is held across I/O, so that waiting for it has to end with a
// context. Who comes first has it first. The zero value is free.
type turn struct {
	state atomic.Int32
	line  atomic.Pointer[line] // nil until somebody has had to wait
}

const (
	turnFree int32 = iota
	turnTaken
	turnWanted // taken, and perhaps there is somebody in the line
)

// line is who waits for a turn. Each waits for a channel to be closed, and has the
// turn then.
type line struct {
	mu      sync.Mutex
	waiting []chan struct{}
}

func (t *turn) tryLock() bool { return t.state.CompareAndSwap(turnFree, turnTaken) }

// free reports whether nobody has the turn, just now.
func (t *turn) free() bool { return t.state.Load() == turnFree }

func (t *turn) unlock() {
	if t.state.CompareAndSwap(turnTaken, turnFree) {
		return
	}
	l := t.line.Load()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		t.state.Store(turnFree)
		return
	}
	close(l.waiting[0])
	l.waiting[0] = nil
	l.waiting = l.waiting[1:]
}

// lock waits for the turn until ctx or done ends, and reports whether it has it.
func (t *turn) lock(ctx context.Context, done <-chan struct{}) bool {
	if t.tryLock() {
		return true
	}
	mine := t.queueUp()
	select {
	case <-mine:
		return true
	case <-ctx.Done():
	case <-done:
	}
	return !t.line.Load().leave(mine)
}

// queueUp returns what to wait for, which is there if the turn was free after all.
func (t *turn) queueUp() chan struct{} {
	l := t.line.Load()
	if l == nil {
		t.line.CompareAndSwap(nil, new(line))
		l = t.line.Load()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if t.tryLock() {
			return *given
		}
		if t.state.Load() == turnWanted || t.state.CompareAndSwap(turnTaken, turnWanted) {
			break
		}
	}
	mine := make(chan struct{})
	l.waiting = append(l.waiting, mine)
	return mine
}

// leave reports whether who waits for mine could leave: the turn was not given to
// him before.
func (l *line) leave(mine chan struct{}) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.waiting, mine)
	if i < 0 {
		return false
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	return true
}

// signal is a channel that is closed, at most once, to tell all who wait for it. It is
// made when somebody does: nobody waits for the end of most connections.
type signal struct {
	made atomic.Pointer[chan struct{}]
}

// given is the channel of a signal that was given before anybody waited for it.
var given = func() *chan struct{} {
	c := make(chan struct{})
	close(c)
	return &c
}()

func (s *signal) channel() <-chan struct{} {
	if s.made.Load() == nil {
		c := make(chan struct{})
		s.made.CompareAndSwap(nil, &c)
	}
	return *s.made.Load()
}

// give gives the signal. It is called once.
func (s *signal) give() {
	if !s.made.CompareAndSwap(nil, given) {
		close(*s.made.Load())
	}
}

func (s *signal) given() bool {
	c := s.made.Load()
	if c == nil {
		return false
	}
	select {
	case <-*c:
		return true
	default:
		return false
	}
}
