package websocket_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/internal/wstest"
)

// fakeWriter is a ResponseWriter in memory, over a connection that the test
// holds the other end of.
type fakeWriter struct {
	*httptest.ResponseRecorder
	client   net.Conn
	conn     net.Conn
	hijack   func() (net.Conn, *bufio.ReadWriter, error) // nil: conn
	hijacked int
}

func newFakeWriter() *fakeWriter {
	conn, client := wstest.Pipe(0)
	return &fakeWriter{ResponseRecorder: httptest.NewRecorder(), client: client, conn: conn}
}

func (w *fakeWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.hijacked++
	if w.hijack != nil {
		return w.hijack()
	}
	return w.conn, nil, nil
}

// fakeAnswer is what a request in memory has got.
type fakeAnswer struct {
	status   int
	header   http.Header
	body     string // all that was sent, if the connection was hijacked
	err      error
	hijacked int

	extensions string // of the Conn
}

// answerTo answers a request that need not have passed through net/http. The
// fields of set are on the ResponseWriter before.
func answerTo(t testing.TB, r *http.Request, opts *websocket.Options, set ...http.Header) *fakeAnswer {
	t.Helper()
	w := newFakeWriter()
	for _, h := range set {
		for name, values := range h {
			w.Header()[name] = values
		}
	}
	return w.answer(t, r, opts)
}

// answer runs Upgrade and ends what comes of it.
func (w *fakeWriter) answer(t testing.TB, r *http.Request, opts *websocket.Options) *fakeAnswer {
	t.Helper()
	conn, err := websocket.Upgrade(w, r, opts)
	a := &fakeAnswer{status: w.Code, header: w.Header(), body: w.Body.String(), err: err, hijacked: w.hijacked}
	if w.hijacked > 0 {
		if conn != nil {
			a.extensions = conn.Extensions()
			conn.CloseNow()
		}
		sent, err := io.ReadAll(w.client)
		if err != nil {
			t.Fatal(err)
		}
		a.status, a.header, a.body = http.StatusSwitchingProtocols, nil, string(sent)
	}
	return a
}

// checkAnswer checks a refusal in memory as checkRefusal does one on a socket.
func (row *handshakeRow) checkAnswer(t *testing.T, a *fakeAnswer) {
	t.Helper()
	if a.hijacked > 0 {
		t.Errorf("%v: got %q, want a refusal", row, a.body)
		return
	}
	got := &rawResponse{status: a.status, header: a.header.Clone(), body: a.body}
	got.header.Set("Content-Length", strconv.Itoa(len(a.body))) // net/http would set it
	if row.method() == http.MethodHead {
		got.body = "" // and would not send this
	}
	row.checkRefusal(t, "("+row.String()+")", got, nil)
	row.checkError(t, row.String(), upgraded{nil, a.err}, got)
}

func quoted(s string) string { return strconv.Quote(s) }

// allRows are the rows of all tables.
func allRows() []handshakeRow {
	return slices.Concat(handshakeRows, keyRows, originRows, trustedRows, subprotocolRows, extensionRows, authorizeRows)
}

// request returns the row's request in memory.
func (row *handshakeRow) request() *http.Request {
	r := wstest.Request(row.edits...)
	if row.on != nil && row.on(tlsVenue) {
		r.TLS = new(tls.ConnectionState)
	}
	return r
}

// TestDecisionIsPure: the answer depends on the request and the options alone.
// It is the same in memory as on a socket and the second time as the first, and
// it leaves both as they were.
func TestDecisionIsPure(t *testing.T) {
	for _, row := range allRows() {
		t.Run(row.String(), func(t *testing.T) {
			opts := new(websocket.Options)
			if row.opts != nil {
				*opts = *row.opts
				opts.Subprotocols = slices.Clone(row.opts.Subprotocols)
				opts.TrustedOrigins = slices.Clone(row.opts.TrustedOrigins)
			}
			before, r := row.request(), row.request()
			for range 2 {
				a := answerTo(t, r, opts)
				if row.number != accepted {
					row.checkAnswer(t, a)
				} else if want := switching(row.accept, row.protocol, nil); a.err != nil || a.body != want {
					t.Errorf("got %q, %v, want %q", a.body, a.err, want)
				}
			}
			if !reflect.DeepEqual(r, before) {
				t.Errorf("the request has become %+v, it was %+v", r, before)
			}
			if row.opts != nil && !(slices.Equal(opts.Subprotocols, row.opts.Subprotocols) && slices.Equal(opts.TrustedOrigins, row.opts.TrustedOrigins)) {
				t.Errorf("the options have become %+v, they were %+v", opts, row.opts)
			}
			if err := row.opts.Validate(); (err == nil) != (row.number > 0) {
				t.Errorf("Validate = %v", err)
			}
			if row.number > 0 && websocket.IsUpgrade(r) != (row.number > 1) {
				t.Errorf("IsUpgrade = %t", websocket.IsUpgrade(r))
			}
		})
	}
}

