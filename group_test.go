package websocket_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

// goingAway is the reason that Shutdown gives.
const goingAway = "the server is shutting down"

// stopped returns a group that has been shut down.
func stopped() *websocket.Group {
	g := new(websocket.Group)
	g.Shutdown(context.Background())
	return g
}

// members adds n connections, over memory, to a group of their own.
func members(t testing.TB, n int) (*websocket.Group, []*websocket.Conn, []*wstest.Peer) {
	t.Helper()
	g := new(websocket.Group)
	var conns []*websocket.Conn
	var peers []*wstest.Peer
	for range n {
		c, p := wstest.Memory(t, &websocket.Options{Group: g})
		conns, peers = append(conns, c), append(peers, p)
	}
	return g, conns, peers
}

func checkLen(t *testing.T, g *websocket.Group, want int) {
	t.Helper()
	if got := g.Len(); got != want {
		t.Errorf("the group has %d members, want %d", got, want)
	}
}

// leave answers the close frame of Shutdown.
func leave(p *wstest.Peer) {
	p.ExpectClose(1001, goingAway)
	p.SendClose(1001, "")
	p.ExpectEOF()
	p.Close()
}

// TestGroup is the life of a connection of Options.Group, over every transport.
func TestGroup(t *testing.T) {
	wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
		var g websocket.Group
		c, p := connect(t, &websocket.Options{Group: &g})
		if got := slices.Collect(g.All()); !slices.Equal(got, []*websocket.Conn{c}) || g.Len() != 1 {
			t.Errorf("All = %p and Len = %d, want %p alone", got, g.Len(), c)
		}
		if skipped := g.Broadcast(prepare(t, websocket.Text, []byte("hello, all"))); skipped != 0 {
			t.Errorf("Broadcast skipped %d", skipped)
		}
		p.ExpectText("hello, all")
		closed := async(func() int {
			cut, err := g.Shutdown(t.Context())
			if err != nil {
				t.Error(err)
			}
			return cut
		})
		leave(p)
		if cut := <-closed; cut != 0 {
			t.Errorf("Shutdown had to cut %d", cut)
		}
		checkEnd(t, c, 1001, goingAway, true)
		checkLen(t, &g, 0)
	})
}

// readToEnd is the handler that most have.
func readToEnd(c *websocket.Conn) {
	for c.Err() == nil {
		c.Read(context.Background())
	}
}

