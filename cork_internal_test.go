package websocket

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/airlock-go/websocket/frame"
)

// counted is a stream that counts what would be system calls.
type counted struct {
	stream
	writes atomic.Int32
}

func (s *counted) Write(b []byte) (int, error) {
	s.writes.Add(1)
	return s.stream.Write(b)
}

func (s *counted) TryWrite(b []byte) int {
	s.writes.Add(1)
	return s.stream.TryWrite(b)
}

func (s *counted) WriteBuffers(b *net.Buffers) (int64, error) {
	s.writes.Add(1)
	return s.stream.WriteBuffers(b)
}

// calls is a Handler.
type calls struct {
	onMessage func(c *Conn, m Message) error
	closed    chan error
}

func (h calls) OnMessage(c *Conn, m Message) error { return h.onMessage(c, m) }

func (h calls) OnClose(_ *Conn, err error) { h.closed <- err }

// tcpPair returns the ends of a connection through the kernel.
func tcpPair(t *testing.T) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err == nil {
		t.Cleanup(func() { client.Close() })
		client.SetDeadline(time.Now().Add(30 * time.Second))
		server, err = l.Accept()
	}
	if err != nil {
		t.Fatal(err)
	}
	return server, client
}

// burst returns n masked messages of a byte each, their number.
func burst(n int) []byte {
	var b []byte
	for i := range n {
		b = frame.Append(b, frame.Header{Fin: true, Opcode: frame.Binary, Length: 1, Masked: true})
		b = append(b, byte(i))
	}
	return b
}

// TestCorkTCP: through the kernel, too, and from a Poller, the replies to a burst are
// one system call; a large one goes as it always does.
func TestCorkTCP(t *testing.T) {
	poller, err := NewPoller(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer poller.Close()
	for _, way := range []struct {
		name  string
		serve func(c *Conn, h Handler)
	}{
		{"Serve", func(c *Conn, h Handler) { go c.Serve(h) }},
		{"Poller", func(c *Conn, h Handler) { poller.Serve(c, h) }},
	} {
		for _, tt := range []struct {
			name    string
			replies []int
			send    func(c *Conn, p []byte) error
			writes  int32
		}{
			{"small", slices.Repeat([]int{5}, 200), writeBinary, 1},
			{"a large one between", []int{1, 1, 20_000, 1, 1}, writeBinary, 3},
			{"large ones", []int{20_000, 20_000}, writeBinary, 2},
			{"one fills the buffer", []int{1, pieceSize - frame.MaxHeaderSize, 20}, writeBinary, 3},
			{"prepared", []int{1, 1, 20_000, 1, 1}, writePrepared, 3},
		} {
			t.Run(way.name+", "+tt.name, func(t *testing.T) {
				server, client := tcpPair(t)
				s := &counted{stream: newHijacked(server, burst(len(tt.replies)))}
				c := newConn(s, decision{}, &Options{})
				c.wr.cork.timer = time.AfterFunc(time.Hour, func() {}) // how long it takes is no matter here
				h := calls{func(c *Conn, m Message) error {
					return tt.send(c, bytes.Repeat(m.Data, tt.replies[m.Data[0]]))
				}, make(chan error, 1)}
				way.serve(c, h)
				var want []byte
				for i, n := range tt.replies {
					want = frame.Append(want, frame.Header{Fin: true, Opcode: frame.Binary, Length: uint64(n)})
					want = append(want, bytes.Repeat([]byte{byte(i)}, n)...)
				}
				got := make([]byte, len(want))
				if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, want) {
					t.Errorf("the replies are wrong, or out of order; error %v", err)
				}
				client.Close()
				<-h.closed
				if got := s.writes.Load(); got != tt.writes {
					t.Errorf("%d writes, want %d", got, tt.writes)
				}
			})
		}
	}
}

func writeBinary(c *Conn, p []byte) error { return c.Write(context.Background(), Binary, p) }

func writePrepared(c *Conn, p []byte) error {
	m, err := NewPreparedMessage(Binary, p)
	if err != nil {
		return err
	}
	return c.WritePrepared(context.Background(), m)
}

// held returns what a connection holds back at the moment.
func (c *Conn) held() (n int, buf *buffer, flag bool) {
	c.wr.frame.tryLock()
	defer c.wr.frame.unlock()
	k := &c.wr.cork
	return k.n, k.buf, k.held.Load()
}

