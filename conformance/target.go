package conformance

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// target is the server under test, and how to treat it.
type target struct {
	ctx    context.Context
	tls    *tls.Config // nil: in the clear
	http2  bool
	addr   string
	host   string // for the Host field
	path   string
	fields []string // more of them, for every handshake
	dialer func(ctx context.Context, network, addr string) (net.Conn, error)

	patience time.Duration // for a server that ought to say something
	grace    time.Duration // for one that ought to notice a mistake early
	idle     time.Duration // for one that may end an idle connection

	missed atomic.Int32 // handshakes that came to nothing since the last answer
	giveUp context.CancelCauseFunc
}

func newTarget(ctx context.Context, o *Options) (*target, error) {
	const wrong = "%q is no URL of a WebSocket server, as ws://localhost:8080/ is"
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf(wrong+": %w", o.URL, err)
	}
	t := &target{
		ctx: ctx, http2: o.HTTP2, host: cmp.Or(o.Header.Get("Host"), u.Host), path: u.RequestURI(), dialer: new(net.Dialer).DialContext,
		patience: cmp.Or(o.Patience, 5*time.Second), grace: 250 * time.Millisecond, idle: cmp.Or(o.Idle, 2*time.Second),
	}
	for _, name := range slices.Sorted(maps.Keys(o.Header)) {
		for _, value := range o.Header[name] {
			if name != "Host" {
				t.fields = append(t.fields, name+": "+value)
			}
		}
	}
	port := "80"
	switch u.Scheme {
	case "ws":
	case "wss":
		port, t.tls = "443", o.TLS.Clone()
		if t.tls == nil {
			t.tls = new(tls.Config)
		}
		t.tls.ServerName = cmp.Or(t.tls.ServerName, u.Hostname())
		t.tls.NextProtos = []string{"http/1.1"}
		if t.http2 {
			t.tls.NextProtos = []string{"h2"}
		}
	default:
		return nil, fmt.Errorf(wrong, o.URL)
	}
	switch {
	case u.Hostname() == "":
		return nil, fmt.Errorf("%q names no host", o.URL)
	case u.User != nil:
		return nil, fmt.Errorf("the URL of a WebSocket server has no user in it, as %q has; Authorization is a field", u.Redacted())
	}
	t.addr = net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port))
	return t, nil
}

func (t *target) dial() (net.Conn, error) {
	ctx, cancel := context.WithTimeout(t.ctx, t.patience)
	defer cancel()
	conn, err := t.dialer(ctx, "tcp", t.addr)
	if err != nil || t.tls == nil {
		return conn, err
	}
	secure := tls.Client(conn, t.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

// fill puts the names of this server into text.
func (t *target) fill(text string) string {
	scheme := "http"
	if t.tls != nil {
		scheme = "https"
	}
	fields := ""
	for _, field := range t.fields {
		fields += field + "\r\n"
	}
	return strings.NewReplacer("{host}", t.host, "{path}", t.path, "{origin}", scheme+"://"+t.host, "{fields}", fields).Replace(text)
}
