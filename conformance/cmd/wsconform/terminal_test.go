package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/airlock-go/websocket/conformance"
)

// mixed has cases of every verdict in two groups.
func mixed() *conformance.Report {
	r := &conformance.Report{URL: "ws://example.com/", Seconds: 2.34}
	add := func(n int, group string, v conformance.Verdict, note string) {
		for i := range n {
			id := fmt.Sprintf("%s/1.%d %v", group, i, v)
			lines := []conformance.Line{{Seconds: 0.001, Mark: conformance.Sent, What: "text, 1 byte", Data: `"x"`}}
			r.Results = append(r.Results, conformance.Result{ID: id, Group: group, Verdict: v, Note: note, Chop: "together", Dialogue: lines})
		}
	}
	add(12, "framing", conformance.Pass, "")
	add(2, "framing", conformance.Fail, "too bad")
	add(1, "framing", conformance.NonStrict, "well")
	add(4, "deflate", conformance.Unimplemented, "declined")
	add(1, "deflate", conformance.Informational, "by the way")
	add(1, "deflate", conformance.Fail, "corrupt")
	return r
}

// TestSummary: what did not pass, the worst last, and a table.
func TestSummary(t *testing.T) {
	var out bytes.Buffer
	summarise(&out, mixed(), false)
	const want = `informational deflate/1.0 informational
              by the way
non-strict    framing/1.0 non-strict
              well
unimplemented deflate: 4 cases
fail          framing/1.0 fail
fail          framing/1.1 fail
              too bad
fail          deflate/1.0 fail
              corrupt

         pass  informational  non-strict  unimplemented  fail
framing    12              ·           1              ·     2
deflate     ·              1           ·              4     1
all        12              1           1              4     3

21 cases in 2.3 s at ws://example.com/: 12 pass, 1 informational, 1 non-strict, 4 unimplemented, 3 fail
`
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
}

// TestSummaryVerbose: every case that did not pass has its note and dialogue.
func TestSummaryVerbose(t *testing.T) {
	var out bytes.Buffer
	summarise(&out, mixed(), true)
	const each = "sent together:\n      0.001s > text, 1 byte: \"x\"\n"
	if n := strings.Count(out.String(), each); n != 9 {
		t.Errorf("%d dialogues of 9 in\n%s", n, out.String())
	}
	if n := strings.Count(out.String(), "declined"); n != 4 {
		t.Errorf("%d notes of 4 in\n%s", n, out.String())
	}
}

// TestColours: without them a coloured summary is the plain one.
func TestColours(t *testing.T) {
	var without, with bytes.Buffer
	summary{&without, plain, false}.print(mixed())
	summary{&with, paint, false}.print(mixed())
	if !strings.Contains(with.String(), "\x1b[1;31mfail") {
		t.Errorf("no red in %q", with.String())
	}
	sgr := regexp.MustCompile(`\x1b\[[0-9;]*m`)
	if got := sgr.ReplaceAllString(with.String(), ""); got != without.String() {
		t.Errorf("%s\nwant\n%s", got, without.String())
	}
}

// TestNoTerminal: a file is none, and neither is a pipe.
func TestNoTerminal(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for _, w := range []*os.File{f, w} {
		if isTerminal(w) || colourful(w) {
			t.Errorf("%s is a terminal", w.Name())
		}
		if newProgress(w, 1).w != nil {
			t.Errorf("progress is shown on %s", w.Name())
		}
	}
}

// TestProgress: one line, which stays one on a terminal of 80 columns.
func TestProgress(t *testing.T) {
	var out bytes.Buffer
	p := &progress{w: &out, total: 1000}
	for i := range p.total {
		v := conformance.Pass
		if i%4 == 0 {
			v = conformance.Fail
		}
		p.step(&conformance.Result{ID: strings.Repeat("扉 long name ", 20), Verdict: v})
	}
	p.done()
	lines := strings.Split(out.String(), clearLine)
	if len(lines) != p.total+2 || lines[0] != "" || lines[p.total+1] != "" {
		t.Fatalf("%d lines, the first %q, the last %q", len(lines), lines[0], lines[len(lines)-1])
	}
	for _, line := range lines {
		if strings.ContainsAny(line, "\n\r") || utf8.RuneCountInString(line) >= 80 {
			t.Fatalf("%q", line)
		}
	}
	if want := "1000 of 1000, 250 failed: 扉 long"; !strings.HasPrefix(lines[p.total], want) {
		t.Errorf("the last line is %q, want %q", lines[p.total], want)
	}
}
