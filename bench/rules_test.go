package main

import (
	"strings"
	"testing"
)

// TestRules: everything that the rules are about is measured.
func TestRules(t *testing.T) {
	rep, err := measureRules(tiny, []*Lib{&libAirlock, &libAirlockServe, &libAirlockPoller, &libGorilla, &libGWS, &libXNet}, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range rules {
		row, _ := rep.judgeRule(k) // whether it holds is not to be seen in so short a time
		if k.most == 0 && k.ratio == 0 {
			t.Errorf("%v has no limit", k)
		}
		if got := row[3]; got == "-" {
			t.Errorf("not measured: %q", row)
		}
	}
	want := map[string]string{
		"deflate": "airlock gorilla gws", "deflate-memory": "airlock gorilla gws",
		"stalled": "airlock airlock-poller", "neighbour": "airlock-serve airlock-poller", "idle": "airlock-poller",
	}
	for workload, libs := range want {
		if got := strings.Join(rep.rows(workload), " "); got != libs {
			t.Errorf("%s: measured %s, and the rules are about %s", workload, got, libs)
		}
	}
}

func TestJudge(t *testing.T) {
	r := sample("deflate", "takeover/1KiB", "server_us", map[string][]float64{
		// xnet is partial, so gws is the best peer.
		"airlock": {4, 8, 4}, "gorilla": {8, 16, 8}, "gws": {5, 10, 5}, "xnet": {1, 1, 1},
	})
	for _, tt := range []struct {
		name string
		rule rule
		row  string
		want string // in the error; "" for none
	}{
		{"less than a peer", rule{&libAirlock, "deflate", "takeover/1KiB", "server_us", 0, 0.8}, "gws 4.00 - 0.80 0.80 yes", ""},
		{"more than a peer", rule{&libAirlock, "deflate", "takeover/1KiB", "server_us", 0, 0.79}, "gws 4.00 - 0.80 0.79 no", "0.80 times that of gws"},
		{"few enough", rule{&libAirlock, "deflate", "takeover/1KiB", "server_us", 4, 0}, "gws 4.00 4.00 0.80 - yes", ""},
		{"too much", rule{&libAirlock, "deflate", "takeover/1KiB", "server_us", 3.9, 0.8}, "gws 4.00 3.90 0.80 0.80 no", "at most 3.90"},
		{"another case", rule{&libAirlock, "deflate", "takeover/2KiB", "server_us", 4, 1}, "- - - - no", "nothing was measured"},
		{"another metric", rule{&libAirlock, "deflate", "takeover/1KiB", "per_s", 4, 0}, "- - - - no", "nothing was measured"},
	} {
		row, err := r.judgeRule(tt.rule)
		if got := squeeze(strings.Join(row[2:], " ")); got != tt.row {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.row)
		}
		if (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}

	holds, breaks := rule{&libAirlock, "deflate", "takeover/1KiB", "server_us", 0, 1}, rule{&libAirlock, "deflate", "takeover/1KiB", "server_us", 0, 0.5}
	for _, tt := range []struct {
		name  string
		rules []rule
		fine  bool
	}{
		{"all hold", []rule{holds, holds}, true},
		{"one does not", []rule{breaks, holds}, false},
	} {
		table, err := r.judge(tt.rules)
		if (err == nil) != tt.fine || strings.Count(table, "\n") != 2+len(tt.rules) {
			t.Errorf("%s: %v\n%s", tt.name, err, table)
		}
	}

	alone := sample("deflate", "takeover/1KiB", "server_us", map[string][]float64{"airlock": {4}})
	if _, err := alone.judge([]rule{{&libAirlock, "deflate", "takeover/1KiB", "server_us", 5, 0}}); err != nil {
		t.Errorf("a rule without peers, and without any: %v", err)
	}
	if _, err := alone.judge([]rule{holds}); err == nil {
		t.Error("compared with nobody, a rule about peers holds")
	}
}

func TestAdded(t *testing.T) {
	var r report
	for _, f := range []struct {
		name, lib string
		memory    float64
	}{
		{uncompressed, "airlock", 100}, {uncompressed, "airlock", 200},
		{takeover, "airlock", 110}, {takeover, "airlock", 230},
		{takeover, "gws", 1000}, // nothing to compare with
	} {
		r.add(figures{"deflate-memory", f.name, f.lib, metrics{"memory": f.memory}})
	}
	r.addAdded()
	for k, want := range map[key]float64{
		{"deflate-memory", uncompressed, "airlock"}: 0,
		{"deflate-memory", takeover, "airlock"}:     20,
	} {
		if got := r.rounds[k]["added"]; len(got) != 2 || median(got) != want {
			t.Errorf("%v: %v, want %v in the middle", k, got, want)
		}
	}
	if got := r.rounds[key{"deflate-memory", takeover, "gws"}]["added"]; got != nil {
		t.Errorf("added to what was not measured: %v", got)
	}
}

func TestAddNeighbours(t *testing.T) {
	var r report
	for lib, us := range map[string][]float64{"airlock-poller": {100, 240}, "airlock-serve": {100, 200}, "hijack-only": {50, 100}} {
		for _, v := range us {
			r.add(figures{"neighbour", "a case", lib, metrics{"get_us": v}})
		}
	}
	r.addNeighbours()
	for lib, want := range map[string]map[string]float64{
		"airlock-poller": {toServe: 1.1, toHijack: 2.2},
		"airlock-serve":  {toServe: 1, toHijack: 2},
		"hijack-only":    {toServe: 0.5, toHijack: 1},
	} {
		for metric, want := range want {
			if got := r.rounds[key{"neighbour", "a case", lib}][metric]; len(got) != 2 || median(got) != want {
				t.Errorf("%s %s: %v, want %v in the middle", lib, metric, got, want)
			}
		}
	}
}
