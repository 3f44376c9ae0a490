package main

import (
	"encoding/binary"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// crowdOf is the load on a server in this process that broadcasts as it is told to.
func crowdOf(t *testing.T, change func(send func([]byte) int) func([]byte) int) *load {
	t.Helper()
	s := libAirlock.New(Config{Broadcast: true})
	ln, err := listenLoopback()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go listenAndEcho(s, ln)
	ctl := httptest.NewServer(handleBroadcast(change(s.Broadcast)))
	t.Cleanup(ctl.Close)
	return newLoad(loadSpec{
		Addr: ln.Addr().String(), Ctl: strings.TrimPrefix(ctl.URL, "http://"),
		Conns: 20, For: 5 * stalledEvery, Size: 1 << 10, Kind: kindBinary, Echoes: 1,
	}, &libAirlock)
}

// TestStalledIsSeen: a broadcast that is slow as long as somebody does not read has
// a slowdown.
func TestStalledIsSeen(t *testing.T) {
	const slow = 30 * time.Millisecond
	m, err := crowdOf(t, func(send func([]byte) int) func([]byte) int {
		skipped := 0
		return func(p []byte) int {
			if skipped > 0 {
				time.Sleep(slow)
			}
			skipped = send(p)
			return skipped
		}
	}).stalled()
	if err != nil {
		t.Fatal(err)
	}
	if us := float64(slow.Microseconds()); m["others_us"] < us*0.95 || m["slowdown"] != m["others_us"]/m["all_us"] {
		t.Errorf("broadcasts are %v slower while somebody does not read, and the figures are %v", slow, m)
	}
}

// TestStalledSkips: skips are those of who does not read, and of nobody else.
func TestStalledSkips(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(skipped int) int
	}{
		{"of somebody who reads", func(skipped int) int { return skipped + 1 }},
		{"of nobody", func(int) int { return 0 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := crowdOf(t, func(send func([]byte) int) func([]byte) int {
				return func(p []byte) int { return tt.change(send(p)) }
			}).stalled()
			if err == nil || !strings.Contains(err.Error(), errSkipped.Error()) {
				t.Errorf("got error %v, want %v", err, errSkipped)
			}
		})
	}
}

func TestBroadcastSpec(t *testing.T) {
	const n, size = 3, 100
	start := time.Now().UnixNano()
	var last int64
	got := broadcastSpec{Phase: 7, N: n, Size: size, Every: time.Millisecond}.run(func(p []byte) int {
		at := int64(binary.BigEndian.Uint64(p))
		if len(p) != size || binary.BigEndian.Uint64(p[8:]) != 7 || at < start || at < last || at > time.Now().UnixNano() {
			t.Errorf("message %x", p)
		}
		last = at
		return 2
	})
	if got != 2*n {
		t.Errorf("%d were skipped, want %d", got, 2*n)
	}
}

func TestHandleBroadcastRefuses(t *testing.T) {
	path, err := broadcastSpec{N: 1, Size: stampSize}.path()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, path string
		send       func([]byte) int
	}{
		{"no spec", "/broadcast", func([]byte) int { return 0 }},
		{"a server that does not broadcast", path, nil},
	} {
		w := httptest.NewRecorder()
		handleBroadcast(tt.send)(w, httptest.NewRequest("GET", tt.path, nil))
		if w.Code != http.StatusBadRequest {
			t.Errorf("%s: status %d", tt.name, w.Code)
		}
	}
}

func TestReadStamped(t *testing.T) {
	fine := append([]byte{0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 7}, broadcastPayload[stampSize:200]...)
	changed := append([]byte(nil), fine...)
	changed[150] ^= 1
	for _, tt := range []struct {
		name  string
		frame []byte
		fine  bool
	}{
		{"a message", serverFrame(0x82, fine), true},
		{"another payload", serverFrame(0x82, changed), false},
		{"no stamp", []byte{0x82, 3, 1, 2, 3}, false},
		{"a fragment", serverFrame(0x02, fine), false},
		{"longer than any", serverFrame(0x82, make([]byte, len(broadcastPayload)+1)), false},
		{"a ping", []byte{0x89, 0}, false},
	} {
		ours, theirs := net.Pipe()
		go func() {
			theirs.Write(tt.frame)
			theirs.Close()
		}()
		sent, phase, err := (&client{nc: ours, buf: make([]byte, 4096)}).readStamped()
		ours.Close()
		if tt.fine != (err == nil) || tt.fine && (!sent.Equal(time.Unix(0, 5)) || phase != 7) {
			t.Errorf("%s: %v, %d, %v", tt.name, sent, phase, err)
		}
	}
}
