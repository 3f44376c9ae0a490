package websocket_test

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/internal/wstest"
)

// authorize returns options with an Authorize that returns err.
func authorize(err error) *websocket.Options {
	return &websocket.Options{Authorize: func(*http.Request) error { return err }}
}

// challenge is a refusal as one for authentication would be.
func challenge() *websocket.HandshakeError {
	e := websocket.Reject(http.StatusUnauthorized, "a token is needed")
	e.Header = http.Header{"Www-Authenticate": {"Bearer", `Basic realm="x"`}}
	return e
}

var challengeFields = []string{"WWW-Authenticate: Bearer", `WWW-Authenticate: Basic realm="x"`}

var authorizeRows = []handshakeRow{
	{number: accepted, name: "authorized", opts: authorize(nil)},
	{number: 16, name: "error", opts: authorize(errors.New("no row in table users")), status: 403, logs: []string{"no row in table users"}},
	{number: 16, name: "refusal", opts: authorize(websocket.Reject(402, "pay first")), status: 402, says: []string{"pay first"}},
	{number: 16, name: "challenge", opts: authorize(challenge()), status: 401, header: challengeFields, says: []string{"a token is needed"}},
	{number: 16, name: "refusal without a reason", opts: authorize(websocket.Reject(404, "")), status: 404, says: []string{"Not Found"}},
	{number: 16, name: "literal", opts: authorize(&websocket.HandshakeError{Status: 503, Header: http.Header{"Retry-After": {"9"}}, Err: errors.New("secret")}),
		status: 503, header: []string{"Retry-After: 9"}, logs: []string{"secret"}},
	{number: 16, name: "literal without anything", opts: authorize(&websocket.HandshakeError{}), status: 403, says: []string{"Forbidden"}},
	{number: 16, name: "redirect", opts: authorize(&websocket.HandshakeError{Status: 307, Header: http.Header{"Location": {"/login"}}}),
		status: 307, header: []string{"Location: /login"}, says: []string{"Temporary Redirect"}},
	{number: 16, name: "status 300", opts: authorize(websocket.Reject(300, "why")), status: 300, says: []string{"why"}},
	{number: 16, name: "status 599", opts: authorize(websocket.Reject(599, "why")), status: 599, says: []string{"why"}},
}

func init() {
	for _, status := range []int{-1, 0, 99, 100, 101, 200, 204, 299, 600, 1000} {
		authorizeRows = append(authorizeRows, handshakeRow{
			number: 16, name: fmt.Sprintf("status %d", status), opts: authorize(websocket.Reject(status, "why")),
			status: 403, says: []string{"why"},
		})
	}
}

func TestAuthorize(t *testing.T) { runRows(t, authorizeRows) }

// TestAuthorizeWrapped: the refusal is found in the tree of an error, and
// nothing around it reaches the client, whereas the error of Upgrade has all.
func TestAuthorizeWrapped(t *testing.T) {
	db := errors.New("db is down")
	for _, tt := range []struct {
		name string
		err  error
	}{
		{"wrapped", fmt.Errorf("%w while asking for %w", db, challenge())},
		{"joined", errors.Join(db, challenge())},
		{"twice", fmt.Errorf("again: %w", fmt.Errorf("%w: %w", challenge(), db))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := answerTo(t, wstest.Request(), authorize(tt.err))
			if a.status != 401 || a.body != "a token is needed\n" || !slices.Equal(a.header["Www-Authenticate"], challenge().Header["Www-Authenticate"]) {
				t.Errorf("got %d %q %q, want the challenge and nothing more", a.status, a.body, a.header)
			}
			if !errors.Is(a.err, db) || !strings.Contains(a.err.Error(), "db is down") {
				t.Errorf("error %q has lost the cause", a.err)
			}
			if e, ok := errors.AsType[*websocket.HandshakeError](a.err); !ok || e.Reason() != "a token is needed" {
				t.Errorf("error %q has Reason %q", a.err, e.Reason())
			}
		})
	}
}

