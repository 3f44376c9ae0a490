package websocket_test

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

// endedWrites are the ways to find out, by writing, that the connection is being
// closed. begin is called before that, the function it returns afterwards.
var endedWrites = []struct {
	name  string
	begin func(t *testing.T, ctx context.Context, c *websocket.Conn) func() error
}{
	{"Write", func(t *testing.T, ctx context.Context, c *websocket.Conn) func() error {
		return func() error { return c.Write(ctx, websocket.Text, []byte("late")) }
	}},
	{"WritePrepared", func(t *testing.T, ctx context.Context, c *websocket.Conn) func() error {
		return func() error { return c.WritePrepared(ctx, prepare(t, websocket.Text, []byte("late"))) }
	}},
	{"WriteJSON", func(t *testing.T, ctx context.Context, c *websocket.Conn) func() error {
		return func() error { return websocket.WriteJSON(ctx, c, "late") }
	}},
	{"WriteFrame", func(t *testing.T, ctx context.Context, c *websocket.Conn) func() error {
		return func() error { return c.WriteFrame(ctx, frame.Text, true, []byte("late")) }
	}},
	{"WriteFrame of a ping", func(t *testing.T, ctx context.Context, c *websocket.Conn) func() error {
		return func() error { return c.WriteFrame(ctx, frame.Ping, true, nil) }
	}},
	{"Ping", func(t *testing.T, ctx context.Context, c *websocket.Conn) func() error {
		return func() error { _, err := c.Ping(ctx); return err }
	}},
	{"NetConn.Write", func(t *testing.T, ctx context.Context, c *websocket.Conn) func() error {
		n := c.NetConn(ctx, websocket.Text)
		return func() error { _, err := n.Write([]byte("late")); return err }
	}},
	{"Writer", func(t *testing.T, ctx context.Context, c *websocket.Conn) func() error {
		return func() error { _, err := c.Writer(ctx, websocket.Text); return err }
	}},
	{"Write of a Writer", func(t *testing.T, ctx context.Context, c *websocket.Conn) func() error {
		w, err := c.Writer(ctx, websocket.Text)
		if err != nil {
			t.Fatal(err)
		}
		return func() error { _, err := w.Write(make([]byte, 20_000)); return err }
	}},
	{"Close of a Writer", func(t *testing.T, ctx context.Context, c *websocket.Conn) func() error {
		w, err := c.Writer(ctx, websocket.Text)
		if err != nil {
			t.Fatal(err)
		}
		return w.Close
	}},
}

// TestWriteAwaitsEnd: a write to a connection that is being closed fails when that is
// done, and not before its ctx ends. Who gives up then cuts nothing short.
func TestWriteAwaitsEnd(t *testing.T) {
	const never = time.Hour
	for _, write := range endedWrites {
		for _, tt := range []struct {
			name     string
			answer   time.Duration // of the peer
			ctx      time.Duration // of the write
			closeNow time.Duration
			returns  time.Duration
			closes   bool // the closing handshake completes
		}{
			{"the peer answers", 2 * time.Second, never, never, 2 * time.Second, true},
			{"the peer does not answer", never, never, never, 5 * time.Second, false},
			{"its ctx ends first", 2 * time.Second, time.Second, never, time.Second, true},
			{"its ctx has ended", 2 * time.Second, 0, never, 0, true},
			{"CloseNow", 2 * time.Second, never, time.Second, time.Second, false},
		} {
			bubble(t, write.name+", "+tt.name, func(t *testing.T) {
				c, p := wstest.Memory(t, nil)
				ctx, cancel := context.WithTimeout(t.Context(), max(tt.ctx, 1))
				defer cancel()
				late := write.begin(t, ctx, c)
				closed := async(func() error { return c.Close(t.Context(), 4000, "bye") })
				p.ExpectClose(4000, "bye")
				if tt.ctx == 0 {
					cancel()
					synctest.Wait()
				}
				start := time.Now()
				time.AfterFunc(tt.answer, func() {
					p.Write(wstest.CloseFrame(4000, ""))
					p.Close()
				})
				time.AfterFunc(tt.closeNow, func() { c.CloseNow() })
				err := late()
				if took := time.Since(start); err == nil || tt.ctx > 0 && err != c.Err() || took != tt.returns {
					t.Errorf("got %v after %v, want %v after %v", err, took, c.Err(), tt.returns)
				}
				if err := <-closed; (err == nil) != tt.closes {
					t.Errorf("Close: got %v", err)
				}
				checkEnd(t, c, 4000, "bye", true)
			})
		}
	}
}

