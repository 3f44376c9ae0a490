package websocket

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/airlock-go/websocket/internal/field"
)

// Options says how to answer handshakes and how the connections that come of
// them behave. A nil *Options and the zero value are the safe defaults. Options
// are only read, so one value may serve any number of concurrent handshakes.
//
// A mistake in the options (an origin or a subprotocol that is none) is
// answered with 500 to every request, and the error of Upgrade quotes it;
// Validate finds it when the program starts.
type Options struct {
	// Subprotocols are the subprotocols spoken here, in order of preference.
	// The first that the client offers is chosen; names are compared with their
	// case. Nil: none is ever chosen.
	Subprotocols []string

	// RequireSubprotocol refuses a client that offers none of the subprotocols
	// with 501, instead of connecting it without one.
	RequireSubprotocol bool

	// SelectSubprotocol, if not nil, chooses in place of Subprotocols. It gets
	// what the client offered, in the client's order, and returns one of these
	// or "" for none. Its error refuses the handshake like one of Authorize; a
	// name that was not offered is answered with 500.
	SelectSubprotocol func(r *http.Request, offered []string) (string, error)

	// TrustedOrigins are origins whose pages may connect besides the server's
	// own: serialised origins ("https://app.example.com",
	// "http://localhost:3000", "null") that are compared whole, with scheme and
	// port, or "https://*.example.com" for all subdomains of example.com, not
	// example.com itself. No other pattern exists. Nil: only the own origin.
	//
	// The own origin is the host and port of the Host field, which a proxy in
	// front has to pass on. A request without an Origin is not from a browser
	// and always passes.
	TrustedOrigins []string

	// InsecureAllowAnyOrigin lets the pages of every site connect, with the
	// cookies of the user who looks at them. That is for endpoints that use no
	// cookies, or look at Origin in Authorize.
	InsecureAllowAnyOrigin bool

	// Authorize, if not nil, decides whether the client may connect, after the
	// handshake has been found valid. An error refuses it: with the status, the
	// header and the text of a *HandshakeError in its tree, as Reject makes
	// them, otherwise with 403 and without the text. It runs in the goroutine of
	// Upgrade and may block.
	Authorize func(r *http.Request) error

	// OnReject, if not nil, writes the response of a refused handshake in place
	// of the library: another body, another status. It is called with all
	// fields set that the refusal needs, so it only has to write. Connection is
	// among them: a refused connection is closed and must stay so. It may take its
	// time: the place of the Limiter has been given back.
	OnReject func(w http.ResponseWriter, r *http.Request, err *HandshakeError)

	// Compression, if not nil, compresses messages for clients that offer
	// permessage-deflate, in both directions. Nil: all offers are declined.
	Compression *Compression

	// MaxMessageSize is the most bytes that a message from the peer may have,
	// after decompression. A larger one ends the connection with
	// CloseMessageTooBig before room is made for it. 0: 1 MiB; negative: no
	// limit. Besides, a message may have 65,536 frames.
	MaxMessageSize int64

	// KeepAlive is how long a read waits for a silent peer before it sends a
	// ping, and then again before it gives the peer up (ErrKeepAlive). Every
	// byte is a sign of life; time in which nothing reads does not count. A
	// message under way may keep reads waiting for twice KeepAlive and one
	// second more for each 256 bytes that came, then the connection ends
	// (ErrSlowMessage). 0: 20 seconds; negative: neither.
	KeepAlive time.Duration

	// WriteTimeout is how long a write waits for a peer that takes nothing. A
	// large message to a slow peer may take longer, as long as it goes on; on
	// TLS, 16 KiB have to go out in this time. Then the connection ends
	// (ErrWriteTimeout). 0: 10 seconds; negative: no limit.
	WriteTimeout time.Duration

	// SendQueue is how many bytes of messages TrySend may keep for a peer that
	// does not take them. Each message counts 64 more than it has. 0: 64 KiB;
	// negative: no limit.
	SendQueue int

	// Group, if not nil, is joined by every connection. While it is shutting
	// down, handshakes are refused with 503.
	Group *Group

	// Limiter, if not nil, says how many connections there may be.
	Limiter *Limiter
}

