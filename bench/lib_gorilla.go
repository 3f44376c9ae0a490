package main

import (
	"bytes"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

var libGorilla = Lib{
	Name: "gorilla", Module: "github.com/gorilla/websocket",
	How:     "net/http handler, default Upgrader, ReadMessage/WriteMessage",
	New:     func(cfg Config) Server { return gorillaServer(cfg, false) },
	Deflate: []string{noTakeover},
	Detach:  true,
}

var libGorillaTuned = Lib{
	Name: "gorilla-tuned", Module: "github.com/gorilla/websocket",
	How:     "net/http handler, 1 KiB read buffer, WriteBufferPool, NextReader into a reused buffer",
	New:     func(cfg Config) Server { return gorillaServer(cfg, true) },
	Deflate: []string{noTakeover},
	Detach:  true,
}

func gorillaServer(cfg Config, tuned bool) Server {
	up := websocket.Upgrader{EnableCompression: cfg.Deflate != noDeflate}
	if tuned {
		up.ReadBufferSize = 1024
		up.WriteBufferPool = &sync.Pool{}
	}
	if cfg.Subprotocols {
		up.Subprotocols = serverProtocols
	}
	return Server{
		Handle: func(w http.ResponseWriter, r *http.Request, use func(Conn)) {
			c, err := up.Upgrade(w, r, nil)
			if err != nil {
				return
			}
			c.SetReadLimit(readLimit)
			cfg.run(func() {
				use(&gorillaConn{Conn: c, drain: cfg.Drain, tuned: tuned})
				c.Close()
			})
		},
		Prepare: func(text bool, p []byte) (func(Conn) error, func()) {
			pm, err := websocket.NewPreparedMessage(gorillaType(text), p)
			return func(c Conn) error {
				if err != nil {
					return err
				}
				return c.(*gorillaConn).WritePreparedMessage(pm)
			}, func() {}
		},
	}
}

type gorillaConn struct {
	*websocket.Conn
	drain, tuned bool
	buf          bytes.Buffer
}

func (c *gorillaConn) Run() (msgs, n int) {
	for {
		t, p, err := c.read()
		if err != nil {
			return msgs, n
		}
		msgs, n = msgs+1, n+len(p)
		if !c.drain && c.WriteMessage(t, p) != nil {
			return msgs, n
		}
	}
}

func (c *gorillaConn) read() (int, []byte, error) {
	if !c.tuned {
		return c.ReadMessage()
	}
	t, r, err := c.NextReader()
	if err != nil {
		return 0, nil, err
	}
	c.buf.Reset()
	_, err = c.buf.ReadFrom(r)
	return t, c.buf.Bytes(), err
}

func (c *gorillaConn) Write(text bool, p []byte) error {
	return c.WriteMessage(gorillaType(text), p)
}

func gorillaType(text bool) int {
	if text {
		return websocket.TextMessage
	}
	return websocket.BinaryMessage
}
