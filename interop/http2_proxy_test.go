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
