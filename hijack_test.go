package websocket_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

// Fields of the handler and its middleware, and what becomes of them in a 101.
var fieldRows = []struct {
	name string
	set  http.Header
	want http.Header // in the response
}{
	{"cookies", http.Header{"Set-Cookie": {"a=b; HttpOnly", "c=d"}}, http.Header{"Set-Cookie": {"a=b; HttpOnly", "c=d"}}},
	{"sorted", http.Header{"X-B": {"2"}, "Server": {"s"}, "X-A": {"1"}}, http.Header{"Server": {"s"}, "X-A": {"1"}, "X-B": {"2"}}},
	{"name as it is", http.Header{"x-request-ID": {"7"}}, http.Header{"x-request-ID": {"7"}}},
	{"value as it is", http.Header{"X-A": {"", " \t", "\u00e4\xff:,;\"", "\x01\x7f"}}, http.Header{"X-A": {"", " \t", "\u00e4\xff:,;\"", "\x01\x7f"}}},
	{"no values", http.Header{"X-A": {}, "X-B": nil}, nil},
	{"of the handshake", http.Header{"Connection": {"keep-alive"}, "Upgrade": {"h2c"}}, nil},
	{"of the connection", http.Header{"Keep-Alive": {"timeout=5"}, "Transfer-Encoding": {"chunked"}, "Trailer": {"X-Sum"}}, nil},
	{"of a body", http.Header{"Content-Length": {"5"}, "Content-Type": {"text/html"}, "Content-Encoding": {"gzip"}, "Content-Security-Policy": {"x"}}, nil},
	{"small letters", http.Header{"connection": {"close"}, "upgrade": {"x"}, "keep-alive": {"x"}, "transfer-encoding": {"x"}, "trailer": {"x"}, "content-length": {"5"}}, nil},
	{"mixed letters", http.Header{"CONNECTION": {"close"}, "uPgRaDe": {"x"}, "KEEP-alive": {"x"}, "Transfer-encoding": {"x"}, "TRAILER": {"x"}, "CONTENT-length": {"5"}}, nil},
	{"trailers", http.Header{http.TrailerPrefix + "X-Sum": {"1"}, "trailer:x-sum": {"2"}}, nil},
	{"left out, whatever is in it", http.Header{"Content-Type": {"a\r\nb"}, "Connection": {"\x00"}, "Content-\r\nX": {"x"}}, nil},
	{"similar names", http.Header{"Connections": {"x"}, "X-Upgrade": {"x"}, "Sec-Websocket": {"x"}, "Sec-Fetch-Mode": {"x"}, "Content": {"x"}, "Trailers": {"x"}},
		http.Header{"Connections": {"x"}, "X-Upgrade": {"x"}, "Sec-Websocket": {"x"}, "Sec-Fetch-Mode": {"x"}, "Content": {"x"}, "Trailers": {"x"}}},
}

func TestSwitchFields(t *testing.T) {
	for _, tt := range fieldRows {
		t.Run(tt.name, func(t *testing.T) {
			for _, v := range []venue{plainVenue, tlsVenue} {
				e := newEndpoint(t, v, speak("a"))
				e.before = func(w http.ResponseWriter) {
					for name, values := range tt.set {
						w.Header()[name] = values
					}
				}
				c := e.send(t, wstest.Handshake("Sec-WebSocket-Protocol: a"))
				if got, want := c.readHead(t).head, switching("", "a", tt.want); got != want {
					t.Errorf("%s: with %q\n got %q\nwant %q", v.name, tt.set, got, want)
				}
				e.checkOpen(t, c, &handshakeRow{protocol: "a"})
			}
		})
	}
}

// forbiddenFields are those that would change the handshake or break out of it,
// and the words with which the returned error names them.
var forbiddenFields = []struct {
	name, value, words string
}{
	{"Sec-Websocket-Accept", "x", "Sec-Websocket-Accept"},
	{"Sec-WebSocket-Accept", "x", "Sec-WebSocket-Accept"},
	{"sec-websocket-protocol", "a", "sec-websocket-protocol"},
	{"SEC-WEBSOCKET-EXTENSIONS", "permessage-deflate", "SEC-WEBSOCKET-EXTENSIONS"},
	{"Sec-Websocket-Anything", "", "Sec-Websocket-Anything"},
	{"Sec-Websocket-", "", "Sec-Websocket-"},
	{"X-A", "a\r\nSet-Cookie: b", "X-A"},
	{"X-A", "a\n", "X-A"},
	{"X-A", "\r", "X-A"},
	{"X-A", "\x00", "X-A"},
	{"X-A\r\nX-B", "x", `"X-A\r\nX-B"`},
	{"X-A: b", "x", `"X-A: b"`},
	{"X A", "x", `"X A"`},
	{"Upgrade ", "x", `"Upgrade "`},
	{"", "x", `""`},
	{"X-\u00e4", "x", "no token"},
}

