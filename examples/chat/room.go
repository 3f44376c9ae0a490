package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/airlock-go/websocket"
)

const (
	// historySize is how many messages a newcomer is shown.
	historySize = 50

	// queueSize is how many bytes a member may be behind: the longest welcome, and
	// much of what is said while it is on its way. All but the welcome is shared, so
	// full queues do not take as much memory as that.
	queueSize = 1 << 20
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
	conn *websocket.Conn
	name string // given by the room; "" before
}

// join lets m in, under a name that nobody else has, and shows it what was said.
func (r *room) join(m *member, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.name = r.unused(name)
	r.members = append(r.members, m)
	history := append([]json.RawMessage{}, r.history...) // not nil, which would be null
	// The queue is empty, so this can only fail when the connection has ended.
	m.conn.TrySend(websocket.Text, encode(welcome{"welcome", m.name, r.names(), history}))
	r.send(encode(people{"people", r.names()}), m)
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
	r.send(b, nil)
}

// leave lets m out, if it is in, and tells the others.
func (r *room) leave(m *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(func(other *member) bool { return other == m })
}

// send prepares b and queues it for everybody but one. It waits for nobody: who is
// so far behind that the queue is full has to go.
func (r *room) send(b []byte, but *member) {
	msg, err := websocket.NewPreparedMessage(websocket.Text, b)
	if err != nil {
		panic(err) // JSON is UTF-8
	}
	r.remove(func(m *member) bool {
		slow := m != but && errors.Is(m.conn.TrySendPrepared(msg), websocket.ErrBackpressure)
		if slow {
			go m.conn.Close(context.Background(), websocket.CloseTryAgainLater, "too slow: the messages for you do not fit the queue any more")
		}
		return slow
	})
}

// remove takes out those who go, and tells the others if there are any.
func (r *room) remove(goes func(*member) bool) {
	before := len(r.members)
	r.members = slices.DeleteFunc(r.members, goes)
	if len(r.members) < before {
		r.send(encode(people{"people", r.names()}), nil)
	}
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
