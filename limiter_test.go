package websocket_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/internal/wstest"
)

// knock is a handshake in memory.
func knock(opts *websocket.Options, edits ...string) (*websocket.Conn, error) {
	return websocket.Upgrade(newFakeWriter(), wstest.Request(edits...), opts)
}

// enter is a knock that has to be answered with 101.
func enter(t testing.TB, opts *websocket.Options, edits ...string) *websocket.Conn {
	t.Helper()
	c, err := knock(opts, edits...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return c
}

// full takes a place of a limiter for good.
func full(l *websocket.Limiter) *websocket.Limiter {
	if _, err := knock(&websocket.Options{Limiter: l}); err != nil {
		panic(err)
	}
	return l
}

func checkTaken(t *testing.T, l *websocket.Limiter, want int) {
	t.Helper()
	if got := l.Len(); got != want {
		t.Errorf("%d places are taken, want %d", got, want)
	}
}

// checkRoom checks that exactly n more connections get in, and ends them.
func checkRoom(t *testing.T, opts *websocket.Options, n, status int, cause error) {
	t.Helper()
	var conns []*websocket.Conn
	for range n {
		conns = append(conns, enter(t, opts))
	}
	_, err := knock(opts)
	checkTurnedAway(t, err, status, cause)
	for _, c := range conns {
		c.CloseNow()
	}
}

// named tells clients apart by a field, as behind a proxy.
func named(r *http.Request) string { return r.Header.Get("X-Client") }

// TestLimiter: as many as there is room for get in, and the next when one has gone.
func TestLimiter(t *testing.T) {
	for _, tt := range []struct {
		name    string
		limiter *websocket.Limiter
		edits   []string // of those who get in
		more    []string // of one who does not
		status  int
		cause   error
	}{
		{"full", &websocket.Limiter{Max: 2}, nil, nil, 503, websocket.ErrTooMany},
		{"negative waiting room", &websocket.Limiter{Max: 2, MaxWaiting: -1, Wait: -1}, nil, nil, 503, websocket.ErrTooMany},
		{"address", &websocket.Limiter{MaxPerAddress: 2}, nil, nil, 429, websocket.ErrTooManyFromAddress},
		{"address comes first", &websocket.Limiter{Max: 2, MaxPerAddress: 2, MaxWaiting: 9}, nil, nil, 429, websocket.ErrTooManyFromAddress},
		{"name", &websocket.Limiter{MaxPerAddress: 2, Address: named}, []string{"X-Client: a"}, []string{"X-Client: a"}, 429, websocket.ErrTooManyFromAddress},
		{"no name", &websocket.Limiter{MaxPerAddress: 2, Address: named}, nil, []string{"X-Client:"}, 429, websocket.ErrTooManyFromAddress},
		{"full for another name", &websocket.Limiter{Max: 2, MaxPerAddress: 2, Address: named}, []string{"X-Client: a"}, []string{"X-Client: b"}, 503, websocket.ErrTooMany},
	} {
		for _, v := range []venue{plainVenue, tlsVenue, wrappedVenue} {
			t.Run(tt.name+"/"+v.name, func(t *testing.T) {
				asked := new(atomic.Int32)
				e := newEndpoint(t, v, &websocket.Options{Limiter: tt.limiter, Authorize: func(*http.Request) error {
					asked.Add(1)
					return nil
				}})
				var first *websocket.Conn
				for i := range 2 {
					c := e.send(t, wstest.Handshake(tt.edits...))
					if got := c.readHead(t); got.status != 101 {
						t.Fatalf("number %d got %q", i, got.head)
					}
					first = e.result(t).conn
				}
				for range 2 {
					checkTurnedAwayBy(t, e, tt.status, tt.cause, tt.more...)
				}
				if n := asked.Load(); n != 2 {
					t.Errorf("Authorize was called %d times, want 2", n)
				}
				first.CloseNow()
				checkTaken(t, tt.limiter, 1)
				c := e.send(t, wstest.Handshake(tt.more...))
				if got := c.readHead(t); got.status != 101 {
					t.Errorf("when one had gone, the next got %q", got.head)
				}
				e.result(t)
				checkTurnedAwayBy(t, e, tt.status, tt.cause, tt.more...)
			})
		}
	}
}

// TestLimiterZero: the zero value counts and limits nothing, and nobody is asked for
// an address that does not matter.
func TestLimiterZero(t *testing.T) {
	l := &websocket.Limiter{Address: func(*http.Request) string {
		t.Error("Address was called")
		return ""
	}}
	opts := &websocket.Options{Limiter: l}
	for i := range 100 {
		checkTaken(t, l, i)
		enter(t, opts)
	}
}

// TestLimiterOther: what one client has does not count for another.
func TestLimiterOther(t *testing.T) {
	for _, tt := range []struct {
		name     string
		limiter  *websocket.Limiter
		one, two func(r *http.Request)
		want     error // of two when one has the only place
	}{
		{"names", &websocket.Limiter{MaxPerAddress: 1, Address: named},
			func(r *http.Request) { r.Header.Set("X-Client", "a") }, func(r *http.Request) { r.Header.Set("X-Client", "b") }, nil},
		{"ports", &websocket.Limiter{MaxPerAddress: 1},
			func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1" }, func(r *http.Request) { r.RemoteAddr = "192.0.2.1:2" }, websocket.ErrTooManyFromAddress},
		{"addresses", &websocket.Limiter{MaxPerAddress: 1},
			func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1" }, func(r *http.Request) { r.RemoteAddr = "192.0.2.2:1" }, nil},
		{"one customer's IPv6", &websocket.Limiter{MaxPerAddress: 1},
			func(r *http.Request) { r.RemoteAddr = "[2001:db8::1]:1" }, func(r *http.Request) { r.RemoteAddr = "[2001:db8::ffff:0:0:2]:1" }, websocket.ErrTooManyFromAddress},
		{"two customers' IPv6", &websocket.Limiter{MaxPerAddress: 1},
			func(r *http.Request) { r.RemoteAddr = "[2001:db8::1]:1" }, func(r *http.Request) { r.RemoteAddr = "[2001:db8:0:1::1]:1" }, nil},
		{"both kinds of IPv4", &websocket.Limiter{MaxPerAddress: 1},
			func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1" }, func(r *http.Request) { r.RemoteAddr = "[::ffff:192.0.2.1]:2" }, websocket.ErrTooManyFromAddress},
	} {
		opts := &websocket.Options{Limiter: tt.limiter}
		one, two := wstest.Request(), wstest.Request()
		tt.one(one)
		tt.two(two)
		c, err := websocket.Upgrade(newFakeWriter(), one, opts)
		if err != nil {
			t.Fatal(err)
		}
		if other, err := websocket.Upgrade(newFakeWriter(), two, opts); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		} else if err == nil {
			other.CloseNow()
		}
		c.CloseNow()
		checkTaken(t, tt.limiter, 0)
	}
}

// TestRetryAfter: those who are turned away together do not come again together.
func TestRetryAfter(t *testing.T) {
	opts := &websocket.Options{Limiter: full(&websocket.Limiter{Max: 1})}
	seen := make(map[string]bool)
	for range 500 {
		_, err := knock(opts)
		checkTurnedAway(t, err, 503, websocket.ErrTooMany)
		if e, ok := errors.AsType[*websocket.HandshakeError](err); ok {
			seen[e.Header.Get("Retry-After")] = true
		}
	}
	for n := 1; n <= 10; n++ {
		if !seen[strconv.Itoa(n)] {
			t.Errorf("nobody was told to come again in %d seconds", n)
		}
	}
}

// TestLimiterShared: options of two endpoints that share a limiter share its places.
func TestLimiterShared(t *testing.T) {
	l := &websocket.Limiter{Max: 2}
	chat, news := &websocket.Options{Limiter: l}, &websocket.Options{Limiter: l, Subprotocols: []string{"news"}}
	c := enter(t, chat)
	enter(t, news)
	for _, opts := range []*websocket.Options{chat, news} {
		_, err := knock(opts)
		checkTurnedAway(t, err, 503, websocket.ErrTooMany)
	}
	c.CloseNow()
	enter(t, news)
	checkTaken(t, l, 2)
}

// A visitor is in the waiting room.
type visitor struct {
	leave context.CancelFunc // the client goes
	done  <-chan upgraded
}

// queue sends a handshake into the waiting room; it is for bubbles.
func queue(t *testing.T, opts *websocket.Options, edits ...string) visitor {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	v := visitor{leave, async(func() upgraded {
		defer leave() // as net/http does
		conn, err := websocket.Upgrade(newFakeWriter(), wstest.Request(edits...).WithContext(ctx), opts)
		return upgraded{conn, err}
	})}
	synctest.Wait()
	return v
}

func (v visitor) checkWaits(t *testing.T) {
	t.Helper()
	synctest.Wait()
	select {
	case u := <-v.done:
		t.Fatalf("Upgrade = %p, %v, want it to wait", u.conn, u.err)
	default:
	}
}

func (v visitor) checkIn(t *testing.T) *websocket.Conn {
	t.Helper()
	synctest.Wait()
	select {
	case u := <-v.done:
		if u.err != nil {
			t.Fatal(u.err)
		}
		return u.conn
	default:
		t.Fatal("there is a place, and nobody gets it")
		panic("unreachable")
	}
}

func (v visitor) checkOut(t *testing.T) {
	t.Helper()
	checkTurnedAway(t, (<-v.done).err, 503, websocket.ErrTooMany)
}

// TestWaitingOrder: places go to those who wait, in the order in which they came,
// and not to one who comes just then.
func TestWaitingOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &websocket.Limiter{Max: 1, MaxWaiting: 3}
		opts := &websocket.Options{Limiter: l}
		c := enter(t, opts)
		var waiting []visitor
		for range 3 {
			waiting = append(waiting, queue(t, opts))
		}
		_, err := knock(opts)
		checkTurnedAway(t, err, 503, websocket.ErrTooMany)
		for i, q := range waiting {
			for _, later := range waiting[i:] {
				later.checkWaits(t)
			}
			c.CloseNow()
			waiting = append(waiting, queue(t, opts)) // there is room for one more
			c = q.checkIn(t)
			checkTaken(t, l, 1)
		}
		for _, q := range waiting[3:] {
			q.checkWaits(t)
			c.CloseNow()
			c = q.checkIn(t)
		}
		c.CloseNow()
		checkTaken(t, l, 0)
	})
}

