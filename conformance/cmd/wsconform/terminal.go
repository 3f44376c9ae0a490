package main

import (
	"fmt"
	"io"
	"os"

	"github.com/airlock-go/websocket/conformance"
)

// isTerminal reports whether a person looks at what is written to w, on
// something that understands colours and a line that is written anew.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// colours are those of the verdicts, as parameters of ECMA-48's SGR.
var colours = map[conformance.Verdict]string{
	conformance.Pass:          "32",
	conformance.Informational: "36",
	conformance.NonStrict:     "33",
	conformance.Unimplemented: "2",
	conformance.Fail:          "1;31",
}

// colourful reports whether what is written to w has colours.
func colourful(w io.Writer) bool { return isTerminal(w) && os.Getenv("NO_COLOR") == "" }

// paint gives text the colour of v.
func paint(v conformance.Verdict, text string) string {
	return "\x1b[" + colours[v] + "m" + text + "\x1b[0m"
}

// plain gives text no colour.
func plain(_ conformance.Verdict, text string) string { return text }

// progress is a line on a terminal that tells how far the run is.
type progress struct {
	w                io.Writer // nil: nobody looks
	total, n, failed int
}

func newProgress(w io.Writer, total int) *progress {
	p := &progress{total: total}
	if isTerminal(w) {
		p.w = w
	}
	return p
}

// clearLine goes to the start of the line and erases it.
const clearLine = "\r\x1b[K"

func (p *progress) step(r *conformance.Result) {
	p.n++
	if r.Verdict == conformance.Fail {
		p.failed++
	}
	if p.w != nil {
		// The line is shorter than a terminal is wide, for a longer one would
		// scroll.
		fmt.Fprintf(p.w, "%s%*d of %d, %d failed: %.50s", clearLine, len(fmt.Sprint(p.total)), p.n, p.total, p.failed, r.ID)
	}
}

func (p *progress) done() {
	if p.w != nil {
		fmt.Fprint(p.w, clearLine)
	}
}
