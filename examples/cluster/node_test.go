package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
)

// startNode runs one node in this process, and returns where it is and what ends it.
func startNode(t *testing.T, args ...string) (host string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(bounded(t))
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"-addr", "127.0.0.1:0", "-replicas", "1"}, args...), nil, w)
		w.Close()
		ended <- err
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	line, _ := bufio.NewReader(r).ReadString('\n')
	m := announcement.FindStringSubmatch(strings.TrimSpace(line))
	if m == nil {
		t.Fatalf("standard output begins with %q", line)
	}
	return m[2], stop
}

func single(t *testing.T, args ...string) (host string, stop func()) {
	t.Helper()
	return startNode(t, append([]string{"-name", "x", "-dir", t.TempDir()}, args...)...)
}

func join(t *testing.T, host string, req request) (*client, anything) {
	t.Helper()
	c := connectTo(t, host)
	req.Type = "join"
	c.send(req)
	return c, c.expect(t, "welcome")
}

const id = "0123456789abcdef"

func TestTalk(t *testing.T) {
	host, _ := single(t)
	ann, w := join(t, host, request{Name: " Ann "})
	if w.Node != "x" || w.Stream == "" || w.After != 0 {
		t.Errorf("the welcome is %+v", w)
	}
	bob, _ := join(t, host, request{Name: "Bob"})
	for len(bob.expect(t, "people").People) < 2 {
	}
	say := request{Type: "say", ID: id, Text: "Grüße <b>"}
	ann.send(say)
	if m := ann.expect(t, "ack"); m.ID != id || m.Seq != 1 {
		t.Errorf("the ack is %+v", m)
	}
	if m := bob.expect(t, "message"); m.Seq != 1 || m.ID != id || m.Name != "Ann" || m.Text != "Grüße <b>" {
		t.Errorf("Bob got %+v", m)
	}

	// Sent again, by whomever, it is acknowledged as the one that it is.
	bob.send(say)
	if m := bob.expect(t, "ack"); m.Seq != 1 {
		t.Errorf("the second ack is %+v", m)
	}
	bob.send(request{Type: "say", ID: id + "2", Text: "next"})
	if m := bob.expect(t, "message"); m.Seq != 2 || m.Text != "next" {
		t.Errorf("after the message sent twice came %+v", m)
	}
}

// TestResume: who comes back gets what it has missed, and no more.
func TestResume(t *testing.T) {
	const all = welcomeSize + 10
	host, _ := single(t)
	ann, first := join(t, host, request{Name: "Ann"})
	for n := range all {
		ann.send(request{Type: "say", ID: fmt.Sprintf("%s%d", id, n), Text: "hello"})
	}
	for range all {
		ann.expect(t, "ack")
	}
	at := func(n uint64) *uint64 { return &n }
	for _, tt := range []struct {
		name string
		req  request
		want uint64
	}{
		{"new", request{}, all - welcomeSize},
		{"from the beginning", request{Stream: first.Stream, After: at(0)}, 0},
		{"in the middle", request{Stream: first.Stream, After: at(7)}, 7},
		{"nothing missed", request{Stream: first.Stream, After: at(all)}, all},
		{"another stream", request{Stream: "another", After: at(7)}, all - welcomeSize},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.req.Name = "Bob"
			c, w := join(t, host, tt.req)
			if w.After != tt.want {
				t.Errorf("begins after %d, want %d", w.After, tt.want)
			}
			for seq := tt.want; seq < all; {
				m, err := c.next()
				if seq++; err != nil || m.Seq != seq {
					t.Fatalf("got %+v, %v in place of message %d", m, err, seq)
				}
			}
			c.expect(t, "people")
		})
	}
}

// TestKept: with -dir, what was said is still there after the end.
func TestKept(t *testing.T) {
	dir := t.TempDir()
	host, stop := startNode(t, "-name", "x", "-dir", dir)
	ann, before := join(t, host, request{Name: "Ann"})
	ann.send(request{Type: "say", ID: id, Text: "hello"})
	ann.expect(t, "ack")
	go stop()
	ann.expectClose(t, 1001, "the server is shutting down")
	stop()
	host, _ = startNode(t, "-name", "x", "-dir", dir)
	bob, after := join(t, host, request{Name: "Bob"})
	if m := bob.expect(t, "message"); m.Seq != 1 || m.Text != "hello" || after.Stream != before.Stream {
		t.Errorf("Bob got %+v, in %s in place of %s", m, after.Stream, before.Stream)
	}
}

