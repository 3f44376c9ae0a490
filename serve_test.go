package websocket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

// recorder is a Handler that echoes and writes down what happens.
type recorder struct {
	onMessage func(c *websocket.Conn, m websocket.Message) error
	got       []string
	closed    []error
}

func (r *recorder) OnMessage(c *websocket.Conn, m websocket.Message) error {
	r.got = append(r.got, string(m.Data))
	if r.onMessage != nil {
		return r.onMessage(c, m)
	}
	return c.Write(context.Background(), m.Type, m.Data)
}

func (r *recorder) OnClose(c *websocket.Conn, err error) { r.closed = append(r.closed, err) }

func TestServe(t *testing.T) {
	failure := errors.New("secret")
	tests := []struct {
		name      string
		onMessage func(c *websocket.Conn, m websocket.Message) error
		end       func(p *wstest.Peer)
		code      int // in our close frame
		reason    string
		err       error               // in what Serve returns; nil: it returns nil
		closed    websocket.CloseCode // of the connection
	}{
		{"the peer closes", nil, func(p *wstest.Peer) { p.SendClose(1000, "bye") }, 1000, "", nil, 1000},
		{"the peer leaves", nil, func(p *wstest.Peer) { p.SendClose(1001, "") }, 1001, "", nil, 1001},
		{"the peer says nothing", nil, func(p *wstest.Peer) { p.SendClose(0, "") }, 0, "", nil, 1005},
		{"an error", func(c *websocket.Conn, m websocket.Message) error { return failure },
			nil, 1011, "", failure, 1011},
		{"a CloseError", func(c *websocket.Conn, m websocket.Message) error {
			return fmt.Errorf("wrapped: %w", &websocket.CloseError{Code: 4000, Reason: "not you"})
		}, nil, 4000, "not you", nil, 4000},
		{"a CloseError with 1000", func(c *websocket.Conn, m websocket.Message) error {
			return &websocket.CloseError{Code: websocket.CloseNormal, Reason: "done"}
		}, nil, 1000, "done", nil, 1000},
		{"a CloseError that may not be sent", func(c *websocket.Conn, m websocket.Message) error {
			return &websocket.CloseError{Code: websocket.CloseAbnormal, Err: failure}
		}, nil, 1011, "", failure, 1011},
		{"a CloseError of a client", func(c *websocket.Conn, m websocket.Message) error {
			return &websocket.CloseError{Code: websocket.CloseMandatoryExtension}
		}, nil, 1011, "", nil, 1011},
		{"a CloseError out of range", func(c *websocket.Conn, m websocket.Message) error {
			return &websocket.CloseError{Code: 1000 + 1<<16}
		}, nil, 1011, "", nil, 1011},
		{"Close in the callback", func(c *websocket.Conn, m websocket.Message) error {
			go c.Close(context.Background(), 4001, "in the callback")
			<-c.Done()
			return nil
		}, nil, 4001, "in the callback", nil, 4001},
	}
	wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				c, p := connect(t, nil)
				h := &recorder{onMessage: test.onMessage}
				served := async(func() error { return c.Serve(h) })
				p.SendText("hello")
				if test.end != nil {
					p.ExpectText("hello")
					test.end(p)
					p.ExpectClose(test.code, test.reason)
				} else {
					p.ExpectClose(test.code, test.reason)
					p.SendClose(test.code, "")
				}
				p.Close()
				err := <-served
				normal := test.closed == 1000 || test.closed == 1001 || test.closed == 1005
				if normal != (err == nil) || test.err != nil && !errors.Is(err, test.err) {
					t.Errorf("Serve: got %v", err)
				}
				if fmt.Sprint(h.got) != "[hello]" {
					t.Errorf("got messages %q", h.got)
				}
				if len(h.closed) != 1 || h.closed[0] != c.Err() || websocket.CloseStatus(h.closed[0]) != test.closed {
					t.Errorf("OnClose: got %v, want %v once", h.closed, test.closed)
				}
			})
		}
	})
}

// standardLog takes what the standard logger says, until the test ends.
func standardLog(t *testing.T) *bytes.Buffer {
	logged := new(bytes.Buffer)
	before := log.Writer()
	log.SetOutput(logged)
	t.Cleanup(func() { log.SetOutput(before) })
	return logged
}