// TestWriteAwaitsLinger: so it is when the peer has begun.
func TestWriteAwaitsLinger(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  []byte
	}{{"a close frame", wstest.CloseFrame(1000, "")}, {"a violation", []byte{0x81, 0x00}}} {
		bubble(t, tt.name, func(t *testing.T) {
			c, p := wstest.Memory(t, nil)
			c.CloseRead(t.Context())
			p.Send(tt.end...)
			synctest.Wait()
			start := time.Now()
			time.AfterFunc(time.Second/2, p.CloseWrite)
			err := c.Write(t.Context(), websocket.Text, nil)
			if took := time.Since(start); err == nil || err != c.Err() || took != time.Second/2 {
				t.Errorf("got %v after %v, want %v when the peer is gone", err, took, c.Err())
			}
		})
	}
}

// TestTrySendAwaitsNothing, not even the end.
func TestTrySendAwaitsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		closed := async(func() error { return c.Close(t.Context(), 1000, "") })
		p.ExpectClose(1000, "")
		start := time.Now()
		sent := c.TrySend(websocket.Text, nil)
		prepared := c.TrySendPrepared(prepare(t, websocket.Text, nil))
		if took := time.Since(start); sent == nil || sent != c.Err() || prepared != c.Err() || took != 0 {
			t.Errorf("got %v and %v after %v, want %v at once", sent, prepared, took, c.Err())
		}
		p.SendClose(1000, "")
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

// keepBusy keeps a server busy, until that has had enough. It reports whether the server
// said so.
func keepBusy(t *testing.T, addr string, connected func()) bool {
	connected = sync.OnceFunc(connected)
	defer connected()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(wstest.Patience))
	conn.Write([]byte(wstest.Handshake()))
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("got %v, error %v", resp, err)
		return false
	}
	p := wstest.NewPeer(t, conn, r)
	const window = 64 // messages on their way
	several := bytes.Repeat(wstest.Frame(frame.Text, true, []byte("more")), window/2)
	conn.Write(several)
	for n := 0; ; n++ {
		if n%(window/2) == 0 {
			conn.Write(several)
		}
		h, payload, err := p.ReadFrame()
		switch {
		case err != nil:
			t.Errorf("after %d messages: %v", n, err)
			return false
		case h.Opcode == frame.Close:
			conn.Write(wstest.CloseFrame(1001, ""))
			return bytes.Equal(payload, wstest.ClosePayload(1001, goingAway))
		case n == window:
			connected()
		}
	}
}

// TestShutdownBusy: handlers that write in a loop, and hang up when that fails, do
// not cut the closing handshakes short that Shutdown has begun.
func TestShutdownBusy(t *testing.T) {
	const clients = 200
	for _, handler := range []struct {
		name string
		echo func(c *websocket.Conn, m websocket.Message) error
	}{
		{"Write", func(c *websocket.Conn, m websocket.Message) error {
			return c.Write(context.Background(), m.Type, m.Data)
		}},
		{"Writer", func(c *websocket.Conn, m websocket.Message) error {
			w, err := c.Writer(context.Background(), m.Type)
			if err != nil {
				return err
			}
			if _, err := w.Write(m.Data); err != nil {
				return err
			}
			return w.Close()
		}},
	} {
		t.Run(handler.name, func(t *testing.T) {
			var g websocket.Group
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, err := websocket.Upgrade(w, r, &websocket.Options{Group: &g})
				if err != nil {
					t.Error(err)
					return
				}
				defer c.CloseNow()
				for m, err := range c.Messages(context.Background()) {
					if err != nil || handler.echo(c, m) != nil {
						return
					}
				}
			}))
			defer s.Close()
			var busy, gone sync.WaitGroup
			var told atomic.Int32
			busy.Add(clients)
			for range clients {
				gone.Go(func() {
					if keepBusy(t, s.Listener.Addr().String(), busy.Done) {
						told.Add(1)
					}
				})
			}
			busy.Wait()
			cut, err := g.Shutdown(t.Context())
			gone.Wait()
			if n := told.Load(); cut != 0 || err != nil || n != clients {
				t.Errorf("%d clients were told, Shutdown = %d, %v; want all %d", n, cut, err, clients)
			}
		})
	}
}
