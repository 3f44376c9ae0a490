package interop

import (
	"errors"
	"syscall"
	"testing"

	gorilla "github.com/gorilla/websocket"
)

// TestIdle: the pings of the server keep idle connections alive, through proxies
// that give up after 30 seconds of silence. It ends with the second ping, that
// is after 40 seconds.
func TestIdle(t *testing.T) {
	t.Parallel()
	server := startExample(t, "echo")
	limits := map[*proxy][]string{
		&nginx:   {"proxy_http_version 1.1;", "proxy_http_version 1.1; proxy_read_timeout 30s; proxy_send_timeout 30s;"},
		&haproxy: {"timeout client 60s", "timeout client 5s", "timeout server 60s", "timeout server 5s", "timeout tunnel 60s", "timeout tunnel 30s"},
	}
	results := make(map[string]chan error)
	for _, proxy := range proxies {
		front := proxy.start(t, server.url.Host, limits[proxy]...)
		for _, url := range []string{"ws://" + front.ws + "/", "wss://" + front.wss + "/"} {
			result := make(chan error, 1)
			results[proxy.name+" "+scheme(t, url)] = result
			go func() { result <- stayIdle(url) }()
		}
	}
	for name, result := range results {
		if err := <-result; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// stayIdle connects, does nothing but answer two pings, and then expects an echo.
func stayIdle(url string) error {
	d := gorilla.Dialer{TLSClientConfig: anyCertificate, HandshakeTimeout: patience}
	conn, _, err := d.Dial(url, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	pings := 0
	answer := conn.PingHandler()
	conn.SetPingHandler(func(payload string) error {
		err := answer(payload)
		if pings++; err == nil && pings == 2 {
			err = conn.WriteMessage(gorilla.TextMessage, []byte("still here"))
		}
		return err
	})
	_, data, err := conn.ReadMessage()
	if err == nil && (string(data) != "still here" || pings < 2) {
		err = errors.New("received " + string(data))
	}
	return err
}

// TestImpatientProxy: without limits above the time between pings, idle
// connections end. So TestIdle could fail.
func TestImpatientProxy(t *testing.T) {
	t.Parallel()
	server := startExample(t, "echo")
	for _, test := range []struct {
		proxy *proxy
		edits []string
	}{
		{&nginx, []string{"proxy_http_version 1.1;", "proxy_http_version 1.1; proxy_read_timeout 1s;"}},
		{&haproxy, []string{"timeout tunnel 60s", "timeout tunnel 1s"}},
	} {
		t.Run(test.proxy.name, func(t *testing.T) {
			front := test.proxy.start(t, server.url.Host, test.edits...)
			if err := stayIdle("ws://" + front.ws + "/"); !gorilla.IsCloseError(err, gorilla.CloseAbnormalClosure) {
				t.Errorf("%v, want the connection cut off", err)
			}
		})
	}
}

// TestReload: proxies that are told to start anew or to end cut connections off
// in the end, and let them go on before if they can.
func TestReload(t *testing.T) {
	t.Parallel()
	server := startExample(t, "echo")
	for _, test := range []struct {
		name   string
		proxy  *proxy
		signal syscall.Signal
		waits  bool // connections go on for a while
		ends   bool // the program ends with them
		code   int  // of the close frame that a client gets, 0 for none
	}{
		{name: "nginx reload", proxy: &nginx, signal: syscall.SIGHUP, waits: true},
		{name: "nginx quit", proxy: &nginx, signal: syscall.SIGQUIT, waits: true, ends: true},
		{name: "haproxy soft stop", proxy: &haproxy, signal: syscall.SIGUSR1, waits: true, ends: true},
		{name: "caddy stop", proxy: &caddy, signal: syscall.SIGTERM, ends: true, code: 1001},
	} {
		t.Run(test.name, func(t *testing.T) {
			front := test.proxy.start(t, server.url.Host)
			s := &session{T: t, dialer: dialGorilla, url: "ws://" + front.ws + "/"}
			old := s.dial(target{})
			s.echo(old, message{false, "before"})
			front.signal(test.signal)
			if test.waits {
				s.echo(old, message{false, "meanwhile"})
			}
			m, err := old.receive()
			if c, ok := errors.AsType[*closed](err); err == nil || ok != (test.code != 0) || ok && c.Code != test.code {
				t.Errorf("received %v, %v; want the end, code %d", m, err, test.code)
			}
			if test.ends {
				front.wait()
			} else {
				s.echo(s.dial(target{}), message{false, "after"})
			}
		})
	}
}