func TestEnds(t *testing.T) {
	host, _ := single(t)
	for _, tt := range violations {
		t.Run(tt.name, func(t *testing.T) {
			c := connectTo(t, host)
			c.sendFrame(frame.Text, []byte(tt.data))
			c.expectClose(t, 1008, tt.reason)
		})
	}
	for _, tt := range []struct {
		name   string
		send   func(c *client)
		reason string
	}{
		{"say before join", func(c *client) { c.send(request{Type: "say", ID: id, Text: "x"}) }, "say before join"},
		{"binary", func(c *client) { c.sendFrame(frame.Binary, []byte("{}")) }, "a binary message, want text"},
		{"joined twice", func(c *client) {
			c.send(request{Type: "join", Name: "Ann"})
			c.send(request{Type: "join", Name: "Ann"})
		}, "joined twice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := connectTo(t, host)
			tt.send(c)
			c.expectClose(t, 1008, tt.reason)
		})
	}
}

// get returns the answer to a GET, with its body read.
func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(bounded(t), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// TestNATS: a node without a server of its own joins one, and says so when it is lost.
func TestNATS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	nats := startNATS(t, dir, server.RANDOM_PORT)
	host, _ := startNode(t, "-name", "x", "-nats", nats.ClientURL())
	ann, _ := join(t, host, request{Name: "Ann"})
	ann.send(request{Type: "say", ID: id, Text: "hello"})
	ann.expect(t, "ack")
	expectHealth(t, host, "200 ok\n")
	port := nats.Addr().(*net.TCPAddr).Port
	nats.Shutdown()
	nats.WaitForShutdown()
	expectHealth(t, host, "503 not connected to NATS\n")
	ann.send(request{Type: "say", ID: id + "2", Text: "is anybody there?"})
	startNATS(t, dir, port)
	expectHealth(t, host, "200 ok\n")
	if m := ann.expect(t, "ack"); m.Seq != 2 {
		t.Errorf("the ack is %+v", m)
	}
	for m := ann.expect(t, "message"); m.Seq != 2; m = ann.expect(t, "message") {
	}
}

// eventually waits until something is as wanted.
func eventually(t *testing.T, want string, is func() string) {
	t.Helper()
	for ctx := bounded(t); is() != want; {
		if !sleep(ctx, retryAfter) {
			t.Fatalf("it is %q, want %q", is(), want)
		}
	}
}

// expectHealth waits for what /healthz says to a load balancer.
func expectHealth(t *testing.T, host, want string) {
	t.Helper()
	eventually(t, want, func() string {
		resp, body := get(t, "http://"+host+"/healthz")
		return fmt.Sprint(resp.StatusCode, " ", body)
	})
}

// TestCutOff: a server of three that sees no other is no use to anybody; with one more
// it is.
func TestCutOff(t *testing.T) {
	t.Parallel()
	ports, err := freePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	var cfg [2]config
	for i, port := range ports {
		cfg[i] = config{name: string(rune('a' + i)), dir: t.TempDir(), cluster: "127.0.0.1:" + port, replicas: 3}
	}
	cfg[0].routes = []string{cfg[1].cluster}
	cfg[1].routes = []string{cfg[0].cluster}
	first := newBroker(t, &cfg[0])
	const alone = "cut off from the other NATS servers"
	if got := first.lost(); got != alone {
		t.Errorf("at first: %q", got)
	}
	second := newBroker(t, &cfg[1])
	eventually(t, "", first.lost)
	second.embedded.Shutdown()
	eventually(t, alone, first.lost)
}