// TestAuthorizeNil: a nil *HandshakeError in an error that is not nil is a
// mistake that many make in Go. It lets nobody in, and it breaks nothing.
func TestAuthorizeNil(t *testing.T) {
	var none *websocket.HandshakeError
	for _, err := range []error{none, fmt.Errorf("checked: %w", none), errors.Join(none)} {
		a := answerTo(t, wstest.Request(), authorize(err))
		if a.status != 403 || a.body != "Forbidden\n" {
			t.Errorf("%T: got %d %q, want 403", err, a.status, a.body)
		}
		if panics(func() { _ = a.err.Error() }) {
			t.Errorf("%T: Error of the result panics", err)
			continue
		}
		if panics(func() { errors.Is(a.err, io.EOF) }) {
			t.Errorf("%T: errors.Is of the result panics", err)
		}
		if text := a.err.Error(); !strings.Contains(text, "nil *HandshakeError") {
			t.Errorf("%T: error %q does not say what the mistake is", err, text)
		}
	}
}

// A refusal cannot keep the connection alive.
func TestAuthorizeKeepAlive(t *testing.T) {
	e := newEndpoint(t, plainVenue, authorize(&websocket.HandshakeError{Status: 403, Header: http.Header{"Connection": {"keep-alive"}}}))
	got := e.send(t, wstest.Handshake()+secondRequest).readRefusal(t)
	if !slices.Equal(got.header["Connection"], []string{"close"}) || e.calls.Load() != 1 {
		t.Errorf("got %q after %d calls of the handler, want Connection: close", got.head, e.calls.Load())
	}
	e.result(t)
}

// One *HandshakeError may be the answer to any number of requests, whatever
// OnReject does with it.
func TestRefusalShared(t *testing.T) {
	shared := challenge()
	shared.Header["Www-Authenticate"] = append(make([]string, 0, 8), "Bearer")
	opts := authorize(shared)
	opts.OnReject = func(w http.ResponseWriter, r *http.Request, e *websocket.HandshakeError) {
		w.Header().Add("WWW-Authenticate", r.Header.Get("X-Number"))
		e.Header.Set("X-Number", r.Header.Get("X-Number"))
		e.Header.Add("WWW-Authenticate", "more")
		w.WriteHeader(e.Status)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			number := strconv.Itoa(i)
			a := answerTo(t, wstest.Request("X-Number: "+number), opts)
			if got := a.header["Www-Authenticate"]; !slices.Equal(got, []string{"Bearer", number}) {
				t.Errorf("request %s: got %q", number, got)
			}
		})
	}
	wg.Wait()
	want := http.Header{"Www-Authenticate": {"Bearer"}}
	if !maps.EqualFunc(shared.Header, want, slices.Equal) {
		t.Errorf("the refusal that was returned has become %q, want %q", shared.Header, want)
	}
}

