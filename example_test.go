package websocket_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/airlock-go/websocket"
)

// The whole of an echo server: one call in a handler, one loop.
func echo(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Upgrade(w, r, nil)
	if err != nil {
		return // the client has been told why
	}
	defer c.CloseNow()
	for m, err := range c.Messages(context.Background()) {
		if err != nil {
			log.Print(err)
			return
		}
		// A write that fails ends the connection, and so the loop.
		c.Write(context.Background(), m.Type, m.Data)
	}
}

func Example() {
	http.HandleFunc("/echo", echo)
}

// Refusing a version of the protocol with 501 in place of 426, and every refusal
// in JSON.
func ExampleOptions_onReject() {
	opts := &websocket.Options{
		OnReject: func(w http.ResponseWriter, r *http.Request, err *websocket.HandshakeError) {
			status := err.Status
			if status == http.StatusUpgradeRequired && websocket.IsUpgrade(r) {
				status = http.StatusNotImplemented
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"error": %q}`, err.Reason())
		},
	}
	http.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Upgrade(w, r, opts)
		if err != nil {
			return
		}
		defer c.CloseNow()
	})
}

// Looking at a session before the connection is made. Only the text given to
// Reject reaches the client.
func ExampleReject() {
	opts := &websocket.Options{
		Authorize: func(r *http.Request) error {
			if _, err := r.Cookie("session"); err != nil {
				return websocket.Reject(http.StatusUnauthorized, "log in first")
			}
			return nil
		},
	}
	_ = opts
}

// A read that waits for a while and then does something else. Nothing is lost:
// the next read goes on, even in the middle of a message.
func ExampleConn_Read() {
	handle := func(c *websocket.Conn) error {
		for {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			typ, data, err := c.Read(ctx)
			cancel()
			switch {
			case err == nil:
				log.Printf("%v message: %q", typ, data)
			case websocket.CloseStatus(err) == -1 && errors.Is(err, context.DeadlineExceeded):
				log.Print("nothing came for a second")
			default:
				return err // the connection has ended
			}
		}
	}
	_ = handle
}
