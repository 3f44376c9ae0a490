package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/airlock-go/websocket"
)

const (
	// historySize is how many messages the stream keeps, and each node in memory.
	historySize = 2000

	// welcomeSize is how many of them a newcomer is shown.
	welcomeSize = 50

	// batchSize is how many messages are taken at a time by who catches up.
	batchSize = 100

	// queueSize is how many bytes a member may be behind. It has room for twenty of
	// the longest messages and for thousands of usual ones.
	queueSize = 256 << 10
)

var errTooSlow = errors.New("too slow: the messages for you do not fit the queue any more")

// room is what this node knows of the stream, and who here gets it.
type room struct {
	mu      sync.Mutex
	history []entry // the end of the stream
	last    uint64  // the number of the last message
	dropped uint64  // of the last that is not in the history any more
	members []*member
	people  *websocket.PreparedMessage // nil: not known yet
}

type entry struct {
	seq uint64
	msg *websocket.PreparedMessage
}

// member is somebody who has joined on this node.
type member struct {
	conn *websocket.Conn
	name string // "" before joining
	seen uint64 // the number of the last message on its way to it; the room's once it is in
}

// add takes the next message of the stream and queues it for all members. It waits
// for nobody: who is so far behind that the queue is full has to go, comes back, and
// catches up at its own pace.
func (r *room) add(seq uint64, s said) {
	msg := prepare(message{"message", seq, s})
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == 0 {
		r.dropped = seq - 1
	}
	r.last = seq
	if len(r.history) == historySize {
		r.dropped = r.history[0].seq
		r.history = slices.Delete(r.history, 0, 1)
	}
	r.history = append(r.history, entry{seq, msg})
	r.send(msg, func(m *member) bool {
		// It may have seen more than this node, on another one.
		fresh := m.seen < seq
		m.seen = max(m.seen, seq)
		return fresh
	})
}

// tell sends everybody who is here.
func (r *room) tell(list []person) {
	msg := prepare(people{"people", list})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.people = msg
	r.send(msg, func(*member) bool { return true })
}

// send queues msg for those who want it, and lets those go who have no room.
func (r *room) send(msg *websocket.PreparedMessage, wants func(*member) bool) {
	r.members = slices.DeleteFunc(r.members, func(m *member) bool {
		slow := wants(m) && errors.Is(m.conn.TrySendPrepared(msg), websocket.ErrBackpressure)
		if slow {
			go m.conn.Close(context.Background(), websocket.CloseTryAgainLater, errTooSlow.Error())
		}
		return slow
	})
}

// begin returns the number after which somebody gets the messages who has seen those
// up to after, or none if that is nil.
func (r *room) begin(after *uint64) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if after != nil {
		return max(*after, r.dropped)
	}
	if n := len(r.history) - welcomeSize; n > 0 {
		return r.history[n-1].seq
	}
	return r.dropped
}

// catchUp writes to m what it has missed, as fast as m reads, and then makes it a
// member. In between there is neither a gap nor an overlap, for whether there is more
// and whether it is a member is decided under one lock.
func (r *room) catchUp(ctx context.Context, m *member) error {
	for {
		batch, err := r.missed(m)
		if err != nil || len(batch) == 0 {
			return err
		}
		for _, e := range batch {
			if err := m.conn.WritePrepared(ctx, e.msg); err != nil {
				return err
			}
			m.seen = e.seq
		}
	}
}

// missed returns some of the messages that m has not got, or none and makes it a
// member.
func (r *room) missed(m *member) ([]entry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.seen < r.dropped {
		return nil, errTooSlow
	}
	i, _ := slices.BinarySearchFunc(r.history, m.seen+1, func(e entry, seq uint64) int {
		return cmp.Compare(e.seq, seq)
	})
	if i == len(r.history) {
		r.members = append(r.members, m)
		if r.people != nil {
			m.conn.TrySendPrepared(r.people) // the queue is empty
		}
		return nil, nil
	}
	return slices.Clone(r.history[i:min(i+batchSize, len(r.history))]), nil
}

// leave lets m out, if it is in.
func (r *room) leave(m *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members = slices.DeleteFunc(r.members, func(other *member) bool { return other == m })
}

// names returns the names of all members.
func (r *room) names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := make([]string, len(r.members))
	for i, m := range r.members {
		names[i] = m.name
	}
	return names
}
