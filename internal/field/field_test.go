package field

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// isTchar spells tchar of RFC 9110, section 5.6.2, out.
func isTchar(c byte) bool {
	return strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0 ||
		'0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func TestIsToken(t *testing.T) {
	if IsToken("") {
		t.Error(`IsToken("") = true`)
	}
	for i := range 256 {
		c := byte(i)
		for _, s := range []string{string([]byte{c}), string([]byte{'a', c}), string([]byte{c, 'a'}), string([]byte{'a', c, 'a'})} {
			if got, want := IsToken(s), isTchar(c); got != want {
				t.Errorf("IsToken(%q) = %v, want %v", s, got, want)
			}
		}
	}
}

func TestIsValue(t *testing.T) {
	if !IsValue("") {
		t.Error(`IsValue("") = false`)
	}
	for i := range 256 {
		c := byte(i)
		want := c != '\r' && c != '\n' && c != 0
		for _, s := range []string{string([]byte{c}), string([]byte{'a', c, 'a'})} {
			if got := IsValue(s); got != want {
				t.Errorf("IsValue(%q) = %v, want %v", s, got, want)
			}
		}
	}
}

func TestTrim(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{" \t ", ""},
		{"a", "a"},
		{" \ta b\t ", "a b"},
		{"\r\na\v\f", "\r\na\v\f"}, // no optional white space
		{"\u00a0a\u2003", "\u00a0a\u2003"},
	} {
		if got := Trim(tt.in); got != tt.want {
			t.Errorf("Trim(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestHasToken(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lines []string
		token string
		want  bool
	}{
		{"no line", nil, "upgrade", false},
		{"empty line", []string{""}, "upgrade", false},
		{"only white space and commas", []string{" ,\t, ", ","}, "upgrade", false},
		{"alone", []string{"upgrade"}, "upgrade", true},
		{"in another case", []string{"uPgRaDe"}, "Upgrade", true},
		{"first", []string{"upgrade, keep-alive"}, "upgrade", true},
		{"middle", []string{"a,upgrade,b"}, "upgrade", true},
		{"last", []string{"keep-alive,\t Upgrade \t"}, "upgrade", true},
		{"empty elements", []string{",, ,upgrade,,"}, "upgrade", true},
		{"second line", []string{"keep-alive", "upgrade"}, "upgrade", true},
		{"behind what is no token", []string{`@, a b, ", upgrade`}, "upgrade", true},
		{"prefix", []string{"upgrad"}, "upgrade", false},
		{"longer", []string{"upgrade2"}, "upgrade", false},
		{"with a version", []string{"websocket/13"}, "websocket", false},
		{"two words", []string{"upgrade now"}, "upgrade", false},
		{"across lines", []string{"upg", "rade"}, "upgrade", false},
		{"in quotes", []string{`"upgrade"`}, "upgrade", false},
		{"other white space", []string{"\vupgrade\u00a0"}, "upgrade", false},
		// Unicode folds these to s and k, but they are no tokens.
		{"long s", []string{"web\u017focket"}, "websocket", false},
		{"Kelvin sign", []string{"websoc\u212aet"}, "websocket", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := HasToken(tt.lines, tt.token); got != tt.want {
				t.Errorf("HasToken(%q, %q) = %v, want %v", tt.lines, tt.token, got, tt.want)
			}
		})
	}
}

