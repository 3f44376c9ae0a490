package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/airlock-go/websocket/internal/wstest"
)

func TestMain(m *testing.M) {
	wstest.WithExtendedConnect()
	wstest.Main(m)
}

// running is a run of the program.
type running struct {
	t      *testing.T
	http2  bool   // the version of HTTP that connect uses
	origin string // its URL without the last slash
	host   string // with the port
	note   string // what it said besides its URL
	cancel context.CancelFunc
	stdout *bufio.Reader
	log    bytes.Buffer
	err    chan error
	over   bool
}

// start runs the program until it has said where it listens. It ends with the
// test, if not before.
func start(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	p := &running{t: t, cancel: cancel, stdout: bufio.NewReader(r), err: make(chan error, 1)}
	log.SetOutput(&p.log)
	go func() {
		err := run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), w)
		w.Close()
		p.err <- err
	}()
	t.Cleanup(func() { p.stop() })
	line, err := p.stdout.ReadString('\n')
	if err != nil {
		t.Fatalf("no line on standard output: %v", err)
	}
	m := regexp.MustCompile(`^listening on (https?://(.*))/\n$`).FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("standard output begins with %q", line)
	}
	p.origin, p.host = m[1], m[2]
	if p.secure() {
		if p.note, err = p.stdout.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// stop ends the program as Ctrl-C does, and returns what it has logged.
func (p *running) stop() string {
	p.t.Helper()
	p.cancel()
	if !p.over {
		p.over = true
		if rest, err := io.ReadAll(p.stdout); err != nil || len(rest) > 0 {
			p.t.Errorf("more on standard output: %q, %v", rest, err)
		}
		if err := <-p.err; err != nil {
			p.t.Errorf("run: %v", err)
		}
		log.SetOutput(os.Stderr)
	}
	return p.log.String()
}

func (p *running) secure() bool { return strings.HasPrefix(p.origin, "https:") }

// dial opens a connection, over TLS if the program speaks it. What that is to carry
// is one of protocols, or HTTP/1.1 if there are none.
func (p *running) dial(protocols ...string) net.Conn {
	p.t.Helper()
	var conn net.Conn
	var err error
	if p.secure() {
		conn, err = tls.Dial("tcp", p.host, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols})
	} else {
		conn, err = net.Dial("tcp", p.host)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	return conn
}

// request sends what wstest.Handshake makes of the edits to /ws, and returns the
// answer and the connection.
func (p *running) request(edits ...string) (*client, *http.Response) {
	p.t.Helper()
	conn := p.dial()
	conn.SetDeadline(time.Now().Add(wstest.Patience))
	text := wstest.Handshake(append([]string{"/ws", "Host: " + p.host}, edits...)...)
	if _, err := io.WriteString(conn, text); err != nil {
		p.t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return &client{wstest.NewPeer(p.t, conn, r), p.t}, resp
}

// connect makes a connection that has not joined.
func (p *running) connect() *client {
	p.t.Helper()
	if p.http2 {
		return p.connectHTTP2()
	}
	c, resp := p.request("Origin: "+p.origin, "Sec-WebSocket-Protocol: chat.v1")
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Protocol") != "chat.v1" {
		p.t.Fatalf("got %s, subprotocol %q", resp.Status, resp.Header.Get("Sec-WebSocket-Protocol"))
	}
	return c
}

// connectHTTP2 is connect by extended CONNECT.
func (p *running) connectHTTP2() *client {
	p.t.Helper()
	h, err := wstest.HTTP2(p.dial("h2"))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(h.Close)
	s, err := h.Open(false, ":method: CONNECT", ":protocol: websocket", ":scheme: https", ":path: /ws", ":authority: "+p.host,
		"origin: "+p.origin, "sec-websocket-version: 13", "sec-websocket-protocol: chat.v1")
	if err != nil {
		p.t.Fatal(err)
	}
	s.SetDeadline(time.Now().Add(wstest.Patience))
	status, header, err := s.Response()
	if err != nil || status != http.StatusOK || header.Get("Sec-WebSocket-Protocol") != "chat.v1" {
		p.t.Fatalf("status %d, subprotocol %q, %v", status, header.Get("Sec-WebSocket-Protocol"), err)
	}
	return &client{wstest.NewPeer(p.t, alone{s, h}, nil), p.t}
}

// alone is a stream that has its connection to itself.
type alone struct {
	*wstest.H2Stream
	connection *wstest.H2
}

func (a alone) Close() error {
	defer a.connection.Close()
	return a.H2Stream.Close()
}

// join makes a connection, joins, and returns the welcome.
func (p *running) join(name string) (*client, anything) {
	p.t.Helper()
	c := p.connect()
	c.SendText(fmt.Sprintf(`{"type":"join","name":%q}`, name))
	return c, c.next("welcome")
}

// client is a client of chat.v1.
type client struct {
	*wstest.Peer
	t *testing.T
}

func (c *client) say(text string) {
	c.t.Helper()
	c.SendText(fmt.Sprintf(`{"type":"say","text":%q}`, text))
}

// next reads a message, which has to be of one of these types.
func (c *client) next(types ...string) anything {
	c.t.Helper()
	h, payload, err := c.ReadFrame()
	if err != nil {
		c.t.Fatal(err)
	}
	if h.Opcode.String() != "text" {
		c.t.Fatalf("got %v %q, want %s", h, payload, types)
	}
	m := decode(c.t, payload)
	if !slices.Contains(types, m.Type) {
		c.t.Fatalf("got %s, want %s", payload, types)
	}
	return m
}

// expectEnd reads a close frame, answers it, and sees the end through.
func (c *client) expectEnd(code int, reason string) {
	c.t.Helper()
	c.ExpectClose(code, reason)
	c.SendClose(code, "")
	c.ExpectEOF()
	c.Close()
}

// onEach runs a test over all that carries WebSockets. The program logs which it was.
func onEach(t *testing.T, test func(t *testing.T, p *running)) {
	for _, over := range []struct {
		name, scheme, protocol string
		args                   []string
	}{
		{"tcp", "http", "HTTP/1.1", nil},
		{"tls", "https", "HTTP/1.1", []string{"-tls"}},
		{"http2", "https", "HTTP/2.0", []string{"-tls"}},
	} {
		t.Run(over.name, func(t *testing.T) {
			p := start(t, over.args...)
			p.http2 = over.protocol == "HTTP/2.0"
			if p.origin != over.scheme+"://"+p.host {
				t.Errorf("listens on %s", p.origin)
			}
			test(t, p)
			for line := range strings.SplitSeq(strings.TrimSpace(p.stop()), "\n") {
				if !strings.Contains(line, ": "+over.protocol+": websocket: ") {
					t.Errorf("logged: %q", line)
				}
			}
		})
	}
}

func TestChat(t *testing.T) { onEach(t, testChat) }

func testChat(t *testing.T, p *running) {
	before := time.Now().Truncate(time.Second)
	ann, welcome := p.join(" Ann ")
	if welcome.Name != "Ann" || fmt.Sprint(welcome.People) != "[Ann]" || len(welcome.Messages) != 0 {
		t.Errorf("Ann got %+v", welcome)
	}
	bob, welcome := p.join("Ann")
	if welcome.Name != "Ann 2" || fmt.Sprint(welcome.People) != "[Ann Ann 2]" {
		t.Errorf("the other Ann got %+v", welcome)
	}
	if m := ann.next("people"); fmt.Sprint(m.People) != "[Ann Ann 2]" {
		t.Errorf("Ann got %+v", m)
	}
	ann.say("hello")
	for _, c := range []*client{ann, bob} {
		m := c.next("message")
		at, err := time.Parse("2006-01-02T15:04:05Z", m.Time)
		if m.ID != 1 || m.Name != "Ann" || m.Text != "hello" || err != nil || at.Before(before) || at.After(time.Now()) {
			t.Errorf("first message %+v, %v", m, err)
		}
	}
	bob.say("Grüße <b>")
	for _, c := range []*client{ann, bob} {
		if m := c.next("message"); m.ID != 2 || m.Name != "Ann 2" || m.Text != "Grüße <b>" {
			t.Errorf("second message %+v", m)
		}
	}
	bob.SendClose(1000, "")
	bob.ExpectClose(1000, "")
	bob.ExpectEOF()
	bob.Close()
	if m := ann.next("people"); fmt.Sprint(m.People) != "[Ann]" {
		t.Errorf("Ann got %+v", m)
	}
	cleo, welcome := p.join("Cleo")
	defer cleo.Close()
	if len(welcome.Messages) != 2 || welcome.Messages[0].Text != "hello" || welcome.Messages[1].ID != 2 {
		t.Errorf("Cleo got %+v", welcome)
	}
	ann.next("people")
	ann.CloseAtOnce()
	dai, welcome := p.join("Dai")
	defer dai.Close()
	if welcome.Name != "Dai" {
		t.Errorf("Dai got %+v", welcome)
	}
}

func TestEnds(t *testing.T) { onEach(t, testEnds) }

func testEnds(t *testing.T, p *running) {
	for _, tt := range violations {
		t.Run(tt.name, func(t *testing.T) {
			c := p.connect()
			c.SendText(tt.data)
			c.expectEnd(1008, tt.reason)
		})
	}
	for _, tt := range []struct {
		name   string
		send   func(c *client)
		code   int
		reason string
	}{
		{"say before join", func(c *client) { c.say("hello") }, 1008, "say before join"},
		{"binary", func(c *client) { c.SendFrame(2, true, `{"type":"join","name":"Ann"}`) }, 1008, "a binary message, want text"},
		{"joined twice", func(c *client) {
			c.SendText(`{"type":"join","name":"Ann"}`)
			c.next("welcome")
			c.SendText(`{"type":"join","name":"Bob"}`)
		}, 1008, "joined twice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := p.connect()
			tt.send(c)
			c.expectEnd(tt.code, tt.reason)
		})
	}
	t.Run("too big", func(t *testing.T) {
		c := p.connect()
		c.SendText(strings.Repeat(" ", maxMessageSize+1))
		if _, payload, err := c.ReadFrame(); err != nil || !bytes.HasPrefix(payload, wstest.ClosePayload(1009, "")) {
			t.Errorf("got %q, %v", payload, err)
		}
		c.Close()
	})
	eve, welcome := p.join("Eve")
	if fmt.Sprint(welcome.People) != "[Eve]" || len(welcome.Messages) != 0 {
		t.Errorf("after all had gone, Eve got %+v", welcome)
	}
	eve.Close()
	if logged := p.stop(); strings.Count(logged, "closed by this end with 1008") != len(violations)+3 {
		t.Errorf("logged:\n%s", logged)
	}
}

