package main

import (
	"bufio"
	"io"
	"net"
	"slices"
	"unicode/utf8"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
)

var libGobwasRaw = Lib{
	Name: "gobwas-raw", Module: "github.com/gobwas/ws",
	How:     "ws.Upgrader on the net.Listener, ReadHeader, Cipher, a reused buffer, our UTF-8 check: the toolkit's bound, not a server",
	New:     gobwasRawServer,
	UTF8:    true,
	Partial: true,
}

func gobwasRawServer(cfg Config) Server {
	up := ws.Upgrader{}
	if cfg.Subprotocols {
		up.Protocol = func(p []byte) bool { return slices.Contains(serverProtocols, string(p)) }
	}
	return Server{
		ServeConn: func(nc net.Conn, use func(Conn)) {
			defer nc.Close()
			u := up
			if cfg.Deflate != noDeflate { // handshake cost only: Run knows no compression
				ext := wsflate.Extension{Parameters: wsflate.DefaultParameters}
				u.Negotiate = func(o httphead.Option) (httphead.Option, error) { return ext.Negotiate(o) }
			}
			if _, err := u.Upgrade(nc); err != nil {
				return
			}
			use(&gobwasRawConn{nc: nc, drain: cfg.Drain})
		},
		Prepare: gobwasPrepare,
	}
}

type gobwasRawConn struct {
	nc    net.Conn
	drain bool
	out   []byte
}

func (c *gobwasRawConn) netConn() net.Conn { return c.nc }

func (c *gobwasRawConn) Run() (msgs, n int) {
	const headroom = 10 // for the header of the echo, so that it goes out in one Write
	br := bufio.NewReader(c.nc)
	buf := make([]byte, headroom+512)
	for {
		h, err := ws.ReadHeader(br)
		if err != nil || !h.Fin || !h.OpCode.IsData() || !h.Masked || h.Length > readLimit {
			return msgs, n
		}
		if need := headroom + int(h.Length); need > len(buf) {
			buf = make([]byte, need)
		}
		p := buf[headroom : headroom+int(h.Length)]
		if _, err := io.ReadFull(br, p); err != nil {
			return msgs, n
		}
		ws.Cipher(p, h.Mask, 0)
		if h.OpCode == ws.OpText && !utf8.Valid(p) {
			ws.WriteFrame(c.nc, ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusInvalidFramePayloadData, "")))
			return msgs, n
		}
		msgs, n = msgs+1, n+len(p)
		if c.drain {
			continue
		}
		out := ws.Header{Fin: true, OpCode: h.OpCode, Length: h.Length}
		start := headroom - ws.HeaderSize(out)
		ws.WriteHeader(sliceWriter{buf[start:]}, out)
		if _, err := c.nc.Write(buf[start : headroom+len(p)]); err != nil {
			return msgs, n
		}
	}
}

func (c *gobwasRawConn) Write(text bool, p []byte) error {
	h := ws.Header{Fin: true, OpCode: gobwasOp(text), Length: int64(len(p))}
	if need := ws.HeaderSize(h) + len(p); cap(c.out) < need {
		c.out = make([]byte, need)
	}
	out := c.out[:ws.HeaderSize(h)+len(p)]
	ws.WriteHeader(sliceWriter{out}, h)
	copy(out[ws.HeaderSize(h):], p)
	_, err := c.nc.Write(out)
	return err
}

// sliceWriter writes to the start of a slice.
type sliceWriter struct{ p []byte }

func (w sliceWriter) Write(p []byte) (int, error) { return copy(w.p, p), nil }
