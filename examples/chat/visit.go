package main

import (
	"context"
	"errors"
	"time"

	"github.com/airlock-go/websocket"
)

// visit is the life of a connection. This goroutine reads, another one writes
// what the room has queued. However the visit ends, a verdict becomes the cause
// of ctx: the cause that the server gives when it ends, that of a room whose
// queue is full, or what was wrong with a request. It ends the reading, and the
// client is told.
func (r *room) visit(server context.Context, conn *websocket.Conn) {
	defer conn.CloseNow()
	ctx, end := context.WithCancelCause(server)
	defer end(nil)
	m := &member{queue: make(chan []byte, queueSize), end: end}
	go m.write(conn) // ends with conn

	var tempo pace
	for msg, err := range conn.Messages(ctx) {
		if err == nil {
			err = r.hear(m, msg)
		}
		if err != nil {
			end(err) // ctx keeps the first
			break
		}
		tempo.wait(ctx)
	}
	if server.Err() == nil { // else all leave, and there is nobody to tell
		r.leave(m)
	}
	// This sends a close frame, unless the connection has ended already.
	if why, ok := errors.AsType[*websocket.CloseError](context.Cause(ctx)); ok {
		conn.Close(context.Background(), why.Code, why.Reason)
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
		return violation("joined twice")
	case req.Type == "join":
		r.join(m, req.Name)
	case !joined:
		return violation("say before join")
	default:
		r.say(m, req.Text)
	}
	return nil
}

// write sends what the room queues, until the connection ends.
func (m *member) write(conn *websocket.Conn) {
	for {
		select {
		case b := <-m.queue:
			// No deadline is needed: the room does not wait, and a write that
			// fails ends the connection.
			conn.Write(context.Background(), websocket.Text, b)
		case <-conn.Done():
			return
		}
	}
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

// wait is called after each message.
func (p *pace) wait(ctx context.Context) {
	now := time.Now()
	if p.due.Before(now) {
		p.due = now
	}
	p.due = p.due.Add(interval)
	if early := p.due.Sub(now) - burst*interval; early > 0 {
		select {
		case <-time.After(early):
		case <-ctx.Done():
		}
	}
}
