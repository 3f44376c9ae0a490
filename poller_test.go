package websocket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

// A service is a way to have a Handler called.
type service struct {
	name      string
	newPoller func(*websocket.PollerOptions) (*websocket.Poller, error) // nil: Conn.Serve
	configure func(*httptest.Server)
}

// services are all of them. A Poller that cannot wait for a socket without a
// goroutine is to be like one that can.
var services = []service{
	{"Serve", nil, func(*httptest.Server) {}},
	{"sockets", websocket.NewPoller, func(*httptest.Server) {}},
	{"no sockets", websocket.NewGoroutinePoller, func(*httptest.Server) {}},
	{"tls", websocket.NewPoller, wstest.Secure},
	{"wrapped", websocket.NewPoller, func(s *httptest.Server) { s.Listener = wrappedListener{s.Listener} }},
}

// wrappedListener has a type of its own for its connections.
type wrappedListener struct{ net.Listener }

type wrappedConn struct{ *net.TCPConn }

func (l wrappedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return wrappedConn{c.(*net.TCPConn)}, nil
}

func onEachService(t *testing.T, test func(t *testing.T, with service)) {
	for _, with := range services {
		t.Run(with.name, func(t *testing.T) { test(t, with) })
	}
}

func onEachPoller(t *testing.T, test func(t *testing.T, with service)) {
	for _, with := range services[1:] {
		t.Run(with.name, func(t *testing.T) { test(t, with) })
	}
}

// noSweeps are options without a keepalive, whose sweeps would hide for a while that
// a Poller has forgotten somebody.
var noSweeps = &websocket.Options{KeepAlive: -1}

// A serving is a server whose connections are served.
type serving struct {
	*wstest.Server
	poller *websocket.Poller // nil: Conn.Serve
	log    *bytes.Buffer     // the ErrorLog; to be read after stop
	served sync.WaitGroup    // by Conn.Serve
}

// start starts a server, which is stopped when the test ends.
func (with service) start(t testing.TB, opts *websocket.Options, max int) *serving {
	t.Helper()
	s := &serving{log: new(bytes.Buffer)}
	s.Server = wstest.NewServer(t, opts, with.configure, func(h *httptest.Server) { h.Config.ErrorLog = log.New(s.log, "", 0) })
	if with.newPoller != nil {
		var err error
		if s.poller, err = with.newPoller(&websocket.PollerOptions{MaxHandlers: max}); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { s.stop(t) })
	return s
}

// stop waits until all connections are served no more, which Poller.Close sees to.
func (s *serving) stop(t testing.TB) {
	s.served.Wait()
	if s.poller != nil {
		if err := s.poller.Close(); err != nil {
			t.Errorf("Close of the Poller: %v", err)
		}
	}
}

// serve connects, and has h called. The peer sends early with its handshake.
func (s *serving) serve(t testing.TB, h websocket.Handler, early ...byte) (*websocket.Conn, *wstest.Peer) {
	t.Helper()
	c, p := s.Connect(early...)
	if s.poller == nil {
		s.served.Go(func() { c.Serve(h) })
	} else if err := s.poller.Serve(c, h); err != nil {
		t.Fatal(err)
	}
	return c, p
}

// A witness is a Handler for one connection that echoes, and sees to what every
// Handler is promised: no two calls at the same time, and OnClose as the last.
type witness struct {
	t         testing.TB
	onMessage func(c *websocket.Conn, m websocket.Message) error // in place of the echo
	onClose   func(c *websocket.Conn)
	inside    atomic.Bool
	messages  int // without a lock: the race detector sees whether calls overlap
	closed    bool
	end       chan error // what OnClose got
}

func newWitness(t testing.TB) *witness { return &witness{t: t, end: make(chan error, 1)} }

// doing returns a witness that does something else than to echo.
func doing(t testing.TB, onMessage func(c *websocket.Conn, m websocket.Message) error) *witness {
	w := newWitness(t)
	w.onMessage = onMessage
	return w
}

