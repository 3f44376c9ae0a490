package conformance

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/airlock-go/websocket/frame"
)

// parseOne parses a case that consists of these lines.
func parseOne(t *testing.T, lines ...string) *Case {
	t.Helper()
	cases, err := parse("7-group.txt", "== 5.4 name\n"+strings.Join(lines, "\n")+"\n")
	if err != nil || len(cases) != 1 {
		t.Fatalf("%d cases, error %v", len(cases), err)
	}
	return cases[0]
}

func TestParseFile(t *testing.T) {
	cases, err := parse("12-some-group.txt", `# What it is about

== 5.4 the first case
why One reason.
# a comment
why Another.
> text "x"
< echo
	== 7692 7.2.1 the second: "quoted" case
< nothing
`)
	if err != nil || len(cases) != 2 {
		t.Fatalf("%d cases, error %v", len(cases), err)
	}
	first, second := cases[0], cases[1]
	if id := first.ID(); id != "some-group/5.4 the first case" {
		t.Errorf("ID %q", id)
	}
	if first.Why != "One reason. Another." {
		t.Errorf("why %q", first.Why)
	}
	if want := "== 5.4 the first case\nwhy One reason.\nwhy Another.\n> text \"x\"\n< echo\n"; first.Source != want {
		t.Errorf("source %q, want %q", first.Source, want)
	}
	if first.place != "12-some-group.txt:3" || len(first.steps) != 2 {
		t.Errorf("place %s, %d steps", first.place, len(first.steps))
	}
	if second.Section != "7692 7.2.1" || second.Name != `the second: "quoted" case` || second.Group != "some-group" {
		t.Errorf("section %q, name %q, group %q", second.Section, second.Name, second.Group)
	}
}