// fault makes a handshake fail one check.
type fault struct {
	number int
	name   string
	edits  []string
	opts   func(*websocket.Options)
	set    http.Header // on the ResponseWriter
	hidden bool        // the ResponseWriter cannot be hijacked
	status int
}

var faults = []fault{
	{number: 0, name: "origins", opts: func(o *websocket.Options) { o.TrustedOrigins = append(o.TrustedOrigins, "x") }, status: 500},
	{number: 0, name: "subprotocols", opts: func(o *websocket.Options) { o.Subprotocols = append(o.Subprotocols, "a b") }, status: 500},
	{number: 0, name: "compression", opts: func(o *websocket.Options) { o.Compression = compressing(16, 0).Compression }, status: 500},
	{number: 1, name: "page", edits: with(notHandshake, "-Sec-WebSocket-Protocol", "-Sec-WebSocket-Extensions"), status: 426},
	{number: 2, name: "POST", edits: []string{"POST"}, status: 405},
	{number: 3, name: "HTTP/1.0", edits: []string{"HTTP/1.0"}, status: 505},
	{number: 4, name: "no host", edits: []string{"-Host"}, status: 400},
	{number: 5, name: "length", edits: []string{"Content-Length: 5"}, status: 400},
	{number: 5, name: "chunks", edits: []string{"Transfer-Encoding: chunked"}, status: 400},
	{number: 6, name: "keep-alive", edits: []string{"Connection: keep-alive"}, status: 400},
	{number: 6, name: "no connection", edits: []string{"-Connection"}, status: 400},
	{number: 7, name: "h2c", edits: []string{"Upgrade: h2c"}, status: 400},
	{number: 7, name: "no upgrade", edits: []string{"-Upgrade"}, status: 400},
	{number: 8, name: "no version", edits: []string{"-Sec-WebSocket-Version"}, status: 400},
	{number: 8, name: "two versions", edits: []string{"Sec-WebSocket-Version: 8", "+Sec-WebSocket-Version: 13"}, status: 400},
	{number: 9, name: "version", edits: []string{"Sec-WebSocket-Version: 8"}, status: 426},
	{number: 10, name: "no key", edits: []string{"-Sec-WebSocket-Key"}, status: 400},
	{number: 10, name: "key", edits: []string{"Sec-WebSocket-Key: x"}, status: 400},
	{number: 11, name: "origin", edits: []string{"Origin: https://evil.example"}, status: 403},
	{number: 11, name: "two origins", edits: []string{"Origin: null", "+Origin: null"}, status: 403},
	{number: 12, name: "subprotocols", edits: []string{"Sec-WebSocket-Protocol: a b"}, status: 400},
	{number: 12, name: "subprotocols twice", edits: []string{"Sec-WebSocket-Protocol: a, a"}, status: 400},
	{number: 13, name: "extensions", edits: []string{"Sec-WebSocket-Extensions: ;"}, status: 400},
	{number: 14, name: "hidden", hidden: true, status: 500},
	{number: 14, name: "accept", set: http.Header{"Sec-Websocket-Accept": {"x"}}, status: 500},
	{number: 15, name: "shutdown", opts: func(o *websocket.Options) { o.Group = stopped() }, status: 503},
	{number: 15, name: "full", opts: func(o *websocket.Options) { o.Limiter = full(&websocket.Limiter{Max: 1}) }, status: 503},
	{number: 15, name: "address", opts: func(o *websocket.Options) { o.Limiter = full(&websocket.Limiter{MaxPerAddress: 1}) }, status: 429},
	{number: 16, name: "authorize", opts: func(o *websocket.Options) {
		o.Authorize = authorize(challenge()).Authorize
	}, status: 401},
	{number: 17, name: "demand", opts: func(o *websocket.Options) { o.RequireSubprotocol = true }, status: 501},
	{number: 18, name: "choice", opts: func(o *websocket.Options) {
		o.SelectSubprotocol = choose("x", nil).SelectSubprotocol
	}, status: 500},
}

