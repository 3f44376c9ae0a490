package websocket_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

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

// TestServePanic: the panic of a handler goes its way, and the connection ends.
func TestServePanic(t *testing.T) {
	c, p := wstest.Memory(t, nil)
	h := &recorder{onMessage: func(c *websocket.Conn, m websocket.Message) error { panic("oops") }}
	p.SendText("hello")
	func() {
		defer func() {
			if got := recover(); got != "oops" {
				t.Errorf("recovered %v", got)
			}
		}()
		c.Serve(h)
	}()
	if len(h.closed) != 1 || websocket.CloseStatus(h.closed[0]) != websocket.CloseAbnormal {
		t.Errorf("OnClose: got %v", h.closed)
	}
	p.ExpectEOF()
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
