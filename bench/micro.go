package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"testing"
	"time"
)

// figures are what one measurement of a library yields, or of a floor.
type figures struct {
	Workload, Case, Lib string
	Metrics             metrics
}

// microSpec says which benchmarks to run in process.
type microSpec struct {
	Libs     []string
	Run      string // regexp of workload/case
	Rounds   int
	Time     time.Duration // for one benchmark
	Profiles string        // directory for CPU profiles; "" for none
}

// microBench is a benchmark of one library, or of a floor.
type microBench struct {
	lib string
	run func(b *testing.B) error
}

// cmdMicro prints figures, one a line, in JSON.
func cmdMicro(args []string) error {
	var spec microSpec
	if err := decodeSpec(args, &spec); err != nil {
		return err
	}
	testing.Init()
	if err := flag.Set("test.benchtime", spec.Time.String()); err != nil {
		return err
	}
	match, err := regexp.Compile(spec.Run)
	if err != nil {
		return err
	}
	var ls []*Lib
	for _, name := range spec.Libs {
		l, err := findLib(name)
		if err != nil {
			return err
		}
		ls = append(ls, l)
	}
	out := json.NewEncoder(os.Stdout)
	for _, c := range microCases() {
		if !match.MatchString(c.workload + "/" + c.name) {
			continue
		}
		if err := c.measure(ls, spec, out); err != nil {
			return err
		}
	}
	return nil
}

func (c *microCase) measure(ls []*Lib, spec microSpec, out *json.Encoder) error {
	var benches []microBench
	for _, l := range ls {
		if run := c.bench(l); run != nil {
			benches = append(benches, microBench{l.Name, run})
		}
	}
	if spec.Profiles == "" {
		benches = append(benches, c.floors...)
	}
	return interleave(spec.Rounds, benches, func(b microBench) error {
		m, err := b.measure(profileFile(spec.Profiles, c.workload, c.name, b.lib))
		if err != nil {
			return fmt.Errorf("%s/%s, %s: %w", c.workload, c.name, b.lib, err)
		}
		return out.Encode(figures{c.workload, c.name, b.lib, m})
	})
}

// measure runs a benchmark, with a CPU profile if there is a file for it.
func (mb microBench) measure(profile string) (m metrics, err error) {
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return nil, err
		}
		defer pprof.StopCPUProfile()
	}
	r := testing.Benchmark(func(b *testing.B) {
		if err = mb.run(b); err != nil {
			b.FailNow()
		}
	})
	if err != nil {
		return nil, err
	}
	m = metrics{
		"ns":     float64(r.T.Nanoseconds()) / float64(r.N),
		"allocs": float64(r.AllocsPerOp()),
		"B":      float64(r.AllocedBytesPerOp()),
	}
	if io, ok := r.Extra["io/op"]; ok {
		m["io"] = io
	}
	return m, nil
}

// profileFile is where the profile of a measurement goes, if dir is not "".
func profileFile(dir, workload, name, lib string) string {
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, fileName(workload+"-"+name+"-"+lib)+".pprof")
}

var notInFileNames = regexp.MustCompile(`[^\w.-]+`)

func fileName(s string) string { return notInFileNames.ReplaceAllString(s, "-") }
