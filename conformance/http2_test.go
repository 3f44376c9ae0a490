package conformance

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestHTTP2Probe: what is in the way of WebSockets over HTTP/2 is said.
func TestHTTP2Probe(t *testing.T) {
	answers := func(status int, name, value string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(name, value)
			w.WriteHeader(status)
			io.WriteString(w, "not here")
		}
	}
	for _, tt := range []struct {
		name   string
		serve  func(t *testing.T) net.Addr
		secure bool
		status int
		want   string
	}{
		{"HTTP/1.1 on TLS", listens(answers(200, "X", "y"), "tls"), true, 0, "no application protocol"},
		{"HTTP/1.1 in the clear", listens(answers(200, "X", "y"), "tcp"), false, 0, "speaks HTTP/1"},
		{"TLS without ALPN", listensWithoutALPN, true, 0, errNoHTTP2.Error()},
		{"no extended CONNECT", listensWithoutConnect, false, 0, ErrNoExtendedConnect.Error()},
		{"silence", listensInSilence, false, 0, "no SETTINGS"},
		{"refused", listens(answers(403, "X", "y"), "http2"), true, 403, "403 Forbidden"},
		{"redirected", listens(answers(302, "Location", "/"), "h2c"), false, 302, "302 Found"},
		{"a field of HTTP/1.1", listens(answers(200, "Sec-WebSocket-Accept", "x"), "http2"), true, 200, "RFC 8441, 5: "},
		{"a subprotocol that was not offered", listens(answers(200, "Sec-WebSocket-Protocol", "x"), "http2"), true, 200, "none that was offered"},
		{"no frames", listens(answers(200, "X", "y"), "http2"), true, 200, "5.2: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := "ws://" + tt.serve(t).String() + "/"
			if tt.secure {
				url = "wss" + strings.TrimPrefix(url, "ws")
			}
			o := Options{URL: url, HTTP2: true, TLS: &tls.Config{InsecureSkipVerify: true}}
			if tt.name == "silence" {
				o.Patience = time.Millisecond
			}
			_, err := Run(t.Context(), o)
			probe, ok := errors.AsType[*ProbeError](err)
			if !ok || probe.Status != tt.status || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want status %d and %q", err, tt.status, tt.want)
			}
		})
	}
}

// listens starts an http.Server over tcp, tls, http2 or h2c.
func listens(h http.Handler, over string) func(t *testing.T) net.Addr {
	return func(t *testing.T) net.Addr {
		s := newServer(h, over)
		t.Cleanup(s.Close)
		return s.Listener.Addr()
	}
}

// listensWith gives each connection to a function.
func listensWith(t *testing.T, l net.Listener, serve func(net.Conn)) net.Addr {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serve(conn)
			io.Copy(io.Discard, conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-ended
	})
	return l.Addr()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func listensInSilence(t *testing.T) net.Addr {
	return listensWith(t, listen(t), func(net.Conn) {})
}

// listensWithoutConnect speaks HTTP/2 as far as that it has no settings.
func listensWithoutConnect(t *testing.T) net.Addr {
	return listensWith(t, listen(t), func(conn net.Conn) { conn.Write([]byte("\x00\x00\x00\x04\x00\x00\x00\x00\x00")) })
}

func listensWithoutALPN(t *testing.T) net.Addr {
	lender := httptest.NewTLSServer(nil) // of a certificate
	config := &tls.Config{Certificates: lender.TLS.Certificates}
	lender.Close()
	return listensWith(t, tls.NewListener(listen(t), config), func(conn net.Conn) { conn.(*tls.Conn).Handshake() })
}

// TestExtendedConnect: the handshake is that of RFC 8441, section 5.
func TestExtendedConnect(t *testing.T) {
	o := &Options{URL: "wss://server.example/chat?a", HTTP2: true, Header: http.Header{"Cookie": {"c=1"}, "Host": {"other.example"}}}
	to, err := newTarget(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	c := &Case{offer: "permessage-deflate", request: []string{`"Origin:\t{origin} "`}}
	want := []string{
		":method: CONNECT", ":protocol: websocket", ":scheme: https", ":authority: other.example", ":path: /chat?a",
		"sec-websocket-version: 13", "cookie: c=1", "sec-websocket-extensions: permessage-deflate", "origin: https://other.example",
	}
	if got := to.extendedConnect(c.handshake(to)); !slices.Equal(got, want) {
		t.Errorf("the fields are %q, want %q", got, want)
	}
}

// TestNeedsHTTP1: most cases about frames can be played over HTTP/2, and none about
// HTTP/1.1.
func TestNeedsHTTP1(t *testing.T) {
	playable := make(map[string]int)
	for _, c := range Cases() {
		if !c.needsHTTP1() {
			playable[c.Group]++
		}
		if c.needsHTTP1() && c.Group != "handshake" && c.Group != "early" && c.Group != "timeouts" && c.Group != "deflate-agreement" {
			t.Errorf("%s is not played", c.ID())
		}
	}
	if playable["handshake"] > 0 || playable["early"] == 0 || playable["timeouts"] == 0 {
		t.Errorf("played are %v", playable)
	}
}
