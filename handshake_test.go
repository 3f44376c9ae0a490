package websocket_test

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/internal/wstest"
)

// handshakeRow is a request and the answer to it. The number is that of the
// check which refuses the request: the checks run in the order of their
// numbers, and the first that fails answers.
//
//	0 options   1 a handshake   2 GET      3 HTTP/1.1   4 Host         5 no body
//	6 Connection   7 Upgrade    8, 9 version   10 key   11 origin      12 subprotocols
//	13 extensions   14 the ResponseWriter   16 Authorize   17, 18 choice of a subprotocol
type handshakeRow struct {
	number int
	name   string

	edits []string // to wstest.Handshake
	body  string   // behind the request
	opts  *websocket.Options
	on    func(venue) bool // where the row applies; nil: everywhere

	status   int
	header   []string // fields of a refusal besides those that every one has
	accept   string   // Sec-WebSocket-Accept of a 101; "" for the usual one
	protocol string   // Sec-WebSocket-Protocol of a 101
	says     []string // by the body of a refusal and, but for the name of a status, by the error
	logs     []string // by the error and not by the body
}

// accepted is the number of rows that no check refuses.
const accepted = 100

func (row *handshakeRow) String() string { return fmt.Sprintf("%d %s", row.number, row.name) }

// silent are the rows of which the client is told nothing.
func (row *handshakeRow) silent() bool { return len(row.logs) > 0 }

// A venue is a way for a request to reach Upgrade.
type venue struct {
	name   string
	tls    bool
	inside func(http.Handler) http.Handler // middleware
	set    http.Header                     // what it sets and what has to come through
	hidden bool                            // it hides Hijack
}

var (
	plainVenue   = venue{name: "plain"}
	tlsVenue     = venue{name: "tls", tls: true}
	wrappedVenue = venue{name: "middleware", inside: middleware, set: http.Header{"Cache-Control": {"public"}, "X-Request-Id": {"7"}}}
	hiddenVenue  = venue{name: "timeout handler", inside: timeoutHandler, hidden: true}

	venues = []venue{plainVenue, tlsVenue, wrappedVenue, hiddenVenue}
)

func onTLS(v venue) bool    { return v.tls }
func notOnTLS(v venue) bool { return !v.tls }

// unwrapper hides everything of a ResponseWriter but the way to it.
type unwrapper struct{ http.ResponseWriter }

func (w unwrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// middleware is as it is found everywhere: two writers around the server's
// own, and fields set on every response.
func middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Request-Id", "7")
		h.Set("Connection", "keep-alive")
		h.Set("Content-Type", "text/html")
		h.Set("Content-Length", "3")
		h.Set("Cache-Control", "public")
		next.ServeHTTP(unwrapper{unwrapper{w}}, r)
	})
}

func timeoutHandler(next http.Handler) http.Handler {
	return http.TimeoutHandler(next, time.Hour, "")
}

// An endpoint is a server on the loopback interface whose handler calls Upgrade.
type endpoint struct {
	venue  venue
	server *httptest.Server
	opts   atomic.Pointer[websocket.Options]
	before func(http.ResponseWriter) // called by the handler before Upgrade, if not nil
	calls  atomic.Int32              // of the handler
	ended  chan upgraded             // what each of these calls got
}

// upgraded is what Upgrade returned.
type upgraded struct {
	conn *websocket.Conn
	err  error
}

// newEndpoint starts an endpoint, which is stopped when the test ends. All
// connections to it have been closed by then.
func newEndpoint(t *testing.T, v venue, opts *websocket.Options, configure ...func(*http.Server)) *endpoint {
	t.Helper()
	e := &endpoint{venue: v, ended: make(chan upgraded, 64)}
	e.opts.Store(opts)
	handler := http.Handler(e)
	if v.inside != nil {
		handler = v.inside(handler)
	}
	e.server = httptest.NewUnstartedServer(handler)
	e.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	for _, f := range configure {
		f(e.server.Config)
	}
	if v.tls {
		e.server.StartTLS()
	} else {
		e.server.Start()
	}
	t.Cleanup(e.server.Close)
	return e
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.calls.Add(1)
	if e.before != nil {
		e.before(w)
	}
	conn, err := websocket.Upgrade(w, r, e.opts.Load())
	e.ended <- upgraded{conn, err}
}

