package interop

import (
	"strings"
	"testing"
)

// TestTunnelHAProxy: HAProxy makes of an extended CONNECT what the server behind it
// speaks, and of a GET, too.
func TestTunnelHAProxy(t *testing.T) {
	t.Parallel()
	server := startVersions(t, withConnect)
	behind := strings.TrimPrefix(server.urls["http"], "http://")
	const line = "server app1 127.0.0.1:8080"
	for _, back := range []struct {
		name, as string
		edits    []string
	}{
		{"to HTTP1", "GET over HTTP/1", nil},
		{"to HTTP2", "CONNECT over HTTP/2", []string{line, line + " proto h2"}},
		{"to HTTP2 but for WebSocket", "GET over HTTP/1", []string{line, line + " proto h2 ws h1"}},
	} {
		front := haproxy.start(t, behind, back.edits...)
		for _, c := range []client{
			{name: "HTTP2", open: func(*testing.T) dialer { return ways[0].tunnelDialer }},
			clients[0],
		} {
			t.Run(c.name+" "+back.name, func(t *testing.T) {
				query := "/?through=" + strings.ReplaceAll(back.name, " ", "+") + "&from=" + c.name
				for _, x := range exchanges {
					t.Run(x.name, func(t *testing.T) {
						rawURL := "wss://" + front.wss
						x.run(&session{t, c.open(t), &c, rawURL + query, pageURL(rawURL)})
					})
				}
				server.loggedAs(t, back.as, query, "open")
			})
		}
	}
}

// TestTunnelHAProxyNotOffered: if the server does not offer the extended CONNECT,
// HAProxy has to be told to speak HTTP/1.1 for WebSocket.
func TestTunnelHAProxyNotOffered(t *testing.T) {
	t.Parallel()
	server := startVersions(t, "http2xconnect=0")
	behind := strings.TrimPrefix(server.urls["http"], "http://")
	const line = "server app1 127.0.0.1:8080"
	for how, want := range map[string]int{"proto h2": 502, "proto h2 ws h1": 101} {
		front := haproxy.start(t, behind, line, line+" "+how)
		if status, text := handshake(t, "ws://"+front.ws+"/", nil); status != want {
			t.Errorf("%s: %d %q, want %d", how, status, text, want)
		}
	}
}
