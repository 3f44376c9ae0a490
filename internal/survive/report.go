package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
)

// A report is how a server is.
type report struct {
	Open, Places, Visits int // in the group, of the limiter, with a handler
	Peak                 int // of visits
	Opened, Closed       int64
	Echoed, Skipped      int64
	Goroutines           int
	Descriptors          int // -1: the system does not list them
	Heap                 uint64
	Ends                 map[string]int // by cause
	Complaints           []string
}

func (s *server) report() report {
	// Twice, or pools keep what they had before the first.
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s.mu.Lock()
	defer s.mu.Unlock()
	return report{
		Open: s.options.Group.Len(), Places: s.options.Limiter.Len(), Visits: len(s.visits),
		Peak: s.peak, Opened: s.opened.Load(), Closed: s.closed.Load(),
		Echoed: s.echoed.Load(), Skipped: s.skipped.Load(),
		Goroutines:  runtime.NumGoroutine(),
		Descriptors: descriptors(),
		Heap:        m.HeapAlloc,
		Ends:        maps.Clone(s.ends),
		Complaints:  slices.Clone(s.wrong),
	}
}

func descriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(entries)
}

// stacks returns what all goroutines do.
func stacks() string {
	var b strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&b, 1) // to memory
	return b.String()
}

// left returns what is still there that was not there at rest; "" for nothing.
func (r *report) left(rest *report) string {
	var left []string
	check := func(what string, got, want int) {
		if got > want {
			left = append(left, fmt.Sprintf("%d %s, want %d", got, what, want))
		}
	}
	check("connections in the group", r.Open, 0)
	check("places taken of the limiter", r.Places, 0)
	check("handlers without OnClose", r.Visits, 0)
	check("goroutines", r.Goroutines, rest.Goroutines)
	check("descriptors", r.Descriptors, rest.Descriptors)
	return strings.Join(left, "; ")
}

// What the heap may grow by between the ends of two rounds that were alike: some
// noise, and less for each connection than anything that one might leave behind. The
// first round may do more. It is larger than the warm-up, and the runtime keeps a
// descriptor of some 400 bytes for every goroutine that there ever was at a time, and
// maps keep their room.
const (
	heapNoise       = 1 << 20
	heapPerConn     = 32
	heapPerConnOnce = 2 << 10
)

// compareHeaps returns an error for growth that is not explained.
func compareHeaps(p *plan, rest, first, second *report) error {
	var errs []error
	opened := uint64(second.Opened - first.Opened)
	if limit := first.Heap + heapNoise + heapPerConn*opened; second.Heap > limit {
		errs = append(errs, fmt.Errorf("the heap grew from %d to %d bytes in the second round, with %d connections: no more than %d can be explained",
			first.Heap, second.Heap, opened, limit))
	}
	if limit := rest.Heap + heapNoise + heapPerConnOnce*uint64(p.Connections); first.Heap > limit {
		errs = append(errs, fmt.Errorf("the heap grew from %d to %d bytes in the first round: no more than %d can be explained",
			rest.Heap, first.Heap, limit))
	}
	return errors.Join(errs...)
}
