package main

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
)

// baseline is the library that ratios are to, and takeoverBaseline where that
// has nothing: context takeover.
const (
	baseline         = "gorilla"
	takeoverBaseline = "gws"
)

// key is a library, or a floor, in a case.
type key struct{ workload, name, lib string }

// report gathers figures. Those of a case come in step for every library, as
// ratios are taken round by round.
type report struct {
	keys   []key // in order of appearance
	rounds map[key]map[string][]float64
}

func (r *report) add(f figures) {
	k := key{f.Workload, f.Case, f.Lib}
	if r.rounds == nil {
		r.rounds = make(map[key]map[string][]float64)
	}
	if r.rounds[k] == nil {
		r.rounds[k] = make(map[string][]float64)
		r.keys = append(r.keys, k)
	}
	for name, v := range f.Metrics {
		r.rounds[k][name] = append(r.rounds[k][name], v)
	}
}

// addAdded works out what compression adds to the memory of a connection.
func (r *report) addAdded() {
	for _, k := range r.keys {
		without := r.rounds[key{"deflate-memory", uncompressed, k.lib}]["memory"]
		if k.workload != "deflate-memory" || without == nil {
			continue
		}
		for i, with := range r.rounds[k]["memory"] {
			r.rounds[k]["added"] = append(r.rounds[k]["added"], with-without[i])
		}
	}
}

// What a GET takes beside what it takes on another server that does the same.
const (
	toServe  = "to_serve"  // airlock-serve, with a goroutine for each connection
	toHijack = "to_hijack" // the floor
)

// addNeighbours works these out.
func (r *report) addNeighbours() {
	for _, k := range r.keys {
		if k.workload != "neighbour" {
			continue
		}
		for metric, other := range map[string]*Lib{toServe: &libAirlockServe, toHijack: &libHijackOnly} {
			for i, base := range r.rounds[key{k.workload, k.name, other.Name}]["get_us"] {
				r.rounds[k][metric] = append(r.rounds[k][metric], r.rounds[k]["get_us"][i]/base)
			}
		}
	}
}

// ratio is that of k's metric to another library's in the same case.
func (r *report) ratio(k key, metric, other string) float64 {
	return medianRatio(r.rounds[k][metric], r.rounds[key{k.workload, k.name, other}][metric])
}

// cases are the names of those of a workload that begin with prefix.
func (r *report) cases(workload, prefix string) (names []string) {
	for _, k := range r.keys {
		if k.workload == workload && strings.HasPrefix(k.name, prefix) && !slices.Contains(names, k.name) {
			names = append(names, k.name)
		}
	}
	return names
}

// rows are the names of libraries and then floors that are in a workload.
func (r *report) rows(workload string) (names []string) {
	var floors []string
	for _, k := range r.keys {
		switch _, err := findLib(k.lib); {
		case k.workload != workload:
		case err == nil:
			names = append(names, k.lib)
		default:
			floors = append(floors, k.lib)
		}
	}
	rank := func(name string) int { return slices.IndexFunc(libs, func(l *Lib) bool { return l.Name == name }) }
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	slices.Sort(floors)
	return append(slices.Compact(names), slices.Compact(floors)...)
}

// loadAverage is that of the last minute.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "?"
	}
	load, _, _ := strings.Cut(string(b), " ")
	return load
}

// conditions says on what and how was measured.
func (r *runner) conditions(loadBefore string) string {
	pinned := ""
	if r.pin {
		pinned = ", servers and load on one each"
	}
	return fmt.Sprintf("Measured with %s on %s/%s, %d CPUs%s; %d rounds of %v a load and %v a benchmark in process;\n"+
		"load average %s before and %s after, of which the measurement itself makes one to two.\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), pinned, r.Rounds, r.Slice, r.MicroSlice, loadBefore, loadAverage())
}

// markdown is all tables.
func (r *report) markdown(ls []*Lib) string {
	var b strings.Builder
	b.WriteString(librariesTable(ls))
	b.WriteString(r.glance())
	b.WriteString(r.http2Glance())
	for _, s := range sections {
		b.WriteString(r.table(s))
	}
	return b.String()
}

func librariesTable(ls []*Lib) string {
	rows := [][]string{{"library", "version", "how it is used"}}
	for _, l := range ls {
		rows = append(rows, []string{l.Name, l.version(), l.How})
	}
	return "\n### The libraries\n\n" + markdownTable(rows, 3)
}
