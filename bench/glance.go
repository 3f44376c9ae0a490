package main

import (
	"fmt"
	"strings"
)

// mainMetrics are what Airlock is judged by, less being better, and the floor
// of each workload: what no library can go below.
var mainMetrics = []struct{ workload, metric, unit, floor string }{
	{"handshake", "server_us", "µs", libHijackOnly.Name},
	{"echo", "server_us", "µs", libRawTCP.Name},
	{"upgrade", "ns", "ns", libHijackOnly.Name},
	{"read", "ns", "ns", sumOfParts},
	{"write", "ns", "ns", sumOfParts},
	{"broadcast", "ns", "ns", sumOfParts},
	{"neighbour", "get_us", "µs", libHijackOnly.Name},
	{"stalled", "others_us", "µs", ""},
	{"idle", "memory", "B", libRawTCP.Name},
	{"inflate", "ns", "ns", ""},
	{"compress", "ns", "ns", ""},
	{"deflate", "server_us", "µs", ""},
	{"deflate-memory", "memory", "B", ""},
}

// glance sets Airlock beside the baseline, the best of its peers, and the
// floor. It is made from the figures, so that it cannot be kinder than they are.
func (r *report) glance() string {
	rows := [][]string{{"workload", "best peer", "airlock", "to " + baseline, "to the best peer", "to the floor"}}
	for _, m := range mainMetrics {
		for _, name := range r.cases(m.workload, "") {
			k := key{m.workload, name, libAirlock.Name}
			// Text is compared with who looks whether it is UTF-8.
			text := m.workload == "read" && !strings.HasPrefix(name, kindBinary)
			best := r.bestPeer(k, m.metric, func(l *Lib) bool { return l.UTF8 || !text })
			if len(r.rounds[k][m.metric]) == 0 || best == "" {
				continue
			}
			row := []string{m.workload + ", " + name, best, number(median(r.rounds[k][m.metric])) + " " + m.unit}
			for _, other := range []string{baseline, best, m.floor} {
				cell := "-"
				if ratio := r.ratio(k, m.metric, other); ratio != 0 {
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
	return "\n### Airlock at a glance\n\nWhat it costs, and ratios: above 1 Airlock costs more.\n\n" + markdownTable(rows, 2)
}

// bestPeer is the name of the peer, among those that keep holds for, with the
// least of a metric in k's case; "" if none was measured.
func (r *report) bestPeer(k key, metric string, keep func(*Lib) bool) (best string) {
	least := 0.0
	for _, l := range libs {
		rounds := r.rounds[key{k.workload, k.name, l.Name}][metric]
		if !l.peer() || !keep(l) || len(rounds) == 0 {
			continue
		}
		if v := median(rounds); best == "" || v < least {
			best, least = l.Name, v
		}
	}
	return best
}