// result waits for what Upgrade returned. A connection is closed when the test
// ends.
func (e *endpoint) result(t *testing.T) upgraded {
	t.Helper()
	select {
	case u := <-e.ended:
		if u.conn != nil {
			t.Cleanup(func() { u.conn.CloseNow() })
		}
		return u
	case <-time.After(wstest.Patience):
		t.Fatal("Upgrade has not returned")
		panic("unreachable")
	}
}

// A rawClient sends and reads bytes.
type rawClient struct {
	net.Conn
	r *bufio.Reader
}

func (e *endpoint) dial(t *testing.T) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", e.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if e.venue.tls {
		roots := x509.NewCertPool()
		roots.AddCert(e.server.Certificate())
		conn = tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: "example.com"})
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(wstest.Patience)); err != nil {
		t.Fatal(err)
	}
	return &rawClient{conn, bufio.NewReader(conn)}
}

// send connects and writes text in one piece.
func (e *endpoint) send(t *testing.T, text string) *rawClient {
	t.Helper()
	c := e.dial(t)
	c.write(t, text)
	return c
}

func (c *rawClient) write(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatalf("write: %v", err)
	}
}

// peer returns the client as one that has finished the handshake.
func (c *rawClient) peer(t *testing.T) *wstest.Peer { return wstest.NewPeer(t, c, c.r) }

// rawResponse is a response as it came. net/http's own reader would hide some
// of its fields.
type rawResponse struct {
	head   string // up to and with the empty line
	status int
	header http.Header
	body   string // all the rest that came before the end of the connection
}

// readHead reads the status line and the fields of a response.
func (c *rawClient) readHead(t *testing.T) *rawResponse {
	t.Helper()
	resp := &rawResponse{header: make(http.Header)}
	for !strings.HasSuffix(resp.head, "\r\n\r\n") {
		line, err := c.r.ReadString('\n')
		resp.head += line
		if err != nil {
			t.Fatalf("response ends after %q: %v", resp.head, err)
		}
	}
	lines := strings.Split(strings.TrimSuffix(resp.head, "\r\n\r\n"), "\r\n")
	var err error
	if resp.status, err = strconv.Atoi(strings.Split(lines[0]+"  ", " ")[1]); err != nil {
		t.Fatalf("status line %q", lines[0])
	}
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ": ")
		if !ok {
			t.Fatalf("line %q in response %q", line, resp.head)
		}
		resp.header.Add(name, value)
	}
	return resp
}

// readRefusal reads a response and what follows up to the end of the connection.
func (c *rawClient) readRefusal(t *testing.T) *rawResponse {
	t.Helper()
	resp := c.readHead(t)
	if resp.status == http.StatusSwitchingProtocols {
		t.Fatalf("got 101, want a refusal:\n%s", resp.head)
	}
	body, err := io.ReadAll(c.r)
	if err != nil {
		t.Fatalf("after %q and %q, the connection did not end: %v", resp.head, body, err)
	}
	resp.body = string(body)
	return resp
}

// secondRequest is a request behind the one that is refused. Whoever serves it has not
// ended the connection.
var secondRequest = wstest.Handshake("/second")

// runRows sends each row to a server, on every venue.
func runRows(t *testing.T, rows []handshakeRow) {
	for _, v := range venues {
		t.Run(v.name, func(t *testing.T) {
			e := newEndpoint(t, v, nil)
			for _, row := range rows {
				if row.on != nil && !row.on(v) {
					continue
				}
				if v.hidden && row.number >= 14 {
					row.number, row.status, row.header = 14, http.StatusInternalServerError, nil
					row.says, row.logs = nil, []string{"*http.timeoutWriter", "http.TimeoutHandler"}
				}
				t.Run(row.String(), func(t *testing.T) { e.check(t, &row) })
			}
		})
	}
}