func TestWaitingTime(t *testing.T) {
	for _, tt := range []struct{ wait, want time.Duration }{
		{0, 5 * time.Second},
		{-1, 5 * time.Second},
		{time.Minute, time.Minute},
	} {
		bubble(t, tt.wait.String(), func(t *testing.T) {
			l := &websocket.Limiter{Max: 1, MaxPerAddress: 2, MaxWaiting: 1, Wait: tt.wait}
			opts := &websocket.Options{Limiter: l}
			c := enter(t, opts)
			start := time.Now()
			q := queue(t, opts)
			checkRoom(t, opts, 0, 429, websocket.ErrTooManyFromAddress) // who waits counts
			q.checkOut(t)
			if took := time.Since(start); took != tt.want {
				t.Errorf("it waited for %v, want %v", took, tt.want)
			}
			next := queue(t, opts)
			time.Sleep(tt.want - 1)
			next.checkWaits(t)
			c.CloseNow()
			next.checkIn(t).CloseNow()
			checkTaken(t, l, 0)
			checkRoom(t, opts, 1, 503, websocket.ErrTooMany)
		})
	}
}

// TestWaitingClientLeaves: who goes makes room in the queue, wherever it stood, and
// does not count for its address any more.
func TestWaitingClientLeaves(t *testing.T) {
	for leaver := range 3 {
		bubble(t, fmt.Sprintf("number %d", leaver), func(t *testing.T) {
			l := &websocket.Limiter{Max: 1, MaxPerAddress: 4, MaxWaiting: 3}
			opts := &websocket.Options{Limiter: l}
			c := enter(t, opts)
			var waiting []visitor
			for range 3 {
				waiting = append(waiting, queue(t, opts))
			}
			_, err := knock(opts)
			checkTurnedAway(t, err, 429, websocket.ErrTooManyFromAddress)
			start := time.Now()
			waiting[leaver].leave()
			waiting[leaver].checkOut(t)
			if took := time.Since(start); took != 0 {
				t.Errorf("it stayed for %v", took)
			}
			waiting = append(append(waiting[:leaver:leaver], waiting[leaver+1:]...), queue(t, opts))
			for _, q := range waiting {
				q.checkWaits(t)
				c.CloseNow()
				c = q.checkIn(t)
			}
			c.CloseNow()
			checkTaken(t, l, 0)
		})
	}
}