// ownLog connects to a server with an ErrorLog, and serves the connection. What is
// logged is all there when Serve has returned.
func ownLog(t *testing.T, h websocket.Handler) (p *wstest.Peer, logged *bytes.Buffer, served <-chan error) {
	t.Helper()
	logged = new(bytes.Buffer)
	s := wstest.NewServer(t, nil, func(s *httptest.Server) { s.Config.ErrorLog = log.New(logged, "", 0) })
	c, p := s.Connect()
	return p, logged, async(func() error { return c.Serve(h) })
}

// notComparable is an error, and nothing may ask whether it is another.
type notComparable []string

func (e notComparable) Error() string { return strings.Join(e, " ") }

// troubled is an error that cannot even say what is wrong.
type troubled struct{}

func (troubled) Error() string { panic("trouble") }

// thrown are values that handlers panic with.
var thrown = []struct {
	name  string
	panic func()
	text  string
}{
	{"a string", func() { panic("oops") }, "oops"},
	{"nil", func() { panic(nil) }, "panic called with nil argument"},
	{"a runtime error", func() { s := []int{}; s[len(s)]++ }, "index out of range [0]"},
	{"an error", func() { panic(io.ErrNoProgress) }, io.ErrNoProgress.Error()},
	{"a CloseError", func() { panic(&websocket.CloseError{Code: 4000, Reason: "not sent"}) }, "4000"},
	{"an error that wraps ErrAbortHandler", func() { panic(fmt.Errorf("own: %w", http.ErrAbortHandler)) }, "own: net/http: abort Handler"},
	{"an error that cannot be compared", func() { panic(notComparable{"no", "way"}) }, "no way"},
	{"a value that cannot be compared", func() { panic([]int{1, 2}) }, "[1 2]"},
	{"an error without a text", func() { panic(troubled{}) }, "trouble"},
}

// checkPanic checks what a panic with this text has left behind: in the log of the
// server, and in what OnClose and Serve got.
func checkPanic(t *testing.T, logged, addr, text string, h *recorder, err error) {
	t.Helper()
	first, stack, _ := strings.Cut(logged, "\ngoroutine ")
	if !strings.Contains(first, "websocket: panic serving "+addr+": ") || !strings.Contains(first, text) || !strings.Contains(stack, "serve_test.go:") {
		t.Errorf("logged:\n%s", logged)
	}
	if len(h.closed) != 1 || h.closed[0] != err || !errors.Is(err, websocket.ErrPanic) || !strings.Contains(err.Error(), text) {
		t.Errorf("Serve: got %v, OnClose: got %v", err, h.closed)
	}
	if code := websocket.CloseStatus(err); code != websocket.CloseInternalError {
		t.Errorf("got close code %v", code)
	}
}

// TestServePanic: the panic of a handler is logged where net/http logs, and ends its
// connection alone.
func TestServePanic(t *testing.T) {
	for _, test := range thrown {
		onMessage := func(*websocket.Conn, websocket.Message) error {
			test.panic()
			return nil
		}
		end := func(p *wstest.Peer) {
			p.SendText("hello")
			p.ExpectClose(1011, "")
			p.SendClose(1011, "")
			p.ExpectEOF()
			p.Close()
		}
		t.Run(test.name+", with an ErrorLog", func(t *testing.T) {
			standard := standardLog(t)
			h := &recorder{onMessage: onMessage}
			p, logged, served := ownLog(t, h)
			end(p)
			checkPanic(t, logged.String(), p.LocalAddr().String(), test.text, h, <-served)
			if standard.Len() > 0 {
				t.Errorf("logged elsewhere:\n%s", standard)
			}
		})
		t.Run(test.name+", without", func(t *testing.T) {
			logged := standardLog(t)
			h := &recorder{onMessage: onMessage}
			c, p := wstest.Memory(t, nil)
			served := async(func() error { return c.Serve(h) })
			end(p)
			checkPanic(t, logged.String(), "pipe-b", test.text, h, <-served)
		})
	}
}

