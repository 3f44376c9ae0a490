package websocket_test

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/internal/wstest"
)

// from returns the edits of a request from a page of origin to host.
func from(origin, host string) []string { return []string{"Host: " + host, "Origin: " + origin} }

// The request goes to server.example.com unless it says something else.
var originRows = []handshakeRow{
	{number: accepted, name: "own", edits: []string{"Origin: https://server.example.com"}},
	{number: accepted, name: "own in the clear", on: notOnTLS, edits: []string{"Origin: http://server.example.com"}},
	{number: accepted, name: "own in white space", edits: []string{"Origin:\t https://server.example.com \t"}},
	{number: accepted, name: "own with a slash", edits: []string{"Origin: https://server.example.com/"}},
	{number: accepted, name: "own in capitals", edits: []string{"Origin: HTTPS://Server.Example.COM"}},
	{number: accepted, name: "Host in capitals", edits: from("https://h.example", "H.EXAMPLE")},
	{number: accepted, name: "default port in Origin", edits: []string{"Origin: https://server.example.com:443"}},
	{number: accepted, name: "default port in Host", edits: from("https://h.example", "h.example:443")},
	{number: accepted, name: "default port of http in Origin", on: notOnTLS, edits: from("http://h.example:80", "h.example")},
	{number: accepted, name: "default port of http in Host", on: notOnTLS, edits: from("http://h.example", "h.example:80")},
	{number: accepted, name: "port", edits: from("https://h.example:8443", "h.example:8443")},
	{number: accepted, name: "port of the other scheme", edits: from("https://h.example:80", "h.example:80")},
	{number: accepted, name: "IPv4", edits: from("https://127.0.0.1:8080", "127.0.0.1:8080")},
	{number: accepted, name: "IPv6", edits: from("https://[2001:db8::a]", "[2001:DB8::A]")},
	{number: accepted, name: "IPv6 with a port", edits: from("https://[::1]:8443", "[::1]:8443")},
	{number: accepted, name: "IPv6 with a default port", edits: from("https://[::1]", "[::1]:443")},
	{number: accepted, name: "a label", edits: from("https://localhost", "localhost")},
	{number: accepted, name: "underscore", edits: from("https://my_host", "my_host")},

	{number: 11, name: "another host", edits: []string{"Origin: https://evil.example"}, status: 403,
		says: []string{"Origin", `"https://evil.example"`, `://server.example.com"`, "proxy_set_header Host $http_host", "port"}},
	{number: 11, name: "the own side in the clear", on: notOnTLS, edits: []string{"Origin: https://evil.example"}, status: 403, says: []string{`"http://server.example.com"`}},
	{number: 11, name: "the own side over TLS", on: onTLS, edits: []string{"Origin: https://evil.example"}, status: 403, says: []string{`"https://server.example.com"`}},
	{number: 11, name: "http to TLS", on: onTLS, edits: []string{"Origin: http://server.example.com"}, status: 403,
		says: []string{`"http://server.example.com"`, `"https://server.example.com"`}},
	{number: 11, name: "http to TLS on port 443", on: onTLS, edits: from("http://h.example:443", "h.example:443"), status: 403},
	{number: 11, name: "http to TLS through a proxy that says otherwise", on: onTLS, edits: []string{"Origin: http://server.example.com", "X-Forwarded-Proto: http"}, status: 403},
	{number: 11, name: "forwarded host", edits: []string{"Origin: https://evil.example", "X-Forwarded-Host: evil.example", "Forwarded: host=evil.example", "X-Host: evil.example"}, status: 403},
	{number: 11, name: "port in Origin", edits: []string{"Origin: https://server.example.com:8443"}, status: 403},
	{number: 11, name: "port in Host", edits: from("https://h.example", "h.example:8443"), status: 403, says: []string{`"https://h.example"`, `://h.example:8443"`}},
	{number: 11, name: "another port", edits: from("https://h.example:8443", "h.example:8444"), status: 403},
	{number: 11, name: "default port of the other scheme", edits: from("https://h.example", "h.example:80"), status: 403},
	{number: 11, name: "subdomain", edits: []string{"Origin: https://a.server.example.com"}, status: 403},
	{number: 11, name: "parent domain", edits: []string{"Origin: https://example.com"}, status: 403},
	{number: 11, name: "end of a name", edits: []string{"Origin: https://evilserver.example.com"}, status: 403},
	{number: 11, name: "start of a name", edits: []string{"Origin: https://server.example.com.evil.example"}, status: 403},
	{number: 11, name: "trailing dot", edits: []string{"Origin: https://server.example.com."}, status: 403},
	{number: 11, name: "null", edits: []string{"Origin: null"}, status: 403, says: []string{`"null"`}},
	{number: 11, name: "empty", edits: []string{"Origin:"}, status: 403, says: []string{"no serialised origin"}},
	{number: 11, name: "twice the own", edits: []string{"Origin: https://server.example.com", "+Origin: https://server.example.com"}, status: 403, says: []string{"Origin", "more than once"}},
	{number: 11, name: "own and another", edits: []string{"Origin: https://server.example.com", "+Origin: https://evil.example"}, status: 403, says: []string{"more than once"}},
	{number: 11, name: "list by spaces", edits: []string{"Origin: https://server.example.com https://evil.example"}, status: 403, says: []string{"no serialised origin"}},
	{number: 11, name: "list by commas", edits: []string{"Origin: https://server.example.com, https://evil.example"}, status: 403, says: []string{"no serialised origin"}},
	{number: 11, name: "user", edits: []string{"Origin: https://user@server.example.com"}, status: 403, says: []string{"no serialised origin"}},
	{number: 11, name: "own as the user", edits: []string{"Origin: https://server.example.com@evil.example"}, status: 403, says: []string{"no serialised origin"}},
	{number: 11, name: "own as the user and password", edits: []string{"Origin: https://server.example.com:443@evil.example"}, status: 403, says: []string{"no serialised origin"}},
	{number: 11, name: "path", edits: []string{"Origin: https://server.example.com/chat"}, status: 403, says: []string{"no serialised origin"}},
	{number: 11, name: "two slashes", edits: []string{"Origin: https://server.example.com//"}, status: 403, says: []string{"no serialised origin"}},
	{number: 11, name: "query", edits: []string{"Origin: https://server.example.com?"}, status: 403, says: []string{"no serialised origin"}},
	{number: 11, name: "fragment", edits: []string{"Origin: https://server.example.com#"}, status: 403, says: []string{"no serialised origin"}},
	{number: 11, name: "backslash", edits: []string{`Origin: https://server.example.com\@evil.example`}, status: 403, says: []string{"no serialised origin"}},
	{number: 11, name: "percent", edits: []string{"Origin: https://server.example%2ecom"}, status: 403, says: []string{"no serialised origin"}},
	{number: 11, name: "scheme ftp", edits: []string{"Origin: ftp://server.example.com"}, status: 403},
	{number: 11, name: "scheme wss", edits: []string{"Origin: wss://server.example.com"}, status: 403},
	{number: 11, name: "scheme of an extension", edits: []string{"Origin: chrome-extension://server.example.com"}, status: 403},
	{number: 11, name: "scheme empty", edits: []string{"Origin: ://server.example.com"}, status: 403, says: []string{"no serialised origin"}},
	{number: 11, name: "no scheme", edits: []string{"Origin: server.example.com"}, status: 403, says: []string{"no serialised origin"}},
	{number: 11, name: "one slash", edits: []string{"Origin: https:/server.example.com"}, status: 403, says: []string{"no serialised origin"}},
	{number: 11, name: "no host", edits: []string{"Origin: https://"}, status: 403, says: []string{"no serialised origin"}},
	{number: 11, name: "port empty", edits: []string{"Origin: https://server.example.com:"}, status: 403, says: []string{"no serialised origin"}},
	{number: 11, name: "port with a zero", edits: []string{"Origin: https://server.example.com:0443"}, status: 403, says: []string{"no serialised origin"}},
	{number: 11, name: "port with a sign", edits: []string{"Origin: https://server.example.com:+443"}, status: 403, says: []string{"no serialised origin"}},
	{number: 11, name: "port too large", edits: []string{"Origin: https://server.example.com:65979"}, status: 403, says: []string{"no serialised origin"}},
	{number: 11, name: "IPv6 without brackets", edits: []string{"Origin: https://::1"}, status: 403, says: []string{"no serialised origin"}},
	{number: 11, name: "IPv6 without the end", edits: []string{"Origin: https://[::1"}, status: 403, says: []string{"no serialised origin"}},
	{number: 11, name: "brackets around a name", edits: from("https://[h.example]", "[h.example]"), status: 403, says: []string{"no serialised origin"}},
	{number: 11, name: "Host that is no authority", edits: from("https://h.example", "h.example:x"), status: 403},
	{number: 11, name: "markup", edits: []string{"Origin: <script>alert(1)</script>"}, status: 403},
	{number: 11, name: "bytes above ASCII", edits: []string{"Origin: https://server.\x80\xff\xc3.com"}, status: 403},
	{number: 11, name: "capital in Unicode alone", edits: from("https://\u212a.example", "k.example"), status: 403, says: []string{"no serialised origin"}},
	{number: 11, name: "long", edits: []string{"Origin: https://" + strings.Repeat("a", 50000)}, status: 403},
}

