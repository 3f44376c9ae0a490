package websocket

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/airlock-go/websocket/internal/field"
)

// connectRequirements are what stands in for section 4.2.1 on HTTP/2 and HTTP/3, where
// the opening handshake is an extended CONNECT (RFC 8441, section 5; RFC 9220).
var connectRequirements = [...]func(*http.Request) *HandshakeError{
	requireConnect,
	requireConnectVersion,
}

// protocolName is the pseudo-header field of an extended CONNECT, as net/http has it.
const protocolName = ":protocol"

// connectProtocol returns what an extended CONNECT asks for, or "" if r is none.
// net/http has it in a field that no client can set otherwise, because its name is no
// token. quic-go has it in the place of the version.
func connectProtocol(r *http.Request) string {
	switch values := r.Header[protocolName]; {
	case r.Method != http.MethodConnect:
		return ""
	case len(values) == 1:
		return values[0]
	case !strings.HasPrefix(r.Proto, "HTTP/"):
		return r.Proto
	}
	return ""
}

// version returns the version of HTTP that r came with.
func version(r *http.Request) string {
	if strings.HasPrefix(r.Proto, "HTTP/") {
		return r.Proto
	}
	return fmt.Sprintf("HTTP/%d.%d", r.ProtoMajor, r.ProtoMinor)
}

// "The :method pseudo-header field is CONNECT", and "the :protocol pseudo-header field
// [...] MUST have a value of 'websocket'" (RFC 8441, section 5).
func requireConnect(r *http.Request) *HandshakeError {
	switch protocol := connectProtocol(r); {
	case protocol == "":
		return Reject(http.StatusBadRequest, "this is a WebSocket endpoint: over "+field.Quote(version(r))+" WebSocket takes an extended CONNECT with "+
			":protocol = websocket; net/http's server offers it when it was started with GODEBUG=http2xconnect=1 in the environment")
	case !field.EqualFold(protocol, "websocket"):
		return Reject(http.StatusNotImplemented, "the :protocol spoken here is websocket, not "+field.Quote(protocol))
	}
	return nil
}

// requireConnectVersion: these versions of HTTP have no Upgrade, which 426 demands.
func requireConnectVersion(r *http.Request) *HandshakeError {
	refusal := requireVersion(r)
	if refusal != nil {
		refusal.Status = http.StatusBadRequest
		delete(refusal.Header, headerUpgrade)
	}
	return refusal
}

// findWriter returns the innermost of the writers that middleware has put around that
// of the server. What compresses a response, or counts it, has nothing to do with
// frames.
func findWriter(w http.ResponseWriter) (http.ResponseWriter, error) {
	for {
		if t, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
			if inner := t.Unwrap(); inner != nil {
				w = inner
				continue
			}
		}
		break
	}
	_, deadlines := w.(interface {
		SetReadDeadline(time.Time) error
		SetWriteDeadline(time.Time) error
	})
	_, flush := w.(http.Flusher)
	if _, ok := w.(interface{ FlushError() error }); !deadlines || !flush && !ok {
		return nil, fmt.Errorf("the ResponseWriter cannot carry a stream: %T cannot be flushed or has no deadlines, and has no Unwrap method that "+
			"leads to one that can and has (the usual one is that of http.TimeoutHandler, which must not be around a WebSocket)", w)
	}
	return w, nil
}

// tunnelled is a connection with its stream.
type tunnelled struct {
	conn   Conn
	stream tunnel
}

// connect answers an extended CONNECT, and returns the connection over its stream.
func (d *decision) connect(w http.ResponseWriter, r *http.Request, opts *Options, trust *admission) (*Conn, error) {
	if err := checkHeader(w.Header()); err != nil { // a hook may have set fields since
		return nil, refuseSilently(err)
	}
	// The deadlines of the http.Server are for requests.
	control := http.NewResponseController(d.writer)
	if err := errors.Join(control.SetReadDeadline(time.Time{}), control.SetWriteDeadline(time.Time{})); err != nil {
		return nil, refuseSilently(fmt.Errorf("the ResponseWriter cannot carry a stream: %T has no deadlines: %w", d.writer, err))
	}
	h := d.writer.Header()
	maps.Copy(h, w.Header()) // mostly they are the same
	maps.DeleteFunc(h, func(name string, _ []string) bool { return leftOut(name) || hasPrefixFold(name, headerPrefix) })
	if d.subprotocol != "" {
		h[headerProtocol] = []string{d.subprotocol}
	}
	if d.deflate != nil {
		h[headerExtensions] = []string{string(d.deflate.answer.append(nil))}
	}
	u := new(tunnelled)
	u.stream.init(d.writer, r)
	if err := u.stream.accept(opts.writeTimeout()); err != nil {
		_ = u.stream.Abort()
		return nil, fmt.Errorf("websocket: write 200: %w", err)
	}
	d.open(&u.conn, &u.stream, r, opts, trust)
	return &u.conn, nil
}

// accept sends the header of the response, without which the client sends nothing.
func (t *tunnel) accept(timeout time.Duration) error {
	if timeout > 0 {
		_ = t.SetWriteDeadline(epoch.Add(now() + timeout))
		defer t.SetWriteDeadline(time.Time{})
	}
	return t.write(func() error {
		t.w.WriteHeader(http.StatusOK)
		return t.control.Flush()
	})
}
