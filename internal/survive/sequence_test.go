package main

import (
	"testing"
)

func TestSequence(t *testing.T) {
	for _, tt := range []struct {
		name                                string
		arrive                              []uint64
		end                                 uint64
		lost, lostEven, doubled, disordered int
	}{
		{"nothing, of nothing", nil, 0, 0, 0, 0, 0},
		{"nothing, of three", nil, 3, 3, 0, 0, 0},
		{"all", []uint64{0, 1, 2}, 3, 0, 0, 0, 0},
		{"not the first", []uint64{1, 2}, 3, 1, 1, 0, 0},
		{"not the second", []uint64{0, 2}, 3, 1, 0, 0, 0},
		{"not the last", []uint64{0, 1}, 3, 1, 0, 0, 0},
		{"only the last", []uint64{4}, 5, 4, 2, 0, 0},
		{"one twice", []uint64{0, 0, 1}, 2, 0, 0, 1, 0},
		{"one twice, later", []uint64{0, 1, 2, 0}, 3, 0, 0, 1, 0},
		{"one three times", []uint64{0, 1, 1, 1}, 2, 0, 0, 2, 0},
		{"two in the wrong order", []uint64{1, 0, 2}, 3, 0, 0, 0, 1},
		{"late, and twice", []uint64{0, 2, 1, 1}, 3, 0, 0, 1, 1},
		{"one lost, one late", []uint64{0, 3, 2}, 4, 1, 0, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s sequence
			s.startAt(0)
			for _, n := range tt.arrive {
				s.add(n)
			}
			got := [...]int{s.lost(tt.end), s.lostEven(), s.doubled, s.misordered}
			if want := [...]int{tt.lost, tt.lostEven, tt.doubled, tt.disordered}; got != want {
				t.Errorf("lost, lost even, doubled, out of order: got %v, want %v", got, want)
			}
		})
	}
}

// TestSequenceAnyStart: a broadcast may be the first for somebody.
func TestSequenceAnyStart(t *testing.T) {
	var s sequence
	for _, n := range []uint64{17, 18, 20} {
		s.add(n)
	}
	if s.lost(21) != 1 || s.lost(23) != 3 {
		t.Errorf("got %+v", s)
	}
}