// ends are the ways in which a connection can end.
var ends = []struct {
	name string
	opts websocket.Options
	end  func(t *testing.T, c *websocket.Conn, p *wstest.Peer)
}{
	{name: "Close", end: func(t *testing.T, c *websocket.Conn, p *wstest.Peer) {
		p.SendClose(1000, "")
		c.Close(t.Context(), 1000, "")
	}},
	{name: "Close, and the peer does not answer", end: func(t *testing.T, c *websocket.Conn, p *wstest.Peer) {
		c.Close(t.Context(), 1000, "")
	}},
	{name: "Close without time", end: func(t *testing.T, c *websocket.Conn, p *wstest.Peer) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		c.Close(ctx, 1000, "")
	}},
	{name: "CloseNow", end: func(t *testing.T, c *websocket.Conn, p *wstest.Peer) { c.CloseNow() }},
	{name: "everything at once", end: func(t *testing.T, c *websocket.Conn, p *wstest.Peer) {
		var wg sync.WaitGroup
		defer wg.Wait()
		p.SendClose(1000, "")
		wg.Go(func() { readToEnd(c) })
		wg.Go(func() { c.Close(t.Context(), 1000, "") })
		wg.Go(func() { c.CloseNow() })
	}},
	{name: "the peer closes", end: func(t *testing.T, c *websocket.Conn, p *wstest.Peer) {
		p.SendClose(1000, "")
		readToEnd(c)
	}},
	{name: "the peer vanishes", end: func(t *testing.T, c *websocket.Conn, p *wstest.Peer) {
		p.Close()
		readToEnd(c)
	}},
	{name: "the peer breaks a rule", end: func(t *testing.T, c *websocket.Conn, p *wstest.Peer) {
		p.Send(0x81, 0x00)
		readToEnd(c)
	}},
	{name: "the peer sends too much", opts: websocket.Options{MaxMessageSize: 1}, end: func(t *testing.T, c *websocket.Conn, p *wstest.Peer) {
		p.SendText("too much")
		readToEnd(c)
	}},
	{name: "the peer is silent", end: func(t *testing.T, c *websocket.Conn, p *wstest.Peer) { readToEnd(c) }},
	{name: "the peer does not read", end: func(t *testing.T, c *websocket.Conn, p *wstest.Peer) {
		c.Write(t.Context(), websocket.Binary, make([]byte, 1<<20))
	}},
	{name: "the peer does not read its queue", end: func(t *testing.T, c *websocket.Conn, p *wstest.Peer) {
		c.TrySend(websocket.Binary, make([]byte, 1<<20))
	}},
	{name: "a write is cut off", end: func(t *testing.T, c *websocket.Conn, p *wstest.Peer) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c.Write(ctx, websocket.Binary, make([]byte, 1<<20))
	}},
	{name: "the handler fails", end: func(t *testing.T, c *websocket.Conn, p *wstest.Peer) {
		p.SendText("x")
		c.Serve(&recorder{onMessage: func(*websocket.Conn, websocket.Message) error { return errors.New("failed") }})
	}},
	{name: "the handler panics", end: func(t *testing.T, c *websocket.Conn, p *wstest.Peer) {
		standardLog(t)
		p.SendText("x")
		c.Serve(&recorder{onMessage: func(*websocket.Conn, websocket.Message) error { panic("no") }})
	}},
}

// TestLeave: however a connection ends, by the time that Done is closed it has left
// all its groups, and has given back its place, once. One that goes on has kept both.
func TestLeave(t *testing.T) {
	for _, tt := range ends {
		bubble(t, tt.name, func(t *testing.T) {
			var own, room, other websocket.Group
			limiter := &websocket.Limiter{Max: 2, MaxPerAddress: 2}
			opts := tt.opts
			opts.Group, opts.Limiter = &own, limiter
			stays, _ := wstest.Memory(t, &opts)
			c, p := wstest.Memory(t, &opts)
			for _, c := range []*websocket.Conn{c, stays} {
				if err := errors.Join(room.Add(c), other.Add(c)); err != nil {
					t.Fatal(err)
				}
			}
			go tt.end(t, c, p)
			<-c.Done()
			for _, g := range []*websocket.Group{&own, &room, &other} {
				if got := slices.Collect(g.All()); !slices.Equal(got, []*websocket.Conn{stays}) {
					t.Errorf("the group has the members %p, want %p alone", got, stays)
				}
				if err := g.Add(c); err == nil || err != c.Err() {
					t.Errorf("Add after the end: got %v, want %v", err, c.Err())
				}
				checkLen(t, g, 1)
			}
			synctest.Wait()
			c.CloseNow()
			c.Close(t.Context(), 1000, "")
			if got := limiter.Len(); got != 1 {
				t.Errorf("%d places are taken, want 1", got)
			}
			stays.CloseNow()
			if got := limiter.Len(); got != 0 {
				t.Errorf("%d places are taken at the end, want none", got)
			}
		})
	}
}

