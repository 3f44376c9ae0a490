package main

import (
	"math/bits"
	"slices"
	"time"
)

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	return (v[len(v)/2] + v[(len(v)-1)/2]) / 2
}

// medianRatio is the median of the ratios of v to base, taken round by round,
// so that whatever slows a whole round down cancels out; 0 if there is none.
func medianRatio(v, base []float64) float64 {
	var ratios []float64
	for i := range min(len(v), len(base)) {
		if base[i] != 0 {
			ratios = append(ratios, v[i]/base[i])
		}
	}
	return median(ratios)
}

// hist counts durations in buckets 3% wide.
type hist [40 * 32]uint32

func (h *hist) add(d time.Duration) {
	v := uint64(max(d, 32))
	e := bits.Len64(v) - 6 // v>>e is in [32, 64)
	h[min(e*32+int(v>>e)-32, len(h)-1)]++
}

func (h *hist) merge(o *hist) {
	for i, n := range o {
		h[i] += n
	}
}

// quantile is in microseconds.
func (h *hist) quantile(q float64) float64 {
	var n, seen uint64
	for _, k := range h {
		n += uint64(k)
	}
	for i, k := range h {
		if seen += uint64(k); k > 0 && float64(seen) >= q*float64(n) {
			return float64(uint64(32+i%32)<<(i/32)) / 1e3
		}
	}
	return 0
}
