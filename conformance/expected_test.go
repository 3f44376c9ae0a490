package conformance

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/airlock-go/websocket"
)

const expectedFile = "testdata/expected.txt"

// ways are those to get messages from a connection, and to answer them.
var ways = map[string]func(p *websocket.Poller, c *websocket.Conn){
	"Messages": func(_ *websocket.Poller, c *websocket.Conn) {
		defer c.CloseNow()
		for m, err := range c.Messages(context.Background()) {
			if err != nil || (echoes{}).OnMessage(c, m) != nil {
				return
			}
		}
	},
	"Serve":  func(_ *websocket.Poller, c *websocket.Conn) { go c.Serve(echoes{}) },
	"Poller": func(p *websocket.Poller, c *websocket.Conn) { p.Serve(c, echoes{}) },
}

type echoes struct{}

func (echoes) OnMessage(c *websocket.Conn, m websocket.Message) error {
	return c.Write(context.Background(), m.Type, m.Data)
}

func (echoes) OnClose(*websocket.Conn, error) {}

// A server is one made with the library.
type server struct {
	name string
	way  string
	over string // tcp, tls, http2 on TLS, or h2c
}

// TestExpected: the verdicts on the library are those that are written down,
// whatever the transport, and whoever reads.
func TestExpected(t *testing.T) {
	if *update {
		var text strings.Builder
		if err := playOurs(t, "Messages", "tcp").Expected(&text); err != nil {
			t.Fatal(err)
		}
		writeFile(t, expectedFile, text.String())
	}
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			report := playOurs(t, server.way, server.over)
			expected := readFile(t, expectedFile)
			if overHTTP2(server.over) {
				expected = withoutHTTP1(expected)
			}
			wrong, err := report.Unexpected(expected, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range wrong {
				t.Error(line)
			}
			if len(wrong) > 0 {
				t.Log("-update writes what is expected, if the change is meant")
			}
			for _, r := range report.Results {
				if r.Verdict == Fail {
					t.Logf("%s (%s): %s\n%s", r.ID, r.Chop, r.Note, dialogueText(r.Dialogue))
				}
			}
		})
	}
}

func overHTTP2(over string) bool { return over == "http2" || over == "h2c" }

// withoutHTTP1 returns what is expected over HTTP/2: of cases about HTTP/1.1 nothing,
// and of all others the same.
func withoutHTTP1(expected string) string {
	for _, c := range Cases() {
		if c.needsHTTP1() {
			line := regexp.MustCompile(`(?m)^\S+ ` + regexp.QuoteMeta(c.ID()) + `$`)
			expected = line.ReplaceAllLiteralString(expected, Unimplemented.String()+" "+c.ID())
		}
	}
	return expected
}

// playOurs plays all cases against an echo server made with the library.
func playOurs(t *testing.T, way, over string) *Report {
	t.Helper()
	poller, err := websocket.NewPoller(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer poller.Close()
	// With the race detector 16 MiB take their time at both ends.
	const patience = time.Minute
	opts := websocket.Options{MaxMessageSize: 64 << 20, Compression: everything, WriteTimeout: patience, KeepAlive: patience}
	s := newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Upgrade(w, r, &opts)
		if err != nil {
			return // the client has been told
		}
		ways[way](poller, c)
	}), over)
	defer s.Close()
	o := Options{HTTP2: overHTTP2(over), Idle: 100 * time.Millisecond, Patience: patience}
	if s.TLS != nil {
		o.TLS = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		o.TLS.ClientSessionCache = tls.NewLRUClientSessionCache(0) // full handshakes take long
	}
	o.URL = "ws" + strings.TrimPrefix(s.URL, "http") + "/"
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// newServer starts a server over tcp, tls, http2 or h2c.
func newServer(h http.Handler, over string) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.EnableHTTP2 = over == "http2"
	switch over {
	case "tls", "http2":
		s.StartTLS()
	case "h2c":
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		fallthrough
	default:
		s.Start()
	}
	return s
}

// everything is compression with all that RFC 7692 has. With smaller windows the
// server would decline a part of it, which is not wrong but not much of a test.
var everything = &websocket.Compression{SendWindowBits: 15, ReceiveWindowBits: 15}
