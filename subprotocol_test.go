package websocket_test

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/internal/wstest"
)

// offer returns the edits of a request with lines of Sec-WebSocket-Protocol.
func offer(lines ...string) []string {
	var edits []string
	for _, line := range lines {
		edits = append(edits, "+Sec-WebSocket-Protocol: "+line)
	}
	return edits
}

func speak(names ...string) *websocket.Options { return &websocket.Options{Subprotocols: names} }

func demand(names ...string) *websocket.Options {
	return &websocket.Options{Subprotocols: names, RequireSubprotocol: true}
}

// choose returns options with a SelectSubprotocol that returns this.
func choose(name string, err error) *websocket.Options {
	return &websocket.Options{SelectSubprotocol: func(*http.Request, []string) (string, error) { return name, err }}
}

const tokenCharacters = "!#$%&'*+-.^_`|~09azAZ"

var subprotocolRows = []handshakeRow{
	{number: accepted, name: "spoken, not offered", opts: speak("a", "b")},
	{number: accepted, name: "offered, not spoken", edits: offer("a, b")},
	{number: accepted, name: "no match", edits: offer("c, d"), opts: speak("a", "b")},
	{number: accepted, name: "the only match", edits: offer("c, a"), opts: speak("b", "a"), protocol: "a"},
	{number: accepted, name: "preference of the server", edits: offer("a, b"), opts: speak("b", "a"), protocol: "b"},
	{number: accepted, name: "another case", edits: offer("A, ab"), opts: speak("a")},
	{number: accepted, name: "both cases", edits: offer("a, A"), opts: speak("A"), protocol: "A"},
	{number: accepted, name: "second line", edits: offer("c", "a"), opts: speak("a"), protocol: "a"},
	{number: accepted, name: "second line preferred", edits: offer("a, c", "d,b"), opts: speak("b", "a"), protocol: "b"},
	{number: accepted, name: "empty elements", edits: offer(",,a"), opts: speak("a"), protocol: "a"},
	{number: accepted, name: "more empty elements", edits: offer(" ,\t, a\t,, b ,"), opts: speak("b"), protocol: "b"},
	{number: accepted, name: "an empty line", edits: offer("", "a"), opts: speak("a"), protocol: "a"},
	{number: accepted, name: "all characters of tokens", edits: offer("x," + tokenCharacters), opts: speak(tokenCharacters), protocol: tokenCharacters},
	{number: accepted, name: "demanded and spoken", edits: offer("c, a"), opts: demand("b", "a"), protocol: "a"},
	{number: accepted, name: "chosen", edits: offer("a, b, c"), opts: choose("b", nil), protocol: "b"},
	{number: accepted, name: "none chosen", edits: offer("a, b, c"), opts: choose("", nil)},
	{number: accepted, name: "none chosen of none", opts: choose("", nil)},
	{number: accepted, name: "chosen against the order", edits: offer("a, b"), protocol: "b",
		opts: &websocket.Options{Subprotocols: []string{"a"}, SelectSubprotocol: choose("b", nil).SelectSubprotocol}},
	{number: accepted, name: "none chosen though one matches", edits: offer("a, b"),
		opts: &websocket.Options{Subprotocols: []string{"a"}, SelectSubprotocol: choose("", nil).SelectSubprotocol}},
	{number: accepted, name: "demanded and chosen", edits: offer("a, b"), protocol: "b",
		opts: &websocket.Options{RequireSubprotocol: true, SelectSubprotocol: choose("b", nil).SelectSubprotocol}},

	{number: 12, name: "space", edits: offer("a b"), opts: speak("a"), status: 400, says: []string{"Sec-WebSocket-Protocol", "malformed", `"a b"`, "token"}},
	{number: 12, name: "second element", edits: offer("a, (x)"), opts: speak("a"), status: 400, says: []string{`"(x)"`}},
	{number: 12, name: "second line", edits: offer("a", "b;c"), opts: speak("a"), status: 400, says: []string{`"b;c"`}},
	{number: 12, name: "quotes", edits: offer(`"a"`), status: 400},
	{number: 12, name: "slash", edits: offer("a/1"), status: 400},
	{number: 12, name: "bytes above ASCII", edits: offer("\x80\xff\xc3"), status: 400, says: []string{`"\x80\xff\xc3"`}},
	{number: 12, name: "UTF-8", edits: offer("\u00e4"), status: 400},
	{number: 12, name: "markup", edits: offer("<b>"), status: 400},
	{number: 12, name: "empty", edits: offer(""), status: 400, says: []string{"Sec-WebSocket-Protocol", "no element"}},
	{number: 12, name: "commas", edits: offer(" , ,\t,"), status: 400, says: []string{"no element"}},
	{number: 12, name: "two empty lines", edits: offer("", ","), status: 400, says: []string{"no element"}},
	{number: 12, name: "twice", edits: offer("a, a"), opts: speak("a"), status: 400, says: []string{"Sec-WebSocket-Protocol", `"a"`, "twice"}},
	{number: 12, name: "twice over two lines", edits: offer("a, b", "c, a"), opts: speak("a"), status: 400, says: []string{`"a"`, "twice"}},
	{number: 12, name: "twice though not spoken", edits: offer("x, b, y, b"), opts: speak("x"), status: 400, says: []string{`"b"`, "twice"}},
	{number: 12, name: "long", edits: offer(strings.Repeat("(", 50000)), status: 400},

	{number: 17, name: "none offered", opts: demand("a", "b"), status: 501, says: []string{"subprotocol", `"a" "b"`, "required"}},
	{number: 17, name: "none matches", edits: offer("A, c"), opts: demand("a"), status: 501, says: []string{`"a"`}},
	{number: 17, name: "none spoken", edits: offer("a"), opts: demand(), status: 501, says: []string{"and one is required"}},
	{number: 17, name: "none chosen", edits: offer("a"), status: 501, says: []string{"and one is required"},
		opts: &websocket.Options{RequireSubprotocol: true, Subprotocols: []string{"a"}, SelectSubprotocol: choose("", nil).SelectSubprotocol}},

	{number: 18, name: "error", edits: offer("a"), opts: choose("a", errors.New("secret")), status: 403, logs: []string{"secret"}},
	{number: 18, name: "refusal", edits: offer("a"), opts: choose("", websocket.Reject(409, "too many of these")), status: 409, says: []string{"too many of these"}},
	{number: 18, name: "not offered", edits: offer("a, b"), opts: choose("c", nil), status: 500, logs: []string{"SelectSubprotocol", `"c"`, `"a" "b"`}},
	{number: 18, name: "offered in another case", edits: offer("a"), opts: choose("A", nil), status: 500, logs: []string{`"A"`}},
	{number: 18, name: "none offered and one chosen", opts: choose("a", nil), status: 500, logs: []string{`"a"`}},
}

