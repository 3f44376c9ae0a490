package interop

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// client is a WebSocket client of another project.
type client struct {
	name  string
	lacks []ability
	open  func(t *testing.T) dialer
}

// ability is what not every client has.
type ability string

const (
	fragments  ability = "fragments"   // sends messages in several frames
	pings      ability = "pings"       // sends pings and shows the pongs
	closeCodes ability = "close codes" // chooses the code of a close, and shows that of the peer
	statuses   ability = "statuses"    // shows the status of a refusal
)

var clients = []client{
	{name: "gorilla", open: func(*testing.T) dialer { return dialGorilla }},
	{name: "coder", open: func(*testing.T) dialer { return dialCoder }},
	{name: "gobwas", open: func(*testing.T) dialer { return dialGobwas }},
	{name: "x-net", open: func(*testing.T) dialer { return dialXNet }, lacks: []ability{fragments, pings, closeCodes, statuses}},
	{name: "node", open: scriptDialer(openNode)},
	{name: "python", open: scriptDialer(openPython)},
}

// target is what a client connects to, and what it says there.
type target struct {
	URL          string   `json:"url"`
	Origin       string   `json:"origin,omitempty"`
	Subprotocols []string `json:"subprotocols,omitempty"`

	// Compression is what to offer, as far as the client has options for it. If
	// nil, it is left to the client.
	Compression *deflateParams `json:"compression,omitempty"`
}

// dialer connects. When the server refuses, the error is a *refused.
type dialer func(target) (socket, error)

// socket is a connection of a client. Its methods wait no longer than patience.
type socket interface {
	subprotocol() string
	// send sends a message, in several frames if the client can.
	send(m message, fragmented bool) error
	// receive returns the next message. After a close frame the error is a
	// *closed.
	receive() (message, error)
	// ping sends a ping and waits for the pong with the same payload.
	ping(payload string) error
	// close goes through the closing handshake and returns what the server has
	// answered.
	close(code int, reason string) (*closed, error)
	// drop closes the connection in whatever way.
	drop()
}

type message struct {
	binary bool
	data   string
}

func (m message) String() string {
	kind := "text"
	if m.binary {
		kind = "binary"
	}
	if len(m.data) > 60 {
		return fmt.Sprintf("%s of %d bytes", kind, len(m.data))
	}
	return fmt.Sprintf("%s %q", kind, m.data)
}

// closed is a close frame of the server.
type closed struct {
	Code   int    `json:"code"`
	Reason string `json:"reason"`
}

func (c *closed) Error() string { return fmt.Sprintf("closed with %d %q", c.Code, c.Reason) }

// refused is an answer other than 101; its status is 0 where the client does not
// tell.
type refused struct{ status int }

func (r *refused) Error() string { return fmt.Sprintf("refused with %d", r.status) }

// allBytes is every byte once.
var allBytes = func() string {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return string(b)
}()

