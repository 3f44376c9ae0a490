package websocket_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

// An ending is one of a connection that is served.
type ending struct {
	name   string
	inside func(c *websocket.Conn) error // what OnMessage does
	with   func(e *ended)                // what others do
	code   websocket.CloseCode           // of what OnClose gets
	err    error                         // in the tree of it
}

// ended is a connection that an ending is for.
type ended struct {
	*serving
	conn  *websocket.Conn
	peer  *wstest.Peer
	group *websocket.Group
}

var errSecret = errors.New("secret")

// endings are those without a Poller's part in them.
var endings = []ending{
	{"the peer closes", nil, func(e *ended) {
		e.peer.SendClose(1000, "")
		e.peer.CloseWrite()
		e.peer.ExpectClose(1000, "")
	}, websocket.CloseNormal, nil},
	{"the peer leaves", nil, func(e *ended) { e.peer.Close() }, websocket.CloseAbnormal, io.ErrUnexpectedEOF},
	{"the peer leaves in the middle of a message", nil, func(e *ended) {
		e.peer.SendFrame(frame.Text, false, "and")
		e.peer.Close()
	}, websocket.CloseAbnormal, io.ErrUnexpectedEOF},
	{"the peer vanishes", nil, func(e *ended) { e.peer.CloseAtOnce() }, websocket.CloseAbnormal, nil},
	{"the peer breaks a rule", nil, func(e *ended) {
		e.peer.Send(0x83, 0x80, 0, 0, 0, 0)
		e.peer.CloseWrite()
	}, websocket.CloseProtocolError, nil},
	{"the peer says too much", nil, func(e *ended) {
		e.peer.SendText(strings.Repeat("x", 2000))
		e.peer.CloseWrite()
	}, websocket.CloseMessageTooBig, nil},
	{"CloseNow", nil, func(e *ended) { e.conn.CloseNow() }, websocket.CloseAbnormal, net.ErrClosed},
	{"Close", nil, func(e *ended) {
		closed := async(func() error { return e.conn.Close(context.Background(), 4000, "enough") })
		e.peer.ExpectClose(4000, "enough")
		e.peer.SendText("in flight")
		e.peer.SendClose(4000, "")
		e.peer.CloseWrite()
		<-closed
	}, 4000, net.ErrClosed},
	{"Shutdown", nil, func(e *ended) {
		down := async(func() error { _, err := e.group.Shutdown(context.Background()); return err })
		leave(e.peer)
		<-down
	}, websocket.CloseGoingAway, net.ErrClosed},
	{"CloseNow inside", func(c *websocket.Conn) error { return c.CloseNow() }, nil, websocket.CloseAbnormal, net.ErrClosed},
	{"Close inside", func(c *websocket.Conn) error { return c.Close(context.Background(), 4001, "enough") }, func(e *ended) {
		e.peer.ExpectClose(4001, "enough")
		e.peer.SendClose(4001, "")
		e.peer.CloseWrite()
	}, 4001, net.ErrClosed},
	{"CloseNow during a call", func(c *websocket.Conn) error { <-c.Done(); return nil }, func(e *ended) { e.conn.CloseNow() }, websocket.CloseAbnormal, net.ErrClosed},
	{"an error", func(*websocket.Conn) error { return errSecret }, func(e *ended) {
		e.peer.ExpectClose(1011, "")
		e.peer.SendClose(1011, "")
		e.peer.CloseWrite()
	}, websocket.CloseInternalError, errSecret},
	{"an error nobody hears of", func(*websocket.Conn) error { return errSecret }, func(e *ended) { e.peer.CloseAtOnce() }, websocket.CloseInternalError, errSecret},
	{"a panic", func(*websocket.Conn) error { panic("oops") }, func(e *ended) {
		e.peer.ExpectClose(1011, "")
		e.peer.SendClose(1011, "")
		e.peer.CloseWrite()
	}, websocket.CloseInternalError, websocket.ErrPanic},
	{"a silent panic", func(*websocket.Conn) error { panic(http.ErrAbortHandler) }, nil, websocket.CloseAbnormal, http.ErrAbortHandler},
	{"Goexit", func(*websocket.Conn) error { runtime.Goexit(); return nil }, nil, websocket.CloseAbnormal, net.ErrClosed},
}