// Defaults of Options.
const (
	defaultMaxMessageSize = 1 << 20
	defaultKeepAlive      = 20 * time.Second
	defaultWriteTimeout   = 10 * time.Second
	defaultSendQueue      = 64 << 10
)

var defaultOptions Options

// The fields of the handshake as net/http spells their names.
const (
	headerUpgrade    = "Upgrade"
	headerConnection = "Connection"
	headerOrigin     = "Origin"
	headerKey        = "Sec-Websocket-Key"
	headerVersion    = "Sec-Websocket-Version"
	headerProtocol   = "Sec-Websocket-Protocol"
	headerExtensions = "Sec-Websocket-Extensions"
	headerPrefix     = "Sec-Websocket-"
)

// Upgrade answers the opening handshake of the WebSocket Protocol (RFC 6455,
// section 4.2; over HTTP/2 and HTTP/3, RFC 8441 and RFC 9220) inside an HTTP handler
// and returns the connection.
//
// A request that is no valid handshake, that comes from a foreign origin, or
// that opts refuse, has been answered when Upgrade returns an error: the
// handler has nothing to do but to return. That error is a *HandshakeError,
// unless the connection broke while the response was being written.
//
// Fields set on w.Header() go into the response: session cookies, request ids.
// The response must not have been begun, and w must lead to net/http's own
// ResponseWriter, by being it or through Unwrap; http.TimeoutHandler's does not.
//
// Over HTTP/1.1 the Conn lives on when the handler returns, whereas r.Context() ends
// then. Over HTTP/2 and HTTP/3 it ends with the handler, or with r.Context(): the handler
// defers CloseNow, or does not return before the end, which Serve, [Poller.Serve] and
// Done wait for. A write that is under way while it returns is a data race in net/http.
// Whoever owns the Conn has to read from it (Read, Serve, CloseRead and so on),
// for that is what answers pings and notices the end, and to close it.
func Upgrade(w http.ResponseWriter, r *http.Request, opts *Options) (*Conn, error) {
	if opts == nil {
		opts = &defaultOptions
	}
	c, err := upgrade(w, r, opts)
	if err != nil {
		answerRefusal(w, r, opts, err)
	}
	return c, err
}

// upgrade makes the connection, or a refusal that is still to be answered. That may
// take long, so it is given nothing on trust any more.
//
// A stack that has grown shrinks only when little is left on it, so a handler that
// waits for its peer keeps what was needed here. For 4 KiB to do, what needs much has
// returned before others are called.
func upgrade(w http.ResponseWriter, r *http.Request, opts *Options) (*Conn, error) {
	var d decision
	trust := admission{limiter: opts.Limiter, group: opts.Group}
	defer trust.end()
	if refusal := d.decide(w, r, opts, &trust); refusal != nil {
		return nil, refusal
	}
	if r.ProtoMajor != 1 {
		return d.connect(w, r, opts, &trust)
	}
	u := new(upgraded)
	room := buffers.Get().(*buffer)
	response, err := d.appendResponse(appendAccept(append(room[:0], switching...), d.key), w.Header())
	if err == nil {
		err = u.stream.switchProtocols(d.hijacker, response, opts.writeTimeout())
	}
	buffers.Put(room)
	if err != nil {
		return nil, err
	}
	d.open(&u.conn, &u.stream, r, opts, &trust)
	return &u.conn, nil
}

// upgraded is a connection with its stream. They live and die together, so they are
// one piece of memory.
type upgraded struct {
	conn   Conn
	stream hijacked
}

// open makes c the connection over s.
func (d *decision) open(c *Conn, s stream, r *http.Request, opts *Options, trust *admission) {
	c.init(s, d, opts)
	c.errorLog = errorLog(r)
	trust.complete(c)
}

