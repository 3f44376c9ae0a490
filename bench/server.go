package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	_ "net/http/pprof" // on the control address
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
)

// serverSpec says which server to run.
type serverSpec struct {
	Lib    string
	Config Config
}

// serverInfo is the line that a server prints once it listens.
type serverInfo struct {
	Addr string // WebSocket
	Ctl  string // /stats, /gc, /broadcast, /debug/pprof
}

// serverStats is what /stats and /gc answer. /stats without ?mem leaves out all
// but the CPU times, because reading the others stops the world.
type serverStats struct {
	UserNS, SysNS    int64
	RSS, Heap, Stack int64
	Goroutines       int
}

// cmdServe runs a server until its standard input ends, so that it does not
// outlive who started it.
func cmdServe(args []string) error {
	var spec serverSpec
	if err := decodeSpec(args, &spec); err != nil {
		return err
	}
	lib, err := findLib(spec.Lib)
	if err != nil {
		return err
	}
	if !lib.in(spec.Config.Deflate) {
		return fmt.Errorf("%s is not in the deflate mode %q", lib.Name, spec.Config.Deflate)
	}
	ln, err := listenLoopback()
	if err != nil {
		return err
	}
	ctl, err := listenLoopback()
	if err != nil {
		return err
	}
	http.HandleFunc("/stats", handleStats)
	http.HandleFunc("/gc", func(w http.ResponseWriter, _ *http.Request) {
		debug.FreeOSMemory() // twice, to empty the sync.Pools
		debug.FreeOSMemory()
		json.NewEncoder(w).Encode(readStats(true))
	})
	server := lib.New(spec.Config)
	http.HandleFunc("/broadcast", handleBroadcast(server.Broadcast))
	go http.Serve(ctl, nil)
	go listenAndEcho(server, ln)
	if err := json.NewEncoder(os.Stdout).Encode(serverInfo{ln.Addr().String(), ctl.Addr().String()}); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// decodeSpec reads the argument of a command that all starts.
func decodeSpec(args []string, spec any) error {
	if len(args) != 1 {
		return fmt.Errorf("want one argument, a %T in JSON", spec)
	}
	return json.Unmarshal([]byte(args[0]), spec)
}

func listenLoopback() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }

// listenAndEcho serves by whichever way the library has.
func listenAndEcho(s Server, ln net.Listener) {
	echo := func(c Conn) { c.Run() }
	if s.TLS {
		ln = listenTLS(ln)
	}
	switch {
	case s.Handle != nil:
		serveHTTP(ln, func(w http.ResponseWriter, r *http.Request) { s.Handle(w, r, echo) })
	case s.Serve != nil:
		s.Serve(ln)
	default:
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go s.ServeConn(nc, echo)
		}
	}
}

// serveHTTP is net/http's server, without its log, and with a page beside the
// WebSockets.
func serveHTTP(ln net.Listener, h http.HandlerFunc) error {
	beside := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == pagePath {
			io.WriteString(w, page)
			return
		}
		h(w, r)
	}
	s := http.Server{Handler: http.HandlerFunc(beside), ErrorLog: log.New(io.Discard, "", 0)}
	return s.Serve(ln)
}

func handleStats(w http.ResponseWriter, r *http.Request) {
	json.NewEncoder(w).Encode(readStats(r.FormValue("mem") != ""))
}

func readStats(mem bool) (s serverStats) {
	s.UserNS, s.SysNS = cpuTimes()
	if !mem {
		return s
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s.Heap, s.Stack = int64(m.HeapAlloc), int64(m.StackInuse)
	s.Goroutines = runtime.NumGoroutine()
	s.RSS = residentSet()
	return s
}

// residentSet is the memory that the kernel has given this process.
func residentSet() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err) // the README says that Linux is needed
	}
	pages, err := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	if err != nil {
		panic(err)
	}
	return pages * int64(os.Getpagesize())
}

func cpuTimes() (user, sys int64) {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		panic(err)
	}
	return ru.Utime.Nano(), ru.Stime.Nano()
}
