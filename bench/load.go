package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// metrics are the figures of one measurement, by name.
type metrics map[string]float64

// loadSpec says what to load a server with.
type loadSpec struct {
	Load  string // the name in loads
	Lib   string // what the server runs
	Addr  string
	Ctl   string
	Conns int
	For   time.Duration // the measured window; for idle, the time to settle

	Size    int
	Kind    string
	Deflate string
	Depth   int    // echo: messages in flight on each connection; neighbour: on all of them
	Offers  bool   // handshake: offer subprotocols and permessage-deflate
	Sockets int    // on each HTTP/2 connection
	Resume  bool   // handshake: sessions of TLS are resumed
	Echoes  int    // idle and stalled: messages of each connection at first; if more than 1, all connections are busy at once
	Profile string // echo and handshake: file for the server's CPU profile of the window
}

// loads are the ways to load a server.
var loads = map[string]func(*load) (metrics, error){
	"echo":      (*load).echo,
	"handshake": (*load).handshake,
	"idle":      (*load).idle,
	"neighbour": (*load).neighbour,
	"stalled":   (*load).stalled,
}

type load struct {
	loadSpec
	dialer
}

func cmdLoad(args []string) error {
	var spec loadSpec
	if err := decodeSpec(args, &spec); err != nil {
		return err
	}
	m, err := runLoad(spec)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(m)
}

func runLoad(spec loadSpec) (metrics, error) {
	lib, err := findLib(spec.Lib)
	if err != nil {
		return nil, err
	}
	run := loads[spec.Load]
	if run == nil {
		return nil, fmt.Errorf("no load %q", spec.Load)
	}
	return run(newLoad(spec, lib))
}

func newLoad(spec loadSpec, lib *Lib) *load {
	l := &load{loadSpec: spec, dialer: dialer{lib: lib, addr: spec.Addr, sockets: max(1, spec.Sockets)}}
	if spec.Resume {
		l.resume = tls.NewLRUClientSessionCache(0)
	}
	return l
}

// control asks the server's control address.
func (l *load) control(path string) ([]byte, error) {
	if err := checkLoopback(l.Ctl); err != nil {
		return nil, err
	}
	patient := http.Client{Timeout: l.For + time.Minute}
	resp, err := patient.Get("http://" + l.Ctl + path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, resp.Status)
	}
	return io.ReadAll(resp.Body)
}

func (l *load) stats(path string) (s serverStats, err error) {
	b, err := l.control(path)
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	return s, err
}

// mark is an end of the measured window.
type mark struct {
	at     time.Time
	server serverStats
	n      int64
}

func (l *load) mark(count func() int64) (m mark, err error) {
	if m.server, err = l.stats("/stats"); err != nil {
		return m, err
	}
	m.at, m.n = time.Now(), count()
	return m, nil
}

// to gives figures per message, or per handshake.
func (m mark) to(end mark) metrics {
	n := float64(end.n - m.n)
	us := func(ns int64) float64 { return float64(ns) / 1e3 / n }
	user, sys := end.server.UserNS-m.server.UserNS, end.server.SysNS-m.server.SysNS
	return metrics{
		"per_s":         n / end.at.Sub(m.at).Seconds(),
		"server_us":     us(user + sys),
		"server_sys_us": us(sys),
	}
}

// warmUp lets a load run until it runs evenly.
func (l *load) warmUp() { time.Sleep(min(l.For, 150*time.Millisecond)) }

// stuck is how long a window may take until something comes back.
const stuck = 10 * time.Second

// window measures while the load runs.
func (l *load) window(count func() int64) (metrics, error) {
	begin, err := l.mark(count)
	if err != nil {
		return nil, err
	}
	if l.Profile != "" {
		if err := l.saveProfile(); err != nil {
			return nil, err
		}
	} else {
		time.Sleep(l.For)
	}
	for count() == begin.n && time.Since(begin.at) < stuck {
		time.Sleep(l.For)
	}
	end, err := l.mark(count)
	if err != nil {
		return nil, err
	}
	if end.n == begin.n {
		return nil, fmt.Errorf("nothing came back in %v", stuck)
	}
	return begin.to(end), nil
}

// watch tells who makes a load when to record what becomes of it, and when to stop.
type watch struct{ stop, record atomic.Bool }

// during runs a load in n goroutines, and measures meanwhile.
func (l *load) during(n int, work func(i int, w *watch) error, count func() int64) (metrics, error) {
	var w watch
	done := make(chan error, 1)
	go func() { done <- together(n, func(i int) error { return work(i, &w) }) }()
	l.warmUp()
	w.record.Store(true)
	m, err := l.window(count)
	w.stop.Store(true)
	if failed := <-done; failed != nil {
		return nil, failed
	}
	return m, err
}

// patience is when something must have come back: a stuck connection is an error,
// not a hang.
func (l *load) patience() time.Time { return time.Now().Add(2*l.For + 20*time.Second) }

// saveProfile takes as long as the window is meant to be, in whole seconds.
func (l *load) saveProfile() error {
	b, err := l.control(fmt.Sprintf("/debug/pprof/profile?seconds=%d", max(1, int(l.For.Seconds()))))
	if err != nil {
		return err
	}
	return os.WriteFile(l.Profile, b, 0o644)
}

// open makes n clients, several at a time.
func (l *load) open(n int, request []byte) ([]*client, error) {
	clients := make([]*client, n)
	var next atomic.Int64
	err := together(min(n, 64), func(int) error {
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			c, err := l.dial(request, l.Deflate, l.bufSize())
			if err != nil {
				next.Store(int64(n)) // the others need not go on
				return err
			}
			clients[i] = c
		}
		return nil
	})
	if err != nil {
		closeAll(clients)
		return nil, err
	}
	return clients, nil
}

func closeAll(clients []*client) {
	for _, c := range clients {
		if c != nil {
			c.reset()
		}
	}
}

func (l *load) bufSize() int { return min(max(4096, l.Depth*(l.Size+16)), 256<<10) }

func (l *load) messages() []message {
	n := 4
	if l.Deflate != noDeflate {
		n = max(64, 64<<10/l.Size) // they come again when they have left every window
	}
	return newMessages(n, l.Size, l.Kind, l.Deflate)
}

// together runs f in n goroutines and returns the first error.
func together(n int, f func(i int) error) error {
	var first atomic.Pointer[error]
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := f(i); err != nil {
				first.CompareAndSwap(nil, &err)
			}
		})
	}
	wg.Wait()
	if err := first.Load(); err != nil {
		return *err
	}
	return nil
}