func TestGroupAddRemove(t *testing.T) {
	var a, b websocket.Group
	c, p := wstest.Memory(t, &websocket.Options{Group: &a})
	for range 2 {
		for _, g := range []*websocket.Group{&a, &b} {
			if err := g.Add(c); err != nil {
				t.Errorf("Add: %v", err)
			}
			checkLen(t, g, 1)
		}
	}
	for range 2 {
		a.Remove(c)
		checkLen(t, &a, 0)
		checkLen(t, &b, 1)
	}
	if cut, err := a.Shutdown(t.Context()); cut != 0 || err != nil {
		t.Errorf("Shutdown = %d, %v", cut, err)
	}
	// It goes on, and what it has left is over for it.
	p.SendText("still here")
	expectMessage(t, c, "still here")
	if err := a.Add(c); err != websocket.ErrShutdown {
		t.Errorf("Add after Shutdown: got %v", err)
	}
	c.CloseNow()
	checkLen(t, &b, 0)
	b.Remove(c)
	checkLen(t, &b, 0)
}

// TestGroupAll: the loop is over those that were members when it began, whatever
// its body does.
func TestGroupAll(t *testing.T) {
	for _, tt := range []struct {
		name string
		body func(g *websocket.Group, c, other *websocket.Conn)
		left int
	}{
		{"nothing", func(*websocket.Group, *websocket.Conn, *websocket.Conn) {}, 3},
		{"removes", func(g *websocket.Group, c, _ *websocket.Conn) { g.Remove(c) }, 0},
		{"closes", func(_ *websocket.Group, c, _ *websocket.Conn) { c.CloseNow() }, 0},
		{"removes all", func(g *websocket.Group, _, _ *websocket.Conn) {
			for c := range g.All() {
				g.Remove(c)
			}
		}, 0},
		{"adds", func(g *websocket.Group, _, other *websocket.Conn) { g.Add(other) }, 4},
		{"swaps", func(g *websocket.Group, c, other *websocket.Conn) { g.Remove(c); g.Add(other) }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, conns, _ := members(t, 3)
			other, _ := wstest.Memory(t, nil)
			seen := make(map[*websocket.Conn]int)
			for c := range g.All() {
				seen[c]++
				tt.body(g, c, other)
			}
			for _, c := range conns {
				if seen[c] != 1 || len(seen) != 3 {
					t.Errorf("saw %v, want each of %p once", seen, conns)
				}
			}
			checkLen(t, g, tt.left)
		})
	}
	t.Run("leaves", func(t *testing.T) {
		g, _, _ := members(t, 3)
		n := 0
		for range g.All() {
			if n++; n == 2 {
				break
			}
		}
		if n != 2 {
			t.Errorf("the loop took %d turns", n)
		}
	})
	var none websocket.Group
	for c := range none.All() {
		t.Errorf("an empty group has %p", c)
	}
}

// TestBroadcast: everybody gets the message, compressed where that was agreed on.
func TestBroadcast(t *testing.T) {
	var g websocket.Group
	text := letters(4000, 1)
	_, plain := wstest.Memory(t, &websocket.Options{Group: &g})
	_, packed := wstest.Memory(t, &websocket.Options{Group: &g, Compression: &websocket.Compression{}})
	gone, _ := wstest.Memory(t, &websocket.Options{Group: &g})
	gone.CloseNow()
	for range 3 {
		if skipped := g.Broadcast(prepare(t, websocket.Text, text)); skipped != 0 {
			t.Errorf("skipped %d", skipped)
		}
		plain.ExpectText(string(text))
		h, payload, err := packed.ReadFrame()
		if err != nil || !h.RSV1 || len(payload) >= len(text) {
			t.Errorf("got %v with %d bytes, %v, want a compressed message", h, len(payload), err)
		}
	}
}

