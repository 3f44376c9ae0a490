package websocket

import "net"

// newConn makes a connection over any stream.
func newConn(s stream, d decision, opts *Options) *Conn {
	c := new(Conn)
	c.init(s, &d, opts)
	return c
}

func newHijacked(conn net.Conn, early []byte) *hijacked {
	s := new(hijacked)
	s.init(conn, early)
	return s
}
