package conformance

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
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
	name   string
	way    string
	secure bool
}

// TestExpected: the verdicts on the library are those that are written down,
// whatever the transport, and whoever reads.
func TestExpected(t *testing.T) {
	if *update {
		var text strings.Builder
		if err := playOurs(t, "Messages", false).Expected(&text); err != nil {
			t.Fatal(err)
		}
		writeFile(t, expectedFile, text.String())
	}
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			report := playOurs(t, server.way, server.secure)
			wrong, err := report.Unexpected(readFile(t, expectedFile), nil)
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

// playOurs plays all cases against an echo server made with the library.
func playOurs(t *testing.T, way string, secure bool) *Report {
	t.Helper()
	poller, err := websocket.NewPoller(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer poller.Close()
	// With the race detector 16 MiB take their time at both ends.
	const patience = time.Minute
	opts := websocket.Options{MaxMessageSize: 64 << 20, Compression: everything, WriteTimeout: patience, KeepAlive: patience}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Upgrade(w, r, &opts)
		if err != nil {
			return // the client has been told
		}
		ways[way](poller, c)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	o := Options{Idle: 100 * time.Millisecond, Patience: patience}
	if secure {
		s.StartTLS()
		o.TLS = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		o.TLS.ClientSessionCache = tls.NewLRUClientSessionCache(0) // full handshakes take long
	} else {
		s.Start()
	}
	defer s.Close()
	o.URL = "ws" + strings.TrimPrefix(s.URL, "http") + "/"
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// everything is compression with all that RFC 7692 has. With smaller windows the
// server would decline a part of it, which is not wrong but not much of a test.
var everything = &websocket.Compression{SendWindowBits: 15, ReceiveWindowBits: 15}
