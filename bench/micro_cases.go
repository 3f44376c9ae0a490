package main

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

const (
	broadcastConns = 1000
	broadcastSize  = 512
)

// microCase is a benchmark in process.
type microCase struct {
	workload, name string
	// bench returns nil for a library that cannot be measured so.
	bench  func(l *Lib) func(b *testing.B) error
	floors []microBench
}

func microCases() (out []microCase) {
	for _, h := range []struct {
		name        string
		offers, eof bool
	}{{"plain", false, false}, {"offers", true, false}, {"then-eof", false, true}} {
		out = append(out, microCase{"upgrade", h.name, func(l *Lib) func(*testing.B) error { return benchUpgrade(l, h.offers, h.eof) }, nil})
	}
	sizes := []int{128, 1 << 10, 64 << 10, 1 << 20}
	for _, kind := range []string{kindBinary, kindText, kindUTF8} {
		for _, size := range sizes {
			m := newMessage(size, kind)
			out = append(out, microCase{"read", kind + "/" + sizeName(size),
				func(l *Lib) func(*testing.B) error { return benchRead(l, Config{Drain: true}, &m) }, readFloors(&m, kind)})
		}
	}
	for _, kind := range []string{kindBinary, kindText} {
		for _, size := range sizes {
			m := newMessage(size, kind)
			out = append(out, microCase{"write", kind + "/" + sizeName(size),
				func(l *Lib) func(*testing.B) error {
					return benchWrite(l, Config{Drain: true}, []message{m}, kind == kindText)
				}, writeFloors(&m, kind)})
		}
	}
	for _, mode := range []string{noTakeover, takeover} {
		for _, size := range []int{1 << 10, 16 << 10} {
			cfg, msgs := Config{Drain: true, Deflate: mode}, newMessages(64, size, kindText, mode)
			name := mode + "/" + sizeName(size)
			out = append(out,
				microCase{"inflate", name, func(l *Lib) func(*testing.B) error { return benchRead(l, cfg, &msgs[0]) }, nil},
				microCase{"compress", name, func(l *Lib) func(*testing.B) error { return benchWrite(l, cfg, msgs, true) }, nil})
		}
	}
	m := newMessage(broadcastSize, kindText)
	return append(out, microCase{"broadcast", fmt.Sprintf("%s to %d", sizeName(broadcastSize), broadcastConns),
		func(l *Lib) func(*testing.B) error { return benchBroadcast(l, &m) }, broadcastFloors(&m)})
}

func sizeName(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%dMiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%dKiB", n>>10)
	}
	return fmt.Sprintf("%dB", n)
}

// entrance upgrades on the memConn of u, which then reads frame so many times,
// and calls use.
type entrance func(u *memUpgrade, frame []byte, times int, use func(Conn))

// newEntrance returns nil for a library that owns its accept loop, or is not in
// the mode.
func newEntrance(l *Lib, cfg Config, request []byte) entrance {
	s := l.New(cfg)
	switch {
	case !l.in(cfg.Deflate):
		return nil
	case s.Handle != nil:
		return func(u *memUpgrade, frame []byte, times int, use func(Conn)) {
			u.reset(frame, times)
			s.Handle(u, u.req, use)
		}
	case s.ServeConn != nil:
		return func(u *memUpgrade, frame []byte, times int, use func(Conn)) {
			u.conn.reset(request, frame, times)
			s.ServeConn(&u.conn, use)
		}
	}
	return nil
}

// messageEntrance is an entrance for messages, of which the floors know nothing.
func messageEntrance(l *Lib, cfg Config) (entrance, []byte) {
	request := upgradeRequest(cfg.Deflate, false)
	if l.Raw {
		return nil, request
	}
	return newEntrance(l, cfg, request), request
}

