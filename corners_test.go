package websocket_test

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

// TestKeepAliveBehindLargeFrame: a peer that takes a large message slowly lives,
// though the ping cannot be sent; when it has been, there is time to answer.
func TestKeepAliveBehindLargeFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 1 << 20
		c, p := wstest.MemorySize(t, nil, 4<<10)
		c.CloseRead(t.Context())
		written := async(func() error { return c.Write(t.Context(), websocket.Binary, make([]byte, size)) })
		for range size / (4 << 10) {
			time.Sleep(500 * time.Millisecond)
			if _, err := io.ReadFull(p.Conn, make([]byte, 4<<10)); err != nil {
				t.Fatal(err, c.Err())
			}
		}
		if _, err := io.ReadFull(p.Conn, make([]byte, 10)); err != nil { // the header's worth
			t.Fatal(err)
		}
		if err := <-written; err != nil {
			t.Fatal(err)
		}
		ping := p.ExpectPing()
		time.Sleep(19 * time.Second)
		if err := c.Err(); err != nil {
			t.Fatal(err)
		}
		p.SendFrame(frame.Pong, true, ping)
		start := time.Now()
		p.ExpectPing() // and the watch goes on
		<-c.Done()
		if took := time.Since(start); !errors.Is(c.Err(), websocket.ErrKeepAlive) || took != 40*time.Second {
			t.Errorf("got %v after %v", c.Err(), took)
		}
	})
}

// TestKeepAliveLateWakeUp: time in which the process did not run is not silence
// of the peer; it still gets its ping.
func TestKeepAliveLateWakeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := wstest.Pipe(0)
		c, p := wstest.Over(t, &lateRead{PipeConn: server}, client, nil)
		read := async(func() error { _, _, err := c.Read(context.Background()); return err })
		p.SendFrame(frame.Pong, true, p.ExpectPing())
		p.SendText("alive")
		if err := <-read; err != nil {
			t.Error(err)
		}
	})
}

// lateRead is a connection whose first Read returns an hour too late.
type lateRead struct {
	*wstest.PipeConn
	once sync.Once
}

func (c *lateRead) Read(p []byte) (int, error) {
	c.once.Do(func() { time.Sleep(time.Hour) })
	return c.PipeConn.Read(p)
}

// TestEndlessDurations: the longest time there is, is no time limit that has
// passed.
func TestEndlessDurations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := wstest.Memory(t, &websocket.Options{KeepAlive: math.MaxInt64, WriteTimeout: math.MaxInt64})
		if err := c.Write(t.Context(), websocket.Text, []byte("out")); err != nil {
			t.Fatal(err)
		}
		p.ExpectText("out")
		b := wstest.Frame(frame.Text, true, []byte("in"))
		p.Send(b[:3]...)
		read := async(func() error { _, _, err := c.Read(t.Context()); return err })
		time.Sleep(24 * time.Hour)
		p.Send(b[3:]...)
		if err := <-read; err != nil {
			t.Error(err)
		}
	})
}

// TestNoDeadlineLeftBehind: between two writes, a transport that writes on its
// own, as crypto/tls does when a peer asks it to change keys, finds no deadline.
func TestNoDeadlineLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := wstest.Pipe(0)
		conn := &deadlines{PipeConn: server}
		c, p := wstest.Over(t, conn, client, nil)
		ctx, cancel := context.WithCancel(t.Context())
		if err := c.Write(ctx, websocket.Text, nil); err != nil {
			t.Fatal(err)
		}
		cancel()
		synctest.Wait()
		if d := conn.last(); !d.IsZero() {
			t.Errorf("a write has left the deadline %v", d)
		}
		p.SendFrame(frame.Ping, true, "")
		p.SendText("")
		if _, _, err := c.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if d := conn.last(); !d.IsZero() {
			t.Errorf("a pong has left the deadline %v", d)
		}
	})
}

// deadlines notes the write deadline that was set last.
type deadlines struct {
	*wstest.PipeConn
	mu  sync.Mutex
	set time.Time
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.mu.Lock()
	d.set = t
	d.mu.Unlock()
	return d.PipeConn.SetWriteDeadline(t)
}