func TestSubprotocol(t *testing.T) { runRows(t, subprotocolRows) }

func TestSelectSubprotocolArguments(t *testing.T) {
	for _, tt := range []struct {
		lines, want []string
	}{
		{nil, nil},
		{[]string{"c, a", "b"}, []string{"c", "a", "b"}},
	} {
		r := wstest.Request(offer(tt.lines...)...)
		calls := 0
		opts := &websocket.Options{SelectSubprotocol: func(got *http.Request, offered []string) (string, error) {
			calls++
			if got != r || !slices.Equal(offered, tt.want) {
				t.Errorf("%q: SelectSubprotocol(%p, %q), want %p, %q", tt.lines, got, offered, r, tt.want)
			}
			return "", nil
		}}
		if a := answerTo(t, r, opts); a.status != 101 || calls != 1 {
			t.Errorf("%q: got %d after %d calls of SelectSubprotocol, want 101 after one", tt.lines, a.status, calls)
		}
	}
}

// What SelectSubprotocol does to its list must not count as an offer.
func TestSelectSubprotocolChangesOffer(t *testing.T) {
	opts := &websocket.Options{SelectSubprotocol: func(_ *http.Request, offered []string) (string, error) {
		offered[0] = strings.ToLower(offered[0])
		return offered[0], nil
	}}
	if a := answerTo(t, wstest.Request(offer("CHAT")...), opts); a.status != 500 {
		t.Errorf("got %d, want 500: CHAT was offered, chat was chosen", a.status)
	}
}

func TestOfferedSubprotocols(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		want  []string
		err   string // "" for none
	}{
		{nil, nil, ""},
		{[]string{"a"}, []string{"a"}, ""},
		{[]string{"b, a"}, []string{"b", "a"}, ""},
		{[]string{"b", "a,c"}, []string{"b", "a", "c"}, ""},
		{[]string{",,a"}, []string{"a"}, ""},
		{[]string{" a\t,\tb "}, []string{"a", "b"}, ""},
		{[]string{"", "a", ","}, []string{"a"}, ""},
		{[]string{"a, A"}, []string{"a", "A"}, ""},
		{[]string{tokenCharacters}, []string{tokenCharacters}, ""},
		{[]string{""}, nil, "no element"},
		{[]string{" , "}, nil, "no element"},
		{[]string{"", ""}, nil, "no element"},
		{[]string{}, nil, "no element"},
		{[]string{"a b"}, nil, `"a b"`},
		{[]string{"a", "b c"}, nil, `"b c"`},
		{[]string{"a\x00"}, nil, `"a\x00"`},
		{[]string{"a\r\nb"}, nil, `"a\r\nb"`},
		{[]string{"\u00e4"}, nil, `"\u00e4"`},
		{[]string{"a, a"}, nil, `"a" stands twice`},
		{[]string{"a", "b", "a"}, nil, `"a" stands twice`},
	} {
		r := wstest.Request()
		if tt.lines != nil {
			r.Header["Sec-Websocket-Protocol"] = tt.lines
		}
		got, err := websocket.OfferedSubprotocols(r)
		if !slices.Equal(got, tt.want) || (err == nil) != (tt.err == "") {
			t.Errorf("OfferedSubprotocols of %q = %q, %v, want %q, an error with %q", tt.lines, got, err, tt.want, tt.err)
		}
		if err != nil && (!strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), "Sec-WebSocket-Protocol")) {
			t.Errorf("OfferedSubprotocols of %q: error %q does not say %q", tt.lines, err, tt.err)
		}
	}
}