func (w *witness) enter(call string) {
	if !w.inside.CompareAndSwap(false, true) {
		w.t.Errorf("%s was called while another call was under way", call)
	}
	if w.closed {
		w.t.Errorf("%s was called after OnClose", call)
	}
}

func (w *witness) OnMessage(c *websocket.Conn, m websocket.Message) error {
	w.enter("OnMessage")
	defer w.inside.Store(false)
	w.messages++
	if w.onMessage != nil {
		return w.onMessage(c, m)
	}
	return c.Write(context.Background(), m.Type, m.Data)
}

func (w *witness) OnClose(c *websocket.Conn, err error) {
	w.enter("OnClose")
	defer w.inside.Store(false)
	w.closed = true
	select {
	case <-c.Done():
	default:
		w.t.Error("OnClose was called before the connection had ended")
	}
	if err == nil || err != c.Err() {
		w.t.Errorf("OnClose got %v, the connection ended with %v", err, c.Err())
	}
	w.end <- err
	if w.onClose != nil {
		w.onClose(c)
	}
}

// servedBy has a connection served by p, and returns what OnClose got.
func servedBy(p *websocket.Poller, c *websocket.Conn, w *witness) error {
	if err := p.Serve(c, w); err != nil {
		return err
	}
	return <-w.end
}

// next receives, but does not wait for ever.
func next[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(wstest.Patience):
		t.Fatal("this did not happen")
		panic("unreachable")
	}
}

// converse sends numbered messages, chopped, and compares their echo.
func converse(p *wstest.Peer, messages, chop int) error {
	var sent []byte
	for i := range messages {
		sent = append(sent, wstest.Frame(frame.Text, true, []byte("message "+strconv.Itoa(i)))...)
	}
	written := async(func() error {
		for len(sent) > 0 {
			n := min(chop, len(sent))
			if _, err := p.Write(sent[:n]); err != nil {
				return err
			}
			sent = sent[n:]
		}
		return nil
	})
	for i := range messages {
		_, got, err := p.ReadFrame()
		if want := "message " + strconv.Itoa(i); err != nil || string(got) != want {
			return fmt.Errorf("got %q, error %v, want %q", got, err, want)
		}
	}
	return <-written
}

// TestPollerOrder: every message once, in order, however it arrives.
func TestPollerOrder(t *testing.T) {
	onEachService(t, func(t *testing.T, with service) {
		s := with.start(t, noSweeps, 0)
		var wg sync.WaitGroup
		defer wg.Wait()
		for i := range 48 {
			_, p := s.serve(t, newWitness(t))
			wg.Go(func() {
				if err := converse(p, 60, []int{1 << 30, 1, 7, 300}[i%4]); err != nil {
					t.Errorf("peer %d: %v", i, err)
				}
			})
		}
	})
}

// TestPollerParallel: handlers of different connections run at the same time.
func TestPollerParallel(t *testing.T) {
	const n = 20
	tests := []struct {
		name string
		max  int
	}{
		{"by default", 0},
		{"no limit", -1},
		{"just as many as there may be", n},
	}
	onEachService(t, func(t *testing.T, with service) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				s := with.start(t, nil, test.max)
				var inside atomic.Int32
				all := make(chan struct{})
				var peers []*wstest.Peer
				for range n {
					_, p := s.serve(t, doing(t, func(c *websocket.Conn, m websocket.Message) error {
						if inside.Add(1) == n {
							close(all)
						}
						select {
						case <-all:
						case <-c.Done(): // the test has failed
						}
						return c.Write(context.Background(), m.Type, m.Data)
					}))
					p.SendText("is everybody here?")
					peers = append(peers, p)
				}
				for _, p := range peers {
					p.ExpectText("is everybody here?")
				}
			})
		}
	})
}

