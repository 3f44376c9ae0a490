package websocket_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/internal/wstest"
)

// frugalConn is a ResponseWriter, and the connection that is hijacked from it, which
// costs next to nothing itself and may be used again. The same bytes come for ever;
// what is written is taken, and only counted.
type frugalConn struct {
	net.Conn // nil: there is none
	header   http.Header
	buffered *bufio.ReadWriter
	response string // what was written first

	coming  []byte      // what comes, no more than once in a Read
	rest    []byte      // of it
	next    func() bool // if not nil, waits until it comes again; false: it does not
	written int
}

func newFrugalConn(coming []byte) *frugalConn {
	return &frugalConn{
		header:   make(http.Header),
		buffered: bufio.NewReadWriter(bufio.NewReader(strings.NewReader("")), bufio.NewWriter(io.Discard)),
		coming:   coming,
	}
}

func (c *frugalConn) Header() http.Header { return c.header }
func (c *frugalConn) WriteHeader(int)     {}

func (c *frugalConn) Hijack() (net.Conn, *bufio.ReadWriter, error) { return c, c.buffered, nil }

func (c *frugalConn) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		if c.next != nil && !c.next() {
			return 0, io.EOF
		}
		c.rest = c.coming
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *frugalConn) Write(p []byte) (int, error) {
	if c.response == "" {
		c.response = string(p)
	}
	c.written += len(p)
	return len(p), nil
}

func (c *frugalConn) Close() error                     { return nil }
func (c *frugalConn) SetDeadline(time.Time) error      { return nil }
func (c *frugalConn) SetReadDeadline(time.Time) error  { return nil }
func (c *frugalConn) SetWriteDeadline(time.Time) error { return nil }

// upgradeFrugally makes a connection on which coming comes.
func upgradeFrugally(tb testing.TB, opts *websocket.Options, coming []byte, edits ...string) (*websocket.Conn, *frugalConn) {
	tb.Helper()
	if opts != nil && opts.Compression != nil {
		edits = append(slices.Clone(edits), extend("permessage-deflate; client_max_window_bits")...)
	}
	conn := newFrugalConn(coming)
	c, err := websocket.Upgrade(conn, wstest.Request(edits...), opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.CloseNow() })
	return c, conn
}
