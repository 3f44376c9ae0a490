package main

import (
	"math"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		name string
		v    []float64
		want float64
	}{
		{"none", nil, 0},
		{"one", []float64{7}, 7},
		{"two", []float64{1, 4}, 2.5},
		{"odd, unsorted", []float64{9, 1, 5}, 5},
		{"even, unsorted", []float64{8, 1, 2, 100}, 5},
		{"one that is far off", []float64{1, 1, 1, 1, 1e9}, 1},
	} {
		if got := median(tt.v); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	v := []float64{3, 1, 2}
	median(v)
	if v[0] != 3 || v[1] != 1 {
		t.Errorf("the rounds have been sorted: %v", v)
	}
}

func TestMedianRatio(t *testing.T) {
	for _, tt := range []struct {
		name    string
		v, base []float64
		want    float64
	}{
		{"nothing", nil, nil, 0},
		{"nothing to compare with", []float64{1}, nil, 0},
		{"equal", []float64{3, 5}, []float64{3, 5}, 1},
		{"round by round, not of the medians", []float64{1, 20, 300}, []float64{1, 10, 100}, 2},
		{"rounds that are slow for both", []float64{2, 200, 2}, []float64{1, 100, 1}, 2},
		{"a round more", []float64{2, 4, 100}, []float64{1, 2}, 2},
		{"a round of nothing", []float64{2, 4}, []float64{0, 1}, 4},
	} {
		if got := medianRatio(tt.v, tt.base); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestHist(t *testing.T) {
	var a, b hist
	for i := 1; i <= 1000; i++ {
		h := &a
		if i%2 == 0 {
			h = &b
		}
		h.add(time.Duration(i) * time.Microsecond)
	}
	a.merge(&b)
	for _, q := range []float64{0.001, 0.25, 0.5, 0.99, 1} {
		if got, want := a.quantile(q), q*1000; math.Abs(got-want) > 0.035*want {
			t.Errorf("quantile %v of 1 to 1000 µs is %v", q, got)
		}
	}
	var extreme hist
	extreme.add(0)
	if got := extreme.quantile(1); got != 0.032 {
		t.Errorf("the least that is told apart is %v µs", got)
	}
	extreme.add(math.MaxInt64)
	if got := extreme.quantile(1); got < 1e9 {
		t.Errorf("the longest time came back as %v µs", got)
	}
	if got := new(hist).quantile(0.5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

func TestMarks(t *testing.T) {
	start := time.Now()
	begin := mark{at: start, server: serverStats{UserNS: 1000, SysNS: 2000}, n: 100}
	end := mark{at: start.Add(2 * time.Second), server: serverStats{UserNS: 4_001_000, SysNS: 2_002_000}, n: 1100}
	got := begin.to(end)
	for name, want := range (metrics{"per_s": 500, "server_us": 6, "server_sys_us": 2}) {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}