// TestPollerMaxHandlers: as many handlers run as may, no more and no fewer, and all
// have their turn.
func TestPollerMaxHandlers(t *testing.T) {
	onEachPoller(t, func(t *testing.T, with service) {
		for _, limit := range []int{1, 3} {
			t.Run(strconv.Itoa(limit), func(t *testing.T) { checkLimit(t, limit, with.start(t, noSweeps, limit)) })
		}
	})
	t.Run("some with sockets and some without", func(t *testing.T) {
		all := []*serving{services[1].start(t, noSweeps, 2)}
		for _, with := range services[2:] {
			with.newPoller = nil
			s := with.start(t, noSweeps, 0)
			s.poller = all[0].poller
			all = append(all, s)
		}
		checkLimit(t, 2, all...)
	})
}

// checkLimit has many handlers called by a Poller, and lets one after the other go.
func checkLimit(t *testing.T, limit int, all ...*serving) {
	t.Helper()
	const n = 20
	var inside, most atomic.Int32
	entered, leave := make(chan bool, n), make(chan bool)
	for i := range n {
		_, p := all[i%len(all)].serve(t, doing(t, func(c *websocket.Conn, m websocket.Message) error {
			now := inside.Add(1)
			for before := most.Load(); before < now && !most.CompareAndSwap(before, now); before = most.Load() {
			}
			entered <- true
			select {
			case <-leave:
			case <-c.Done(): // the test has failed
			}
			inside.Add(-1)
			return nil
		}))
		p.SendText("let me in")
	}
	for i := range n + limit {
		if i >= limit {
			leave <- true
		}
		if i < n {
			next(t, entered)
		}
	}
	if got := int(most.Load()); got != limit {
		t.Errorf("%d handlers ran at the same time, want %d", got, limit)
	}
}

// TestPollerEndingPeers: saying goodbye to a peer that does not listen takes a
// while, and is no call of a Handler.
func TestPollerEndingPeers(t *testing.T) {
	tests := []struct {
		name string
		said []byte
	}{
		{"a violation", []byte{0x83, 0x80, 0, 0, 0, 0}},
		{"a close frame", wstest.CloseFrame(1000, "")},
		{"a message that ends it", wstest.Frame(frame.Text, true, nil)},
	}
	onEachPoller(t, func(t *testing.T, with service) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				s := with.start(t, nil, 1)
				var writes sync.WaitGroup
				var leaving []*websocket.Conn
				var peers []*wstest.Peer
				for range 3 {
					c, p := s.serve(t, doing(t, func(*websocket.Conn, websocket.Message) error { return io.EOF }))
					writes.Go(func() { _ = c.Write(context.Background(), websocket.Binary, make([]byte, 64<<20)) })
					if _, err := p.Read(make([]byte, 1)); err != nil { // the write is under way, and will stay so
						t.Fatal(err)
					}
					p.Send(test.said...)
					leaving, peers = append(leaving, c), append(peers, p)
				}
				_, p := s.serve(t, newWitness(t))
				for range 10 {
					p.SendText("hello")
					p.ExpectText("hello")
				}
				for _, c := range leaving {
					select {
					case <-c.Done():
						t.Error("a connection has ended before the others were served")
					default:
					}
				}
				for _, p := range peers {
					p.CloseAtOnce()
				}
				writes.Wait()
			})
		}
	})
}

// TestPollerBlockedHandler: one that does not return holds up its own connection.
func TestPollerBlockedHandler(t *testing.T) {
	onEachService(t, func(t *testing.T, with service) {
		s := with.start(t, nil, 2)
		entered, leave := make(chan bool), make(chan bool)
		_, slow := s.serve(t, doing(t, func(c *websocket.Conn, m websocket.Message) error {
			entered <- true
			<-leave
			return c.Write(context.Background(), m.Type, m.Data)
		}))
		slow.SendText("one")
		next(t, entered)
		slow.SendText("two")
		for range 3 {
			_, p := s.serve(t, newWitness(t))
			if err := converse(p, 20, 7); err != nil {
				t.Error(err)
			}
		}
		leave <- true
		slow.ExpectText("one")
		next(t, entered)
		leave <- true
		slow.ExpectText("two")
	})
}