var tokenTests = []struct {
	name  string
	lines []string
	want  []string
	err   string // the whole text
}{
	{"one", []string{"chat"}, []string{"chat"}, ""},
	{"two", []string{"chat, superchat"}, []string{"chat", "superchat"}, ""},
	{"without space", []string{"a,b,c"}, []string{"a", "b", "c"}, ""},
	{"white space", []string{" \ta\t ,\t b \t"}, []string{"a", "b"}, ""},
	{"several lines", []string{"a, b", "c"}, []string{"a", "b", "c"}, ""},
	{"the order of the lines", []string{"b", "a"}, []string{"b", "a"}, ""},
	{"twice", []string{"a, a"}, []string{"a", "a"}, ""},
	{"case kept", []string{"Chat"}, []string{"Chat"}, ""},
	{"every tchar", []string{"!#$%&'*+-.^_`|~09azAZ"}, []string{"!#$%&'*+-.^_`|~09azAZ"}, ""},
	{"empty elements", []string{",a,, ,\t,b,"}, []string{"a", "b"}, ""},
	{"empty lines", []string{"", "a", " ", ","}, []string{"a"}, ""},
	{"no line", nil, nil, "the list has no element"},
	{"empty line", []string{""}, nil, "the list has no element"},
	{"only empty elements", []string{" , ,\t", ","}, nil, "the list has no element"},
	{"space inside", []string{"a b"}, nil, `"a b" is not a token`},
	{"tab inside", []string{"a\tb"}, nil, `"a\tb" is not a token`},
	{"quoted", []string{`"a"`}, nil, `"\"a\"" is not a token`},
	{"quoted comma", []string{`"a,b"`}, nil, `"\"a" is not a token`},
	{"parameter", []string{"a;b"}, nil, `"a;b" is not a token`},
	{"slash", []string{"http/1.1"}, nil, `"http/1.1" is not a token`},
	{"byte over 127", []string{"a\xff"}, nil, `"a\xff" is not a token`},
	{"letter over 127", []string{"é"}, nil, `"\u00e9" is not a token`},
	{"control characters", []string{"\r\na"}, nil, `"\r\na" is not a token`},
	{"behind a good one", []string{"a, b", "c/"}, []string{"a", "b"}, `"c/" is not a token`},
	{"markup", []string{"<b>"}, nil, `"\x3cb\x3e" is not a token`},
}

func TestAppendTokens(t *testing.T) {
	for _, tt := range tokenTests {
		t.Run(tt.name, func(t *testing.T) {
			before := []string{"before"}
			got, err := AppendTokens(before[:1:1], tt.lines)
			if text := errorText(err); text != tt.err {
				t.Errorf("AppendTokens(%q): error %q, want %q", tt.lines, text, tt.err)
			}
			if want := append(before, tt.want...); !slices.Equal(got, want) {
				t.Errorf("AppendTokens(%q) = %q, want %q", tt.lines, got, want)
			}
			eachPrefix(tt.lines, func(lines []string) { checkTokens(t, lines) })
		})
	}
}