func (e *endpoint) check(t *testing.T, row *handshakeRow) {
	for len(e.ended) > 0 { // of a row that has failed
		e.result(t)
	}
	e.calls.Store(0)
	e.opts.Store(row.opts)
	text := wstest.Handshake(row.edits...) + row.body
	if row.number == accepted {
		c := e.send(t, text)
		got := c.readHead(t)
		if want := switching(row.accept, row.protocol, e.venue.set); got.head != want {
			t.Fatalf("request %.300q\n got %q%q\nwant %q", text, got.head, got.body, want)
		}
		e.checkOpen(t, c, row)
		return
	}
	c := e.send(t, text+secondRequest)
	got := c.readRefusal(t)
	row.checkRefusal(t, text, got, e.venue.set)
	row.checkError(t, text, e.result(t), got)
	if n := e.calls.Load(); n != 1 {
		t.Errorf("the handler was called %d times, want 1: the request behind %.300q was served", n, text)
	}
}

// switching returns a 101: its accept is that of wstest.Handshake if it is "",
// the subprotocol is left out if it is, and set are fields of the handler.
func switching(accept, protocol string, set http.Header) string {
	s := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + cmp.Or(accept, wstest.HandshakeAccept) + "\r\n"
	if protocol != "" {
		s += "Sec-WebSocket-Protocol: " + protocol + "\r\n"
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		for _, value := range set[name] {
			s += name + ": " + value + "\r\n"
		}
	}
	return s + "\r\n"
}

// checkOpen checks that messages pass in both directions.
func (e *endpoint) checkOpen(t *testing.T, c *rawClient, row *handshakeRow) {
	t.Helper()
	u := e.result(t)
	if u.err != nil {
		t.Fatalf("Upgrade wrote 101 and returned %v", u.err)
	}
	if got := u.conn.Subprotocol(); got != row.protocol {
		t.Errorf("Subprotocol() = %q, want %q", got, row.protocol)
	}
	if got, want := u.conn.Protocol(), wstest.Request(row.edits...).Proto; got != want {
		t.Errorf("Protocol() = %q, want %q", got, want)
	}
	p := c.peer(t)
	p.SendText("ping")
	expectMessage(t, u.conn, "ping")
	if err := u.conn.Write(context.Background(), websocket.Text, []byte("pong")); err != nil {
		t.Fatal(err)
	}
	p.ExpectText("pong")
}

// expectMessage reads the next message of the client.
func expectMessage(t *testing.T, conn *websocket.Conn, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wstest.Patience)
	defer cancel()
	_, got, err := conn.Read(ctx)
	if err != nil || string(got) != want {
		t.Fatalf("Read = %.80q, %v, want %.80q", got, err, want)
	}
}

// checkRefusal checks what the client has got: status, fields, body.
func (row *handshakeRow) checkRefusal(t *testing.T, text string, got *rawResponse, set http.Header) {
	t.Helper()
	if got.status != row.status {
		t.Errorf("got status %d, want %d", got.status, row.status)
	}
	want := maps.Clone(set)
	if want == nil {
		want = make(http.Header)
	}
	maps.Copy(want, http.Header{
		"Connection":             {"close"},
		"Content-Type":           {"text/plain; charset=utf-8"},
		"X-Content-Type-Options": {"nosniff"},
		"Cache-Control":          {"no-store"},
		"Content-Length":         {strconv.Itoa(len(got.body))},
	})
	if row.status == http.StatusUpgradeRequired {
		want["Connection"] = []string{"close", "Upgrade"}
	}
	if row.method() == http.MethodHead {
		want["Content-Length"] = got.header["Content-Length"] // of what GET would bring
	}
	for _, line := range row.header {
		name, value, _ := strings.Cut(line, ": ")
		want.Add(name, value)
	}
	header := got.header.Clone()
	header.Del("Date")
	if wstest.Request(row.edits...).ProtoMinor == 0 && header.Get("Connection") == "close" {
		// There is no Upgrade in HTTP/1.0, and no difference if it stands there.
		header.Set("Connection", "close")
		want.Set("Connection", "close")
	}
	if !maps.EqualFunc(header, want, slices.Equal) {
		t.Errorf("got header %q\n        want %q", header, want)
	}
	row.checkBody(t, got.body)
	if t.Failed() {
		t.Logf("request %.300q\nanswer %q%q", text, got.head, got.body)
	}
}

func (row *handshakeRow) method() string { return wstest.Request(row.edits...).Method }

