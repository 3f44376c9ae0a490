package wstest

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/airlock-go/websocket"
)

// Connect makes a connection over some transport: the server's end from
// Upgrade, the other as a Peer. Both are closed when the test ends. The peer
// offers permessage-deflate, as browsers do, if opts speak of compression.
type Connect func(t testing.TB, opts *websocket.Options) (*websocket.Conn, *Peer)

// OnEach runs a test over every transport that there is.
func OnEach(t *testing.T, test func(t *testing.T, connect Connect)) {
	for _, transport := range []struct {
		name    string
		connect Connect
	}{
		{"memory", Memory},
		{"tcp", TCP},
		{"tls", TLS},
		{"http2", HTTP2Stream},
	} {
		t.Run(transport.name, func(t *testing.T) { test(t, transport.connect) })
	}
}

// Memory connects through a Pipe, for bubbles of testing/synctest.
func Memory(t testing.TB, opts *websocket.Options) (*websocket.Conn, *Peer) {
	return MemorySize(t, opts, 0)
}

// MemorySize connects through a Pipe that holds size bytes each way.
func MemorySize(t testing.TB, opts *websocket.Options, size int) (*websocket.Conn, *Peer) {
	server, client := Pipe(size)
	return Over(t, server, client, opts)
}

// Over connects over the two ends of a connection of the test's, without
// net/http.
func Over(t testing.TB, server, client net.Conn, opts *websocket.Options) (*websocket.Conn, *Peer) {
	t.Helper()
	return over(t, server, client, opts, offer(opts)...)
}

// Offering connects through a Pipe like Memory, after an offer of extensions.
func Offering(t testing.TB, opts *websocket.Options, extensions string) (*websocket.Conn, *Peer) {
	t.Helper()
	server, client := Pipe(0)
	return over(t, server, client, opts, "Sec-WebSocket-Extensions: "+extensions)
}

// offer returns the edits of a handshake for opts.
func offer(opts *websocket.Options) []string {
	if opts == nil || opts.Compression == nil {
		return nil
	}
	return []string{"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"}
}

func over(t testing.TB, server, client net.Conn, opts *websocket.Options, edits ...string) (*websocket.Conn, *Peer) {
	t.Helper()
	c, err := websocket.Upgrade(&hijackable{httptest.NewRecorder(), server}, Request(edits...), opts)
	if err != nil {
		t.Fatal(err)
	}
	p := NewPeer(t, client, nil)
	p.readResponse()
	t.Cleanup(func() {
		client.Close()
		c.CloseNow()
	})
	return c, p
}

// hijackable is a ResponseWriter over a connection of the test's.
type hijackable struct {
	http.ResponseWriter
	conn net.Conn
}

func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

