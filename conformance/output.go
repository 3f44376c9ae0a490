package conformance

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// JSON writes everything.
func (r *Report) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "\t")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

// Expected writes a line for each case: the verdict and the ID.
func (r *Report) Expected(w io.Writer) error {
	for i := range r.Results {
		if _, err := fmt.Fprintf(w, "%v %s\n", r.Results[i].Verdict, r.Results[i].ID); err != nil {
			return err
		}
	}
	return nil
}

// Unexpected compares the report with what Expected wrote before, and returns a
// line for each difference. Lines whose ID does not match are left out, and so
// are empty ones and those that begin with #.
func (r *Report) Unexpected(expected string, match *regexp.Regexp) (wrong []string, err error) {
	want := make(map[string]Verdict)
	for line := range strings.Lines(expected) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		word, id, _ := strings.Cut(line, " ")
		var v Verdict
		if err := v.UnmarshalText([]byte(word)); err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		if match == nil || match.MatchString(id) {
			want[id] = v
		}
	}
	for i := range r.Results {
		got := &r.Results[i]
		switch v, known := want[got.ID]; {
		case !known:
			wrong = append(wrong, fmt.Sprintf("%s: %v, and nothing is expected", got.ID, got.Verdict))
		case v != got.Verdict:
			line := fmt.Sprintf("%s: %v where %v is expected", got.ID, got.Verdict, v)
			if got.Note != "" {
				line += ": " + got.Note
			}
			wrong = append(wrong, line)
		}
		delete(want, got.ID)
	}
	for _, id := range slices.Sorted(maps.Keys(want)) {
		wrong = append(wrong, fmt.Sprintf("%s: %v is expected, and there is no such case", id, want[id]))
	}
	return wrong, nil
}

// The format of JUnit, as far as those who read it agree.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Seconds  float64     `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		Seconds float64       `xml:"time,attr"`
		Failure *junitMessage `xml:"failure"`
		Error   *junitMessage `xml:"error"`
		Skipped *junitMessage `xml:"skipped"`
		Output  string        `xml:"system-out,omitempty"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes a report in the format of JUnit: a suite for each group. What is
// unimplemented counts as skipped, and a run that ended early as an error.
func (r *Report) JUnit(w io.Writer) error {
	var all junitSuites
	names, parts := r.Groups()
	for _, name := range names {
		all.Suites = append(all.Suites, parts[name].junit(name))
	}
	if r.Ended != "" {
		c := junitCase{Name: "all cases", Class: "conformance", Error: &junitMessage{Message: r.Ended}}
		all.Suites = append(all.Suites, junitSuite{Name: "the run", Tests: 1, Errors: 1, Cases: []junitCase{c}})
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "\t")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// junit returns the report of one group.
func (r *Report) junit(name string) junitSuite {
	counts := r.Count()
	suite := junitSuite{
		Name: name, Tests: len(r.Results), Failures: counts[Fail], Skipped: counts[Unimplemented], Seconds: r.Seconds,
	}
	for i := range r.Results {
		got := &r.Results[i]
		c := junitCase{Name: got.Section + " " + got.Name, Class: "conformance." + name, Seconds: got.Seconds}
		switch got.Verdict {
		case Fail:
			c.Failure = &junitMessage{Message: got.Note, Text: dialogueText(got.Dialogue)}
		case Unimplemented:
			c.Skipped = &junitMessage{Message: got.Note}
		default:
			if got.Note != "" {
				c.Output = got.Verdict.String() + ": " + got.Note
			}
		}
		suite.Cases = append(suite.Cases, c)
	}
	return suite
}

// dialogueText is a dialogue for people who have nothing but text.
func dialogueText(lines []Line) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.String() + "\n")
	}
	return b.String()
}