// TestBroadcastStalled: who does not read is skipped and counted once the queue is
// full, and nobody waits for it; when it reads again it gets what was queued.
func TestBroadcastStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, queued, sent = 1000, 4, 9
		var g websocket.Group
		opts := &websocket.Options{Group: &g, SendQueue: queued*size + size/2, WriteTimeout: -1, KeepAlive: -1}
		_, slow := wstest.MemorySize(t, opts, 500)
		_, quick := wstest.Memory(t, opts)
		other, _ := wstest.Memory(t, opts)
		start := time.Now()
		for i := range sent {
			want := 0
			if i >= queued {
				want = 1
			}
			if got := g.Broadcast(prepare(t, websocket.Binary, letters(size, uint64(i)))); got != want {
				t.Errorf("message %d: skipped %d, want %d", i, got, want)
			}
			quick.Expect(frame.Binary, true, string(letters(size, uint64(i))))
			synctest.Wait()
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("others waited for %v", took)
		}
		for i := range queued {
			slow.Expect(frame.Binary, true, string(letters(size, uint64(i))))
		}
		synctest.Wait()
		// One that is closing is not too slow.
		closed := async(func() error { return other.Close(t.Context(), 1000, "") })
		synctest.Wait()
		if got := g.Broadcast(prepare(t, websocket.Text, []byte("again"))); got != 0 {
			t.Errorf("skipped %d, want none", got)
		}
		slow.ExpectText("again")
		quick.ExpectText("again")
		<-closed
	})
}

// TestGroupAtOnce: broadcasts, loops, connections that come and go, and in the end a
// Shutdown, all at the same time.
func TestGroupAtOnce(t *testing.T) {
	for range 5 {
		var g, room websocket.Group
		opts := &websocket.Options{Group: &g}
		var wg sync.WaitGroup
		var over atomic.Bool
		message := prepare(t, websocket.Text, []byte("news"))
		for i := range 8 {
			wg.Go(func() {
				for !over.Load() {
					w := newFakeWriter()
					c, err := websocket.Upgrade(w, wstest.Request(), opts)
					if err != nil {
						return // shut down
					}
					room.Add(c)
					if i%2 == 0 {
						room.Remove(c)
					}
					if i%3 == 0 {
						c.CloseNow()
					} else {
						w.client.Close()
						readToEnd(c)
					}
				}
			})
		}
		for _, act := range []func(){
			func() { g.Broadcast(message); room.Broadcast(message) },
			func() {
				for c := range g.All() {
					room.Add(c)
					c.TrySendPrepared(message)
				}
			},
			func() { g.Len(); room.Len() },
		} {
			wg.Go(func() {
				for !over.Load() {
					act()
				}
			})
		}
		pause(10 * time.Millisecond)
		for range 3 {
			wg.Go(func() {
				if _, err := g.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
				over.Store(true)
			})
		}
		wg.Wait()
		checkLen(t, &g, 0)
		checkLen(t, &room, 0)
	}
}

// leaveAfter is leave after a while, if c has not been cut off by then.
func leaveAfter(p *wstest.Peer, c *websocket.Conn, while time.Duration) {
	p.ExpectClose(1001, goingAway)
	select {
	case <-c.Done():
	case <-time.After(while):
		p.Write(wstest.CloseFrame(1001, ""))
	}
	p.ExpectEOF()
	p.Close()
}

// checkShutdown shuts g down within a time: 0 is none, a negative one has ended.
func checkShutdown(t *testing.T, g *websocket.Group, within time.Duration, cut int, err error, took time.Duration) {
	t.Helper()
	ctx := t.Context()
	if within != 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, within)
		defer cancel()
	}
	start := time.Now()
	n, got := g.Shutdown(ctx)
	if d := time.Since(start); n != cut || got != err || d != took {
		t.Errorf("Shutdown = %d, %v after %v, want %d, %v after %v", n, got, d, cut, err, took)
	}
}

