package main

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

func TestMain(m *testing.M) {
	wstest.WithExtendedConnect()
	wstest.Main(m)
}

// running is a run of the program.
type running struct {
	t      *testing.T
	http2  bool // the version of HTTP that connect uses
	url    *url.URL
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
	address, ok := strings.CutPrefix(line, "listening on ")
	if !ok {
		t.Fatalf("standard output begins with %q", line)
	}
	p.url, err = url.Parse(strings.TrimSuffix(address, "\n"))
	if err == nil && p.url.Scheme == "wss" {
		p.note, err = p.stdout.ReadString('\n')
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// stop ends the program as Ctrl-C does, and returns what it has logged.
func (p *running) stop() string {
	p.t.Helper()
	p.cancel()
	if p.over {
		return p.log.String()
	}
	p.over = true
	if rest, err := io.ReadAll(p.stdout); err != nil || len(rest) > 0 {
		p.t.Errorf("more on standard output: %q, %v", rest, err)
	}
	if err := <-p.err; err != nil {
		p.t.Errorf("run: %v", err)
	}
	log.SetOutput(os.Stderr)
	return p.log.String()
}

var anyCertificate = &tls.Config{InsecureSkipVerify: true}

// get requests a page, with a connection of its own.
func (p *running) get(method, path, accept string) (*http.Response, string) {
	p.t.Helper()
	transport := &http.Transport{TLSClientConfig: anyCertificate.Clone(), ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	u := *p.url
	u.Scheme = map[string]string{"ws": "http", "wss": "https"}[u.Scheme]
	u.Path = path
	req, err := http.NewRequest(method, u.String(), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
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

// handshake connects and sends what wstest.Handshake makes of the edits.
func (p *running) handshake(edits ...string) (*wstest.Peer, *http.Response) {
	p.t.Helper()
	var conn net.Conn
	var err error
	if p.url.Scheme == "wss" {
		conn, err = tls.Dial("tcp", p.url.Host, anyCertificate)
	} else {
		conn, err = net.Dial("tcp", p.url.Host)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(wstest.Patience))
	if _, err := io.WriteString(conn, wstest.Handshake(append([]string{"/", "Host: " + p.url.Host}, edits...)...)); err != nil {
		p.t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return wstest.NewPeer(p.t, conn, r), resp
}

// connect opens a connection.
func (p *running) connect() *wstest.Peer {
	p.t.Helper()
	if p.http2 {
		return p.connectHTTP2()
	}
	c, resp := p.handshake()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		p.t.Fatalf("status %s, want 101", resp.Status)
	}
	if accept := resp.Header.Get("Sec-WebSocket-Accept"); accept != wstest.HandshakeAccept {
		p.t.Fatalf("Sec-WebSocket-Accept is %q", accept)
	}
	return c
}

// connectHTTP2 opens a connection by extended CONNECT.
func (p *running) connectHTTP2() *wstest.Peer {
	p.t.Helper()
	secure := anyCertificate.Clone()
	secure.NextProtos = []string{"h2"}
	conn, err := tls.Dial("tcp", p.url.Host, secure)
	if err != nil {
		p.t.Fatal(err)
	}
	h, err := wstest.HTTP2(conn)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(h.Close)
	s, err := h.Open(false, ":method: CONNECT", ":protocol: websocket", ":scheme: https", ":path: /", ":authority: "+p.url.Host,
		"sec-websocket-version: 13")
	if err != nil {
		p.t.Fatal(err)
	}
	s.SetDeadline(time.Now().Add(wstest.Patience))
	if status, _, err := s.Response(); err != nil || status != http.StatusOK {
		p.t.Fatalf("status %d, %v; want 200", status, err)
	}
	return wstest.NewPeer(p.t, alone{s, h}, nil)
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

// modes are the ways to serve a connection.
var modes = []string{"handler", "serve", "poller"}

func onEachMode(t *testing.T, test func(t *testing.T, mode string)) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) { test(t, mode) })
	}
}

// onEach runs a test in each mode, over all that carries WebSockets.
func onEach(t *testing.T, test func(t *testing.T, p *running)) {
	onEachMode(t, func(t *testing.T, mode string) {
		for _, over := range []struct {
			name, scheme string
			http2        bool
		}{
			{"tcp", "ws", false},
			{"tls", "wss", false},
			{"http2", "wss", true},
		} {
			t.Run(over.name, func(t *testing.T) {
				p := start(t, "-mode", mode, "-tls="+strconv.FormatBool(over.scheme == "wss"))
				p.http2 = over.http2
				if p.url.Scheme != over.scheme || p.url.Hostname() != "127.0.0.1" || p.url.Port() == "0" || p.url.Path != "/" {
					t.Errorf("listens on %v", p.url)
				}
				test(t, p)
			})
		}
	})
}

func TestEcho(t *testing.T) { onEach(t, testEcho) }

func testEcho(t *testing.T, p *running) {
	c := p.connect()
	for _, payload := range []string{"", "Grüße", strings.Repeat("long ", 50_000)} {
		c.SendText(payload)
		c.ExpectText(payload)
	}
	c.SendFrame(frame.Binary, true, "\x00\xff")
	c.Expect(frame.Binary, true, "\x00\xff")
	c.SendFrame(frame.Ping, true, "there?")
	c.Expect(frame.Pong, true, "there?")
	c.SendClose(1000, "")
	c.ExpectClose(1000, "")
	c.ExpectEOF()
	c.Close()
	protocol := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[p.http2]
	if logged := p.stop(); !strings.Contains(logged, c.LocalAddr().String()+": "+protocol+": websocket: closed by peer with 1000 (normal closure); 4 messages received, 4 sent") {
		t.Errorf("logged:\n%s", logged)
	}
}

// TestMode: the HTTP handler stays with its connection, or leaves it to others, as
// the mode says.
func TestMode(t *testing.T) {
	for _, test := range []struct {
		args []string
		in   string // where a goroutine waits for the client
		stay bool   // the HTTP handler stays
	}{
		{nil, "echo.(*server).loop(", true},
		{[]string{"-mode", "handler"}, "echo.(*server).loop(", true},
		{[]string{"-mode", "serve"}, "websocket.(*Conn).Serve(", false},
		{[]string{"-mode", "poller"}, "websocket.(*Poller).work(", false},
		{[]string{"-tls"}, "echo.(*server).loop(", true},
		{[]string{"-tls", "-mode", "serve"}, "websocket.(*Conn).Serve(", true},
		{[]string{"-tls", "-mode", "poller"}, "websocket.(*Poller).Serve(", true},
	} {
		p := start(t, test.args...)
		p.http2 = p.url.Scheme == "wss"
		c := p.connect()
		c.SendText("here")
		c.ExpectText("here")
		buf := make([]byte, 1<<20)
		stacks := string(buf[:runtime.Stack(buf, true)])
		if !strings.Contains(stacks, test.in) || strings.Contains(stacks, "echo.(*server).echo(") != test.stay {
			t.Errorf("%q: want a goroutine in %s, in the HTTP handler: %t\n%s", test.args, test.in, test.stay, stacks)
		}
		c.Close()
		p.stop()
	}
}

func TestPage(t *testing.T) {
	for _, test := range []struct {
		args  []string
		proto string
	}{
		{nil, "HTTP/1.1"},
		{[]string{"-tls"}, "HTTP/2.0"},
	} {
		t.Run(test.proto, func(t *testing.T) {
			p := start(t, test.args...)
			nonces := map[string]bool{}
			for range 2 {
				resp, body := p.get("GET", "/", "text/html,*/*")
				h := resp.Header
				if resp.StatusCode != http.StatusOK || resp.Proto != test.proto {
					t.Errorf("%s %s", resp.Proto, resp.Status)
				}
				if got := h.Get("Content-Type"); got != "text/html; charset=utf-8" {
					t.Errorf("Content-Type is %q", got)
				}
				if got := h.Get("X-Content-Type-Options"); got != "nosniff" {
					t.Errorf("X-Content-Type-Options is %q", got)
				}
				csp := h.Get("Content-Security-Policy")
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
			}
		})
	}
}

func TestOtherRequests(t *testing.T) {
	p := start(t)
	for _, test := range []struct {
		method, path, accept string
		status               int
	}{
		{"HEAD", "/", "text/html", http.StatusOK},
		{"GET", "/", "*/*", http.StatusUpgradeRequired},
		{"POST", "/", "text/html", http.StatusUpgradeRequired},
		{"GET", "/favicon.ico", "image/*", http.StatusNoContent},
		{"GET", "/page.html", "text/html", http.StatusNotFound},
	} {
		if resp, _ := p.get(test.method, test.path, test.accept); resp.StatusCode != test.status {
			t.Errorf("%s %s: %s, want %d", test.method, test.path, resp.Status, test.status)
		}
	}
}

func TestRefusals(t *testing.T) {
	p := start(t, "-subprotocols", "chat.v2, chat", "-require-subprotocol", "-origins", "https://a.example")
	own := "Origin: http://" + p.url.Host
	for _, test := range []struct {
		name        string
		fields      []string
		status      int
		subprotocol string
	}{
		{"own origin", []string{own, "Sec-WebSocket-Protocol: chat, chat.v2"}, 101, "chat.v2"},
		{"no origin", []string{"Sec-WebSocket-Protocol: soap, chat"}, 101, "chat"},
		{"trusted origin", []string{"Origin: https://a.example", "Sec-WebSocket-Protocol: chat"}, 101, "chat"},
		{"foreign origin", []string{"Origin: https://b.example", "Sec-WebSocket-Protocol: chat"}, 403, ""},
		{"other subprotocol", []string{own, "Sec-WebSocket-Protocol: soap"}, 501, ""},
		{"no subprotocol", []string{own}, 501, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, resp := p.handshake(test.fields...)
			defer c.Close()
			if got := resp.Header.Get("Sec-WebSocket-Protocol"); resp.StatusCode != test.status || got != test.subprotocol {
				t.Errorf("status %s, subprotocol %q; want %d, %q", resp.Status, got, test.status, test.subprotocol)
			}
		})
	}
	logged := p.stop()
	for _, reason := range []string{"refused with 403: Origin \"https://b.example\"", "refused with 501: "} {
		if !strings.Contains(logged, reason) {
			t.Errorf("nothing logged about %q:\n%s", reason, logged)
		}
	}
}

func TestMax(t *testing.T) {
	onEachMode(t, func(t *testing.T, mode string) {
		p := start(t, "-mode", mode, "-max", "10")
		c := p.connect()
		c.SendText("0123456789")
		c.ExpectText("0123456789")
		c.SendText("0123456789a")
		if _, payload, err := c.ReadFrame(); err != nil || !bytes.HasPrefix(payload, wstest.ClosePayload(1009, "")) {
			t.Errorf("got %q, %v", payload, err)
		}
		c.Close()
		if logged := p.stop(); !strings.Contains(logged, "closed by this end with 1009") {
			t.Errorf("logged:\n%s", logged)
		}
	})
}

func TestNoMax(t *testing.T) {
	p := start(t, "-max", "-1")
	c := p.connect()
	large := strings.Repeat("x", 3<<20)
	c.SendText(large)
	c.ExpectText(large)
}

func TestCompress(t *testing.T) {
	const (
		browser = "permessage-deflate; client_max_window_bits"
		text    = "A window is the end of what has been sent, for later messages to refer to: what stands in it need not be sent again. "
	)
	for _, test := range []struct {
		name          string
		args          []string
		offer, answer string
		takeover      bool
	}{
		{"default", []string{"-compress"}, browser, "permessage-deflate; client_max_window_bits=12", true},
		{"zero", []string{"-compress", "-window", "0"}, browser, "permessage-deflate; client_max_window_bits=12", true},
		{"smallest window", []string{"-compress", "-window", "8"}, browser, "permessage-deflate; client_max_window_bits=8", true},
		{"largest window", []string{"-compress", "-window", "15"}, browser, "permessage-deflate; client_max_window_bits=15", true},
		{"no window", []string{"-compress", "-window", "-1"}, browser, "permessage-deflate; client_no_context_takeover", false},
		{"no takeover wanted", []string{"-compress", "-window", "15"}, "permessage-deflate; server_no_context_takeover",
			"permessage-deflate; server_no_context_takeover", false},
		{"no offer", []string{"-compress"}, "", "", false},
		{"another offer", []string{"-compress"}, "x-webkit-deflate-frame", "", false},
		{"not switched on", nil, browser, "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := start(t, test.args...)
			var fields []string
			if test.offer != "" {
				fields = []string{"Sec-WebSocket-Extensions: " + test.offer}
			}
			c, resp := p.handshake(fields...)
			defer c.Close()
			if got := strings.Join(resp.Header["Sec-Websocket-Extensions"], ", "); resp.StatusCode != 101 || got != test.answer {
				t.Fatalf("status %s, extensions %q; want 101, %q", resp.Status, got, test.answer)
			}
			message := text + "Or so RFC 7692 says."
			if test.answer == "" {
				c.SendText(message)
				if h, payload, err := c.ReadFrame(); err != nil || h.RSV1 || string(payload) != message {
					t.Errorf("echo of an uncompressed message is %v %q, %v", h, payload, err)
				}
				return
			}
			first := compressedEcho(t, c, message, "")
			window := ""
			if test.takeover {
				window = message
			}
			if second := compressedEcho(t, c, message, window); test.takeover != (second < first) {
				t.Errorf("the first echo takes %d bytes, the second %d; takeover %t", first, second, test.takeover)
			}
		})
	}
}

