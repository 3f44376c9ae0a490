package websocket

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"
)

func TestLimiterAddress(t *testing.T) {
	for _, tt := range []struct {
		name, remote, want string
	}{
		{"IPv4", "192.0.2.1:1234", "192.0.2.1"},
		{"IPv6", "[2001:db8:1:2:3:4:5:6]:1234", "2001:db8:1:2::"},
		{"IPv6, another of the same network", "[2001:db8:1:2::1]:1", "2001:db8:1:2::"},
		{"IPv6, another network", "[2001:db8:1:3::1]:1", "2001:db8:1:3::"},
		{"IPv6 with a zone", "[fe80::1%eth0]:1234", "fe80::"},
		{"IPv4 in IPv6", "[::ffff:192.0.2.1]:1234", "192.0.2.1"},
		{"IPv4 in IPv6 with a zone", "[::ffff:192.0.2.1%eth0]:1234", "192.0.2.1"},
		{"loopback", "[::1]:1234", "::"},
		// Middleware that looks for the client behind a proxy leaves out the port.
		{"IPv4 without a port", "192.0.2.1", "192.0.2.1"},
		{"IPv6 without a port", "2001:db8:1:2::1", "2001:db8:1:2::"},
		{"Unix socket", "@", "@"},
		{"Unix socket with a name", "/run/proxy.sock", "/run/proxy.sock"},
		{"nothing", "", ""},
	} {
		l := Limiter{MaxPerAddress: 1}
		if got := l.address(&http.Request{RemoteAddr: tt.remote}); got != tt.want {
			t.Errorf("%s: the address of %q is %q, want %q", tt.name, tt.remote, got, tt.want)
		}
	}
}

// lateContext is the context of a client that leaves just when its place comes.
type lateContext struct {
	context.Context
	leave func() <-chan struct{}
}

func (c lateContext) Done() <-chan struct{} { return c.leave() }
func (c lateContext) Err() error            { return context.Canceled }

// TestLimiterLatePlace: a place that comes at the moment at which the client gives
// up is either taken or handed on. Which of them, nobody knows.
func TestLimiterLatePlace(t *testing.T) {
	gone := make(chan struct{})
	close(gone)
	var taken, refused int
	for range 200 {
		l := Limiter{Max: 1, MaxPerAddress: 2, MaxWaiting: 1}
		first, refusal := l.admit(new(http.Request))
		if refusal != nil {
			t.Fatal(refusal)
		}
		handOver := func() <-chan struct{} {
			if first != nil {
				first.giveBack()
				first = nil
			}
			return gone
		}
		p, refusal := l.admit(new(http.Request).WithContext(lateContext{t.Context(), handOver}))
		if refusal == nil {
			taken++
			p.giveBack()
		} else {
			refused++
			if !errors.Is(refusal, ErrTooMany) || p != nil {
				t.Errorf("got %v, %v", p, refusal)
			}
		}
		if l.Len() != 0 || len(l.addresses) != 0 || len(l.waiting) != 0 {
			t.Fatalf("%d places are taken, addresses %v, %d wait; want none", l.Len(), l.addresses, len(l.waiting))
		}
	}
	if taken == 0 || refused == 0 {
		t.Errorf("of two things only one has happened: taken %d times, refused %d times", taken, refused)
	}
}

// TestLimiterForgets: who has left is not kept in memory, wherever it stood in
// the waiting room.
func TestLimiterForgets(t *testing.T) {
	for leaver := range 3 {
		l := Limiter{Max: 1, MaxPerAddress: 9, MaxWaiting: 3, Wait: time.Hour}
		var places []*place
		for range 4 {
			p := &place{limiter: &l, address: "a"}
			if err := l.enter(p); err != nil {
				t.Fatal(err)
			}
			places = append(places, p)
		}
		if p := places[1+leaver]; !l.giveUp(p) || l.giveUp(p) {
			t.Errorf("number %d: giveUp is not true once", leaver)
		}
		for _, p := range places {
			if p != places[1+leaver] {
				p.giveBack()
			}
		}
		for i, p := range l.waiting[:cap(l.waiting)] {
			if p != nil {
				t.Errorf("number %d of the waiting room is still kept when number %d has left", i, leaver)
			}
		}
		if l.Len() != 0 || len(l.addresses) != 0 {
			t.Errorf("%d places are taken, addresses %v", l.Len(), l.addresses)
		}
	}
}
