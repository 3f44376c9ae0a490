package conformance

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/airlock-go/websocket/internal/wstest"
)

// tunnel is a WebSocket over HTTP/2 (RFC 8441): a stream, which has the connection to
// itself.
type tunnel struct {
	*wstest.H2Stream
	connection *wstest.H2
}

func (t tunnel) Close() error {
	defer t.connection.Close()
	return t.H2Stream.Close()
}

// ErrNoExtendedConnect is in the tree of the error of [Run] where WebSockets cannot be
// opened over HTTP/2.
var ErrNoExtendedConnect = errors.New("the server speaks HTTP/2, but does not offer extended CONNECT (RFC 8441, section 3)")

var (
	errHTTP1   = errors.New("the case is about HTTP/1.1")
	errNoHTTP2 = errors.New("the server does not speak HTTP/2")
)

// needsHTTP1 reports whether the case is about the bytes of an HTTP/1.1 handshake, its
// answer, or the TCP connection below it.
func (c *Case) needsHTTP1() bool { return c.connect || c.handmade }

// open sends r as an extended CONNECT over conn.
func (t *target) open(conn net.Conn, r *request) (net.Conn, error) {
	if secure, ok := conn.(*tls.Conn); ok && secure.ConnectionState().NegotiatedProtocol != "h2" {
		conn.Close()
		return nil, errNoHTTP2
	}
	conn.SetReadDeadline(time.Now().Add(t.patience))
	h, err := wstest.HTTP2(conn)
	if err != nil {
		return nil, err
	}
	conn.SetReadDeadline(time.Time{})
	if !h.ExtendedConnect() {
		h.Close()
		return nil, ErrNoExtendedConnect
	}
	s, err := h.Open(false, t.extendedConnect(r)...)
	if err != nil {
		h.Close()
		return nil, err
	}
	return tunnel{s, h}, nil
}

// extendedConnect returns the fields of r as RFC 8441, section 5, has them.
func (t *target) extendedConnect(r *request) []string {
	scheme := "http"
	if t.tls != nil {
		scheme = "https"
	}
	fields := []string{":method: CONNECT", ":protocol: websocket", ":scheme: " + scheme, ":authority: " + t.host, ":path: " + r.path}
	for _, field := range r.fields {
		name, value, _ := strings.Cut(field, ":")
		switch name = strings.ToLower(name); name {
		case "host", "upgrade", "connection", "sec-websocket-key":
		default:
			fields = append(fields, name+": "+strings.TrimSpace(value))
		}
	}
	return fields
}

// readStreamAnswer is readAnswer for HTTP/2.
func (rc *receiver) readStreamAnswer() error {
	status, header, err := rc.stream.Response()
	if err != nil {
		return err
	}
	return rc.answered(&http.Response{
		Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), StatusCode: status,
		Proto: "HTTP/2.0", ProtoMajor: 2, Header: header, Body: rc.stream,
	})
}

// accepted reports whether an answer accepts the handshake.
func accepted(answer *http.Response) bool {
	if answer.ProtoMajor == 2 {
		return answer.StatusCode/100 == 2
	}
	return answer.StatusCode == http.StatusSwitchingProtocols
}

// checkTunnel checks the answer that accepts an extended CONNECT. What HTTP/1.1 needs
// for the switch has no place there.
func checkTunnel(answer *http.Response) error {
	for _, name := range []string{"Connection", "Upgrade", "Sec-WebSocket-Accept"} {
		if lines := answer.Header.Values(name); len(lines) > 0 {
			return fmt.Errorf("RFC 8441, 5: the answer over HTTP/2 has %s: %s", name, strings.Join(lines, ", "))
		}
	}
	return nil
}
