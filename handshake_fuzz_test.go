package websocket_test

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"fmt"
	"maps"
	"math"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/internal/wstest"
)

// fuzzOptions are what requests are held against.
var fuzzOptions = &websocket.Options{
	Subprotocols:   []string{"b", "a"},
	TrustedOrigins: []string{"https://*.t.example", "null"},
}

// FuzzHandshake compares Upgrade with an oracle that is written down in another
// way, with regular expressions and net/url: what one accepts, the other has to
// accept as well. And it looks at what came out.
//
// A field is given as its lines, each behind a line feed, so that "" is none. A
// line may still have anything else in it that net/http would not let through.
func FuzzHandshake(f *testing.F) {
	add := func(r *http.Request, name, value string) {
		get := func(name string) string { return joinLines(r.Header[name]) }
		f.Add(r.Method, r.ProtoMinor, r.Host, r.ContentLength, r.TLS != nil,
			get("Connection"), get("Upgrade"), get("Sec-Websocket-Version"), get("Sec-Websocket-Key"),
			get("Origin"), get("Sec-Websocket-Protocol"), get("Sec-Websocket-Extensions"), name, value)
	}
	for _, row := range allRows() {
		if text := wstest.Handshake(row.edits...); len(text) < 1<<10 {
			add(row.request(), "X-A", "b")
		}
	}
	for _, tt := range forbiddenFields {
		add(wstest.Request(), tt.name, tt.value)
	}
	for _, tt := range fieldRows {
		for name, values := range tt.set {
			add(wstest.Request(), name, strings.Join(values, ""))
		}
	}
	f.Fuzz(func(t *testing.T, method string, minor int, host string, length int64, overTLS bool,
		connection, upgrade, version, key, origin, protocol, extensions, name, value string) {
		r := wstest.Request()
		r.Method, r.ProtoMinor, r.Host, r.ContentLength = method, minor&1, host, length
		r.Proto = fmt.Sprintf("HTTP/1.%d", r.ProtoMinor)
		if overTLS {
			r.TLS = new(tls.ConnectionState)
		}
		for name, lines := range map[string]string{
			"Connection": connection, "Upgrade": upgrade, "Sec-Websocket-Version": version, "Sec-Websocket-Key": key,
			"Origin": origin, "Sec-Websocket-Protocol": protocol, "Sec-Websocket-Extensions": extensions,
		} {
			if r.Header[name] = splitLines(lines); r.Header[name] == nil {
				delete(r.Header, name)
			}
		}
		set := http.Header{name: {value}}
		a := answerTo(t, r, fuzzOptions, set)
		wrong := oracle(r, set)
		if (a.err == nil) != (wrong == "") || (a.err == nil) != (a.hijacked == 1) {
			t.Fatalf("Upgrade = %v after %d calls of Hijack, the oracle says %q", a.err, a.hijacked, wrong)
		}
		if a.err == nil {
			checkSwitch(t, a.body, r, name, value)
			return
		}
		text := strings.TrimSuffix(a.body, "\n")
		if !oracleText.MatchString(text) || http.StatusText(a.status) == "" || a.status < 400 {
			t.Fatalf("got %d %q", a.status, a.body)
		}
	})
}

func joinLines(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString("\n" + line)
	}
	return b.String()
}

func splitLines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimPrefix(s, "\n"), "\n")
}