// exchanges are what every client does on every route, with an echo server that
// speaks the subprotocols chat.v2 and chat and takes messages of 1 MiB.
var exchanges = []struct {
	name  string
	needs ability
	run   func(*session)
}{
	{name: "text", run: echoes(message{false, "hello"})},
	{name: "UTF-8", run: echoes(message{false, "Grüße, κόσμε, 世界 🌍 \x00\u2028"})},
	{name: "binary", run: echoes(message{true, allBytes})},
	{name: "empty", run: echoes(message{false, ""}, message{true, ""})},
	{name: "large", run: echoes(message{false, strings.Repeat("0123456789abcde\n", 1<<16)}, message{true, strings.Repeat(allBytes, 1<<12)})},
	{name: "in fragments", needs: fragments, run: func(s *session) {
		large := message{false, strings.Repeat("é世🌍 ", 100_000)} // frames end in the middle of characters
		conn := s.dial(target{})
		s.send(conn, large, true)
		s.expect(conn, large)
	}},
	{name: "many in a row", run: func(s *session) {
		conn := s.dial(target{})
		for i := range 500 {
			s.send(conn, message{i%2 == 0, fmt.Sprint(i)}, false)
		}
		for i := range 500 {
			s.expect(conn, message{i%2 == 0, fmt.Sprint(i)})
		}
	}},
	{name: "ping", needs: pings, run: func(s *session) {
		conn := s.dial(target{})
		for _, payload := range []string{"", "are you there?", strings.Repeat("x", 125)} {
			if err := conn.ping(payload); err != nil {
				s.Fatalf("ping %q: %v", payload, err)
			}
		}
	}},
	{name: "no subprotocol", run: func(s *session) {
		if got := s.dial(target{}).subprotocol(); got != "" {
			s.Errorf("subprotocol %q, none was offered", got)
		}
	}},
	{name: "subprotocol", run: func(s *session) {
		if got := s.dial(target{Subprotocols: []string{"soap", "chat", "chat.v2"}}).subprotocol(); got != "chat.v2" {
			s.Errorf("subprotocol %q, want the server's first, chat.v2", got)
		}
	}},
	{name: "own origin", run: func(s *session) {
		s.echo(s.dial(target{Origin: s.origin}), message{false, "from your page"})
	}},
	{name: "foreign origin", run: func(s *session) {
		s.expectRefusal(target{Origin: "https://evil.example"}, 403)
	}},
	{name: "too large", needs: closeCodes, run: func(s *session) {
		conn := s.dial(target{})
		// The server does not wait for the end of the message, so sending it may
		// fail.
		_ = conn.send(message{true, strings.Repeat("x", 1<<20+1)}, false)
		s.expectClose(conn, 1009)
	}},
	{name: "close", needs: closeCodes, run: func(s *session) {
		for _, code := range []int{1000, 3000, 4321} {
			conn := s.dial(target{})
			s.echo(conn, message{false, "last words"})
			// The answer carries the code alone.
			if got, err := conn.close(code, "schön war's"); err != nil || *got != (closed{Code: code}) {
				s.Errorf("close with %d: %v, %v", code, got, err)
			}
		}
	}},
}

// session is a client at work on one route.
type session struct {
	*testing.T
	dialer dialer
	client *client
	url    string
	origin string // of pages from there
}

func (s *session) dial(to target) socket {
	s.Helper()
	to.URL = s.url
	conn, err := s.dialer(to)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(conn.drop)
	return conn
}

func (s *session) expectRefusal(to target, status int) {
	s.Helper()
	to.URL = s.url
	conn, err := s.dialer(to)
	if err == nil {
		conn.drop()
	}
	r, ok := errors.AsType[*refused](err)
	if s.client.can(statuses) && (!ok || r.status != status) || !ok {
		s.Errorf("%+v: %v, want it refused with %d", to, err, status)
	}
}

func (s *session) send(conn socket, m message, fragmented bool) {
	s.Helper()
	if err := conn.send(m, fragmented); err != nil {
		s.Fatalf("sending %v: %v", m, err)
	}
}

func (s *session) expect(conn socket, want message) {
	s.Helper()
	if got, err := conn.receive(); err != nil || got != want {
		s.Fatalf("received %v, %v; want %v", got, err, want)
	}
}

// expectClose waits for a close frame and returns its reason.
func (s *session) expectClose(conn socket, code int) string {
	s.Helper()
	m, err := conn.receive()
	c, ok := errors.AsType[*closed](err)
	if !ok || c.Code != code {
		s.Fatalf("received %v, %v; want a close with %d", m, err, code)
	}
	return c.Reason
}

func (c *client) can(a ability) bool { return !slices.Contains(c.lacks, a) }

// echo sends a message and expects it back.
func (s *session) echo(conn socket, m message) {
	s.Helper()
	s.send(conn, m, false)
	s.expect(conn, m)
}

// echoes does so with messages over one connection.
func echoes(messages ...message) func(*session) {
	return func(s *session) {
		conn := s.dial(target{})
		for _, m := range messages {
			s.echo(conn, m)
		}
	}
}