// TestShutdown: everybody is told, and has as long as ctx and five seconds allow.
func TestShutdown(t *testing.T) {
	const never = time.Hour
	for _, tt := range []struct {
		name    string
		answers []time.Duration // of each peer, how long it takes to answer
		ctx     time.Duration   // 0: none; negative: it has ended
		cut     int
		took    time.Duration
		err     error
	}{
		{"nobody", nil, 0, 0, 0, nil},
		{"nobody, without time", nil, -1, 0, 0, context.DeadlineExceeded},
		{"all answer at once", []time.Duration{0, 0, 0}, 0, 0, 0, nil},
		{"as long as the last takes", []time.Duration{0, 4 * time.Second, time.Second}, 0, 0, 4 * time.Second, nil},
		{"one never answers", []time.Duration{0, 4 * time.Second, never}, 0, 1, 5 * time.Second, nil},
		{"nobody answers", []time.Duration{never, never, never}, 0, 3, 5 * time.Second, nil},
		{"ctx ends first", []time.Duration{0, 2 * time.Second, 4 * time.Second, never}, 3 * time.Second, 2, 3 * time.Second, context.DeadlineExceeded},
		{"ctx ends later", []time.Duration{0, never}, time.Minute, 1, 5 * time.Second, nil},
		{"without time", []time.Duration{time.Second, never}, -1, 2, 0, context.DeadlineExceeded},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			g, conns, peers := members(t, len(tt.answers))
			var wg sync.WaitGroup
			for i, p := range peers {
				wg.Go(func() { leaveAfter(p, conns[i], tt.answers[i]) })
			}
			checkShutdown(t, g, tt.ctx, tt.cut, tt.err, tt.took)
			for _, c := range conns {
				select {
				case <-c.Done():
				default:
					t.Fatal("Shutdown has returned, and not all are gone")
				}
				checkEnd(t, c, 1001, goingAway, true)
			}
			checkLen(t, g, 0)
			wg.Wait()
			checkShutdown(t, g, 0, 0, nil, 0) // there is nothing to be done any more
		})
	}
}

// TestShutdownQueue: what waits in the queue of a member goes before the close frame.
// Who does not take it is cut off, and so is who goes without a word.
func TestShutdownQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, conns, peers := members(t, 2)
		stalled, _ := wstest.MemorySize(t, &websocket.Options{Group: g, WriteTimeout: -1}, 500)
		for _, c := range append(conns, stalled) {
			for range 3 {
				if err := c.TrySend(websocket.Binary, make([]byte, 1000)); err != nil {
					t.Error(err)
				}
			}
		}
		for i, p := range peers {
			go func() {
				for range 3 {
					p.Expect(frame.Binary, true, string(make([]byte, 1000)))
				}
				p.ExpectClose(1001, goingAway)
				if i == 0 {
					p.SendClose(1001, "")
				}
				p.Close()
			}()
		}
		if cut, err := g.Shutdown(t.Context()); cut != 2 || err != nil {
			t.Errorf("Shutdown = %d, %v, want 2 who did not answer", cut, err)
		}
		checkEnd(t, stalled, 1001, goingAway, true)
		checkLen(t, g, 0)
	})
}

// TestShutdownTogether: several calls wait for the same end, of several groups, too.
// A member of both hears of it once.
func TestShutdownTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, conns, peers := members(t, 3)
		var b websocket.Group
		for _, c := range conns {
			b.Add(c)
		}
		for i, p := range peers {
			go leaveAfter(p, conns[i], 2*time.Second)
		}
		start := time.Now()
		var wg sync.WaitGroup
		for _, g := range []*websocket.Group{a, &b, a} {
			wg.Go(func() {
				cut, err := g.Shutdown(t.Context())
				if took := time.Since(start); cut != 0 || err != nil || took < 2*time.Second {
					t.Errorf("Shutdown = %d, %v after %v, want nobody cut off, after 2s", cut, err, took)
				}
				checkLen(t, a, 0)
				checkLen(t, &b, 0)
			})
		}
		wg.Wait()
	})
}

// checkTurnedAway checks the refusal of a handshake that has nothing wrong with it.
func checkTurnedAway(t *testing.T, err error, status int, cause error) {
	t.Helper()
	refusal, ok := errors.AsType[*websocket.HandshakeError](err)
	if !ok || refusal.Status != status || !errors.Is(err, cause) {
		t.Errorf("Upgrade = %v, want a refusal with %d for %v", err, status, cause)
		return
	}
	checkRetryAfter(t, refusal.Header)
}