func TestHandshake(t *testing.T) {
	p := start(t, "-origins", "https://a.example, https://*.b.example")
	const chat = "Sec-WebSocket-Protocol: chat.v1"
	for _, tt := range []struct {
		name   string
		edits  []string
		status int
	}{
		{"own origin", []string{"Origin: http://" + p.host, chat}, 101},
		{"no origin", []string{chat}, 101},
		{"trusted origin", []string{"Origin: https://a.example", chat}, 101},
		{"trusted subdomain", []string{"Origin: https://www.b.example", chat}, 101},
		{"foreign origin", []string{"Origin: https://c.example", chat}, 403},
		{"no subprotocol", nil, 501},
		{"other subprotocol", []string{"Sec-WebSocket-Protocol: chat.v2"}, 501},
		{"no handshake", []string{"-Upgrade", "-Connection", "-Sec-WebSocket-Key", "-Sec-WebSocket-Version"}, 426},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, resp := p.request(tt.edits...)
			defer c.Close()
			if resp.StatusCode != tt.status {
				t.Errorf("got %s, want %d", resp.Status, tt.status)
			}
		})
	}
}

func TestShutdown(t *testing.T) { onEach(t, testShutdown) }

func testShutdown(t *testing.T, p *running) {
	stranger := p.connect()
	ann, _ := p.join("Ann")
	bob, _ := p.join("Bob")
	ann.next("people")
	p.cancel()
	for _, c := range []*client{stranger, ann, bob} {
		c.expectEnd(1001, "the server is shutting down")
	}
	if logged := p.stop(); strings.Count(logged, "closed by this end with 1001") != 3 {
		t.Errorf("logged:\n%s", logged)
	}
	if conn, err := net.Dial("tcp", p.host); err == nil {
		conn.Close()
		t.Error("still accepts connections")
	}
}

