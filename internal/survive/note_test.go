package main

import (
	"bytes"
	"testing"
)

func TestNote(t *testing.T) {
	for _, n := range []note{{echo, 1<<63 + 5, 7}, {broadcast, 0, 0}, {kind: question}, {answer, 12, 3}} {
		for _, size := range []int{0, 1, 30, 64, 500, 40000} {
			p := n.bytes(size)
			if len(p) < size || len(p) > size+64 {
				t.Errorf("%+v has %d bytes, want about %d", n, len(p), size)
			}
			if got, err := parseNote(p); got != n || err != nil {
				t.Errorf("got %+v, %v, want %+v", got, err, n)
			}
		}
	}
	p := note{echo, 5, 7}.bytes(60)
	for i := range p {
		damaged := bytes.Clone(p)
		damaged[i] ^= 1
		if got, err := parseNote(damaged); err == nil {
			t.Errorf("byte %d damaged: got %+v", i, got)
		}
		if got, err := parseNote(p[:i]); err == nil {
			t.Errorf("cut to %d bytes: got %+v", i, got)
		}
	}
}
