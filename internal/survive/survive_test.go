package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/internal/wstest"
)

// TestMain makes the test a server where it has been started as one: a good one, or
// one with a fault.
func TestMain(m *testing.M) {
	if len(os.Args) < 3 || os.Args[1] != serverArg {
		wstest.Main(m)
	}
	if err := testServer(os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func testServer(args []string) error {
	if len(args) < 2 {
		return serverMain(args[0], os.Stdin, os.Stdout)
	}
	var p plan
	if err := json.Unmarshal([]byte(args[0]), &p); err != nil {
		return err
	}
	s := newServer(&p)
	faults[slices.IndexFunc(faults, func(f fault) bool { return f.name == args[1] })].spoil(s)
	return s.run(&p, os.Stdin, os.Stdout)
}

// experiments performs experiments side by side, for they mostly wait.
type experiments struct {
	sync.WaitGroup
	places chan struct{}
	mu     sync.Mutex
	says   map[string]string
	error  map[string]error
}

func (e *experiments) begin(name string, p plan, args ...string) {
	e.places <- struct{}{}
	e.Go(func() {
		defer func() { <-e.places }()
		var out strings.Builder
		s, err := startProcess(&p, args...)
		if err == nil {
			err = perform(&p, s, &out)
			err = errors.Join(err, s.stop())
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.says[name], e.error[name] = out.String(), err
	})
}

func newExperiments() *experiments {
	return &experiments{places: make(chan struct{}, 8), says: make(map[string]string), error: make(map[string]error)}
}

// TestSurvival is a short run in each mode. Its seed is the same each time; -v shows
// what happened.
func TestSurvival(t *testing.T) {
	t.Parallel()
	e := newExperiments()
	for _, mode := range modes {
		e.begin(mode, plan{Mode: mode, Connections: 100, For: 2 * time.Second, Rate: 500, Patience: 4 * time.Second, Seed: 1})
	}
	e.Wait()
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Log("\n" + e.says[mode])
			if err := e.error[mode]; err != nil {
				t.Error(err)
			}
			// What happened for certain, if it was a run at all.
			for what := range numCounts {
				line := fmt.Sprintf("%-55s %9d\n", countNames[what], 0)
				switch what {
				case turnedAway, skipped, gaps, lost, doubled, misordered:
				default:
					if strings.Contains(e.says[mode], line) {
						t.Errorf("it never happened: %s", countNames[what])
					}
				}
			}
		})
	}
}

// A fault is something wrong with a server, and what has to be said of it.
type fault struct {
	name  string
	spoil func(*server)
	wild  bool // clients do wrong
	want  string
}

// TestFaults: every check can fail.
func TestFaults(t *testing.T) {
	t.Parallel()
	faults := slices.DeleteFunc(slices.Clone(faults), func(f fault) bool {
		return f.want == "descriptors, want" && descriptors() < 0 // which the system does not list
	})
	e := newExperiments()
	found := func(f fault) bool {
		err := e.error[f.name]
		return err != nil && strings.Contains(err.Error(), f.want)
	}
	begin := func(f fault) {
		// With this seed, nothing that matters is left to chance. A busy machine needs
		// patience; what has to run out of it needs little.
		p := plan{Mode: "serve", Connections: 30, For: time.Second, Rate: 600, Patience: 2 * time.Second, Seed: 1378, gentle: !f.wild}
		if f.wild {
			p.Connections *= 2
			p.Patience = time.Second
		}
		e.begin(f.name, p, f.name)
	}
	for range 3 { // a machine that is too slow has more to say than what is wrong
		for _, f := range slices.DeleteFunc(slices.Clone(faults), found) {
			begin(f)
		}
		e.Wait()
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			if !found(f) {
				t.Errorf("got %v\nwant %q\n%s", e.error[f.name], f.want, e.says[f.name])
			}
		})
	}
}

