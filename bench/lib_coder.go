package main

import (
	"context"
	"net/http"

	"github.com/coder/websocket"
)

var libCoder = Lib{
	Name: "coder", Module: "github.com/coder/websocket",
	How:     "net/http handler, Accept, Read/Write with context.Background()",
	New:     coderServer,
	Deflate: []string{noTakeover, takeover},
	Detach:  true,
}

func coderServer(cfg Config) Server {
	opts := &websocket.AcceptOptions{}
	if cfg.DeflateAll {
		opts.CompressionThreshold = 1
	}
	switch cfg.Deflate {
	case noTakeover:
		opts.CompressionMode = websocket.CompressionNoContextTakeover
	case takeover:
		opts.CompressionMode = websocket.CompressionContextTakeover
	}
	if cfg.Subprotocols {
		opts.Subprotocols = serverProtocols
	}
	return Server{
		Handle: func(w http.ResponseWriter, r *http.Request, use func(Conn)) {
			c, err := websocket.Accept(w, r, opts)
			if err != nil {
				return
			}
			c.SetReadLimit(readLimit)
			cfg.run(func() {
				use(&coderConn{c, cfg.Drain})
				c.CloseNow()
			})
		},
	}
}

type coderConn struct {
	c     *websocket.Conn
	drain bool
}

func (c *coderConn) Run() (msgs, n int) {
	ctx := context.Background()
	for {
		t, p, err := c.c.Read(ctx)
		if err != nil {
			return msgs, n
		}
		msgs, n = msgs+1, n+len(p)
		if !c.drain && c.c.Write(ctx, t, p) != nil {
			return msgs, n
		}
	}
}

func (c *coderConn) Write(text bool, p []byte) error {
	t := websocket.MessageBinary
	if text {
		t = websocket.MessageText
	}
	return c.c.Write(context.Background(), t, p)
}
