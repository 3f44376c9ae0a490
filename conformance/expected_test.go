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

// TestExpected: the verdicts on the library are those that are written down,
// whatever the transport.
func TestExpected(t *testing.T) {
	if *update {
		var text strings.Builder
		if err := playOurs(t, false).Expected(&text); err != nil {
			t.Fatal(err)
		}
		writeFile(t, expectedFile, text.String())
	}
	for _, transport := range []struct {
		name   string
		secure bool
	}{{"tcp", false}, {"tls", true}} {
		t.Run(transport.name, func(t *testing.T) {
			report := playOurs(t, transport.secure)
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
func playOurs(t *testing.T, secure bool) *Report {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	// With the race detector 16 MiB take their time at both ends.
	o := Options{Idle: 100 * time.Millisecond, Patience: time.Minute}
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

func echo(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Upgrade(w, r, &websocket.Options{MaxMessageSize: 64 << 20, Compression: everything})
	if err != nil {
		return
	}
	defer c.CloseNow()
	for m, err := range c.Messages(context.Background()) {
		if err != nil {
			return
		}
		c.Write(context.Background(), m.Type, m.Data)
	}
}
