package main

import (
	"fmt"
	"strings"
	"testing"
)

// sample is a report of one case, round by round.
func sample(workload, name, metric string, rounds map[string][]float64) *report {
	var r report
	for _, lib := range []string{"raw-tcp", "(floor)", "gws", "gorilla", "airlock", "xnet"} { // not their order in tables
		for _, v := range rounds[lib] {
			r.add(figures{workload, name, lib, metrics{metric: v}})
		}
	}
	return &r
}

func TestTable(t *testing.T) {
	r := sample("echo", "small/64B", "server_us", map[string][]float64{
		"gws": {3, 6, 9}, "gorilla": {6, 12, 6}, "airlock": {0.5, 1, 0.5}, "(floor)": {0.01}, "raw-tcp": {0, 0, 0},
	})
	r.add(figures{"echo", "large", "gorilla", metrics{"server_us": 1}})
	r.add(figures{"echo", "small/1KiB", "gorilla", metrics{"server_us": 123.4}})
	got := r.table(section{"A title", "echo", "small/", []column{{"server_us", "µs", true}}})
	want := `
### A title

| library |       64B µs |    1KiB µs |
| ------- | -----------: | ---------: |
| airlock |  0.50 (0.08) |          - |
| gorilla |  6.00 (1.00) | 123 (1.00) |
| gws     |  6.00 (0.50) |          - |
| raw-tcp |            0 |          - |
| (floor) | 0.010 (0.00) |          - |
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := r.table(section{"A title", "idle", "", []column{{"server_us", "µs", true}}}); got != "" {
		t.Errorf("nothing was measured, and the table is\n%s", got)
	}
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestMarkdownTable(t *testing.T) {
	got := markdownTable([][]string{{"a", "µs"}, {"word", "1"}, {"", "1000"}}, 1)
	want := "" +
		"| a    |   µs |\n" +
		"| ---- | ---: |\n" +
		"| word |    1 |\n" +
		"|      | 1000 |\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.01234: "0.012", 0.5: "0.50", 1.234: "1.23", 12.34: "12.3", 123.4: "123", 123456: "123456", -1.234: "-1.23",
	} {
		if got := number(v); got != want {
			t.Errorf("%v is written %q, want %q", v, got, want)
		}
	}
}

func TestGlance(t *testing.T) {
	r := sample("echo", "64B", "server_us", map[string][]float64{
		// xnet is partial and raw-tcp a floor, so neither is the best peer.
		"airlock": {4, 8, 4}, "gorilla": {8, 16, 8}, "gws": {5, 5, 5}, "xnet": {1, 1, 1}, "raw-tcp": {2, 4, 2},
	})
	want := "| echo, 64B | gws | 4.00 µs | 0.50 | 0.80 | 2.00 |"
	if got := r.glance(); !strings.Contains(squeeze(got), want) {
		t.Errorf("no line %q in\n%s", want, got)
	}
	text := sample("read", "text/128B", "ns", map[string][]float64{"airlock": {4}, "gorilla": {2}, "gws": {8}})
	if got, want := text.glance(), "| read, text/128B | gws | 4.00 ns | 2.00 | 0.50 | - |"; !strings.Contains(squeeze(got), want) {
		t.Errorf("no line %q in\n%s", want, got)
	}
	alone := sample("echo", "64B", "server_us", map[string][]float64{"airlock": {4}})
	if got := alone.glance(); got != "" {
		t.Errorf("compared with nobody:\n%s", got)
	}
	absent := sample("echo", "64B", "server_us", map[string][]float64{"gws": {4}})
	if got := absent.glance(); got != "" {
		t.Errorf("without Airlock:\n%s", got)
	}
}

func TestHTTP2Glance(t *testing.T) {
	r := new(report)
	if got := r.http2Glance(); got != "" {
		t.Errorf("nothing was measured, and the table is\n%s", got)
	}
	for _, f := range []figures{
		{"http2", "echo/64B", "airlock", metrics{"server_us": 2}},
		{"http2", "echo/64B", "airlock-tls", metrics{"server_us": 4}},
		{"http2", "echo/64B", "airlock-http2", metrics{"server_us": 8}},
		{"http2", "echo/1KiB", "airlock-tls", metrics{"server_us": 4}},
		{"http2", "idle/1", "airlock-http2", metrics{"memory": 1000, "rss": 2000}},
	} {
		r.add(f)
	}
	got := squeeze(r.http2Glance())
	for _, want := range []string{
		"| echo, 64B | server CPU | 8.00 µs | 2.00 | 4.00 |",
		"| idle, 1 | heap and stack | 1000 B | - | - | | idle, 1 | resident | 2000 B | - | - |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no line %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "1KiB") {
		t.Errorf("without HTTP/2:\n%s", got)
	}
	if got := squeeze(r.table(section{"A title", "http2", "echo/", cpu})); !strings.Contains(got, "| airlock-http2 | 8.00 (2.00) |") {
		t.Errorf("ratios are not to TLS:\n%s", got)
	}
}

func TestInterleave(t *testing.T) {
	var order []string
	err := interleave(3, []string{"A", "B", "C"}, func(s string) error {
		order = append(order, s)
		return nil
	})
	if got := strings.Join(order, " "); err != nil || got != "A B C C B A A B C" {
		t.Errorf("%s, %v", got, err)
	}
	failed := fmt.Errorf("failed")
	if err := interleave(1, []int{1}, func(int) error { return failed }); err != failed {
		t.Errorf("error %v", err)
	}
}