// faults begins with those that take long to find.
var faults = []fault{
	{name: "loses an echo", want: "messages lost", spoil: everyFifth(func(*spoilt, *websocket.Conn, websocket.Message) error {
		return nil
	})},
	{name: "swaps two echoes", want: "messages out of order", spoil: everyFifth(func(h *spoilt, c *websocket.Conn, m websocket.Message) error {
		h.held = append(h.held, websocket.Message{Type: m.Type, Data: slices.Clone(m.Data)})
		return nil
	})},
	{name: "mixes up connections", want: "a message for somebody else", spoil: everyFifth(func(h *spoilt, c *websocket.Conn, m websocket.Message) error {
		for other := range h.server.options.Group.All() {
			return other.Write(context.Background(), m.Type, m.Data)
		}
		return nil
	})},
	{name: "does not call OnClose", want: "handlers without OnClose", spoil: func(s *server) {
		s.handler = func(h websocket.Handler) websocket.Handler { return &silent{h} }
	}},
	{name: "leaves a goroutine", want: "goroutines, want", spoil: onClose(func(*spoilt, *websocket.Conn, error) {
		go func() { select {} }()
	})},
	{name: "leaves a descriptor", want: "descriptors, want", spoil: onClose(func(h *spoilt, _ *websocket.Conn, _ error) {
		f, err := os.Open(os.DevNull)
		if err != nil {
			panic(err)
		}
		keep(f)
	})},
	{name: "has no KeepAlive", wild: true, want: "a connection that vanished", spoil: func(s *server) { s.options.KeepAlive = -1 }},
	{name: "has no time limits", wild: true, want: "a connection that is not read from", spoil: func(s *server) {
		s.options.KeepAlive, s.options.WriteTimeout = -1, -1
	}},
	{name: "waits for every handshake", wild: true, want: "an unfinished handshake was not ended", spoil: func(s *server) { s.web.ReadHeaderTimeout = 0 }},
	{name: "lets any page in", wild: true, want: "a malformed handshake was answered with 101", spoil: func(s *server) {
		s.options.InsecureAllowAnyOrigin = true
	}},
	{name: "takes any size", wild: true, want: "a message too large was answered with", spoil: func(s *server) {
		s.options.MaxMessageSize = -1
	}},
	{name: "panics", want: "the server complains: ", spoil: everyFifth(func(*spoilt, *websocket.Conn, websocket.Message) error {
		panic("as it should")
	})},
	{name: "doubles an echo", want: "messages doubled", spoil: everyFifth(func(h *spoilt, c *websocket.Conn, m websocket.Message) error {
		return errors.Join(h.Handler.OnMessage(c, m), h.Handler.OnMessage(c, m))
	})},
	{name: "damages an echo", want: "a damaged message", spoil: everyFifth(func(_ *spoilt, c *websocket.Conn, m websocket.Message) error {
		m.Data[len(m.Data)/2] ^= 1
		return c.Write(context.Background(), m.Type, m.Data)
	})},
	{name: "changes the type", want: "a message for somebody else", spoil: everyFifth(func(_ *spoilt, c *websocket.Conn, m websocket.Message) error {
		return c.Write(context.Background(), websocket.Text+websocket.Binary-m.Type, m.Data)
	})},
	{name: "cuts somebody off", want: errCut.Error(), spoil: everyFifth(func(_ *spoilt, c *websocket.Conn, _ websocket.Message) error {
		return c.CloseNow()
	})},
	{name: "is gone", want: "the server does not say its report", spoil: everyFifth(func(*spoilt, *websocket.Conn, websocket.Message) error {
		os.Exit(0)
		return nil
	})},
	{name: "calls OnClose twice", want: "OnClose was called twice", spoil: onClose(func(h *spoilt, c *websocket.Conn, err error) {
		h.Handler.OnClose(c, err)
	})},
	{name: "leaves bytes", want: "the heap grew", spoil: onClose(func(*spoilt, *websocket.Conn, error) {
		keep(make([]byte, 100<<10))
	})},
	{name: "loses even broadcasts", want: "broadcasts were missing", spoil: func(s *server) {
		var n atomic.Int32
		s.broadcast = func(m *websocket.PreparedMessage) int {
			if n.Add(1)%2 == 0 {
				return 0
			}
			return s.options.Group.Broadcast(m)
		}
	}},
	{name: "doubles even broadcasts", want: "messages doubled", spoil: func(s *server) {
		s.broadcast = func(m *websocket.PreparedMessage) int {
			for c := range s.options.Group.All() {
				_ = c.WritePrepared(context.Background(), m)
			}
			return s.options.Group.Broadcast(m)
		}
	}},
	{name: "loses odd broadcasts", want: "messages lost", spoil: func(s *server) {
		var n atomic.Int32
		s.offer = func(c *websocket.Conn, m *websocket.PreparedMessage) error {
			if n.Add(1)%7 == 0 {
				return nil
			}
			return c.TrySendPrepared(m)
		}
	}},
	{name: "says that it skipped what it sent", want: "messages doubled", spoil: func(s *server) {
		s.offer = func(c *websocket.Conn, m *websocket.PreparedMessage) error {
			return errors.Join(c.TrySendPrepared(m), websocket.ErrBackpressure)
		}
	}},
	{name: "has few places", want: "there were no more than ", spoil: func(s *server) { s.options.Limiter.Max = 3 }},
	{name: "refuses everybody", want: "there were no survivors", spoil: func(s *server) {
		s.options.Authorize = func(*http.Request) error { return errors.New("not you") }
	}},
}

// kept is never let go.
var (
	keptMu sync.Mutex
	kept   []any
)

func keep(v any) {
	keptMu.Lock()
	defer keptMu.Unlock()
	kept = append(kept, v)
}

// spoilt is a handler that does something else with every fifth message, and
// something more in the end.
type spoilt struct {
	websocket.Handler
	server *server
	n      int
	held   []websocket.Message
	fifth  func(*spoilt, *websocket.Conn, websocket.Message) error
	end    func(*spoilt, *websocket.Conn, error)
}

func everyFifth(do func(*spoilt, *websocket.Conn, websocket.Message) error) func(*server) {
	return func(s *server) {
		s.handler = func(h websocket.Handler) websocket.Handler {
			return &spoilt{Handler: h, server: s, fifth: do}
		}
	}
}

func onClose(do func(*spoilt, *websocket.Conn, error)) func(*server) {
	return func(s *server) {
		s.handler = func(h websocket.Handler) websocket.Handler {
			return &spoilt{Handler: h, server: s, end: do}
		}
	}
}

func (h *spoilt) OnMessage(c *websocket.Conn, m websocket.Message) error {
	if n, err := parseNote(m.Data); err != nil || n.kind != echo {
		return h.Handler.OnMessage(c, m)
	}
	if h.n++; h.fifth != nil && h.n%5 == 0 {
		return h.fifth(h, c, m)
	}
	err := h.Handler.OnMessage(c, m)
	for _, m := range h.held {
		err = errors.Join(err, h.Handler.OnMessage(c, m))
	}
	h.held = nil
	return err
}

func (h *spoilt) OnClose(c *websocket.Conn, err error) {
	h.Handler.OnClose(c, err)
	if h.end != nil {
		h.end(h, c, err)
	}
}

// silent is a handler that is not told of the end.
type silent struct{ websocket.Handler }

func (silent) OnClose(*websocket.Conn, error) {}
