package main

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// coderPlain is its internal/examples/echo, without the subprotocol that it
// demands and the limit on the rate of messages.
func coderPlain(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	coderEcho(conn)
}

func coderFull(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		CompressionMode: websocket.CompressionContextTakeover,
	})
	if err != nil {
		return
	}
	conn.SetReadLimit(maxMessage)
	coderEcho(conn)
}

func coderEcho(conn *websocket.Conn) {
	defer conn.CloseNow()
	for coderEchoOne(conn) == nil {
	}
}

// coderEchoOne has 10 seconds for a message, as in the example.
func coderEchoOne(conn *websocket.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	typ, r, err := conn.Reader(ctx)
	if err != nil {
		return err
	}
	w, err := conn.Writer(ctx, typ)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, r); err != nil {
		return err
	}
	return w.Close()
}

func coderClash(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	twoWriters(func(text []byte) error { return conn.Write(context.Background(), websocket.MessageText, text) })
}