func checkRetryAfter(t *testing.T, h http.Header) {
	t.Helper()
	got := h["Retry-After"]
	if len(got) != 1 {
		t.Errorf("got Retry-After: %q, want one", got)
		return
	}
	if n, err := strconv.Atoi(got[0]); err != nil || n < 1 || n > 10 {
		t.Errorf("got Retry-After: %q, want 1 to 10", got[0])
	}
}

// checkTurnedAwayBy sends a handshake to a server that has no room for it.
func checkTurnedAwayBy(t *testing.T, e *endpoint, status int, cause error, edits ...string) {
	t.Helper()
	e.calls.Store(0)
	text := wstest.Handshake(edits...)
	got := e.send(t, text+secondRequest).readRefusal(t)
	u := e.result(t)
	checkTurnedAway(t, u.err, status, cause)
	row := handshakeRow{number: 15, edits: edits, status: status, header: []string{"Retry-After: " + got.header.Get("Retry-After")}}
	row.checkRefusal(t, text, got, e.venue.set)
	if n := e.calls.Load(); n != 1 {
		t.Errorf("the handler was called %d times, want 1", n)
	}
}

// TestShutdownRefuses: during Shutdown and ever after, nobody is let in, and nobody
// is asked whether he may.
func TestShutdownRefuses(t *testing.T) {
	for _, v := range []venue{plainVenue, tlsVenue, wrappedVenue} {
		t.Run(v.name, func(t *testing.T) {
			var g websocket.Group
			e := newEndpoint(t, v, &websocket.Options{Group: &g})
			client := e.send(t, wstest.Handshake())
			client.readHead(t)
			conn := e.result(t).conn
			e.opts.Store(&websocket.Options{Group: &g, Authorize: func(*http.Request) error {
				t.Error("Authorize was called")
				return nil
			}})
			closed := async(func() error { _, err := g.Shutdown(t.Context()); return err })
			p := client.peer(t)
			p.ExpectClose(1001, goingAway) // so it has begun
			checkTurnedAwayBy(t, e, 503, websocket.ErrShutdown)
			other, _ := wstest.Memory(t, nil)
			if err := g.Add(other); err != websocket.ErrShutdown {
				t.Errorf("Add during Shutdown: got %v", err)
			}
			p.SendClose(1001, "")
			p.Close()
			if err := <-closed; err != nil {
				t.Error(err)
			}
			checkEnd(t, conn, 1001, goingAway, true)
			checkTurnedAwayBy(t, e, 503, websocket.ErrShutdown)
			if err := g.Add(other); err != websocket.ErrShutdown || other.Err() != nil {
				t.Errorf("Add after Shutdown: got %v, and the connection has %v", err, other.Err())
			}
		})
	}
}

// TestShutdownMeanwhile: a handshake that Authorize, or the waiting room, holds up
// while the group shuts down is refused. Shutdown does not wait for it.
func TestShutdownMeanwhile(t *testing.T) {
	t.Run("Authorize", func(t *testing.T) {
		var g websocket.Group
		limiter := new(websocket.Limiter)
		asked, answer := make(chan struct{}), make(chan struct{})
		e := newEndpoint(t, plainVenue, &websocket.Options{Group: &g, Limiter: limiter, Authorize: func(*http.Request) error {
			close(asked)
			<-answer
			return nil
		}})
		client := e.send(t, wstest.Handshake())
		<-asked
		if cut, err := g.Shutdown(t.Context()); cut != 0 || err != nil {
			t.Errorf("Shutdown = %d, %v", cut, err)
		}
		close(answer)
		if got := client.readRefusal(t); got.status != 503 {
			t.Errorf("got %q, want 503", got.head)
		}
		checkTurnedAway(t, e.result(t).err, 503, websocket.ErrShutdown)
		if n := limiter.Len(); n != 0 {
			t.Errorf("%d places are taken, want none", n)
		}
	})
	bubble(t, "waiting room", func(t *testing.T) {
		var g websocket.Group
		limiter := &websocket.Limiter{Max: 1, MaxWaiting: 1}
		opts := &websocket.Options{Group: &g, Limiter: limiter}
		_, p := wstest.Memory(t, opts)
		go leave(p)
		waiting := async(func() error {
			_, err := websocket.Upgrade(newFakeWriter(), wstest.Request(), opts)
			return err
		})
		synctest.Wait()
		if cut, err := g.Shutdown(t.Context()); cut != 0 || err != nil {
			t.Errorf("Shutdown = %d, %v", cut, err)
		}
		checkTurnedAway(t, <-waiting, 503, websocket.ErrShutdown)
		if n := limiter.Len(); n != 0 {
			t.Errorf("%d places are taken, want none", n)
		}
	})
}