// TestPollerEndings: OnClose is called once, whatever ends a connection, and others
// go on.
func TestPollerEndings(t *testing.T) {
	cut := ending{"Close of the Poller", nil, func(e *ended) { e.poller.Close() }, websocket.CloseAbnormal, net.ErrClosed}
	duringCall := cut
	duringCall.name, duringCall.inside = "Close of the Poller during a call", func(c *websocket.Conn) error { <-c.Done(); return nil }
	onEachService(t, func(t *testing.T, with service) {
		rows := endings
		if with.newPoller != nil {
			rows = slices.Concat(endings, []ending{cut, duringCall})
		}
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				group := new(websocket.Group)
				s := with.start(t, &websocket.Options{Group: group, MaxMessageSize: 1000}, 1)
				w := newWitness(t)
				if row.inside != nil {
					w.onMessage = func(c *websocket.Conn, _ websocket.Message) error { return row.inside(c) }
				}
				c, p := s.serve(t, w)
				p.SendText("hello")
				if row.inside == nil {
					p.ExpectText("hello")
				}
				if row.with != nil {
					row.with(&ended{s, c, p, group})
				}
				err := next(t, w.end)
				if websocket.CloseStatus(err) != row.code || !errors.Is(err, row.err) && row.err != nil {
					t.Errorf("got %v, want %v with %v", err, row.code, row.err)
				}
				if !strings.Contains(row.name, "Shutdown") && !strings.Contains(row.name, "Poller") {
					_, p := s.serve(t, newWitness(t))
					p.SendText("still here?")
					p.ExpectText("still here?")
				}
			})
		}
	})
}

// TestPollerPanic: what a call panics with stands in the log of the http.Server,
// with the place.
func TestPollerPanic(t *testing.T) {
	oops := func() { panic("oops") }
	quiet := func() { panic(http.ErrAbortHandler) }
	tests := []struct {
		name      string
		onMessage func()
		onClose   func()
		logged    int
	}{
		{"in OnMessage", oops, nil, 1},
		{"in OnClose", nil, oops, 1},
		{"in both", oops, oops, 2},
		{"silent", quiet, nil, 0},
		{"silent in OnClose", nil, quiet, 0},
		{"Goexit", runtime.Goexit, nil, 0},
		{"Goexit in OnClose", nil, runtime.Goexit, 0},
		{"Goexit in both", runtime.Goexit, runtime.Goexit, 0},
	}
	onEachService(t, func(t *testing.T, with service) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				s := with.start(t, nil, 1)
				w := newWitness(t)
				if test.onMessage != nil {
					w.onMessage = func(*websocket.Conn, websocket.Message) error { test.onMessage(); return nil }
				}
				if test.onClose != nil {
					w.onClose = func(*websocket.Conn) { test.onClose() }
				}
				c, p := s.serve(t, w)
				_, other := s.serve(t, newWitness(t))
				p.SendText("hello")
				p.CloseWrite()
				next(t, w.end)
				other.SendText("still here?")
				other.ExpectText("still here?")
				other.Close()
				s.stop(t)
				got := s.log.String()
				line := fmt.Sprintf("panic serving %v: oops\n", c.RemoteAddr())
				if strings.Count(got, line) != test.logged || strings.Count(got, " [running]:\n") != test.logged || test.logged == 0 && got != "" {
					t.Errorf("logged %q, want %d panics", got, test.logged)
				}
				if strings.Count(got, "poller_end_test.go") < test.logged {
					t.Errorf("the log does not say where it was:\n%s", got)
				}
			})
		}
	})
}

// TestPollerNext: who waits for the only handler gets it when the call before ends, in
// whatever way, though nothing else happens.
func TestPollerNext(t *testing.T) {
	ways := []struct {
		name string
		end  func(c *websocket.Conn) error
	}{
		{"return", func(*websocket.Conn) error { return nil }},
		{"error", func(*websocket.Conn) error { return errSecret }},
		{"panic", func(*websocket.Conn) error { panic("oops") }},
		{"Goexit", func(*websocket.Conn) error { runtime.Goexit(); return nil }},
		{"CloseNow", func(c *websocket.Conn) error { return c.CloseNow() }},
	}
	onEachPoller(t, func(t *testing.T, with service) {
		_, other := services[0].start(t, nil, 0).serve(t, newWitness(t))
		for _, way := range ways {
			t.Run(way.name, func(t *testing.T) {
				s := with.start(t, noSweeps, 1)
				entered, leave := make(chan bool), make(chan bool)
				_, first := s.serve(t, doing(t, func(c *websocket.Conn, _ websocket.Message) error {
					entered <- true
					<-leave
					return way.end(c)
				}))
				_, second := s.serve(t, newWitness(t))
				first.SendText("hello")
				next(t, entered)
				second.SendText("me next")
				// Meanwhile the Poller hears of it.
				if err := converse(other, 50, 7); err != nil {
					t.Error(err)
				}
				leave <- true
				second.ExpectText("me next")
			})
		}
	})
}

