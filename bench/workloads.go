package main

// handshake: TCP connect, upgrade, close.
func (r *runner) handshake() error {
	plain := func(l *Lib) Config { return Config{Detach: l.Returns} }
	if err := r.compare(r.libs, "handshake", "plain", plain, loadSpec{Load: "handshake", Conns: 16}); err != nil {
		return err
	}
	// Two subprotocols and permessage-deflate, offered and negotiated.
	negotiate := func(l *Lib) Config {
		cfg := Config{Subprotocols: true, Detach: l.Returns}
		if l.deflates(noTakeover) {
			cfg.Deflate = noTakeover
		}
		return cfg
	}
	framed := libsWhich(r.libs, func(l *Lib) bool { return !l.Raw })
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
	deflateCases = []echoCase{
		{"1KiB", 32, 1 << 10, 1, kindText},
		{"16KiB", 32, 16 << 10, 1, kindText},
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
		if err := r.compare(r.libs, "echo", c.name, as, c.spec(noDeflate)); err != nil {
			return err
		}
	}
	return nil
}

// micro: the benchmarks in process.
func (r *runner) micro() error {
	spec := microSpec{Run: r.match.String(), Rounds: r.Rounds, Time: r.MicroSlice, Profiles: r.profiles}
	for _, l := range r.libs {
		spec.Libs = append(spec.Libs, l.Name)
	}
	return output(r.on(serverCPU), "micro", spec, r.rep.add)
}

// idle: memory of connections that have echoed once.
func (r *runner) idle() error {
	spec := loadSpec{Load: "idle", Conns: r.Idle, Size: 64, Kind: kindBinary, Echoes: 1}
	if err := r.weigh(r.libs, "idle", "blocking", Config{}, spec); err != nil {
		return err
	}
	detachable := libsWhich(r.libs, func(l *Lib) bool { return l.Detach })
	return r.weigh(detachable, "idle", "detached", Config{Detach: true}, spec)
}

// deflate: echo of compressed JSON, and the memory of busy connections.
func (r *runner) deflate() error {
	for _, mode := range []string{noTakeover, takeover} {
		ls := libsWhich(r.libs, func(l *Lib) bool { return l.deflates(mode) })
		cfg := Config{Deflate: mode}
		for _, c := range deflateCases {
			if err := r.compare(ls, "deflate", c.name+" "+mode, func(*Lib) Config { return cfg }, c.spec(mode)); err != nil {
				return err
			}
		}
		spec := loadSpec{Load: "idle", Conns: r.Busy, Size: 1 << 10, Kind: kindText, Deflate: mode, Echoes: 10}
		if err := r.weigh(ls, "deflate-memory", mode, cfg, spec); err != nil {
			return err
		}
	}
	return nil
}
