package websocket_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/internal/wstest"
)

// streamWriter is a ResponseWriter in memory as those of HTTP/2 and HTTP/3 are.
type streamWriter struct {
	*httptest.ResponseRecorder
	flush     func() error // nil: it succeeds
	deadlines error        // of setting one

	mu    sync.Mutex
	calls []string
}

func newStreamWriter() *streamWriter { return &streamWriter{ResponseRecorder: httptest.NewRecorder()} }

func (w *streamWriter) call(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, fmt.Sprintf(format, args...))
}

func (w *streamWriter) made() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.calls)
}

func (w *streamWriter) WriteHeader(status int) {
	w.call("header %d", status)
	w.ResponseRecorder.WriteHeader(status)
}

func (w *streamWriter) Write(p []byte) (int, error) {
	w.call("write %q", p)
	return w.ResponseRecorder.Write(p)
}

func (w *streamWriter) FlushError() error {
	w.call("flush")
	if w.flush == nil {
		return nil
	}
	return w.flush()
}

func (w *streamWriter) SetReadDeadline(at time.Time) error { return w.deadline("read", at) }

func (w *streamWriter) SetWriteDeadline(at time.Time) error { return w.deadline("write", at) }

func (w *streamWriter) deadline(of string, at time.Time) error {
	what := "no"
	if !at.IsZero() {
		what = "a"
	}
	w.call("%s %s deadline", what, of)
	return w.deadlines
}

// accepting are the calls that accept a handshake.
var accepting = []string{"no read deadline", "no write deadline", "header 200", "flush"}

// openBody is a body of which nothing comes.
type openBody struct {
	closed chan struct{}
	once   sync.Once
}

func newOpenBody() *openBody { return &openBody{closed: make(chan struct{})} }

func (b *openBody) Read([]byte) (int, error) {
	<-b.closed
	return 0, http.ErrBodyReadAfterClose
}

func (b *openBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

// asConnect are edits that make a wstest.Request what is left of it in an extended
// CONNECT.
var asConnect = []string{"CONNECT", "-Upgrade", "-Connection", "-Sec-WebSocket-Key"}

// extended makes r an extended CONNECT for protocols, as net/http has it for version 2
// of HTTP and quic-go for version 3, or a plain one if there are none.
func extended(r *http.Request, version int, protocols ...string) *http.Request {
	r.Proto, r.ProtoMajor, r.ProtoMinor = fmt.Sprintf("HTTP/%d.0", version), version, 0
	switch {
	case protocols == nil:
	case version == 2:
		r.Header[":protocol"] = protocols
	default:
		r.Proto = protocols[0]
	}
	r.Body, r.ContentLength = newOpenBody(), -1
	return r
}

func connectRequest(version int, edits ...string) *http.Request {
	return extended(wstest.Request(with(asConnect, edits...)...), version, "websocket")
}

// connectTo answers an extended CONNECT. The body has not been closed, unless there
// was a connection, which has ended.
func connectTo(t testing.TB, w http.ResponseWriter, r *http.Request, opts *websocket.Options) *fakeAnswer {
	t.Helper()
	c, err := websocket.Upgrade(w, r, opts)
	if c != nil {
		defer c.CloseNow()
		if want := fmt.Sprintf("HTTP/%d.0", r.ProtoMajor); c.Protocol() != want {
			t.Errorf("Protocol() = %q, want %q", c.Protocol(), want)
		}
	}
	for inner, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok; inner, ok = w.(interface{ Unwrap() http.ResponseWriter }) {
		w = inner.Unwrap()
	}
	s := w.(*streamWriter)
	a := &fakeAnswer{status: s.Code, header: maps.Clone(s.Header()), body: s.Body.String(), err: err}
	maps.DeleteFunc(a.header, func(_ string, values []string) bool { return len(values) == 0 })
	if c != nil {
		a.extensions = c.Extensions()
		if c.Subprotocol() != a.header.Get("Sec-Websocket-Protocol") {
			t.Errorf("Subprotocol() = %q, the client is told %q", c.Subprotocol(), a.header.Get("Sec-Websocket-Protocol"))
		}
		if made := s.made(); !slices.Equal(made, accepting) {
			t.Errorf("accepted with %q, want %q", made, accepting)
		}
	}
	return a
}

// TestConnectAsUpgrade: what a row of the tables of HTTP/1.1 says of options, origins,
// subprotocols, extensions and hooks holds for an extended CONNECT in the same words.
func TestConnectAsUpgrade(t *testing.T) {
	rows := slices.Concat(originRows, trustedRows, subprotocolRows, extensionRows, authorizeRows)
	for _, row := range handshakeRows {
		if row.number == 0 || row.number == 8 {
			rows = append(rows, row)
		}
	}
	for _, version := range []int{2, 3} {
		for _, row := range rows {
			t.Run(fmt.Sprintf("%d/%v", version, &row), func(t *testing.T) {
				r := row.request()
				r.Method = http.MethodConnect
				for _, name := range []string{"Connection", "Upgrade", "Sec-Websocket-Key"} {
					delete(r.Header, name)
				}
				got := connectTo(t, newStreamWriter(), extended(r, version, "websocket"), row.opts)
				want := answerTo(t, row.request(), row.opts)
				if want.hijacked > 0 {
					want = accepting200(t, want)
				}
				want.header.Del("Connection")
				checkAlike(t, got, want)
			})
		}
	}
}

// accepting200 returns what stands for a 101 without Upgrade.
func accepting200(t *testing.T, a *fakeAnswer) *fakeAnswer {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(a.body)), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Upgrade", "Sec-Websocket-Accept"} {
		delete(resp.Header, name)
	}
	return &fakeAnswer{status: http.StatusOK, header: resp.Header, extensions: a.extensions}
}