// eachPrefix calls f with every truncation of lines.
func eachPrefix(lines []string, f func([]string)) {
	for i, line := range lines {
		for j := range len(line) + 1 {
			f(append(lines[:i:i], line[:j]))
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// tokenList is the list of tokens of RFC 9110, section 5.6.1.2.
var tokenList = regexp.MustCompile("^" + list(token) + "$")

const (
	ows   = `[ \t]*`
	token = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
)

func list(element string) string {
	return `(?:` + ows + `,)*` + ows + `(?:` + element + ows + `(?:,` + ows + `(?:` + element + ows + `)?)*)?`
}

// checkTokens holds AppendTokens against the grammar as a regular expression,
// and HasToken against a comparison of its own.
func checkTokens(t *testing.T, lines []string) {
	t.Helper()
	joined := strings.Join(lines, ",")
	var want []string
	ok := tokenList.MatchString(joined)
	for element := range strings.SplitSeq(joined, ",") {
		if element = strings.Trim(element, " \t"); element != "" && ok {
			want = append(want, element)
		}
	}
	ok = ok && len(want) > 0
	got, err := AppendTokens(nil, lines)
	if (err == nil) != ok || ok && !slices.Equal(got, want) {
		t.Errorf("AppendTokens(%q) = %q, %v, want %q, ok %v", lines, got, err, want, ok)
	}
	for _, name := range append(got, "websocket") {
		has := slices.ContainsFunc(strings.Split(joined, ","), func(element string) bool {
			return lower(strings.Trim(element, " \t")) == lower(name)
		})
		if got := HasToken(lines, strings.ToUpper(name)); got != has {
			t.Errorf("HasToken(%q, %q) = %v, want %v", lines, strings.ToUpper(name), got, has)
		}
	}
	if !ok {
		checkMessage(t, err)
	}
}

// lower leaves everything alone that is no ASCII letter.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// checkMessage: an error may be shown to the peer, whatever it has sent.
func checkMessage(t *testing.T, err error) {
	t.Helper()
	text := errorText(err)
	if text == "" || len(text) > 1000 || !harmless(text) {
		t.Errorf("error text of %d bytes: %q", len(text), text)
	}
}

// TestLinear: "Every function takes time linear in the size of the field". A
// field 128 times as large takes some 128 times as long; were it quadratic, it
// would be 16384 times. The limit leaves room on both sides for a machine that
// has other things to do.
func TestLinear(t *testing.T) {
	const size, factor, limit = 2 << 10, 128, 2000
	// With room for all elements, the garbage collector stays out of it.
	tokens := make([]string, size*factor)
	parsers := map[string]func(s string){
		"HasToken":     func(s string) { HasToken([]string{s}, "upgrade") },
		"AppendTokens": func(s string) { AppendTokens(tokens[:0], []string{s}) },
		"Extensions": func(s string) {
			for x := NewExtensions([]string{s}); x.Next(); {
			}
		},
		"Quote": func(s string) { Quote(s) },
	}
	fields := map[string]func(n int) string{
		"spaces":           func(n int) string { return strings.Repeat(" ", n) },
		"spaces around":    func(n int) string { return strings.Repeat(" ", n/2) + "a" + strings.Repeat(" ", n/2) },
		"spaces inside":    func(n int) string { return "a" + strings.Repeat(" ", n) + "a" },
		"commas":           func(n int) string { return strings.Repeat(",", n) },
		"commas, spaces":   func(n int) string { return strings.Repeat(", ", n/2) },
		"semicolons":       func(n int) string { return "a" + strings.Repeat(";", n) },
		"elements":         func(n int) string { return strings.Repeat("a,", n/2) },
		"parameters":       func(n int) string { return "a" + strings.Repeat(" ; a ", n/5) },
		"values":           func(n int) string { return "a" + strings.Repeat(";a=1", n/4) },
		"quotes":           func(n int) string { return "a;a=" + strings.Repeat(`"`, n) },
		"one quoted value": func(n int) string { return `a;a="` + strings.Repeat("a", n) + `"` },
		"quoted values":    func(n int) string { return "a" + strings.Repeat(`;a="1"`, n/6) },
		"escapes":          func(n int) string { return `a;a="` + strings.Repeat(`\a`, n/2) },
		"backslashes":      func(n int) string { return `a;a="` + strings.Repeat(`\`, n) },
		"one token":        func(n int) string { return strings.Repeat("a", n) },
		"no ASCII":         func(n int) string { return strings.Repeat("\xff", n) },
	}
	for name, parse := range parsers {
		for what, make := range fields {
			ok := t.Run(name+"/"+what, func(t *testing.T) {
				short, long := fastest(parse, make(size), make(size*factor), limit)
				if long > limit*short {
					t.Errorf("%d bytes took %v, %d bytes %v", size, short, size*factor, long)
				}
			})
			if !ok {
				return // the others might take as long
			}
		}
	}
}

// fastest measures parse of two fields until one takes at most limit times as
// long as the other, or that seems hopeless.
func fastest(parse func(string), a, b string, limit time.Duration) (forA, forB time.Duration) {
	// Less than this says nothing about the parser, and harms nobody.
	const least = 200 * time.Microsecond
	took := func(s string) time.Duration {
		start := time.Now()
		parse(s)
		return time.Since(start)
	}
	forA, forB = max(took(a), least), took(b)
	for i := 0; i < 5 && forB > limit*forA && forB < 4*limit*forA; i++ {
		forB = min(forB, took(b))
	}
	return forA, forB
}

func FuzzTokens(f *testing.F) {
	for _, tt := range tokenTests {
		f.Add(strings.Join(tt.lines, "\n"))
	}
	f.Add("a,web\u017foc\u212aet")
	f.Fuzz(func(t *testing.T, s string) {
		checkTokens(t, strings.Split(s, "\n"))
		checkQuote(t, s)
	})
}
