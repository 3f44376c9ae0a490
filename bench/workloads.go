package main

import (
	"cmp"
	"fmt"
)

// in are the libraries that are measured in a mode of permessage-deflate, over TCP.
func (r *runner) in(mode string) []*Lib {
	return libsWhich(r.libs, func(l *Lib) bool { return l.Over == "" && l.in(mode) })
}

// handshake: TCP connect, upgrade, close.
func (r *runner) handshake() error {
	plain := func(l *Lib) Config { return Config{Detach: l.Returns} }
	if err := r.compare(r.in(noDeflate), "handshake", "plain", plain, loadSpec{Load: "handshake", Conns: 16}); err != nil {
		return err
	}
	// Two subprotocols and permessage-deflate, offered and negotiated.
	negotiate := func(l *Lib) Config {
		cfg := Config{Subprotocols: true, Detach: l.Returns}
		if l.in(noTakeover) {
			cfg.Deflate = noTakeover
		}
		return cfg
	}
	framed := libsWhich(r.in(noDeflate), func(l *Lib) bool { return !l.Raw })
	return r.compare(framed, "handshake", "offers", negotiate, loadSpec{Load: "handshake", Conns: 16, Offers: true})
}

// echoCase is a case of the workloads echo and deflate.
type echoCase struct {
	name               string
	conns, size, depth int
	kind               string
}

func (c echoCase) spec(deflate string) loadSpec {
	return loadSpec{Load: "echo", Conns: c.conns, Size: c.size, Depth: c.depth, Kind: c.kind, Deflate: deflate}
}

var (
	echoCases = []echoCase{
		{"64B", 64, 64, 1, kindBinary},
		{"1KiB", 64, 1 << 10, 1, kindBinary},
		{"16KiB", 32, 16 << 10, 1, kindBinary},
		{"1MiB", 4, 1 << 20, 1, kindBinary},
		{"64B pipelined 64", 16, 64, 64, kindBinary},
	}
	moreEchoCases = []echoCase{
		{"64B 1 conn", 1, 64, 1, kindBinary},
		{"64B 1000 conns", 1000, 64, 1, kindBinary},
		{"1KiB text", 64, 1 << 10, 1, kindText},
		{"16KiB utf8", 32, 16 << 10, 1, kindUTF8},
	}
)

// echo: one message in flight on each connection, or a batch.
func (r *runner) echo() error {
	cases := echoCases
	if r.More {
		cases = append(cases[:len(cases):len(cases)], moreEchoCases...)
	}
	as := func(l *Lib) Config { return Config{Detach: l.Returns} }
	for _, c := range cases {
		if err := r.compare(r.in(noDeflate), "echo", c.name, as, c.spec(noDeflate)); err != nil {
			return err
		}
	}
	return nil
}

// micro: the benchmarks in process.
func (r *runner) micro() error {
	spec := microSpec{Run: r.match.String(), Rounds: r.Rounds, Time: r.MicroSlice, Profiles: r.profiles}
	for _, l := range libsWhich(r.libs, func(l *Lib) bool { return l.Over == "" }) {
		spec.Libs = append(spec.Libs, l.Name)
	}
	return output(r.on(serverCPU), "micro", spec, r.rep.add)
}

// idle: memory of connections that have echoed once.
func (r *runner) idle() error {
	spec := loadSpec{Load: "idle", Conns: r.Idle, Size: 64, Kind: kindBinary, Echoes: 1}
	blocking := libsWhich(r.in(noDeflate), func(l *Lib) bool { return !l.Polls })
	if err := r.weigh(blocking, "idle", "blocking", Config{}, spec); err != nil {
		return err
	}
	detachable := libsWhich(r.in(noDeflate), func(l *Lib) bool { return l.Detach })
	return r.weigh(detachable, "idle", "detached", Config{Detach: true}, spec)
}

// stalled: broadcasts to connections of which one in a hundred does not read.
func (r *runner) stalled() error {
	ls := libsWhich(r.in(noDeflate), func(l *Lib) bool { return l.New(Config{Broadcast: true}).Broadcast != nil })
	as := func(l *Lib) Config { return Config{Broadcast: true, Detach: l.Returns} }
	return r.compare(ls, "stalled", "1KiB to 200", as, loadSpec{Load: "stalled", Conns: 200, Size: 1 << 10, Kind: kindBinary, Echoes: 1})
}

// neighbour: an ordinary GET on a server whose WebSockets are busy.
func (r *runner) neighbour() error {
	ls := libsWhich(r.in(noDeflate), func(l *Lib) bool { return l.pages() })
	as := func(l *Lib) Config { return Config{Detach: l.Returns} }
	for _, depth := range []int{1, 8} {
		spec := loadSpec{Load: "neighbour", Conns: 64, Size: 64, Kind: kindBinary, Depth: depth}
		if err := r.compare(ls, "neighbour", fmt.Sprintf("%d of 64", depth), as, spec); err != nil {
			return err
		}
	}
	r.rep.addNeighbours()
	return nil
}

// deflateCase is a case of the workload deflate, in each mode.
type deflateCase struct {
	echoCase
	all bool // small messages are compressed as well
}

var deflateCases = []deflateCase{
	{echoCase{"64B", 32, 64, 1, kindText}, true},
	{echoCase{"64B by default", 32, 64, 1, kindText}, false},
	{echoCase{"512B", 32, 512, 1, kindText}, true},
	{echoCase{"1KiB", 32, 1 << 10, 1, kindText}, true},
	{echoCase{"16KiB", 32, 16 << 10, 1, kindText}, true},
}

// deflate: echo of compressed JSON.
func (r *runner) deflate() error {
	for _, mode := range deflateModes {
		for _, c := range deflateCases {
			as := func(*Lib) Config { return Config{Deflate: mode, DeflateAll: c.all} }
			if err := r.compare(r.in(mode), "deflate", mode+"/"+c.name, as, c.spec(mode)); err != nil {
				return err
			}
		}
	}
	return nil
}

// deflateMemory: memory of connections that have sent and received more than any
// window holds, all at once, and are idle then; also without compression.
func (r *runner) deflateMemory() error {
	spec := loadSpec{Load: "idle", Conns: r.Busy, Size: 2 << 10, Kind: kindText, Echoes: 17}
	for _, mode := range append([]string{noDeflate}, deflateModes...) {
		ls := libsWhich(r.in(mode), func(l *Lib) bool { return l.Deflate != nil && !l.DeflateOnly })
		spec.Deflate = mode
		if err := r.weigh(ls, "deflate-memory", cmp.Or(mode, uncompressed), Config{Deflate: mode}, spec); err != nil {
			return err
		}
	}
	r.rep.addAdded()
	return nil
}

// uncompressed is the case of deflate-memory without permessage-deflate.
const uncompressed = "off"
