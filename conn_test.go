package websocket_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

func TestConnTellsAboutItself(t *testing.T) {
	wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
		c, p := connect(t, nil)
		want := "HTTP/1.1"
		if _, ok := p.Conn.(*wstest.H2Stream); ok {
			want = "HTTP/2.0"
		}
		if got := c.Protocol(); got != want {
			t.Errorf("Protocol: got %q, want %q", got, want)
		}
		if got := c.Subprotocol(); got != "" {
			t.Errorf("Subprotocol: got %q", got)
		}
		if c.LocalAddr().String() != p.RemoteAddr().String() || c.RemoteAddr().String() != p.LocalAddr().String() {
			t.Errorf("addresses: got %v and %v, the peer has %v and %v", c.LocalAddr(), c.RemoteAddr(), p.RemoteAddr(), p.LocalAddr())
		}
		if err := c.Err(); err != nil {
			t.Errorf("Err: got %v", err)
		}
		select {
		case <-c.Done():
			t.Error("Done is closed")
		default:
		}
	})
}

func TestStats(t *testing.T) {
	c, p := wstest.Memory(t, nil)
	ctx := t.Context()
	p.SendText("hello")                           // 6 + 5
	p.SendFrame(frame.Ping, true, "p")            // 6 + 1
	p.SendFrame(frame.Binary, false, "")          // 6
	p.SendFrame(frame.Continuation, true, "abcd") // 6 + 4
	for range 2 {
		if _, _, err := c.Read(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Write(ctx, websocket.Text, []byte("xyz")); err != nil { // 2 + 3
		t.Fatal(err)
	}
	w, err := c.Writer(ctx, websocket.Text)
	if err != nil {
		t.Fatal(err)
	}
	w.Close()                                                           // 2
	if err := c.WriteFrame(ctx, frame.Binary, false, nil); err != nil { // 2
		t.Fatal(err)
	}
	if err := c.WriteFrame(ctx, frame.Continuation, true, nil); err != nil { // 2
		t.Fatal(err)
	}
	want := websocket.Stats{MessagesReceived: 2, MessagesSent: 3, BytesReceived: 34, BytesSent: 14} // pong: 2 + 1
	if got := c.Stats(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	c.CloseNow()
	if got := c.Stats(); got != want {
		t.Errorf("after the end: got %+v, want %+v", got, want)
	}
}

func TestErrorText(t *testing.T) {
	cause := errors.New("cause")
	tests := []struct {
		err  error
		want string
	}{
		{&websocket.CloseError{Code: 1000, Reason: "bye"}, `websocket: closed by peer with 1000 (normal closure): "bye"`},
		{&websocket.CloseError{Code: 4000}, `websocket: closed by peer with 4000`},
		{&websocket.CloseError{Code: 1001, Sent: true, Err: net.ErrClosed}, `websocket: closed by this end with 1001 (going away)`},
		{&websocket.CloseError{Code: 1006, Err: cause}, `websocket: closed by the network with 1006 (abnormal closure): cause`},
		{&websocket.CloseError{Code: 1002, Sent: true, Reason: "cause", Err: cause}, `websocket: closed by this end with 1002 (protocol error): "cause"`},
		{&websocket.CloseError{Code: 1000, Reason: "line\nbreak"}, `websocket: closed by peer with 1000 (normal closure): "line\nbreak"`},
	}
	for _, test := range tests {
		if got := test.err.Error(); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
	for code := range websocket.CloseCode(5001) {
		want := fmt.Sprint(int(code))
		if got := code.String(); got != want && (len(got) < len(want)+4 || got[:len(want)+2] != want+" (") {
			t.Errorf("code %d: got %q", int(code), got)
		}
	}
}

// TestTimeLimits: who looks for timeouts finds these, and not the end of a
// context, after which one would read on.
func TestTimeLimits(t *testing.T) {
	for _, err := range []error{websocket.ErrKeepAlive, websocket.ErrSlowMessage, websocket.ErrWriteTimeout} {
		err := fmt.Errorf("wrapped: %w", &websocket.CloseError{Code: 1006, Err: err})
		ne, ok := errors.AsType[net.Error](err)
		if !ok || !ne.Timeout() || ne.(interface{ Temporary() bool }).Temporary() {
			t.Errorf("%v is no net.Error with Timeout", err)
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v is not what it should be to errors.Is", err)
		}
	}
}

func TestCloseStatus(t *testing.T) {
	ce := &websocket.CloseError{Code: 1001, Err: io.EOF}
	for _, test := range []struct {
		err  error
		want websocket.CloseCode
	}{
		{nil, -1},
		{io.EOF, -1},
		{context.Canceled, -1},
		{ce, 1001},
		{fmt.Errorf("wrapped: %w", ce), 1001},
		{errors.Join(io.EOF, ce), 1001},
	} {
		if got := websocket.CloseStatus(test.err); got != test.want {
			t.Errorf("%v: got %v, want %v", test.err, got, test.want)
		}
	}
	if !errors.Is(ce, io.EOF) {
		t.Error("the cause cannot be found")
	}
}

// TestContextKeepsNothing: a context that outlives the connection does not keep
// it in memory, and one that ends late does not disturb other calls.
func TestLateContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		p.SendText("one")
		if _, _, err := c.Read(ctx); err != nil {
			t.Fatal(err)
		}
		if err := c.Write(ctx, websocket.Text, []byte("one")); err != nil {
			t.Fatal(err)
		}
		cancel() // both calls are over
		synctest.Wait()
		read := async(func() string {
			_, got, err := c.Read(context.Background())
			return fmt.Sprint(string(got), err)
		})
		synctest.Wait()
		p.SendFrame(frame.Ping, true, "")
		p.SendText("two")
		if got := <-read; got != "two<nil>" {
			t.Errorf("Read: got %s", got)
		}
		if err := c.Write(context.Background(), websocket.Text, []byte("two")); err != nil {
			t.Errorf("Write: %v", err)
		}
		p.ExpectText("one")
		p.Expect(frame.Pong, true, "")
		p.ExpectText("two")
	})
}
