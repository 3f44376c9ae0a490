package field

import (
	"strconv"
	"strings"
	"testing"
)

func TestQuote(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", `""`},
		{"plain", "chat", `"chat"`},
		{"quotes and backslashes", `a"\`, `"a\"\\"`},
		{"control characters", "a\r\n\x00\x1b\x7f", `"a\r\n\x00\x1b\x7f"`},
		{"markup", "<a href='x'>&amp;", `"\x3ca href='x'\x3e\x26amp;"`},
		{"markup behind a backslash", `\<`, `"\\\x3c"`},
		{"not UTF-8", "\xff", `"\xff"`},
		{"not ASCII", "é\u202e𝄞", `"\u00e9\u202e\U0001d11e"`},
		{"100 bytes", strings.Repeat("a", 100), `"` + strings.Repeat("a", 100) + `"`},
		{"101 bytes", strings.Repeat("a", 101), `"` + strings.Repeat("a", 100) + `"...`},
		{"cut in a character", strings.Repeat("a", 99) + "é", `"` + strings.Repeat("a", 99) + `\xc3"...`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Quote(tt.in); got != tt.want {
				t.Errorf("Quote(%q) = %s, want %s", tt.in, got, tt.want)
			}
			checkQuote(t, tt.in)
		})
	}
	for i := range 256 {
		c := string([]byte{byte(i)})
		checkQuote(t, c)
		checkQuote(t, strings.Repeat(c, quoteMax+1))
	}
}

// checkQuote checks what the doc of Quote promises.
func checkQuote(t *testing.T, s string) {
	t.Helper()
	q := Quote(s)
	if !harmless(q) {
		t.Fatalf("Quote(%.20q), of %d bytes, has more in it than ASCII without markup: %s", s, len(s), q)
	}
	// A byte takes four at most, between quotes and with dots behind.
	if len(q) > 4*quoteMax+2+3 {
		t.Fatalf("Quote of %d bytes has %d", len(s), len(q))
	}
	shown := s[:min(len(s), quoteMax)]
	if got, err := strconv.Unquote(strings.TrimSuffix(q, "...")); err != nil || got != shown {
		t.Fatalf("Quote(%.20q), of %d bytes, is %s, which stands for %q, %v", s, len(s), q, got, err)
	}
}

// harmless reports whether s is printable ASCII without markup.
func harmless(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || strings.IndexByte("<>&", s[i]) >= 0 {
			return false
		}
	}
	return true
}
