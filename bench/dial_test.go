package main

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// http2Dialer is that of a server in a process of its own.
func http2Dialer(t *testing.T, sockets int) *dialer {
	t.Helper()
	p, err := startServer("", &libAirlockHTTP2, Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	return &dialer{lib: p.lib, addr: p.Addr, sockets: sockets}
}

// mustDial opens a WebSocket, and echoes on it.
func mustDial(t *testing.T, d *dialer) *client {
	t.Helper()
	c, err := d.dial(d.lib.request(noDeflate, false), noDeflate, 4096)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.reset)
	m := newMessage(100, kindText)
	if err := c.roundTrip(&m); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestHTTP2Shares: WebSockets share a connection as long as it has room, and it ends
// with the last of them.
func TestHTTP2Shares(t *testing.T) {
	d := http2Dialer(t, 2)
	first, second, third := mustDial(t, d), mustDial(t, d), mustDial(t, d)
	conn := func(c *client) *h2Conn { return c.nc.(*h2Stream).conn }
	if conn(first) != conn(second) || conn(second) == conn(third) {
		t.Error("want two WebSockets on one connection, and the third on another")
	}
	fourth := mustDial(t, d)
	if conn(third) != conn(fourth) {
		t.Error("there was room for the fourth, and it has another connection")
	}
	fourth.reset()
	fourth.reset() // counts once
	m := newMessage(64, kindBinary)
	if err := third.roundTrip(&m); err != nil {
		t.Errorf("beside a WebSocket that was closed: %v", err)
	}
	third.reset()
	if fifth := mustDial(t, d); conn(fifth) == conn(third) {
		t.Error("the connection has outlived its WebSockets")
	}
}

// TestHTTP2Windows: more goes back and forth than any window holds.
func TestHTTP2Windows(t *testing.T) {
	c := mustDial(t, http2Dialer(t, 1))
	m := newMessage(3<<20, kindBinary)
	for range 3 {
		c.nc.SetDeadline(time.Now().Add(20 * time.Second))
		if err := c.roundTrip(&m); err != nil {
			t.Fatal(err)
		}
	}
}

// TestHTTP2Ends: whoever waits on a stream learns that there is nothing to wait for.
func TestHTTP2Ends(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(c *client)
		want func(error) bool
	}{
		{"its time is up", func(c *client) { c.nc.SetDeadline(time.Now()) }, func(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }},
		{"the connection is cut", func(c *client) { reset(c.nc.(*h2Stream).conn.nc) }, func(err error) bool { return errors.Is(err, net.ErrClosed) }},
		// A close frame: the server answers, and ends the stream.
		{"the server ends it", func(c *client) { c.nc.Write(clientFrame(8, true, false, nil)) }, func(err error) bool { return err == io.EOF }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := mustDial(t, http2Dialer(t, 1))
			tt.end(c)
			var err error
			for err == nil {
				_, err = c.nc.Read(make([]byte, 100))
			}
			if !tt.want(err) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestHTTP2NotOffered: this process was not started as a server is.
func TestHTTP2NotOffered(t *testing.T) {
	ln, err := listenLoopback()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go listenAndEcho(libAirlockHTTP2.New(Config{}), ln)
	d := dialer{lib: &libAirlockHTTP2, addr: ln.Addr().String(), sockets: 1}
	_, err = d.dial(d.lib.request(noDeflate, false), noDeflate, 4096)
	if err == nil || !strings.Contains(err.Error(), "GODEBUG=http2xconnect=1") {
		t.Errorf("error %v", err)
	}
}

// TestResume: with a cache, all sessions but the first are resumed.
func TestResume(t *testing.T) {
	ln, err := listenLoopback()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go listenAndEcho(libAirlockTLS.New(Config{}), ln)
	for _, cache := range []tls.ClientSessionCache{nil, tls.NewLRUClientSessionCache(0)} {
		d := dialer{lib: &libAirlockTLS, addr: ln.Addr().String(), resume: cache}
		for i := range 3 {
			state := mustDial(t, &d).nc.(*tls.Conn).ConnectionState()
			if want := cache != nil && i > 0; state.DidResume != want {
				t.Errorf("connection %d, with a cache: %v: resumed: %v", i, cache != nil, state.DidResume)
			}
		}
	}
}