// TestWaitingOverSockets: net/http tells when a client that waits has gone.
func TestWaitingOverSockets(t *testing.T) {
	for _, v := range []venue{plainVenue, tlsVenue} {
		t.Run(v.name, func(t *testing.T) {
			l := &websocket.Limiter{Max: 1, MaxPerAddress: 2, MaxWaiting: 1, Wait: time.Hour}
			opts := &websocket.Options{Limiter: l}
			e := newEndpoint(t, v, opts)
			e.send(t, wstest.Handshake()).readHead(t)
			first := e.result(t).conn
			e.send(t, wstest.Handshake()).Close()
			checkTurnedAway(t, e.result(t).err, 503, websocket.ErrTooMany)
			c := e.send(t, wstest.Handshake())
			first.CloseNow()
			if got, want := c.readHead(t).head, switching("", "", nil); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			e.checkOpen(t, c, new(handshakeRow))
			checkTaken(t, l, 1)
		})
	}
}

var errNo = errors.New("no")

// failures are the ways in which a handshake can fail that has nothing wrong with it.
var failures = []struct {
	name    string
	opts    websocket.Options
	prepare func(w *fakeWriter, opts *websocket.Options)
	panics  bool
	want    error
}{
	{name: "Authorize refuses", opts: *authorize(errNo), want: errNo},
	{name: "Authorize panics", opts: websocket.Options{Authorize: func(*http.Request) error { panic(errNo) }}, panics: true},
	{name: "Authorize ends the goroutine", opts: websocket.Options{Authorize: func(*http.Request) error { runtime.Goexit(); return nil }}, panics: true},
	{name: "Authorize spoils the response", prepare: func(w *fakeWriter, opts *websocket.Options) {
		opts.Authorize = func(*http.Request) error { w.Header().Set("Sec-WebSocket-Accept", "x"); return nil }
	}},
	{name: "OnReject panics", opts: websocket.Options{
		Authorize: func(*http.Request) error { return errNo },
		OnReject:  func(http.ResponseWriter, *http.Request, *websocket.HandshakeError) { panic(errNo) },
	}, panics: true},
	{name: "subprotocol demanded", opts: *demand("a")},
	{name: "SelectSubprotocol refuses", opts: *choose("", errNo), want: errNo},
	{name: "SelectSubprotocol panics", opts: websocket.Options{
		SelectSubprotocol: func(*http.Request, []string) (string, error) { panic(errNo) },
	}, panics: true},
	{name: "group shuts down", prepare: func(_ *fakeWriter, opts *websocket.Options) {
		g := new(websocket.Group)
		opts.Group = g
		opts.Authorize = func(*http.Request) error { _, err := g.Shutdown(context.Background()); return err }
	}, want: websocket.ErrShutdown},
	{name: "hijack fails", prepare: func(w *fakeWriter, _ *websocket.Options) {
		w.hijack = func() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, errNo }
	}, want: errNo},
	{name: "hijack panics", prepare: func(w *fakeWriter, _ *websocket.Options) {
		w.hijack = func() (net.Conn, *bufio.ReadWriter, error) { panic(errNo) }
	}, panics: true},
	{name: "client gone", prepare: func(w *fakeWriter, _ *websocket.Options) { w.client.Close() }},
	{name: "transport fails", prepare: func(w *fakeWriter, _ *websocket.Options) { w.hijackConn().endErr = errNo }, want: errNo},
}

