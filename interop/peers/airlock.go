package main

import (
	"context"
	"net/http"

	"github.com/airlock-go/websocket"
)

var airlockFull = airlockEcho(&websocket.Options{MaxMessageSize: maxMessage})

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
