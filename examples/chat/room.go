package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/airlock-go/websocket"
)

const (
	// historySize is how many messages a newcomer is shown.
	historySize = 50

	// queueSize is how many messages a member may be behind. All but the welcome
	// are shared, so a queue takes little more room than its slices.
	queueSize = 256
)

// room is where people talk; the zero value is an empty one. Everything that is
// sent goes into the queues of the members under one lock. So all get the same
// in the same order, and a newcomer gets what was said before and then what is
// said after, without a gap and nothing twice.
type room struct {
	mu      sync.Mutex
	members []*member // in the order in which they came
	history []json.RawMessage
	lastID  int
}

// member is somebody in the room.
type member struct {
	name  string      // given by the room; "" before
	queue chan []byte // encoded messages, to be sent in this order
	end   func(error) // ends the visit with a verdict, does not wait
}

// join lets m in, under a name that nobody else has, and shows it what was said.
func (r *room) join(m *member, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.name = r.unused(name)
	names := append(r.names(), m.name)
	r.send(encode(people{"people", names}))
	r.members = append(r.members, m)
	history := append([]json.RawMessage{}, r.history...) // not nil, which would be null
	m.queue <- encode(welcome{"welcome", m.name, names, history})
}

// say sends text to everybody, m included.
func (r *room) say(m *member, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lastID++
	b := encode(message{"message", r.lastID, m.name, text, time.Now().UTC().Truncate(time.Second)})
	if len(r.history) == historySize {
		r.history = slices.Delete(r.history, 0, 1)
	}
	r.history = append(r.history, b)
	r.send(b)
}

// leave lets m out, if it is in, and tells the others.
func (r *room) leave(m *member) {
	if m.name == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members = slices.DeleteFunc(r.members, func(other *member) bool { return other == m })
	r.send(encode(people{"people", r.names()}))
}

// send queues b for everybody. It waits for nobody: who is so far behind that
// the queue is full has to go; leave, which follows, tells the others.
func (r *room) send(b []byte) {
	r.members = slices.DeleteFunc(r.members, func(m *member) bool {
		select {
		case m.queue <- b:
			return false
		default:
			m.end(verdict(websocket.CloseTryAgainLater, "too slow: the messages for you do not fit the queue any more"))
			return true
		}
	})
}

// names returns the names of all members.
func (r *room) names() []string {
	names := make([]string, len(r.members))
	for i, m := range r.members {
		names[i] = m.name
	}
	return names
}

// unused returns name, or name with the first number that nobody has: Ann 2. It
// is cut to make room for the number, so that it can be joined with again.
func (r *room) unused(name string) string {
	taken := r.names()
	unique := name
	for n := 2; slices.Contains(taken, unique); n++ {
		number := fmt.Sprintf(" %d", n)
		runes := []rune(name)
		unique = string(runes[:min(len(runes), maxName-len(number))]) + number
	}
	return unique
}
