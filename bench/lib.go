package main

import (
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
)

// libs are the libraries, in the order of the tables.
var libs = []*Lib{
	&libAirlock, &libAirlockServe, &libAirlockPoller, &libAirlockKlauspost, &libAirlockTLS, &libAirlockHTTP2,
	&libGorilla, &libGorillaTuned,
	&libCoder,
	&libGobwas, &libGobwasRaw,
	&libGWS, &libGWSServer,
	&libXNet,
	&libFastHTTP,
	&libHijackOnly, &libRawTCP,
}

// Settings that every library gets, so that they do the same work.
const (
	readLimit    = 64 << 20 // bytes in one message
	deflateLevel = 1        // flate.BestSpeed
)

// serverProtocols are what a server picks from when Config.Subprotocols is set.
var serverProtocols = []string{"chat.v2", "chat.v1"}

// The modes of permessage-deflate, and none.
const (
	noDeflate    = ""
	noTakeover   = "no-takeover"
	takeover     = "takeover"      // windows of 32 KiB
	smallWindows = "takeover-4KiB" // windows of 4 KiB
)

var deflateModes = []string{noTakeover, takeover, smallWindows}

// Config is what a server is built with.
type Config struct {
	Deflate      string // noDeflate or one of deflateModes
	DeflateAll   bool   // compress messages of any size; else the library's own threshold holds
	Subprotocols bool   // negotiate serverProtocols
	Drain        bool   // Conn.Run only reads; it does not echo
	Detach       bool   // Handle returns at once; the connection lives on in its own goroutine
	Broadcast    bool   // Server.Broadcast is wanted
}

// run runs a connection's life: in the handler's goroutine, or detached from it.
func (c Config) run(life func()) {
	if c.Detach {
		go life()
	} else {
		life()
	}
}

// Conn is an upgraded connection, as the benchmarks see it.
type Conn interface {
	// Run echoes messages (or with Config.Drain only reads them) until the
	// connection fails, and tells how many messages and bytes it read.
	Run() (msgs, bytes int)
	Write(text bool, p []byte) error
}

// Server is what a library offers. Only the fields it has are set.
type Server struct {
	// Handle upgrades inside a net/http handler, calls use, then closes.
	Handle func(w http.ResponseWriter, r *http.Request, use func(Conn))
	// ServeConn does the same on an accepted connection, without net/http.
	ServeConn func(nc net.Conn, use func(Conn))
	// Serve is for a library that owns its accept loop. It echoes.
	Serve func(ln net.Listener) error
	// TLS: the connections of Handle come over TLS, with HTTP/1.1 or HTTP/2.
	TLS bool
	// Prepare encodes a message once, to be sent to many connections. The
	// returned functions send it and release it.
	Prepare func(text bool, p []byte) (send func(Conn) error, done func())
	// Broadcast sends a binary message to all connections and waits for none, if
	// Config.Broadcast was set. It returns how many were skipped.
	Broadcast func(p []byte) (skipped int)
}

// Lib is one library, or one way to use it.
type Lib struct {
	Name        string
	Module      string // for its version; "" for the floors
	How         string // how it is used here
	New         func(Config) Server
	UTF8        bool     // it checks that text is UTF-8
	Deflate     []string // the modes it supports
	Over        string   // what is between TCP and WebSocket, such as overTLS; such an entry is in the workload http2 only
	DeflateOnly bool     // differs from another entry in how it compresses, and is measured in nothing else
	Detach      bool     // it heeds Config.Detach
	Returns     bool     // its handler returns wherever a handler may
	Polls       bool     // its handler always returns, and leaves no goroutine behind; it is that of a server on net/http
	Skips       bool     // its Server.Broadcast skips who is too slow; otherwise what waits has no limit
	Partial     bool     // does not deal with all frames, so it is compared but not as a peer
	Raw         bool     // echoes bytes without WebSocket framing
	NoHTTP      bool     // has no handshake either
}

// request is what a client of l opens a WebSocket with.
func (l *Lib) request(deflate string, protocols bool) []byte {
	if l.Over == overHTTP2 {
		return connectRequest(deflate, protocols)
	}
	return upgradeRequest(deflate, protocols)
}

// in reports whether l is measured in a mode of permessage-deflate, or without.
func (l *Lib) in(mode string) bool {
	if mode == noDeflate {
		return !l.DeflateOnly
	}
	return slices.Contains(l.Deflate, mode)
}

// peer reports whether l is a whole server of somebody else.
func (l *Lib) peer() bool { return !l.Partial && !l.Raw && l.Module != libAirlock.Module }

// pages reports whether l is on net/http's server, which can have pages besides.
func (l *Lib) pages() bool { return l.Polls || l.New(Config{}).Handle != nil }

// version is that of the library's module in this program.
func (l *Lib) version() string {
	switch l.Module {
	case "":
		return "-"
	case libAirlock.Module:
		return "this tree"
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == l.Module {
				return dep.Version
			}
		}
	}
	return "?"
}

func findLib(name string) (*Lib, error) {
	var names []string
	for _, l := range libs {
		if l.Name == name {
			return l, nil
		}
		names = append(names, l.Name)
	}
	return nil, fmt.Errorf("no library %q; there are %s", name, strings.Join(names, ", "))
}

// pickLibs finds the libraries of a comma-separated list; all if it is empty.
func pickLibs(names string) ([]*Lib, error) {
	if names == "" {
		return libs, nil
	}
	var out []*Lib
	for name := range strings.SplitSeq(names, ",") {
		l, err := findLib(name)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

// libsWhich are those of ls for which keep holds.
func libsWhich(ls []*Lib, keep func(*Lib) bool) []*Lib {
	return slices.DeleteFunc(slices.Clone(ls), func(l *Lib) bool { return !keep(l) })
}
