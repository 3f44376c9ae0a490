package websocket_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

func TestNetConnBytes(t *testing.T) {
	wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
		c, p := connect(t, nil)
		n := c.NetConn(t.Context(), websocket.Binary)
		p.SendFrame(frame.Binary, true, "ab")
		p.SendFrame(frame.Binary, true, "")
		p.SendFrame(frame.Binary, false, "c")
		p.SendFrame(frame.Ping, true, "")
		p.SendFrame(frame.Continuation, true, "def")
		p.SendClose(1000, "")
		if got, err := n.Read(nil); got != 0 || err != nil {
			t.Errorf("Read of nothing: got %d, error %v", got, err)
		}
		for _, s := range []string{"one", "two"} {
			if got, err := io.WriteString(n, s); got != len(s) || err != nil {
				t.Fatalf("wrote %d, error %v", got, err)
			}
		}
		p.Expect(frame.Binary, true, "one")
		p.Expect(frame.Binary, true, "two")
		read := async(func() string {
			got, err := io.ReadAll(n)
			if err != nil {
				t.Errorf("read: %v", err)
			}
			return string(got)
		})
		p.Expect(frame.Pong, true, "")
		p.ExpectClose(1000, "")
		p.Close()
		if got := <-read; got != "abcdef" {
			t.Errorf("got %q", got)
		}
		if n.LocalAddr() != c.LocalAddr() || n.RemoteAddr() != c.RemoteAddr() {
			t.Error("the addresses are not those of the connection")
		}
		if err := n.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

func TestNetConnEnds(t *testing.T) {
	tests := []struct {
		name string
		end  func(p *wstest.Peer)
		want func(err error) bool
	}{
		{"normal closure", func(p *wstest.Peer) { p.SendClose(1000, "") }, func(err error) bool { return err == io.EOF }},
		{"going away", func(p *wstest.Peer) { p.SendClose(1001, "") }, func(err error) bool { return err == io.EOF }},
		{"another code", func(p *wstest.Peer) { p.SendClose(1011, "") }, func(err error) bool { return websocket.CloseStatus(err) == 1011 }},
		{"no status", func(p *wstest.Peer) { p.SendClose(0, "") }, func(err error) bool { return websocket.CloseStatus(err) == 1005 }},
		{"no close frame", func(p *wstest.Peer) {}, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"the other type", func(p *wstest.Peer) { p.SendText("x"); p.SendClose(1000, "") },
			func(err error) bool { return websocket.CloseStatus(err) == websocket.CloseUnsupportedData }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, p := wstest.Memory(t, nil)
			n := c.NetConn(t.Context(), websocket.Binary)
			test.end(p)
			p.CloseWrite()
			if _, err := n.Read(make([]byte, 1)); !test.want(err) {
				t.Errorf("got %v", err)
			}
			if err := n.SetDeadline(time.Time{}); err != c.Err() {
				t.Errorf("SetDeadline after the end: got %v", err)
			}
			if _, err := n.Write([]byte("x")); err != c.Err() {
				t.Errorf("Write after the end: got %v", err)
			}
		})
	}
}

