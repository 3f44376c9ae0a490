package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"time"
)

// A plan is what the command line says, and all durations that follow from it.
// Both processes have it.
type plan struct {
	Mode        string
	Connections int
	For         time.Duration
	Rate        int
	Patience    time.Duration
	Seed        uint64

	gentle bool // nobody does anything wrong
}

const rounds = 2

func parsePlan(args []string, stderr io.Writer) (plan, error) {
	var p plan
	fs := flag.NewFlagSet("survive", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&p.Mode, "mode", "poller", fmt.Sprintf("how the server serves: one of %v", modes))
	fs.IntVar(&p.Connections, "connections", 1000, "how many are open at a time")
	fs.DurationVar(&p.For, "for", 30*time.Second, "how long connections come and go, in both rounds together")
	fs.IntVar(&p.Rate, "rate", 5000, "echoes a second, and as many broadcasts, of all connections together")
	fs.DurationVar(&p.Patience, "patience", 10*time.Second, "the server's KeepAlive, and two thirds of its WriteTimeout")
	fs.Uint64Var(&p.Seed, "seed", 0, "repeats the lives of an earlier run; 0: other ones")
	if err := fs.Parse(args); err != nil {
		return p, err
	}
	if fs.NArg() > 0 {
		return p, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return p, p.check()
}

func (p *plan) check() error {
	if !slices.Contains(modes, p.Mode) {
		return fmt.Errorf("there is no mode %q: there are %v", p.Mode, modes)
	}
	if p.Connections <= 0 || p.Connections > maxSlots || p.For <= 0 || p.Rate <= 0 || p.Patience <= 0 {
		return errors.New("a number is too small, or too large")
	}
	return nil
}

// round is how long connections come and go in each round.
func (p *plan) round() time.Duration { return p.For / rounds }

// ramp is the time in which all connections are opened.
func (p *plan) ramp() time.Duration { return p.round() / 5 }

// lifetime is that of the average connection.
func (p *plan) lifetime() time.Duration { return p.round() / 2 }

// pause is how long the average connection is silent between two bursts.
func (p *plan) pause() time.Duration {
	return time.Duration(meanBurst * float64(p.Connections) / float64(p.Rate) * float64(time.Second))
}

// every is the time between two broadcasts.
func (p *plan) every() time.Duration {
	return max(20*time.Millisecond, time.Duration(p.Connections)*time.Second/time.Duration(p.Rate))
}

// writeTimeout is the server's. Clients that go on stall for half of it at most.
func (p *plan) writeTimeout() time.Duration { return p.Patience * 3 / 2 }

// silence is how long clients are silent before they look whether they have been
// given up: longer than twice the KeepAlive, or the WriteTimeout after the little that
// a full socket still takes. The server waits as long for a handshake.
func (p *plan) silence() time.Duration { return 3 * p.Patience }

// limit is how long anything may take that has to happen: echoes, the closing
// handshake, the end of a connection that went silent. It is generous: what does not
// happen is a failure, what takes its time is not.
func (p *plan) limit() time.Duration { return 10 * p.Patience }
