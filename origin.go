package websocket

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/airlock-go/websocket/internal/field"
)

// origin is a serialised origin taken apart (RFC 6454, section 6.2): scheme and
// host in lower case, the port filled in where the scheme has a default. The
// opaque origin is the scheme "null" alone.
type origin struct {
	scheme, host, port string
}

// parse takes a serialised origin apart, and reports whether it is one. A lone trailing
// slash, which some clients send, is ignored; anything else behind the authority is not
// an origin.
func (o *origin) parse(s string) bool {
	if s == "null" {
		*o = origin{scheme: s}
		return true
	}
	scheme, authority, ok := strings.Cut(s, "://")
	return ok && o.join(scheme, authority)
}

// join makes an origin of what stands before "://" and behind it.
func (o *origin) join(scheme, authority string) bool {
	if !isScheme(scheme) {
		return false
	}
	scheme = strings.ToLower(scheme)
	host, port, ok := splitAuthority(strings.TrimSuffix(authority, "/"))
	byDefault := defaultPort(scheme)
	if !ok || host == "" && (byDefault != "" || port != "") {
		return false
	}
	if port == "" {
		port = byDefault
	}
	*o = origin{scheme, host, port}
	return true
}

// splitAuthority takes host and port of an origin or a Host field apart (RFC
// 3986, section 3.2), the host in lower case. User information is refused.
func splitAuthority(s string) (host, port string, ok bool) {
	host = s
	if i := strings.LastIndexByte(s, ':'); i >= 0 && i > strings.LastIndexByte(s, ']') {
		host, port = s[:i], s[i+1:]
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
			return "", "", false
		}
	}
	if name, bracketed := strings.CutPrefix(host, "["); bracketed {
		// An IPv6 address; a zone means nothing to anybody but its own host.
		name, ok = strings.CutSuffix(name, "]")
		addr, err := netip.ParseAddr(name)
		if !ok || err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", "", false
		}
	} else if !isHost(host) {
		return "", "", false
	}
	return strings.ToLower(host), port, true
}

// isHost reports whether s has only characters that may stand in a registered name or
// an IPv4 address as browsers serialise them.
func isHost(s string) bool {
	for i := range len(s) {
		if !hostChars[s[i]] {
			return false
		}
	}
	return true
}

var hostChars = func() (set [256]bool) {
	for c := '!'; c <= '~'; c++ {
		set[c] = !strings.ContainsRune("\"#%/:<>?@[\\]^`{|}", c)
	}
	return set
}()

// isScheme reports whether s is the scheme of a URI (RFC 3986, section 3.1).
func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if c >= 'a' && c <= 'z' {
			continue
		}
		if i == 0 || !strings.ContainsRune("+-.0123456789", rune(s[i])) {
			return false
		}
	}
	return s != ""
}

func defaultPort(scheme string) string {
	switch scheme {
	case "http":
		return "80"
	case "https":
		return "443"
	}
	return ""
}

// originPattern is one of Options.TrustedOrigins.
type originPattern struct {
	origin
	subdomains bool // the host is what follows "*."
}

// parse takes an element of Options.TrustedOrigins apart, and reports whether it is
// one.
func (p *originPattern) parse(s string) bool {
	scheme, authority, ok := strings.Cut(s, "://")
	if !ok {
		return p.origin.parse(s) // perhaps null
	}
	authority, p.subdomains = strings.CutPrefix(authority, "*.")
	if !p.join(scheme, authority) || strings.Contains(p.host, "*") {
		return false
	}
	return !p.subdomains || p.host != "" && p.host[0] != '['
}

func patternError(s string) error {
	if s == "*" {
		return fmt.Errorf("trusted origin %q: to trust every origin, set InsecureAllowAnyOrigin", s)
	}
	return fmt.Errorf("trusted origin %q is no serialised origin: it must be like \"https://app.example.com\", "+
		"\"https://*.example.com\", \"https://example.com:8443\" or \"null\"", s)
}

// matches reports whether o is p, or one of its subdomains: one label or more,
// but never the bare domain.
func (p *originPattern) matches(o *origin) bool {
	if o.scheme != p.scheme || o.port != p.port {
		return false
	}
	if !p.subdomains {
		return o.host == p.host
	}
	labels, ok := strings.CutSuffix(o.host, p.host)
	sub, dotted := strings.CutSuffix(labels, ".")
	if !ok || !dotted {
		return false
	}
	for label := range strings.SplitSeq(sub, ".") {
		if label == "" {
			return false
		}
	}
	return true
}

// checkOrigin reports whether r may come from where it comes from: it has no Origin, or
// its own, or a trusted one (RFC 6455, sections 4.2.2 and 10.2). A request without one
// does not come from a browser, and who can forge it needs no browser. The error is that
// of a trusted origin that is none.
func (o *Options) checkOrigin(r *http.Request) (welcome bool, err error) {
	var from origin
	lines := r.Header[headerOrigin]
	welcome = len(lines) == 0 || o.InsecureAllowAnyOrigin
	if len(lines) == 1 && !welcome {
		welcome = from.parse(field.Trim(lines[0])) && sameOrigin(&from, r)
	}
	for _, s := range o.TrustedOrigins {
		var p originPattern
		if !p.parse(s) {
			return false, patternError(s)
		}
		welcome = welcome || p.matches(&from)
	}
	return welcome, nil
}

// refuseOrigin says why r may not come from where it comes from.
func refuseOrigin(r *http.Request) *HandshakeError {
	lines := r.Header[headerOrigin]
	if len(lines) > 1 {
		return Reject(http.StatusForbidden, "Origin stands more than once")
	}
	from := field.Quote(lines[0])
	if !new(origin).parse(field.Trim(lines[0])) {
		return Reject(http.StatusForbidden, "Origin "+from+" is no serialised origin")
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return Reject(http.StatusForbidden, "Origin "+from+" is neither this server's own, "+
		field.Quote(scheme+"://"+r.Host)+" by the Host field, nor a trusted one; "+
		"a proxy in front must pass Host on with its port (nginx: proxy_set_header Host $http_host)")
}

// sameOrigin reports whether o is where the request was sent to. The ports that
// are not written are those of o's scheme.
//
// A page from plain http is foreign to a server on TLS: whoever injects it
// could ride on the user's cookies. The reverse, an https page and a request in
// the clear, is how every server behind a proxy that ends TLS sees its own
// pages; a browser itself would not send it. No forwarding field is believed.
func sameOrigin(o *origin, r *http.Request) bool {
	if defaultPort(o.scheme) == "" || o.scheme == "http" && r.TLS != nil {
		return false
	}
	host, port, ok := splitAuthority(r.Host)
	if port == "" {
		port = defaultPort(o.scheme)
	}
	return ok && host == o.host && port == o.port
}
