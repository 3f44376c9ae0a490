package websocket

import (
	"net/url"
	"strings"
	"testing"
)

var origins = []struct {
	in   string
	want origin
	ok   bool
}{
	{"null", origin{"null", "", ""}, true},
	{"https://a.example", origin{"https", "a.example", "443"}, true},
	{"https://a.example/", origin{"https", "a.example", "443"}, true},
	{"http://a.example", origin{"http", "a.example", "80"}, true},
	{"HTTP://A.Example:8080", origin{"http", "a.example", "8080"}, true},
	{"https://a.example:0", origin{"https", "a.example", "0"}, true},
	{"https://a.example:65535", origin{"https", "a.example", "65535"}, true},
	{"http://127.0.0.1", origin{"http", "127.0.0.1", "80"}, true},
	{"http://[::1]", origin{"http", "[::1]", "80"}, true},
	{"http://[2001:DB8::A]:8080", origin{"http", "[2001:db8::a]", "8080"}, true},
	{"http://[::ffff:1.2.3.4]", origin{"http", "[::ffff:1.2.3.4]", "80"}, true},
	{"http://a_b", origin{"http", "a_b", "80"}, true},
	{"file://", origin{"file", "", ""}, true},
	{"file:///", origin{"file", "", ""}, true},
	{"vscode-webview://0a", origin{"vscode-webview", "0a", ""}, true},
	{"moz-extension://0a:1", origin{"moz-extension", "0a", "1"}, true},
	{"a+b.c-1://d", origin{"a+b.c-1", "d", ""}, true},

	{"", origin{}, false},
	{"NULL", origin{}, false},
	{"a.example", origin{}, false},
	{"://a.example", origin{}, false},
	{"1a://b", origin{}, false},
	{"a_b://c", origin{}, false},
	{"a b://c", origin{}, false},
	{"http://", origin{}, false},
	{"http:///", origin{}, false},
	{"https://:443", origin{}, false},
	{"file://:1", origin{}, false},
	{"http://a//", origin{}, false},
	{"http://a/b", origin{}, false},
	{"http://a?", origin{}, false},
	{"http://a#", origin{}, false},
	{"http://u@a", origin{}, false},
	{"http://u:p@a", origin{}, false},
	{"http://a b", origin{}, false},
	{"http://a\x7f", origin{}, false},
	{"http://\u00e4", origin{}, false},
	{"http://\xff", origin{}, false},
	{"http://a%62", origin{}, false},
	{"http://a\\", origin{}, false},
	{"http://a:", origin{}, false},
	{"http://a:b", origin{}, false},
	{"http://a:-1", origin{}, false},
	{"http://a:+1", origin{}, false},
	{"http://a:01", origin{}, false},
	{"http://a:65536", origin{}, false},
	{"http://a:1:2", origin{}, false},
	{"http://::1", origin{}, false},
	{"http://[]", origin{}, false},
	{"http://[", origin{}, false},
	{"http://]", origin{}, false},
	{"http://[::1", origin{}, false},
	{"http://::1]", origin{}, false},
	{"http://[::1]a", origin{}, false},
	{"http://[::1]:", origin{}, false},
	{"http://a[::1]", origin{}, false},
	{"http://[:]", origin{}, false},
	{"http://[1:2:3]", origin{}, false},
	{"http://[::1%25lo]", origin{}, false},
	{"http://[::1%lo]", origin{}, false},
	{"http://[1.2.3.4]", origin{}, false},
	{"http://[a]", origin{}, false},
	{"http://[fe80::1:80", origin{}, false},
	// Where a scheme has no default port, no host is a host.
	{"foo://a:b", origin{}, false},
	{"foo://a b", origin{}, false},
	{"foo://[a]", origin{}, false},
	{"foo://[::1", origin{}, false},
}

func TestParseOrigin(t *testing.T) {
	for _, tt := range origins {
		var got origin
		if ok := got.parse(tt.in); got != tt.want || ok != tt.ok {
			t.Errorf("parse(%q) = %+v, %t, want %+v, %t", tt.in, got, ok, tt.want, tt.ok)
		}
	}
}

// FuzzOrigin holds what is taken for an origin against net/url, which is not as
// strict, but must not find anything else in it.
func FuzzOrigin(f *testing.F) {
	for _, tt := range origins {
		f.Add(tt.in)
		f.Add(strings.Replace(tt.in, "://", "://*.", 1))
	}
	f.Fuzz(func(t *testing.T, s string) {
		var o origin
		if o.parse(s) {
			checkAgainstURL(t, s, o)
		}
		var p originPattern
		if !p.parse(s) {
			return
		}
		plain := strings.Replace(s, "://*.", "://", 1)
		ok := o.parse(plain)
		if !ok || o != p.origin || strings.Contains(plain, "*") {
			t.Fatalf("pattern %q accepted as %+v, but %q parses to %+v, %t", s, p, plain, o, ok)
		}
		if p.subdomains != (plain != s) || p.subdomains == p.matches(&o) {
			t.Fatalf("pattern %q is %+v, and matches(%+v) is %t", s, p, o, p.matches(&o))
		}
		o.host = "x." + o.host
		if p.subdomains != p.matches(&o) {
			t.Fatalf("pattern %q is %+v, and matches(%+v) is %t", s, p, o, p.matches(&o))
		}
	})
}

func checkAgainstURL(t *testing.T, s string, o origin) {
	t.Helper()
	if s == "null" {
		if o != (origin{scheme: "null"}) {
			t.Fatalf("null parses to %+v", o)
		}
		return
	}
	u, err := url.Parse(s)
	if err != nil {
		t.Fatalf("%q is an origin, %+v, and no URL: %v", s, o, err)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if want := (origin{u.Scheme, host, port}); o != want {
		t.Fatalf("%q: parsed to %+v, the URL has %+v", s, o, want)
	}
	if u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "" {
		t.Fatalf("%q is an origin, %+v, and a URL with more than that: %+v", s, o, u)
	}
	again := o.scheme + "://" + o.host
	if o.port != "" {
		again += ":" + o.port
	}
	var got origin
	if ok := got.parse(again); !ok || got != o {
		t.Fatalf("%q: %q parses to %+v, %t, want %+v", s, again, got, ok, o)
	}
}
