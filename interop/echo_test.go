package interop

import (
	"net/url"
	"syscall"
	"testing"
)

// speaks are the flags with which the server of the exchanges runs.
var speaks = []string{"-subprotocols", "chat.v2,chat"}

// TestEcho runs every exchange of every client on every route to the echo
// example.
func TestEcho(t *testing.T) {
	t.Run("direct", func(t *testing.T) {
		t.Parallel()
		server := startExample(t, "echo", speaks...)
		exchangeAll(t, server, server.url.String())
	})
	t.Run("direct TLS", func(t *testing.T) {
		t.Parallel()
		server := startExample(t, "echo", append(speaks, "-tls")...)
		exchangeAll(t, server, server.url.String())
	})
	for _, proxy := range proxies {
		t.Run(proxy.name, func(t *testing.T) {
			t.Parallel()
			server := startExample(t, "echo", speaks...)
			front := proxy.start(t, server.url.Host)
			exchangeAll(t, server, "ws://"+front.ws+"/", "wss://"+front.wss+"/")
		})
	}
}

// exchangeAll has every client do everything at each URL of a server. Last, the
// server ends while all are connected.
func exchangeAll(t *testing.T, server *example, urls ...string) {
	for _, rawURL := range urls {
		for _, c := range clients {
			t.Run(scheme(t, rawURL)+"/"+c.name, func(t *testing.T) {
				dialer := c.open(t)
				for _, x := range exchanges {
					if x.needs == "" || c.can(x.needs) {
						t.Run(x.name, func(t *testing.T) {
							x.run(&session{t, dialer, &c, rawURL, pageURL(rawURL)})
						})
					}
				}
			})
		}
	}
	t.Run("server ends", func(t *testing.T) {
		var waiting []func()
		for _, rawURL := range urls {
			for _, c := range clients {
				s := &session{t, c.open(t), &c, rawURL, pageURL(rawURL)}
				conn := s.dial(target{})
				s.echo(conn, message{false, "here"})
				waiting = append(waiting, func() { expectGoingAway(s, conn) })
			}
		}
		server.signal(syscall.SIGINT)
		for _, wait := range waiting {
			wait()
		}
		if err := server.wait(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
}

func expectGoingAway(s *session, conn socket) {
	defer conn.drop() // not every client does so by itself, and the server would wait
	if !s.client.can(closeCodes) {
		if m, err := conn.receive(); err == nil {
			s.Errorf("%s received %v from a server that has ended", s.client.name, m)
		}
		return
	}
	if reason := s.expectClose(conn, 1001); reason != "the server is shutting down" {
		s.Errorf("%s: closed for %q", s.client.name, reason)
	}
}

func scheme(t *testing.T, rawURL string) string {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Scheme
}
