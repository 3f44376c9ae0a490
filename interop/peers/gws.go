package main

import (
	"log"
	"net/http"
	"time"

	"github.com/lxzan/gws"
)

// gwsOptions are those of its examples/echo, a limit, and windows of 15 bits: of
// the 12 that it has by default it tells every client, and clients must not put
// up with client_max_window_bits when they did not offer it.
var gwsOptions = &gws.ServerOption{
	CheckUtf8Enabled: true,
	PermessageDeflate: gws.PermessageDeflate{
		Enabled: true, ServerContextTakeover: true, ClientContextTakeover: true,
		ServerMaxWindowBits: 15, ClientMaxWindowBits: 15,
	},
	ReadMaxPayloadSize:  maxMessage,
	WriteMaxPayloadSize: maxMessage,
}

// gwsServer is its examples/echo.
func gwsServer(options *gws.ServerOption) http.HandlerFunc {
	return gwsHandler(&gwsEcho{full: options != nil}, options)
}

func gwsHandler(events gws.Event, options *gws.ServerOption) http.HandlerFunc {
	upgrader := gws.NewUpgrader(events, options)
	return func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r)
		if err != nil {
			return
		}
		go gwsRead(conn)
	}
}

// gwsRead catches a panic in the library, which would be the end of the whole
// server.
func gwsRead(conn *gws.Conn) {
	defer func() {
		if wrong := recover(); wrong != nil {
			log.Printf("panic: %v", wrong)
			conn.NetConn().Close()
		}
	}()
	conn.ReadLoop()
}

type gwsEcho struct {
	gws.BuiltinEventHandler
	full bool
}

func (h *gwsEcho) OnPing(conn *gws.Conn, payload []byte) { conn.WritePong(payload) }

func (h *gwsEcho) OnMessage(conn *gws.Conn, m *gws.Message) {
	defer m.Close()
	if h.full {
		conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	}
	conn.WriteMessage(m.Opcode, m.Bytes())
}

type gwsWriters struct{ gws.BuiltinEventHandler }

func (gwsWriters) OnOpen(conn *gws.Conn) {
	go twoWriters(func(text []byte) error { return conn.WriteMessage(gws.OpcodeText, text) })
}

var gwsClash = gwsHandler(gwsWriters{}, nil)