func TestSwitchForbiddenFields(t *testing.T) {
	for _, tt := range forbiddenFields {
		t.Run(fmt.Sprintf("14 %q: %q", tt.name, tt.value), func(t *testing.T) {
			e := newEndpoint(t, plainVenue, &websocket.Options{Authorize: func(*http.Request) error {
				t.Error("Authorize was called")
				return nil
			}})
			e.before = func(w http.ResponseWriter) { w.Header()[tt.name] = []string{"fine", tt.value} }
			// Of the field itself, net/http writes what it thinks fit.
			got := e.send(t, wstest.Handshake()+secondRequest).readRefusal(t)
			if got.status != 500 || got.body != "Internal Server Error\n" || got.header.Get("Connection") != "close" {
				t.Errorf("got %q%q, want 500 and no more", got.head, got.body)
			}
			if u := e.result(t); u.err == nil || !strings.Contains(u.err.Error(), tt.words) {
				t.Errorf("Upgrade = %v, want an error with %s", u.err, tt.words)
			}
			if n := e.calls.Load(); n != 1 {
				t.Errorf("the handler was called %d times, want 1", n)
			}
		})
	}
}

// Authorize and SelectSubprotocol run when the header has been checked. What
// they set passes the same check, before anything is hijacked.
func TestSwitchFieldsOfHooks(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		want        int
	}{
		{"Set-Cookie", "session=1", 101},
		{"Sec-WebSocket-Protocol", "b", 500},
		{"X-A", "a\r\nb", 500},
	} {
		for _, hook := range []string{"Authorize", "SelectSubprotocol"} {
			w := newFakeWriter()
			opts := new(websocket.Options)
			if hook == "Authorize" {
				opts.Authorize = func(*http.Request) error { w.Header()[tt.name] = []string{tt.value}; return nil }
			} else {
				opts.SelectSubprotocol = func(*http.Request, []string) (string, error) {
					w.Header()[tt.name] = []string{tt.value}
					return "", nil
				}
			}
			a := w.answer(t, wstest.Request(), opts)
			if a.status != tt.want || (a.hijacked > 0) != (tt.want == 101) {
				t.Errorf("%s sets %s: %q: got %d, hijacked %d times, want %d", hook, tt.name, tt.value, a.status, a.hijacked, tt.want)
			}
			if want := switching("", "", http.Header{tt.name: {tt.value}}); tt.want == 101 && a.body != want {
				t.Errorf("%s sets %s: %q: got %q, want %q", hook, tt.name, tt.value, a.body, want)
			}
			if a.err != nil && !strings.Contains(a.err.Error(), tt.name) {
				t.Errorf("%s sets %s: %q: error %q does not name it", hook, tt.name, tt.value, a.err)
			}
		}
	}
}

// TestEarlyData: what the client sends behind its request, without waiting for
// the answer, are the first frames that are read.
func TestEarlyData(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 20<<10/16) // several buffers of net/http
	text := func(s string) string { return string(wstest.Frame(frame.Text, true, []byte(s))) }
	for _, tt := range []struct {
		name         string
		with, behind string // the request; the response
		want         []string
	}{
		{"a message", text("early"), "", []string{"early"}},
		{"the first byte", text("early")[:1], text("early")[1:], []string{"early"}},
		{"part of a header", text(large)[:3], text(large)[3:], []string{large}},
		{"part of a payload", text("early")[:9], text("early")[9:], []string{"early"}},
		{"messages", text("1") + text("2") + text(""), text("3"), []string{"1", "2", "", "3"}},
		{"a message and a part", text("1") + text("2")[:4], text("2")[4:], []string{"1", "2"}},
		{"more than a buffer", text(large), text("end"), []string{large, "end"}},
		{"many", strings.Repeat(text("x"), 2000), text("end"), append(strings.Split(strings.Repeat("x", 2000), ""), "end")},
		{"a fragment", string(wstest.Frame(frame.Text, false, []byte("ear"))), string(wstest.Frame(frame.Continuation, true, []byte("ly"))), []string{"early"}},
	} {
		for _, v := range []venue{plainVenue, tlsVenue, wrappedVenue} {
			t.Run(tt.name+"/"+v.name, func(t *testing.T) {
				e := newEndpoint(t, v, nil)
				c := e.send(t, wstest.Handshake()+tt.with)
				if got, want := c.readHead(t).head, switching("", "", v.set); got != want {
					t.Fatalf("got %q, want %q", got, want)
				}
				c.write(t, tt.behind)
				u := e.result(t)
				for _, want := range tt.want {
					expectMessage(t, u.conn, want)
				}
			})
		}
	}
}