// TestPollerClosed: there is no place in a closed Poller.
func TestPollerClosed(t *testing.T) {
	onEachPoller(t, func(t *testing.T, with service) {
		s := with.start(t, nil, 0)
		for range 2 {
			if err := s.poller.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		c, p := s.Connect()
		w := newWitness(t)
		refused := async(func() error {
			err := s.poller.Serve(c, w)
			select {
			case <-w.end:
			default:
				t.Error("Serve has returned before OnClose")
			}
			return err
		})
		leave(p)
		if err := next(t, refused); err != websocket.ErrPollerClosed {
			t.Errorf("got %v", err)
		}
		checkEnd(t, c, websocket.CloseGoingAway, goingAway, true)
	})
}

// TestPollerCloseWaits: when Close returns, every OnClose has.
func TestPollerCloseWaits(t *testing.T) {
	const n = 10
	onEachPoller(t, func(t *testing.T, with service) {
		s := with.start(t, nil, 3)
		entered, leave := make(chan bool), make(chan bool)
		left := make([]bool, n) // without a lock: it is for Close to see to the order
		for i := range n {
			w := newWitness(t)
			w.onClose = func(*websocket.Conn) {
				entered <- true
				<-leave
				left[i] = true
			}
			s.serve(t, w)
		}
		closed := async(s.poller.Close)
		for range n {
			next(t, entered)
			select {
			case <-closed:
				t.Error("Close did not wait")
			default:
			}
			leave <- true
		}
		if err := next(t, closed); err != nil {
			t.Error(err)
		}
		if slices.Contains(left, false) {
			t.Error("Close did not wait")
		}
	})
}

// TestPollerCloseRace: who comes while the Poller is closed is served or refused,
// and hears of the end in any case.
func TestPollerCloseRace(t *testing.T) {
	onEachPoller(t, func(t *testing.T, with service) {
		for _, before := range []int32{0, 1, 20} {
			s := with.start(t, nil, 2)
			var in atomic.Int32
			enough := make(chan bool)
			closed := async(func() error { <-enough; return s.poller.Close() })
			var all sync.WaitGroup
			for i := range int32(40) {
				if i == before {
					close(enough)
				}
				c, p := s.Connect(wstest.Frame(frame.Text, true, []byte("hello"))...)
				w := newWitness(t)
				all.Go(func() {
					switch err := s.poller.Serve(c, w); err {
					case nil:
						in.Add(1)
					case websocket.ErrPollerClosed:
					default:
						t.Errorf("Serve: %v", err)
					}
					<-w.end
				})
				all.Go(func() {
					for {
						h, _, err := p.ReadFrame()
						if err != nil {
							return
						}
						if h.Opcode == frame.Close {
							_, _ = p.Write(wstest.CloseFrame(1001, ""))
							p.Close()
						}
					}
				})
			}
			all.Wait()
			if err := next(t, closed); err != nil {
				t.Error(err)
			}
			t.Logf("%d of 40 were let in", in.Load())
		}
	})
}

// TestPollerTurnover: connections come and go in every way, and those that stay
// notice nothing.
func TestPollerTurnover(t *testing.T) {
	onEachService(t, func(t *testing.T, with service) {
		s := with.start(t, nil, 2)
		type member struct {
			*witness
			conn *websocket.Conn
			peer *wstest.Peer
		}
		all := make([]member, 6)
		join := func(i int) {
			w := newWitness(t)
			c, p := s.serve(t, w)
			all[i] = member{w, c, p}
		}
		for i := range all {
			join(i)
		}
		for round := range 60 {
			i := round % len(all)
			m := all[i]
			m.peer.SendText("unread")
			switch round / len(all) % 4 {
			case 0:
				m.peer.CloseAtOnce()
			case 1:
				m.peer.Close()
			case 2:
				go m.conn.CloseNow()
			case 3:
				m.peer.SendClose(1000, "")
				m.peer.Close()
			}
			if round%2 == 0 {
				next(t, m.end)
			}
			join(i)
			for k, other := range all {
				want := fmt.Sprint("round ", round, " of ", k)
				other.peer.SendText(want)
				other.peer.ExpectText(want)
			}
		}
	})
}

// TestPollerBroken: without news of its sockets a Poller cannot serve them. It
// cuts them off, and has a goroutine for each that comes later.
func TestPollerBroken(t *testing.T) {
	s := service{"sockets", websocket.NewPoller, services[1].configure}.start(t, nil, 1)
	poller := s.poller
	s.poller = nil // whose Close has an error
	var witnesses []*witness
	for range 5 {
		w := newWitness(t)
		c, p := s.Connect()
		if err := poller.Serve(c, w); err != nil {
			t.Fatal(err)
		}
		p.SendText("hello")
		p.ExpectText("hello")
		witnesses = append(witnesses, w)
	}
	if err := poller.Break(); err != nil {
		t.Fatal(err)
	}
	for _, w := range witnesses {
		if err := next(t, w.end); !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
	c, p := s.Connect()
	w := newWitness(t)
	if err := poller.Serve(c, w); err != nil {
		t.Fatal(err)
	}
	p.SendText("hello")
	p.ExpectText("hello")
	if err := poller.Close(); err == nil {
		t.Error("Close has found nothing wrong")
	}
	next(t, w.end)
}