// checkBody checks that the body says what it should and nothing that could be
// taken for anything but text.
func (row *handshakeRow) checkBody(t *testing.T, body string) {
	t.Helper()
	if row.method() == http.MethodHead {
		if body != "" {
			t.Errorf("got %q in answer to HEAD", body)
		}
		return
	}
	text, ok := strings.CutSuffix(body, "\n")
	if !ok || text == "" || strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' || c == '<' || c == '>' }) {
		t.Errorf("got body %q, want a line of plain ASCII without markup", body)
	}
	if want := http.StatusText(row.status); row.silent() && text != want {
		t.Errorf("got body %q, want %q and nothing more", text, want)
	}
	for _, words := range row.says {
		if !strings.Contains(text, words) {
			t.Errorf("body %q does not say %q", text, words)
		}
	}
}

// checkError checks what the handler has got.
func (row *handshakeRow) checkError(t *testing.T, text string, u upgraded, got *rawResponse) {
	t.Helper()
	e, ok := errors.AsType[*websocket.HandshakeError](u.err)
	if !ok || u.conn != nil {
		t.Fatalf("request %.300q: Upgrade = %p, %v, want a *HandshakeError", text, u.conn, u.err)
	}
	if e.Status != row.status {
		t.Errorf("error has Status %d, want %d", e.Status, row.status)
	}
	for name, values := range e.Header {
		if !slices.Equal(got.header[name], values) {
			t.Errorf("error has %s: %q, the response %q", name, values, got.header[name])
		}
	}
	if row.method() != http.MethodHead && e.Reason()+"\n" != got.body {
		t.Errorf("error has Reason() = %q, the client got %q", e.Reason(), got.body)
	}
	message := u.err.Error()
	words := slices.Concat(row.says, row.logs, []string{"handshake refused with " + strconv.Itoa(row.status)})
	for _, w := range words {
		if !strings.Contains(message, w) && w != http.StatusText(row.status) {
			t.Errorf("error %q does not say %q", message, w)
		}
	}
	if strings.Count(message, "handshake refused") != 1 {
		t.Errorf("error %q says it twice", message)
	}
	if strings.ContainsAny(message, "\r\n\x00") {
		t.Errorf("error %q would break a log", message)
	}
}

// notHandshake takes away what makes a request a handshake.
var notHandshake = []string{"-Upgrade", "-Connection", "-Sec-WebSocket-Key", "-Sec-WebSocket-Version"}

// with returns edits with more behind them.
func with(edits []string, more ...string) []string { return slices.Concat(edits, more) }

// The fields that a refusal has to have, besides those that all have.
var (
	upgradeFields = []string{"Upgrade: websocket", "Sec-WebSocket-Version: 13"}
	allowField    = []string{"Allow: GET"}
	versionField  = []string{"Sec-WebSocket-Version: 13"}
)

