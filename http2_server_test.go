package websocket_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

// These tests hold what docs/http2.md says about net/http's server: of its settings and
// of what stands around a handler.

// inHTTP2 runs a test in a bubble, with a connection of HTTP/2 to a server of net/http.
func inHTTP2(t *testing.T, server *http.Server, test func(t *testing.T, h *wstest.H2)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, speakHTTP2(t, serveOnce(t, server, 0))) })
}

// serveOnce has server serve a single connection, through a Pipe that holds size bytes
// each way, and returns the client's end of it.
func serveOnce(t *testing.T, server *http.Server, size int) net.Conn {
	ours, theirs := wstest.Pipe(size)
	l := &oneConn{conn: make(chan net.Conn, 1)}
	l.conn <- ours
	server.ErrorLog = log.New(io.Discard, "", 0)
	server.Protocols = new(http.Protocols)
	server.Protocols.SetUnencryptedHTTP2(true)
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return theirs
}

func speakHTTP2(t *testing.T, conn net.Conn) *wstest.H2 {
	t.Helper()
	h, err := wstest.HTTP2(conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	if !h.ExtendedConnect() {
		t.Fatal("extended CONNECT is not offered")
	}
	return h
}

// oneConn is a listener to which somebody connects once.
type oneConn struct {
	conn  chan net.Conn
	close sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	if conn, ok := <-l.conn; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error {
	l.close.Do(func() { close(l.conn) })
	return nil
}

func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// tryHTTP2 asks for a WebSocket over h, and returns what came of it.
func tryHTTP2(t *testing.T, h *wstest.H2, path string) (*wstest.Peer, *wstest.H2Stream, int, error) {
	t.Helper()
	s, err := h.Open(false, wstest.ConnectFields(path)...)
	if err != nil {
		t.Fatal(err)
	}
	status, _, err := s.Response()
	return wstest.NewPeer(t, s, nil), s, status, err
}

// openHTTP2 opens a WebSocket over h.
func openHTTP2(t *testing.T, h *wstest.H2, path string) (*wstest.Peer, *wstest.H2Stream) {
	t.Helper()
	p, s, status, err := tryHTTP2(t, h, path)
	if status != http.StatusOK || err != nil {
		t.Fatalf("status %d, %v, want 200", status, err)
	}
	return p, s
}

func expectEcho(p *wstest.Peer, text string) {
	p.SendText(text)
	p.ExpectText(text)
}

// TestHTTP2Mux: a pattern with the method GET is not for CONNECT.
func TestHTTP2Mux(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /get", quietEcho)
	mux.HandleFunc("GET /both", quietEcho)
	mux.HandleFunc("CONNECT /both", quietEcho)
	mux.HandleFunc("/all", quietEcho)
	inHTTP2(t, &http.Server{Handler: mux}, func(t *testing.T, h *wstest.H2) {
		for path, want := range map[string]int{"/get": 405, "/both": 200, "/all": 200} {
			p, _, status, err := tryHTTP2(t, h, path)
			if status != want || err != nil {
				t.Errorf("%s: status %d, %v, want %d", path, status, err, want)
			}
			if status == 200 {
				expectEcho(p, "hello")
			}
			p.Close()
		}
	})
}

// TestHTTP2MaxBytesHandler: it counts what comes through the tunnel, and cuts it.
func TestHTTP2MaxBytesHandler(t *testing.T) {
	ended := make(chan error, 1)
	handler := func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Upgrade(w, r, nil)
		if err != nil {
			ended <- err
			return
		}
		echoAll(c)
		ended <- c.Err()
	}
	server := &http.Server{Handler: http.MaxBytesHandler(http.HandlerFunc(handler), 100)}
	inHTTP2(t, server, func(t *testing.T, h *wstest.H2) {
		p, _ := openHTTP2(t, h, "/")
		p.Send(bytes.Repeat(wstest.Frame(frame.Text, true, []byte("0123456789")), 20)...)
		if err := <-ended; !strings.Contains(err.Error(), "request body too large") {
			t.Errorf("the connection ended with %v", err)
		}
	})
}

// TestHTTP2Timeouts: those of the http.Server are for requests, and no WebSocket is
// cut by them.
func TestHTTP2Timeouts(t *testing.T) {
	server := &http.Server{
		Handler: http.HandlerFunc(quietEcho), ReadTimeout: time.Second, ReadHeaderTimeout: time.Second, WriteTimeout: time.Second, IdleTimeout: time.Second,
	}
	inHTTP2(t, server, func(t *testing.T, h *wstest.H2) {
		p, _ := openHTTP2(t, h, "/")
		for range 3 {
			time.Sleep(time.Hour)
			expectEcho(p, "still here")
		}
	})
}

// TestHTTP2Context: the end of the request's context is that of the connection, also
// if it was middleware that has bounded it.
func TestHTTP2Context(t *testing.T) {
	bounded := func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
		defer cancel()
		quietEcho(w, r.WithContext(ctx))
	}
	inHTTP2(t, &http.Server{Handler: http.HandlerFunc(bounded)}, func(t *testing.T, h *wstest.H2) {
		p, s := openHTTP2(t, h, "/")
		expectEcho(p, "here")
		time.Sleep(time.Hour)
		if n, err := s.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("Read = %d, %v, want the end", n, err)
		}
	})
}

// quietEcho is echo for connections that may be silent for long, and be lost.
func quietEcho(w http.ResponseWriter, r *http.Request) {
	if c, err := websocket.Upgrade(w, r, &websocket.Options{KeepAlive: -1}); err == nil {
		echoAll(c)
	}
}