// The grammar of the fields (RFC 9110, section 5.6; RFC 6455, section 9.1), a
// line at a time. The (?i) of package regexp would fold in Unicode.
var (
	oracleToken     = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
	oracleParam     = `[ \t]*;[ \t]*` + oracleToken + `(?:[ \t]*=[ \t]*(?:` + oracleToken + "|\"(?:\\\\?[!#$%&'*+\\-.^_`|~0-9A-Za-z])+\"))?"
	oracleExtension = oracleToken + "(?:" + oracleParam + ")*"

	oracleUpgrade    = regexp.MustCompile(`(?:\A|,)[ \t]*[Uu][Pp][Gg][Rr][Aa][Dd][Ee][ \t]*(?:,|\z)`)
	oracleWebsocket  = regexp.MustCompile(`(?:\A|,)[ \t]*[Ww][Ee][Bb][Ss][Oo][Cc][Kk][Ee][Tt][ \t]*(?:,|\z)`)
	oracleVersion    = regexp.MustCompile(`\A[ \t]*13[ \t]*\z`)
	oracleKey        = regexp.MustCompile(`\A[ \t]*([A-Za-z0-9+/]{22}==)[ \t]*\z`)
	oracleTokens     = oracleList(oracleToken)
	oracleExtensions = oracleList(oracleExtension)
	oracleEmpty      = regexp.MustCompile(`\A[ \t,]*\z`)
	oracleAuthority  = regexp.MustCompile(`\A(\[[0-9A-Fa-f:.]+\]|[!$&'()*+,;=_~0-9A-Za-z.\-]*)(?::(0|[1-9][0-9]{0,4}))?\z`)
	oracleOrigin     = regexp.MustCompile(`\A([A-Za-z][A-Za-z0-9+.\-]*)://([^/]*)/?\z`)
	oracleLabels     = regexp.MustCompile(`\A(?:[^.]+\.)+t\.example\z`)
	oracleName       = regexp.MustCompile(`\A` + oracleToken + `\z`)
	oracleLeftOut    = regexp.MustCompile(`\A(?:connection|upgrade|keep-alive|transfer-encoding|trailer)\z|\A(?:content-|trailer:)`)
	oracleText       = regexp.MustCompile(`\A[ -%'-;=?-~]+\z`) // ASCII without & < >
)

func oracleList(element string) *regexp.Regexp {
	return regexp.MustCompile(`\A[ \t,]*(?:` + element + `(?:[ \t]*,[ \t,]*` + element + `)*[ \t,]*)?\z`)
}

// oracle says what is wrong with a request, or "".
func oracle(r *http.Request, set http.Header) string {
	h := r.Header
	switch {
	case r.Method != "GET", r.ProtoMinor < 1, r.Host == "", r.ContentLength != 0:
		return "request line, host or body"
	case !slices.ContainsFunc(h["Connection"], oracleUpgrade.MatchString):
		return "Connection"
	case !slices.ContainsFunc(h["Upgrade"], oracleWebsocket.MatchString):
		return "Upgrade"
	case len(h["Sec-Websocket-Version"]) != 1 || !oracleVersion.MatchString(h["Sec-Websocket-Version"][0]):
		return "version"
	case len(h["Sec-Websocket-Key"]) != 1 || !oracleKey.MatchString(h["Sec-Websocket-Key"][0]):
		return "key"
	case !oracleAllows(r):
		return "origin"
	case !oracleGrammar(h["Sec-Websocket-Protocol"], oracleTokens) || len(oracleOffer(r)) != countDistinct(oracleOffer(r)):
		return "subprotocols"
	case !oracleGrammar(h["Sec-Websocket-Extensions"], oracleExtensions):
		return "extensions"
	}
	for name, values := range set {
		lower := strings.ToLower(name)
		switch {
		case oracleLeftOut.MatchString(lower):
		case strings.HasPrefix(lower, "sec-websocket-"), !oracleName.MatchString(name), strings.ContainsAny(values[0], "\r\n\x00"):
			return "field of the handler"
		}
	}
	return ""
}

func oracleGrammar(lines []string, list *regexp.Regexp) bool {
	if lines == nil {
		return true
	}
	for _, line := range lines {
		if !list.MatchString(line) {
			return false
		}
	}
	return !oracleEmpty.MatchString(strings.Join(lines, ","))
}

// oracleOffer returns the names in Sec-WebSocket-Protocol, which is well formed.
func oracleOffer(r *http.Request) []string {
	return regexp.MustCompile(oracleToken).FindAllString(strings.Join(r.Header["Sec-Websocket-Protocol"], ","), -1)
}

func countDistinct(names []string) int {
	set := make(map[string]bool)
	for _, name := range names {
		set[name] = true
	}
	return len(set)
}