func trust(origins ...string) *websocket.Options { return &websocket.Options{TrustedOrigins: origins} }

var trustedRows = []handshakeRow{
	{number: accepted, name: "trusted", opts: trust("https://a.example"), edits: []string{"Origin: https://a.example"}},
	{number: accepted, name: "trusted, the second", opts: trust("https://a.example", "http://b.example:3000"), edits: []string{"Origin: http://b.example:3000"}},
	{number: accepted, name: "trusted, and the own", opts: trust("https://a.example"), edits: []string{"Origin: https://server.example.com"}},
	{number: accepted, name: "trusted, capitals", opts: trust("HTTPS://A.Example"), edits: []string{"Origin: https://a.EXAMPLE"}},
	{number: accepted, name: "trusted, default port", opts: trust("https://a.example:443"), edits: []string{"Origin: https://a.example"}},
	{number: accepted, name: "trusted, slash", opts: trust("https://a.example/"), edits: []string{"Origin: https://a.example"}},
	{number: accepted, name: "trusted, http to TLS", opts: trust("http://server.example.com"), edits: []string{"Origin: http://server.example.com"}},
	{number: accepted, name: "trusted, null", opts: trust("null"), edits: []string{"Origin: null"}},
	{number: accepted, name: "trusted, file", opts: trust("file://"), edits: []string{"Origin: file://"}},
	{number: accepted, name: "trusted, webview", opts: trust("vscode-webview://0123abc"), edits: []string{"Origin: vscode-webview://0123abc"}},
	{number: accepted, name: "trusted, tauri", opts: trust("tauri://localhost"), edits: []string{"Origin: tauri://localhost"}},
	{number: accepted, name: "trusted, IPv6", opts: trust("http://[::1]:3000"), edits: []string{"Origin: http://[::1]:3000"}},
	{number: accepted, name: "trusted, one label", opts: trust("https://*.b.example"), edits: []string{"Origin: https://a.b.example"}},
	{number: accepted, name: "trusted, labels", opts: trust("https://*.b.example"), edits: []string{"Origin: https://c.d.a.B.example"}},
	{number: accepted, name: "trusted, label and port", opts: trust("https://*.b.example:8443"), edits: []string{"Origin: https://a.b.example:8443"}},
	{number: accepted, name: "any", opts: &websocket.Options{InsecureAllowAnyOrigin: true}, edits: []string{"Origin: https://evil.example"}},
	{number: accepted, name: "any, null", opts: &websocket.Options{InsecureAllowAnyOrigin: true}, edits: []string{"Origin: null"}},
	{number: accepted, name: "any, http to TLS", opts: &websocket.Options{InsecureAllowAnyOrigin: true}, edits: []string{"Origin: http://server.example.com"}},

	{number: 11, name: "trusted with another scheme", opts: trust("https://a.example"), edits: []string{"Origin: http://a.example"}, status: 403, says: []string{"trusted"}},
	{number: 11, name: "trusted with another scheme and its port", opts: trust("https://a.example"), edits: []string{"Origin: http://a.example:443"}, status: 403},
	{number: 11, name: "trusted with another port", opts: trust("https://a.example"), edits: []string{"Origin: https://a.example:8443"}, status: 403},
	{number: 11, name: "trusted with a port, without", opts: trust("https://a.example:8443"), edits: []string{"Origin: https://a.example"}, status: 403},
	{number: 11, name: "subdomain of a trusted one", opts: trust("https://b.example"), edits: []string{"Origin: https://a.b.example"}, status: 403},
	{number: 11, name: "bare domain", opts: trust("https://*.b.example"), edits: []string{"Origin: https://b.example"}, status: 403},
	{number: 11, name: "end of a label", opts: trust("https://*.b.example"), edits: []string{"Origin: https://evilb.example"}, status: 403},
	{number: 11, name: "label in front", opts: trust("https://*.b.example"), edits: []string{"Origin: https://a.b.example.evil.example"}, status: 403},
	{number: 11, name: "label without a name", opts: trust("https://*.b.example"), edits: []string{"Origin: https://.b.example"}, status: 403},
	{number: 11, name: "inner label without a name", opts: trust("https://*.b.example"), edits: []string{"Origin: https://a..b.example"}, status: 403},
	{number: 11, name: "first label without a name", opts: trust("https://*.b.example"), edits: []string{"Origin: https://.a.b.example"}, status: 403},
	{number: 11, name: "label with another scheme", opts: trust("https://*.b.example"), edits: []string{"Origin: http://a.b.example"}, status: 403},
	{number: 11, name: "label with another port", opts: trust("https://*.b.example"), edits: []string{"Origin: https://a.b.example:8443"}, status: 403},
	{number: 11, name: "asterisk itself", opts: trust("https://*.b.example"), edits: []string{"Origin: https://*"}, status: 403},
	{number: 11, name: "null is not every scheme", opts: trust("null"), edits: []string{"Origin: file://"}, status: 403},
	{number: 11, name: "a scheme is not null", opts: trust("file://"), edits: []string{"Origin: null"}, status: 403},
	{number: 11, name: "trusted scheme, other host", opts: trust("tauri://localhost"), edits: []string{"Origin: tauri://evil"}, status: 403},
	{number: 11, name: "trusted and own on two lines", opts: trust("https://a.example"), edits: []string{"Origin: https://a.example", "+Origin: https://server.example.com"}, status: 403},
}