func checkAlike(t *testing.T, got, want *fakeAnswer) {
	t.Helper()
	if got.status != want.status || got.body != want.body || got.extensions != want.extensions {
		t.Errorf("got %d, extensions %q, body %q\nwant %d, extensions %q, body %q", got.status, got.extensions, got.body, want.status, want.extensions, want.body)
	}
	if !maps.EqualFunc(got.header, want.header, slices.Equal) {
		t.Errorf("got header %q\n        want %q", got.header, want.header)
	}
	if fmt.Sprint(got.err) != fmt.Sprint(want.err) {
		t.Errorf("got error %v, want %v", got.err, want.err)
	}
}

func TestConnectOffers(t *testing.T) {
	for _, version := range []int{2, 3} {
		for _, tt := range compressions {
			for _, row := range tt.rows {
				want := &fakeAnswer{status: 200, header: make(http.Header), extensions: spell(row.answer)}
				if want.extensions != "" {
					want.header["Sec-Websocket-Extensions"] = []string{want.extensions}
				}
				got := connectTo(t, newStreamWriter(), connectRequest(version, extend(row.lines...)...), tt.opts)
				checkAlike(t, got, want)
			}
		}
	}
}

// connectRow is a request that is told apart from others on HTTP/2 and HTTP/3 only.
type connectRow struct {
	handshakeRow
	protocols []string // of an extended CONNECT; nil: it is none
	only      int      // the version of HTTP; 0: both
	upgrade   bool     // what IsUpgrade says
}

// wantConnect are words of the refusal of what is no extended CONNECT.
var wantConnect = []string{"WebSocket endpoint", "extended CONNECT", ":protocol = websocket", "GODEBUG=http2xconnect=1", "environment"}