func (d *deadlines) last() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.set
}

// TestReadBesidePings: a peer that pings and does not read does not hold up a
// read beyond its ctx.
func TestReadBesidePings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := wstest.MemorySize(t, &websocket.Options{WriteTimeout: -1}, 1000)
		pinged := async(func() error {
			for range 1000 {
				if _, err := p.Write(wstest.Frame(frame.Ping, true, make([]byte, 100))); err != nil {
					return err
				}
			}
			return nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		if _, _, err := c.Read(ctx); !errors.Is(err, context.DeadlineExceeded) || c.Err() != nil {
			t.Errorf("got %v, connection %v", err, c.Err())
		}
		if took := time.Since(start); took != 100*time.Millisecond {
			t.Errorf("it took %v, want 100ms", took)
		}
		if err := <-pinged; err != nil {
			t.Error(err)
		}
		c.CloseNow()
	})
}

// TestTimeoutOfTheSystem: ETIMEDOUT calls itself a timeout, but nobody has set
// it, and there is no going on.
func TestTimeoutOfTheSystem(t *testing.T) {
	server, client := wstest.Pipe(0)
	c, _ := wstest.Over(t, timedOut{server}, client, &websocket.Options{KeepAlive: -1})
	if _, _, err := c.Read(t.Context()); !errors.Is(err, syscall.ETIMEDOUT) {
		t.Errorf("got %v", err)
	}
	checkEnd(t, c, websocket.CloseAbnormal, "", false)
}

type timedOut struct{ net.Conn }

func (timedOut) Read([]byte) (int, error) { return 0, os.NewSyscallError("read", syscall.ETIMEDOUT) }

// TestWriteFrameBehindAnother: a frame that begins a message does not wait
// within another's, whose turn it would then give back a second time.
func TestWriteFrameBehindAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := wstest.MemorySize(t, &websocket.Options{WriteTimeout: -1}, 1000)
		ctx := t.Context()
		if err := c.WriteFrame(ctx, frame.Binary, false, nil); err != nil {
			t.Fatal(err)
		}
		last := async(func() error { return c.WriteFrame(ctx, frame.Continuation, true, make([]byte, 5000)) })
		synctest.Wait()
		if err := c.WriteFrame(ctx, frame.Binary, true, nil); err == nil {
			t.Error("a message inside another: got no error")
		}
		p.Expect(frame.Binary, false, "")
		p.Expect(frame.Continuation, true, string(make([]byte, 5000)))
		if err := <-last; err != nil {
			t.Fatal(err)
		}
		w, err := c.Writer(ctx, websocket.Text)
		if err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if err := c.Write(short, websocket.Text, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Write beside a Writer: got %v", err)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestDroppedMessage: of a message whose beginning CloseRead has dropped, nothing
// is handed out, in no form of reading, cut off as it may be.
func TestDroppedMessage(t *testing.T) {
	for _, reader := range readers {
		bubble(t, reader.name, func(t *testing.T) {
			c, p := wstest.Memory(t, nil)
			b := wstest.Frame(frame.Text, true, []byte("transfer 1000"))
			p.Send(b[:15]...)
			ctx, cancel := context.WithCancel(t.Context())
			c.CloseRead(ctx)
			synctest.Wait()
			cancel()
			synctest.Wait()
			p.Send(b[15:17]...)
			short, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, got, err := reader.read(short, c); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("got %q, error %v", got, err)
			}
			p.Send(b[17:]...)
			p.SendText("next")
			if _, got, err := reader.read(t.Context(), c); string(got) != "next" || err != nil {
				t.Errorf("got %q, error %v, want the next message", got, err)
			}
		})
	}
}

