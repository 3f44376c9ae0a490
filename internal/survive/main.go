// Command survive is an experiment: connections open, talk, stall, are reset and
// vanish at random, then all are gone, and what is left of them in the server has to
// be nothing: no goroutine, no descriptor, no byte. Those that behaved must have got
// every message once, and in order.
//
//	go run ./internal/survive -connections 15000 -for 3m -mode poller
//
// It takes two or three minutes longer than it says, and as many open files as there
// are connections, for itself and once more for the server, which is a process of its
// own. On a machine that is busy otherwise, clients may be too slow to answer the
// pings of the server, and are cut off: then a larger -patience helps, and a lower
// -rate.
//
//	-mode serve     a goroutine for each connection: go c.Serve(h)
//	-mode handler   the HTTP handler does not return, and reads by itself
//	-seed 42        the lives of the run that printed this seed
//
// It prints what happened, and fails if it found something wrong. A connection that
// went wrong is told by its life, as in 1.12.3: round 1, slot 12, the one after three
// others. With the same flags and seed it wants to do the same; when, and what it
// meets, is for the machine to say.
//
// life.go is what a client does, act.go how, and client.go what it hears meanwhile;
// server.go and visit.go are the server, and experiment.go is the order of events.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"
)

func main() {
	var err error
	if len(os.Args) == 3 && os.Args[1] == serverArg {
		err = serverMain(os.Args[2], os.Stdin, os.Stdout)
	} else {
		err = run(os.Args[1:], os.Stdout)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "survive:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) (err error) {
	p, err := parsePlan(args, out)
	if err != nil {
		return err
	}
	if p.Seed == 0 {
		p.Seed = rand.Uint64()
	}
	fmt.Fprintf(out, "%d connections for %v, mode %s, seed %d\n\n", p.Connections, p.For, p.Mode, p.Seed)
	s, err := startProcess(&p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	begun := time.Now()
	err = perform(&p, s, out)
	fmt.Fprintf(out, "\n%v, seed %d\n", time.Since(begun).Round(time.Second), p.Seed)
	return err
}
