package websocket_test

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/internal/wstest"
)

// extend returns the edits of a request with lines of Sec-WebSocket-Extensions.
func extend(lines ...string) []string {
	var edits []string
	for _, line := range lines {
		edits = append(edits, "+Sec-WebSocket-Extensions: "+line)
	}
	return edits
}

// compressing returns options with so many bits of window in each direction.
func compressing(send, receive int) *websocket.Options {
	return &websocket.Options{Compression: &websocket.Compression{SendWindowBits: send, ReceiveWindowBits: receive}}
}

// Where no extension is spoken a well-formed list is declined, whatever it has.
// A malformed one is refused in any case.
var extensionRows = []handshakeRow{
	{number: accepted, name: "permessage-deflate", edits: extend("permessage-deflate")},
	{number: accepted, name: "as Chrome sends it", edits: extend("permessage-deflate; client_max_window_bits")},
	{number: accepted, name: "fallback", edits: extend("permessage-deflate; server_max_window_bits=10, permessage-deflate")},
	{number: accepted, name: "window out of range", edits: extend("permessage-deflate; server_max_window_bits=99")},
	{number: accepted, name: "parameter twice", edits: extend("permessage-deflate; a; a")},
	{number: accepted, name: "unknown", edits: extend("x-custom; a; b=c")},
	{number: accepted, name: "quoted token", edits: extend(`a; b="c"; d="\e\f"`)},
	{number: accepted, name: "lines", edits: extend("a", "b; c=d")},
	{number: accepted, name: "no white space", edits: extend("a;b=c,d")},
	{number: accepted, name: "white space", edits: extend("\t a \t; b = c \t,\td ")},
	{number: accepted, name: "empty elements", edits: extend(",, ,a,, b,")},
	{number: accepted, name: "an empty line", edits: extend("", "a")},
	{number: accepted, name: "all characters of tokens", edits: extend(tokenCharacters + ";" + tokenCharacters + "=" + tokenCharacters)},

	{number: 13, name: "empty", edits: extend(""), status: 400, says: []string{"Sec-WebSocket-Extensions", "malformed", "no element"}},
	{number: 13, name: "commas", edits: extend(", ,\t,"), status: 400, says: []string{"no element"}},
	{number: 13, name: "no name", edits: extend(";;="), status: 400, says: []string{"Sec-WebSocket-Extensions", "malformed", `";;="`}},
	{number: 13, name: "no name behind a comma", edits: extend("a, ;b"), status: 400},
	{number: 13, name: "quoted name", edits: extend(`"a"`), status: 400},
	{number: 13, name: "space", edits: extend("a b"), status: 400, says: []string{`"b"`, `"a"`}},
	{number: 13, name: "slash", edits: extend("a/1"), status: 400},
	{number: 13, name: "no parameter", edits: extend("a;"), status: 400, says: []string{`"a"`, "parameter"}},
	{number: 13, name: "no parameter before a comma", edits: extend("a; , b"), status: 400},
	{number: 13, name: "two semicolons", edits: extend("a;; b"), status: 400},
	{number: 13, name: "parameter without a name", edits: extend("a; =b"), status: 400},
	{number: 13, name: "parameter without a value", edits: extend("a; b="), status: 400, says: []string{`"b"`, `"a"`, "token"}},
	{number: 13, name: "two values", edits: extend("a; b=c d"), status: 400},
	{number: 13, name: "two equals signs", edits: extend("a; b=c=d"), status: 400},
	{number: 13, name: "empty quotes", edits: extend(`a; b=""`), status: 400},
	{number: 13, name: "quotes that do not end", edits: extend(`a; b="c`), status: 400},
	{number: 13, name: "quotes that end escaped", edits: extend(`a; b="c\"`), status: 400},
	{number: 13, name: "quotes that end with a backslash", edits: extend(`a; b="c\`), status: 400},
	{number: 13, name: "quotes around no token", edits: extend(`a; b="c d"`), status: 400},
	{number: 13, name: "quotes around a comma", edits: extend(`a; b="c,d"`), status: 400},
	{number: 13, name: "something behind quotes", edits: extend(`a; b="c"d`), status: 400},
	{number: 13, name: "quotes over two lines", edits: extend(`a; b="c`, `d"`), status: 400},
	{number: 13, name: "second line", edits: extend("a", "b;"), status: 400},
	{number: 13, name: "bytes above ASCII", edits: extend("\x80\xff\xc3"), status: 400},
	{number: 13, name: "markup", edits: extend("<b>"), status: 400},
	{number: 13, name: "long", edits: extend(strings.Repeat("(", 50000)), status: 400},

	{number: accepted, name: "compression, and no offer", opts: compressing(0, 0)},
	{number: 13, name: "a good offer and a bad one", edits: extend("permessage-deflate, permessage-deflate;"), opts: compressing(0, 0), status: 400},
	{number: 13, name: "space in a window", edits: extend("permessage-deflate; server_max_window_bits=1 0"), opts: compressing(0, 0), status: 400,
		says: []string{`"0"`, `"permessage-deflate"`}},
	{number: 13, name: "space in a quoted window", edits: extend(`permessage-deflate; server_max_window_bits="1 0"`), opts: compressing(0, 0), status: 400,
		says: []string{`"server_max_window_bits"`}},
	{number: 13, name: "window of nothing", edits: extend("permessage-deflate; client_max_window_bits="), opts: compressing(0, 0), status: 400},
	{number: 13, name: "window of empty quotes", edits: extend(`permessage-deflate; client_max_window_bits=""`), opts: compressing(0, 0), status: 400},
	{number: 13, name: "window in other digits", edits: extend("permessage-deflate; client_max_window_bits=\uff19"), opts: compressing(0, 0), status: 400},

	{number: 0, name: "sends with too small a window", opts: compressing(7, 0), status: 500,
		logs: []string{"Compression.SendWindowBits", "7", "8 to 15"}},
	{number: 0, name: "receives with too large a window", edits: extend("permessage-deflate"), opts: compressing(0, 16), status: 500,
		logs: []string{"Compression.ReceiveWindowBits", "16", "8 to 15"}},
}

func TestExtensions(t *testing.T) { runRows(t, extensionRows) }

// The parameters of permessage-deflate (RFC 7692, section 7.1), short, so that a
// row of a table is a line: "S c=9" is "permessage-deflate;
// server_no_context_takeover; client_max_window_bits=9".
var parameters = strings.NewReplacer(
	"S", "server_no_context_takeover",
	"C", "client_no_context_takeover",
	"s", "server_max_window_bits",
	"c", "client_max_window_bits",
)

// declined is the answer that there is none.
const declined = "-"

// spell returns an element of Sec-WebSocket-Extensions.
func spell(short string) string {
	if short == declined {
		return ""
	}
	return strings.Join(append([]string{"permessage-deflate"}, strings.Fields(parameters.Replace(short))...), "; ")
}

// The answers to every combination of parameters and every size of a window.
// Only how much is kept of what has been received makes a difference.
var agreements = []struct {
	offer               string
	by12, by15, by8, by string // with that window, and with none
}{
	{"", "", "", "C", "C"},
	{"S", "S", "S", "S C", "S C"},
	{"C", "C", "C", "C", "C"},
	{"s=10", "s=10", "s=10", "s=10 C", "s=10 C"},
	{"c", "c=12", "c=15", "c=8", "C"},
	{"c=10", "c=10", "c=10", "c=8", "C c=10"},
	{"S C", "S C", "S C", "S C", "S C"},
	{"S s=10", "S s=10", "S s=10", "S s=10 C", "S s=10 C"},
	{"S c", "S c=12", "S c=15", "S c=8", "S C"},
	{"S c=10", "S c=10", "S c=10", "S c=8", "S C c=10"},
	{"C s=10", "s=10 C", "s=10 C", "s=10 C", "s=10 C"},
	{"C c", "C", "C", "C", "C"},
	{"C c=10", "C c=10", "C c=10", "C c=10", "C c=10"},
	{"s=10 c", "s=10 c=12", "s=10 c=15", "s=10 c=8", "s=10 C"},
	{"s=10 c=9", "s=10 c=9", "s=10 c=9", "s=10 c=8", "s=10 C c=9"},
	{"S C s=10", "S s=10 C", "S s=10 C", "S s=10 C", "S s=10 C"},
	{"S C c", "S C", "S C", "S C", "S C"},
	{"S s=10 c", "S s=10 c=12", "S s=10 c=15", "S s=10 c=8", "S s=10 C"},
	{"S s=9 c=10", "S s=9 c=10", "S s=9 c=10", "S s=9 c=8", "S s=9 C c=10"},
	{"C s=10 c", "s=10 C", "s=10 C", "s=10 C", "s=10 C"},
	{"S C s=10 c", "S s=10 C", "S s=10 C", "S s=10 C", "S s=10 C"},
	{"S C s=15 c=8", "S s=15 C c=8", "S s=15 C c=8", "S s=15 C c=8", "S s=15 C c=8"},

	{"s=8", "s=8", "s=8", "s=8 C", "s=8 C"},
	{"s=9", "s=9", "s=9", "s=9 C", "s=9 C"},
	{"s=11", "s=11", "s=11", "s=11 C", "s=11 C"},
	{"s=12", "s=12", "s=12", "s=12 C", "s=12 C"},
	{"s=13", "s=13", "s=13", "s=13 C", "s=13 C"},
	{"s=14", "s=14", "s=14", "s=14 C", "s=14 C"},
	{"s=15", "s=15", "s=15", "s=15 C", "s=15 C"},
	{"c=8", "c=8", "c=8", "c=8", "C c=8"},
	{"c=9", "c=9", "c=9", "c=8", "C c=9"},
	{"c=11", "c=11", "c=11", "c=8", "C c=11"},
	{"c=12", "c=12", "c=12", "c=8", "C c=12"},
	{"c=13", "c=12", "c=13", "c=8", "C c=13"},
	{"c=14", "c=12", "c=14", "c=8", "C c=14"},
	{"c=15", "c=12", "c=15", "c=8", "C"},
}

// An offerRow is an offer, in one or more lines, and the answer to it.
type offerRow struct {
	name   string
	lines  []string
	answer string // short
}

// compressions are options, and the rows that hold with them.
var compressions = []struct {
	name string
	opts *websocket.Options
	rows []offerRow
}{
	{"no compression", nil, agreed(func(i int) string { return declined })},
	{"zero value", compressing(0, 0), slices.Concat(agreed(func(i int) string { return agreements[i].by12 }), offerRows, declinedRows())},
	{"15 bits", compressing(15, 15), agreed(func(i int) string { return agreements[i].by15 })},
	{"8 bits", compressing(8, 8), agreed(func(i int) string { return agreements[i].by8 })},
	{"no takeover", compressing(-1, -1), agreed(func(i int) string { return agreements[i].by })},
	{"takeover of what is sent", compressing(15, -1), agreed(func(i int) string { return agreements[i].by })},
	{"takeover of what is received", compressing(-1, 15), agreed(func(i int) string { return agreements[i].by15 })},
}

// agreed returns the rows of agreements with the answers of one column. The order
// in which a client lists the parameters is all the same.
func agreed(answer func(i int) string) (rows []offerRow) {
	for i, a := range agreements {
		rows = append(rows, offerRow{"offer " + a.offer, []string{spell(a.offer)}, answer(i)})
		if params := strings.Fields(a.offer); len(params) > 1 {
			slices.Reverse(params)
			offer := strings.Join(params, " ")
			rows = append(rows, offerRow{"offer " + offer, []string{spell(offer)}, answer(i)})
		}
	}
	return rows
}

// How an offer may be written, and which one is taken, with the zero value of
// Compression.
var offerRows = []offerRow{
	{"quoted window", []string{`permessage-deflate; server_max_window_bits="10"; client_max_window_bits="9"`}, "s=10 c=9"},
	{"escapes", []string{`permessage-deflate; server_max_window_bits="\1\0"; client_max_window_bits="\9"`}, "s=10 c=9"},
	{"no white space", []string{"permessage-deflate;client_max_window_bits;server_max_window_bits=10"}, "s=10 c=12"},
	{"white space", []string{"\t permessage-deflate \t;\t client_max_window_bits\t ; server_max_window_bits \t= \t10 "}, "s=10 c=12"},
	{"white space around quotes", []string{"permessage-deflate; server_max_window_bits = \"10\"\t; client_max_window_bits"}, "s=10 c=12"},
	{"empty elements", []string{", ,permessage-deflate; client_max_window_bits,,"}, "c=12"},

	{"the offer of RFC 7692, section 7.1.3", []string{"permessage-deflate; client_max_window_bits; server_max_window_bits=10, permessage-deflate; client_max_window_bits"}, "s=10 c=12"},
	{"fallback", []string{"permessage-deflate; server_max_window_bits=7, permessage-deflate; client_max_window_bits"}, "c=12"},
	{"first of two, though the second is more", []string{"permessage-deflate; server_no_context_takeover, permessage-deflate; client_max_window_bits"}, "S"},
	{"third of four", []string{"permessage-deflate; a, permessage-deflate; client_max_window_bits=16, permessage-deflate; server_max_window_bits=9, permessage-deflate"}, "s=9"},
	{"nothing of a declined offer", []string{"permessage-deflate; server_no_context_takeover; client_max_window_bits; server_max_window_bits=8; a, permessage-deflate"}, ""},
	{"lines", []string{"permessage-deflate; client_max_window_bits=9", "permessage-deflate"}, "c=9"},
	{"fallback over lines", []string{"permessage-deflate; server_max_window_bits=16", "permessage-deflate; a", "permessage-deflate; server_max_window_bits=14"}, "s=14"},
	{"the same twice", []string{"permessage-deflate; client_max_window_bits, permessage-deflate; client_max_window_bits"}, "c=12"},
	{"unknown extension before", []string{"x-webkit-deflate-frame; server_max_window_bits=8, permessage-deflate; client_max_window_bits"}, "c=12"},
	{"unknown extension behind", []string{"permessage-deflate; client_max_window_bits, permessage-bzip2; client_max_window_bits=8"}, "c=12"},
	{"unknown extensions in other lines", []string{"x-a; b=c", "permessage-deflate", "x-d"}, ""},

	{"permessage-bzip2", []string{"permessage-bzip2"}, declined},
	{"deflate-frame", []string{"deflate-frame"}, declined},
	{"x-webkit-deflate-frame", []string{"x-webkit-deflate-frame; no_context_takeover"}, declined},
	{"permessage-deflate with something behind", []string{"permessage-deflate2"}, declined},
	{"only the beginning", []string{"permessage"}, declined},
	{"as a parameter", []string{"x-a; permessage-deflate"}, declined},
	{"as a value", []string{`x-a; b="permessage-deflate"`}, declined},
	{"name in capitals", []string{"Permessage-Deflate"}, declined},
	{"all declined", []string{"permessage-deflate; a, permessage-deflate; client_max_window_bits=7", "permessage-deflate; server_max_window_bits"}, declined},
}

// declinedParameters are some for which "A server MUST decline an extension
// negotiation offer for this extension" (RFC 7692, section 7).
func declinedParameters() []string {
	list := []string{
		"server_max_window_bits", // only the client's may do without
		"server_no_context_takeover=1", "client_no_context_takeover=1",
		"server_no_context_takeover=true", "client_no_context_takeover=false", `client_no_context_takeover="10"`,
		"server_no_context_takeover; server_no_context_takeover", "client_no_context_takeover; client_no_context_takeover",
		"server_no_context_takeover; client_max_window_bits; server_no_context_takeover",
		"server_max_window_bits=10; server_max_window_bits=10", "server_max_window_bits=10; server_max_window_bits=9",
		"server_max_window_bits=10; server_max_window_bits", "server_max_window_bits; server_max_window_bits=10",
		"client_max_window_bits=10; client_max_window_bits=10", "client_max_window_bits=9; client_max_window_bits=10",
		"client_max_window_bits; client_max_window_bits", "client_max_window_bits; client_max_window_bits=10",
		"client_max_window_bits=10; client_max_window_bits", "client_max_window_bits=15; client_max_window_bits",
		"a", "a=b", "client_max_window_bits; a", "a; client_max_window_bits", "no_context_takeover", "max_window_bits=10",
		"server_max_window_bits2=10", "server_max_window_bit=10", "server-max-window-bits=10", "permessage-deflate",
		"Server_no_context_takeover", "CLIENT_NO_CONTEXT_TAKEOVER", "Server_Max_Window_Bits=10", "client_max_window_Bits",
	}
	for _, bits := range []string{
		"7", "16", "0", "1", "80", "100", "08", "015", "010", "+10", "-10", "-8", "99999999999999999999",
		"18446744073709551626", "10.0", "1e1", "0x0a", "a", "1_0", "'10'", `"7"`, `"16"`, `"\0\8"`, `"+10"`,
	} {
		list = append(list, "server_max_window_bits="+bits, "client_max_window_bits="+bits)
	}
	return list
}

// declinedRows are the rows with these parameters, alone and before an offer
// that is fine.
func declinedRows() (rows []offerRow) {
	for _, p := range declinedParameters() {
		rows = append(rows,
			offerRow{p, []string{"permessage-deflate; " + p}, declined},
			offerRow{p + ", and a fallback", []string{"permessage-deflate; " + p + ", permessage-deflate; client_max_window_bits=9"}, "c=9"})
	}
	return rows
}

// TestOffers: what is answered to an offer, and that the connection knows it.
func TestOffers(t *testing.T) {
	for _, v := range []venue{plainVenue, tlsVenue, wrappedVenue} {
		e := newEndpoint(t, v, nil)
		for _, tt := range compressions {
			for _, row := range tt.rows {
				t.Run(v.name+"/"+tt.name+"/"+row.name, func(t *testing.T) {
					e.opts.Store(tt.opts)
					e.checkOffer(t, row.lines, spell(row.answer))
				})
			}
		}
	}
}

func (e *endpoint) checkOffer(t *testing.T, lines []string, answer string) {
	t.Helper()
	c := e.send(t, wstest.Handshake(extend(lines...)...))
	got := c.readHead(t).head
	u := e.result(t) // whatever it is, so that the next row does not get it
	if want := switchingWith("", answer, e.venue.set); got != want {
		t.Fatalf("offer %q\n got %q\nwant %q", lines, got, want)
	}
	if u.err == nil && u.conn.Extensions() != answer {
		t.Errorf("Extensions() = %q, the client was told %q", u.conn.Extensions(), answer)
	}
	e.ended <- u
	e.checkOpen(t, c, new(handshakeRow))
}

// switchingWith returns a 101 that answers extensions as well, unless they are "".
func switchingWith(protocol, extensions string, set http.Header) string {
	head := switching("", protocol, set)
	if extensions == "" {
		return head
	}
	own := len(switching("", protocol, nil)) - len("\r\n")
	return head[:own] + "Sec-WebSocket-Extensions: " + extensions + "\r\n" + head[own:]
}

// TestOffersMalformed: to be malformed is one thing, whether anything could be
// agreed on or not.
func TestOffersMalformed(t *testing.T) {
	var rows []handshakeRow
	for _, row := range extensionRows {
		if row.number == 13 {
			row.opts = compressing(15, 15)
			rows = append(rows, row)
		}
	}
	runRows(t, rows)
}

// TestExtensionsOnce: the response has no other Sec-WebSocket-Extensions than the
// library's, not even the same.
func TestExtensionsOnce(t *testing.T) {
	const answer = "permessage-deflate; client_max_window_bits=12"
	for _, name := range []string{"Sec-Websocket-Extensions", "Sec-WebSocket-Extensions", "sec-websocket-extensions"} {
		for _, value := range []string{answer, "x-a", ""} {
			t.Run(fmt.Sprintf("%s: %q", name, value), func(t *testing.T) {
				row := handshakeRow{number: 14, status: 500, logs: []string{name}}
				e := newEndpoint(t, plainVenue, compressing(0, 0))
				e.before = func(w http.ResponseWriter) { w.Header()[name] = []string{value} }
				got := e.send(t, wstest.Handshake(extend("permessage-deflate; client_max_window_bits")...)+secondRequest).readRefusal(t)
				got.header.Del(name) // a refusal agrees on nothing
				row.checkRefusal(t, row.String(), got, nil)
				row.checkError(t, row.String(), e.result(t), got)

				// Authorize is the last that can set it.
				w := newFakeWriter()
				opts := compressing(0, 0)
				opts.Authorize = func(*http.Request) error { w.Header()[name] = []string{value}; return nil }
				a := w.answer(t, wstest.Request(extend("permessage-deflate; client_max_window_bits")...), opts)
				if a.status != 500 || a.hijacked > 0 || a.err == nil || !strings.Contains(a.err.Error(), name) {
					t.Errorf("set by Authorize: got %d, %v after %d calls of Hijack, want 500", a.status, a.err, a.hijacked)
				}
			})
		}
	}
}

// TestValidateCompression: sizes that are none are named, to the server and not
// to the client.
func TestValidateCompression(t *testing.T) {
	for bits, wrong := range map[int]bool{
		math.MinInt: false, -15: false, -1: false, 0: false,
		1: true, 2: true, 3: true, 4: true, 5: true, 6: true, 7: true,
		8: false, 9: false, 10: false, 11: false, 12: false, 13: false, 14: false, 15: false,
		16: true, 17: true, 32: true, 100: true, math.MaxInt: true,
	} {
		for field, opts := range map[string]*websocket.Options{
			"SendWindowBits":    compressing(bits, 0),
			"ReceiveWindowBits": compressing(0, bits),
		} {
			err := opts.Validate()
			if !wrong {
				if err != nil {
					t.Errorf("%s %d: Validate = %v", field, bits, err)
				}
				continue
			}
			words := []string{"Compression." + field, " " + strconv.Itoa(bits), "8 to 15"}
			if err == nil || slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(err.Error(), w) }) {
				t.Errorf("%s %d: Validate = %v, want an error with %q", field, bits, err, words)
			}
			a := answerTo(t, wstest.Request(), opts)
			if a.status != 500 || a.body != "Internal Server Error\n" || a.err == nil || !strings.Contains(a.err.Error(), field) {
				t.Errorf("%s %d: got %d %q, %v, want 500 and no word of it", field, bits, a.status, a.body, a.err)
			}
		}
	}
	if err := compressing(7, 16).Validate(); err == nil || strings.Contains(err.Error(), "Receive") {
		t.Errorf("Validate = %v, want the first mistake", err)
	}
}

var extensionFloods = []flood{
	{"spaces", func(n int) []string { return extend(strings.Repeat(" ", n) + "a") }},
	{"spaces before a semicolon", func(n int) []string { return extend("a" + strings.Repeat(" ", n) + ";b") }},
	{"spaces everywhere", func(n int) []string { return extend(strings.Repeat("a ; b ,", n/7) + "a") }},
	{"commas", func(n int) []string { return extend(strings.Repeat(",", n) + "a") }},
	{"extensions", func(n int) []string { return extend(manyNames(n)) }},
	{"parameters", func(n int) []string { return extend("a;" + strings.ReplaceAll(manyNames(n), ",", ";")) }},
	{"quotes", func(n int) []string { return extend("a" + strings.Repeat(`;b="c"`, n/6)) }},
	{"offers that are declined", func(n int) []string { return extend(strings.Repeat("permessage-deflate;c,", n/21) + "a") }},
	{"one long value", func(n int) []string { return extend(`a;b="` + strings.Repeat(`\c`, n/2) + `"`) }},
	{"quotes that do not end", func(n int) []string { return extend(strings.Repeat(`a;b="`, n/5)) }},
	{"lines", func(n int) []string { return extend(strings.Split(manyNames(n/8), ",")...) }},
}

func TestExtensionFlood(t *testing.T) { runFloods(t, extensionFloods) }
