package websocket_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/internal/wstest"
)

// fakeWriter is a ResponseWriter in memory, over a connection that the test
// holds the other end of.
type fakeWriter struct {
	*httptest.ResponseRecorder
	client   net.Conn
	conn     net.Conn
	hijacked int
}

func newFakeWriter() *fakeWriter {
	conn, client := wstest.Pipe(0)
	return &fakeWriter{ResponseRecorder: httptest.NewRecorder(), client: client, conn: conn}
}

func (w *fakeWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.hijacked++
	return w.conn, nil, nil
}

// fakeAnswer is what a request in memory has got.
type fakeAnswer struct {
	status   int
	header   http.Header
	body     string // all that was sent, if the connection was hijacked
	err      error
	hijacked int
}

// answerTo answers a request that need not have passed through net/http. The
// fields of set are on the ResponseWriter before.
func answerTo(t testing.TB, r *http.Request, opts *websocket.Options, set ...http.Header) *fakeAnswer {
	t.Helper()
	w := newFakeWriter()
	for _, h := range set {
		for name, values := range h {
			w.Header()[name] = values
		}
	}
	conn, err := websocket.Upgrade(w, r, opts)
	a := &fakeAnswer{status: w.Code, header: w.Header(), body: w.Body.String(), err: err, hijacked: w.hijacked}
	if w.hijacked > 0 {
		if conn != nil {
			conn.CloseNow()
		}
		sent, err := io.ReadAll(w.client)
		if err != nil {
			t.Fatal(err)
		}
		a.status, a.header, a.body = http.StatusSwitchingProtocols, nil, string(sent)
	}
	return a
}