// TestOrder: the checks run in the order of their numbers. A request that is
// wrong in two ways, or in all that are left, gets the same answer as one that
// is only wrong in the first; and nothing has been done that comes later.
func TestOrder(t *testing.T) {
	for i, first := range faults {
		alone := answerToFaults(t, first)
		if alone.status != first.status {
			t.Fatalf("%d %s: got %d %q, want %d", first.number, first.name, alone.status, alone.body, first.status)
		}
		all := []fault{first}
		for _, later := range faults[i+1:] {
			if !possible(first, later) {
				continue
			}
			all = append(all, later)
			checkSameAnswer(t, alone, first, later)
		}
		checkSameAnswer(t, alone, all...)
	}
}

// possible reports whether a request can be wrong in both ways.
func possible(first, later fault) bool {
	switch {
	case first.number == later.number:
		return false
	case first.number == 17 && later.number == 18:
		// That there is no match is known when SelectSubprotocol has spoken.
		return false
	case later.edits != nil:
		// What makes up the first may undo the other: there is no wrong version
		// where no version is.
		return wstest.Handshake(with(later.edits, first.edits...)...) != wstest.Handshake(first.edits...)
	}
	return true
}

// answerToFaults answers a request with all of these faults, the first of them
// made last.
func answerToFaults(t *testing.T, these ...fault) *fakeAnswer {
	t.Helper()
	opts := new(websocket.Options)
	var edits []string
	w := newFakeWriter()
	var rw http.ResponseWriter = w
	for _, f := range slices.Backward(these) {
		edits = append(edits, f.edits...)
		maps.Copy(w.Header(), f.set)
		if f.opts != nil {
			f.opts(opts)
		}
		if f.hidden {
			rw = deadEnd{w}
		}
	}
	first := these[0].number
	authorizer, selector := opts.Authorize, opts.SelectSubprotocol
	opts.Authorize = func(r *http.Request) error {
		if first < 16 {
			t.Errorf("Authorize was called for a request that check %d refuses", first)
		}
		if authorizer == nil {
			return nil
		}
		return authorizer(r)
	}
	if selector != nil {
		opts.SelectSubprotocol = func(r *http.Request, offered []string) (string, error) {
			if first < 17 {
				t.Errorf("SelectSubprotocol was called for a request that check %d refuses", first)
			}
			return selector(r, offered)
		}
	}
	if opts.Limiter == nil {
		opts.Limiter = new(websocket.Limiter)
	}
	taken := opts.Limiter.Len()
	conn, err := websocket.Upgrade(rw, wstest.Request(edits...), opts)
	if now := opts.Limiter.Len(); now != taken {
		t.Errorf("a request that check %d refuses has left %d places taken, there were %d", first, now, taken)
	}
	if conn != nil || w.hijacked > 0 {
		t.Fatalf("Upgrade = %p after %d calls of Hijack; request %q", conn, w.hijacked, wstest.Handshake(edits...))
	}
	return &fakeAnswer{status: w.Code, header: w.Header(), body: w.Body.String(), err: err}
}

func checkSameAnswer(t *testing.T, want *fakeAnswer, these ...fault) {
	t.Helper()
	var names []string
	for _, f := range these {
		names = append(names, strconv.Itoa(f.number)+" "+f.name)
	}
	got := answerToFaults(t, these...)
	header := got.header.Clone()
	if _, ok := header["Retry-After"]; ok && these[0].number == 15 {
		header["Retry-After"] = want.header["Retry-After"] // another one each time
	}
	if _, ok := want.header["Sec-Websocket-Accept"]; !ok {
		header.Del("Sec-Websocket-Accept") // a fault by itself
	}
	if got.status != want.status || got.body != want.body || got.err.Error() != want.err.Error() || !maps.EqualFunc(header, want.header, slices.Equal) {
		t.Errorf("%s:\n got %d %q %q\nwant %d %q %q, as for the first alone", strings.Join(names, " + "),
			got.status, header, got.err, want.status, want.header, want.err)
	}
}