var connectRows = []connectRow{
	{handshakeRow{name: "valid", number: accepted}, []string{"websocket"}, 0, true},
	{handshakeRow{name: "in another case", number: accepted}, []string{"WebSocket"}, 0, true},
	{handshakeRow{name: "with the key of HTTP/1.1, whatever it is", number: accepted, edits: []string{"Sec-WebSocket-Key: x"}}, []string{"websocket"}, 0, true},
	{handshakeRow{name: "with fields that HTTP/2 does not have", number: accepted, edits: []string{"Connection: close", "Upgrade: h2c"}}, []string{"websocket"}, 0, true},
	{handshakeRow{name: "without a host", number: accepted, edits: []string{"-Host"}}, []string{"websocket"}, 0, true},

	{handshakeRow{name: "page", edits: []string{"GET"}, status: 400, says: wantConnect}, nil, 0, false},
	{handshakeRow{name: "page over HTTP/2", edits: []string{"GET"}, status: 400, says: []string{`"HTTP/2.0"`}}, nil, 2, false},
	{handshakeRow{name: "page over HTTP/3", edits: []string{"GET"}, status: 400, says: []string{`"HTTP/3.0"`}}, nil, 3, false},
	{handshakeRow{name: "HEAD", edits: []string{"HEAD"}, status: 400}, nil, 0, false},
	{handshakeRow{name: "POST", edits: []string{"POST"}, status: 400, says: wantConnect}, nil, 0, false},
	{handshakeRow{name: "handshake of HTTP/1.1", edits: []string{"GET", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: " + wstest.HandshakeKey},
		status: 400, says: wantConnect}, nil, 0, false},
	{handshakeRow{name: "GET with :protocol", edits: []string{"GET"}, status: 400, says: wantConnect}, []string{"websocket"}, 2, false},
	{handshakeRow{name: "plain CONNECT", status: 400, says: wantConnect}, nil, 0, false},
	{handshakeRow{name: ":protocol twice", status: 400, says: wantConnect}, []string{"websocket", "websocket"}, 2, false},
	{handshakeRow{name: "empty :protocol", status: 400, says: wantConnect}, []string{""}, 0, false},

	{handshakeRow{name: "another protocol", status: 501, says: []string{":protocol", "websocket", `"connect-udp"`}}, []string{"connect-udp"}, 0, true},
	{handshakeRow{name: "a list", status: 501, says: []string{`"websocket, connect-ip"`}}, []string{"websocket, connect-ip"}, 0, true},
	{handshakeRow{name: "markup", status: 501}, []string{"<b>\xff\n"}, 0, true},
	{handshakeRow{name: "websocket in Unicode", status: 501}, []string{"web\u017foc\u212aet"}, 0, true},

	{handshakeRow{name: "no version", edits: []string{"-Sec-WebSocket-Version"}, status: 400, header: versionField, says: []string{"Sec-WebSocket-Version", "missing", "13"}}, []string{"websocket"}, 0, true},
	{handshakeRow{name: "empty version", edits: []string{"Sec-WebSocket-Version: "}, status: 400, header: versionField, says: []string{"missing"}}, []string{"websocket"}, 0, true},
	{handshakeRow{name: "version twice", edits: []string{"+Sec-WebSocket-Version: 13"}, status: 400, header: versionField, says: []string{"more than once"}}, []string{"websocket"}, 0, true},
	{handshakeRow{name: "version 8", edits: []string{"Sec-WebSocket-Version: 8"}, status: 400, header: versionField, says: []string{`"8"`, "13"}}, []string{"websocket"}, 0, true},
	{handshakeRow{name: "list of versions", edits: []string{"Sec-WebSocket-Version: 8, 13"}, status: 400, header: versionField}, []string{"websocket"}, 0, true},
	{handshakeRow{name: "no options are right for it", opts: speak("a b"), status: 500, logs: []string{`"a b"`}}, []string{"websocket"}, 0, true},
}

func TestConnect(t *testing.T) {
	for _, version := range []int{2, 3} {
		for _, row := range connectRows {
			if row.only != 0 && row.only != version {
				continue
			}
			t.Run(fmt.Sprintf("%d/%s", version, row.name), func(t *testing.T) {
				edits := with(asConnect, row.edits...)
				r := extended(wstest.Request(edits...), version, row.protocols...)
				if got := websocket.IsUpgrade(r); got != row.upgrade {
					t.Errorf("IsUpgrade = %t", got)
				}
				a := connectTo(t, newStreamWriter(), r, row.opts)
				if row.number == accepted {
					checkAlike(t, a, &fakeAnswer{status: 200})
					return
				}
				if v, ok := a.header["Connection"]; ok {
					t.Errorf("got Connection: %q, which HTTP/%d does not have", v, version)
				}
				a.header.Set("Connection", "close") // as the rest of the table has it
				row.handshakeRow.edits = edits
				row.checkAnswer(t, a)
			})
		}
	}
}

// connectFaults make an extended CONNECT fail one check, in the order of the checks.
func connectFaults() []fault {
	late := []fault{
		{number: 6, name: "page", edits: []string{"GET"}, status: 400},
		{number: 7, name: "another protocol", status: 501},
	}
	var all []fault
	for _, f := range faults {
		switch {
		case f.number == 10 || 0 < f.number && f.number < 8: // Key and the like
			continue
		case f.number == 8 && late != nil:
			all, late = append(all, late...), nil
		case f.number == 9:
			f.status = 400
		}
		all = append(all, f)
	}
	return all
}

// TestConnectOrder: of two things that are wrong, the one that is checked first is
// answered, as if it was alone; and nothing has been done that comes later.
func TestConnectOrder(t *testing.T) {
	all := connectFaults()
	for i, first := range all {
		alone := connectFaulty(t, first)
		if alone.status != first.status {
			t.Errorf("%d %s: got %d %q, want %d", first.number, first.name, alone.status, alone.body, first.status)
		}
		for _, later := range all[i+1:] {
			if !possible(first, later) {
				continue
			}
			if got := connectFaulty(t, first, later); got.status != alone.status || got.body != alone.body || got.err.Error() != alone.err.Error() {
				t.Errorf("%d %s and %d %s: got %d %v, want %d %v, as for the first alone",
					first.number, first.name, later.number, later.name, got.status, got.err, alone.status, alone.err)
			}
		}
	}
}

func connectFaulty(t *testing.T, these ...fault) *fakeAnswer {
	t.Helper()
	opts := new(websocket.Options)
	w := newStreamWriter()
	var rw http.ResponseWriter = w
	protocol := "websocket"
	var edits []string
	for _, f := range slices.Backward(these) {
		edits = append(edits, f.edits...)
		maps.Copy(w.Header(), f.set)
		if f.opts != nil {
			f.opts(opts)
		}
		if f.hidden {
			rw = deadEnd{w}
		}
		if f.number == 7 {
			protocol = "connect-tcp"
		}
	}
	if opts.Limiter == nil {
		opts.Limiter = new(websocket.Limiter)
	}
	authorize, first := opts.Authorize, these[0].number
	opts.Authorize = func(r *http.Request) error {
		if first < 16 {
			t.Errorf("Authorize was called for a request that check %d refuses", first)
		}
		if authorize == nil {
			return nil
		}
		return authorize(r)
	}
	taken := opts.Limiter.Len()
	r := extended(wstest.Request(with(asConnect, edits...)...), 2, protocol)
	_, err := websocket.Upgrade(rw, r, opts)
	if err == nil {
		t.Fatalf("check %d has not refused %q", first, edits)
	}
	if now := opts.Limiter.Len(); now != taken {
		t.Errorf("a request that check %d refuses has left %d places taken, there were %d", first, now, taken)
	}
	return &fakeAnswer{status: w.Code, header: w.Header(), body: w.Body.String(), err: err}
}

// TestConnectFields: fields of the handler go into the 200 as they do into a 101.
func TestConnectFields(t *testing.T) {
	for _, tt := range fieldRows {
		w := newStreamWriter()
		maps.Copy(w.Header(), tt.set)
		want := &fakeAnswer{status: 200, header: maps.Clone(tt.want)}
		checkAlike(t, connectTo(t, w, connectRequest(2), nil), want)
	}
	for _, tt := range forbiddenFields {
		w := newStreamWriter()
		w.Header()[tt.name] = []string{"fine", tt.value}
		a := connectTo(t, w, connectRequest(2), nil)
		if a.status != 500 || a.body != "Internal Server Error\n" || !strings.Contains(a.err.Error(), tt.words) {
			t.Errorf("%q: %q: got %d %q, %v, want 500 and an error with %s", tt.name, tt.value, a.status, a.body, a.err, tt.words)
		}
	}
}

// What hooks set is checked again, before the answer is begun.
func TestConnectFieldsOfHooks(t *testing.T) {
	for name, want := range map[string]int{"Set-Cookie": 200, "Sec-WebSocket-Accept": 500} {
		w := newStreamWriter()
		l := new(websocket.Limiter)
		a := connectTo(t, w, connectRequest(2), &websocket.Options{Limiter: l, Authorize: func(*http.Request) error {
			w.Header()[name] = []string{"x"}
			return nil
		}})
		if a.status != want || a.header[name][0] != "x" {
			t.Errorf("Authorize sets %s: got %d, %v, want %d", name, a.status, a.err, want)
		}
		checkTaken(t, l, 0)
	}
}

// compressor is middleware's writer: it has fields of its own, and would change what
// is written.
type compressor struct {
	*streamWriter
	inner http.ResponseWriter
}

func (w compressor) Unwrap() http.ResponseWriter { return w.inner }

// TestConnectInnermost: what wraps the server's ResponseWriter has set fields, and
// nothing else to do with the connection.
func TestConnectInnermost(t *testing.T) {
	inner, outer := newStreamWriter(), newStreamWriter()
	inner.Header().Set("X-Inner", "1")
	inner.Header().Set("Connection", "close")
	inner.Header().Set("Sec-WebSocket-Protocol", "of nobody")
	outer.Header().Set("X-Outer", "2")
	outer.Header().Set("Content-Encoding", "gzip")
	c, err := websocket.Upgrade(unwrapper{compressor{outer, unwrapper{inner}}}, connectRequest(2), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if err := c.Write(t.Context(), websocket.Text, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if made, want := inner.made(), with(accepting, `write "\x81\x01x"`, "flush"); !slices.Equal(made, want) {
		t.Errorf("the server's writer was called for %q, want %q", made, want)
	}
	if made := outer.made(); made != nil {
		t.Errorf("the writer around it was called for %q", made)
	}
	if want := (http.Header{"X-Inner": {"1"}, "X-Outer": {"2"}}); !maps.EqualFunc(inner.Header(), want, slices.Equal) {
		t.Errorf("got header %q, want %q", inner.Header(), want)
	}
}

// onlyFlusher and onlyDeadlines lack one of the two that a stream takes.
type onlyFlusher struct{ http.ResponseWriter }

func (onlyFlusher) Flush() {}

type onlyDeadlines struct{ http.ResponseWriter }

func (onlyDeadlines) SetReadDeadline(time.Time) error  { return nil }
func (onlyDeadlines) SetWriteDeadline(time.Time) error { return nil }

// plainFlusher has them, with the Flush that has no error.
type plainFlusher struct {
	onlyDeadlines
	flushed *int
}

func (w plainFlusher) Flush() { *w.flushed++ }

func TestConnectWriter(t *testing.T) {
	for _, tt := range []struct {
		name  string
		wrap  func(http.ResponseWriter) http.ResponseWriter
		words []string
	}{
		{"hidden", func(w http.ResponseWriter) http.ResponseWriter { return deadEnd{w} }, []string{"websocket_test.deadEnd", "Unwrap", "http.TimeoutHandler"}},
		{"hidden below", func(w http.ResponseWriter) http.ResponseWriter { return unwrapper{unwrapper{deadEnd{w}}} }, []string{"websocket_test.deadEnd"}},
		{"unwraps to nil", func(w http.ResponseWriter) http.ResponseWriter { return unwrapper{nilUnwrap{w}} }, []string{"websocket_test.nilUnwrap"}},
		{"no deadlines", func(w http.ResponseWriter) http.ResponseWriter { return onlyFlusher{w} }, []string{"websocket_test.onlyFlusher", "deadlines"}},
		{"no Flush", func(w http.ResponseWriter) http.ResponseWriter { return onlyDeadlines{w} }, []string{"websocket_test.onlyDeadlines", "flushed"}},
		{"deadlines in name only", func(w http.ResponseWriter) http.ResponseWriter {
			w.(*streamWriter).deadlines = http.ErrNotSupported
			return w
		}, []string{"*websocket_test.streamWriter", "deadlines", http.ErrNotSupported.Error()}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, r, l := newStreamWriter(), connectRequest(2), new(websocket.Limiter)
			c, err := websocket.Upgrade(tt.wrap(w), r, &websocket.Options{Limiter: l})
			e, ok := errors.AsType[*websocket.HandshakeError](err)
			if c != nil || !ok || e.Status != 500 || w.Code != 500 || w.Body.String() != "Internal Server Error\n" {
				t.Errorf("Upgrade = %v, %v, answer %d %q, want a refusal with 500", c, err, w.Code, w.Body)
			}
			for _, words := range tt.words {
				if !strings.Contains(fmt.Sprint(err), words) {
					t.Errorf("error %q does not say %q", err, words)
				}
			}
			checkTaken(t, l, 0)
		})
	}
	w := plainFlusher{onlyDeadlines{httptest.NewRecorder()}, new(int)}
	c, err := websocket.Upgrade(w, connectRequest(2), nil)
	if err != nil || *w.flushed != 1 {
		t.Fatalf("Upgrade = %v after %d calls of Flush, want a connection after one", err, *w.flushed)
	}
	c.CloseNow()
}

// TestConnectPlaces: places of the Limiter and the Group are a connection's as long as
// it lives, and nobody's otherwise.
func TestConnectPlaces(t *testing.T) {
	l, g := new(websocket.Limiter), new(websocket.Group)
	opts := &websocket.Options{Limiter: l, Group: g}
	c, err := websocket.Upgrade(newStreamWriter(), connectRequest(3), opts)
	if err != nil {
		t.Fatal(err)
	}
	checkTaken(t, l, 1)
	checkLen(t, g, 1)
	c.CloseNow()
	checkTaken(t, l, 0)
	checkLen(t, g, 0)

	opts.RequireSubprotocol = true
	if a := connectTo(t, newStreamWriter(), connectRequest(3), opts); a.status != 501 {
		t.Fatalf("got %d, want 501", a.status)
	}
	checkTaken(t, l, 0)
	if _, err := g.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown = %v", err)
	}
	if a := connectTo(t, newStreamWriter(), connectRequest(3), &websocket.Options{Group: g}); a.status != 503 || a.header.Get("Connection") != "" {
		t.Errorf("got %d %q after Shutdown, want 503 without Connection", a.status, a.header)
	}
}

// TestConnectFlushFails: a 200 that cannot be sent is no connection, and no refusal
// either, for the response has been begun. Nothing of it is left.
func TestConnectFlushFails(t *testing.T) {
	broken := errors.New("the client has gone")
	for _, tt := range []struct {
		name  string
		flush func() error
		want  error
	}{
		{"error", func() error { return broken }, broken},
		{"panic", func() error { panic("Flush called after Handler finished") }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, r := newStreamWriter(), connectRequest(2)
			w.flush = tt.flush
			l, g := new(websocket.Limiter), new(websocket.Group)
			c, err := websocket.Upgrade(w, r, &websocket.Options{Limiter: l, Group: g})
			if _, ok := errors.AsType[*websocket.HandshakeError](err); c != nil || err == nil || ok || !strings.Contains(err.Error(), "write 200") {
				t.Errorf("Upgrade = %v, %v, want an error that is no refusal", c, err)
			}
			if tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Upgrade = %v, want an error that wraps %v", err, tt.want)
			}
			if made, want := w.made(), with(accepting, "a write deadline"); !slices.Equal(made, want) {
				t.Errorf("calls %q, want %q: the stream is reset and not written to", made, want)
			}
			select {
			case <-r.Body.(*openBody).closed:
			default:
				t.Error("the body was not closed")
			}
			checkTaken(t, l, 0)
			if _, err := g.Shutdown(t.Context()); err != nil {
				t.Errorf("Shutdown = %v", err)
			}
		})
	}
}

