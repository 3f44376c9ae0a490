package websocket

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
)

// Group is a set of connections: one for the server, so that it can be shut down,
// one for each room of a chat, and so on. A connection may be in any number of
// groups, and leaves them when it ends. The zero value is an empty group, ready for
// use by many goroutines; it must not be copied.
type Group struct {
	mu       sync.RWMutex
	members  map[*Conn]struct{}
	joining  int           // handshakes that have a place and are not members yet
	stopping bool          // Shutdown was called
	settled  chan struct{} // closed when none is joining any more; of Shutdown
}

// Add puts c in the group, until it ends or Remove takes it out. Those of
// Options.Group have no need for it. The error is ErrShutdown after Shutdown, or
// the end of c.
func (g *Group) Add(c *Conn) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopping {
		return ErrShutdown
	}
	return g.add(c)
}

// add puts c in the group; g.mu is held.
func (g *Group) add(c *Conn) error {
	if _, ok := g.members[c]; ok {
		return nil
	}
	if err := c.joinGroup(g); err != nil {
		return err
	}
	if g.members == nil {
		g.members = make(map[*Conn]struct{})
	}
	g.members[c] = struct{}{}
	return nil
}

// Remove takes c out of the group, if it is in. The connection goes on.
func (g *Group) Remove(c *Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.leaveGroup(g)
	delete(g.members, c)
}

// Len returns how many connections are in the group.
func (g *Group) Len() int {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return len(g.members)
}

// All returns the connections that are in the group when the loop begins, in no
// order. The body may do with them, and with the group, what it wants.
func (g *Group) All() iter.Seq[*Conn] {
	return func(yield func(*Conn) bool) {
		members, _ := g.list()
		for _, c := range members {
			if !yield(c) {
				return
			}
		}
	}
}

// list returns the members, and how many are about to join them.
func (g *Group) list() (members []*Conn, joining int) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	members = make([]*Conn, 0, len(g.members))
	for c := range g.members {
		members = append(members, c)
	}
	return members, g.joining
}

// Broadcast sends m to all members with TrySendPrepared, so that it waits for
// nobody, and returns how many were skipped because their queue had no room for it.
// To do more about these than to count them, call TrySendPrepared in a loop over
// All. Concurrent broadcasts may reach two members in different orders.
func (g *Group) Broadcast(m *PreparedMessage) (skipped int) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	for c := range g.members {
		if errors.Is(c.TrySendPrepared(m), ErrBackpressure) {
			skipped++
		}
	}
	return skipped
}

// Shutdown ends the group, gracefully: from now on, handshakes of Options.Group are
// refused with 503, and Add with ErrShutdown; all members get a close frame with
// CloseGoingAway behind what waits in their queues, and have until ctx ends, and no
// more than five seconds, to answer it. Then they are cut off. Shutdown returns when
// all are gone, and how many of them went without an answer. A client that was let in
// and does not even take the response to its handshake is among these. The error is
// that of ctx if it has ended before. Every call waits for the same end; one after it
// returns at once.
//
// Run it beside http.Server.Shutdown, which knows nothing of connections that have
// been upgraded, and neither closes them nor waits for them.
func (g *Group) Shutdown(ctx context.Context) (cut int, err error) {
	settled := g.stop()
	bounded, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	var (
		wg      sync.WaitGroup
		unheard atomic.Int64
		closing = make(map[*Conn]bool)
	)
	closeAll := func() (joining int) {
		members, joining := g.list()
		for _, c := range members {
			if closing[c] {
				continue
			}
			closing[c] = true
			wg.Go(func() {
				if c.goAway(bounded) != nil {
					unheard.Add(1)
				}
			})
		}
		return joining
	}
	closeAll()
	select {
	case <-settled:
	case <-bounded.Done():
	}
	late := closeAll() // join closes them, if ever their clients take the response
	wg.Wait()
	return late + int(unheard.Load()), ctx.Err()
}

func (c *Conn) goAway(ctx context.Context) error {
	return c.Close(ctx, CloseGoingAway, "the server is shutting down")
}

// stop lets nobody in any more. The channel is closed when those who were let in
// before are members.
func (g *Group) stop() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopping = true
	if g.settled == nil {
		g.settled = make(chan struct{})
		if g.joining == 0 {
			close(g.settled)
		}
	}
	return g.settled
}

// check refuses a handshake that would not be let in.
func (g *Group) check() *HandshakeError {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.refusal()
}

// reserve lets a handshake in, so that Shutdown waits for what comes of it.
func (g *Group) reserve() *HandshakeError {
	g.mu.Lock()
	defer g.mu.Unlock()
	refusal := g.refusal()
	if refusal == nil {
		g.joining++
	}
	return refusal
}

func (g *Group) refusal() *HandshakeError {
	if !g.stopping {
		return nil
	}
	refusal := Reject(http.StatusServiceUnavailable, "the server is shutting down")
	refusal.Err = ErrShutdown
	return refusal.withRetryAfter()
}

// join ends a reservation: with the connection that came of it, or nil.
func (g *Group) join(c *Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c != nil {
		// Nobody has it yet who could have ended it.
		_ = g.add(c)
		if g.stopping {
			// Shutdown waits for the same end, if it has not given up.
			go func() { _ = c.goAway(context.Background()) }()
		}
	}
	if g.joining--; g.joining > 0 || g.settled == nil {
		return
	}
	close(g.settled)
}

// membership is what a connection belongs to, until it ends.
type membership struct {
	mu     sync.Mutex // taken behind Group.mu, never before
	ended  bool
	groups []*Group
	place  *place // nil: no Limiter
}

func (c *Conn) joinGroup(g *Group) error {
	m := &c.membership
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended {
		return c.Err()
	}
	m.groups = append(m.groups, g)
	return nil
}

func (c *Conn) leaveGroup(g *Group) {
	m := &c.membership
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.Index(m.groups, g); i >= 0 {
		m.groups = slices.Delete(m.groups, i, i+1)
	}
}

// leaveAll: the connection has ended.
func (c *Conn) leaveAll() {
	m := &c.membership
	m.mu.Lock()
	groups := m.groups
	m.groups, m.ended = nil, true
	m.mu.Unlock()
	for _, g := range groups {
		g.Remove(c)
	}
	m.place.giveBack()
}