// TestPeople: one client too many is told to try again.
func TestPeople(t *testing.T) {
	p := start(t, "-people", "1")
	ann, _ := p.join("Ann")
	defer ann.Close()
	bob, resp := p.request("Sec-WebSocket-Protocol: chat.v1")
	defer bob.Close()
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("got %s, Retry-After %q", resp.Status, resp.Header.Get("Retry-After"))
	}
}

// get requests a page, with a connection of its own.
func (p *running) get(method, path string) (*http.Response, string) {
	p.t.Helper()
	req, err := http.NewRequest(method, p.origin+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: wstest.Patience}
	resp, err := client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp, string(body)
}

func TestPage(t *testing.T) {
	t.Run("HTTP/1.1", func(t *testing.T) { testPage(t, start(t), "HTTP/1.1") })
	t.Run("HTTP/2.0", func(t *testing.T) { testPage(t, start(t, "-tls"), "HTTP/2.0") })
}

func testPage(t *testing.T, p *running, protocol string) {
	nonces := make(map[string]bool)
	for range 2 {
		resp, body := p.get("GET", "/?name=Ann")
		if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || resp.Proto != protocol || got != "text/html; charset=utf-8" {
			t.Errorf("%s %s, Content-Type %q", resp.Proto, resp.Status, got)
		}
		csp := resp.Header.Get("Content-Security-Policy")
		m := regexp.MustCompile(`^default-src 'none'; script-src 'nonce-(\w+)'; style-src 'nonce-(\w+)'; connect-src 'self'; `).FindStringSubmatch(csp)
		if m == nil || m[1] != m[2] || nonces[m[1]] {
			t.Fatalf("Content-Security-Policy is %q", csp)
		}
		nonces[m[1]] = true
		for _, element := range []string{"script", "style"} {
			if !strings.Contains(body, "<"+element+` nonce="`+m[1]+`">`) || strings.Count(body, "<"+element) != 1 {
				t.Errorf("the page has not one <%s> with the nonce", element)
			}
		}
		if strings.Contains(body, "NONCE") {
			t.Error("a nonce has not been filled in")
		}
	}
}

