package main

import (
	"net/http"
	"slices"

	"golang.org/x/net/websocket"
)

var libXNet = Lib{
	Name: "xnet", Module: "golang.org/x/net",
	How:     "net/http handler, websocket.Server, a Codec that keeps the message type",
	New:     xnetServer,
	Partial: true, // a fragment is a message to it
}

func xnetServer(cfg Config) Server {
	return Server{
		Handle: func(w http.ResponseWriter, r *http.Request, use func(Conn)) {
			websocket.Server{
				Handshake: func(c *websocket.Config, _ *http.Request) error {
					if cfg.Subprotocols {
						c.Protocol = slices.DeleteFunc(c.Protocol, func(p string) bool { return p != serverProtocols[0] })
					}
					return nil
				},
				Handler: func(c *websocket.Conn) {
					c.MaxPayloadBytes = readLimit
					use(&xnetConn{c, cfg.Drain}) // it closes when this returns, so it cannot be detached
				},
			}.ServeHTTP(w, r)
		},
	}
}

type xnetMsg struct {
	typ byte
	p   []byte
}

var xnetCodec = websocket.Codec{
	Marshal:   func(v any) ([]byte, byte, error) { m := v.(*xnetMsg); return m.p, m.typ, nil },
	Unmarshal: func(p []byte, typ byte, v any) error { *v.(*xnetMsg) = xnetMsg{typ, p}; return nil },
}

type xnetConn struct {
	c     *websocket.Conn
	drain bool
}

func (c *xnetConn) Run() (msgs, n int) {
	var m xnetMsg
	for {
		if xnetCodec.Receive(c.c, &m) != nil {
			return msgs, n
		}
		msgs, n = msgs+1, n+len(m.p)
		if !c.drain && xnetCodec.Send(c.c, &m) != nil {
			return msgs, n
		}
	}
}

func (c *xnetConn) Write(text bool, p []byte) error {
	m := xnetMsg{websocket.BinaryFrame, p}
	if text {
		m.typ = websocket.TextFrame
	}
	return xnetCodec.Send(c.c, &m)
}