// TestPollerFairness: a peer that always has something to say does not have the
// only handler to itself.
func TestPollerFairness(t *testing.T) {
	tests := []struct {
		name  string
		begin []byte
		flood []byte
	}{
		{"small messages", nil, bytes.Repeat(wstest.Frame(frame.Text, true, []byte("x")), 10_000)},
		{"large messages", nil, bytes.Repeat(wstest.Frame(frame.Binary, true, make([]byte, 100_000)), 4)},
		{"pings", nil, bytes.Repeat(wstest.Frame(frame.Ping, true, []byte("x")), 10_000)},
		{"fragments without end", wstest.Frame(frame.Text, false, nil), bytes.Repeat(wstest.Frame(frame.Continuation, false, nil), 10_000)},
	}
	onEachService(t, func(t *testing.T, with service) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				s := with.start(t, nil, 1)
				_, loud := s.serve(t, doing(t, func(*websocket.Conn, websocket.Message) error { return nil }))
				var flood sync.WaitGroup
				flood.Go(func() { _, _ = io.Copy(io.Discard, loud.Conn) })
				begun := make(chan bool, 1)
				flood.Go(func() {
					for b := test.begin; ; b = test.flood {
						if _, err := loud.Write(b); err != nil {
							return
						}
						select {
						case begun <- true:
						default:
						}
					}
				})
				next(t, begun)
				next(t, begun)
				_, p := s.serve(t, newWitness(t))
				for range 30 {
					p.SendText("me too")
					p.ExpectText("me too")
				}
				loud.CloseAtOnce()
				flood.Wait()
			})
		}
	})
}

// TestPollerLarge: a message may come in more pieces than are read at a time.
func TestPollerLarge(t *testing.T) {
	large := said{websocket.Binary, noise(4<<20, 7)}
	b := wstest.Frame(large.op(), true, large.data)
	onEachService(t, func(t *testing.T, with service) {
		s := with.start(t, &websocket.Options{MaxMessageSize: int64(len(large.data))}, 1)
		_, p := s.serve(t, newWitness(t))
		for _, chop := range []int{len(b), 10_000} {
			written := async(func() error {
				for rest := b; len(rest) > 0; {
					n := min(chop, len(rest))
					if _, err := p.Write(rest[:n]); err != nil {
						return err
					}
					rest = rest[n:]
				}
				return nil
			})
			p.Expect(large.op(), true, string(large.data))
			if err := <-written; err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestPollerEarly: what comes with the handshake is served without another word.
func TestPollerEarly(t *testing.T) {
	hello := wstest.Frame(frame.Text, true, []byte("hello"))
	tests := []struct {
		name        string
		early, late []byte
		hear        func(p *wstest.Peer)
	}{
		{"a message", hello, nil, func(p *wstest.Peer) { p.ExpectText("hello") }},
		{"three", bytes.Repeat(hello, 3), nil, func(p *wstest.Peer) { p.ExpectText("hello"); p.ExpectText("hello"); p.ExpectText("hello") }},
		{"one and a half", append(hello, hello[:4]...), hello[4:], func(p *wstest.Peer) { p.ExpectText("hello"); p.ExpectText("hello") }},
		{"a ping", wstest.Frame(frame.Ping, true, []byte("x")), nil, func(p *wstest.Peer) { p.Expect(frame.Pong, true, "x") }},
		{"a close frame", wstest.CloseFrame(1000, ""), nil, func(p *wstest.Peer) { p.ExpectClose(1000, "") }},
	}
	onEachService(t, func(t *testing.T, with service) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				s := with.start(t, nil, 0)
				_, p := s.serve(t, newWitness(t), bytes.Clone(test.early)...)
				p.Send(test.late...)
				test.hear(p)
			})
		}
	})
}