// oracleAllows reports whether a page may send r.
func oracleAllows(r *http.Request) bool {
	lines := r.Header["Origin"]
	if len(lines) != 1 {
		return len(lines) == 0
	}
	s := strings.Trim(lines[0], " \t")
	if s == "null" {
		return true // by fuzzOptions
	}
	parts := oracleOrigin.FindStringSubmatch(s)
	if parts == nil {
		return false
	}
	scheme := strings.ToLower(parts[1])
	defaults := map[string]string{"http": "80", "https": "443"}
	host, port, ok := oracleHostPort(parts[2], defaults[scheme])
	if !ok || host == "" || defaults[scheme] == "" {
		// Schemes without a default port are not among the trusted ones, but for
		// one that looks like null.
		return scheme == "null" && parts[2] == ""
	}
	u, err := url.Parse(s)
	if err != nil || !strings.EqualFold(u.Host, parts[2]) {
		return false
	}
	if scheme == "https" && port == "443" && oracleLabels.MatchString(host) {
		return true // by fuzzOptions
	}
	ownHost, ownPort, ok := oracleHostPort(r.Host, defaults[scheme])
	return ok && host == ownHost && port == ownPort && (scheme == "https" || r.TLS == nil)
}

func oracleHostPort(s, port string) (string, string, bool) {
	parts := oracleAuthority.FindStringSubmatch(s)
	if parts == nil {
		return "", "", false
	}
	if parts[2] != "" {
		if n, _ := strconv.Atoi(parts[2]); n > 65535 {
			return "", "", false
		}
		port = parts[2]
	}
	if address, ok := strings.CutPrefix(parts[1], "["); ok && net.ParseIP(strings.TrimSuffix(address, "]")) == nil || ok && !strings.Contains(address, ":") {
		return "", "", false
	}
	return strings.ToLower(parts[1]), port, true
}

// checkSwitch checks that a response has the fields it should have and no more.
func checkSwitch(t *testing.T, response string, r *http.Request, name, value string) {
	t.Helper()
	var protocol string
	for _, ours := range fuzzOptions.Subprotocols {
		if protocol == "" && slices.Contains(oracleOffer(r), ours) {
			protocol = ours
		}
	}
	accept := websocket.AcceptKey(oracleKey.FindStringSubmatch(r.Header["Sec-Websocket-Key"][0])[1])
	set := http.Header{name: {value}}
	if oracleLeftOut.MatchString(strings.ToLower(name)) {
		set = nil
	}
	if want := switching(accept, protocol, set); response != want {
		t.Fatalf("got %q, want %q", response, want)
	}
	// And as a client would read it. Control characters are the handler's own
	// doing, and some clients do not take them.
	if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
		return
	}
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(response)), r)
	if err != nil {
		t.Fatalf("response %q: %v", response, err)
	}
	want := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Accept": {accept}}
	if protocol != "" {
		want["Sec-Websocket-Protocol"] = []string{protocol}
	}
	for name := range set {
		want.Set(name, strings.Trim(value, " \t"))
	}
	if resp.StatusCode != 101 || !maps.EqualFunc(resp.Header, want, slices.Equal) {
		t.Fatalf("response %q parses to %d %q, want %q", response, resp.StatusCode, resp.Header, want)
	}
}

// FuzzExtensions holds what is answered to any Sec-WebSocket-Extensions, with any
// windows, against RFC 7692.
func FuzzExtensions(f *testing.F) {
	for _, tt := range compressions {
		send, receive := 0, 0
		if tt.opts != nil {
			send, receive = tt.opts.Compression.SendWindowBits, tt.opts.Compression.ReceiveWindowBits
		}
		for _, row := range tt.rows {
			f.Add(tt.opts != nil, send, receive, joinLines(row.lines))
		}
	}
	for _, row := range extensionRows {
		f.Add(true, 0, 15, joinLines(wstest.Request(row.edits...).Header["Sec-Websocket-Extensions"]))
	}
	for _, bits := range []int{math.MinInt, 1, 7, 9, 16, math.MaxInt} {
		f.Add(true, bits, 0, "\npermessage-deflate")
		f.Add(true, 0, bits, "\npermessage-deflate; client_max_window_bits")
	}
	f.Fuzz(func(t *testing.T, on bool, send, receive int, extensions string) {
		opts := new(websocket.Options)
		if on {
			opts = compressing(send, receive)
		}
		r := wstest.Request()
		lines := splitLines(extensions)
		if lines != nil {
			r.Header["Sec-Websocket-Extensions"] = slices.Clone(lines)
		}
		a := answerTo(t, r, opts)
		want := http.StatusSwitchingProtocols
		switch {
		case on && !(oracleSize(send) && oracleSize(receive)):
			want = http.StatusInternalServerError
		case !oracleGrammar(lines, oracleExtensions):
			want = http.StatusBadRequest
		}
		if a.status != want || !slices.Equal(r.Header["Sec-Websocket-Extensions"], lines) {
			t.Fatalf("got %d %q, %v, want %d; the request has become %q", a.status, a.body, a.err, want, r.Header)
		}
		if a.err != nil {
			return
		}
		if head := switchingWith("", a.extensions, nil); a.body != head {
			t.Fatalf("Extensions() = %q, the client was told %q", a.extensions, a.body)
		}
		if wrong := oracleAgreement(lines, on, receive, a.extensions); wrong != "" {
			t.Fatalf("offer %q, window %d: answer %q: %s", lines, receive, a.extensions, wrong)
		}
	})
}

