package websocket_test

import (
	"errors"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/internal/wstest"
)

// TestPollerGoroutines: connections that wait have no goroutines, and those that
// cannot do without have one each.
func TestPollerGoroutines(t *testing.T) {
	const n = 300
	onEachService(t, func(t *testing.T, with service) {
		if with.name == "tls" {
			return // so many handshakes take a while, and say no more than "wrapped" does
		}
		s := with.start(t, nil, 0)
		before := runtime.NumGoroutine()
		var peers []*wstest.Peer
		for range n {
			_, p := s.serve(t, newWitness(t))
			peers = append(peers, p)
		}
		for _, p := range peers {
			p.SendText("hello")
		}
		for _, p := range peers {
			p.ExpectText("hello")
		}
		if with.name != "sockets" {
			if grown := runtime.NumGoroutine() - before; grown < n*9/10 {
				t.Errorf("%d connections have %d goroutines", n, grown)
			}
			return
		}
		// Workers that have nothing to do any more take a moment to leave.
		for deadline := time.Now().Add(wstest.Patience); ; time.Sleep(time.Millisecond) {
			grown := runtime.NumGoroutine() - before
			if grown < n/20 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d connections have %d goroutines", n, grown)
			}
		}
		for _, p := range peers {
			p.SendText("still there?")
			p.ExpectText("still there?")
		}
	})
}

// TestPollerUnix: sockets of that kind are as good as those of TCP.
func TestPollerUnix(t *testing.T) {
	dir, err := os.MkdirTemp("", "") // that of the test has too long a name for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	with := service{"unix", websocket.NewPoller, func(s *httptest.Server) { s.Listener = l }}
	s := with.start(t, nil, 1)
	before := runtime.NumGoroutine()
	for range 50 {
		_, p := s.serve(t, newWitness(t))
		if err := converse(p, 5, 7); err != nil {
			t.Error(err)
		}
	}
	if grown := runtime.NumGoroutine() - before; grown >= 50 {
		t.Errorf("50 connections have %d goroutines", grown)
	}
}

// TestNewPollerFails: a Poller needs a descriptor of its own.
func TestNewPollerFails(t *testing.T) {
	var p *websocket.Poller
	var err error
	wstest.WithoutDescriptors(t, func() { p, err = websocket.NewPoller(nil) })
	if p != nil || !errors.Is(err, syscall.EMFILE) {
		t.Errorf("without descriptors: got %v, error %v", p, err)
	}
}