// TestPollerHalfClosed: who has nothing more to say still gets the replies.
func TestPollerHalfClosed(t *testing.T) {
	onEachService(t, func(t *testing.T, with service) {
		s := with.start(t, nil, 0)
		w := newWitness(t)
		_, p := s.serve(t, w)
		p.Send(bytes.Repeat(wstest.Frame(frame.Text, true, []byte("hello")), 100)...)
		p.CloseWrite()
		for range 100 {
			p.ExpectText("hello")
		}
		if err := next(t, w.end); websocket.CloseStatus(err) != websocket.CloseAbnormal || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v", err)
		}
	})
}

// TestPollerStalledPeer: a reply to a peer that does not read holds up nobody else.
func TestPollerStalledPeer(t *testing.T) {
	onEachService(t, func(t *testing.T, with service) {
		s := with.start(t, nil, 2)
		w := doing(t, func(c *websocket.Conn, m websocket.Message) error {
			return c.Write(context.Background(), websocket.Binary, make([]byte, 64<<20))
		})
		_, stalled := s.serve(t, w)
		stalled.SendText("give me everything")
		if _, err := stalled.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		_, p := s.serve(t, newWitness(t))
		if err := converse(p, 50, 7); err != nil {
			t.Error(err)
		}
		select {
		case err := <-w.end:
			t.Errorf("the stalled connection has ended already: %v", err)
		default:
		}
		stalled.CloseAtOnce()
		next(t, w.end)
	})
}

// TestPollerOpenReader: a stream that is left open ends the connection.
func TestPollerOpenReader(t *testing.T) {
	onEachService(t, func(t *testing.T, with service) {
		s := with.start(t, nil, 1)
		w := doing(t, func(c *websocket.Conn, m websocket.Message) error {
			_, _, err := c.Reader(context.Background())
			return err
		})
		_, p := s.serve(t, w)
		p.SendText("one")
		p.SendFrame(frame.Text, false, "two")
		p.ExpectClose(1011, "")
		p.SendClose(1011, "")
		p.CloseWrite()
		if err := next(t, w.end); !errors.Is(err, websocket.ErrReaderOpen) {
			t.Errorf("got %v", err)
		}
	})
}

// TestPollerReadInside: a call may read on by itself.
func TestPollerReadInside(t *testing.T) {
	onEachService(t, func(t *testing.T, with service) {
		s := with.start(t, nil, 1)
		_, p := s.serve(t, doing(t, func(c *websocket.Conn, m websocket.Message) error {
			_, second, err := c.Read(context.Background())
			if err != nil {
				return err
			}
			return c.Write(context.Background(), m.Type, append(bytes.Clone(m.Data), second...))
		}))
		for _, chop := range []int{1 << 30, 3} {
			b := bytes.Repeat(slices.Concat(wstest.Frame(frame.Text, true, []byte("one")), wstest.Frame(frame.Text, true, []byte("two"))), 20)
			for rest := b; len(rest) > 0; {
				n := min(chop, len(rest))
				p.Send(rest[:n]...)
				rest = rest[n:]
			}
			for range 20 {
				p.ExpectText("onetwo")
			}
		}
	})
}

