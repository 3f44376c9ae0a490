package conformance

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Verdict is how well a server did in a case. A larger one is worse.
type Verdict int

// The verdicts. The package documentation says what they mean.
const (
	Pass Verdict = iota
	Informational
	NonStrict
	Unimplemented
	Fail
)

// Verdicts are all verdicts, the best first.
var Verdicts = []Verdict{Pass, Informational, NonStrict, Unimplemented, Fail}

var verdictNames = []string{"pass", "informational", "non-strict", "unimplemented", "fail"}

func (v Verdict) String() string {
	if v < 0 || int(v) >= len(verdictNames) {
		return fmt.Sprintf("Verdict(%d)", int(v))
	}
	return verdictNames[v]
}

// MarshalText returns the name of v.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText sets v to the verdict of this name.
func (v *Verdict) UnmarshalText(text []byte) error {
	i := slices.Index(verdictNames, string(text))
	if i < 0 {
		return fmt.Errorf("no verdict: %q", text)
	}
	*v = Verdict(i)
	return nil
}

// A Report is what a run has found.
type Report struct {
	URL     string    `json:"url"`
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"`
	Results []Result  `json:"results"` // in the order of the cases

	// Ended says why the run ended before all cases were played; "" if it did not.
	Ended string `json:"ended,omitempty"`
}

// A Result is how a server did in one case.
type Result struct {
	ID      string  `json:"id"`
	Group   string  `json:"group"`
	Section string  `json:"section"`
	Name    string  `json:"name"`
	Why     string  `json:"why,omitempty"`
	Verdict Verdict `json:"verdict"`

	// Note says what was seen in place of what is best; "" if nothing was.
	Note string `json:"note,omitempty"`

	// Source is the text of the case, Dialogue what was said in the worst of
	// the runs, and Chop how its bytes were cut.
	Source   string  `json:"source"`
	Dialogue []Line  `json:"dialogue"`
	Chop     string  `json:"chop"`
	Runs     int     `json:"runs"`
	Seconds  float64 `json:"seconds"`
}

// A Line is one thing that was sent or received.
type Line struct {
	Seconds float64 `json:"seconds"` // since the connection was made
	Mark    Mark    `json:"mark"`
	What    string  `json:"what"`           // the header of a frame, in words
	Data    string  `json:"data,omitempty"` // the payload, quoted, or its beginning
}

func (l Line) String() string {
	s := fmt.Sprintf("%7.3fs %s %s", l.Seconds, l.Mark, l.title())
	if l.Data != "" {
		s += ": " + l.Data
	}
	return s
}

// title is What, and for a close frame the code that it has.
func (l Line) title() string {
	rest, is := strings.CutPrefix(l.What, "close,")
	payload, err := strconv.Unquote(l.Data)
	if !is || err != nil || len(payload) < 2 {
		return l.What
	}
	return fmt.Sprintf("close %d,%s", int(payload[0])<<8|int(payload[1]), rest)
}

// A Mark says whose a Line is.
type Mark string

// The marks.
const (
	Sent     Mark = ">"
	Received Mark = "<"
	Remark   Mark = "." // of the suite
)

// Count returns how many results have each verdict.
func (r *Report) Count() map[Verdict]int {
	counts := make(map[Verdict]int)
	for i := range r.Results {
		counts[r.Results[i].Verdict]++
	}
	return counts
}

// Groups returns a report for each group, in the order of their first cases.
func (r *Report) Groups() (names []string, parts map[string]*Report) {
	parts = make(map[string]*Report)
	for i := range r.Results {
		got := &r.Results[i]
		part := parts[got.Group]
		if part == nil {
			part = &Report{URL: r.URL, Started: r.Started}
			parts[got.Group] = part
			names = append(names, got.Group)
		}
		part.Seconds += got.Seconds
		part.Results = append(part.Results, *got)
	}
	return names, parts
}

// printable writes what is for no eye, as control characters and bytes that are
// not UTF-8, as strconv.Quote does. Servers may say anything, to terminals too.
func printable(s string) string {
	var b strings.Builder
	for s != "" {
		r, n := utf8.DecodeRuneInString(s)
		if unicode.IsPrint(r) && (r != utf8.RuneError || n > 1) {
			b.WriteRune(r)
		} else {
			quoted := strconv.Quote(s[:n])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		s = s[n:]
	}
	return b.String()
}
