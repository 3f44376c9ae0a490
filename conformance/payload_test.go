package conformance

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPayload(t *testing.T) {
	for _, tt := range []struct {
		text string
		want string
		rest string
	}{
		{``, "", ""},
		{`""`, "", ""},
		{`"hello"`, "hello", ""},
		{`"a\x00\n\"é"`, "a\x00\n\"é", ""},
		{`<00 ff 7F>`, "\x00\xff\x7f", ""},
		{`<>`, "", ""},
		{`"a" <62> "c"`, "abc", ""},
		{`"ab"<63>`, "abc", ""},
		{`"ab"*3`, "ababab", ""},
		{`"x"*0`, "", ""},
		{`<ff>*2 "z"`, "\xff\xffz", ""},
		{`"x"*2K`, strings.Repeat("x", 2048), ""},
		{`"x"*1M "y"`, strings.Repeat("x", 1<<20) + "y", ""},
		{`-`, "", "-"},
		{`"he"-`, "he", "-"},
		{`"he"*2-`, "hehe", "-"},
		{`"he" -`, "he", "-"},
		{`<68 65>-`, "he", "-"},
	} {
		t.Run(tt.text, func(t *testing.T) {
			p, rest, err := parsePayload(tt.text)
			if err != nil || rest != tt.rest {
				t.Fatalf("rest %q, error %v", rest, err)
			}
			if got := string(p.bytes()); got != tt.want || p.size() != len(tt.want) {
				t.Errorf("%.50q of %d bytes, size %d; want %.50q of %d", got, len(got), p.size(), tt.want, len(tt.want))
			}
		})
	}
}

// TestMadeUpPayloads: what is made up has the size that was asked for, and is
// the same every time.
func TestMadeUpPayloads(t *testing.T) {
	for _, tt := range []struct {
		text string
		size int
		utf8 bool
	}{
		{`random:0`, 0, true},
		{`random:7`, 7, false},
		{`random:1K`, 1024, false},
		{`random:1K*3`, 3072, false},
		{`random:3-`, 3, false},
		{`words:1`, 1, true},
		{`words:2`, 2, true},
		{`words:3`, 3, true},
		{`words:997`, 997, true},
		{`words:100K`, 100 << 10, true},
	} {
		t.Run(tt.text, func(t *testing.T) {
			p, _, err := parsePayload(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			b := p.bytes()
			if len(b) != tt.size || p.size() != tt.size {
				t.Errorf("%d bytes, size %d; want %d", len(b), p.size(), tt.size)
			}
			if string(b) != string(p.bytes()) {
				t.Error("the second time it is another")
			}
			if utf8.Valid(b) != tt.utf8 {
				t.Errorf("UTF-8: %v, want %v", !tt.utf8, tt.utf8)
			}
		})
	}
}

func TestPayloadMistakes(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{`"hello`, "no string"},
		{`hello`, "no payload"},
		{`<0>`, "odd length"},
		{`<0g>`, "invalid byte"},
		{`<00`, "no > behind"},
		{`random`, "no payload"},
		{`random:`, "no payload"},
		{`random:-1`, "no payload"},
		{`noise:5`, "no payload"},
		{`"x"*`, "no size"},
		{`"x"*many`, "no size"},
		{`"x"*2G`, "no size"},
	} {
		t.Run(tt.text, func(t *testing.T) {
			if p, rest, err := parsePayload(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, rest %q, error %v; want %q", p, rest, err, tt.want)
			}
		})
	}
}
