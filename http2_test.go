package websocket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

// streams is a server that speaks HTTP/2 in the clear, with a handler of the test's.
type streams struct {
	*httptest.Server
	t   *testing.T
	log bytes.Buffer // of net/http; to be read after Close
}

// serveStreams starts a server, which is closed when the test ends, and has logged
// nothing by then: no handler has panicked.
func serveStreams(t *testing.T, handler http.Handler, configure ...func(*http.Server)) *streams {
	t.Helper()
	s := &streams{Server: httptest.NewUnstartedServer(handler), t: t}
	s.Config.ErrorLog = log.New(&s.log, "", 0)
	wstest.Streams(s.Server)
	for _, f := range configure {
		f(s.Config)
	}
	s.Start()
	t.Cleanup(func() {
		s.Close()
		if s.log.Len() > 0 {
			t.Errorf("net/http has logged %s", &s.log)
		}
	})
	return s
}

// dial makes a connection of HTTP/2.
func (s *streams) dial() *wstest.H2 {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(wstest.Patience)); err != nil {
		s.t.Fatal(err)
	}
	return speakHTTP2(s.t, conn)
}

// ask opens a stream, and returns it with the status of the response.
func ask(t *testing.T, h *wstest.H2, path string, more ...string) (*wstest.H2Stream, int) {
	t.Helper()
	stream, err := h.Open(false, wstest.ConnectFields(path, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	status, _, err := stream.Response()
	if err != nil {
		t.Fatal(err)
	}
	return stream, status
}

// peerOn opens a stream with a WebSocket.
func peerOn(t *testing.T, h *wstest.H2) (*wstest.Peer, *wstest.H2Stream) {
	t.Helper()
	stream, status := ask(t, h, "/ws")
	if status != http.StatusOK {
		body, _ := io.ReadAll(stream)
		t.Fatalf("got %d %q", status, body)
	}
	return wstest.NewPeer(t, stream, nil), stream
}

// handling returns a handler that upgrades with opts and calls do.
func handling(t *testing.T, opts *websocket.Options, do func(c *websocket.Conn)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Upgrade(w, r, opts)
		if err != nil {
			t.Errorf("Upgrade: %v", err)
			return
		}
		do(c)
	}
}

// echoing is a handler with a loop of its own.
func echoHandler(t *testing.T, opts *websocket.Options) http.HandlerFunc {
	return handling(t, opts, func(c *websocket.Conn) {
		defer c.CloseNow()
		for m := range c.Messages(context.Background()) {
			if c.Write(context.Background(), m.Type, m.Data) != nil {
				return
			}
		}
	})
}

// checkEcho sends a message that has to come back.
func checkEcho(p *wstest.Peer, s string) {
	p.SendText(s)
	p.ExpectText(s)
}

// checkReset reads to the end of the stream, which was reset by the server.
func checkReset(t *testing.T, stream io.Reader) {
	t.Helper()
	_, err := io.Copy(io.Discard, stream)
	if e, ok := errors.AsType[*wstest.H2ResetError](err); !ok || e.Code == wstest.H2NoError {
		t.Errorf("the stream has ended with %v, want a reset", err)
	}
}

// connected serves one stream, whose handler waits for the end of the connection.
func connected(t *testing.T, opts *websocket.Options) (*websocket.Conn, *wstest.Peer, *wstest.H2Stream) {
	t.Helper()
	conns := make(chan *websocket.Conn, 1)
	s := serveStreams(t, handling(t, opts, func(c *websocket.Conn) {
		conns <- c
		<-c.Done()
	}))
	p, stream := peerOn(t, s.dial())
	return <-conns, p, stream
}

func TestHTTP2OverTLS(t *testing.T) {
	c, p := wstest.NewServer(t, compressing(0, 0), wstest.Secure, wstest.Streams).Connect()
	if c.Protocol() != "HTTP/2.0" || !strings.Contains(c.Extensions(), "permessage-deflate") {
		t.Errorf("got %s with extensions %q", c.Protocol(), c.Extensions())
	}
	p.SendText("hello")
	expectMessage(t, c, "hello")
}

// TestHTTP2Reset: a client that resets the stream is one that has gone. What waits for
// it returns.
func TestHTTP2Reset(t *testing.T) {
	for name, wait := range map[string]func(c *websocket.Conn) error{
		"read": func(c *websocket.Conn) error {
			_, _, err := c.Read(context.Background())
			return err
		},
		"write": func(c *websocket.Conn) error {
			for {
				if err := c.Write(context.Background(), websocket.Binary, make([]byte, 1000)); err != nil {
					return err
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, _, stream := connected(t, &websocket.Options{WriteTimeout: -1})
			stream.Hold(true)
			waiting := async(func() error { return wait(c) })
			pause(10 * time.Millisecond)
			stream.Close()
			if err := <-waiting; err != c.Err() || isTimeout(err) {
				t.Errorf("got %v, the connection ended with %v", err, c.Err())
			}
			checkEnd(t, c, websocket.CloseAbnormal, "", false)
		})
	}
}

// isTimeout reports whether err says that time was up.
func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// TestHTTP2LeavesAtOnce: a browser that leaves a page resets the stream right behind
// its close frame. It has said goodbye all the same.
func TestHTTP2LeavesAtOnce(t *testing.T) {
	for range 50 {
		c, p, stream := connected(t, nil)
		p.Send(append(wstest.Frame(frame.Text, true, []byte("last words")), wstest.CloseFrame(1001, "")...)...)
		stream.Close()
		expectMessage(t, c, "last words")
		if _, _, err := c.Read(context.Background()); websocket.CloseStatus(err) != websocket.CloseGoingAway {
			t.Fatalf("got %v, want the code of the close frame", err)
		}
	}
}

// TestHTTP2ConnectionLost: with the connection go all its streams.
func TestHTTP2ConnectionLost(t *testing.T) {
	const n = 10
	ended := make(chan error, n)
	s := serveStreams(t, handling(t, nil, func(c *websocket.Conn) {
		_, _, err := c.Read(context.Background())
		ended <- err
	}))
	h := s.dial()
	for range n {
		peerOn(t, h)
	}
	h.Close()
	for range n {
		if err := <-ended; websocket.CloseStatus(err) != websocket.CloseAbnormal {
			t.Errorf("got %v", err)
		}
	}
}

// TestHTTP2Ends: how a stream ends for the client.
func TestHTTP2Ends(t *testing.T) {
	read := func(c *websocket.Conn) { c.Read(context.Background()) }
	for _, tt := range []struct {
		name  string
		end   func(c *websocket.Conn)
		peer  func(p *wstest.Peer)
		reset bool
	}{
		{"closed by the client", read, func(p *wstest.Peer) { p.SendClose(1000, ""); p.ExpectClose(1000, "") }, false},
		{"closed and half-closed by the client", read, func(p *wstest.Peer) {
			p.SendClose(1000, "")
			p.Conn.(*wstest.H2Stream).CloseWrite() // unless the server was faster
			p.ExpectClose(1000, "")
		}, false},
		{"half-closed by the client", read, func(p *wstest.Peer) { p.CloseWrite() }, true},
		{"a violation", read, func(p *wstest.Peer) { p.Send(0x81, 0x00); p.ExpectClose(1002, "frame from a client is not masked") }, false},
		{"closed by the server", func(c *websocket.Conn) { c.Close(context.Background(), 1000, "") },
			func(p *wstest.Peer) { p.ExpectClose(1000, ""); p.SendClose(1000, "") }, false},
		{"closed by the server, to no answer", func(c *websocket.Conn) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
			defer cancel()
			c.Close(ctx, 1000, "")
		}, func(p *wstest.Peer) { p.ExpectClose(1000, "") }, true},
		{"CloseNow", func(c *websocket.Conn) { c.CloseNow() }, func(*wstest.Peer) {}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 10 {
				c, p, stream := connected(t, nil)
				ended := async(func() struct{} { tt.end(c); return struct{}{} })
				tt.peer(p)
				if tt.reset {
					checkReset(t, stream)
				} else {
					p.ExpectEOF()
				}
				<-ended
				<-c.Done()
			}
		})
	}
	t.Run("half-closed in the middle of a message", func(t *testing.T) {
		c, p, _ := connected(t, nil)
		p.SendFrame(frame.Text, false, "unfinished")
		p.CloseWrite()
		if _, _, err := c.Read(context.Background()); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v", err)
		}
	})
}

