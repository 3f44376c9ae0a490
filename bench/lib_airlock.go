package main

import (
	"context"
	"net/http"

	"github.com/airlock-go/websocket"
)

var libAirlock = Lib{
	Name: "airlock", Module: "github.com/airlock-go/websocket",
	How:     "net/http handler, Upgrade, ReadAppend into a reused buffer, Write",
	New:     func(cfg Config) Server { return airlockServer(cfg, nil, runAirlockBlocking) },
	UTF8:    true,
	Deflate: deflateModes,
	Detach:  true,
	Skips:   true,
}

var libAirlockServe = Lib{
	Name: "airlock-serve", Module: "github.com/airlock-go/websocket",
	How:     "net/http handler that returns, Upgrade, go Serve, Write in OnMessage",
	New:     func(cfg Config) Server { return airlockServer(cfg, nil, runAirlockServe) },
	UTF8:    true,
	Deflate: deflateModes,
	Detach:  true, Returns: true,
	Skips: true,
}

// airlockWindows are the windows of the modes, in both directions.
var airlockWindows = map[string]int{noTakeover: -1, takeover: 15, smallWindows: 12}

// airlockOptions are those of a server, with a compressor of its own if it is not
// nil.
func airlockOptions(cfg Config, compress compressor) *websocket.Options {
	opts := &websocket.Options{MaxMessageSize: readLimit}
	if cfg.Deflate != noDeflate {
		bits := airlockWindows[cfg.Deflate]
		opts.Compression = &websocket.Compression{SendWindowBits: bits, ReceiveWindowBits: bits, Compress: compress}
		if cfg.DeflateAll {
			opts.Compression.Threshold = -1
		}
	}
	if cfg.Subprotocols {
		opts.Subprotocols = serverProtocols
	}
	if cfg.Broadcast {
		opts.Group = new(websocket.Group)
	}
	return opts
}

func airlockServer(cfg Config, compress compressor, run func(*airlockConn) (msgs, n int)) Server {
	opts := airlockOptions(cfg, compress)
	return Server{
		Handle: func(w http.ResponseWriter, r *http.Request, use func(Conn)) {
			c, err := websocket.Upgrade(w, r, opts)
			if err != nil {
				return
			}
			cfg.run(func() {
				use(&airlockConn{c: c, drain: cfg.Drain, run: run})
				c.CloseNow()
			})
		},
		Prepare:   airlockPrepare,
		Broadcast: airlockBroadcast(opts.Group),
	}
}

// airlockBroadcast returns a Server.Broadcast; nil without a group.
func airlockBroadcast(g *websocket.Group) func(p []byte) (skipped int) {
	if g == nil {
		return nil
	}
	return func(p []byte) int {
		m, err := websocket.NewPreparedMessage(websocket.Binary, p)
		if err != nil {
			panic(err) // only text can be wrong
		}
		return g.Broadcast(m)
	}
}

func airlockPrepare(text bool, p []byte) (func(Conn) error, func()) {
	m, err := websocket.NewPreparedMessage(airlockType(text), p)
	return func(c Conn) error {
		if err != nil {
			return err
		}
		return c.(*airlockConn).c.WritePrepared(context.Background(), m)
	}, func() {}
}

func airlockType(text bool) websocket.MessageType {
	if text {
		return websocket.Text
	}
	return websocket.Binary
}

// compressor is the type of websocket.Compression.Compress.
type compressor = func(dst, dict, p []byte) ([]byte, error)

type airlockConn struct {
	c     *websocket.Conn
	drain bool
	run   func(*airlockConn) (msgs, n int)
}

func (c *airlockConn) Run() (msgs, n int) { return c.run(c) }

func (c *airlockConn) Write(text bool, p []byte) error {
	return c.c.Write(context.Background(), airlockType(text), p)
}

func runAirlockBlocking(c *airlockConn) (msgs, n int) {
	ctx := context.Background() // that of the request ends with the handler
	var buf []byte
	for {
		typ, p, err := c.c.ReadAppend(ctx, buf[:0])
		if err != nil {
			return msgs, n
		}
		buf = p
		msgs, n = msgs+1, n+len(p)
		if !c.drain && c.c.Write(ctx, typ, p) != nil {
			return msgs, n
		}
	}
}

func runAirlockServe(c *airlockConn) (msgs, n int) {
	h := airlockHandler{drain: c.drain}
	c.c.Serve(&h)
	return h.msgs, h.n
}

type airlockHandler struct {
	drain   bool
	msgs, n int
}

func (h *airlockHandler) OnMessage(c *websocket.Conn, m websocket.Message) error {
	h.msgs, h.n = h.msgs+1, h.n+len(m.Data)
	if h.drain {
		return nil
	}
	return c.Write(context.Background(), m.Type, m.Data)
}

func (h *airlockHandler) OnClose(*websocket.Conn, error) {}