// A connection outlives the deadlines of the server that it came from. Another
// connection, opened later, tells when these have passed: the server closes it.
func TestDeadlinesCleared(t *testing.T) {
	const limit = 500 * time.Millisecond
	type open struct {
		name     string
		endpoint *endpoint
		client   *rawClient
		conn     *websocket.Conn
	}
	var opened []open
	for _, tt := range []struct {
		name string
		opts *websocket.Options
		set  func(*http.Server)
	}{
		{"read", nil, func(s *http.Server) { s.ReadTimeout = limit }},
		{"write", nil, func(s *http.Server) { s.ReadHeaderTimeout, s.WriteTimeout = limit, limit }},
		{"header", nil, func(s *http.Server) { s.ReadHeaderTimeout = limit }},
		// Nor is there one of the connection's own.
		{"all", &websocket.Options{KeepAlive: -1, WriteTimeout: -1}, func(s *http.Server) {
			s.ReadTimeout, s.ReadHeaderTimeout, s.WriteTimeout, s.IdleTimeout = limit, limit, limit, limit
		}},
		{"of the response", &websocket.Options{KeepAlive: -1, WriteTimeout: limit}, func(s *http.Server) { s.ReadTimeout = limit }},
	} {
		for _, v := range []venue{plainVenue, tlsVenue} {
			e := newEndpoint(t, v, tt.opts, tt.set)
			c := e.send(t, wstest.Handshake())
			c.readHead(t)
			opened = append(opened, open{tt.name + ", " + v.name, e, c, e.result(t).conn})
		}
	}
	var others []*rawClient
	for _, o := range opened {
		others = append(others, o.endpoint.send(t, "GET / HTTP/1.1\r\n"))
	}
	for i, o := range opened {
		if _, err := io.Copy(io.Discard, others[i]); err != nil {
			t.Fatalf("%s: the other connection: %v", o.name, err)
		}
		p := o.client.peer(t)
		p.SendText("late")
		expectMessage(t, o.conn, "late")
		if err := o.conn.Write(context.Background(), websocket.Text, []byte("later")); err != nil {
			t.Fatalf("%s: %v", o.name, err)
		}
		p.ExpectText("later")
	}
}

// A deadlineConn notes its deadlines.
type deadlineConn struct {
	*wstest.PipeConn
	read, write    time.Time
	writes         []time.Time // the deadlines in force at each write
	setErr, endErr error       // of setting a deadline, of clearing it
	closed         bool
}

func (c *deadlineConn) SetDeadline(d time.Time) error {
	c.read, c.write = d, d
	return c.endErr
}

func (c *deadlineConn) SetReadDeadline(d time.Time) error {
	c.read = d
	return nil
}

func (c *deadlineConn) SetWriteDeadline(d time.Time) error {
	c.write = d
	return c.setErr
}

func (c *deadlineConn) Write(p []byte) (int, error) {
	c.writes = append(c.writes, c.write)
	return c.PipeConn.Write(p)
}

func (c *deadlineConn) Close() error {
	c.closed = true
	return c.PipeConn.Close()
}

// hijackConn makes w give away a connection that notes its deadlines.
func (w *fakeWriter) hijackConn() *deadlineConn {
	past := time.Unix(1, 0)
	c := &deadlineConn{PipeConn: w.conn.(*wstest.PipeConn), read: past, write: past}
	w.conn = c
	return c
}

