package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/airlock-go/websocket/conformance"
)

// summarise prints what did not pass, the worst last, and a table.
func summarise(w io.Writer, report *conformance.Report, verbose bool) {
	s := summary{w, plain, verbose}
	if colourful(w) {
		s.paint = paint
	}
	s.print(report)
}

// A summary writes to w.
type summary struct {
	w       io.Writer
	paint   func(conformance.Verdict, string) string
	verbose bool
}

func (s summary) print(report *conformance.Report) {
	names, parts := report.Groups()
	for _, v := range conformance.Verdicts[1:] {
		for _, name := range names {
			s.results(v, name, parts[name])
		}
	}
	s.table(names, parts, report)
	s.total(report)
}

// few are as many unimplemented cases of a group as are told one by one.
const few = 3

// results prints the results of a group that have the verdict v. A note is for all
// cases above it, up to the note before.
func (s summary) results(v conformance.Verdict, group string, report *conformance.Report) {
	n := report.Count()[v]
	if v == conformance.Unimplemented && n > few && !s.verbose {
		fmt.Fprintf(s.w, "%s %s: %d cases\n", s.label(v), group, n)
		return
	}
	these := slices.DeleteFunc(slices.Clone(report.Results), func(r conformance.Result) bool { return r.Verdict != v })
	for i, r := range these {
		fmt.Fprintf(s.w, "%s %s\n", s.label(v), r.ID)
		if last := i+1 == len(these); last || r.Note != these[i+1].Note || s.verbose {
			fmt.Fprintf(s.w, "%*s %s\n", labelWidth, "", r.Note)
		}
		if s.verbose {
			fmt.Fprintf(s.w, "%*s sent %s:\n", labelWidth, "", r.Chop)
			say(s.w, r.Dialogue)
		}
	}
}

// labelWidth is that of the longest verdict.
const labelWidth = len("informational")

func (s summary) label(v conformance.Verdict) string {
	return s.paint(v, fmt.Sprintf("%-*v", labelWidth, v))
}

// say prints a dialogue.
func say(w io.Writer, lines []conformance.Line) {
	for _, line := range lines {
		fmt.Fprintf(w, "    %v\n", line)
	}
}

// table prints the numbers of each group.
func (s summary) table(names []string, parts map[string]*conformance.Report, report *conformance.Report) {
	width := 0
	for _, name := range names {
		width = max(width, len(name))
	}
	fmt.Fprintf(s.w, "\n%*s", width, "")
	for _, v := range conformance.Verdicts {
		fmt.Fprintf(s.w, "  %v", v)
	}
	fmt.Fprintln(s.w)
	for _, name := range names {
		s.row(width, name, parts[name])
	}
	if len(names) > 1 {
		s.row(width, "all", report)
	}
}

func (s summary) row(width int, name string, report *conformance.Report) {
	counts := report.Count()
	fmt.Fprintf(s.w, "%-*s", width, name)
	for _, v := range conformance.Verdicts {
		cell := fmt.Sprintf("  %*s", len(v.String()), "·")
		if n := counts[v]; n > 0 {
			cell = s.paint(v, fmt.Sprintf("  %*d", len(v.String()), n))
		}
		fmt.Fprint(s.w, cell)
	}
	fmt.Fprintln(s.w)
}

// total prints the last line.
func (s summary) total(report *conformance.Report) {
	counts := report.Count()
	var told []string
	for _, v := range conformance.Verdicts {
		if n := counts[v]; n > 0 {
			told = append(told, s.paint(v, fmt.Sprintf("%d %v", n, v)))
		}
	}
	fmt.Fprintf(s.w, "\n%s in %.1f s at %s: %s\n", countCases(len(report.Results)), report.Seconds, report.URL, strings.Join(told, ", "))
}

func countCases(n int) string {
	if n == 1 {
		return "1 case"
	}
	return fmt.Sprintf("%d cases", n)
}