// TestReaderEnds: a stream that has given out everything has ended, even if
// nobody has had the time to see io.EOF.
func TestReaderEnds(t *testing.T) {
	for _, test := range []struct {
		name string
		sent string
	}{{"a message", "one"}, {"an empty message", ""}, {"a large message", string(make([]byte, 100_000))}} {
		t.Run(test.name, func(t *testing.T) {
			c, p := wstest.MemorySize(t, nil, 1<<20)
			p.SendFrame(frame.Binary, true, test.sent)
			p.SendText("two")
			ctx, cancel := context.WithCancel(t.Context())
			_, r, err := c.Reader(ctx)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(test.sent))
			if _, err := io.ReadFull(r, got); err != nil {
				t.Fatal(err)
			}
			cancel()
			if _, err := r.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("got %v, want io.EOF", err)
			}
			if _, got, err := c.Read(t.Context()); err != nil || string(got) != "two" {
				t.Errorf("got %q, error %v", got, err)
			}
		})
	}
}

// TestReaderShared: of two who read one stream, both hear of its end.
func TestReaderShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		p.SendFrame(frame.Text, false, "")
		_, r, err := c.Reader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		one := async(func() string { b, err := io.ReadAll(r); return string(b) + errorText(err) })
		two := async(func() string { b, err := io.ReadAll(r); return string(b) + errorText(err) })
		synctest.Wait()
		p.SendFrame(frame.Continuation, true, "x")
		if got := <-one + <-two; got != "x" {
			t.Errorf("got %q", got)
		}
	})
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestOwedToStalledPeer: what is owed goes before what comes later, on the time
// of who sends that.
func TestOwedToStalledPeer(t *testing.T) {
	for _, test := range []struct {
		name string
		send func(ctx context.Context, c *websocket.Conn) error
	}{
		{"WriteFrame", func(ctx context.Context, c *websocket.Conn) error { return c.WriteFrame(ctx, frame.Ping, true, nil) }},
		{"Close", func(ctx context.Context, c *websocket.Conn) error { return c.Close(ctx, 1000, "") }},
	} {
		bubble(t, test.name, func(t *testing.T) {
			const size = 1000
			c, p := wstest.MemorySize(t, &websocket.Options{WriteTimeout: -1}, size)
			large := async(func() error { return c.Write(t.Context(), websocket.Binary, make([]byte, 5*size-4)) })
			synctest.Wait()
			p.SendFrame(frame.Ping, true, "x")
			p.SendText("hello")
			if _, _, err := c.Read(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			later := async(func() error { return test.send(ctx, c) })
			synctest.Wait()
			// The large frame is out when the pipe is full with its end.
			if _, err := io.ReadFull(p.Conn, make([]byte, 4*size)); err != nil {
				t.Fatal(err)
			}
			if err := <-large; err != nil {
				t.Fatal(err)
			}
			if err := <-later; !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			<-c.Done()
		})
	}
}

// TestSetMaxMessageSizeWhileReading: the limit holds from the next frame on, also
// for a read that waits for it.
func TestSetMaxMessageSizeWhileReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		read := async(func() error { _, _, err := c.Read(t.Context()); return err })
		synctest.Wait()
		c.SetMaxMessageSize(10)
		p.SendText("more than ten bytes")
		p.CloseWrite()
		if err := <-read; websocket.CloseStatus(err) != websocket.CloseMessageTooBig {
			t.Errorf("got %v", err)
		}
	})
}

// TestManyPings: every Ping gets its answer, however many there are.
func TestManyPings(t *testing.T) {
	const n = 200
	c, p := wstest.Memory(t, nil)
	c.CloseRead(t.Context())
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if _, err := c.Ping(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	var payloads []string
	for range n {
		payloads = append(payloads, p.ExpectPing())
	}
	for _, payload := range payloads {
		p.SendFrame(frame.Pong, true, payload)
	}
	wg.Wait()
}

// TestCloseNotSaid: Close does not claim a closing handshake in which this end
// had no say.
func TestCloseNotSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := wstest.MemorySize(t, &websocket.Options{WriteTimeout: -1}, 1000)
		written := async(func() error { return c.Write(t.Context(), websocket.Binary, make([]byte, 5000)) })
		synctest.Wait()
		p.SendClose(1000, "")
		if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != 1000 {
			t.Errorf("got %v", err)
		}
		if err := c.Close(t.Context(), 1000, ""); err == nil {
			t.Error("Close: got no error")
		}
		<-written
	})
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
