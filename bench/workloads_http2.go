package main

import (
	"fmt"
	"strings"
)

// http2: WebSockets as streams of a few HTTP/2 connections, beside the same with a
// connection each. All is over TLS, as in browsers, and over TCP for comparison.
func (r *runner) http2() error {
	ls := libsWhich(r.libs, func(l *Lib) bool { return l.Over != "" || l == &libAirlock })
	as := func(*Lib) Config { return Config{} }
	for _, c := range []struct {
		echoCase
		sockets int
	}{
		{echoCase{"64B", 64, 64, 1, kindBinary}, 64},
		{echoCase{"64B alone", 64, 64, 1, kindBinary}, 1},
		{echoCase{"1KiB", 64, 1 << 10, 1, kindBinary}, 64},
		{echoCase{"16KiB", 64, 16 << 10, 1, kindBinary}, 64},
	} {
		spec := c.spec(noDeflate)
		spec.Sockets = c.sockets
		if err := r.compare(ls, "http2", "echo/"+c.name, as, spec); err != nil {
			return err
		}
	}
	for _, resume := range []bool{false, true} {
		spec := loadSpec{Load: "handshake", Conns: 16, Sockets: 100, Resume: resume}
		name := map[bool]string{false: "handshake/full", true: "handshake/resumed"}[resume]
		if err := r.compare(ls, "http2", name, as, spec); err != nil {
			return err
		}
	}
	return r.http2Idle(ls)
}

// http2Idle: memory of connections that have echoed once.
func (r *runner) http2Idle(ls []*Lib) error {
	spec := loadSpec{Load: "idle", Conns: r.Busy, Size: 64, Kind: kindBinary, Echoes: 1}
	for _, spec.Sockets = range []int{100, 1} {
		if err := r.weigh(ls, "http2", fmt.Sprintf("idle/%d a connection", spec.Sockets), Config{}, spec); err != nil {
			return err
		}
	}
	detachable := libsWhich(ls, func(l *Lib) bool { return l.Detach })
	return r.weigh(detachable, "http2", "idle/detached", Config{Detach: true}, spec)
}

// http2Metrics are what HTTP/2 is judged by, less being better.
var http2Metrics = []struct{ prefix, metric, what, unit string }{
	{"echo/", "server_us", "server CPU", "µs"},
	{"handshake/", "server_us", "server CPU", "µs"},
	{"idle/", "memory", "heap and stack", "B"},
	{"idle/", "rss", "resident", "B"},
}

// http2Glance sets WebSocket over HTTP/2 beside a connection for each.
func (r *report) http2Glance() string {
	rows := [][]string{{"workload", "what", "over HTTP/2", "to TLS", "to TCP"}}
	for _, m := range http2Metrics {
		for _, name := range r.cases("http2", m.prefix) {
			k := key{"http2", name, libAirlockHTTP2.Name}
			rounds := r.rounds[k][m.metric]
			if len(rounds) == 0 {
				continue
			}
			row := []string{strings.Replace(name, "/", ", ", 1), m.what, number(median(rounds)) + " " + m.unit}
			for _, other := range []*Lib{&libAirlockTLS, &libAirlock} {
				cell := "-"
				if ratio := r.ratio(k, m.metric, other.Name); ratio != 0 {
					cell = fmt.Sprintf("%.2f", ratio)
				}
				row = append(row, cell)
			}
			rows = append(rows, row)
		}
	}
	if len(rows) == 1 {
		return ""
	}
	return "\n### HTTP/2 at a glance\n\nWhat a WebSocket over HTTP/2 costs, and ratios to one with a connection of its own: above 1 HTTP/2 costs more.\n\n" +
		markdownTable(rows, 2)
}
