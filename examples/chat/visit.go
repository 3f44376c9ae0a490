package main

import (
	"context"
	"errors"
	"time"

	"github.com/airlock-go/websocket"
)

// visit is the life of a connection. It reads; what others say goes out through
// the queue that the connection has. It ends when the connection does: because the
// client goes or is lost, does not speak chat.v1, or is too slow for the room, or
// because the server ends, which closes all connections of its group.
func (r *room) visit(server context.Context, conn *websocket.Conn) {
	defer conn.CloseNow()
	m := &member{conn: conn}
	var tempo pace
	for msg, err := range conn.Messages(context.Background()) {
		if err != nil {
			break // the connection has ended
		}
		if err := r.hear(m, msg); err != nil {
			r.leave(m) // the others need not wait for the client to answer
			conn.Close(context.Background(), websocket.ClosePolicyViolation, err.Error())
		}
		tempo.wait()
	}
	if server.Err() == nil { // else all leave, and there is nobody to tell
		r.leave(m)
	}
}

// hear does what a client asks for, or returns what is wrong with it.
func (r *room) hear(m *member, msg websocket.Message) error {
	req, err := parse(msg)
	if err != nil {
		return err
	}
	switch joined := m.name != ""; {
	case req.Type == "join" && joined:
		return errors.New("joined twice")
	case req.Type == "join":
		r.join(m, req.Name)
	case !joined:
		return errors.New("say before join")
	default:
		r.say(m, req.Text)
	}
	return nil
}

// Who says more than burst messages at once has to wait for an interval before
// each of the next. Not being read, a machine that talks without end is slowed
// down by its own transport, and does not fill the queues of the others.
const (
	burst    = 100
	interval = 20 * time.Millisecond
)

// pace is the time at which all messages so far were due, one per interval.
type pace struct{ due time.Time }

// wait is called after each message. It takes an interval at most.
func (p *pace) wait() {
	now := time.Now()
	if p.due.Before(now) {
		p.due = now
	}
	p.due = p.due.Add(interval)
	time.Sleep(p.due.Sub(now) - burst*interval)
}
