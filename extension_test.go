package websocket_test

import (
	"strings"
	"testing"
)

// extend returns the edits of a request with lines of Sec-WebSocket-Extensions.
func extend(lines ...string) []string {
	var edits []string
	for _, line := range lines {
		edits = append(edits, "+Sec-WebSocket-Extensions: "+line)
	}
	return edits
}

// No extension is spoken, so a well-formed list is declined, whatever it has.
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
}

func TestExtensions(t *testing.T) { runRows(t, extensionRows) }

var extensionFloods = []flood{
	{"spaces", func(n int) []string { return extend(strings.Repeat(" ", n) + "a") }},
	{"spaces before a semicolon", func(n int) []string { return extend("a" + strings.Repeat(" ", n) + ";b") }},
	{"spaces everywhere", func(n int) []string { return extend(strings.Repeat("a ; b ,", n/7) + "a") }},
	{"commas", func(n int) []string { return extend(strings.Repeat(",", n) + "a") }},
	{"extensions", func(n int) []string { return extend(manyNames(n)) }},
	{"parameters", func(n int) []string { return extend("a;" + strings.ReplaceAll(manyNames(n), ",", ";")) }},
	{"quotes", func(n int) []string { return extend("a" + strings.Repeat(`;b="c"`, n/6)) }},
	{"one long value", func(n int) []string { return extend(`a;b="` + strings.Repeat(`\c`, n/2) + `"`) }},
	{"quotes that do not end", func(n int) []string { return extend(strings.Repeat(`a;b="`, n/5)) }},
	{"lines", func(n int) []string { return extend(strings.Split(manyNames(n/8), ",")...) }},
}

func TestExtensionFlood(t *testing.T) { runFloods(t, extensionFloods) }
