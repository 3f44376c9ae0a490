package interop

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// carrier is a connection of HTTP/2 or HTTP/3, whose streams may become tunnels.
type carrier interface {
	io.Closer

	// offersConnect reports whether the server has offered the extended CONNECT.
	offersConnect() bool

	// request sends a request and returns status, header and stream of the answer. A
	// CONNECT with a Proto is an extended one, and that its :protocol.
	request(*http.Request) (int, http.Header, tunnel, error)
}

// tunnel is a stream. What is read ends with io.EOF if the server has ended it, and
// with another error if it has reset it.
type tunnel interface {
	net.Conn
	reset() error
	// leave ends the stream as browsers do when a page is closed: nothing is lost that
	// was sent, and nothing is received any more.
	leave() error
}

// way is a version of HTTP, and how to speak it.
type way struct {
	name   string
	scheme string
	dial   func(scheme, addr string) (carrier, error)
}

var ways = []way{
	{"HTTP2 over TLS", "https", dialHTTP2},
	{"HTTP2 in the clear", "http", dialHTTP2},
	{"HTTP3", "https", dialHTTP3},
}

// versionsServer is a run of the command versions.
type versionsServer struct {
	*process
	urls map[string]string // by scheme
}

// buildVersions builds the command, once.
var buildVersions = sync.OnceValues(func() (string, error) {
	file := programs + "versions"
	build := exec.Command("go", "build", "-o", file, "./versions")
	build.Stderr = os.Stderr
	return file, build.Run()
})

// startVersions starts the server. net/http reads the setting for the extended
// CONNECT when a program starts.
func startVersions(t *testing.T, godebug string) *versionsServer {
	t.Helper()
	file, err := buildVersions()
	if err != nil {
		t.Fatalf("./versions was not built: %v", err)
	}
	pem := filepath.Join(t.TempDir(), "certificate.pem")
	writeFile(t, pem, selfSigned(t))
	cmd := exec.Command(file, "-pem", pem)
	cmd.Env = append(os.Environ(), "GODEBUG="+godebug)
	s := &versionsServer{process: start(t, cmd)}
	m := s.await(`listening on (https\S+)/ and (http\S+)/\n`)
	s.urls = map[string]string{"https": m[1], "http": m[2]}
	return s
}

// withConnect is the setting.
const withConnect = "http2xconnect=1"

// open opens a connection to a server, which the end of the test closes.
func (w *way) open(t *testing.T, rawURL string) carrier {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	c, err := w.dial(u.Scheme, u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// connectRequest returns the opening handshake of RFC 8441, and RFC 9220.
func connectRequest(rawURL string, fields ...string) (*http.Request, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	h := http.Header{"Sec-Websocket-Version": {"13"}}
	for i := 0; i < len(fields); i += 2 {
		h.Add(textproto.CanonicalMIMEHeaderKey(fields[i]), fields[i+1])
	}
	return &http.Request{Method: http.MethodConnect, Proto: "websocket", URL: u, Host: u.Host, Header: h}, nil
}

// tunnelSocket is a WebSocket in a tunnel. Its frames are gobwas's.
type tunnelSocket struct {
	socket
	tunnel tunnel
	header http.Header // of the answer
}

// connectOver opens a WebSocket on a connection that may have others.
func connectOver(c carrier, rawURL string, fields ...string) (*tunnelSocket, error) {
	r, err := connectRequest(rawURL, fields...)
	if err != nil {
		return nil, err
	}
	status, header, conn, err := c.request(r)
	switch {
	case err != nil:
		return nil, err
	case status != http.StatusOK:
		return nil, &refused{status}
	}
	s := &gobwasSocket{conn: conn, name: header.Get("Sec-Websocket-Protocol")}
	if header.Get("Sec-Websocket-Extensions") != "" {
		s.inbox = newInbox(func() (message, error) { return readGobwasDeflate(conn) })
		return &tunnelSocket{&gobwasDeflateSocket{s}, conn, header}, nil
	}
	s.inbox = newInbox(func() (message, error) { return s.read(conn) })
	return &tunnelSocket{s, conn, header}, nil
}

// tunnelDialer is a dialer whose sockets have a connection each.
func (w *way) tunnelDialer(to target) (socket, error) {
	u, err := url.Parse(strings.Replace(to.URL, "ws", "http", 1))
	if err != nil {
		return nil, err
	}
	var fields []string
	if to.Origin != "" {
		fields = append(fields, "Origin", to.Origin)
	}
	if to.Subprotocols != nil {
		fields = append(fields, "Sec-WebSocket-Protocol", strings.Join(to.Subprotocols, ", "))
	}
	c, err := w.dial(u.Scheme, u.Host)
	if err != nil {
		return nil, err
	}
	s, err := connectOver(c, u.String(), fields...)
	if err != nil {
		c.Close()
		return nil, err
	}
	return &lonelySocket{s, c}, nil
}

// lonelySocket has the connection to itself.
type lonelySocket struct {
	*tunnelSocket
	carrier carrier
}

func (s *lonelySocket) drop() { s.carrier.Close() }

// ended returns nil when the server has ended the stream and not reset it. It is for
// a socket that has received its last message.
func (s *tunnelSocket) ended() error {
	rest, err := io.ReadAll(s.tunnel)
	if len(rest) > 0 {
		return fmt.Errorf("%d bytes came behind the end", len(rest))
	}
	return err
}

// echoOnce sends a message and expects it back.
func (s *tunnelSocket) echoOnce(m message) error {
	if err := s.send(m, false); err != nil {
		return err
	}
	if got, err := s.receive(); err != nil || got != m {
		return fmt.Errorf("%v came back as %v (%w)", m, got, err)
	}
	return nil
}

// sayGoodbye closes, and expects the server to end the stream then.
func (s *tunnelSocket) sayGoodbye(code int) error {
	if c, err := s.close(code, ""); err != nil || c.Code != code {
		return fmt.Errorf("closed with %v (%w)", c, err)
	}
	return s.ended()
}

// logged waits until the server has logged something about a URL.
func (s *versionsServer) logged(t *testing.T, rawURL, pattern string) {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	s.loggedAs(t, "CONNECT over HTTP/[23]", u.RequestURI(), pattern)
}

// loggedAs does so about a request that came as a method over a version of HTTP.
func (s *versionsServer) loggedAs(t *testing.T, as, uri, pattern string) {
	t.Helper()
	s.awaitIn(t, as+` for `+regexp.QuoteMeta(uri)+`: `+pattern)
}
