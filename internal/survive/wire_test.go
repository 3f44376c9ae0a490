package main

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/airlock-go/websocket/frame"
)

func TestUtterance(t *testing.T) {
	payload := []byte("a message in any number of fragments")
	for _, u := range []utterance{{fragments: 1}, {fragments: 2}, {fragments: 5}, {fragments: 1, compressed: true}, {fragments: 4, compressed: true, ping: true}} {
		b := u.message(frame.Binary, payload)
		var whole []byte
		frames, pings := 0, 0
		for len(b) > 0 {
			h, n, err := frame.Parse(b)
			if err != nil || n == 0 || !h.Masked {
				t.Fatalf("%+v: got %v, %d, %v", u, h, n, err)
			}
			p := b[n : n+int(h.Length)]
			frame.Mask(p, h.Key, 0)
			b = b[n+int(h.Length):]
			if h.Opcode == frame.Ping {
				pings++
				continue
			}
			frames++
			first := frames == 1
			if (h.Opcode == frame.Binary) != first || h.RSV1 != (first && u.compressed) || h.Fin != (frames == u.fragments) {
				t.Errorf("%+v: frame %d is %v", u, frames, h)
			}
			whole = append(whole, p...)
		}
		if string(whole) != string(payload) || frames != u.fragments || (pings == 1) != u.ping {
			t.Errorf("%+v: got %q in %d frames, and %d pings", u, whole, frames, pings)
		}
	}
}

func TestCut(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range 9 {
		for size := range 20 {
			b := []byte(strings.Repeat("x", size))
			if got := slices.Concat(cut(rng, b, n)...); !bytes.Equal(got, b) {
				t.Errorf("%d bytes, cut %d times, are %d", size, n, len(got))
			}
		}
	}
}

// TestMistakes: each is one.
func TestMistakes(t *testing.T) {
	right := request("example.com", "")
	for m := range mistakes {
		got, status := mistaken("example.com", m)
		if got == right || status < http.StatusBadRequest {
			t.Errorf("mistake %d, with status %d, is %q", m, status, got)
		}
	}
}