// TestServerAnswers are the requests that net/http answers before any handler
// sees them, so that rows for them exist in memory alone. If this fails, it has
// changed its mind, and they belong in the tables.
func TestServerAnswers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		edits  []string
		server int // what net/http answers
		row    int // what Upgrade says to the same request in memory
		status int
	}{
		{"no Host", []string{"-Host"}, 400, 4, 400},
		{"two Hosts", []string{"+Host: b"}, 400, accepted, 101}, // a handler gets one
		{"malformed Host", []string{"Host: a b"}, 400, accepted, 101},
		{"malformed Host and an Origin", []string{"Host: a b", "Origin: https://a b"}, 400, 11, 403},
		{"user in Host", []string{"Host: u@a", "Origin: https://a"}, 400, 11, 403},
		{"NUL in Connection", []string{"Connection: upgrade\x00"}, 400, 6, 400},
		{"NUL in Upgrade", []string{"Upgrade: websocket\x00"}, 400, 7, 400},
		{"NUL in the version", []string{"Sec-WebSocket-Version: 13\x00"}, 400, 9, 426},
		{"NUL in the key", []string{"Sec-WebSocket-Key: " + wstest.HandshakeKey[:23] + "\x00"}, 400, 10, 400},
		{"NUL in Origin", []string{"Origin: https://server.example.com\x00"}, 400, 11, 403},
		{"NUL in a subprotocol", []string{"Sec-WebSocket-Protocol: a\x00"}, 400, 12, 400},
		{"NUL in an extension", []string{"Sec-WebSocket-Extensions: a\x00"}, 400, 13, 400},
		{"coding identity", []string{"Transfer-Encoding: identity"}, 501, 5, 400},
		{"unknown coding", []string{"Transfer-Encoding: gzip, chunked"}, 501, 5, 400},
		{"unknown Expect", []string{"Expect: 200-ok"}, 417, accepted, 101},
		{"space in a name", []string{"Sec-WebSocket-Key : x"}, 400, accepted, 101},
		{"version 2.0 of HTTP", []string{"HTTP/2.0"}, 505, 1, 400},
		{"version 0.9 of HTTP", []string{"HTTP/0.9"}, 505, 1, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEndpoint(t, plainVenue, nil)
			if got := e.send(t, wstest.Handshake(tt.edits...)).readRefusal(t); got.status != tt.server || e.calls.Load() != 0 {
				t.Errorf("the server answered %q after %d calls of the handler, want %d after none", got.head, e.calls.Load(), tt.server)
			}
			a := answerTo(t, wstest.Request(tt.edits...), nil)
			if a.status != tt.status {
				t.Errorf("in memory: got %d %q, want %d by check %d", a.status, a.body, tt.status, tt.row)
			}
			if tt.row != accepted && strings.ContainsFunc(strings.TrimSuffix(a.body, "\n"), func(c rune) bool { return c < ' ' || c > '~' }) {
				t.Errorf("in memory: got body %q", a.body)
			}
		})
	}
}

// net/http takes the white space around a value away. What changes requests
// before the handler gets them, or makes them in tests, need not.
func TestWhiteSpace(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		want        int
	}{
		{"Sec-Websocket-Version", "\t13 ", 101},
		{"Sec-Websocket-Version", " \t", 400},
		{"Sec-Websocket-Version", "\v13", 426}, // no white space to HTTP
		{"Sec-Websocket-Key", " " + wstest.HandshakeKey + "\t", 101},
		{"Sec-Websocket-Key", wstest.HandshakeKey + "\n", 400},
		{"Sec-Websocket-Protocol", "\ta ", 101},
		{"Sec-Websocket-Extensions", "\ta ", 101},
		{"Connection", "\tupgrade ", 101},
		{"Upgrade", "\twebsocket ", 101},
		{"Origin", " https://server.example.com\t", 101},
		{"Origin", "https://server.example.com\n", 403},
	} {
		r := wstest.Request()
		r.Header[tt.name] = []string{tt.value}
		if a := answerTo(t, r, nil); a.status != tt.want {
			t.Errorf("%s: %q: got %d %q, want %d", tt.name, tt.value, a.status, a.body, tt.want)
		} else if want := switching("", "", nil); a.hijacked > 0 && a.body != want {
			t.Errorf("%s: %q: got %q, want %q", tt.name, tt.value, a.body, want)
		}
	}
}