// TestConnectFlushWaits: the 200 has the time of WriteTimeout, and what follows a time
// of its own.
func TestConnectFlushWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			timeout, takes, waits time.Duration
			want                  error
		}{
			{time.Minute, 59 * time.Second, 59 * time.Second, nil},
			{time.Minute, time.Hour, time.Minute, os.ErrDeadlineExceeded},
			{-1, time.Hour, time.Hour, nil},
		} {
			w, r := newStreamWriter(), connectRequest(2)
			reset := make(chan struct{})
			w.flush = func() error {
				select {
				case <-time.After(tt.takes):
					return nil
				case <-reset:
					return errors.New("stream error")
				}
			}
			writer := resetWriter{w, sync.OnceFunc(func() { close(reset) })}
			begun := time.Now()
			c, err := websocket.Upgrade(writer, r, &websocket.Options{WriteTimeout: tt.timeout})
			if !errors.Is(err, tt.want) || (c == nil) != (tt.want != nil) {
				t.Errorf("timeout %v: Upgrade = %v after %v, want %v", tt.timeout, err, time.Since(begun), tt.want)
			}
			if d := time.Since(begun); d != tt.waits {
				t.Errorf("timeout %v: Upgrade has taken %v, want %v", tt.timeout, d, tt.waits)
			}
			if c == nil {
				continue
			}
			time.Sleep(2 * time.Minute)
			if err := c.Err(); err != nil {
				t.Errorf("timeout %v: the connection has ended with %v", tt.timeout, err)
			}
			c.CloseNow()
		}
	})
}