// The wording of the request may be anything, but the status is known before:
// what is set for the refusal cannot be undone by forgetting to set it.
func TestOnReject(t *testing.T) {
	type seen struct {
		header http.Header
		err    *websocket.HandshakeError
	}
	for _, row := range []handshakeRow{
		{number: 0, name: "options", opts: &websocket.Options{Subprotocols: []string{""}}, status: 500},
		{number: 1, name: "page", edits: notHandshake, status: 426, header: upgradeFields},
		{number: 2, name: "method", edits: []string{"POST"}, status: 405, header: allowField},
		{number: 9, name: "version", edits: []string{"Sec-WebSocket-Version: 8"}, status: 426, header: upgradeFields},
		{number: 11, name: "origin", edits: []string{"Origin: null"}, status: 403},
		{number: 16, name: "challenge", opts: authorize(challenge()), status: 401, header: challengeFields},
		{number: 18, name: "choice", opts: choose("a", nil), status: 500},
	} {
		t.Run(row.String(), func(t *testing.T) {
			calls := make(chan seen, 8)
			opts := new(websocket.Options)
			if row.opts != nil {
				*opts = *row.opts
			}
			opts.OnReject = func(w http.ResponseWriter, r *http.Request, e *websocket.HandshakeError) {
				calls <- seen{w.Header().Clone(), e}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusTeapot)
				json.NewEncoder(w).Encode(map[string]any{"status": e.Status, "why": e.Reason()})
			}
			e := newEndpoint(t, plainVenue, opts)
			got := e.send(t, wstest.Handshake(row.edits...)+secondRequest).readRefusal(t)
			result := e.result(t).err
			if n := e.calls.Load(); n != 1 {
				t.Errorf("the handler was called %d times, want 1", n)
			}
			if len(calls) != 1 {
				t.Fatalf("OnReject was called %d times, want 1", len(calls))
			}
			s := <-calls
			if error(s.err) != result {
				t.Errorf("OnReject got %v, Upgrade returned %v", s.err, result)
			}
			if s.err.Status != row.status {
				t.Errorf("OnReject got %v, want status %d", s.err, row.status)
			}
			want := http.Header{
				"Connection":             {"close"},
				"Content-Type":           {"text/plain; charset=utf-8"},
				"X-Content-Type-Options": {"nosniff"},
				"Cache-Control":          {"no-store"},
			}
			if row.status == 426 {
				want["Connection"] = []string{"close", "Upgrade"}
			}
			for _, line := range row.header {
				name, value, _ := strings.Cut(line, ": ")
				want.Add(name, value)
			}
			if !maps.EqualFunc(s.header, want, slices.Equal) {
				t.Errorf("OnReject found the header %q\nwant %q", s.header, want)
			}
			var body struct {
				Status int
				Why    string
			}
			if err := json.Unmarshal([]byte(got.body), &body); err != nil || body.Status != row.status || body.Why != s.err.Reason() {
				t.Errorf("got body %q, %v", got.body, err)
			}
			want.Set("Content-Type", "application/json")
			for name, values := range want {
				if !slices.Equal(got.header[name], values) {
					t.Errorf("got %s: %q, want %q", name, got.header[name], values)
				}
			}
			if got.status != http.StatusTeapot {
				t.Errorf("got status %d, want that of OnReject", got.status)
			}
		})
	}
}

// A version that is not spoken is answered with 426, as RFC 9110 has it. Who
// wants 501 sets it, and the fields stay.
func TestOnRejectVersion(t *testing.T) {
	opts := &websocket.Options{OnReject: func(w http.ResponseWriter, r *http.Request, e *websocket.HandshakeError) {
		status := e.Status
		if status == http.StatusUpgradeRequired && websocket.IsUpgrade(r) {
			status = http.StatusNotImplemented
		}
		w.WriteHeader(status)
		fmt.Fprintln(w, e.Reason())
	}}
	for _, tt := range []struct {
		edits []string
		want  int
	}{
		{[]string{"Sec-WebSocket-Version: 8"}, 501},
		{notHandshake, 426},
		{[]string{"-Sec-WebSocket-Version"}, 400},
	} {
		e := newEndpoint(t, plainVenue, opts)
		got := e.send(t, wstest.Handshake(tt.edits...)+secondRequest).readRefusal(t)
		if got.status != tt.want || got.header.Get("Sec-WebSocket-Version") != "13" || got.header.Get("Connection") != "close" {
			t.Errorf("%q: got %q, want %d with version 13 and close", tt.edits, got.head, tt.want)
		}
		e.result(t)
	}
}

// An OnReject that writes nothing gives a wrong answer, but no connection.
func TestOnRejectWritesNothing(t *testing.T) {
	e := newEndpoint(t, plainVenue, &websocket.Options{OnReject: func(http.ResponseWriter, *http.Request, *websocket.HandshakeError) {}})
	got := e.send(t, wstest.Handshake("Origin: null")+secondRequest).readRefusal(t)
	if got.header.Get("Connection") != "close" || e.calls.Load() != 1 {
		t.Errorf("got %q after %d calls of the handler, want an end", got.head, e.calls.Load())
	}
	e.result(t)
}

