package websocket_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

// bubble runs a test with a fake clock.
func bubble(t *testing.T, name string, test func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

// waiters are the ways to wait for a peer; all keep watch over it.
var waiters = []struct {
	name string
	wait func(c *websocket.Conn) error
}{
	{"Read", func(c *websocket.Conn) error { _, _, err := c.Read(context.Background()); return err }},
	{"Reader", func(c *websocket.Conn) error { _, _, err := c.Reader(context.Background()); return err }},
	{"ReadFrame", func(c *websocket.Conn) error {
		for {
			if _, _, err := c.ReadFrame(context.Background()); err != nil {
				return err
			}
		}
	}},
	{"Messages", func(c *websocket.Conn) error {
		for _, err := range c.Messages(context.Background()) {
			return err
		}
		return nil
	}},
	{"CloseRead", func(c *websocket.Conn) error {
		ended := c.CloseRead(context.Background())
		<-ended.Done()
		return context.Cause(ended)
	}},
	{"Serve", func(c *websocket.Conn) error { return c.Serve(new(recorder)) }},
	{"Poller", func(c *websocket.Conn) error {
		p, err := websocket.NewPoller(nil)
		if err != nil {
			return err
		}
		defer p.Close()
		h := make(onClose, 1)
		if err := p.Serve(c, h); err != nil {
			return err
		}
		return <-h
	}},
	{"NetConn", func(c *websocket.Conn) error {
		_, err := c.NetConn(context.Background(), websocket.Text).Read(make([]byte, 1))
		return err
	}},
	// A wait that its ctx cuts short goes on in the next.
	{"Read in slices", func(c *websocket.Conn) error {
		for {
			ctx, cancel := context.WithTimeout(context.Background(), 700*time.Millisecond)
			_, _, err := c.Read(ctx)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) || websocket.CloseStatus(err) != -1 {
				return err
			}
		}
	}},
}

// onClose is a Handler that says when its connection has ended.
type onClose chan error

func (onClose) OnMessage(*websocket.Conn, websocket.Message) error { return nil }

func (h onClose) OnClose(_ *websocket.Conn, err error) { h <- err }

func TestKeepAliveDeadPeer(t *testing.T) {
	for _, waiter := range waiters {
		bubble(t, waiter.name, func(t *testing.T) {
			c, p := wstest.Memory(t, nil)
			start := time.Now()
			done := async(func() error { return waiter.wait(c) })
			p.ExpectPing()
			if at := time.Since(start); at != 20*time.Second {
				t.Errorf("the ping came after %v, want 20s", at)
			}
			err := <-done
			if at := time.Since(start); at != 40*time.Second {
				t.Errorf("the end came after %v, want 40s", at)
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) || waiter.name != "NetConn" && !errors.Is(err, websocket.ErrKeepAlive) {
				t.Errorf("got %v", err)
			}
			p.ExpectEOF()
			checkEnd(t, c, websocket.CloseAbnormal, "", true)
		})
	}
}

// TestKeepAliveLife: any byte is a sign of life, not only a pong.
func TestKeepAliveLife(t *testing.T) {
	tests := []struct {
		name  string
		every time.Duration
		say   func(p *wstest.Peer, i int)
	}{
		{"pongs", 39 * time.Second, func(p *wstest.Peer, i int) { p.SendFrame(frame.Pong, true, "") }},
		{"pings", 39 * time.Second, func(p *wstest.Peer, i int) { p.SendFrame(frame.Ping, true, "x") }},
		{"messages", 39 * time.Second, func(p *wstest.Peer, i int) { p.SendText("hello") }},
		// A message in pieces has a time limit of its own.
		{"parts of a frame", 3 * time.Second, func(p *wstest.Peer, i int) {
			b := wstest.Frame(frame.Text, true, []byte("hello"))
			p.Send(b[i%len(b)])
		}},
	}
	for _, test := range tests {
		bubble(t, test.name, func(t *testing.T) {
			c, p := wstest.Memory(t, nil)
			done := async(func() error {
				for {
					if _, _, err := c.Read(context.Background()); err != nil {
						return err
					}
				}
			})
			go io.Copy(io.Discard, p.Conn)
			for i := range 10 {
				time.Sleep(test.every)
				test.say(p, i)
			}
			synctest.Wait()
			if err := c.Err(); err != nil {
				t.Errorf("the peer was given up: %v", err)
			}
			c.CloseNow()
			<-done
		})
	}
}