// TestPlaceGivenBack: whatever becomes of a handshake that has a place, it gives it
// back, once.
func TestPlaceGivenBack(t *testing.T) {
	for _, tt := range failures {
		t.Run(tt.name, func(t *testing.T) {
			l := &websocket.Limiter{Max: 3, MaxPerAddress: 3}
			enter(t, &websocket.Options{Limiter: l})
			w := newFakeWriter()
			opts := tt.opts
			opts.Limiter = l
			if tt.prepare != nil {
				tt.prepare(w, &opts)
			}
			var c *websocket.Conn
			err := errors.New("Upgrade has not returned")
			var wg sync.WaitGroup
			wg.Go(func() {
				panics(func() { c, err = websocket.Upgrade(w, wstest.Request(), &opts) })
			})
			wg.Wait()
			if c != nil || err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Upgrade = %p, %v, want %v", c, err, tt.want)
			}
			if returned := err.Error() != "Upgrade has not returned"; returned == tt.panics {
				t.Errorf("Upgrade has returned: %t", returned)
			}
			checkTaken(t, l, 1)
			checkRoom(t, &websocket.Options{Limiter: l}, 2, 429, websocket.ErrTooManyFromAddress)
			checkTaken(t, l, 1)
		})
	}
}

// TestRefusedHoldsNothing: what OnReject takes its time for is nobody's place any
// more, and no Shutdown waits for it.
func TestRefusedHoldsNothing(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range failures {
		if tt.panics {
			continue // so it is not refused
		}
		t.Run(tt.name, func(t *testing.T) {
			l, w, opts := &websocket.Limiter{Max: 1, MaxPerAddress: 1}, newFakeWriter(), tt.opts
			opts.Limiter, opts.Group = l, new(websocket.Group)
			if tt.prepare != nil {
				tt.prepare(w, &opts)
			}
			calls := 0
			opts.OnReject = func(http.ResponseWriter, *http.Request, *websocket.HandshakeError) {
				calls++
				checkTaken(t, l, 0)
				enter(t, &websocket.Options{Limiter: l})
				if cut, _ := opts.Group.Shutdown(over); cut != 0 {
					t.Errorf("Shutdown waited for %d", cut)
				}
			}
			_, err := websocket.Upgrade(w, wstest.Request(), &opts)
			want := 0
			if _, ok := errors.AsType[*websocket.HandshakeError](err); ok {
				want = 1
			}
			if calls != want || err == nil {
				t.Errorf("Upgrade = %v, OnReject was called %d times", err, calls)
			}
			checkTaken(t, l, want) // by who came meanwhile
		})
	}
}