// slowHandshake is one that was let in, of a client that takes the response after a
// while, and then answers the close frame.
func slowHandshake(t *testing.T, g *websocket.Group, while time.Duration) (upgraded <-chan *websocket.Conn) {
	w := newFakeWriter()
	conn, client := wstest.Pipe(16)
	w.conn = conn
	upgraded = async(func() *websocket.Conn {
		c, err := websocket.Upgrade(w, wstest.Request(), &websocket.Options{Group: g, WriteTimeout: -1})
		if err != nil {
			t.Error(err)
		}
		return c
	})
	go func() {
		time.Sleep(while)
		c := &rawClient{client, bufio.NewReader(client)}
		if got := c.readHead(t); got.status != 101 {
			t.Errorf("got %q", got.head)
		}
		leave(c.peer(t))
	}()
	return upgraded
}

// TestShutdownSlowHandshake: a client that was let in and does not take the response
// is waited for as long as members are, whatever WriteTimeout is. It counts as one who
// did not answer, and if it takes the response after all, it is not forgotten.
func TestShutdownSlowHandshake(t *testing.T) {
	for _, tt := range []struct {
		name string
		slow []time.Duration // what the clients take
		ctx  time.Duration   // 0: none
		cut  int
		took time.Duration
		err  error
	}{
		{"in time", []time.Duration{time.Second, 4 * time.Second, 2 * time.Second}, 0, 0, 4 * time.Second, nil},
		{"too late", []time.Duration{time.Minute, time.Second, time.Hour}, 0, 2, 5 * time.Second, nil},
		{"too late for ctx", []time.Duration{time.Minute, time.Second, 3 * time.Second}, 2 * time.Second, 2, 2 * time.Second, context.DeadlineExceeded},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			var g websocket.Group
			var upgraded []<-chan *websocket.Conn
			for _, while := range tt.slow {
				upgraded = append(upgraded, slowHandshake(t, &g, while))
			}
			synctest.Wait()
			checkShutdown(t, &g, tt.ctx, tt.cut, tt.err, tt.took)
			for _, u := range upgraded {
				checkEnd(t, <-u, 1001, goingAway, true)
			}
			checkLen(t, &g, 0)
		})
	}
}

// TestShutdownFailedHandshake: a handshake that was let in and has failed then is
// waited for, but not for ever.
func TestShutdownFailedHandshake(t *testing.T) {
	cause := errors.New("no more of these")
	for name, fail := range map[string]func() error{
		"error": func() error { return cause },
		"panic": func() error { panic(cause) },
	} {
		bubble(t, name, func(t *testing.T) {
			var g websocket.Group
			answer := make(chan struct{})
			w := newFakeWriter()
			w.hijack = func() (net.Conn, *bufio.ReadWriter, error) {
				<-answer
				return nil, nil, fail()
			}
			failed := async(func() bool {
				var err error
				return panics(func() { _, err = websocket.Upgrade(w, wstest.Request(), &websocket.Options{Group: &g}) }) || errors.Is(err, cause)
			})
			synctest.Wait()
			closed := async(func() int { cut, _ := g.Shutdown(t.Context()); return cut })
			time.Sleep(time.Second)
			select {
			case <-closed:
				t.Error("Shutdown has not waited")
			default:
			}
			start := time.Now()
			close(answer)
			if !<-failed {
				t.Error("the handshake has not failed")
			}
			if cut := <-closed; cut != 0 || time.Since(start) != 0 {
				t.Errorf("Shutdown = %d after %v more, want nobody and at once", cut, time.Since(start))
			}
		})
	}
}