// TestPollerReadElsewhere: another goroutine may read for a while. What it leaves,
// whole messages or the rest of one, goes to the Handler.
func TestPollerReadElsewhere(t *testing.T) {
	onEachService(t, func(t *testing.T, with service) {
		s := with.start(t, nil, 0)
		got := make(chan string, 3)
		keep := func(_ *websocket.Conn, m websocket.Message) error {
			got <- string(m.Data)
			return nil
		}
		for i := range 50 {
			c, p := s.Connect()
			ctx, cancel := context.WithCancel(t.Context())
			read := async(func() error {
				_, b, err := c.Read(ctx)
				if err == nil {
					got <- string(b)
				}
				return err
			})
			w := doing(t, keep)
			if s.poller == nil {
				s.served.Go(func() { c.Serve(w) })
			} else if err := s.poller.Serve(c, w); err != nil {
				t.Fatal(err)
			}
			p.SendText("a")
			if i%2 == 0 {
				p.Send(slices.Concat(wstest.Frame(frame.Text, true, []byte("b")), wstest.Frame(frame.Text, true, []byte("c")))...)
				cancel()
			} else {
				b := wstest.Frame(frame.Text, true, []byte("b"))
				p.Send(b[:3]...)
				cancel()
				p.Send(append(b[3:], wstest.Frame(frame.Text, true, []byte("c"))...)...)
			}
			if err := next(t, read); err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("Read: %v", err)
			}
			// Two goroutines may change places on the way to the channel.
			all := []string{next(t, got), next(t, got), next(t, got)}
			if slices.Sort(all); !slices.Equal(all, []string{"a", "b", "c"}) {
				t.Errorf("got %q", all)
			}
			p.CloseAtOnce()
			next(t, w.end)
		}
	})
}

// TestPollerPacked: compressed messages, which build on those before them.
func TestPollerPacked(t *testing.T) {
	onEachService(t, func(t *testing.T, with service) {
		s := with.start(t, &websocket.Options{Compression: &websocket.Compression{}}, 1)
		c, p := s.serve(t, newWitness(t))
		d := peerOf(t, c)
		all := append(conversation(5_000), said{websocket.Text, sample(100_000, 3)})
		frames := pack(d, all)
		for _, chop := range []int{len(frames), 1000} {
			written := async(func() error {
				for rest := frames; len(rest) > 0; {
					n := min(chop, len(rest))
					if _, err := p.Write(rest[:n]); err != nil {
						return err
					}
					rest = rest[n:]
				}
				return nil
			})
			for i, want := range all {
				h, b, err := p.ReadFrame()
				if err == nil && h.RSV1 {
					b, err = d.Unpack(b)
				}
				if err != nil || h.Opcode != want.op() || !bytes.Equal(b, want.data) {
					t.Fatalf("message %d: got %v of %d bytes, error %v, want %d bytes", i, h, len(b), err, len(want.data))
				}
			}
			if err := <-written; err != nil {
				t.Fatal(err)
			}
			frames = pack(d, all)
		}
	})
}

// TestPollerIdle: connections that say nothing are written to, pinged and counted
// like any other.
func TestPollerIdle(t *testing.T) {
	onEachService(t, func(t *testing.T, with service) {
		group, limiter := new(websocket.Group), &websocket.Limiter{Max: 5}
		s := with.start(t, &websocket.Options{Group: group, Limiter: limiter}, 1)
		var peers []*wstest.Peer
		var witnesses []*witness
		for range 5 {
			w := newWitness(t)
			c, p := s.serve(t, w)
			pinged := async(func() error { _, err := c.Ping(t.Context()); return err })
			p.SendFrame(frame.Pong, true, p.ExpectPing())
			if err := next(t, pinged); err != nil || c.Stats().RTT == 0 {
				t.Errorf("Ping: %v", err)
			}
			if err := c.TrySend(websocket.Text, []byte("for you")); err != nil {
				t.Error(err)
			}
			p.ExpectText("for you")
			peers, witnesses = append(peers, p), append(witnesses, w)
		}
		if skipped := group.Broadcast(prepare(t, websocket.Text, []byte("for all"))); skipped != 0 {
			t.Errorf("Broadcast skipped %d", skipped)
		}
		checkLen(t, group, 5)
		checkTaken(t, limiter, 5)
		for i, p := range peers {
			p.ExpectText("for all")
			p.SendClose(1000, "")
			p.CloseWrite()
			p.ExpectClose(1000, "")
			next(t, witnesses[i].end)
		}
		checkLen(t, group, 0)
		checkTaken(t, limiter, 0)
	})
}
