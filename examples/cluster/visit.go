package main

import (
	"context"
	"errors"
	"time"

	"github.com/airlock-go/websocket"
)

// interval is the shortest time between two messages of a client that are heard. What
// it sends faster waits in its transport.
const interval = 20 * time.Millisecond

// visit is the life of a connection. One goroutine reads from it and stores what it
// says, one message after the other, so that they keep their order however often one
// has to be tried. What others say goes out through the queue that the connection has.
//
// It ends when the connection does: because the client goes or is lost, does not speak
// cluster.v1 or is too slow, because the broker is away for too long, or because the
// node ends, which closes all connections of its group. In each of these cases the
// client goes on at another node, and nothing has been lost that had an ack.
func (n *node) visit(ctx context.Context, conn *websocket.Conn) {
	defer conn.CloseNow()
	m := &member{conn: conn}
	defer n.room.leave(m)
	for msg, err := range conn.Messages(context.Background()) {
		if err != nil {
			break // the connection has ended
		}
		if code, err := n.hear(ctx, m, msg); err != nil {
			n.room.leave(m) // the others need not wait for the client to answer
			conn.Close(context.Background(), code, err.Error())
		}
		sleep(ctx, interval)
	}
}

// hear does what a client asks for, or returns why its connection has to end.
func (n *node) hear(ctx context.Context, m *member, msg websocket.Message) (websocket.CloseCode, error) {
	req, err := parse(msg)
	if err != nil {
		return websocket.ClosePolicyViolation, err
	}
	switch joined := m.name != ""; {
	case req.Type == "join" && joined:
		return websocket.ClosePolicyViolation, errors.New("joined twice")
	case req.Type == "join":
		return websocket.CloseTryAgainLater, n.join(ctx, m, req)
	case !joined:
		return websocket.ClosePolicyViolation, errors.New("say before join")
	}
	return websocket.CloseTryAgainLater, n.say(ctx, m, req)
}

// join lets m in and shows it what it has missed.
func (n *node) join(ctx context.Context, m *member, req request) error {
	m.name = req.Name
	if req.Stream != n.broker.streamID() {
		req.After = nil // that was another stream, with other numbers
	}
	m.seen = n.room.begin(req.After)
	if err := m.conn.Write(ctx, websocket.Text, encode(welcome{"welcome", n.name, n.broker.streamID(), m.seen})); err != nil {
		return err
	}
	return n.room.catchUp(ctx, m)
}

var errNotStored = errors.New("the message could not be stored for now: send it again, elsewhere")

// say stores a message and acknowledges it. The message itself comes to m like to
// everybody, from the stream.
func (n *node) say(ctx context.Context, m *member, req request) error {
	now := time.Now().UTC().Truncate(time.Second)
	seq, err := n.broker.publish(ctx, said{req.ID, m.name, req.Text, now})
	if err != nil {
		return errNotStored
	}
	return m.conn.Write(ctx, websocket.Text, encode(ack{"ack", req.ID, seq}))
}
