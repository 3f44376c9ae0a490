package main

import (
	"strings"
	"testing"
)

func TestLeft(t *testing.T) {
	rest := report{Goroutines: 7, Descriptors: 15}
	for _, tt := range []struct {
		name string
		now  report
		want string
	}{
		{"as before", report{Goroutines: 7, Descriptors: 15}, ""},
		{"fewer", report{Goroutines: 6, Descriptors: 14}, ""},
		{"a member", report{Open: 1}, "1 connections in the group, want 0"},
		{"a place", report{Places: 2}, "2 places taken of the limiter, want 0"},
		{"a visit", report{Visits: 3}, "3 handlers without OnClose, want 0"},
		{"a goroutine", report{Goroutines: 8}, "8 goroutines, want 7"},
		{"a descriptor, and a goroutine", report{Goroutines: 9, Descriptors: 16}, "9 goroutines, want 7; 16 descriptors, want 15"},
	} {
		if got := tt.now.left(&rest); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestCompareHeaps(t *testing.T) {
	const conns = 40_000 // in the second round
	p := aPlan()
	rest, first := report{Heap: 1 << 20}, report{Heap: 1<<20 + 50<<10, Opened: 1000}
	for _, tt := range []struct {
		name           string
		first2, second int // added to the first and second report
		wrong          string
	}{
		{"no growth", 0, 0, ""},
		{"noise", 0, 1 << 19, ""},
		{"less than before", 0, -1 << 19, ""},
		{"64 bytes for each connection", 0, 64 * conns, "second round"},
		{"a kilobyte for each connection", 0, 1024 * conns, "second round"},
		{"the first round alone", 8 << 20, 0, "first round"},
	} {
		first, second := first, report{Opened: first.Opened + conns}
		first.Heap += uint64(tt.first2)
		second.Heap = uint64(int(first.Heap) + tt.second)
		err := compareHeaps(p, &rest, &first, &second)
		if tt.wrong == "" && err != nil || tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong)) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.wrong)
		}
	}
}