// TestPageLimits: the page lets nobody type more than the server takes.
func TestPageLimits(t *testing.T) {
	for _, want := range []string{
		fmt.Sprintf(`id="name" maxlength="%d"`, maxName),
		fmt.Sprintf(`id="text" rows="1" maxlength="%d"`, maxText),
		fmt.Sprintf(`text.length > %d`, maxText),
		fmt.Sprintf(`the last %d messages`, historySize),
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not have %s", want)
		}
	}
}

func TestOtherRequests(t *testing.T) {
	p := start(t)
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"HEAD", "/", http.StatusOK},
		{"POST", "/", http.StatusMethodNotAllowed},
		{"GET", "/ws", http.StatusUpgradeRequired},
		{"GET", "/favicon.ico", http.StatusNoContent},
		{"GET", "/page.html", http.StatusNotFound},
	} {
		if resp, _ := p.get(tt.method, tt.path); resp.StatusCode != tt.status {
			t.Errorf("%s %s: %s, want %d", tt.method, tt.path, resp.Status, tt.status)
		}
	}
}

// TestOffered: what is said about HTTP/2 is what the server does.
func TestOffered(t *testing.T) {
	p := start(t, "-tls")
	if want := "the certificate is self-signed; WebSockets may use HTTP/1.1 and HTTP/2 (extended CONNECT is offered)\n"; p.note != want {
		t.Errorf("says %q, want %q", p.note, want)
	}
	p.connectHTTP2().Close()
	p.stop()
	t.Setenv("GODEBUG", "http2xconnect=0")
	if got := start(t, "-tls").note; !strings.Contains(got, "self-signed; WebSockets use HTTP/1.1 (GODEBUG=http2xconnect=1 in the environment ") {
		t.Errorf("without the setting it says %q", got)
	}
}

// TestCertificate: it is good for this machine, and for the name of -addr.
func TestCertificate(t *testing.T) {
	for _, host := range []string{"localhost", "chat.example", "192.0.2.7"} {
		cert, err := selfSigned(host)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(cert.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		trusted := x509.NewCertPool()
		trusted.AddCert(leaf)
		for _, name := range []string{"localhost", "127.0.0.1", "::1", host} {
			if _, err := leaf.Verify(x509.VerifyOptions{Roots: trusted, DNSName: name}); err != nil {
				t.Errorf("for %s: %v", host, err)
			}
		}
	}
}

func TestBadFlags(t *testing.T) {
	p := start(t)
	for _, args := range [][]string{
		{"-nonsense"},
		{"-origins", "nowhere"},
		{"-origins", "https://a.example/path"},
		{"-people", "many"},
		{"argument"},
		{"-addr", "nowhere"},
		{"-addr", p.host}, // taken
	} {
		var stdout bytes.Buffer
		if err := run(t.Context(), args, &stdout); err == nil || errors.Is(err, flag.ErrHelp) || stdout.Len() > 0 {
			t.Errorf("%q: error %v, standard output %q", args, err, stdout.String())
		}
	}
}

func TestDefaultAddress(t *testing.T) {
	if cfg, err := parseFlags(nil); cfg.addr != "127.0.0.1:8080" || err != nil {
		t.Errorf("listens on %s, %v", cfg.addr, err)
	}
}

// TestHost: the URL that is printed leads here.
func TestHost(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:0": "127.0.0.1",
		":0":          "localhost",
		"0.0.0.0:0":   "localhost",
		"[::]:0":      "localhost",
	} {
		p := start(t, "-addr", addr)
		if host, port, err := net.SplitHostPort(p.host); host != want || port == "0" || err != nil {
			t.Errorf("with %s it listens on %s", addr, p.host)
		}
		p.stop()
	}
}
