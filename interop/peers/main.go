// Command peers is an echo server of one of the libraries that this one is
// compared with, or of this one.
//
//	go run ./peers gorilla
//
// prints the URL that it listens on. Each does what the documentation of its
// library shows, with the options as they are by default. With -full it has the
// options, and the calls besides, that the library has for what is compared:
// messages of up to 16 MiB and no more, permessage-deflate, and 10 seconds for a
// write. -clash writes from two goroutines at once, as long as a connection
// lasts, in place of echoing.
package main

import (
	"flag"
	"fmt"
	"log"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"time"
)

// What servers have with -full.
const (
	maxMessage   = 16 << 20
	writeTimeout = 10 * time.Second
)

// A peer serves WebSockets with one of the libraries.
type peer struct {
	plain, full http.HandlerFunc
	clash       http.HandlerFunc
}

var peers = map[string]peer{
	"airlock": {airlockPlain, airlockFull, airlockClash},
	"gorilla": {gorillaPlain, gorillaFull, gorillaClash},
	"coder":   {coderPlain, coderFull, coderClash},
	"gobwas":  {gobwasPlain, gobwasFull, gobwasClash},
	"gws":     {gwsServer(nil), gwsServer(gwsOptions), gwsClash},
}

func main() {
	full := flag.Bool("full", false, "with options for what is compared")
	clash := flag.Bool("clash", false, "write from two goroutines at once")
	flag.Parse()
	p, ok := peers[flag.Arg(0)]
	if !ok || flag.NArg() != 1 {
		fmt.Fprintf(os.Stderr, "usage: peers [-full] [-clash] %v\n", slices.Sorted(maps.Keys(peers)))
		os.Exit(2)
	}
	handler := p.plain
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	switch {
	case *clash:
		l, handler = slowListener{l}, p.clash
	case *full:
		handler = p.full
	}
	fmt.Printf("listening on ws://%s/\n", l.Addr())
	log.Fatal(http.Serve(l, handler))
}

// A slowListener has connections that take their time for each Write, so that
// what two goroutines write meets where it can.
type slowListener struct{ net.Listener }

func (l slowListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return slowConn{conn}, err
}

type slowConn struct{ net.Conn }

func (c slowConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	time.Sleep(100 * time.Microsecond)
	return n, err
}

// twoWriters calls write in two goroutines until it fails in both, each time
// with a message of one letter.
func twoWriters(write func(text []byte) error) {
	done := make(chan struct{})
	for _, letter := range []byte("ab") {
		text := make([]byte, 64<<10)
		for i := range text {
			text[i] = letter
		}
		go func() {
			for write(text) == nil {
			}
			done <- struct{}{}
		}()
	}
	<-done
	<-done
}
