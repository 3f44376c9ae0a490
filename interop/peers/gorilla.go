package main

import (
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

// gorillaPlain is its examples/echo.
func gorillaPlain(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	gorillaEcho(conn, func() {})
}

func gorillaFull(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{EnableCompression: true}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	conn.SetReadLimit(maxMessage)
	gorillaEcho(conn, func() { conn.SetWriteDeadline(time.Now().Add(writeTimeout)) })
}

func gorillaEcho(conn *websocket.Conn, beforeWrite func()) {
	defer conn.Close()
	for {
		typ, data, err := conn.ReadMessage()
		if err != nil {
			return
		}
		beforeWrite()
		if err := conn.WriteMessage(typ, data); err != nil {
			return
		}
	}
}

func gorillaClash(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	twoWriters(func(text []byte) error { return conn.WriteMessage(websocket.TextMessage, text) })
}