// TestServePanicMeanwhile: whatever else is under way, a panic ends the connection.
func TestServePanicMeanwhile(t *testing.T) {
	for _, test := range []struct {
		name   string
		before func(t *testing.T, c *websocket.Conn)
		hear   func(p *wstest.Peer)
		code   websocket.CloseCode
	}{
		{"a Writer is open", func(t *testing.T, c *websocket.Conn) {
			w, err := c.Writer(t.Context(), websocket.Binary)
			if err == nil {
				_, err = w.Write(make([]byte, 16<<10))
			}
			if err != nil {
				t.Error(err)
			}
		}, func(p *wstest.Peer) { p.Expect(frame.Binary, false, string(make([]byte, 16<<10))) }, 1011},
		{"a Reader is open", func(t *testing.T, c *websocket.Conn) {
			if _, _, err := c.Reader(t.Context()); err != nil {
				t.Error(err)
			}
		}, func(*wstest.Peer) {}, 1011},
		{"the connection is being closed", func(t *testing.T, c *websocket.Conn) {
			go c.Close(t.Context(), 4000, "")
			synctest.Wait()
		}, func(*wstest.Peer) {}, 4000},
		{"the connection has ended", func(t *testing.T, c *websocket.Conn) { c.CloseNow() }, nil, websocket.CloseAbnormal},
	} {
		bubble(t, test.name, func(t *testing.T) {
			logged := standardLog(t)
			c, p := wstest.Memory(t, nil)
			h := &recorder{onMessage: func(c *websocket.Conn, m websocket.Message) error {
				test.before(t, c)
				panic("oops")
			}}
			served := async(func() error { return c.Serve(h) })
			p.SendText("one")
			p.SendFrame(frame.Text, false, "two")
			if test.hear != nil {
				test.hear(p)
				p.ExpectClose(int(test.code), "")
				p.SendClose(int(test.code), "")
			}
			p.ExpectEOF()
			err := <-served
			if websocket.CloseStatus(err) != test.code || len(h.closed) != 1 || h.closed[0] != err || fmt.Sprint(h.got) != "[one]" {
				t.Errorf("got %v, OnClose %v, messages %q; want %v once", err, h.closed, h.got, test.code)
			}
			if n := strings.Count(logged.String(), "websocket: panic serving pipe-b: oops\n"); n != 1 {
				t.Errorf("logged %d times:\n%s", n, logged)
			}
		})
	}
}

// TestServeAbort: who panics with http.ErrAbortHandler wants no log, and no manners.
func TestServeAbort(t *testing.T) {
	standard := standardLog(t)
	h := &recorder{onMessage: func(*websocket.Conn, websocket.Message) error { panic(http.ErrAbortHandler) }}
	p, logged, served := ownLog(t, h)
	p.SendText("hello")
	p.ExpectEOF()
	err := <-served
	e, ok := errors.AsType[*websocket.CloseError](err)
	if !ok || e.Code != websocket.CloseAbnormal || !e.Sent || !errors.Is(err, http.ErrAbortHandler) || errors.Is(err, websocket.ErrPanic) {
		t.Errorf("Serve: got %#v", err)
	}
	if len(h.closed) != 1 || h.closed[0] != err {
		t.Errorf("OnClose: got %v", h.closed)
	}
	if logged.Len() > 0 || standard.Len() > 0 {
		t.Errorf("logged:\n%s%s", logged, standard)
	}
}

// panicsAtEnd is a recorder that panics in OnClose.
type panicsAtEnd struct {
	recorder
	with func()
}

func (h *panicsAtEnd) OnClose(c *websocket.Conn, err error) {
	h.recorder.OnClose(c, err)
	h.with()
}

