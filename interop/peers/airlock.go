package main

import (
	"context"
	"net/http"

	"github.com/airlock-go/websocket"
)

// airlockFull has the largest windows, so that it has an answer to every demand.
var airlockFull = airlockEcho(&websocket.Options{
	MaxMessageSize: maxMessage,
	Compression:    &websocket.Compression{SendWindowBits: 15, ReceiveWindowBits: 15},
})

func airlockPlain(w http.ResponseWriter, r *http.Request) { airlockEcho(nil)(w, r) }

func airlockEcho(options *websocket.Options) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Upgrade(w, r, options)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		for m, err := range conn.Messages(context.Background()) {
			if err != nil {
				return
			}
			conn.Write(context.Background(), m.Type, m.Data)
		}
	}
}

func airlockClash(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	twoWriters(func(text []byte) error { return conn.Write(context.Background(), websocket.Text, text) })
}