// TestHTTP2NoWindow: a client that opens no window takes nothing. That ends its
// connection, whoever reads beside.
func TestHTTP2NoWindow(t *testing.T) {
	for _, size := range []int{1, 1000, 5000, 1 << 20} {
		for range 5 {
			c, p, stream := connected(t, &websocket.Options{WriteTimeout: 20 * time.Millisecond})
			stream.Hold(true)
			read := async(func() error {
				_, _, err := c.Read(context.Background())
				return err
			})
			p.SendFrame(frame.Pong, true, "")
			var err error
			for err == nil {
				err = c.Write(context.Background(), websocket.Binary, make([]byte, size))
			}
			if !errors.Is(err, websocket.ErrWriteTimeout) {
				t.Errorf("messages of %d bytes: Write = %v", size, err)
			}
			if got := <-read; got != err {
				t.Errorf("messages of %d bytes: Read = %v, want the error of Write", size, got)
			}
			checkEnd(t, c, websocket.CloseAbnormal, "", true)
			checkReset(t, stream)
		}
	}
}

// TestHTTP2Many: many on one connection, of which one takes nothing. By its default,
// net/http lets what comes on one stream use up the room of all.
func TestHTTP2Many(t *testing.T) {
	s := serveStreams(t, echoHandler(t, &websocket.Options{WriteTimeout: -1}), func(s *http.Server) {
		s.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10}
	})
	h := s.dial()
	_, stalled := peerOn(t, h)
	stalled.Hold(true)
	flood := async(func() error {
		for {
			if _, err := stalled.Write(wstest.Frame(frame.Binary, true, make([]byte, 10_000))); err != nil {
				return err
			}
		}
	})
	var all sync.WaitGroup
	for i := range 100 {
		p, _ := peerOn(t, h)
		all.Go(func() {
			for j := range 20 {
				s := strings.Repeat(fmt.Sprint(i, j), 1+i*j)
				p.SendText(s)
				if _, got, err := p.ReadFrame(); err != nil || string(got) != s {
					t.Errorf("socket %d: got %.50q, %v, want %.50q", i, got, err, s)
				}
			}
			p.SendClose(1000, "")
		})
	}
	all.Wait()
	stalled.Close()
	<-flood
}

