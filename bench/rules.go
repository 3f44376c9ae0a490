package main

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// rule is what has to hold of Airlock in a case: by itself, or beside the best of
// its peers.
type rule struct {
	workload, name, metric string
	most                   float64 // at most so much; 0 for no such limit
	ratio                  float64 // at most so many times what the best peer has; 0 for no such limit
}

// rules leave room for a machine that does other things as well. Not to cost more
// CPU than the best peer is what matters, so the room is below that limit. Memory
// and bytes on the wire hardly vary.
var rules = []rule{
	{"deflate", noTakeover + "/64B", "server_us", 0, 1.15}, // nearly all of it is the kernel's, for everybody
	{"deflate", noTakeover + "/1KiB", "server_us", 0, 1},
	{"deflate", noTakeover + "/16KiB", "server_us", 0, 1.15}, // fasthttp has klauspost's compressor
	{"deflate", takeover + "/1KiB", "server_us", 0, 1},
	{"deflate", takeover + "/16KiB", "server_us", 0, 1},
	{"deflate", smallWindows + "/1KiB", "server_us", 0, 0.8},

	{"deflate", noTakeover + "/1KiB", "wire_ratio", 0, 1.05},
	{"deflate", noTakeover + "/16KiB", "wire_ratio", 0, 1.05},
	{"deflate", takeover + "/1KiB", "wire_ratio", 0, 1.1},
	{"deflate", takeover + "/16KiB", "wire_ratio", 0, 1.1},
	{"deflate", smallWindows + "/1KiB", "wire_ratio", 0, 1.25}, // gws searches longer there

	{"deflate-memory", noTakeover, "added", bookkeeping, 0},
	{"deflate-memory", takeover, "added", 2*32<<10 + bookkeeping, 1.05},
	{"deflate-memory", smallWindows, "added", 2*4<<10 + bookkeeping, 1},
}

// bookkeeping is what an idle connection may keep beside its two windows.
const bookkeeping = 1 << 10

// ruleSettings are for the first time, and the others for a second, where that is
// needed.
var (
	ruleSettings      = settings{Rounds: 5, WeighIns: 1, Slice: 150 * time.Millisecond, Busy: 500}
	ruleSettingsAgain = settings{Rounds: 9, WeighIns: 1, Slice: 250 * time.Millisecond, Busy: 500}
)

// measureRules measures what the rules are about.
func measureRules(s settings, ls []*Lib, pin bool) (*report, error) {
	names := []string{regexp.QuoteMeta("deflate-memory/" + uncompressed)}
	for _, k := range rules {
		names = append(names, regexp.QuoteMeta(k.workload+"/"+k.name))
	}
	// What differs only in how Airlock is used is no peer, nor the Airlock that is meant.
	ls = libsWhich(ls, func(l *Lib) bool { return l == &libAirlock || l.peer() })
	match := regexp.MustCompile("^(" + strings.Join(names, "|") + ")$")
	r := &runner{settings: s, libs: ls, match: match, pin: pin}
	if err := r.deflate(); err != nil {
		return nil, err
	}
	return &r.rep, r.deflateMemory()
}

// judge says of each rule whether it holds, as a table, and returns an error for
// those that do not.
func (r *report) judge(rules []rule) (string, error) {
	rows := [][]string{{"rule", "best peer", "airlock", "at most", "to the best peer", "at most", "holds"}}
	var broken []error
	for _, k := range rules {
		row, err := r.judgeRule(k)
		if err != nil {
			broken = append(broken, err)
		}
		rows = append(rows, row)
	}
	return markdownTable(rows, 2), errors.Join(broken...)
}

func (r *report) judgeRule(k rule) (row []string, err error) {
	at := key{k.workload, k.name, libAirlock.Name}
	best := r.bestPeer(at, k.metric, func(*Lib) bool { return true })
	name := fmt.Sprintf("%s, %s: %s", k.workload, k.name, k.metric)
	rounds := r.rounds[at][k.metric]
	if len(rounds) == 0 || k.ratio != 0 && best == "" {
		return []string{name, best, "-", "-", "-", "-", "no"}, fmt.Errorf("%s: nothing was measured", name)
	}
	limit := func(v float64) string {
		if v == 0 {
			return "-"
		}
		return number(v)
	}
	got, ratio := median(rounds), r.ratio(at, k.metric, best)
	row = []string{name, cmp.Or(best, "-"), number(got), limit(k.most), number(ratio), limit(k.ratio), "yes"}
	switch {
	case k.most != 0 && got > k.most:
		err = fmt.Errorf("%s is %s, and should be at most %s", name, number(got), number(k.most))
	case k.ratio != 0 && ratio > k.ratio:
		err = fmt.Errorf("%s is %s times that of %s, and should be at most %s times", name, number(ratio), best, number(k.ratio))
	default:
		return row, nil
	}
	row[len(row)-1] = "no"
	return row, err
}