func TestOrigin(t *testing.T) { runRows(t, originRows) }

func TestTrustedOrigins(t *testing.T) { runRows(t, trustedRows) }

// badOrigins are no elements of Options.TrustedOrigins.
var badOrigins = []string{
	"", "*", "a.example", "*.a.example", "//a.example", "https:", "https://", "https:a.example", " https://a.example", "https://a.example ",
	"https://*", "https://*.", "https://*:443", "https://*./", "https://*a.example", "https://a.*", "https://a.*.example", "https://*.*.example",
	"https://a.example:*", "https://a.example/*", "*://a.example", "https://*.:443", "foo://*.", "https://*.[::1]",
	"https://a.example/chat", "https://a.example//", "https://a.example?", "https://a.example#x", "https://u@a.example", "https://a.example\\",
	"https://a.example:", "https://a.example:99999", "https://a.example:https", "https://a.example,https://b.example",
	"https://a example", "https://\u00e4.example", "https://[", "https://[]", "https://[::1", "https://[::1]x", "https://[::g]", "https://[1.2.3.4]", "https://[fe80::1%25eth0]",
	"NULL", "null/", "1a://b", "a_b://c", "https://a.example\x00",
}

// A mistake shows at every request, one without an Origin as well, and when the
// options are validated.
func TestTrustedOriginsMistakes(t *testing.T) {
	for _, bad := range badOrigins {
		if err := trust("https://fine.example", bad).Validate(); err == nil || !strings.Contains(err.Error(), quoted(bad)) {
			t.Errorf("Validate = %v, want an error with %q", err, bad)
		}
		for _, edits := range [][]string{nil, notHandshake, {"Origin: https://a.example"}} {
			row := handshakeRow{number: 0, name: bad, status: http.StatusInternalServerError, logs: []string{"trusted origin " + quoted(bad)}}
			a := answerTo(t, wstest.Request(edits...), trust("https://fine.example", bad))
			row.checkAnswer(t, a)
		}
	}
	if a := answerTo(t, wstest.Request(), &websocket.Options{TrustedOrigins: []string{}}); a.status != 101 {
		t.Errorf("no origin in the list: got %d, want 101", a.status)
	}
}

// TLS that ends in a proxy is no TLS to the handler; one that ends in the server
// is, whichever listener it came through.
func TestOriginTLSState(t *testing.T) {
	for _, tt := range []struct {
		origin string
		tls    *tls.ConnectionState
		want   int
	}{
		{"http://server.example.com", nil, 101},
		{"http://server.example.com", new(tls.ConnectionState), 403},
		{"https://server.example.com", nil, 101},
		{"https://server.example.com", new(tls.ConnectionState), 101},
	} {
		r := wstest.Request("Origin: " + tt.origin)
		r.TLS = tt.tls
		if a := answerTo(t, r, nil); a.status != tt.want {
			t.Errorf("Origin %s, TLS %t: got %d, want %d", tt.origin, tt.tls != nil, a.status, tt.want)
		}
	}
}