// TestCorkLetsGo: however it ends, nothing is kept: neither a buffer nor a timer that
// would go off.
func TestCorkLetsGo(t *testing.T) {
	failure := errors.New("failure")
	for _, tt := range []struct {
		name string
		call func(c *Conn) error // behind a reply that is held back
		wait time.Duration       // until it is let go
	}{
		{"the next read", func(*Conn) error { return nil }, 0},
		{"an error", func(*Conn) error { return failure }, 0},
		{"CloseNow", (*Conn).CloseNow, maxHold},
		{"Close", func(c *Conn) error { return c.Close(context.Background(), CloseNormal, "") }, 0},
		{"waiting", func(*Conn) error { time.Sleep(maxHold); return nil }, maxHold},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, client := net.Pipe()
				defer client.Close()
				go io.Copy(io.Discard, client)
				c := newConn(newHijacked(server, burst(2)), decision{}, &Options{})
				first := true
				h := calls{func(c *Conn, m Message) error {
					if !first {
						return nil
					}
					first = false
					if err := c.Write(context.Background(), m.Type, m.Data); err != nil {
						t.Error(err)
					}
					if n, buf, flag := c.held(); n != 3 || buf == nil || !flag {
						t.Errorf("%d bytes are held back, flag %t, want 3", n, flag)
					}
					return tt.call(c)
				}, make(chan error, 1)}
				go c.Serve(h)
				time.Sleep(tt.wait)
				synctest.Wait()
				if n, buf, flag := c.held(); n != 0 || buf != nil || flag {
					t.Errorf("%d bytes are held back, flag %t, buffer %t", n, flag, buf != nil)
				}
				if c.wr.cork.timer.Stop() {
					t.Error("the timer goes on")
				}
				client.Close()
				<-h.closed
			})
		})
	}
}

// TestCorkLargeStalled: what is held back goes before a large reply, and is given up
// like one.
func TestCorkLargeStalled(t *testing.T) {
	for _, write := range []func(*Conn, []byte) error{writeBinary, writePrepared} {
		synctest.Test(t, func(t *testing.T) {
			server, client := net.Pipe()
			defer client.Close()
			c := newConn(&stalled{stream: newHijacked(server, burst(2))}, decision{}, &Options{})
			h := calls{func(c *Conn, m Message) error {
				return errors.Join(writeBinary(c, m.Data), write(c, make([]byte, 20_000)))
			}, make(chan error, 1)}
			if err := c.Serve(h); !errors.Is(err, ErrWriteTimeout) || c.Stats().BytesSent != 0 {
				t.Errorf("Serve: %v, after %d bytes", err, c.Stats().BytesSent)
			}
		})
	}
}

// TestCorkTurn: who would send what is held back waits for another frame, and not
// beyond the end.
func TestCorkTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		defer client.Close()
		c := newConn(newHijacked(server, burst(2)[:8]), decision{}, &Options{})
		h := calls{func(c *Conn, m Message) error {
			err := writeBinary(c, m.Data)
			c.wr.frame.tryLock()
			return err
		}, make(chan error, 1)}
		start := time.Now()
		time.AfterFunc(time.Second, func() { c.CloseNow() })
		go c.Serve(h)
		<-h.closed
		if took := time.Since(start); took != time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// direct is a stream that passes for one to the kernel.
type direct struct{ stream }

func (direct) Direct() bool { return true }

// TestCorkContext: the ctx of a write has no say any more once that has returned.
func TestCorkContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		c := newConn(direct{newHijacked(server, burst(2)[:8])}, decision{}, &Options{})
		h := calls{func(c *Conn, m Message) error {
			ctx, cancel := context.WithCancel(context.Background())
			err := c.Write(ctx, m.Type, m.Data)
			cancel()
			synctest.Wait()
			return err
		}, make(chan error, 1)}
		go c.Serve(h)
		if _, err := io.ReadFull(client, make([]byte, 3)); err != nil {
			t.Errorf("no reply: %v, %v", err, c.Err())
		}
		client.Close()
		<-h.closed
	})
}

// limited is a stream that remembers its last write deadline.
type limited struct {
	stream
	deadline time.Time
}

func (s *limited) SetWriteDeadline(t time.Time) error {
	s.deadline = t
	return s.stream.SetWriteDeadline(t)
}

// TestCorkRests: where other layers write as well, the ctx of a write that is over
// leaves no deadline to them, though what was written is still held back.
func TestCorkRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		defer client.Close()
		s := &limited{stream: newHijacked(server, nil)}
		c := newConn(s, decision{}, &Options{})
		defer c.CloseNow()
		c.wr.cork.on.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		if err := c.Write(ctx, Binary, []byte("held back")); err != nil || !c.wr.cork.held.Load() {
			t.Fatalf("Write = %v, held %t", err, c.wr.cork.held.Load())
		}
		cancel()
		synctest.Wait()
		if !s.deadline.IsZero() {
			t.Errorf("the next to write finds a deadline of %v", s.deadline)
		}
	})
}

// sink is a stream that takes everything.
type sink struct{ direct }

func (sink) Write(b []byte) (int, error)      { return len(b), nil }
func (sink) SetWriteDeadline(time.Time) error { return nil }

// TestCorkAllocatesNothing: what holds replies back is used again.
func TestCorkAllocatesNothing(t *testing.T) {
	server, client := net.Pipe()
	defer client.Close()
	defer server.Close()
	c := newConn(sink{direct{newHijacked(server, nil)}}, decision{}, &Options{})
	reply := []byte("reply")
	got := testing.AllocsPerRun(100, func() {
		c.wr.cork.on.Store(true)
		if err := writeBinary(c, reply); err != nil {
			t.Fatal(err)
		}
		c.uncork(context.Background())
	})
	if got != 0 {
		t.Errorf("got %v allocations a burst, want 0", got)
	}
}
