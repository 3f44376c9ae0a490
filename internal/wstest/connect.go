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

// Server is a net/http server on the loopback whose handler calls Upgrade and
// returns. It is for one test.
type Server struct {
	t     testing.TB
	http  *httptest.Server
	opts  *websocket.Options
	conns chan *websocket.Conn
}

// Secure is for NewServer: the server speaks TLS.
func Secure(s *httptest.Server) { s.TLS = new(tls.Config) }

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
}

// Connect makes a connection, one at a time. The peer sends early together with its
// handshake.
func (s *Server) Connect(early ...byte) (*websocket.Conn, *Peer) {
	s.t.Helper()
	p := s.dial()
	p.Send(append([]byte(Handshake(offer(s.opts)...)), early...)...)
	p.readResponse()
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

func (s *Server) dial() *Peer {
	s.t.Helper()
	addr := s.http.Listener.Addr()
	conn, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		s.t.Fatal(err)
	}
	if s.http.TLS != nil {
		roots := x509.NewCertPool()
		roots.AddCert(s.http.Certificate())
		conn = tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: "example.com"})
	}
	if err := conn.SetDeadline(time.Now().Add(Patience)); err != nil {
		s.t.Fatal(err)
	}
	return NewPeer(s.t, conn, nil)
}