func TestParseHead(t *testing.T) {
	c := parseOne(t, "request -Upgrade", "request +A: b", "connect", "joined", "offer permessage-deflate; a=1",
		"agree a -b", "chop together halves", "chop bytes", "> ping", `< pong ""`)
	want := &Case{
		request: []string{"-Upgrade", "+A: b"}, connect: true, joined: true, offer: "permessage-deflate; a=1",
		agree: []string{"a", "-b"}, chops: []chop{together, halves, bytewise},
	}
	got := &Case{request: c.request, connect: c.connect, joined: c.joined, offer: c.offer, agree: c.agree, chops: c.chops}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestChops: short cases are sent in single bytes, too.
func TestChops(t *testing.T) {
	short := []chop{together, bytewise}
	for _, tt := range []struct {
		lines string
		want  []chop
	}{
		{"> text \"x\"\n< echo", short},
		{"> text \"x\"*500\n< echo", short},
		{"> text \"x\"*600\n< echo", []chop{together}},
		{"> repeat 100 text \"x\"\n< repeat 100 echo", []chop{together}},
		{"> raw <00>*700\n< end", []chop{together}},
		{"> text \"x\"\n< http 101\n< echo", []chop{together}},
		{"> text \"x\"-\n< idle", []chop{together}},
		{"chop frames\n> text \"x\"\n< echo", []chop{frames}},
	} {
		if c := parseOne(t, tt.lines); !slices.Equal(c.chops, tt.want) {
			t.Errorf("%s\nchops %q, want %q", tt.lines, c.chops, tt.want)
		}
	}
}

func TestParseSending(t *testing.T) {
	header := func(op frame.Opcode) frame.Header { return frame.Header{Fin: true, Opcode: op} }
	rsv := header(frame.Text)
	rsv.RSV1, rsv.RSV2, rsv.RSV3 = true, true, true
	for _, tt := range []struct {
		line    string
		want    sending // but for the payload
		payload string
	}{
		{`text "hello"`, sending{header: header(frame.Text)}, "hello"},
		{`binary <00 ff>`, sending{header: header(frame.Binary)}, "\x00\xff"},
		{`cont "x"`, sending{header: header(frame.Continuation)}, "x"},
		{`ping`, sending{header: header(frame.Ping)}, ""},
		{`pong "x"`, sending{header: header(frame.Pong)}, "x"},
		{`0x3 "x"`, sending{header: header(3)}, "x"},
		{`0xF ""`, sending{header: header(15)}, ""},
		{`text "hel"-`, sending{header: frame.Header{Opcode: frame.Text}}, "hel"},
		{`text -`, sending{header: frame.Header{Opcode: frame.Text}}, ""},
		{`close`, sending{header: header(frame.Close)}, ""},
		{`close 1000`, sending{header: header(frame.Close)}, "\x03\xe8"},
		{`close 65535 "bye"`, sending{header: header(frame.Close)}, "\xff\xffbye"},
		{`close <03>`, sending{header: header(frame.Close)}, "\x03"},
		{`close 1000 -`, sending{header: frame.Header{Opcode: frame.Close}}, "\x03\xe8"},
		{`close rsv1 1000`, sending{header: frame.Header{Fin: true, RSV1: true, Opcode: frame.Close}}, "\x03\xe8"},
		{`text rsv1 rsv2 rsv3 "x"`, sending{header: rsv}, "x"},
		{`text unmasked "x"`, sending{header: header(frame.Text), unmasked: true}, "x"},
		{`text key=01020304 "x"`, sending{header: header(frame.Text), key: [4]byte{1, 2, 3, 4}}, "x"},
		{`text len16 "x"`, sending{header: header(frame.Text), lengthForm: 2}, "x"},
		{`text len64 "x"`, sending{header: header(frame.Text), lengthForm: 8}, "x"},
		{`claim text 70000 "x"`, sending{header: header(frame.Text), claim: 70000}, "x"},
		{`claim cont 0x7fffffffffffffff rsv1 ""-`, sending{header: frame.Header{RSV1: true}, claim: 1<<63 - 1}, ""},
		{`z text "x"`, sending{header: header(frame.Text), compress: 1}, "x"},
		{`z/3 binary "x"`, sending{header: header(frame.Binary), compress: 3}, "x"},
		{`half-close`, sending{halfClose: true}, ""},
	} {
		t.Run(tt.line, func(t *testing.T) {
			got, err := parseSending(tt.line)
			if err != nil {
				t.Fatal(err)
			}
			if tt.want.key == ([4]byte{}) {
				tt.want.key = defaultKey
			}
			if tt.want.claim == 0 {
				tt.want.claim = -1
			}
			if payload := string(got.payload.bytes()); payload != tt.payload {
				t.Errorf("payload %q, want %q", payload, tt.payload)
			}
			got.payload = nil
			if !reflect.DeepEqual(*got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", *got, tt.want)
			}
		})
	}
}

func TestParseBytes(t *testing.T) {
	for _, tt := range []struct{ line, raw, http string }{
		{`raw 81 05 68`, "\x81\x05\x68", ""},
		{`raw 8105FF`, "\x81\x05\xff", ""},
		{`raw <81> "abc"*2`, "\x81abcabc", ""},
		{`http "GET / HT"`, "", "GET / HT"},
		{`http "a\r\n" "b"*3`, "", "a\r\nbbb"},
	} {
		s, err := parseSending(tt.line)
		if err != nil {
			t.Errorf("%s: %v", tt.line, err)
			continue
		}
		if raw, http := string(s.raw.bytes()), string(s.http.bytes()); raw != tt.raw || http != tt.http {
			t.Errorf("%s: raw %q, http %q", tt.line, raw, http)
		}
	}
}

func TestParseOutcome(t *testing.T) {
	for _, tt := range []struct {
		line    string
		want    outcome // but for the text and the payload
		payload string
	}{
		{`echo`, outcome{kind: wantEcho}, ""},
		{`text "hello"`, outcome{kind: wantMessage, op: frame.Text}, "hello"},
		{`binary <00>`, outcome{kind: wantMessage, op: frame.Binary}, "\x00"},
		{`pong "x"`, outcome{kind: wantPong, op: frame.Pong}, "x"},
		{`close 1000`, outcome{kind: wantClose, codes: []int{1000}}, ""},
		{`fail 1002 1009`, outcome{kind: wantFail, codes: []int{1002, 1009}}, ""},
		{`fail`, outcome{kind: wantFail}, ""},
		{`early 1007`, outcome{kind: wantEarly, codes: []int{1007}}, ""},
		{`nothing`, outcome{kind: wantNothing}, ""},
		{`end`, outcome{kind: wantEnd}, ""},
		{`idle`, outcome{kind: wantIdle}, ""},
		{`http 426`, outcome{kind: wantHTTP, codes: []int{426}}, ""},
		{`http 200 204`, outcome{kind: wantHTTP, codes: []int{200, 204}}, ""},
		{`header Allow: GET`, outcome{kind: wantHeader, name: "Allow", value: "GET"}, ""},
		{`header 405 Allow: GET`, outcome{kind: wantHeader, name: "Allow", value: "GET", codes: []int{405}}, ""},
		{`header -Content-Length`, outcome{kind: wantHeader, name: "Content-Length", absent: true}, ""},
	} {
		t.Run(tt.line, func(t *testing.T) {
			got, err := parseOutcome(tt.line)
			if err != nil {
				t.Fatal(err)
			}
			if payload := string(got.payload.bytes()); payload != tt.payload || got.text != tt.line {
				t.Errorf("payload %q, want %q; text %q", payload, tt.payload, got.text)
			}
			got.payload, got.text = nil, ""
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestParseSteps(t *testing.T) {
	c := parseOne(t, `> repeat 3 text "x"`, `< repeat 2K echo`, `or non-strict text "y"`, `or pass fail 1000`)
	if len(c.steps) != 2 || c.steps[0].times != 3 || c.steps[1].times != 2048 {
		t.Fatalf("steps %+v", c.steps)
	}
	var got []string
	for _, o := range c.steps[1].want {
		got = append(got, fmt.Sprint(o.verdict, " ", o.text))
	}
	if want := []string{"pass echo", `non-strict text "y"`, "pass fail 1000"}; !slices.Equal(got, want) {
		t.Errorf("outcomes %q, want %q", got, want)
	}
}

// TestParseMistakes: the error names the file and the line, and says what is
// wrong.
func TestParseMistakes(t *testing.T) {
	const fine = "# about\n== 5.4 fine\n> text \"x\"\n< echo\n"
	for _, tt := range []struct {
		lines string // the first is line 5
		want  string
	}{
		{"hello", `x.txt:5: "hello"`},
		{"== no section", "a title is a section and a name"},
		{"== 5.4", "a title is a section and a name"},
		{"== 5. name", "a title is a section and a name"},
		{"== 5.4 a\nsend x", "no such word"},
		{"== 5.4 a\nchop coarsely", "no chop"},
		{"== 5.4 a\n> text \"x\"\nwhy So.", "behind the first step"},
		{"== 5.4 a\n> text \"x\"", "does not end with what has to come back"},
		{"== 5.4 a\nwhy So.", "does not end with what has to come back"},
		{"== 5.4 a\nor pass echo", "or stands below"},
		{"== 5.4 a\n> ping\nor pass echo", "or stands below"},
		{"== 5.4 a\n< echo\nor maybe echo", `no verdict: "maybe"`},
		{"== 5.4 a\n< echo\nor pass ecco", "no outcome"},
		{"== 5.4 a\n> txt \"x\"", `no opcode: "txt"`},
		{"== 5.4 a\n> 0x10 \"x\"", "no opcode"},
		{"== 5.4 a\n> text \"x\"- y", "too much"},
		{"== 5.4 a\n> text hello", "no payload"},
		{"== 5.4 a\n> text key=0102 \"x\"", "no key"},
		{"== 5.4 a\n> text key=0102030g \"x\"", "no key"},
		{"== 5.4 a\n> claim text many \"x\"", `no length: "many"`},
		{"== 5.4 a\n> claim text -1 \"x\"", "no length"},
		{"== 5.4 a\n> claim text 0x8000000000000000 \"x\"", "no length"},
		{"== 5.4 a\n> half-close now", "too much"},
		{"== 5.4 a\nconnect now", "too much"},
		{"== 5.4 a\njoined up", "too much"},
		{"== 5.4 a\noffer a\noffer b", "a comma joins them"},
		{"== 5.4 a\n< echo\nor pass early 1007", "early is nothing that may come in place"},
		{"== 5.4 a\n< echo\nor pass header A: b", "header is nothing that may come in place"},
		{"== 5.4 a\n< echo\nor pass idle", "idle is nothing that may come in place"},
		{"== 5.4 a\n< idle\nor pass nothing", "nothing does not stand below idle"},
		{"== 5.4 a\n< early 1007\nor pass fail 1002", "fail does not stand below early"},
		{"== 5.4 a\n< header A: b\nor pass end", "end does not stand below header"},
		{"== 5.4 a\n> z/many text \"x\"", "no number"},
		{"== 5.4 a\n> raw", "no bytes"},
		{"== 5.4 a\n> raw 8", "odd length"},
		{"== 5.4 a\n> raw 81-", "no payload"},
		{"== 5.4 a\n> raw <81>-", "no bytes"},
		{"== 5.4 a\n> http \"\"", "no bytes"},
		{"== 5.4 a\n> http GET", "no payload"},
		{"== 5.4 a\n> repeat", "no opcode"},
		{"== 5.4 a\n> repeat x text", "no size"},
		{"== 5.4 a\n< ecco", "no outcome"},
		{"== 5.4 a\n< echo 5", "too much"},
		{"== 5.4 a\n< nothing at all", "too much"},
		{"== 5.4 a\n< close", "no code"},
		{"== 5.4 a\n< early", "no code"},
		{"== 5.4 a\n< http", "no code"},
		{"== 5.4 a\n< fail much", `no code: "much"`},
		{"== 5.4 a\n< header Allow", "no field"},
		{"== 5.4 a\n< pong \"x\"-", "too much"},
		{"== 5.4 a\n< text \"x", "no string"},
	} {
		t.Run(tt.lines, func(t *testing.T) {
			_, err := parse("x.txt", fine+tt.lines+"\n")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			if !strings.HasPrefix(err.Error(), "x.txt:") || strings.HasPrefix(err.Error(), "x.txt:2:") {
				t.Errorf("error %v does not say where", err)
			}
		})
	}
	if _, err := parse("x.txt", "> text \"x\"\n"); err == nil || !strings.Contains(err.Error(), "before the first case") {
		t.Errorf("a step before the first case: error %v", err)
	}
}

func TestCollect(t *testing.T) {
	files := fstest.MapFS{
		"cases/10-late.txt":  {Data: []byte("# What is late\n== 5.4 b\n< nothing\n")},
		"cases/02-early.txt": {Data: []byte("# What is early\n== 5.4 a\n< nothing\n")},
		"cases/readme.md":    {Data: []byte("no cases")},
	}
	all, err := collect(files)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"early", "late"}; !slices.Equal(all.groups, want) {
		t.Errorf("groups %q, want %q", all.groups, want)
	}
	if len(all.cases) != 2 || all.cases[0].ID() != "early/5.4 a" || all.cases[1].ID() != "late/5.4 b" {
		t.Errorf("cases %v", all.cases)
	}
	if all.about["early"] != "What is early" || all.about["late"] != "What is late" {
		t.Errorf("about %q", all.about)
	}
	files["cases/3-wrong.txt"] = &fstest.MapFile{Data: []byte("nonsense\n")}
	if _, err := collect(files); err == nil || !strings.Contains(err.Error(), "3-wrong.txt:1") {
		t.Errorf("error %v, want the place", err)
	}
}

// TestCases: the names are unique, and every group says what it is about.
func TestCases(t *testing.T) {
	seen := make(map[string]bool)
	for _, c := range Cases() {
		if seen[c.ID()] {
			t.Errorf("%s: %s stands twice", c.place, c.ID())
		}
		seen[c.ID()] = true
	}
	names, about := Groups()
	if len(names) == 0 || len(seen) == 0 {
		t.Fatalf("%d groups, %d cases", len(names), len(seen))
	}
	for _, name := range names {
		if about[name] == "" || strings.HasPrefix(about[name], "=") {
			t.Errorf("the group %s does not say what it is about: %q", name, about[name])
		}
	}
}