func TestIsUpgrade(t *testing.T) {
	for _, tt := range []struct {
		name  string
		edits []string
		want  bool
	}{
		{"handshake", nil, true},
		{"page", notHandshake, false},
		{"h2c", with(notHandshake, "Connection: Upgrade", "Upgrade: h2c"), false},
		{"websocket in Upgrade", with(notHandshake, "Upgrade: h2c", "+Upgrade: foo, WEBSOCKET"), true},
		{"websocket elsewhere", with(notHandshake, "Connection: websocket", "X-Upgrade: websocket", "Sec-WebSocketKey: x", "Sec-Fetch-Mode: websocket"), false},
		{"version", with(notHandshake, "Sec-WebSocket-Version: 13"), true},
		{"key", with(notHandshake, "Sec-WebSocket-Key:"), true},
		{"subprotocols", with(notHandshake, "sec-websocket-protocol: a"), true},
		{"extensions", with(notHandshake, "SEC-WEBSOCKET-EXTENSIONS: a"), true},
		{"any other", with(notHandshake, "Sec-WebSocket-Foo: a"), true},
		{"POST", []string{"POST"}, true},
		{"HTTP/1.0", []string{"HTTP/1.0"}, true},
	} {
		if got := websocket.IsUpgrade(wstest.Request(tt.edits...)); got != tt.want {
			t.Errorf("%s: IsUpgrade = %t, want %t", tt.name, got, tt.want)
		}
	}
}

// TestSharedOptions: one value of Options answers handshakes that are all under
// way at the same time. The race detector looks on.
func TestSharedOptions(t *testing.T) {
	const n = 32
	var inside atomic.Int32
	together := make(chan struct{})
	opts := &websocket.Options{
		Subprotocols:   []string{"b", "a"},
		TrustedOrigins: []string{"https://a.example", "https://*.b.example"},
		Compression:    &websocket.Compression{ReceiveWindowBits: 10},
		Authorize: func(r *http.Request) error {
			if inside.Add(1) == n {
				close(together)
			}
			select {
			case <-together:
			case <-r.Context().Done():
			}
			if r.Header.Get("X-Refuse") != "" {
				return challenge()
			}
			return nil
		},
	}
	want := *opts
	want.Subprotocols, want.TrustedOrigins = slices.Clone(opts.Subprotocols), slices.Clone(opts.TrustedOrigins)
	want.Compression = &websocket.Compression{ReceiveWindowBits: 10}

	e := newEndpoint(t, wrappedVenue, opts)
	var clients []*rawClient
	for i := range n {
		edits := with(extend("permessage-deflate; client_max_window_bits"), "Origin: https://c.b.example", "Sec-WebSocket-Protocol: a, b")
		if i%2 == 1 {
			edits = append(edits, "X-Refuse: yes")
		}
		clients = append(clients, e.send(t, wstest.Handshake(edits...)))
	}
	for i, c := range clients {
		if i%2 == 1 {
			if got := c.readRefusal(t); got.status != 401 {
				t.Errorf("request %d: got %q, want 401", i, got.head)
			}
		} else if got, want := c.readHead(t).head, switchingWith("b", spell("c=10"), e.venue.set); got != want {
			t.Errorf("request %d: got %q, want %q", i, got, want)
		}
		e.result(t)
	}
	opts.Authorize, want.Authorize = nil, nil
	if !reflect.DeepEqual(*opts, want) {
		t.Errorf("the options have become %+v, they were %+v", *opts, want)
	}
}