// subprotocolFloods are fields that cost something to take apart.
var subprotocolFloods = []flood{
	{"spaces", func(n int) []string { return offer(strings.Repeat(" ", n) + "a") }},
	{"commas", func(n int) []string { return offer(strings.Repeat(",", n) + "a") }},
	{"spaces between commas", func(n int) []string { return offer(strings.Repeat(" \t,", n/3)) }},
	{"spaces between characters", func(n int) []string { return offer(strings.Repeat("a ", n/2)) }},
	{"names", func(n int) []string { return offer(manyNames(n)) }},
	{"the same name", func(n int) []string { return offer(strings.Repeat("a,", n/2)) }},
	{"one long name", func(n int) []string { return offer(strings.Repeat("a", n)) }},
	{"lines", func(n int) []string { return offer(strings.Split(manyNames(n/8), ",")...) }},
	{"tokens of Connection", func(n int) []string { return []string{"Connection: " + manyNames(n) + ",upgrade"} }},
	{"tokens of Upgrade", func(n int) []string { return []string{"Upgrade: " + strings.Repeat(" ,", n/2) + "websocket"} }},
	{"key", func(n int) []string { return []string{"Sec-WebSocket-Key: " + strings.Repeat("A", n)} }},
	{"key of line breaks", func(n int) []string { return []string{"Sec-WebSocket-Key: " + strings.Repeat("\v", n)} }},
	{"version", func(n int) []string { return []string{"Sec-WebSocket-Version: " + strings.Repeat("1", n)} }},
	{"origin", func(n int) []string { return []string{"Origin: https://" + strings.Repeat("a.", n/2)} }},
	{"origin of brackets", func(n int) []string { return []string{"Origin: https://" + strings.Repeat("[:", n/2) + "]"} }},
}

// manyNames returns a list of distinct names with n bytes.
func manyNames(n int) string {
	b := make([]byte, 0, n+16)
	for i := uint64(0); len(b) < n; i++ {
		b = strconv.AppendUint(b, i*0x9e3779b1&0xfffffff, 16) // in no order
		b = append(b, ',')
	}
	return string(b[:len(b)-1])
}

func TestSubprotocolFlood(t *testing.T) { runFloods(t, subprotocolFloods) }

// flood makes the edits of a request with about n bytes in one field.
type flood struct {
	name  string
	edits func(n int) []string
}

// runFloods checks that the time a request takes grows as its size does: a
// regular expression in another library once took minutes over a field of
// spaces (CVE-2021-32640).
func runFloods(t *testing.T, floods []flood) {
	const (
		size   = 64 << 10
		growth = 14 // to 896 KiB; the default limit of net/http is 1 MiB for all
		slack  = 6  // for caches, logarithms and other tests; not for a square
	)
	opts := &websocket.Options{Subprotocols: []string{"x", "y", "z"}, TrustedOrigins: []string{"https://*.a.example"},
		Compression: new(websocket.Compression)}
	for _, f := range floods {
		t.Run(f.name, func(t *testing.T) {
			small, large := wstest.Request(f.edits(size)...), wstest.Request(f.edits(size*growth)...)
			for range 8 { // once is enough unless something else took the processor
				// The same number of bytes both times, so that both are
				// disturbed alike. Shorter times are noise, and the square of
				// this size takes minutes.
				many := max(growth*time.Millisecond, duration(t, growth, small, opts))
				one := duration(t, 1, large, opts)
				if one < many*slack {
					return
				}
				t.Logf("%d requests of %d bytes took %v, one of as many bytes %v", growth, size, many, one)
			}
			t.Error("the time grows faster than the size")
		})
	}
}

// duration returns how long so many answers to r took.
func duration(t *testing.T, times int, r *http.Request, opts *websocket.Options) time.Duration {
	t.Helper()
	start := time.Now()
	for range times {
		answerTo(t, r, opts)
	}
	return time.Since(start)
}

// Requests as large as net/http lets them be are answered like small ones.
func TestLargeRequest(t *testing.T) {
	e := newEndpoint(t, plainVenue, speak("x"), func(s *http.Server) { s.MaxHeaderBytes = 2 << 20 })
	for _, row := range []handshakeRow{
		{number: accepted, name: "names", edits: offer(manyNames(900<<10) + ",x"), opts: speak("x"), protocol: "x"},
		{number: 12, name: "spaces", edits: offer(strings.Repeat(" ", 900<<10) + "a b"), status: 400},
		{number: 12, name: "commas", edits: offer(strings.Repeat(",", 900<<10)), status: 400},
		{number: 13, name: "extensions", edits: []string{"Sec-WebSocket-Extensions: " + strings.Repeat("a;b=c,", 150<<10) + ";"}, status: 400},
	} {
		t.Run(row.String(), func(t *testing.T) { e.check(t, &row) })
	}
}