// TestHTTP2Serves: to serve a connection is to stay until it has ended, with a Poller,
// too.
func TestHTTP2Serves(t *testing.T) {
	poller, err := websocket.NewPoller(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer poller.Close()
	for name, serve := range map[string]func(c *websocket.Conn, h websocket.Handler) error{
		"Serve":        (*websocket.Conn).Serve,
		"Poller.Serve": poller.Serve,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWitness(t)
			returned := make(chan error, 1)
			s := serveStreams(t, handling(t, nil, func(c *websocket.Conn) { returned <- serve(c, w) }))
			p, _ := peerOn(t, s.dial())
			for i := range 10 {
				checkEcho(p, fmt.Sprint(i))
			}
			select {
			case err := <-returned:
				t.Errorf("it has returned %v while the connection was open", err)
			default:
			}
			p.SendClose(1000, "")
			p.ExpectClose(1000, "")
			p.ExpectEOF()
			if err := <-returned; err != nil {
				t.Errorf("it has returned %v", err)
			}
			if len(w.end) != 1 {
				t.Error("it has returned before OnClose was called")
			}
		})
	}
}

// TestHTTP2PollerClose: Close ends what Serve waits for.
func TestHTTP2PollerClose(t *testing.T) {
	poller, err := websocket.NewPoller(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := newWitness(t)
	s := serveStreams(t, handling(t, nil, func(c *websocket.Conn) { poller.Serve(c, w) }))
	h := s.dial()
	p, stream := peerOn(t, h)
	checkEcho(p, "x")
	if err := poller.Close(); err != nil {
		t.Error(err)
	}
	if err := <-w.end; websocket.CloseStatus(err) != websocket.CloseAbnormal {
		t.Errorf("OnClose got %v", err)
	}
	checkReset(t, stream)
	w = newWitness(t)
	p, _ = peerOn(t, h)
	p.ExpectClose(1001, goingAway)
	p.SendClose(1001, "")
	p.ExpectEOF()
	if err := <-w.end; websocket.CloseStatus(err) != websocket.CloseGoingAway {
		t.Errorf("OnClose got %v", err)
	}
}

// TestHTTP2HandlerReturns: a handler that returns while others write, and has deferred
// CloseNow, leaves nobody in net/http. The race detector looks on.
func TestHTTP2HandlerReturns(t *testing.T) {
	for _, size := range []int{10, 5000, 100_000} {
		writers := make(chan error, 2)
		conns := make(chan *websocket.Conn, 1)
		s := serveStreams(t, handling(t, &websocket.Options{WriteTimeout: -1}, func(c *websocket.Conn) {
			defer c.CloseNow()
			for range 2 {
				go func() {
					for {
						if err := c.Write(context.Background(), websocket.Binary, make([]byte, size)); err != nil {
							writers <- err
							return
						}
					}
				}()
			}
			conns <- c
			c.Read(context.Background())
		}))
		h := s.dial()
		for i := range 20 {
			p, stream := peerOn(t, h)
			if i%2 == 0 {
				stream.Hold(true)
				pause(time.Millisecond)
			}
			p.SendText("go")
			checkReset(t, stream)
			c := <-conns
			for range 2 {
				if err := <-writers; err != c.Err() || websocket.CloseStatus(err) != websocket.CloseAbnormal {
					t.Errorf("Write = %v, the connection has ended with %v", err, c.Err())
				}
			}
		}
	}
}

// TestHTTP2LateWrite: what is written when the handler has returned, and has closed
// nothing, is an error that stays.
func TestHTTP2LateWrite(t *testing.T) {
	conns := make(chan *websocket.Conn, 1)
	s := serveStreams(t, handling(t, nil, func(c *websocket.Conn) { conns <- c }))
	h := s.dial()
	for range 20 {
		p, _ := peerOn(t, h)
		p.ExpectEOF()
		c := <-conns
		err := c.Write(context.Background(), websocket.Text, []byte("late"))
		if err == nil || err != c.Err() || !strings.Contains(err.Error(), "its handler has returned") {
			t.Errorf("Write = %v, the connection has ended with %v", err, c.Err())
		}
		checkEnd(t, c, websocket.CloseAbnormal, "", false)
	}
	for range 20 { // and so is a read that waits
		p, _ := peerOn(t, h)
		c := <-conns
		if _, _, err := c.Read(context.Background()); websocket.CloseStatus(err) != websocket.CloseAbnormal {
			t.Errorf("Read = %v", err)
		}
		p.ExpectEOF()
		checkEnd(t, c, websocket.CloseAbnormal, "", false)
	}
}

// TestHTTP2ContextOfMiddleware: a context that middleware has ended is the end of the
// connection, with nobody left waiting, not even for a client that takes nothing.
func TestHTTP2ContextOfMiddleware(t *testing.T) {
	ended := make(chan error, 1)
	upgrade := handling(t, &websocket.Options{WriteTimeout: 20 * time.Millisecond}, func(c *websocket.Conn) {
		var err error
		for err == nil {
			err = c.Write(context.Background(), websocket.Binary, make([]byte, 1000))
		}
		ended <- err
		<-c.Done()
	})
	for _, held := range []bool{true, false} {
		s := serveStreams(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), 10*time.Millisecond)
			defer cancel()
			upgrade(w, r.WithContext(ctx))
		}))
		_, stream := peerOn(t, s.dial())
		stream.Hold(held)
		go io.Copy(io.Discard, stream)
		if err := <-ended; websocket.CloseStatus(err) != websocket.CloseAbnormal {
			t.Errorf("got %v", err)
		}
	}
}

