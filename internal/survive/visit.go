package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/airlock-go/websocket"
)

// A visit is the server's account of a connection, and its handler.
type visit struct {
	server *server
	conn   *websocket.Conn
	state  atomic.Int32

	mu               sync.Mutex
	offered, skipped uint64 // broadcasts with an odd number
}

// The states of a visit: its handler is told one thing at a time.
const (
	waiting int32 = iota
	inMessage
	ended
)

func (v *visit) OnMessage(c *websocket.Conn, m websocket.Message) error {
	if !v.state.CompareAndSwap(waiting, inMessage) {
		v.server.complain("OnMessage was called during another call, or after OnClose")
	}
	defer v.state.CompareAndSwap(inMessage, waiting)
	n, err := parseNote(m.Data)
	switch {
	case err != nil:
	case n.kind == echo:
		if err = c.Write(context.Background(), m.Type, m.Data); err == nil {
			v.server.echoed.Add(1)
		}
		return err
	case n.kind == question:
		return v.answer()
	default:
		err = errors.New("it is of no kind that clients send")
	}
	v.server.complain("a message that no client has sent: " + err.Error())
	return err
}

func (v *visit) OnClose(c *websocket.Conn, err error) {
	if !v.state.CompareAndSwap(waiting, ended) {
		v.server.complain("OnClose was called twice, or during another call")
	}
	if websocket.CloseStatus(err) < 0 {
		v.server.complain(fmt.Sprintf("OnClose was told %v", err))
	}
	v.server.closed.Add(1)
	v.server.mu.Lock()
	defer v.server.mu.Unlock()
	delete(v.server.visits, c)
	v.server.ends[cause(err)]++
}

// cause says in a word why a connection has ended.
func cause(err error) string {
	for _, limit := range []error{websocket.ErrKeepAlive, websocket.ErrSlowMessage, websocket.ErrWriteTimeout} {
		if errors.Is(err, limit) {
			return limit.Error()
		}
	}
	return websocket.CloseStatus(err).String()
}

// offer puts a broadcast in the queue.
func (v *visit) offer(m *websocket.PreparedMessage) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.offered++
	if v.server.offer(v.conn, m) != nil {
		v.skipped++ // or the connection has ended, and nobody will ask
	}
}

// answer tells how many broadcasts there were, behind the last of them.
func (v *visit) answer() error {
	v.mu.Lock()
	err := v.conn.TrySend(websocket.Text, note{answer, v.offered, v.skipped}.bytes(0))
	v.mu.Unlock()
	if errors.Is(err, websocket.ErrBackpressure) {
		return v.conn.Write(context.Background(), websocket.Text, note{kind: later}.bytes(0))
	}
	return err
}
