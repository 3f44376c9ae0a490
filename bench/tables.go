package main

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// section is a table: a row for each library, and for each case of a workload a
// column for each metric.
type section struct {
	title    string
	workload string
	prefix   string // of the cases, which their columns leave out
	columns  []column
}

// base is the library that the ratios of a case are to.
func base(workload, name string) string {
	if workload == "http2" {
		return libAirlockTLS.Name
	}
	if strings.Contains(name, takeover) && !strings.Contains(name, noTakeover) {
		return takeoverBaseline
	}
	return baseline
}

type column struct {
	metric string
	head   string // stands behind the name of the case
	ratio  bool   // the ratio to the baseline is in brackets
}

var (
	perOp = []column{{"ns", "ns", true}, {"allocs", "allocs", false}, {"B", "B", false}}
	cpu   = []column{{"server_us", "", true}}
	rate  = []column{{"per_s", "", true}}
	wire  = []column{{"wire_ratio", "", false}}
)

var sections = []section{
	{"Handshake: connect, upgrade, close", "handshake", "",
		[]column{{"server_us", "server µs", true}, {"server_sys_us", "of it kernel", false}, {"per_s", "a second", true}}},

	{"Echo: server CPU, µs a message", "echo", "", cpu},
	{"Echo: of it in the kernel, µs a message", "echo", "", []column{{"server_sys_us", "", false}}},
	{"Echo: messages a second", "echo", "", rate},
	{"Echo: 99th percentile of the round trip (of a batch where pipelined), µs", "echo", "", []column{{"p99_us", "", true}}},

	{"In process: upgrade", "upgrade", "", perOp},
	{"In process: read a binary message", "read", "binary/", perOp},
	{"In process: read a text message in ASCII", "read", "text/", perOp},
	{"In process: read a text message with characters of several bytes", "read", "utf8/", perOp},
	{"In process: calls of the connection's Read a message", "read", "binary/", []column{{"io", "", false}}},
	{"In process: write a binary message", "write", "binary/", perOp},
	{"In process: write a text message", "write", "text/", perOp},
	{"In process: calls of the connection's Write a message", "write", "binary/", []column{{"io", "", false}}},
	{"In process: broadcast of a prepared message", "broadcast", "", perOp},

	{"An ordinary GET while WebSockets on the same server are busy, on one CPU: latency, µs", "neighbour", "",
		[]column{{"get_us", "median", true}, {toServe, "to airlock-serve", false}, {toHijack, "to hijack-only", false},
			{"get_p99_us", "99th percentile", false}, {"busy", "server CPU %", false}}},

	{"Broadcast over TCP while one peer in a hundred does not read: median latency of the others, µs", "stalled", "",
		[]column{{"others_us", "", false}, {"all_us", "while all read", false}, {"slowdown", "ratio", false}}},

	{"Idle connections: bytes each, after a collection", "idle", "",
		[]column{{"rss", "resident", true}, {"heap", "heap", true}, {"stack", "stack", false}, {"goroutines", "goroutines", false}}},

	{"In process: read a compressed message", "inflate", "", perOp},
	{"In process: compress and write a message", "compress", "", perOp},

	{"permessage-deflate, no context takeover: server CPU, µs a message", "deflate", noTakeover + "/", cpu},
	{"permessage-deflate, no context takeover: messages a second", "deflate", noTakeover + "/", rate},
	{"permessage-deflate, no context takeover: bytes on the wire for each of the message", "deflate", noTakeover + "/", wire},
	{"permessage-deflate, windows of 32 KiB taken over: server CPU, µs a message", "deflate", takeover + "/", cpu},
	{"permessage-deflate, windows of 32 KiB taken over: messages a second", "deflate", takeover + "/", rate},
	{"permessage-deflate, windows of 32 KiB taken over: bytes on the wire for each of the message", "deflate", takeover + "/", wire},
	{"permessage-deflate, windows of 4 KiB taken over: server CPU, µs a message", "deflate", smallWindows + "/", cpu},
	{"permessage-deflate, windows of 4 KiB taken over: messages a second", "deflate", smallWindows + "/", rate},
	{"permessage-deflate, windows of 4 KiB taken over: bytes on the wire for each of the message", "deflate", smallWindows + "/", wire},

	{"permessage-deflate: bytes of an idle connection that was busy, heap + stack after a collection", "deflate-memory", "", []column{{"memory", "", true}}},
	{"permessage-deflate: of that, what compression adds", "deflate-memory", "", []column{{"added", "", true}}},
	{"permessage-deflate: bytes of an idle connection that was busy, resident after a collection", "deflate-memory", "", []column{{"rss", "", true}}},
	{"permessage-deflate: bytes of an idle connection that was busy, resident before it", "deflate-memory", "", []column{{"rss_busy", "", true}}},

	{"HTTP/2: echo, server CPU, µs a message", "http2", "echo/", cpu},
	{"HTTP/2: echo, messages a second", "http2", "echo/", rate},
	{"HTTP/2: a new WebSocket", "http2", "handshake/", []column{{"server_us", "server µs", true}, {"per_s", "a second", true}}},
	{"HTTP/2: bytes of an idle WebSocket, heap + stack after a collection", "http2", "idle/", []column{{"memory", "", true}}},
	{"HTTP/2: bytes of an idle WebSocket, resident after a collection", "http2", "idle/", []column{{"rss", "", true}}},
	{"HTTP/2: goroutines of an idle WebSocket", "http2", "idle/", []column{{"goroutines", "", false}}},
}

// table is empty where nothing was measured.
func (r *report) table(s section) string {
	head := []string{"library"}
	cases := r.cases(s.workload, s.prefix)
	for _, name := range cases {
		for _, c := range s.columns {
			head = append(head, strings.TrimSpace(strings.TrimPrefix(name, s.prefix)+" "+c.head))
		}
	}
	rows := [][]string{head}
	for _, lib := range r.rows(s.workload) {
		row, empty := []string{lib}, true
		for _, name := range cases {
			for _, c := range s.columns {
				cell := r.cell(key{s.workload, name, lib}, c)
				row, empty = append(row, cell), empty && cell == "-"
			}
		}
		if !empty {
			rows = append(rows, row)
		}
	}
	if len(rows) == 1 {
		return ""
	}
	return "\n### " + s.title + "\n\n" + markdownTable(rows, 1)
}

func (r *report) cell(k key, c column) string {
	rounds := r.rounds[k][c.metric]
	if len(rounds) == 0 {
		return "-"
	}
	text := number(median(rounds))
	if ratio := r.ratio(k, c.metric, base(k.workload, k.name)); c.ratio && ratio != 0 {
		text += fmt.Sprintf(" (%.2f)", ratio)
	}
	return text
}

// number gives three digits or more.
func number(v float64) string {
	switch a := max(v, -v); {
	case a == 0:
		return "0"
	case a < 0.1:
		return fmt.Sprintf("%.3f", v)
	case a < 10:
		return fmt.Sprintf("%.2f", v)
	case a < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// markdownTable has the head in its first row. All columns but the first ones
// are numbers.
func markdownTable(rows [][]string, words int) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 3)
		}
	}
	rule := make([]string, len(widths))
	for i, n := range widths {
		rule[i] = strings.Repeat("-", n)
		if i >= words {
			rule[i] = strings.Repeat("-", n-1) + ":"
		}
	}
	var b strings.Builder
	for _, row := range slices.Insert(slices.Clone(rows), 1, rule) {
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i < words {
				cell += pad
			} else {
				cell = pad + cell
			}
			b.WriteString("| " + cell + " ")
		}
		b.WriteString("|\n")
	}
	return b.String()
}
