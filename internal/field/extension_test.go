package field

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Extension is an element of a list, for a comparison.
type Extension struct {
	Name   string
	Params []Param
}

// walk returns all of a list, as far as it is one.
func walk(lines []string) (list []Extension, err error) {
	x := NewExtensions(lines)
	for x.Next() {
		e := Extension{Name: x.Name}
		for x.NextParam() {
			e.Params = append(e.Params, x.Param)
		}
		if x.Err() == nil {
			list = append(list, e)
		}
	}
	return list, x.Err()
}

var extensionTests = []struct {
	name  string
	lines []string
	want  []Extension
	err   string // the whole text
}{
	{"one", []string{"foo"}, []Extension{{Name: "foo"}}, ""},
	{"case kept", []string{"Foo; A=B"}, []Extension{{"Foo", []Param{{"A", "B", true}}}}, ""},
	{"parameters", []string{"foo; a; b=1"}, []Extension{{"foo", []Param{{Name: "a"}, {"b", "1", true}}}}, ""},
	{"parameter twice", []string{"foo; a=1; a"}, []Extension{{"foo", []Param{{"a", "1", true}, {Name: "a"}}}}, ""},
	{"two", []string{"foo, bar; a"}, []Extension{{Name: "foo"}, {"bar", []Param{{Name: "a"}}}}, ""},
	{"the same twice", []string{"foo; a, foo"}, []Extension{{"foo", []Param{{Name: "a"}}}, {Name: "foo"}}, ""},
	{"several lines", []string{"foo; a", "bar", "baz; b=2"}, []Extension{{"foo", []Param{{Name: "a"}}}, {Name: "bar"}, {"baz", []Param{{"b", "2", true}}}}, ""},
	{"RFC 7692, section 7.1.3", []string{"permessage-deflate; client_max_window_bits; server_max_window_bits=10,permessage-deflate"},
		[]Extension{{"permessage-deflate", []Param{{Name: "client_max_window_bits"}, {"server_max_window_bits", "10", true}}}, {Name: "permessage-deflate"}}, ""},
	{"empty elements", []string{",, foo ,\t,bar,,"}, []Extension{{Name: "foo"}, {Name: "bar"}}, ""},
	{"empty lines", []string{"", "foo", " ", ","}, []Extension{{Name: "foo"}}, ""},
	{"no space", []string{"foo;a=1;b,bar;c"}, []Extension{{"foo", []Param{{"a", "1", true}, {Name: "b"}}}, {"bar", []Param{{Name: "c"}}}}, ""},
	{"space everywhere", []string{" \tfoo \t; \ta \t= \t1 \t; \tb \t, \tbar \t"}, []Extension{{"foo", []Param{{"a", "1", true}, {Name: "b"}}}, {Name: "bar"}}, ""},
	{"space around a quoted value", []string{"foo \t; a \t= \t\"1\" \t; b, bar"}, []Extension{{"foo", []Param{{"a", "1", true}, {Name: "b"}}}, {Name: "bar"}}, ""},
	{"quoted", []string{`foo; a="b"`}, []Extension{{"foo", []Param{{"a", "b", true}}}}, ""},
	{"quoted, more follows", []string{`foo; a="b"; c="d", bar`}, []Extension{{"foo", []Param{{"a", "b", true}, {"c", "d", true}}}, {Name: "bar"}}, ""},
	{"escapes", []string{`foo; a="\1\5"; b="x\-y"`}, []Extension{{"foo", []Param{{"a", "15", true}, {"b", "x-y", true}}}}, ""},
	{"every tchar", []string{"!#$%&'*+-.^_`|~09azAZ; !#$%&'*+-.^_`|~09azAZ=\"!#$%&'*+-.^_`|~09azAZ\""},
		[]Extension{{"!#$%&'*+-.^_`|~09azAZ", []Param{{"!#$%&'*+-.^_`|~09azAZ", "!#$%&'*+-.^_`|~09azAZ", true}}}}, ""},

	{"no line", nil, nil, "the list has no element"},
	{"empty line", []string{""}, nil, "the list has no element"},
	{"only white space", []string{" \t "}, nil, "the list has no element"},
	{"only empty elements", []string{" , ,\t", ",", ""}, nil, "the list has no element"},
	{"no name", []string{";;="}, nil, `";;=" where the name of an extension was expected`},
	{"only a semicolon", []string{";"}, nil, `";" where the name of an extension was expected`},
	{"parameter without an extension", []string{"foo, ;a"}, []Extension{{Name: "foo"}}, `";a" where the name of an extension was expected`},
	{"quoted name", []string{`"foo"`}, nil, `"\"foo\"" where the name of an extension was expected`},
	{"name=value", []string{"foo=1"}, []Extension{{Name: "foo"}}, `"=1" follows extension "foo" where a comma or a semicolon was expected`},
	{"two names", []string{"a b"}, []Extension{{Name: "a"}}, `"b" follows extension "a" where a comma or a semicolon was expected`},
	{"two values", []string{`foo; a=1 2`}, []Extension{{"foo", []Param{{"a", "1", true}}}}, `"2" follows extension "foo" where a comma or a semicolon was expected`},
	{"value behind a quoted one", []string{`foo; a="1"2`}, []Extension{{"foo", []Param{{"a", "1", true}}}}, `"2" follows extension "foo" where a comma or a semicolon was expected`},
	{"slash in a name", []string{"foo/1"}, []Extension{{Name: "foo"}}, `"/1" follows extension "foo" where a comma or a semicolon was expected`},
	{"semicolon at the end", []string{"foo;"}, nil, `"" where a parameter of "foo" was expected`},
	{"semicolon at the end of a line", []string{"foo;", "a"}, nil, `"" where a parameter of "foo" was expected`},
	{"semicolon twice", []string{"foo;;a"}, nil, `";a" where a parameter of "foo" was expected`},
	{"semicolon and comma", []string{"foo; , bar"}, nil, `", bar" where a parameter of "foo" was expected`},
	{"quoted parameter", []string{`foo; "a"`}, nil, `"\"a\"" where a parameter of "foo" was expected`},
	{"equals sign alone", []string{"foo; ="}, nil, `"=" where a parameter of "foo" was expected`},
	{"nothing behind the equals sign", []string{"foo; a="}, nil, noValue},
	{"nothing behind the equals sign, more follows", []string{"foo; a=, bar"}, nil, noValue},
	{"equals sign twice", []string{"foo; a==1"}, nil, noValue},
	{"quoted nothing", []string{`foo; a=""`}, nil, noValue},
	{"quoted space", []string{`foo; a="b c"`}, nil, noValue},
	{"quoted comma", []string{`foo; a="b,c"`}, nil, noValue},
	{"quoted semicolon", []string{`foo; a="b;c"`}, nil, noValue},
	{"escaped quote", []string{`foo; a="b\"c"`}, nil, noValue},
	{"escaped backslash", []string{`foo; a="b\\c"`}, nil, noValue},
	{"not UTF-8, quoted", []string{"foo; a=\"b\xff\""}, nil, noValue},
	{"quote without an end", []string{`foo; a="`}, nil, noValue},
	{"quoted value without an end", []string{`foo; a="b`}, nil, noValue},
	{"quoted value across lines", []string{`foo; a="b`, `c"`}, nil, noValue},
	{"escape without an end", []string{`foo; a="b\`}, nil, noValue},
	{"escaped quote at the end", []string{`foo; a="\"`}, nil, noValue},
	{"single quote ends nothing", []string{`foo; a="b'`}, nil, noValue},
	{"byte over 127", []string{"foo\xff"}, []Extension{{Name: "foo"}}, `"\xff" follows extension "foo" where a comma or a semicolon was expected`},
	{"letter over 127", []string{"é"}, nil, `"\u00e9" where the name of an extension was expected`},
	{"line feed", []string{"foo;\na"}, nil, `"\na" where a parameter of "foo" was expected`},
	{"no-break space", []string{"foo;\u00a0a"}, nil, `"\u00a0a" where a parameter of "foo" was expected`},
	{"markup", []string{"foo; <script>"}, nil, `"\x3cscript\x3e" where a parameter of "foo" was expected`},
	{"good ones before", []string{"foo", "bar; a=1, baz; b=("}, []Extension{{Name: "foo"}, {"bar", []Param{{"a", "1", true}}}},
		`parameter "b" of "baz" has a value that is neither a token nor a quoted token`},
}

const noValue = `parameter "a" of "foo" has a value that is neither a token nor a quoted token`

func TestExtensions(t *testing.T) {
	for _, tt := range extensionTests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := walk(tt.lines)
			if text := errorText(err); text != tt.err {
				t.Errorf("walk(%q): error %q, want %q", tt.lines, text, tt.err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("walk(%q) = %+v, want %+v", tt.lines, got, tt.want)
			}
			eachPrefix(tt.lines, func(lines []string) { checkExtensions(t, lines) })
		})
	}
}

