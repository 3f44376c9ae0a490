//go:build !race

package websocket_test

import (
	"context"
	"testing"
	"time"

	"github.com/airlock-go/websocket"
)

// TestHTTP2WriteBesideReturn: a handler that returns while a Write is under way, and has
// not closed the connection, has a data race in net/http. The Write returns all the
// same, whether the client helps or not, and so does every later one.
func TestHTTP2WriteBesideReturn(t *testing.T) {
	written := make(chan error, 1)
	conns := make(chan *websocket.Conn, 1)
	s := serveStreams(t, handling(t, &websocket.Options{WriteTimeout: -1}, func(c *websocket.Conn) {
		go func() {
			var err error
			for err == nil {
				err = c.Write(context.Background(), websocket.Binary, make([]byte, 10_000))
			}
			written <- err
		}()
		conns <- c
		c.Read(context.Background())
	}))
	for _, leaves := range []bool{true, false} {
		p, stream := peerOn(t, s.dial())
		stream.Hold(true)
		c := <-conns
		for last := uint64(0); last == 0 || c.Stats().BytesSent != last; pause(10 * time.Millisecond) {
			last = c.Stats().BytesSent
		}
		p.SendText("return")
		pause(10 * time.Millisecond)
		if leaves {
			stream.Close()
		}
		if err := <-written; err != c.Err() {
			t.Errorf("Write = %v, the connection has ended with %v", err, c.Err())
		}
		checkEnd(t, c, websocket.CloseAbnormal, "", false)
	}
}
