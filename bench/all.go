package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"time"
)

// runner measures and reports.
type runner struct {
	settings
	libs     []*Lib
	match    *regexp.Regexp // of workload/case
	pin      bool
	profiles string // directory; "" for none
	rep      report
}

// settings are how long everything takes.
type settings struct {
	Rounds     int           // of loads and benchmarks
	WeighIns   int           // rounds where memory is measured
	Slice      time.Duration // of a load in a round
	MicroSlice time.Duration
	Idle, Busy int  // connections where memory is measured
	More       bool // all cases of echo
}

var (
	quickSettings = settings{Rounds: 3, WeighIns: 1, Slice: 300 * time.Millisecond, MicroSlice: 40 * time.Millisecond, Idle: 10000, Busy: 1000}
	fullSettings  = settings{Rounds: 7, WeighIns: 3, Slice: time.Second, MicroSlice: 200 * time.Millisecond, Idle: 10000, Busy: 1000, More: true}
)

func cmdAll(args []string) error {
	f := flag.NewFlagSet("all", flag.ExitOnError)
	quick := f.Bool("quick", false, "fewer cases, short slices: about 10 minutes")
	names := f.String("libs", "", "comma-separated libraries; all by default")
	run := f.String("run", "", "regexp of the workload/case to measure, such as '^echo/64B$'; all by default")
	rounds := f.Int("rounds", 0, "rounds; 3 with -quick, otherwise 7")
	slice := f.Duration("slice", 0, "measured time of a load in a round; 300ms with -quick, otherwise 1s")
	pin := f.Bool("pin", true, "pin servers and loads to a CPU each")
	profiles := f.String("profile", "", "write the servers' CPU profiles into this directory; slices last 1s or longer")
	write := f.String("write", "", "write the tables into this document, in place of those it has, instead of to standard output")
	f.Parse(args)
	if f.NArg() > 0 {
		return fmt.Errorf("what is %q?", f.Args())
	}

	r := &runner{settings: fullSettings, pin: *pin, profiles: *profiles}
	if *quick {
		r.settings = quickSettings
	}
	if *rounds > 0 {
		r.Rounds = *rounds
	}
	if *slice > 0 {
		r.Slice = *slice
	}
	if r.profiles != "" {
		r.Slice = max(r.Slice, time.Second)
	}
	var err error
	if r.libs, err = pickLibs(*names); err != nil {
		return err
	}
	if r.match, err = regexp.Compile(*run); err != nil {
		return err
	}
	if *write == "" {
		text, err := r.all()
		fmt.Print(text)
		return err
	}
	return rewrite(*write, r.all)
}

// all measures everything and returns the tables.
func (r *runner) all() (string, error) {
	loadBefore := loadAverage()
	for _, step := range []struct {
		name string
		run  func() error
	}{
		{"handshake", r.handshake},
		{"echo", r.echo},
		{"in process", r.micro},
		{"neighbour", r.neighbour},
		{"stalled", r.stalled},
		{"idle", r.idle},
		{"deflate", r.deflate},
		{"deflate-memory", r.deflateMemory},
		{"http2", r.http2},
	} {
		start := time.Now()
		if err := step.run(); err != nil {
			return "", fmt.Errorf("%s: %w", step.name, err)
		}
		fmt.Fprintf(os.Stderr, "%s took %.0fs\n", step.name, time.Since(start).Seconds())
	}
	return r.conditions(loadBefore) + r.rep.markdown(r.libs), nil
}

// on is the CPU to pin to.
func (r *runner) on(cpu string) string {
	if r.pin {
		return cpu
	}
	return ""
}

func (r *runner) wants(workload, name string) bool { return r.match.MatchString(workload + "/" + name) }

// load loads a server once and adds what came of it to the report.
func (r *runner) load(p *process, workload, name string, spec loadSpec) error {
	spec.Lib, spec.Addr, spec.Ctl = p.lib.Name, p.Addr, p.Ctl
	spec.For = r.Slice
	spec.Profile = profileFile(r.profiles, workload, name, p.lib.Name)
	err := output(r.on(loadCPU), "load", spec, func(m metrics) {
		r.rep.add(figures{workload, name, p.lib.Name, m})
	})
	if err != nil {
		return fmt.Errorf("%s/%s, %s: %w", workload, name, p.lib.Name, err)
	}
	return nil
}

// compare starts a server for each library, and loads them in turns.
func (r *runner) compare(ls []*Lib, workload, name string, cfg func(*Lib) Config, spec loadSpec) error {
	if !r.wants(workload, name) {
		return nil
	}
	var servers []*process
	defer func() {
		for _, p := range servers {
			p.stop()
		}
	}()
	for _, l := range ls {
		p, err := startServer(r.on(serverCPU), l, cfg(l))
		if err != nil {
			return err
		}
		servers = append(servers, p)
	}
	return interleave(r.Rounds, servers, func(p *process) error { return r.load(p, workload, name, spec) })
}

// weigh is compare for memory: each measurement has a fresh server.
func (r *runner) weigh(ls []*Lib, workload, name string, cfg Config, spec loadSpec) error {
	if !r.wants(workload, name) {
		return nil
	}
	return interleave(r.WeighIns, ls, func(l *Lib) error {
		p, err := startServer(r.on(serverCPU), l, cfg)
		if err != nil {
			return err
		}
		defer p.stop()
		return r.load(p, workload, name, spec)
	})
}
