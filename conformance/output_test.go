package conformance

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// hostile is what a server may say to whoever reads the reports.
const hostile = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;]]>\x1b[31m\x00\xff\u202e`${}"

// hostileReport has a case of each verdict in two groups, each with something
// hostile wherever a server has a say.
func hostileReport() *Report {
	r := &Report{URL: "ws://127.0.0.1:1/?a=b&c=<d>", Started: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC), Seconds: 1.5}
	for i := range 2 * len(Verdicts) {
		v := Verdicts[i%len(Verdicts)]
		got := Result{
			Group: "one", Section: "5.4", Name: fmt.Sprintf("the case <%d>", i), Why: "because " + hostile, Verdict: v,
			Source: "== 5.4 a case\n> text " + strconv.Quote(hostile) + "\n< echo\nor non-strict end\n", Chop: "together", Runs: i + 1,
			Dialogue: []Line{
				{0, Sent, "handshake", strconv.Quote("GET / HTTP/1.1\r\n\r\n")},
				{0.5, Received, "HTTP/1.1 101 " + hostile, strconv.Quote(hostile)},
				{0.6, Remark, "a remark", ""},
				{0.6, Received, "end of TCP", ""},
			},
		}
		if i >= len(Verdicts) {
			got.Group, got.Section = "two", "7692 7.2.1"
		}
		if v != Pass {
			got.Note = "note " + hostile
		}
		got.ID = got.Group + "/" + got.Section + " " + got.Name
		r.Results = append(r.Results, got)
	}
	return r
}

func output(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestJSON: what was written is read again, up to bytes that are not UTF-8.
func TestJSON(t *testing.T) {
	r := hostileReport()
	var again Report
	if err := json.Unmarshal([]byte(output(t, r.JSON)), &again); err != nil {
		t.Fatal(err)
	}
	want := hostileReport()
	for i := range want.Results {
		clean := func(s *string) { *s = strings.ToValidUTF8(*s, "\ufffd") }
		clean(&want.Results[i].Why)
		clean(&want.Results[i].Note)
		clean(&want.Results[i].Dialogue[1].What)
	}
	if got, want := fmt.Sprintf("%+v", again), fmt.Sprintf("%+v", *want); got != want {
		t.Errorf("read again:\n%s\nwant\n%s", got, want)
	}
}

// TestJUnit: the XML is valid whatever a server says, and every case is there.
func TestJUnit(t *testing.T) {
	r := hostileReport()
	text := output(t, r.JUnit)
	var all junitSuites
	if err := xml.Unmarshal([]byte(text), &all); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if len(all.Suites) != 2 || all.Suites[0].Name != "one" || all.Suites[1].Name != "two" {
		t.Fatalf("the suites are %+v", all.Suites)
	}
	n := 0
	for _, suite := range all.Suites {
		if suite.Tests != len(suite.Cases) || suite.Failures != 1 || suite.Skipped != 1 || suite.Errors != 0 {
			t.Errorf("suite %s: %d tests, %d failures, %d skipped, %d errors", suite.Name, suite.Tests, suite.Failures, suite.Skipped, suite.Errors)
		}
		for _, c := range suite.Cases {
			want := &r.Results[n]
			n++
			if c.Name != want.Section+" "+want.Name {
				t.Errorf("case %d is %q", n, c.Name)
			}
			if got := c.Failure != nil; got != (want.Verdict == Fail) {
				t.Errorf("%s is %v; a failure: %v", c.Name, want.Verdict, got)
			}
			if got := c.Skipped != nil; got != (want.Verdict == Unimplemented) {
				t.Errorf("%s is %v; skipped: %v", c.Name, want.Verdict, got)
			}
			if c.Failure != nil && !strings.Contains(c.Failure.Text, "end of TCP") {
				t.Errorf("%s failed, and its dialogue is %q", c.Name, c.Failure.Text)
			}
		}
	}
	if n != len(r.Results) {
		t.Errorf("%d cases of %d", n, len(r.Results))
	}
	r.Ended = "it ended"
	if text := output(t, r.JUnit); !strings.Contains(text, `<error message="it ended">`) {
		t.Errorf("a run that ended early is no error in\n%s", text)
	}
}

var (
	oneCase = regexp.MustCompile(`<details class="case [a-z-]+" data-verdict="([a-z-]+)" data-id="([^"]*)">`)
	scripts = regexp.MustCompile(`(?s)<script>(.*?)</script>`)
	styles  = regexp.MustCompile(`(?s)<style>(.*?)</style>`)
	inTags  = regexp.MustCompile(`(?s)<[a-z!/][^>]*>`)
	links   = regexp.MustCompile(`(?:href|src|action|data)="([^"]*)"`)
	policed = regexp.MustCompile(`http-equiv="Content-Security-Policy" content="([^"]*)"`)
)