// TestRefusalWithoutBody: the body of a refused request is not waited for. The
// answer comes while the client still owes the body, and then the connection
// ends although the client has not ended it.
//
// How long the library lets net/http wait for the body behind an answer is the
// measure for the time up to an answer. Where the ResponseWriter hides its
// deadlines, that of the server applies in its place.
func TestRefusalWithoutBody(t *testing.T) {
	rows := []handshakeRow{
		{number: 0, name: "options", edits: []string{"Content-Length: 5"}, opts: &websocket.Options{Subprotocols: []string{""}}, status: 500},
		{number: 1, name: "page", edits: with(notHandshake, "POST", "Content-Length: 5"), status: 426},
		{number: 2, name: "method", edits: []string{"POST", "Content-Length: 5"}, status: 405},
		{number: 2, name: "method and a chunk", edits: []string{"POST", "Transfer-Encoding: chunked"}, body: "5\r\nhel", status: 405},
		{number: 3, name: "version of HTTP", edits: []string{"HTTP/1.0", "Content-Length: 5"}, status: 505},
		{number: 4, name: "host", edits: []string{"Host:", "Content-Length: 5"}, status: 400},
		{number: 5, name: "length and a part", edits: []string{"Content-Length: 5"}, body: "hell", status: 400},
		{number: 5, name: "length beyond all", edits: []string{"Content-Length: 9000000000000000000"}, status: 400},
		{number: 5, name: "chunks", edits: []string{"Transfer-Encoding: chunked"}, status: 400},
		{number: 5, name: "continue", edits: []string{"Content-Length: 5", "Expect: 100-continue"}, status: 400},
		{number: 5, name: "length", edits: []string{"Content-Length: 5"}, status: 400},
	}
	type exchange struct {
		name            string
		client          *rawClient
		start           time.Time
		answered, ended time.Duration
	}
	var exchanges []exchange
	for _, v := range []venue{hiddenVenue, tlsVenue, wrappedVenue, plainVenue} {
		e := newEndpoint(t, v, nil, func(s *http.Server) {
			if v.hidden {
				s.ReadTimeout = time.Second
			}
		})
		for _, row := range rows {
			e.opts.Store(row.opts)
			x := exchange{name: row.String() + ", " + v.name, client: e.dial(t)}
			if c, ok := x.client.Conn.(*tls.Conn); ok {
				if err := c.Handshake(); err != nil { // which takes its time, too
					t.Fatal(err)
				}
			}
			x.start = time.Now()
			x.client.write(t, wstest.Handshake(row.edits...)+row.body)
			got := x.client.readHead(t)
			x.answered = time.Since(x.start)
			if e.result(t); got.status != row.status {
				t.Errorf("%s: got %d, want %d", x.name, got.status, row.status)
			}
			exchanges = append(exchanges, x)
		}
	}
	for i := range exchanges {
		x := &exchanges[i]
		if _, err := io.Copy(io.Discard, x.client.r); err != nil {
			t.Errorf("%s: the connection does not end: %v", x.name, err)
		}
		x.ended = time.Since(x.start)
	}
	patience := exchanges[len(exchanges)-1].ended // begun last, and so not waited for others
	for _, x := range exchanges {
		if x.answered > patience*9/10 {
			t.Errorf("%s: answered after %v, with a patience of %v: the body was waited for", x.name, x.answered, patience)
		}
	}
}

// A server without keep-alives writes "close" by itself, once.
func TestRefusalWithoutKeepAlives(t *testing.T) {
	e := newEndpoint(t, plainVenue, nil, func(s *http.Server) { s.SetKeepAlivesEnabled(false) })
	got := e.send(t, wstest.Handshake(notHandshake...)+secondRequest).readRefusal(t)
	if got.status != 426 || !slices.Equal(got.header["Connection"], []string{"close"}) {
		t.Errorf("got %q, want 426 with Connection: close", got.head)
	}
	e.result(t)
}

// What HandshakeError says where the rows do not show it.
func TestHandshakeError(t *testing.T) {
	for _, tt := range []struct {
		err          *websocket.HandshakeError
		text, reason string
	}{
		{websocket.Reject(403, "not you"), "websocket: handshake refused with 403: not you", "not you"},
		{&websocket.HandshakeError{Status: 500, Err: io.EOF}, "websocket: handshake refused with 500: EOF", "Internal Server Error"},
		{&websocket.HandshakeError{Status: 404}, "websocket: handshake refused with 404", "Not Found"},
	} {
		if got := tt.err.Error(); got != tt.text {
			t.Errorf("Error() = %q, want %q", got, tt.text)
		}
		if got := tt.err.Reason(); got != tt.reason {
			t.Errorf("Reason() of %q = %q, want %q", tt.text, got, tt.reason)
		}
		if got := tt.err.Unwrap(); got != tt.err.Err {
			t.Errorf("Unwrap() of %q = %v, want %v", tt.text, got, tt.err.Err)
		}
	}
}