// extensionList is the grammar of RFC 6455, section 9.1, with the quoted-string
// already as narrow as the text below the grammar wants it.
var extensionList = func() *regexp.Regexp {
	quoted := `"(?:\\?` + strings.TrimSuffix(token, "+") + `)+"`
	param := token + `(?:` + ows + `=` + ows + `(?:` + token + `|` + quoted + `))?`
	return regexp.MustCompile("^" + list(token+`(?:`+ows+`;`+ows+param+`)*`) + "$")
}()

// checkExtensions holds a walk against the grammar as a regular
// expression. In a list that matches, commas, semicolons and equals signs only
// stand between elements, so that the oracle can split.
func checkExtensions(t *testing.T, lines []string) {
	t.Helper()
	joined := strings.Join(lines, ",")
	var want []Extension
	ok := extensionList.MatchString(joined)
	if ok {
		for element := range strings.SplitSeq(joined, ",") {
			parts := strings.Split(element, ";")
			e := Extension{Name: strings.Trim(parts[0], " \t")}
			for _, part := range parts[1:] {
				name, value, has := strings.Cut(part, "=")
				e.Params = append(e.Params, Param{strings.Trim(name, " \t"), strings.Trim(strings.ReplaceAll(value, `\`, ""), " \t\""), has})
			}
			if e.Name != "" {
				want = append(want, e)
			}
		}
	}
	ok = ok && len(want) > 0
	given := slices.Clone(lines)
	got, err := walk(lines)
	if (err == nil) != ok || ok && !reflect.DeepEqual(got, want) {
		t.Errorf("walk(%q) = %+v, %v, want %+v, ok %v", lines, got, err, want, ok)
	}
	if !slices.Equal(lines, given) {
		t.Errorf("walk: lines became %q, were %q", lines, given)
	}
	x := NewExtensions(lines)
	for x.Next() { // and leave out the parameters
	}
	if errorText(x.Err()) != errorText(err) {
		t.Errorf("Next alone over %q: error %q, want %q", lines, errorText(x.Err()), errorText(err))
	}
	if !ok {
		checkMessage(t, err)
		return
	}
	again, err := walk([]string{plain(got)})
	if err != nil || !reflect.DeepEqual(again, got) {
		t.Errorf("walk(%q) = %+v, %v, want %+v", plain(got), again, err, got)
	}
}

// plain writes a list without quotes or white space.
func plain(list []Extension) string {
	var elements []string
	for _, e := range list {
		s := e.Name
		for _, p := range e.Params {
			s += ";" + p.Name
			if p.HasValue {
				s += "=" + p.Value
			}
		}
		elements = append(elements, s)
	}
	return strings.Join(elements, ",")
}

func FuzzExtensions(f *testing.F) {
	for _, tt := range extensionTests {
		f.Add(strings.Join(tt.lines, "\n"))
	}
	f.Fuzz(func(t *testing.T, s string) {
		checkExtensions(t, strings.Split(s, "\n"))
	})
}