// TestHTTP2Shutdown: http.Server.Shutdown waits for WebSockets, which it does not over
// HTTP/1.1, and Group.Shutdown ends them.
func TestHTTP2Shutdown(t *testing.T) {
	var group websocket.Group
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := websocket.Upgrade(w, r, &websocket.Options{Group: &group, KeepAlive: -1}); err == nil {
			echoAll(c)
		}
	})}
	inHTTP2(t, server, func(t *testing.T, h *wstest.H2) {
		p, _ := openHTTP2(t, h, "/")
		ended := make(chan error, 1)
		go func() { ended <- server.Shutdown(context.Background()) }()
		time.Sleep(time.Hour)
		select {
		case err := <-ended:
			t.Fatalf("Shutdown returned %v, and there is a WebSocket", err)
		default:
		}
		expectEcho(p, "still here")
		go group.Shutdown(context.Background())
		p.ExpectClose(1001, "the server is shutting down")
		p.SendClose(1001, "")
		p.ExpectEOF()
		if err := <-ended; err != nil {
			t.Errorf("Shutdown returned %v", err)
		}
	})
}

// TestHTTP2Streams: requests and WebSockets of a connection have one limit.
func TestHTTP2Streams(t *testing.T) {
	server := &http.Server{Handler: http.HandlerFunc(quietEcho), HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 2}}
	inHTTP2(t, server, func(t *testing.T, h *wstest.H2) {
		first, _ := openHTTP2(t, h, "/")
		second, _ := openHTTP2(t, h, "/")
		_, _, status, err := tryHTTP2(t, h, "/")
		if _, ok := errors.AsType[*wstest.H2ResetError](err); !ok {
			t.Errorf("the third: status %d, %v, want a reset", status, err)
		}
		expectEcho(first, "here")
		first.SendClose(1000, "")
		first.ExpectClose(1000, "")
		first.ExpectEOF()
		first.Close()
		synctest.Wait()
		third, _ := openHTTP2(t, h, "/")
		expectEcho(second, "here")
		expectEcho(third, "here")
	})
}

// TestHTTP2Stall: what is sent to a WebSocket that nobody reads takes the room of
// those beside it, unless a stream may have less than the connection.
func TestHTTP2Stall(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config *http.HTTP2Config
		stalls bool
	}{
		{"by default", nil, true},
		{"with room", &http.HTTP2Config{MaxReceiveBufferPerConnection: 4 << 20, MaxReceiveBufferPerStream: 256 << 10}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mux := http.NewServeMux()
			mux.HandleFunc("/echo", quietEcho)
			mux.HandleFunc("/busy", func(w http.ResponseWriter, r *http.Request) {
				if c, err := websocket.Upgrade(w, r, &websocket.Options{KeepAlive: -1}); err == nil {
					defer c.CloseNow()
					<-r.Context().Done()
				}
			})
			inHTTP2(t, &http.Server{Handler: mux, HTTP2: tt.config}, func(t *testing.T, h *wstest.H2) {
				_, busy := openHTTP2(t, h, "/busy")
				busy.SetWriteDeadline(time.Now().Add(time.Second))
				message := wstest.Frame(frame.Binary, true, make([]byte, 8<<20))
				if _, err := busy.Write(message); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatalf("writing to nobody: %v", err)
				}
				_, beside := openHTTP2(t, h, "/echo")
				beside.SetWriteDeadline(time.Now().Add(time.Second))
				_, err := beside.Write(wstest.Frame(frame.Text, true, []byte("hello")))
				if errors.Is(err, os.ErrDeadlineExceeded) != tt.stalls {
					t.Errorf("beside it: %v, want stalled %t", err, tt.stalls)
				}
				busy.Close()
			})
		})
	}
}

// TestHTTP2Lifetime: when the handler returns, its connection ends, and what uses it
// still gets an error.
func TestHTTP2Lifetime(t *testing.T) {
	conns := make(chan *websocket.Conn, 1)
	left := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/leaves", func(w http.ResponseWriter, r *http.Request) {
		if c, err := websocket.Upgrade(w, r, nil); err == nil {
			conns <- c
		}
	})
	mux.HandleFunc("/waits", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		go echoAll(c)
		<-c.Done()
		close(left)
	})
	inHTTP2(t, &http.Server{Handler: mux}, func(t *testing.T, h *wstest.H2) {
		p, s := openHTTP2(t, h, "/leaves")
		c := <-conns
		if n, err := s.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("the stream of a handler that has returned: %d, %v, want its end", n, err)
		}
		synctest.Wait()
		if err := c.Write(context.Background(), websocket.Text, []byte("late")); err == nil {
			t.Error("a late write has no error")
		}
		if _, _, err := c.Read(context.Background()); err == nil {
			t.Error("a late read has no error")
		}
		p.Close()

		p, _ = openHTTP2(t, h, "/waits")
		expectEcho(p, "here")
		p.SendClose(1000, "")
		p.ExpectClose(1000, "")
		<-left
		p.ExpectEOF()
	})
}

// TestHTTP2OtherHandlers: what does not know of extended CONNECT gets it all the same,
// and the client no second chance.
func TestHTTP2OtherHandlers(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(quietEcho))
	defer backend.Close()
	u, err := url.Parse(backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	front := &http.Server{
		Handler:   &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u) }, ErrorLog: log.New(io.Discard, "", 0)},
		Protocols: new(http.Protocols),
	}
	front.Protocols.SetUnencryptedHTTP2(true)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go front.Serve(l)
	defer front.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	h, err := wstest.HTTP2(conn)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	_, s, status, err := tryHTTP2(t, h, "/")
	text, _ := io.ReadAll(io.LimitReader(s, 200))
	if status < 400 || err != nil {
		t.Errorf("through httputil.ReverseProxy: status %d %q, %v", status, text, err)
	}
}