// resetWriter calls reset when a deadline has passed, as net/http does.
type resetWriter struct {
	*streamWriter
	reset func()
}

func (w resetWriter) SetWriteDeadline(at time.Time) error {
	if !at.IsZero() && at.Before(time.Now()) {
		w.reset()
	}
	return nil
}

// TestConnectAddresses: those of the request.
func TestConnectAddresses(t *testing.T) {
	r := connectRequest(2)
	r.TLS = new(tls.ConnectionState)
	c, err := websocket.Upgrade(newStreamWriter(), r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if a := c.RemoteAddr(); a.String() != r.RemoteAddr || a.Network() != "tcp" {
		t.Errorf("RemoteAddr = %s %v, want %s", a.Network(), a, r.RemoteAddr)
	}
	if a := c.LocalAddr(); a.String() != "" {
		t.Errorf("LocalAddr = %v, want none", a)
	}
	end, local := wstest.Pipe(0)
	defer end.Close()
	r = connectRequest(2)
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local.LocalAddr()))
	c, err = websocket.Upgrade(newStreamWriter(), r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if a := c.LocalAddr(); a != local.LocalAddr() {
		t.Errorf("LocalAddr = %v, want %v", a, local.LocalAddr())
	}
	// Both ends are in the same network, which with HTTP/3 is that of UDP.
	if a := c.RemoteAddr(); a.Network() != local.LocalAddr().Network() {
		t.Errorf("the network of RemoteAddr = %s, want %s", a.Network(), local.LocalAddr().Network())
	}
}
