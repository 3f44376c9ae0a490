package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// neighbourOf is the load on a server in this process with a page of its own.
func neighbourOf(t *testing.T, get http.HandlerFunc) *load {
	t.Helper()
	s := libAirlock.New(Config{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == pagePath {
			get(w, r)
			return
		}
		s.Handle(w, r, func(c Conn) { c.Run() })
	}))
	t.Cleanup(web.Close)
	mux := http.NewServeMux()
	mux.HandleFunc("/stats", handleStats)
	ctl := httptest.NewServer(mux)
	t.Cleanup(ctl.Close)
	return newLoad(loadSpec{
		Addr: strings.TrimPrefix(web.URL, "http://"), Ctl: strings.TrimPrefix(ctl.URL, "http://"),
		Conns: 4, For: 20 * time.Millisecond, Size: 64, Kind: kindBinary, Depth: 2,
	}, &libAirlock)
}

// TestNeighbourIsSeen: what a GET waits for shows.
func TestNeighbourIsSeen(t *testing.T) {
	const slow = 5 * time.Millisecond
	m, err := neighbourOf(t, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(slow)
		io.WriteString(w, page)
	}).neighbour()
	if err != nil {
		t.Fatal(err)
	}
	if us := float64(slow.Microseconds()); m["get_us"] < us*0.95 || m["get_p99_us"] < m["get_us"] || m["busy"] <= 0 {
		t.Errorf("a GET takes %v, and the figures are %v", slow, m)
	}
}

// TestNeighbourChecks: something else than the page is no answer.
func TestNeighbourChecks(t *testing.T) {
	for _, tt := range []struct {
		name string
		get  http.HandlerFunc
	}{
		{"another page", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, page+page) }},
		{"an error", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "busy", http.StatusServiceUnavailable) }},
		{"no keep-alive", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			io.WriteString(w, page)
		}},
		{"no answer", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if m, err := neighbourOf(t, tt.get).neighbour(); err == nil {
				t.Errorf("measured %v", m)
			}
		})
	}
}
