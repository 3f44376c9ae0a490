package websocket_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/airlock-go/websocket"
)

// frugalWriter is a ResponseWriter, and the connection that is hijacked from it,
// which costs nothing itself and may be used again.
type frugalWriter struct {
	net.Conn
	header   http.Header
	buffered *bufio.ReadWriter
	response []byte
}

func (w *frugalWriter) Header() http.Header { return w.header }
func (w *frugalWriter) WriteHeader(int)     {}

func (w *frugalWriter) Write(p []byte) (int, error) {
	w.response = append(w.response[:0], p...)
	return len(p), nil
}

func (w *frugalWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w, w.buffered, nil }

func (w *frugalWriter) SetDeadline(time.Time) error      { return nil }
func (w *frugalWriter) SetWriteDeadline(time.Time) error { return nil }

// costs are handshakes, and what they may cost: the Conn is one allocation and its
// channel of Done another. The state of compression is the third.
var costs = []struct {
	name   string
	fields string // of the request, besides those that every handshake has
	opts   *websocket.Options
	set    http.Header
	want   []string // in the response
	allocs float64
}{
	{
		name:   "plain",
		allocs: 2,
	},
	{
		name:   "browser",
		fields: "Origin: https://app.example.com\r\n",
		opts:   &websocket.Options{TrustedOrigins: []string{"https://www.example.com", "https://*.example.com"}},
		set:    http.Header{"Set-Cookie": {"a=b"}, "X-Request-Id": {"1"}},
		want:   []string{"\r\nSet-Cookie: a=b\r\nX-Request-Id: 1\r\n"},
		allocs: 2,
	},
	{
		name: "offers",
		fields: "Sec-WebSocket-Protocol: chat.v2, chat.v1\r\n" +
			"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
		opts:   &websocket.Options{Subprotocols: []string{"chat.v1", "chat.v2"}, Compression: &websocket.Compression{}},
		want:   []string{"\r\nSec-WebSocket-Protocol: chat.v1\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=12\r\n"},
		allocs: 3,
	},
}

// upgradeFrugally returns a function that upgrades as in one row of costs.
func upgradeFrugally(tb testing.TB, fields string, opts *websocket.Options, set http.Header, want []string) func() {
	tb.Helper()
	request := "GET / HTTP/1.1\r\nHost: app.example.org\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + fields + "\r\n"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request)))
	if err != nil {
		tb.Fatal(err)
	}
	nothing := bufio.NewReadWriter(bufio.NewReader(strings.NewReader("")), bufio.NewWriter(io.Discard))
	w := &frugalWriter{header: set, buffered: nothing}
	upgrade := func() {
		if _, err := websocket.Upgrade(w, r, opts); err != nil {
			tb.Fatal(err)
		}
	}
	upgrade()
	for _, want := range append(want, "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n") {
		if !bytes.Contains(w.response, []byte(want)) {
			tb.Fatalf("got %q, without %q", w.response, want)
		}
	}
	return upgrade
}

func TestUpgradeAllocates(t *testing.T) {
	for _, tt := range costs {
		upgrade := upgradeFrugally(t, tt.fields, tt.opts, tt.set, tt.want)
		if got := testing.AllocsPerRun(100, upgrade); got > tt.allocs {
			t.Errorf("%s: got %v allocations, want %v at most", tt.name, got, tt.allocs)
		}
	}
}

func BenchmarkUpgrade(b *testing.B) {
	for _, tt := range costs {
		b.Run(tt.name, func(b *testing.B) {
			upgrade := upgradeFrugally(b, tt.fields, tt.opts, tt.set, tt.want)
			b.ReportAllocs()
			for b.Loop() {
				upgrade()
			}
		})
	}
}