// net/http clears the deadlines of its own connections when they are hijacked.
// A Hijacker of somebody else need not.
func TestDeadlinesOfHijacker(t *testing.T) {
	for _, tt := range []struct {
		option time.Duration
		want   time.Duration // 0: none
	}{
		{0, 10 * time.Second},
		{time.Minute, time.Minute},
		{-1, 0},
	} {
		w := newFakeWriter()
		c := w.hijackConn()
		start := time.Now()
		a := w.answer(t, wstest.Request(), &websocket.Options{WriteTimeout: tt.option})
		if a.err != nil || len(c.writes) != 1 {
			t.Fatalf("WriteTimeout %v: Upgrade = %v after %d writes, want 1", tt.option, a.err, len(c.writes))
		}
		if d := c.writes[0]; tt.want == 0 && !d.IsZero() || tt.want > 0 && (d.Before(start.Add(tt.want)) || d.After(time.Now().Add(tt.want))) {
			t.Errorf("WriteTimeout %v: 101 was written with a deadline in %v, want %v", tt.option, d.Sub(start), tt.want)
		}
		if !c.read.IsZero() || !c.write.IsZero() {
			t.Errorf("WriteTimeout %v: left with deadlines %v and %v, want none", tt.option, c.read, c.write)
		}
	}
}

// When 101 cannot be written, the connection is closed, the error says why, and
// is no *HandshakeError: nobody has been refused.
func TestSwitchWriteFails(t *testing.T) {
	errSet, errEnd := errors.New("set"), errors.New("end")
	for _, tt := range []struct {
		name    string
		prepare func(*fakeWriter, *deadlineConn)
		want    error
	}{
		{"client gone", func(w *fakeWriter, c *deadlineConn) { w.client.Close() }, syscall.EPIPE},
		{"no deadline to be had", func(w *fakeWriter, c *deadlineConn) { c.setErr = errSet }, errSet},
		{"no end of the deadline", func(w *fakeWriter, c *deadlineConn) { c.endErr = errEnd }, errEnd},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newFakeWriter()
			c := w.hijackConn()
			tt.prepare(w, c)
			opts := &websocket.Options{OnReject: func(http.ResponseWriter, *http.Request, *websocket.HandshakeError) {
				t.Error("OnReject was called")
			}}
			conn, err := websocket.Upgrade(w, wstest.Request(), opts)
			checkBroken(t, conn, err, tt.want)
			if !c.closed {
				t.Error("the connection was not closed")
			}
			if w.Body.Len() > 0 {
				t.Errorf("wrote %q to the ResponseWriter", w.Body)
			}
		})
	}
}

func checkBroken(t *testing.T, conn *websocket.Conn, err, want error) {
	t.Helper()
	if _, refused := errors.AsType[*websocket.HandshakeError](err); refused || conn != nil || !errors.Is(err, want) {
		t.Errorf("Upgrade = %p, %v, want an error that is %v and no *HandshakeError", conn, err, want)
	}
	if err != nil && !strings.HasPrefix(err.Error(), "websocket: write 101: ") {
		t.Errorf("error %q does not say what failed", err)
	}
}

// A client that does not take even the response holds the handler no longer
// than WriteTimeout.
func TestSwitchWriteTimeout(t *testing.T) {
	w := newFakeWriter()
	conn, client := wstest.Pipe(16)
	defer client.Close()
	w.conn = conn
	c := w.hijackConn()
	w.conn = limitedConn{c}
	u, err := websocket.Upgrade(w, wstest.Request(), &websocket.Options{WriteTimeout: time.Millisecond})
	checkBroken(t, u, err, os.ErrDeadlineExceeded)
	if !c.closed {
		t.Error("the connection was not closed")
	}
}

// A limitedConn also keeps to the deadline that it notes.
type limitedConn struct{ *deadlineConn }

func (c limitedConn) SetWriteDeadline(d time.Time) error { return c.PipeConn.SetWriteDeadline(d) }

// Over a socket: the client resets the connection while Authorize thinks.
func TestSwitchClientGone(t *testing.T) {
	for _, v := range []venue{plainVenue, tlsVenue} {
		t.Run(v.name, func(t *testing.T) {
			asked := make(chan struct{})
			e := newEndpoint(t, v, &websocket.Options{Authorize: func(r *http.Request) error {
				close(asked)
				<-r.Context().Done() // net/http has noticed
				return nil
			}})
			c := e.send(t, wstest.Handshake())
			<-asked
			conn := c.Conn
			if secure, ok := conn.(*tls.Conn); ok {
				conn = secure.NetConn()
			}
			wstest.NewPeer(t, conn, nil).CloseAtOnce()
			u := e.result(t)
			if _, refused := errors.AsType[*websocket.HandshakeError](u.err); u.err == nil || refused {
				t.Errorf("Upgrade = %v, want an error of the network", u.err)
			}
		})
	}
}