var handshakeRows = []handshakeRow{
	{number: accepted, name: "the example of the RFC"},
	{number: accepted, name: "version 1.2 of HTTP", edits: []string{"HTTP/1.2"}},
	{number: accepted, name: "host in the request line alone", edits: []string{"http://h.example/chat", "Host:"}},
	{number: accepted, name: "400 more lines", edits: slices.Repeat([]string{"+X-Filler: x"}, 400)},
	{number: accepted, name: "bytes above ASCII in another field", edits: []string{"Cookie: a=\x80\xff\xc3("}},

	{number: 0, name: "trusted origin without a scheme", opts: &websocket.Options{TrustedOrigins: []string{"https://a.example", "b.example"}},
		status: 500, logs: []string{`"b.example"`, "trusted origin"}},
	{number: 0, name: "trusted origin asterisk", opts: &websocket.Options{TrustedOrigins: []string{"*"}},
		status: 500, logs: []string{`"*"`, "InsecureAllowAnyOrigin"}},
	{number: 0, name: "subprotocol with a space", opts: &websocket.Options{Subprotocols: []string{"a", "b c"}},
		status: 500, logs: []string{`"b c"`, "token"}},
	{number: 0, name: "subprotocol without a name", opts: &websocket.Options{Subprotocols: []string{""}},
		status: 500, logs: []string{`""`, "token"}},
	{number: 0, name: "no handshake", edits: notHandshake, opts: &websocket.Options{Subprotocols: []string{"(a)"}},
		status: 500, logs: []string{`"(a)"`, "token"}},

	{number: 1, name: "page", edits: notHandshake, status: 426, header: upgradeFields, says: []string{"WebSocket endpoint"}},
	{number: 1, name: "h2c", edits: with(notHandshake, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"), status: 426, header: upgradeFields},
	{number: 1, name: "POST", edits: with(notHandshake, "POST"), status: 426, header: upgradeFields},
	{number: 1, name: "HEAD", edits: with(notHandshake, "HEAD"), status: 426, header: upgradeFields},
	{number: 1, name: "HTTP/1.0", edits: with(notHandshake, "HTTP/1.0"), status: 426, header: upgradeFields},
	{number: 1, name: "HTTP/1.0 and keep-alive", edits: with(notHandshake, "HTTP/1.0", "Connection: keep-alive"), status: 426, header: upgradeFields},
	{number: 1, name: "with a body", edits: with(notHandshake, "POST", "Content-Length: 5"), body: "hello", status: 426, header: upgradeFields},
	{number: 1, name: "not quite websocket", edits: with(notHandshake, "Upgrade: websockets, web socket, xwebsocket"), status: 426, header: upgradeFields},
	// "ASCII case-insensitive": U+017F and U+212A are other cases of s and k
	// only in Unicode.
	{number: 1, name: "websocket in Unicode", edits: with(notHandshake, "Upgrade: web\u017foc\u212aet"), status: 426, header: upgradeFields},

	{number: 2, name: "POST", edits: []string{"POST"}, status: 405, header: allowField, says: []string{"GET", `"POST"`}},
	{number: 2, name: "HEAD", edits: []string{"HEAD"}, status: 405, header: allowField},
	{number: 2, name: "get", edits: []string{"get"}, status: 405, header: allowField, says: []string{`"get"`}},
	{number: 2, name: "OPTIONS", edits: []string{"OPTIONS"}, status: 405, header: allowField},
	{number: 2, name: "CONNECT", edits: []string{"CONNECT", "/"}, status: 405, header: allowField, says: []string{`"CONNECT"`}},
	{number: 2, name: "with a body", edits: []string{"POST", "Content-Length: 5"}, body: "hello", status: 405, header: allowField},

	{number: 3, name: "as nginx sends it", edits: []string{"HTTP/1.0", "Connection: close"}, status: 505,
		says: []string{`"HTTP/1.0"`, "HTTP/1.1", "proxy_http_version 1.1", "Upgrade", "Connection"}},
	{number: 3, name: "otherwise right", edits: []string{"HTTP/1.0"}, status: 505},
	{number: 3, name: "keep-alive", edits: []string{"HTTP/1.0", "Connection: Upgrade, keep-alive"}, status: 505},
	{number: 3, name: "keep-alive alone", edits: []string{"HTTP/1.0", "Connection: keep-alive"}, status: 505},

	{number: 4, name: "empty", edits: []string{"Host:"}, status: 400, says: []string{"Host"}},

	{number: accepted, name: "length 0", edits: []string{"Content-Length: 0"}},
	{number: 5, name: "length", edits: []string{"Content-Length: 5"}, body: "hello", status: 400,
		says: []string{"body", "Content-Length", "Transfer-Encoding"}},
	{number: 5, name: "length twice", edits: []string{"Content-Length: 5", "+Content-Length: 5"}, body: "hello", status: 400},
	{number: 5, name: "chunked", edits: []string{"Transfer-Encoding: chunked"}, body: "5\r\nhello\r\n0\r\n\r\n", status: 400},
	{number: 5, name: "chunked and empty", edits: []string{"Transfer-Encoding: chunked"}, body: "0\r\n\r\n", status: 400},
	{number: 5, name: "continue", edits: []string{"Content-Length: 5", "Expect: 100-continue"}, body: "hello", status: 400},

	{number: accepted, name: "connection, any case", edits: []string{"Connection: uPGRADE"}},
	{number: accepted, name: "connection, last of a list", edits: []string{"Connection: keep-alive,\tUpgrade "}},
	{number: accepted, name: "connection, empty elements", edits: []string{"Connection: ,, ,upgrade,,"}},
	{number: accepted, name: "connection, second line", edits: []string{"Connection: keep-alive", "+connection: upgrade"}},
	{number: accepted, name: "connection, with close", edits: []string{"Connection: upgrade, close"}},
	{number: 6, name: "missing", edits: []string{"-Connection"}, status: 400,
		says: []string{"Connection", "upgrade", "hop-by-hop", "proxies", "proxy_set_header"}},
	{number: 6, name: "keep-alive", edits: []string{"Connection: keep-alive"}, status: 400},
	{number: 6, name: "close", edits: []string{"Connection: close"}, status: 400},
	{number: 6, name: "empty", edits: []string{"Connection:"}, status: 400},
	{number: 6, name: "part of a token", edits: []string{"Connection: upgraded, upgrade-insecure-requests, x upgrade"}, status: 400},
	{number: 6, name: "in quotes", edits: []string{`Connection: "upgrade"`}, status: 400},
	{number: 6, name: "semicolons", edits: []string{"Connection: keep-alive; upgrade"}, status: 400},

	{number: accepted, name: "upgrade, any case", edits: []string{"Upgrade: WebSocKet"}},
	{number: accepted, name: "upgrade, last of a list", edits: []string{"Upgrade: foo, websocket"}},
	{number: accepted, name: "upgrade, second line", edits: []string{"Upgrade: h2c", "+Upgrade: websocket"}},
	{number: 7, name: "missing", edits: []string{"-Upgrade"}, status: 400,
		says: []string{"Upgrade", "websocket", "hop-by-hop", "proxies", "proxy_set_header"}},
	{number: 7, name: "h2c", edits: []string{"Upgrade: h2c"}, status: 400},
	{number: 7, name: "empty", edits: []string{"Upgrade:"}, status: 400},
	{number: 7, name: "with a version", edits: []string{"Upgrade: websocket/13"}, status: 400},
	{number: 7, name: "part of a token", edits: []string{"Upgrade: websockets, web-socket, web socket"}, status: 400},
	{number: 7, name: "websocket in Unicode", edits: []string{"Upgrade: web\u017foc\u212aet"}, status: 400},

	{number: accepted, name: "version in white space", edits: []string{"Sec-WebSocket-Version: \t13 \t"}},
	{number: 8, name: "missing", edits: []string{"-Sec-WebSocket-Version"}, status: 400, header: versionField, says: []string{"Sec-WebSocket-Version", "missing", "13"}},
	{number: 8, name: "empty", edits: []string{"Sec-WebSocket-Version:"}, status: 400, header: versionField},
	{number: 8, name: "white space", edits: []string{"Sec-WebSocket-Version: \t "}, status: 400, header: versionField},
	{number: 8, name: "twice", edits: []string{"+Sec-WebSocket-Version: 13"}, status: 400, header: versionField, says: []string{"Sec-WebSocket-Version", "more than once"}},
	{number: 8, name: "13 and 8", edits: []string{"+Sec-WebSocket-Version: 8"}, status: 400, header: versionField},
	{number: 8, name: "8 and 13", edits: []string{"Sec-WebSocket-Version: 8", "+Sec-WebSocket-Version: 13"}, status: 400, header: versionField},
	{number: 8, name: "empty and 13", edits: []string{"Sec-WebSocket-Version:", "+Sec-WebSocket-Version: 13"}, status: 400, header: versionField},

	{number: 9, name: "8", edits: []string{"Sec-WebSocket-Version: 8"}, status: 426, header: upgradeFields, says: []string{"Sec-WebSocket-Version", `"8"`, "13"}},
	{number: 9, name: "list", edits: []string{"Sec-WebSocket-Version: 8, 13"}, status: 426, header: upgradeFields},
	{number: 9, name: "list of one", edits: []string{"Sec-WebSocket-Version: 13,"}, status: 426, header: upgradeFields},
	{number: 9, name: "leading zero", edits: []string{"Sec-WebSocket-Version: 013"}, status: 426, header: upgradeFields},
	{number: 9, name: "sign", edits: []string{"Sec-WebSocket-Version: +13"}, status: 426, header: upgradeFields},
	{number: 9, name: "fraction", edits: []string{"Sec-WebSocket-Version: 13.0"}, status: 426, header: upgradeFields},
	{number: 9, name: "markup", edits: []string{"Sec-WebSocket-Version: <script>&\xff"}, status: 426, header: upgradeFields},
	{number: 9, name: "long", edits: []string{"Sec-WebSocket-Version: " + strings.Repeat("13", 5000)}, status: 426, header: upgradeFields},
}

func TestHandshake(t *testing.T) { runRows(t, handshakeRows) }