// newBroker connects to an embedded server, and does not wait for a stream.
func newBroker(t *testing.T, cfg *config) *broker {
	t.Helper()
	b := new(broker)
	if err := b.dial(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	return b
}

func startNATS(t *testing.T, dir string, port int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		t.Fatal("NATS does not start")
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
}

// TestNotStored: what cannot be stored gets no ack, and the client is sent elsewhere.
func TestNotStored(t *testing.T) {
	nats := startNATS(t, t.TempDir(), server.RANDOM_PORT)
	b, err := connect(bounded(t), &config{name: "x", nats: nats.ClientURL(), replicas: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	nats.Shutdown()
	n := &node{broker: b}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	code, err := n.hear(gone, &member{name: "Ann"}, websocket.Message{Type: websocket.Text, Data: encode(request{Type: "say", ID: id, Text: "x"})})
	if code != websocket.CloseTryAgainLater || err != errNotStored {
		t.Errorf("got %v, %v", code, err)
	}
}

func TestPage(t *testing.T) {
	for _, tt := range []struct {
		name, peers, sources, nodes string
	}{
		{"behind a load balancer", "", "", ""},
		{"nodes", "http://127.0.0.1:1,https://b.example", " ws://127.0.0.1:1 wss://b.example", "ws://127.0.0.1:1/ws wss://b.example/ws"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			host, _ := single(t, "-peers", tt.peers)
			nonces := make(map[string]bool)
			for range 2 {
				resp, body := get(t, "http://"+host+"/?name=Ann")
				csp := resp.Header.Get("Content-Security-Policy")
				m := regexp.MustCompile(`^default-src 'none'; script-src 'nonce-(\w+)'; style-src 'nonce-(\w+)'; connect-src 'self'(.*?); `).FindStringSubmatch(csp)
				if m == nil || m[1] != m[2] || nonces[m[1]] || m[3] != tt.sources {
					t.Fatalf("Content-Security-Policy is %q", csp)
				}
				nonces[m[1]] = true
				for _, want := range []string{`<script nonce="` + m[1] + `">`, `<style nonce="` + m[1] + `">`, `<meta name="nodes" content="` + tt.nodes + `">`} {
					if strings.Count(body, want) != 1 {
						t.Errorf("the page has not one %s", want)
					}
				}
				if strings.Contains(body, "NONCE") || strings.Contains(body, "NODES") {
					t.Error("something has not been filled in")
				}
			}
		})
	}
}

// TestDrain: a load balancer is told before the pages are, and may go on to send
// clients meanwhile.
func TestDrain(t *testing.T) {
	t.Parallel()
	host, stop := single(t, "-drain", "5s")
	ann, _ := join(t, host, request{Name: "Ann"})
	go stop()
	expectHealth(t, host, "503 shutting down\n")
	bob, _ := join(t, host, request{Name: "Bob"})
	bob.send(request{Type: "say", ID: id, Text: "hello"})
	ann.expect(t, "message")
	ann.expectClose(t, 1001, "the server is shutting down")
	bob.expectClose(t, 1001, "the server is shutting down")
}

func TestOrigins(t *testing.T) {
	host, _ := single(t, "-peers", "https://b.example", "-origins", "https://www.example")
	for origin, want := range map[string]int{
		"http://" + host:      http.StatusSwitchingProtocols,
		"https://b.example":   http.StatusSwitchingProtocols,
		"https://www.example": http.StatusSwitchingProtocols,
		"https://c.example":   http.StatusForbidden,
	} {
		req, _ := http.NewRequestWithContext(bounded(t), "GET", "http://"+host+"/ws", nil)
		for name, value := range map[string]string{
			"Origin": origin, "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
			"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "cluster.v1",
		} {
			req.Header.Set(name, value)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("from %s: %s, want %d", origin, resp.Status, want)
		}
	}
}

func TestBadFlags(t *testing.T) {
	for _, args := range [][]string{
		{"-nonsense"},
		{"-nodes", "0"},
		{"-nodes", "10"},
		{"-replicas", "0"},
		{"-replicas", "6"},
		{"-name", "a"},
		{"-name", "a", "-dir", "d", "-peers", "http://127.0.0.1:8081/chat"},
		{"-name", "a", "-dir", "d", "-peers", "nowhere"},
		{"-name", "a", "-dir", "d", "-peers", "https://*.example.com"},
		{"-name", "a", "-dir", "d", "-origins", "nowhere"},
		{"-name", "a", "-dir", t.TempDir(), "-cluster", "nowhere"},
		{"-name", "a", "-dir", t.TempDir(), "-cluster", "127.0.0.1:many"},
		{"-addr", "nowhere"},
		{"-addr", "127.0.0.1:many"},
		{"-addr", "127.0.0.1:65534"},
		{"argument"},
	} {
		var stdout bytes.Buffer
		if err := run(bounded(t), args, nil, &stdout); err == nil || errors.Is(err, flag.ErrHelp) || stdout.Len() > 0 {
			t.Errorf("%q: error %v, standard output %q", args, err, stdout.String())
		}
	}
}
