package main

import (
	"bufio"
	"net"
	"net/http"
	"sync"

	"github.com/lxzan/gws"
)

var libGWS = Lib{
	Name: "gws", Module: "github.com/lxzan/gws",
	How:     "net/http handler, Upgrader.Upgrade, ReadLoop, WriteMessage in OnMessage",
	New:     gwsInHandler,
	UTF8:    true,
	Deflate: deflateModes,
	Detach:  true,
}

var libGWSServer = Lib{
	Name: "gws-server", Module: "github.com/lxzan/gws",
	How:     "gws.Server on the net.Listener (http.ReadRequest, no http.Server)",
	New:     gwsOnListener,
	UTF8:    true,
	Deflate: deflateModes,
}

func newGWS(cfg Config) (*gws.Server, *gwsHandler) {
	h := &gwsHandler{drain: cfg.Drain, keep: cfg.Broadcast}
	opt := &gws.ServerOption{
		ReadMaxPayloadSize:  readLimit,
		WriteMaxPayloadSize: readLimit,
		CheckUtf8Enabled:    true,
	}
	if cfg.Subprotocols {
		opt.SubProtocols = serverProtocols
	}
	if cfg.Deflate != noDeflate {
		keep, bits := cfg.Deflate != noTakeover, 15
		if cfg.Deflate == smallWindows {
			bits = 12 // its default with takeover
		}
		opt.PermessageDeflate = gws.PermessageDeflate{
			Enabled: true, Level: deflateLevel,
			ServerContextTakeover: keep, ClientContextTakeover: keep,
			ServerMaxWindowBits: bits, ClientMaxWindowBits: bits,
		}
		if cfg.DeflateAll {
			opt.PermessageDeflate.Threshold = 1
		}
	}
	srv := gws.NewServer(h, opt)
	srv.OnError = func(net.Conn, error) {} // it would log
	return srv, h
}

func gwsInHandler(cfg Config) Server {
	srv, h := newGWS(cfg)
	return Server{
		Handle: func(w http.ResponseWriter, r *http.Request, use func(Conn)) {
			c, err := srv.GetUpgrader().Upgrade(w, r)
			if err != nil {
				return
			}
			cfg.run(func() {
				use(&gwsConn{c, h})
				c.NetConn().Close()
			})
		},
		Prepare:   gwsPrepare,
		Broadcast: h.broadcast,
	}
}

func gwsOnListener(cfg Config) Server {
	srv, h := newGWS(cfg)
	return Server{
		Serve: srv.RunListener,
		// What RunListener does, for the benchmarks in process.
		ServeConn: func(nc net.Conn, use func(Conn)) {
			defer nc.Close()
			br := bufio.NewReader(nc)
			r, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			if c, err := srv.GetUpgrader().UpgradeFromConn(nc, br, r); err == nil {
				use(&gwsConn{c, h})
			}
		},
		Prepare:   gwsPrepare,
		Broadcast: h.broadcast,
	}
}

func gwsPrepare(text bool, p []byte) (func(Conn) error, func()) {
	b := gws.NewBroadcaster(gwsOp(text), p)
	return func(c Conn) error { return b.Broadcast(c.(*gwsConn).c) }, func() { b.Close() }
}

// gwsHandler echoes. With drain it counts instead, for one connection at a time.
type gwsHandler struct {
	gws.BuiltinEventHandler
	drain   bool
	msgs, n int
	keep    bool     // keep conns, for broadcast
	conns   sync.Map // by *gws.Conn
}

func (h *gwsHandler) OnOpen(c *gws.Conn) {
	if h.keep {
		h.conns.Store(c, true)
	}
}

func (h *gwsHandler) OnClose(c *gws.Conn, _ error) {
	if h.keep {
		h.conns.Delete(c)
	}
}

// broadcast skips nobody.
func (h *gwsHandler) broadcast(p []byte) (skipped int) {
	b := gws.NewBroadcaster(gws.OpcodeBinary, p)
	defer b.Close()
	for c := range h.conns.Range {
		b.Broadcast(c.(*gws.Conn))
	}
	return 0
}

func (h *gwsHandler) OnMessage(c *gws.Conn, m *gws.Message) {
	if h.drain {
		h.msgs, h.n = h.msgs+1, h.n+m.Data.Len()
	} else {
		c.WriteMessage(m.Opcode, m.Bytes())
	}
	m.Close()
}

type gwsConn struct {
	c *gws.Conn
	h *gwsHandler
}

func (c *gwsConn) Run() (msgs, n int) {
	msgs, n = c.h.msgs, c.h.n
	c.c.ReadLoop()
	return c.h.msgs - msgs, c.h.n - n
}

func (c *gwsConn) Write(text bool, p []byte) error { return c.c.WriteMessage(gwsOp(text), p) }

func gwsOp(text bool) gws.Opcode {
	if text {
		return gws.OpcodeText
	}
	return gws.OpcodeBinary
}