// TestPlacePanics: over a socket, too.
func TestPlacePanics(t *testing.T) {
	l := &websocket.Limiter{Max: 1}
	var calls atomic.Int32
	e := newEndpoint(t, plainVenue, &websocket.Options{Limiter: l, Authorize: func(*http.Request) error {
		if calls.Add(1) == 1 {
			panic("no")
		}
		return nil
	}})
	if got, err := e.send(t, wstest.Handshake()).r.ReadString('\n'); err == nil {
		t.Errorf("got %q, want the end of the connection", got)
	}
	c := e.send(t, wstest.Handshake())
	c.readHead(t)
	e.checkOpen(t, c, new(handshakeRow))
	checkTaken(t, l, 1)
}

// A crowd is a server and what its clients have seen of it.
type crowd struct {
	opts     *websocket.Options
	handlers sync.WaitGroup
	open     atomic.Int32 // no less than that, at any time
	most     atomic.Int32
}

// ServeHTTP counts those connections whose end it brings about itself. That of the
// others it sees when their places have been given to others.
func (s *crowd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.handlers.Add(1)
	defer s.handlers.Done()
	c, err := websocket.Upgrade(w, r, s.opts)
	if err != nil {
		return
	}
	defer c.CloseNow()
	if r.Header.Get("X-Vanish") != "" {
		readToEnd(c)
		return
	}
	now := s.open.Add(1)
	for most := s.most.Load(); now > most && !s.most.CompareAndSwap(most, now); {
		most = s.most.Load()
	}
	c.Read(context.Background())
	s.open.Add(-1)
	c.Close(context.Background(), websocket.CloseNormal, "")
}