func benchUpgrade(l *Lib, offers, eof bool) func(*testing.B) error {
	cfg, request := Config{Drain: true}, upgradeRequest(noDeflate, false)
	if offers {
		cfg.Subprotocols = true
		request = upgradeRequest(takeover, true) // what browsers offer
		if l.in(noTakeover) {
			cfg.Deflate = noTakeover // the others have to parse the offer, too
		}
	}
	enter := newEntrance(l, cfg, request)
	if enter == nil || l.NoHTTP || l.DeflateOnly {
		return nil
	}
	use := func(Conn) {}
	if eof {
		use = func(c Conn) { c.Run() }
	}
	return func(b *testing.B) error {
		u := newMemUpgrade(request)
		u.conn.keep = &bytes.Buffer{}
		enter(u, nil, 0, use)
		got := u.conn.keep.String()
		u.conn.keep = nil
		answers := []string{"HTTP/1.1 101 ", clientAccept}
		if offers && !l.Raw {
			answers = append(answers, serverProtocols[0])
		}
		if cfg.Deflate != noDeflate {
			answers = append(answers, "permessage-deflate")
		}
		for _, want := range answers {
			if !strings.Contains(got, want) {
				return fmt.Errorf("no %q in the response %q", want, got)
			}
		}
		b.ResetTimer()
		for range b.N {
			enter(u, nil, 0, use)
		}
		return nil
	}
}

// errNotUpgraded: the entrance did not call use.
var errNotUpgraded = errors.New("not upgraded")

func benchRead(l *Lib, cfg Config, m *message) func(*testing.B) error {
	enter, request := messageEntrance(l, cfg)
	if enter == nil {
		return nil
	}
	return func(b *testing.B) error {
		u := newMemUpgrade(request)
		err := errNotUpgraded
		enter(u, m.frame, b.N, func(c Conn) {
			u.conn.reads = 0
			b.ResetTimer()
			msgs, n := c.Run()
			b.StopTimer()
			err = nil
			if msgs != b.N || n != b.N*len(m.payload) {
				err = fmt.Errorf("read %d messages and %d bytes, not %d and %d", msgs, n, b.N, b.N*len(m.payload))
			}
		})
		b.ReportMetric(float64(u.conn.reads)/float64(b.N), "io/op")
		return err
	}
}

// benchWrite writes messages of one size in turn.
func benchWrite(l *Lib, cfg Config, msgs []message, text bool) func(*testing.B) error {
	enter, request := messageEntrance(l, cfg)
	if enter == nil {
		return nil
	}
	return func(b *testing.B) error {
		u := newMemUpgrade(request)
		var total atomic.Int64
		err := errNotUpgraded
		enter(u, nil, 0, func(c Conn) {
			u.conn.writes, u.conn.total = 0, &total
			b.ResetTimer()
			err = nil
			for i := 0; i < b.N && err == nil; i++ {
				err = c.Write(text, msgs[i%len(msgs)].payload)
			}
			b.StopTimer()
			u.conn.total = nil
			b.ReportMetric(float64(u.conn.writes)/float64(b.N), "io/op")
		})
		plain := int64(b.N) * serverFrameSize(len(msgs[0].payload))
		if err == nil && (total.Load() != plain) != (cfg.Deflate != noDeflate) {
			err = fmt.Errorf("wrote %d bytes; uncompressed, they are %d", total.Load(), plain)
		}
		return err
	}
}

// benchBroadcast prepares one message for many connections, sends it, and waits
// until all have it.
func benchBroadcast(l *Lib, m *message) func(*testing.B) error {
	enter, request := messageEntrance(l, Config{Drain: true})
	prepare := l.New(Config{Drain: true}).Prepare
	if enter == nil || prepare == nil {
		return nil
	}
	return func(b *testing.B) error {
		var total atomic.Int64
		conns, release := openMany(enter, request, &total)
		defer release()
		b.ResetTimer()
		defer b.StopTimer()
		for i := range b.N {
			send, done := prepare(true, m.payload)
			for _, c := range conns {
				if err := send(c); err != nil {
					return err
				}
			}
			done()
			for want := int64(i+1) * broadcastConns * serverFrameSize(broadcastSize); total.Load() < want; {
				runtime.Gosched()
			}
		}
		return nil
	}
}

// openMany keeps connections open until they are released. They count in total
// what is written to them.
func openMany(enter entrance, request []byte, total *atomic.Int64) (conns []Conn, release func()) {
	ready, done := make(chan Conn), make(chan struct{})
	var wg sync.WaitGroup
	for range broadcastConns {
		wg.Go(func() {
			u := newMemUpgrade(request)
			enter(u, nil, 0, func(c Conn) {
				u.conn.total = total
				ready <- c
				<-done
				u.conn.total = nil
			})
		})
		conns = append(conns, <-ready)
	}
	return conns, func() {
		close(done)
		wg.Wait()
	}
}

func serverFrameSize(n int) int64 {
	switch {
	case n < 126:
		return int64(n + 2)
	case n < 1<<16:
		return int64(n + 4)
	}
	return int64(n + 10)
}
