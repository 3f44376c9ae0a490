package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// memConn is a net.Conn in memory. It reads head once, then frame so many
// times, never more than one of them in a Read, as from a peer that waits for
// each answer; then EOF. What is written it copies away, as a kernel does, so
// that a library which writes without copying does not look free.
type memConn struct {
	head, frame   []byte
	left          int // times that frame is still to be read
	off           int
	reads, writes int
	keep          *bytes.Buffer // if set, gets what is written
	total         *atomic.Int64 // if set, counts the bytes written
	sink          [16 << 10]byte
}

func (c *memConn) reset(head, frame []byte, times int) {
	c.head, c.frame, c.left, c.off = head, frame, times, 0
	c.reads, c.writes = 0, 0
}

func (c *memConn) Read(p []byte) (int, error) {
	c.reads++
	if len(c.head) > 0 {
		n := copy(p, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	if c.left == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.frame[c.off:])
	if c.off += n; c.off == len(c.frame) {
		c.off = 0
		c.left--
	}
	return n, nil
}

func (c *memConn) Write(p []byte) (int, error) {
	c.writes++
	if c.keep != nil {
		c.keep.Write(p)
	}
	for rest := p; len(rest) > 0; {
		rest = rest[copy(c.sink[:], rest):]
	}
	if c.total != nil {
		c.total.Add(int64(len(p)))
	}
	return len(p), nil
}

var memAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}

func (c *memConn) Close() error                     { return nil }
func (c *memConn) LocalAddr() net.Addr              { return memAddr }
func (c *memConn) RemoteAddr() net.Addr             { return memAddr }
func (c *memConn) SetDeadline(time.Time) error      { return nil }
func (c *memConn) SetReadDeadline(time.Time) error  { return nil }
func (c *memConn) SetWriteDeadline(time.Time) error { return nil }

// memUpgrade is an http.ResponseWriter that hijacks a memConn. It is reused
// from one upgrade to the next, so that only the library's own cost shows;
// net/http's is in the workloads with sockets.
type memUpgrade struct {
	conn memConn
	req  *http.Request
	hdr  http.Header
	brw  *bufio.ReadWriter
}

func newMemUpgrade(request []byte) *memUpgrade {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request)))
	if err != nil {
		panic(err) // the request is our own
	}
	r.RemoteAddr = memAddr.String()
	return &memUpgrade{
		req: r,
		hdr: http.Header{},
		brw: bufio.NewReadWriter(bufio.NewReader(nil), bufio.NewWriter(nil)),
	}
}

func (u *memUpgrade) reset(frame []byte, times int) {
	u.conn.reset(nil, frame, times)
	clear(u.hdr)
	u.brw.Reader.Reset(&u.conn)
	u.brw.Writer.Reset(&u.conn)
}

func (u *memUpgrade) Header() http.Header         { return u.hdr }
func (u *memUpgrade) Write(p []byte) (int, error) { return u.conn.Write(p) }

// WriteHeader is for libraries that let net/http write the 101.
func (u *memUpgrade) WriteHeader(int) {
	io.WriteString(u.brw.Writer, "HTTP/1.1 101 Switching Protocols\r\n")
	u.hdr.Write(u.brw.Writer)
	io.WriteString(u.brw.Writer, "\r\n")
	u.brw.Writer.Flush()
}

func (u *memUpgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) { return &u.conn, u.brw, nil }