// visit is what a client does that does as it should. It reports whether it got in.
func (e *endpoint) visit(t *testing.T) bool {
	c := e.send(t, wstest.Handshake())
	if got := c.readHead(t); got.status != 101 {
		checkRetryAfter(t, got.header)
		return false
	}
	p := c.peer(t)
	p.SendText("enough")
	p.ExpectClose(1000, "")
	p.SendClose(1000, "")
	p.ExpectEOF()
	p.Close()
	return true
}

// TestStorm: ten times as many clients as there are places, at once. Some do not have
// the patience to wait, some vanish when they are in. Never are more open than there
// are places, and in the end all places are free.
func TestStorm(t *testing.T) {
	const places, clients = 50, 500
	for _, tt := range []struct {
		name    string
		limiter *websocket.Limiter
		all     bool // get in who wait
	}{
		{"room for all to wait", &websocket.Limiter{Max: places, MaxWaiting: clients, Wait: wstest.Patience}, true},
		{"room for some to wait", &websocket.Limiter{Max: places, MaxWaiting: places, Wait: wstest.Patience}, false},
		{"little time to wait", &websocket.Limiter{Max: places, MaxWaiting: clients, Wait: time.Millisecond}, false},
		{"no waiting", &websocket.Limiter{Max: places}, false},
		{"one address", &websocket.Limiter{MaxPerAddress: places}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := tt.limiter
			s := &crowd{opts: &websocket.Options{Limiter: l}}
			server := httptest.NewServer(s)
			defer server.Close()
			e := &endpoint{server: server}
			var in, out atomic.Int32
			var wg sync.WaitGroup
			for i := range clients {
				wg.Go(func() {
					switch text := wstest.Handshake("X-Vanish: yes"); i % 10 {
					case 0:
						e.send(t, text).Close()
					case 1:
						c := e.send(t, text)
						c.readHead(t)
						c.Close()
					default:
						if e.visit(t) {
							in.Add(1)
						} else {
							out.Add(1)
						}
					}
				})
			}
			wg.Wait()
			server.Close() // no handler begins any more
			s.handlers.Wait()
			t.Logf("%d got in, %d were turned away, %d were in at once", in.Load(), out.Load(), s.most.Load())
			if most := s.most.Load(); most > places {
				t.Errorf("%d connections were open at once, want at most %d", most, places)
			}
			if in.Load() == 0 || in.Load()+out.Load() != clients*8/10 || tt.all && out.Load() > 0 {
				t.Errorf("%d got in and %d were turned away", in.Load(), out.Load())
			}
			checkTaken(t, l, 0)
			for range places {
				enter(t, s.opts)
			}
			checkTaken(t, l, places)
		})
	}
}