// decision is what a valid handshake is answered with, besides the fields that
// the handler has set.
type decision struct {
	protocol    string // of HTTP, as in Request.Proto
	key         string // of the client, to be answered with its AcceptKey
	subprotocol string
	offered     []string            // subprotocols, for the hook that chooses
	deflate     *agreement          // nil: messages are not compressed
	hijacker    http.Hijacker       // of HTTP/1
	writer      http.ResponseWriter // of the other versions
}

// decide reads the client's opening handshake and makes the server's (RFC 6455,
// section 4.2). It depends on its arguments alone and writes nothing, but it may wait:
// for a place of the Limiter, and for what the options call.
func (d *decision) decide(w http.ResponseWriter, r *http.Request, opts *Options, trust *admission) (refusal *HandshakeError) {
	welcome, err := opts.check(r)
	if err != nil {
		return refuseSilently(err)
	}
	for _, require := range requirementsOf(r) { // section 4.2.1
		if refusal := require(r); refusal != nil {
			return refusal
		}
	}
	if r.ProtoMajor == 1 {
		if d.key, refusal = checkKey(r); refusal != nil {
			return refusal
		}
	}
	if !welcome { // sections 4.2.2 and 10.2
		return refuseOrigin(r)
	}
	if refusal := d.readSubprotocols(r, opts); refusal != nil {
		return refusal
	}
	if d.deflate, refusal = chooseExtension(r, opts.Compression); refusal != nil {
		return refusal
	}
	if r.ProtoMajor == 1 {
		d.hijacker, err = findHijacker(w)
	} else {
		d.writer, err = findWriter(w)
	}
	if err != nil {
		return refuseSilently(err)
	}
	if err := checkHeader(w.Header()); err != nil {
		return refuseSilently(err)
	}
	if refusal := trust.begin(r); refusal != nil {
		return refusal
	}
	if opts.Authorize != nil { // "The server can perform additional client authentication"
		if err := opts.Authorize(r); err != nil {
			return refuseFor(err)
		}
	}
	d.protocol = version(r)
	if refusal := d.chooseSubprotocol(r, opts); refusal != nil {
		return refusal
	}
	return trust.commit()
}

// Validate returns an error that quotes the first element of TrustedOrigins that
// is no origin, or of Subprotocols that is no token, or the size in Compression
// that is none; nil for nil Options. Upgrade finds the same, so a program need
// not call it.
func (o *Options) Validate() error {
	if o == nil {
		return nil
	}
	_, err := o.check(new(http.Request))
	return err
}

// check finds what Validate promises to find, and reports whether the Origin of r is
// welcome.
func (o *Options) check(r *http.Request) (welcome bool, err error) {
	welcome, err = o.checkOrigin(r)
	for _, s := range o.Subprotocols {
		if err == nil && !field.IsToken(s) {
			err = fmt.Errorf("subprotocol %q is no token (RFC 9110, section 5.6.2)", s)
		}
	}
	if err == nil {
		err = o.Compression.check()
	}
	return welcome, err
}

// requirements are what section 4.2.1 demands of a client's opening handshake,
// up to the version, in the order in which they are checked: from "this is
// something else" to "this is almost right".
var requirements = [...]func(*http.Request) *HandshakeError{
	requireHandshake,
	requireGET,
	requireHTTP11,
	requireHost,
	requireNoBody,
	requireConnection,
	requireUpgrade,
	requireVersion,
}

func requirementsOf(r *http.Request) []func(*http.Request) *HandshakeError {
	if r.ProtoMajor == 1 {
		return requirements[:]
	}
	return connectRequirements[:]
}

// IsUpgrade reports whether r is meant as an opening handshake: whether it asks
// for websocket in Upgrade or carries any Sec-WebSocket-* field, or, over HTTP/2 and
// HTTP/3, whether it is an extended CONNECT. Then Upgrade
// either accepts it or says what is wrong with it, whereas any other request is
// told that this is a WebSocket endpoint. So a handler can serve a page and a
// WebSocket under one path.
func IsUpgrade(r *http.Request) bool {
	if r.ProtoMajor != 1 {
		return connectProtocol(r) != ""
	}
	if field.HasToken(r.Header[headerUpgrade], "websocket") {
		return true
	}
	for name := range r.Header {
		if strings.HasPrefix(name, headerPrefix) {
			return true
		}
	}
	return false
}