func (p *Peer) readResponse() {
	p.t.Helper()
	resp, err := http.ReadResponse(p.r, nil)
	if err != nil {
		p.t.Fatalf("peer: response: %v", err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(resp.Body)
		p.t.Fatalf("peer: got %s: %s", resp.Status, body)
	}
}

// TCP connects through a net/http server on the loopback.
func TCP(t testing.TB, opts *websocket.Options) (*websocket.Conn, *Peer) {
	return NewServer(t, opts).Connect()
}

// TLS is TCP with TLS.
func TLS(t testing.TB, opts *websocket.Options) (*websocket.Conn, *Peer) {
	return NewServer(t, opts, Secure).Connect()
}

// HTTP2Stream is TCP with a stream of HTTP/2. Closing the peer resets it.
func HTTP2Stream(t testing.TB, opts *websocket.Options) (*websocket.Conn, *Peer) {
	return NewServer(t, opts, Streams).Connect()
}

// Server is a net/http server on the loopback whose handler calls Upgrade and
// returns, or over HTTP/2 waits for the end of the connection. It is for one test.
type Server struct {
	t     testing.TB
	http  *httptest.Server
	opts  *websocket.Options
	conns chan *websocket.Conn
}

// Secure is for NewServer: the server speaks TLS.
func Secure(s *httptest.Server) { s.TLS = new(tls.Config) }

// Streams is for NewServer: the server speaks HTTP/2 and nothing else.
func Streams(s *httptest.Server) {
	s.Config.Protocols = new(http.Protocols)
	if s.TLS != nil {
		s.EnableHTTP2 = true
		s.Config.Protocols.SetHTTP2(true)
	} else {
		s.Config.Protocols.SetUnencryptedHTTP2(true)
	}
}

// NewServer starts a server, which is closed when the test ends. It logs nothing,
// unless configure says so.
func NewServer(t testing.TB, opts *websocket.Options, configure ...func(*httptest.Server)) *Server {
	s := &Server{t: t, opts: opts, conns: make(chan *websocket.Conn, 1)}
	s.http = httptest.NewUnstartedServer(s)
	s.http.Config.ErrorLog = log.New(io.Discard, "", 0)
	for _, f := range configure {
		f(s.http)
	}
	if s.http.TLS != nil {
		s.http.StartTLS()
	} else {
		s.http.Start()
	}
	t.Cleanup(s.http.Close)
	return s
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Upgrade(w, r, s.opts)
	if err != nil {
		s.t.Errorf("upgrade: %v", err)
	}
	s.conns <- c
	if c != nil && r.ProtoMajor > 1 {
		<-c.Done()
	}
}

// Connect makes a connection, one at a time. The peer sends early together with its
// handshake.
func (s *Server) Connect(early ...byte) (*websocket.Conn, *Peer) {
	s.t.Helper()
	p := s.knock(early)
	c := <-s.conns
	if c == nil {
		s.t.FailNow()
	}
	s.t.Cleanup(func() {
		p.Close()
		c.CloseNow()
	})
	return c, p
}

// knock makes a connection as far as the client's end is concerned.
func (s *Server) knock(early []byte) *Peer {
	s.t.Helper()
	if s.http.Config.Protocols != nil {
		stream := s.Open(s.DialHTTP2(), early...)
		s.response(stream)
		return NewPeer(s.t, stream, nil)
	}
	p := NewPeer(s.t, s.dial(), nil)
	p.Send(append([]byte(Handshake(offer(s.opts)...)), early...)...)
	p.readResponse()
	return p
}

// DialHTTP2 makes a connection of HTTP/2, which is closed when the test ends.
func (s *Server) DialHTTP2() *H2 {
	s.t.Helper()
	h, err := HTTP2(s.dial("h2"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(h.Close)
	return h
}

// Open opens a stream with an extended CONNECT, behind which the client sends early.
func (s *Server) Open(h *H2, early ...byte) *H2Stream {
	s.t.Helper()
	stream, err := h.Open(false, ConnectFields("/chat", offer(s.opts)...)...)
	if err == nil && len(early) > 0 {
		_, err = stream.Write(early)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return stream
}

// ConnectFields returns the fields of an extended CONNECT (RFC 8441, section 5), for
// [H2.Open].
func ConnectFields(path string, more ...string) []string {
	fields := []string{":method: CONNECT", ":protocol: websocket", ":scheme: https", ":authority: " + HandshakeHost, ":path: " + path, "sec-websocket-version: 13"}
	for _, line := range more {
		name, value, _ := strings.Cut(line, ":")
		fields = append(fields, strings.ToLower(name)+":"+value)
	}
	return fields
}

func (s *Server) response(stream *H2Stream) {
	s.t.Helper()
	status, _, err := stream.Response()
	if err != nil {
		s.t.Fatalf("peer: response: %v", err)
	}
	if status != http.StatusOK {
		body, _ := io.ReadAll(stream)
		s.t.Fatalf("peer: got %d: %s", status, body)
	}
}

// dial connects to the server. Over TLS it asks for one of the protocols, if there are
// any.
func (s *Server) dial(protocols ...string) net.Conn {
	s.t.Helper()
	addr := s.http.Listener.Addr()
	conn, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		s.t.Fatal(err)
	}
	if s.http.TLS != nil {
		roots := x509.NewCertPool()
		roots.AddCert(s.http.Certificate())
		conn = tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: "example.com", NextProtos: protocols})
	}
	if err := conn.SetDeadline(time.Now().Add(Patience)); err != nil {
		s.t.Fatal(err)
	}
	return conn
}