// deafConn can be made to read nothing.
type deafConn struct {
	net.Conn
	deaf atomic.Bool
	end  chan struct{} // until then
}

func (c *deafConn) Read(p []byte) (int, error) {
	if c.deaf.Load() {
		<-c.end
	}
	return c.Conn.Read(p)
}

// TestHTTP2DeafConnection: a client that does not even read what would reset the stream
// is for the http.Server to get rid of, with a limit of its own. Then everybody goes on.
func TestHTTP2DeafConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		written := make(chan error)
		client := &deafConn{end: make(chan struct{}), Conn: serveOnce(t, &http.Server{
			HTTP2: &http.HTTP2Config{WriteByteTimeout: time.Minute},
			Handler: handling(t, &websocket.Options{WriteTimeout: time.Second}, func(c *websocket.Conn) {
				defer c.CloseNow()
				if _, _, err := c.Read(context.Background()); err != nil {
					t.Error(err)
				}
				written <- c.Write(context.Background(), websocket.Binary, make([]byte, 10_000))
			}),
		}, 2000)}
		p, _ := peerOn(t, speakHTTP2(t, client))
		client.deaf.Store(true)
		p.SendText("go")
		began := time.Now()
		if err := <-written; !errors.Is(err, websocket.ErrWriteTimeout) {
			t.Errorf("Write = %v", err)
		}
		if d := time.Since(began); d < time.Minute {
			t.Errorf("the limit of the Conn has been of use, after %v", d)
		}
		close(client.end)
	})
}
