package main

import (
	"fmt"
	"strings"
)

// counts is what happened to one client, or to all of them.
type counts [numCounts]int

type count int

const (
	turnedAway count = iota
	refused
	unfinishedHandshakes
	abruptHandshakes
	opened
	survivors
	resets
	hangUps
	halfCloses
	vanished
	stalledForEver
	violated
	stalls
	said
	echoed
	broadcasts
	skipped
	gaps
	lost
	doubled
	misordered
	numCounts
)

var countNames = [numCounts]string{
	turnedAway:           "turned away, because the server was full",
	refused:              "malformed handshakes, refused",
	unfinishedHandshakes: "handshakes that were never finished",
	abruptHandshakes:     "resets during the handshake",
	opened:               "connections opened",
	survivors:            "  closed in good order, with everything that was theirs",
	resets:               "  reset in the middle of a message",
	hangUps:              "  closed without a closing handshake",
	halfCloses:           "  closed by half",
	vanished:             "  vanished, and were noticed",
	stalledForEver:       "  stopped reading, and were given up",
	violated:             "  broke a rule, and were ended",
	stalls:               "times a client stalled, and went on",
	said:                 "messages sent",
	echoed:               "echoes received",
	broadcasts:           "broadcasts received",
	skipped:              "  skipped for survivors, by count (odd numbers)",
	gaps:                 "  skipped for anybody, by gaps (even numbers)",
	lost:                 "lost",
	doubled:              "doubled",
	misordered:           "out of order",
}

func (c *counts) add(d *counts) {
	for i, n := range d {
		c[i] += n
	}
}

// String returns a table.
func (c counts) String() string {
	var b strings.Builder
	for i, n := range c {
		fmt.Fprintf(&b, "%-55s %9d\n", countNames[i], n)
	}
	return b.String()
}