func TestHijackFails(t *testing.T) {
	cause := errors.New("no more of these")
	w := newFakeWriter()
	w.hijack = func() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, cause }
	conn, err := websocket.Upgrade(w, wstest.Request(), nil)
	row := handshakeRow{number: 14, name: "hijack fails", status: 500, logs: []string{"hijack", cause.Error()}}
	row.checkAnswer(t, &fakeAnswer{status: w.Code, header: w.Header(), body: w.Body.String(), err: err})
	if conn != nil || !errors.Is(err, cause) {
		t.Errorf("Upgrade = %p, %v, want %v", conn, err, cause)
	}
}

// A handler that calls Upgrade twice gets an error the second time, and the
// connection is not disturbed.
func TestUpgradeTwice(t *testing.T) {
	var again error
	e := newEndpoint(t, wrappedVenue, nil)
	e.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Upgrade(w, r, nil)
		_, again = websocket.Upgrade(w, r, nil)
		e.ended <- upgraded{conn, err}
	})
	c := e.send(t, wstest.Handshake())
	if got, want := c.readHead(t).head, switching("", "", nil); got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	e.checkOpen(t, c, new(handshakeRow))
	if !errors.Is(again, http.ErrHijacked) {
		t.Errorf("the second Upgrade = %v, want %v", again, http.ErrHijacked)
	}
}

// Hijackers other than net/http's may return less, or what has been read ahead.
func TestHijackBuffers(t *testing.T) {
	early := wstest.Frame(frame.Text, true, []byte("early"))
	readAhead := bufio.NewReader(bytes.NewReader(early))
	if _, err := readAhead.Peek(1); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		buffered *bufio.ReadWriter
		want     string
	}{
		{"none", nil, ""},
		{"neither", &bufio.ReadWriter{}, ""},
		{"nothing read", bufio.NewReadWriter(bufio.NewReader(strings.NewReader("x")), nil), ""},
		{"read ahead", bufio.NewReadWriter(readAhead, nil), "early"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newFakeWriter()
			w.hijack = func() (net.Conn, *bufio.ReadWriter, error) { return w.conn, tt.buffered, nil }
			conn, err := websocket.Upgrade(w, wstest.Request(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.CloseNow()
			defer w.client.Close()
			if tt.want != "" {
				// The buffer is net/http's, which gives it to the next request.
				readAhead.Reset(strings.NewReader(strings.Repeat("?", 4096)))
				readAhead.Peek(4096)
				expectMessage(t, conn, tt.want)
			}
			if _, err := w.client.Write(wstest.Frame(frame.Text, true, []byte("next"))); err != nil {
				t.Fatal(err)
			}
			expectMessage(t, conn, "next")
		})
	}
}

// deadEnd hides everything; nilUnwrap leads nowhere.
type deadEnd struct{ http.ResponseWriter }

type nilUnwrap struct{ http.ResponseWriter }

func (nilUnwrap) Unwrap() http.ResponseWriter { return nil }

func TestNotHijackable(t *testing.T) {
	for _, tt := range []struct {
		name  string
		wrap  func(http.ResponseWriter) http.ResponseWriter
		words string
	}{
		{"hidden", func(w http.ResponseWriter) http.ResponseWriter { return deadEnd{w} }, "websocket_test.deadEnd"},
		{"hidden below", func(w http.ResponseWriter) http.ResponseWriter { return unwrapper{unwrapper{deadEnd{w}}} }, "websocket_test.deadEnd"},
		{"unwraps to nil", func(w http.ResponseWriter) http.ResponseWriter { return unwrapper{nilUnwrap{w}} }, "websocket_test.nilUnwrap"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			row := handshakeRow{number: 14, name: tt.name, status: 500, logs: []string{tt.words, "http.TimeoutHandler", "Unwrap"}}
			v := venue{name: tt.name, inside: func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(tt.wrap(w), r) })
			}}
			newEndpoint(t, v, nil).check(t, &row)
		})
	}
}

// hijackUnwrapper can be hijacked and unwrapped: the outermost Hijacker is the
// one, for it may have something to keep account of.
type hijackUnwrapper struct {
	*fakeWriter
	inner http.ResponseWriter
}

func (w hijackUnwrapper) Unwrap() http.ResponseWriter { return w.inner }

func TestHijackOutermost(t *testing.T) {
	inner := newFakeWriter()
	outer := newFakeWriter()
	conn, err := websocket.Upgrade(unwrapper{hijackUnwrapper{outer, inner}}, wstest.Request(), nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.CloseNow()
	if outer.hijacked != 1 || inner.hijacked != 0 {
		t.Errorf("hijacked the outer one %d times and the inner one %d times, want 1 and 0", outer.hijacked, inner.hijacked)
	}
}