func requireHandshake(r *http.Request) *HandshakeError {
	if !IsUpgrade(r) {
		return Reject(http.StatusUpgradeRequired, "this is a WebSocket endpoint: the request must be an opening handshake").withUpgrade()
	}
	return nil
}

// "The method of the request MUST be GET" (section 4.1).
func requireGET(r *http.Request) *HandshakeError {
	if r.Method == http.MethodGet {
		return nil
	}
	refusal := Reject(http.StatusMethodNotAllowed, "the method of an opening handshake is GET, not "+field.Quote(r.Method))
	refusal.Header = http.Header{"Allow": {http.MethodGet}}
	return refusal
}

// "the HTTP version MUST be at least 1.1" (section 4.1).
func requireHTTP11(r *http.Request) *HandshakeError {
	if r.ProtoAtLeast(1, 1) {
		return nil
	}
	return Reject(http.StatusHTTPVersionNotSupported, "an opening handshake takes HTTP/1.1, this request came with "+field.Quote(r.Proto)+
		"; a proxy in front may need to be told (nginx: proxy_http_version 1.1, and proxy_set_header for Upgrade and Connection)")
}

// "A |Host| header field containing the server's authority" (section 4.2.1).
func requireHost(r *http.Request) *HandshakeError {
	if r.Host != "" {
		return nil
	}
	return Reject(http.StatusBadRequest, "Host is missing or empty")
}

// A body would be read as frames.
func requireNoBody(r *http.Request) *HandshakeError {
	if r.ContentLength == 0 && len(r.TransferEncoding) == 0 {
		return nil
	}
	return Reject(http.StatusBadRequest, "an opening handshake has no body: Content-Length must be absent or 0, and Transfer-Encoding absent")
}

const hopByHop = "; it is a hop-by-hop field, which proxies drop unless told otherwise (nginx: proxy_set_header Upgrade $http_upgrade, " +
	"proxy_set_header Connection \"upgrade\")"

// "A |Connection| header field that includes the token "Upgrade", treated as an
// ASCII case-insensitive value" (section 4.2.1).
func requireConnection(r *http.Request) *HandshakeError {
	if field.HasToken(r.Header[headerConnection], "upgrade") {
		return nil
	}
	return Reject(http.StatusBadRequest, "Connection must have the token upgrade"+hopByHop)
}

// "An |Upgrade| header field containing the value "websocket", treated as an
// ASCII case-insensitive value" (section 4.2.1).
func requireUpgrade(r *http.Request) *HandshakeError {
	if field.HasToken(r.Header[headerUpgrade], "websocket") {
		return nil
	}
	return Reject(http.StatusBadRequest, "Upgrade must have the token websocket"+hopByHop)
}

// "A |Sec-WebSocket-Version| header field, with a value of 13" (section 4.2.1).
// The answer to another one names those understood (section 4.4).
func requireVersion(r *http.Request) *HandshakeError {
	lines := r.Header[headerVersion]
	if len(lines) == 1 && field.Trim(lines[0]) == "13" {
		return nil
	}
	var refusal *HandshakeError
	switch {
	case len(lines) > 1:
		refusal = Reject(http.StatusBadRequest, "Sec-WebSocket-Version stands more than once")
	case len(lines) == 0 || field.Trim(lines[0]) == "":
		refusal = Reject(http.StatusBadRequest, "Sec-WebSocket-Version is missing; it must be 13")
	default:
		return Reject(http.StatusUpgradeRequired, "Sec-WebSocket-Version "+field.Quote(lines[0])+" is not spoken here; it must be 13").withUpgrade()
	}
	refusal.Header = http.Header{headerVersion: {"13"}}
	return refusal
}