// TestKeepAliveBusyHandler: time in which nobody reads does not count.
func TestKeepAliveBusyHandler(t *testing.T) {
	bubble(t, "a minute", func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		for range 5 {
			p.SendText("work")
			if _, _, err := c.Read(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		p.SendText("work")
		if _, _, err := c.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.CloseNow()
		p.ExpectEOF() // and no ping was sent
	})
	bubble(t, "then silence counts from the wait", func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		time.Sleep(time.Minute)
		start := time.Now()
		done := async(func() error { _, _, err := c.Read(context.Background()); return err })
		p.ExpectPing()
		if at := time.Since(start); at != 20*time.Second {
			t.Errorf("the ping came after %v, want 20s", at)
		}
		p.SendText("alive")
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	bubble(t, "between two waits", func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		waitFor := func(d time.Duration) {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			if _, _, err := c.Read(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		}
		waitFor(15 * time.Second)
		time.Sleep(time.Minute)
		start := time.Now()
		done := async(func() error { _, _, err := c.Read(context.Background()); return err })
		p.ExpectPing()
		if at := time.Since(start); at != 5*time.Second {
			t.Errorf("the ping came after %v, want the 5s that were left", at)
		}
		p.SendText("alive")
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestKeepAliveOption(t *testing.T) {
	bubble(t, "another", func(t *testing.T) {
		c, p := wstest.Memory(t, &websocket.Options{KeepAlive: 3 * time.Second})
		start := time.Now()
		done := async(func() error { _, _, err := c.Read(context.Background()); return err })
		p.ExpectPing()
		if at := time.Since(start); at != 3*time.Second {
			t.Errorf("the ping came after %v, want 3s", at)
		}
		if err := <-done; !errors.Is(err, websocket.ErrKeepAlive) {
			t.Errorf("got %v", err)
		}
		if at := time.Since(start); at != 6*time.Second {
			t.Errorf("the end came after %v, want 6s", at)
		}
	})
	bubble(t, "negative is off", func(t *testing.T) {
		c, p := wstest.Memory(t, &websocket.Options{KeepAlive: -1})
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		p.Send(wstest.Frame(frame.Text, true, []byte("hello"))[:4]...)
		if _, _, err := c.Read(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		p.Send(wstest.Frame(frame.Text, true, []byte("hello"))[4:]...)
		if _, got, err := c.Read(t.Context()); err != nil || string(got) != "hello" {
			t.Errorf("got %q, error %v", got, err)
		}
		c.CloseNow()
		p.ExpectEOF()
	})
}

// TestSlowMessage: a message that drips in is bounded, though every byte of it
// is a sign of life.
func TestSlowMessage(t *testing.T) {
	drip := func(every time.Duration, n int, message []byte) func(*wstest.Peer) {
		return func(p *wstest.Peer) {
			for len(message) > 0 {
				n := min(n, len(message))
				if _, err := p.Write(message[:n]); err != nil {
					return
				}
				message = message[n:]
				time.Sleep(every)
			}
		}
	}
	tests := []struct {
		name     string
		say      func(p *wstest.Peer)
		from, to time.Duration // 0: the message gets through
	}{
		{"a byte a second", drip(time.Second, 1, wstest.Frame(frame.Binary, true, make([]byte, 1000))), 40 * time.Second, 41 * time.Second},
		{"a header", drip(15*time.Second, 1, wstest.Frame(frame.Binary, true, make([]byte, 70_000))[:14]), 40 * time.Second, 41 * time.Second},
		{"a ping", drip(time.Second, 1, wstest.Frame(frame.Ping, true, make([]byte, 125))), 40 * time.Second, 41 * time.Second},
		{"a byte a fragment", drip(time.Second, 7, bytes.Repeat(wstest.Frame(frame.Continuation, false, []byte("x")), 1000)), 40 * time.Second, 43 * time.Second},
		{"pings in the middle", func(p *wstest.Peer) {
			p.SendFrame(frame.Text, false, "stuck")
			for {
				time.Sleep(10 * time.Second)
				if _, err := p.Write(wstest.Frame(frame.Ping, true, nil)); err != nil {
					return
				}
			}
		}, 40 * time.Second, 42 * time.Second},
		{"300 bytes a second", drip(time.Second, 300, wstest.Frame(frame.Binary, true, make([]byte, 300_000))), 0, 0},
	}
	for _, test := range tests {
		bubble(t, test.name, func(t *testing.T) {
			c, p := wstest.Memory(t, nil)
			if test.name == "a byte a fragment" {
				p.SendFrame(frame.Binary, false, "")
			}
			start, took := time.Now(), time.Duration(0)
			done := async(func() error {
				_, _, err := c.Read(context.Background())
				took = time.Since(start)
				return err
			})
			go io.Copy(io.Discard, p.Conn)
			test.say(p)
			err := <-done
			if test.to == 0 {
				if err != nil {
					t.Errorf("got %v after %v", err, took)
				}
				return
			}
			if !errors.Is(err, websocket.ErrSlowMessage) || websocket.CloseStatus(err) != websocket.ClosePolicyViolation {
				t.Errorf("got %v", err)
			}
			// The peer that does not answer the close frame adds to it.
			if took < test.from || took > test.to+time.Second {
				t.Errorf("it took %v, want %v to %v", took, test.from, test.to)
			}
		})
	}
	bubble(t, "many messages in many pieces", func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		done := async(func() error {
			for {
				if _, _, err := c.Read(context.Background()); err != nil {
					return err
				}
			}
		})
		// At every wait a message is under way, but never the same for long.
		b := bytes.Repeat(wstest.Frame(frame.Binary, true, make([]byte, 10)), 100)
		for ; len(b) > 20; b = b[20:] {
			p.Send(b[:20]...)
			time.Sleep(5 * time.Second)
		}
		if err := c.Err(); err != nil {
			t.Error(err)
		}
		c.CloseNow()
		<-done
	})
}

func TestPing(t *testing.T) {
	bubble(t, "round-trip time", func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		c.CloseRead(t.Context())
		if rtt := c.Stats().RTT; rtt != 0 {
			t.Errorf("before any ping: got %v", rtt)
		}
		type result struct {
			rtt time.Duration
			err error
		}
		ping := func() result { rtt, err := c.Ping(t.Context()); return result{rtt, err} }
		first := async(ping)
		one := p.ExpectPing()
		time.Sleep(100 * time.Millisecond)
		second := async(ping)
		two := p.ExpectPing()
		if one == two {
			t.Errorf("two pings carry the same %q", one)
		}
		time.Sleep(200 * time.Millisecond)
		p.SendFrame(frame.Pong, true, "not asked for")
		p.SendFrame(frame.Pong, true, "\xff\xff\xff\xff\xff\xff\xff\xff")
		synctest.Wait()
		select {
		case <-first:
			t.Fatal("a pong that nobody asked for was taken")
		default:
		}
		// "If an endpoint receives a Ping frame and has not yet sent Pong
		// frame(s) in response to previous Ping frame(s), the endpoint MAY elect
		// to send a Pong frame for only the most recently processed Ping frame."
		p.SendFrame(frame.Pong, true, two)
		if r := <-first; r.err != nil || r.rtt != 300*time.Millisecond {
			t.Errorf("first: got %v, error %v", r.rtt, r.err)
		}
		if r := <-second; r.err != nil || r.rtt != 200*time.Millisecond {
			t.Errorf("second: got %v, error %v", r.rtt, r.err)
		}
		if rtt := c.Stats().RTT; rtt != 200*time.Millisecond {
			t.Errorf("Stats: got %v", rtt)
		}
		c.CloseNow()
	})
	bubble(t, "no answer", func(t *testing.T) {
		c, _ := wstest.MemorySize(t, nil, 1<<20)
		for range 100 { // more than are remembered
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := c.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) || websocket.CloseStatus(err) != -1 {
				t.Errorf("got %v", err)
			}
			cancel()
		}
		if err := c.Err(); err != nil {
			t.Errorf("the connection: %v", err)
		}
	})
	bubble(t, "the connection ends", func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		c.CloseRead(t.Context())
		done := async(func() error { _, err := c.Ping(t.Context()); return err })
		p.ExpectPing()
		p.Close()
		if err := <-done; err == nil || err != c.Err() {
			t.Errorf("got %v, want %v", err, c.Err())
		}
	})
}

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

// answer reads until a message comes, and answers n pings at least and all that come.
func answer(p *wstest.Peer, pings int) (string, error) {
	for {
		h, payload, err := p.ReadFrame()
		if err != nil {
			return "", err
		}
		if h.Opcode != frame.Ping {
			return string(payload), nil
		}
		p.SendFrame(frame.Pong, true, string(payload))
		if pings--; pings == 0 {
			p.SendText("alive")
		}
	}
}

// TestKeepAliveSockets: what the tests with a fake clock see of the rest holds for
// sockets, which have no such clock. A socket that waits in a Poller has no read
// deadline, and others keep watch.
func TestKeepAliveSockets(t *testing.T) {
	tests := []struct {
		name      string
		keepAlive time.Duration
		test      func(t *testing.T, s *serving)
	}{
		{"a silent peer", 50 * time.Millisecond, func(t *testing.T, s *serving) {
			w := newWitness(t)
			_, p := s.serve(t, w)
			p.ExpectPing()
			p.ExpectEOF()
			if err := next(t, w.end); !errors.Is(err, websocket.ErrKeepAlive) {
				t.Errorf("got %v", err)
			}
		}},
		{"a peer that answers", 500 * time.Millisecond, func(t *testing.T, s *serving) {
			_, p := s.serve(t, newWitness(t))
			if got, err := answer(p, 3); err != nil || got != "alive" {
				t.Errorf("got %q, error %v", got, err)
			}
		}},
		{"a message in drips", 300 * time.Millisecond, func(t *testing.T, s *serving) {
			w := newWitness(t)
			c, p := s.serve(t, w)
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for _, b := range wstest.Frame(frame.Text, true, make([]byte, 10_000)) {
				if _, err := p.Write([]byte{b}); err != nil || c.Err() != nil {
					break
				}
				<-tick.C
			}
			p.CloseWrite()
			p.ExpectClose(1008, websocket.ErrSlowMessage.Error())
			if err := next(t, w.end); !errors.Is(err, websocket.ErrSlowMessage) {
				t.Errorf("got %v", err)
			}
		}},
		{"a message in pieces", 500 * time.Millisecond, func(t *testing.T, s *serving) {
			_, p := s.serve(t, newWitness(t))
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			// Each piece buys more time than it takes.
			message := bytes.Repeat([]byte("x"), 700)
			for piece := range slices.Chunk(wstest.Frame(frame.Text, true, message), 50) {
				p.Send(piece...)
				<-tick.C
			}
			if got, err := answer(p, 0); err != nil || got != string(message) {
				t.Errorf("got %q, error %v", got, err)
			}
		}},
		{"a busy handler", 500 * time.Millisecond, func(t *testing.T, s *serving) {
			silent := newWitness(t)
			_, p := s.serve(t, doing(t, func(c *websocket.Conn, m websocket.Message) error {
				select {
				case <-silent.end: // after more than two times KeepAlive
				case <-c.Done():
				}
				return c.Write(context.Background(), m.Type, m.Data)
			}))
			p.SendText("work")
			s.serve(t, silent)
			if got, err := answer(p, 0); err != nil || got != "work" {
				t.Errorf("got %q, error %v", got, err)
			}
		}},
		{"somebody else reads", 500 * time.Millisecond, func(t *testing.T, s *serving) {
			w := newWitness(t)
			w.onMessage = func(c *websocket.Conn, m websocket.Message) error {
				if w.messages > 1 {
					return c.Write(context.Background(), m.Type, m.Data)
				}
				_, _, err := c.Read(context.Background()) // which leaves a deadline
				return err
			}
			_, p := s.serve(t, w)
			p.SendText("read")
			p.SendText("on")
			if got, err := answer(p, 2); err != nil || got != "alive" {
				t.Errorf("got %q, error %v", got, err)
			}
			p.ExpectPing() // and now nothing
			if err := next(t, w.end); !errors.Is(err, websocket.ErrKeepAlive) {
				t.Errorf("got %v", err)
			}
		}},
	}
	for _, with := range services[:2] {
		for _, test := range tests {
			t.Run(with.name+"/"+test.name, func(t *testing.T) {
				t.Parallel()
				test.test(t, with.start(t, &websocket.Options{KeepAlive: test.keepAlive}, 0))
			})
		}
	}
}