// TestServePanicInOnClose: the connection is over then, and nothing depends on it.
func TestServePanicInOnClose(t *testing.T) {
	abort := func() { panic(http.ErrAbortHandler) }
	type row struct {
		name      string
		onMessage func(*websocket.Conn, websocket.Message) error
		onClose   func()
		texts     []string // that are logged
		code      websocket.CloseCode
	}
	tests := []row{
		{"after a panic", func(*websocket.Conn, websocket.Message) error { panic("first") }, func() { panic("second") },
			[]string{"first", "second"}, 1011},
		{"ErrAbortHandler", nil, abort, nil, 1000},
	}
	for _, test := range thrown {
		tests = append(tests, row{test.name, nil, test.panic, []string{test.text}, 1000})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := &panicsAtEnd{recorder{onMessage: test.onMessage}, test.onClose}
			p, logged, served := ownLog(t, h)
			p.SendText("hello")
			if test.code == 1000 {
				p.ExpectText("hello")
				p.SendClose(1000, "")
			}
			p.ExpectClose(int(test.code), "")
			p.SendClose(int(test.code), "")
			p.Close()
			err := <-served
			if (err == nil) != (test.code == 1000) || len(h.closed) != 1 || websocket.CloseStatus(h.closed[0]) != test.code {
				t.Errorf("Serve: got %v, OnClose: got %v", err, h.closed)
			}
			got := logged.String()
			if n := strings.Count(got, "websocket: panic serving "+p.LocalAddr().String()+": "); n != len(test.texts) {
				t.Errorf("%d panics were logged, want %d:\n%s", n, len(test.texts), got)
			}
			for _, text := range test.texts {
				if !strings.Contains(got, text) {
					t.Errorf("%q was not logged:\n%s", text, got)
				}
			}
		})
	}
}

// TestServeGoexit: a handler that ends its goroutine, as t.Fatal does, ends the
// connection, and OnClose is called once.
func TestServeGoexit(t *testing.T) {
	for _, test := range []struct {
		name      string
		onMessage func(*websocket.Conn, websocket.Message) error
		onClose   func()
		code      websocket.CloseCode
	}{
		{"in OnMessage", func(*websocket.Conn, websocket.Message) error { runtime.Goexit(); return nil }, func() {}, websocket.CloseAbnormal},
		{"in OnClose", nil, runtime.Goexit, websocket.CloseNormal},
		{"in both", func(*websocket.Conn, websocket.Message) error { runtime.Goexit(); return nil }, runtime.Goexit, websocket.CloseAbnormal},
	} {
		bubble(t, test.name, func(t *testing.T) {
			logged := standardLog(t)
			c, p := wstest.Memory(t, nil)
			h := &panicsAtEnd{recorder{onMessage: test.onMessage}, test.onClose}
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				c.Serve(h)
				t.Error("Serve has returned")
			}()
			p.SendText("hello")
			if test.code == websocket.CloseNormal {
				p.ExpectText("hello")
				p.SendClose(1000, "")
				p.ExpectClose(1000, "")
				p.CloseWrite()
			}
			p.ExpectEOF()
			<-gone
			select {
			case <-c.Done():
			default:
				t.Error("the connection has not ended")
			}
			if len(h.closed) != 1 || h.closed[0] != c.Err() || websocket.CloseStatus(c.Err()) != test.code {
				t.Errorf("OnClose: got %v, want %v once", h.closed, test.code)
			}
			if logged.Len() > 0 {
				t.Errorf("logged:\n%s", logged)
			}
		})
	}
}

// TestServeReuses: large messages do not stay in memory, small ones share it.
func TestServeReuses(t *testing.T) {
	c, p := wstest.MemorySize(t, nil, 1<<20)
	var sizes []int
	h := &recorder{onMessage: func(c *websocket.Conn, m websocket.Message) error {
		sizes = append(sizes, cap(m.Data))
		return nil
	}}
	p.SendFrame(frame.Binary, true, string(make([]byte, 200_000)))
	p.SendText("small")
	p.SendClose(1000, "")
	p.CloseWrite()
	if err := c.Serve(h); err != nil {
		t.Fatal(err)
	}
	if len(sizes) != 2 || sizes[1] > 64<<10 {
		t.Errorf("got capacities %v", sizes)
	}
}

// TestServeOpenReader: a handler that leaves a stream open gets no further, and
// everybody hears the same.
func TestServeOpenReader(t *testing.T) {
	c, p := wstest.Memory(t, nil)
	h := &recorder{onMessage: func(c *websocket.Conn, m websocket.Message) error {
		_, _, err := c.Reader(context.Background())
		return err
	}}
	p.SendText("one")
	p.SendFrame(frame.Text, false, "two")
	p.SendClose(1011, "")
	p.CloseWrite()
	err := c.Serve(h)
	if !errors.Is(err, websocket.ErrReaderOpen) || websocket.CloseStatus(err) != websocket.CloseInternalError || h.closed[0] != err {
		t.Errorf("got %v, OnClose %v", err, h.closed)
	}
}