// emptyBlock ends what a compressor flushes, and does not go over the wire (RFC
// 7692, section 7.2.1).
const emptyBlock = "\x00\x00\xff\xff"

// compressedEcho sends a compressed message and returns the size of the echo, a
// compressed one as well. What that refers to stands in it or in window.
func compressedEcho(t *testing.T, c *wstest.Peer, message, window string) int {
	t.Helper()
	var compressed bytes.Buffer
	w, err := flate.NewWriter(&compressed, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, message)
	w.Flush()
	b := wstest.Frame(frame.Text, true, bytes.TrimSuffix(compressed.Bytes(), []byte(emptyBlock)))
	b[0] |= 0x40 // RSV1
	c.Send(b...)

	h, payload, err := c.ReadFrame()
	if err != nil || !h.RSV1 || !h.Fin || h.Opcode != frame.Text || len(payload) >= len(message) {
		t.Fatalf("echo is %v with %d bytes for %d, %v", h, len(payload), len(message), err)
	}
	const lastBlock = "\x01\x00\x00\xff\xff"
	r := flate.NewReaderDict(strings.NewReader(string(payload)+emptyBlock+lastBlock), []byte(window))
	if got, err := io.ReadAll(r); err != nil || string(got) != message {
		t.Fatalf("echo decompresses to %q, %v, want %q", got, err, message)
	}
	return len(payload)
}