// A groupServer lets clients in, in as many ways as there are to look after them.
type groupServer struct {
	opts  websocket.Options
	calls atomic.Int32
	conns chan *websocket.Conn
}

func (s *groupServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Upgrade(w, r, &s.opts)
	if err != nil {
		return
	}
	s.conns <- c
	switch s.calls.Add(1) % 3 {
	case 0: // nobody reads
	case 1:
		readToEnd(c)
	case 2:
		go c.Serve(new(recorder))
	}
}

// TestShutdownRace: hundreds of clients knock while the group shuts down. Each gets
// either 503, or 101 and later, once, 1001. Nobody is forgotten.
func TestShutdownRace(t *testing.T) {
	const clients = 300
	for _, before := range []int32{0, 1, clients / 4, clients / 2} {
		t.Run(fmt.Sprintf("when %d are in", before), func(t *testing.T) {
			var g websocket.Group
			s := &groupServer{opts: websocket.Options{Group: &g}, conns: make(chan *websocket.Conn, clients)}
			server := httptest.NewServer(s)
			defer server.Close()
			e := &endpoint{server: server}

			var in, out atomic.Int32
			enough := make(chan struct{})
			if before == 0 {
				close(enough)
			}
			var wg sync.WaitGroup
			for range clients {
				wg.Go(func() {
					c := e.send(t, wstest.Handshake())
					switch got := c.readHead(t); got.status {
					case 503:
						out.Add(1)
						checkRetryAfter(t, got.header)
					case 101:
						if in.Add(1) == before {
							close(enough)
						}
						leave(c.peer(t))
					default:
						t.Errorf("got %q", got.head)
					}
				})
			}
			<-enough
			if cut, err := g.Shutdown(t.Context()); cut != 0 || err != nil {
				t.Errorf("Shutdown = %d, %v, want nobody cut off", cut, err)
			}
			checkLen(t, &g, 0)
			wg.Wait()
			if in.Load()+out.Load() != clients || in.Load() < before {
				t.Errorf("%d were let in and %d not, of %d", in.Load(), out.Load(), clients)
			}
			t.Logf("%d were let in, %d were not", in.Load(), out.Load())
			for range in.Load() {
				select {
				case c := <-s.conns:
					checkEnd(t, c, 1001, goingAway, true)
				case <-time.After(wstest.Patience):
					t.Fatal("a client was let in, and Upgrade has not returned")
				}
			}
		})
	}
}

// TestShutdownBesideServer: http.Server.Shutdown and that of the group, at once.
func TestShutdownBesideServer(t *testing.T) {
	var g websocket.Group
	e := newEndpoint(t, plainVenue, &websocket.Options{Group: &g})
	var clients []*rawClient
	for range 5 {
		c := e.send(t, wstest.Handshake())
		c.readHead(t)
		e.result(t)
		clients = append(clients, c)
	}
	idle := e.dial(t) // has asked for nothing yet
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := e.server.Config.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		if cut, err := g.Shutdown(t.Context()); cut != 0 || err != nil {
			t.Errorf("Shutdown = %d, %v", cut, err)
		}
	})
	for _, c := range clients {
		leave(c.peer(t))
	}
	idle.Close()
	wg.Wait()
	checkLen(t, &g, 0)
	if c, err := net.Dial("tcp", e.server.Listener.Addr().String()); err == nil {
		c.Close()
		t.Error("the server still listens")
	}
}