// TestHTML: every case is on the page, and nothing that a server said is more
// than text.
func TestHTML(t *testing.T) {
	r := hostileReport()
	r.Ended = "it ended " + printable(hostile)
	page := output(t, r.HTML)
	cases := oneCase.FindAllStringSubmatch(page, -1)
	if len(cases) != len(r.Results) {
		t.Fatalf("%d cases of %d", len(cases), len(r.Results))
	}
	for i, m := range cases {
		want := r.Results[i]
		if m[1] != want.Verdict.String() || html.UnescapeString(m[2]) != want.ID {
			t.Errorf("case %d is %q, want %v and %q", i, m, want.Verdict, want.ID)
		}
	}
	text := html.UnescapeString(page)
	said := strconv.Quote(hostile)
	if n := strings.Count(text, said); n < 2*len(r.Results) {
		t.Errorf("what was said stands on the page %d times", n)
	}
	for _, want := range []string{
		r.URL, "3 February 2026", "10 cases in 1.50 s", r.Ended, "This is not all.", "500.0 ms of silence",
		`"https://www.rfc-editor.org/rfc/rfc6455#section-5.4"`, `"https://www.rfc-editor.org/rfc/rfc7692#section-7.2.1"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not have %q", want)
		}
	}
	for _, bad := range []string{"<img", "alert(1)</script>", "ZgotmplZ"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
}

// TestHTMLAlone: the page loads nothing, and its policy lets only its own style
// and script in.
func TestHTMLAlone(t *testing.T) {
	page := output(t, hostileReport().HTML)
	m := policed.FindStringSubmatch(page)
	if m == nil {
		t.Fatal("there is no policy")
	}
	policy := html.UnescapeString(m[1])
	if !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is %q", policy)
	}
	for _, kind := range []*regexp.Regexp{scripts, styles} {
		found := kind.FindAllStringSubmatch(page, -1)
		if len(found) != 1 {
			t.Fatalf("%v: %d", kind, len(found))
		}
		sum := sha256.Sum256([]byte(found[0][1]))
		if hash := base64.StdEncoding.EncodeToString(sum[:]); !strings.Contains(policy, "'sha256-"+hash+"'") {
			t.Errorf("the policy %q does not let %v in, which is %s", policy, kind, hash)
		}
		page = strings.Replace(page, found[0][1], "", 1)
	}
	for _, tag := range inTags.FindAllString(page, -1) {
		for _, m := range links.FindAllStringSubmatch(tag, -1) {
			if !strings.HasPrefix(m[1], "#") && (!strings.HasPrefix(m[1], "https://www.rfc-editor.org/rfc/") || !strings.HasPrefix(tag, "<a ")) {
				t.Errorf("the page has %s", tag)
			}
		}
	}
}

// TestUnexpected: a report is as expected of itself, and every difference is told
// by name.
func TestUnexpected(t *testing.T) {
	r := hostileReport()
	expected := output(t, r.Expected)
	for _, tt := range []struct {
		name     string
		from, to string // in what is expected
		match    string
		want     []string
	}{
		{"nothing differs", "", "", "", nil},
		{"comments and empty lines", "pass one", "# a comment\n\n  pass one", "", nil},
		{"a better one", "fail one/5.4 the case <4>\n", "pass one/5.4 the case <4>\n", "", []string{"one/5.4 the case <4>: fail where pass is expected: note"}},
		{"a worse one", "pass one/5.4 the case <0>\n", "fail one/5.4 the case <0>\n", "", []string{"one/5.4 the case <0>: pass where fail is expected"}},
		{"a new one", "pass one/5.4 the case <0>\n", "", "", []string{"one/5.4 the case <0>: pass, and nothing is expected"}},
		{"gone", "pass one", "pass one/9.9 gone b\npass one/9.9 gone a\npass one", "", []string{
			"one/9.9 gone a: pass is expected, and there is no such case", "one/9.9 gone b: pass is expected, and there is no such case",
		}},
		{"gone, and left out", "pass one", "pass three/9.9 gone\npass one", "^(one|two)/", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(expected, tt.from, tt.to, 1)
			if tt.from != "" && text == expected {
				t.Fatalf("%q is not expected", tt.from)
			}
			got, err := r.Unexpected(text, regexp.MustCompile(tt.match))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(got, tt.want, strings.HasPrefix) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
	if _, err := r.Unexpected("excellent one/5.4 a case", nil); err == nil || !strings.Contains(err.Error(), "excellent") {
		t.Errorf("a verdict that is none: %v", err)
	}
}

func TestPrintable(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", ""},
		{`as it is: "quotes", \ and naïve 扉 🚪`, `as it is: "quotes", \ and naïve 扉 🚪`},
		{"\x1b[31mred\a\x00", `\x1b[31mred\a\x00`},
		{"two\r\nlines", `two\r\nlines`},
		{"\xff\xe6\x89", `\xff\xe6\x89`},
		{"\u202e\u2028\ufffd", `\u202e\u2028` + "\ufffd"},
	} {
		if got := printable(tt.text); got != tt.want || !utf8.ValidString(got) {
			t.Errorf("printable(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestPicture(t *testing.T) {
	for _, tt := range []struct {
		name   string
		line   Line
		class  string
		wait   float64
		shown  string
		before float64 // seconds of the line above
	}{
		{"sent", Line{0.01, Sent, "text, 1 byte", `"x"`}, "sent", 0, `"x"`, 0},
		{"received", Line{0.01, Received, "text, 1 byte", `"x"`}, "received", 0, `"x"`, 0},
		{"a remark", Line{0.01, Remark, "pass: fine", ""}, "remark", 0, "", 0},
		{"the end", Line{0.01, Received, "end of TCP", ""}, "received end", 0, "", 0},
		{"half the end", Line{0.01, Sent, "end of what the client sends", ""}, "sent end", 0, "", 0},
		{"silence", Line{2.25, Received, "pong, 0 bytes", ""}, "received", 2, "", 0.25},
		{"lines", Line{0.01, Sent, "HTTP", `"a\r\nb\\n\n"`}, "sent", 0, "\"a\\r\\n\nb\\\\n\\n\"", 0},
		{"cut", Line{0.01, Sent, "HTTP", `"a\n"…`}, "sent", 0, "\"a\\n\n\"…", 0},
		{"an escape cut", Line{0.01, Sent, "HTTP", `"a\`}, "sent", 0, `"a\`, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := picture([]Line{{tt.before, Sent, "handshake", ""}, tt.line})[1]
			if got.Class != tt.class || got.Wait != tt.wait || got.Shown != tt.shown {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestLine: a close frame tells its code.
func TestLine(t *testing.T) {
	for _, tt := range []struct{ what, data, want string }{
		{"text, 5 bytes", `"hello"`, `  0.250s > text, 5 bytes: "hello"`},
		{"ping, 0 bytes", "", "  0.250s > ping, 0 bytes"},
		{"close, 0 bytes", "", "  0.250s > close, 0 bytes"},
		{"close, 1 byte", `"\x03"`, `  0.250s > close, 1 byte: "\x03"`},
		{"close, 2 bytes", `"\x03\xe8"`, `  0.250s > close 1000, 2 bytes: "\x03\xe8"`},
		{"close, more follows, 5 bytes", `"\x03\xeabye"`, `  0.250s > close 1002, more follows, 5 bytes: "\x03\xeabye"`},
	} {
		if got := (Line{0.25, Sent, tt.what, tt.data}).String(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// TestGroups: the parts are the whole.
func TestGroups(t *testing.T) {
	r := hostileReport()
	names, parts := r.Groups()
	if !slices.Equal(names, []string{"one", "two"}) || len(parts) != 2 {
		t.Fatalf("the groups are %q", names)
	}
	var all []string
	for _, name := range names {
		for _, got := range parts[name].Results {
			if got.Group != name {
				t.Errorf("%s is in %s", got.ID, name)
			}
			all = append(all, got.ID)
		}
	}
	for i, want := range r.Results {
		if i >= len(all) || all[i] != want.ID {
			t.Fatalf("the parts are %q", all)
		}
	}
}

func TestVerdict(t *testing.T) {
	for _, v := range Verdicts {
		var again Verdict
		text, err := v.MarshalText()
		if err == nil {
			err = again.UnmarshalText(text)
		}
		if err != nil || again != v {
			t.Errorf("%v is read as %v (%v)", v, again, err)
		}
	}
	if got := Verdict(9).String(); got != "Verdict(9)" {
		t.Errorf("Verdict(9) is %q", got)
	}
	var v Verdict
	if err := v.UnmarshalText([]byte("splendid")); err == nil {
		t.Error("splendid is a verdict")
	}
}