var (
	oracleBits = regexp.MustCompile(`\A(?:[89]|1[0-5])\z`)
	oracleOwn  = regexp.MustCompile(`\A(?:permessage-deflate(?:; (?:server|client)_(?:no_context_takeover|max_window_bits=[0-9]+))*)?\z`)
)

// oracleSize reports whether a window may be given with so many bits.
func oracleSize(bits int) bool { return bits <= 0 || oracleBits.MatchString(strconv.Itoa(bits)) }

// oracleParams returns the parameters of an element of permessage-deflate, or
// false for one that has to be declined or is of another extension.
func oracleParams(element string) (map[string]string, bool) {
	parts := strings.Split(element, ";")
	if strings.Trim(parts[0], " \t") != "permessage-deflate" {
		return nil, false
	}
	params := make(map[string]string)
	for _, part := range parts[1:] {
		name, value, valued := strings.Cut(part, "=")
		name = strings.Trim(name, " \t")
		// The list is well formed, so quotes and escapes stand where they may.
		value = strings.Trim(strings.ReplaceAll(value, `\`, ""), " \t\"")
		valid := map[string]bool{
			"server_no_context_takeover": !valued,
			"client_no_context_takeover": !valued,
			"server_max_window_bits":     oracleBits.MatchString(value),
			"client_max_window_bits":     !valued || oracleBits.MatchString(value),
		}
		if _, twice := params[name]; twice || !valid[name] {
			return nil, false
		}
		params[name] = value
	}
	return params, true
}

// oracleAgreement says what is wrong with an answer to well-formed offers, or "".
func oracleAgreement(lines []string, on bool, receive int, answer string) string {
	var offer map[string]string // the first that may be accepted
	for element := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		if params, ok := oracleParams(element); ok {
			offer = params
			break
		}
	}
	if !on || offer == nil {
		if answer != "" {
			return "there is nothing to agree on"
		}
		return ""
	}
	agreed, ok := oracleParams(answer)
	if !ok || !oracleOwn.MatchString(answer) {
		return "it is none"
	}
	has := func(params map[string]string, name string) bool { _, ok := params[name]; return ok }
	bits := func(params map[string]string, name string) int {
		if params[name] == "" {
			return 15
		}
		n, _ := strconv.Atoi(params[name])
		return n
	}
	kept := cmp.Or(max(receive, 0), 12)
	if receive == 0 && !has(offer, "client_max_window_bits") {
		kept = 15 // it cannot be told of less, and by default need not
	}
	// What the client may refer to has to be kept, and may be limited only where
	// the client has said that it knows how to.
	alone := has(offer, "client_no_context_takeover") || receive < 0 || kept < 15 && !has(offer, "client_max_window_bits")
	switch {
	case has(agreed, "server_no_context_takeover") != has(offer, "server_no_context_takeover"):
		return "takeover of what the server sends"
	case has(agreed, "server_max_window_bits") != has(offer, "server_max_window_bits"),
		bits(agreed, "server_max_window_bits") > bits(offer, "server_max_window_bits"):
		return "window of what the server sends"
	case has(agreed, "client_no_context_takeover") != alone:
		return "takeover of what the client sends"
	case has(agreed, "client_max_window_bits") && !has(offer, "client_max_window_bits"),
		has(agreed, "client_max_window_bits") && bits(agreed, "client_max_window_bits") > bits(offer, "client_max_window_bits"),
		bits(offer, "client_max_window_bits") < 15 && !has(agreed, "client_max_window_bits"),
		!alone && bits(agreed, "client_max_window_bits") > kept:
		return "window of what the client sends"
	}
	return ""
}
