package websocket_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

// TestPollerReadInVain: reads that are over before they begin take the turn for a
// moment each, and the Poller misses nothing for that.
func TestPollerReadInVain(t *testing.T) {
	s := wstest.NewServer(t, nil)
	p, err := websocket.NewPoller(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	c, peer := s.Connect()
	p.Serve(c, newWitness(t))
	over, cancel := context.WithCancel(t.Context())
	cancel()
	var stop atomic.Bool
	stopped := async(func() error {
		for !stop.Load() {
			if _, _, err := c.Read(over); err == nil {
				t.Error("a read that was over has got a message")
			}
		}
		return nil
	})
	defer func() {
		stop.Store(true)
		<-stopped
	}()
	for range 2000 {
		peer.SendText("x")
		peer.ExpectText("x")
	}
}

// TestPollerFlood: many small messages are not one turn.
func TestPollerFlood(t *testing.T) {
	s := wstest.NewServer(t, nil)
	p, err := websocket.NewPoller(&websocket.PollerOptions{MaxHandlers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	const flood = 1000
	var had int // of the flood; there is one call at a time
	begun, goOn := make(chan bool), make(chan bool)
	flooded, flooder := s.Connect()
	p.Serve(flooded, doing(t, func(*websocket.Conn, websocket.Message) error {
		if had++; had == 1 {
			begun <- true
			<-goOn
		}
		return nil
	}))
	var b []byte
	for range flood {
		b = append(b, wstest.Frame(frame.Text, true, []byte("x"))...)
	}
	flooder.Send(b...)
	<-begun

	c, peer := s.Connect()
	after := make(chan int, 1)
	p.Serve(c, doing(t, func(*websocket.Conn, websocket.Message) error {
		after <- had
		return nil
	}))
	peer.SendText("x") // it is in the queue since Serve
	goOn <- true
	if n := <-after; n >= flood/2 {
		t.Errorf("the other connection had its turn after %d messages of %d", n, flood)
	}
}
