package main

import (
	"net"
	"net/http"
)

// The floors: what no WebSocket library can beat.

var libHijackOnly = Lib{
	Name: "hijack-only", How: "net/http handler that hijacks, writes a constant 101 and echoes bytes",
	New:    hijackOnlyServer,
	Detach: true, Raw: true,
}

var libRawTCP = Lib{
	Name: "raw-tcp", How: "echoes bytes on an accepted net.Conn: no HTTP, no WebSocket",
	New: rawTCPServer,
	Raw: true, NoHTTP: true,
}

func hijackOnlyServer(cfg Config) Server {
	return Server{Handle: func(w http.ResponseWriter, _ *http.Request, use func(Conn)) {
		nc, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		nc.Write(constant101)
		cfg.run(func() {
			use(&rawConn{nc})
			nc.Close()
		})
	}}
}

func rawTCPServer(Config) Server {
	return Server{ServeConn: func(nc net.Conn, use func(Conn)) {
		defer nc.Close()
		use(&rawConn{nc})
	}}
}

// constant101 answers the one key that the client sends.
var constant101 = []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: " + clientAccept + "\r\n\r\n")

type rawConn struct{ nc net.Conn }

func (c *rawConn) Run() (msgs, n int) {
	buf := make([]byte, 2048)
	for {
		k, err := c.nc.Read(buf)
		if err != nil {
			return msgs, n
		}
		msgs, n = msgs+1, n+k
		if _, err := c.nc.Write(buf[:k]); err != nil {
			return msgs, n
		}
		if k == len(buf) && k < 1<<20 {
			buf = make([]byte, 2*k)
		}
	}
}

func (c *rawConn) Write(_ bool, p []byte) error {
	_, err := c.nc.Write(p)
	return err
}