func TestNetConnDeadlines(t *testing.T) {
	timedOut := func(t *testing.T, err error) {
		t.Helper()
		ne, ok := err.(net.Error)
		if !ok || !ne.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v, want a timeout", err)
		}
	}
	bubble(t, "a read goes on after its deadline", func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		n := c.NetConn(t.Context(), websocket.Binary)
		b := wstest.Frame(frame.Binary, true, []byte("hello"))
		var got []byte
		for _, next := range b {
			p.Send(next)
			n.SetReadDeadline(time.Now().Add(time.Second))
			piece := make([]byte, 10)
			k, err := n.Read(piece)
			got = append(got, piece[:k]...)
			if err != nil {
				timedOut(t, err)
			}
		}
		if string(got) != "hello" {
			t.Errorf("got %q", got)
		}
		if err := c.Err(); err != nil {
			t.Error(err)
		}
	})
	bubble(t, "moved while a read waits", func(t *testing.T) {
		c, _ := wstest.Memory(t, nil)
		n := c.NetConn(t.Context(), websocket.Binary)
		start := time.Now()
		n.SetDeadline(start.Add(time.Second))
		read := async(func() error { _, err := n.Read(make([]byte, 1)); return err })
		synctest.Wait()
		n.SetDeadline(start.Add(3 * time.Second))
		timedOut(t, <-read)
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("it took %v, want 3s", took)
		}
		n.SetReadDeadline(time.Now().Add(-time.Second))
		_, err := n.Read(make([]byte, 1))
		timedOut(t, err)
	})
	bubble(t, "a write", func(t *testing.T) {
		c, p := wstest.MemorySize(t, &websocket.Options{WriteTimeout: -1}, 1000)
		n := c.NetConn(t.Context(), websocket.Binary)
		n.SetWriteDeadline(time.Now().Add(-time.Second))
		_, err := n.Write([]byte("late"))
		timedOut(t, err)
		n.SetWriteDeadline(time.Time{})
		if _, err := n.Write([]byte("in time")); err != nil {
			t.Error(err)
		}
		p.Expect(frame.Binary, true, "in time")
		n.SetWriteDeadline(time.Now().Add(time.Second))
		_, err = n.Write(make([]byte, 5000))
		timedOut(t, err)
		<-c.Done() // cut off in the middle of a frame
	})
	bubble(t, "ctx ends all calls", func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		n := c.NetConn(ctx, websocket.Binary)
		read := async(func() error { _, err := n.Read(make([]byte, 1)); return err })
		synctest.Wait()
		cancel()
		if err := <-read; !errors.Is(err, context.Canceled) {
			t.Errorf("Read: got %v", err)
		}
		if _, err := n.Write(nil); !errors.Is(err, context.Canceled) {
			t.Errorf("Write: got %v", err)
		}
		p.SendClose(1000, "")
		if err := n.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	bubble(t, "Close ends calls that wait", func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		n := c.NetConn(t.Context(), websocket.Binary)
		read := async(func() error { _, err := n.Read(make([]byte, 1)); return err })
		synctest.Wait()
		closed := async(n.Close)
		p.ExpectClose(1000, "")
		p.SendClose(1000, "")
		p.CloseWrite()
		if err := <-read; err != io.EOF {
			t.Errorf("got %v", err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

// TestNetConnCopies: the adapter is good enough for the protocols that are
// written for net.Conn, such as a copy both ways.
func TestNetConnCopies(t *testing.T) {
	wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
		c, p := connect(t, nil)
		n := c.NetConn(t.Context(), websocket.Binary)
		copied := async(func() error {
			defer n.Close()
			_, err := io.Copy(n, n)
			return err
		})
		want := pattern(300_000)
		sent := async(func() error {
			_, err := p.Write(append(wstest.Frame(frame.Binary, true, want), wstest.CloseFrame(1000, "")...))
			return err
		})
		var got []byte
		for {
			h, payload, err := p.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if h.Opcode == frame.Close {
				break
			}
			got = append(got, payload...)
		}
		p.Close()
		if err := errors.Join(<-copied, <-sent); err != nil {
			t.Error(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("got %d bytes, want %d", len(got), len(want))
		}
	})
}

func TestNetConnClearedDeadline(t *testing.T) {
	wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
		c, p := connect(t, nil)
		n := c.NetConn(t.Context(), websocket.Binary)
		p.SendFrame(frame.Binary, false, "abc")
		p.SendFrame(frame.Continuation, true, "def")
		var got []byte
		for len(got) < 6 {
			b := make([]byte, 1)
			if _, err := n.Read(b); err != nil {
				t.Fatal(err)
			}
			got = append(got, b...)
			n.SetReadDeadline(time.Unix(1, 0))
			if len(got)%2 == 0 { // or nobody notices
				if _, err := n.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatalf("got %v", err)
				}
			}
			n.SetReadDeadline(time.Time{})
		}
		if string(got) != "abcdef" {
			t.Errorf("got %q", got)
		}
	})
}

// TestNetConnLateTimer: a timer that has gone off for one deadline does nothing
// to the next.
func TestNetConnLateTimer(t *testing.T) {
	c, p := wstest.Memory(t, nil)
	n := c.NetConn(t.Context(), websocket.Binary)
	for range 500 {
		n.SetReadDeadline(time.Now().Add(20 * time.Microsecond))
		for end := time.Now().Add(20 * time.Microsecond); time.Now().Before(end); {
		}
		n.SetReadDeadline(time.Time{})
		p.SendFrame(frame.Binary, true, "x")
		if _, err := n.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNetConnConcurrentReads(t *testing.T) {
	c, p := wstest.Memory(t, nil)
	n := c.NetConn(t.Context(), websocket.Binary)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if _, err := n.Read(make([]byte, 1)); err != nil {
					t.Error(err)
				}
				n.SetReadDeadline(time.Time{})
			}
		})
	}
	for range 50 {
		p.SendFrame(frame.Binary, true, "abcd")
	}
	wg.Wait()
	p.SendClose(1000, "")
	p.CloseWrite()
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	n.SetDeadline(time.Now().Add(time.Hour)) // does nothing any more
	if _, err := n.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read after Close: got %v", err)
	}
}
