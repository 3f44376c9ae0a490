package main

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// rule is what has to hold of Airlock in a case, used in one way: by itself, or
// beside the best of its peers.
type rule struct {
	lib                    *Lib
	workload, name, metric string
	most                   float64 // at most so much; 0 for no such limit
	ratio                  float64 // at most so many times what the best peer has; 0 for no such limit
}

// rules leave room for a machine that does other things as well. Not to cost more
// CPU than the best peer is what matters, so the room is below that limit. Memory
// and bytes on the wire hardly vary.
var rules = []rule{
	{&libAirlock, "deflate", noTakeover + "/64B", "server_us", 0, 1.15}, // nearly all of it is the kernel's, for everybody
	{&libAirlock, "deflate", noTakeover + "/1KiB", "server_us", 0, 1},
	{&libAirlock, "deflate", noTakeover + "/16KiB", "server_us", 0, 1.15}, // fasthttp has klauspost's compressor
	{&libAirlock, "deflate", takeover + "/1KiB", "server_us", 0, 1},
	{&libAirlock, "deflate", takeover + "/16KiB", "server_us", 0, 1},
	{&libAirlock, "deflate", smallWindows + "/1KiB", "server_us", 0, 0.8},

	{&libAirlock, "deflate", noTakeover + "/1KiB", "wire_ratio", 0, 1.05},
	{&libAirlock, "deflate", noTakeover + "/16KiB", "wire_ratio", 0, 1.05},
	{&libAirlock, "deflate", takeover + "/1KiB", "wire_ratio", 0, 1.1},
	{&libAirlock, "deflate", takeover + "/16KiB", "wire_ratio", 0, 1.1},
	{&libAirlock, "deflate", smallWindows + "/1KiB", "wire_ratio", 0, 1.25}, // gws searches longer there

	{&libAirlock, "deflate-memory", noTakeover, "added", bookkeeping + stackStep, 0},
	{&libAirlock, "deflate-memory", takeover, "added", 2*32<<10 + bookkeeping + stackStep, 1.1},
	{&libAirlock, "deflate-memory", smallWindows, "added", 2*4<<10 + bookkeeping + stackStep, 1.15},

	// Who does not read delays nobody.
	{&libAirlock, "stalled", "1KiB to 200", "slowdown", 1.5, 0},
	{&libAirlockPoller, "stalled", "1KiB to 200", "slowdown", 1.5, 0},

	// With one CPU, a Poller that waited as it should not would keep the others from
	// it for milliseconds.
	{&libAirlockPoller, "neighbour", "1 of 64", toServe, 3, 0},

	{&libAirlockPoller, "idle", "detached", "memory", 3 << 10, 0},
}

// bookkeeping is what an idle connection may keep beside its two windows.
const bookkeeping = 1 << 10

// stackStep is what decompressing adds to the stack of the handler, which has 4 KiB
// without it and 8 with it. Who has 8 in any case, such as gws, has nothing to add.
const stackStep = 4 << 10

// ruleSettings are for the first time, and the others for a second, where that is
// needed.
var (
	ruleSettings      = settings{Rounds: 5, WeighIns: 1, Slice: 150 * time.Millisecond, Idle: 2000, Busy: 500}
	ruleSettingsAgain = settings{Rounds: 9, WeighIns: 1, Slice: 250 * time.Millisecond, Idle: 2000, Busy: 500}
)

// measureRules measures what the rules are about.
func measureRules(s settings, ls []*Lib, pin bool) (*report, error) {
	names := []string{regexp.QuoteMeta("deflate-memory/" + uncompressed)}
	for _, k := range rules {
		names = append(names, regexp.QuoteMeta(k.workload+"/"+k.name))
	}
	match := regexp.MustCompile("^(" + strings.Join(names, "|") + ")$")
	r := &runner{settings: s, match: match, pin: pin}
	for _, w := range []struct {
		name string
		run  func() error
	}{
		{"deflate", r.deflate},
		{"deflate-memory", r.deflateMemory},
		{"stalled", r.stalled},
		{"neighbour", r.neighbour},
		{"idle", r.idle},
	} {
		r.libs = libsWhich(ls, func(l *Lib) bool { return l.ruledIn(w.name) })
		if err := w.run(); err != nil {
			return nil, err
		}
	}
	return &r.rep, nil
}

// ruledIn reports whether a rule is about l in a workload, or about who is compared
// with it.
func (l *Lib) ruledIn(workload string) bool {
	return slices.ContainsFunc(rules, func(k rule) bool {
		return k.workload == workload && (k.lib == l || k.ratio != 0 && l.peer() || k.metric == toServe && l == &libAirlockServe)
	})
}

// judge says of each rule whether it holds, as a table, and returns an error for
// those that do not.
func (r *report) judge(rules []rule) (string, error) {
	rows := [][]string{{"rule", "of", "best peer", "it has", "at most", "to the best peer", "at most", "holds"}}
	var broken []error
	for _, k := range rules {
		row, err := r.judgeRule(k)
		if err != nil {
			broken = append(broken, err)
		}
		rows = append(rows, row)
	}
	return markdownTable(rows, 3), errors.Join(broken...)
}

func (r *report) judgeRule(k rule) (row []string, err error) {
	at := key{k.workload, k.name, k.lib.Name}
	best := r.bestPeer(at, k.metric, func(*Lib) bool { return true })
	name := fmt.Sprintf("%s, %s: %s", k.workload, k.name, k.metric)
	rounds := r.rounds[at][k.metric]
	if len(rounds) == 0 || k.ratio != 0 && best == "" {
		return []string{name, k.lib.Name, best, "-", "-", "-", "-", "no"}, fmt.Errorf("%s: nothing was measured of %s", name, k.lib.Name)
	}
	limit := func(v float64) string {
		if v == 0 {
			return "-"
		}
		return number(v)
	}
	got, ratio := median(rounds), r.ratio(at, k.metric, best)
	row = []string{name, k.lib.Name, cmp.Or(best, "-"), number(got), limit(k.most), limit(ratio), limit(k.ratio), "yes"}
	switch {
	case k.most != 0 && got > k.most:
		err = fmt.Errorf("%s of %s is %s, and should be at most %s", name, k.lib.Name, number(got), number(k.most))
	case k.ratio != 0 && ratio > k.ratio:
		err = fmt.Errorf("%s of %s is %s times that of %s, and should be at most %s times", name, k.lib.Name, number(ratio), best, number(k.ratio))
	default:
		return row, nil
	}
	row[len(row)-1] = "no"
	return row, err
}