func TestShutdown(t *testing.T) { onEach(t, testShutdown) }

func testShutdown(t *testing.T, p *running) {
	clients := []*wstest.Peer{p.connect(), p.connect(), p.connect()}
	for _, c := range clients {
		c.SendText("here")
		c.ExpectText("here")
	}
	p.cancel()
	for i, c := range clients {
		c.ExpectClose(1001, "the server is shutting down")
		if i > 0 { // the first has nothing to say any more
			c.SendClose(1001, "")
			c.ExpectEOF()
		}
		c.Close()
	}
	if logged := p.stop(); strings.Count(logged, "closed by this end with 1001") != len(clients) {
		t.Errorf("logged:\n%s", logged)
	}
	if conn, err := net.Dial("tcp", p.url.Host); err == nil {
		conn.Close()
		t.Error("still accepts connections")
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

func TestCertificate(t *testing.T) {
	for host, names := range map[string][]string{
		"localhost":    {"localhost", "127.0.0.1", "::1"},
		"echo.example": {"localhost", "127.0.0.1", "::1", "echo.example"},
		"192.0.2.7":    {"localhost", "127.0.0.1", "::1", "192.0.2.7"},
	} {
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
		for _, name := range names {
			if _, err := leaf.Verify(x509.VerifyOptions{Roots: trusted, DNSName: name}); err != nil {
				t.Errorf("for %s: %v", host, err)
			}
		}
		if n := len(leaf.DNSNames) + len(leaf.IPAddresses); n != len(names) {
			t.Errorf("for %s: %d names, want %d", host, n, len(names))
		}
	}
}

func TestHost(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:8080":    "127.0.0.1",
		"[::1]:8080":        "::1",
		"echo.example:8080": "echo.example",
		":8080":             "localhost",
		"0.0.0.0:8080":      "localhost",
		"[::]:8080":         "localhost",
	} {
		cfg, err := parseFlags([]string{"-addr", addr})
		if got := cfg.host(); got != want || err != nil {
			t.Errorf("host of %s is %q, %v; want %q", addr, got, err, want)
		}
	}
}

func TestBadFlags(t *testing.T) {
	p := start(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel() // what serves after all does not serve for long
	for _, args := range [][]string{
		{"-nonsense"},
		{"-max", "much"},
		{"-origins", "nowhere"},
		{"-subprotocols", "(x)"},
		{"-compress", "-window", "7"},
		{"-compress", "-window", "16"},
		{"-window", "16"},
		{"-window", "large"},
		{"-mode", "fast"},
		{"-mode", ""},
		{"-mode", "Serve"},
		{"argument"},
		{"-addr", "nowhere"},
		{"-addr", p.url.Host}, // taken
	} {
		var stdout bytes.Buffer
		if err := run(ended, args, &stdout); err == nil || errors.Is(err, flag.ErrHelp) || stdout.Len() > 0 {
			t.Errorf("%q: error %v, standard output %q", args, err, stdout.String())
		}
	}
}
