//go:build !race

package websocket_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

// TestStack: a handler that has made a connection, has echoed a message and waits for
// the next keeps no larger a stack than one that has hijacked and has echoed bytes. A
// stack has 2 KiB, or 4, or 8; once grown it stays so for as long as the handler
// waits. (Under the detector of races, all of them are larger.)
func TestStack(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	stackOf(t, http.HandlerFunc(echoBytes), "hello") // which uses up what is left of earlier tests
	floor := stackOf(t, http.HandlerFunc(echoBytes), "hello")
	opts := &websocket.Options{
		Subprotocols:   []string{"chat.v1", "chat.v2"},
		TrustedOrigins: []string{"https://*.example.com", "https://app.example.org"},
		Compression:    &websocket.Compression{},
	}
	for _, tt := range []struct {
		name    string
		opts    *websocket.Options
		message string
		edits   []string
	}{
		{"plain", nil, "hello", nil},
		{"as from a browser", opts, "hello", fromBrowser},
		{"compressed", opts, strings.Repeat("hello ", 200), fromBrowser},
	} {
		got := stackOf(t, echoMessages(t, tt.opts), tt.message, tt.edits...)
		// It is not a matter of bytes: the next size is twice as large.
		if got > floor*3/2 {
			t.Errorf("%s: %d bytes of stack, and %d without the library", tt.name, got, floor)
		}
	}
}

var fromBrowser = []string{
	"Connection: keep-alive, Upgrade",
	"Pragma: no-cache",
	"Cache-Control: no-cache",
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
	"Origin: https://app.example.org",
	"Accept-Encoding: gzip, deflate, br, zstd",
	"Accept-Language: en-GB,en;q=0.9",
	"Cookie: session=0123456789abcdef",
	"Sec-WebSocket-Protocol: chat.v2, chat.v1",
	"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
}

func echoBytes(w http.ResponseWriter, _ *http.Request) {
	conn, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return // which its client notices
	}
	defer conn.Close()
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
	p := make([]byte, 64)
	for {
		n, err := buffered.Read(p)
		if err != nil {
			return
		}
		conn.Write(p[:n])
	}
}

// echoMessages has the usual above it: a ServeMux and a piece of middleware.
func echoMessages(t *testing.T, opts *websocket.Options) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /chat", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Upgrade(w, r, opts)
		if err != nil {
			t.Errorf("upgrade: %v", err)
			return
		}
		defer c.CloseNow()
		ctx := context.Background()
		for {
			typ, p, err := c.Read(ctx)
			if err != nil || c.Write(ctx, typ, p) != nil {
				return
			}
		}
	})
	return middleware(mux)
}

// stackOf returns how many bytes of stack there are for each connection to a server,
// when they have echoed once and wait. They do so until the test ends.
func stackOf(t *testing.T, echo http.Handler, message string, edits ...string) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: echo}
	served := make(chan error)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Close()
		<-served
	})

	request, sent := []byte(wstest.Handshake(edits...)), wstest.Frame(frame.Text, true, []byte(message))
	connect := func() {
		client, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		client.Write(request)
		r := bufio.NewReader(client)
		if _, err := http.ReadResponse(r, nil); err != nil {
			t.Fatal(err)
		}
		client.Write(sent)
		if _, err := r.ReadByte(); err != nil {
			t.Fatal(err)
		}
	}
	// A processor keeps the stacks of up to 64 goroutines that have ended. The first
	// take these, and what is made once.
	const first, more = 80, 256
	for range first {
		connect()
	}
	before := stackInUse()
	for range more {
		connect()
	}
	return int(stackInUse()-before) / more
}

func stackInUse() uint64 {
	runtime.GC()
	runtime.GC() // what the first has made free
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.StackInuse
}
