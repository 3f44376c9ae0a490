package wstest

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// The key of the request that Handshake makes and the Sec-WebSocket-Accept that
// answers it: the example of RFC 6455, section 1.3.
const (
	HandshakeKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	HandshakeAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// HandshakeHost is the Host of the request that Handshake makes.
const HandshakeHost = "server.example.com"

// Handshake returns the text of a valid opening handshake (RFC 6455, section
// 4.1), without an Origin, changed by the edits one after the other:
//
//	"POST", "/path", "HTTP/1.0"   goes into the request line in its place
//	"Name: value"                 is the only line of this field
//	"+Name: value"                is one more line of this field
//	"-Name"                       takes all lines of this field away
//
// A field goes out as it is written in the edit; only to find the lines of the
// same field, names are compared in any case. An edit that would begin another
// line panics.
func Handshake(edits ...string) string {
	h := newHandshake(edits)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\r\n", h.method, h.target, h.proto)
	for _, line := range h.lines {
		b.WriteString(line + "\r\n")
	}
	b.WriteString("\r\n")
	return b.String()
}

// Request returns Handshake(edits...) as a handler gets it from net/http. What
// net/http answers before a handler sees it, such as a request without Host,
// comes through as well, for tests of what Upgrade itself says to it.
func Request(edits ...string) *http.Request {
	h := newHandshake(edits)
	target, err := url.ParseRequestURI(h.target)
	if err != nil {
		panic("wstest: " + err.Error())
	}
	r := &http.Request{
		Method:     h.method,
		URL:        target,
		Proto:      h.proto,
		Header:     make(http.Header),
		Body:       http.NoBody,
		RequestURI: h.target,
		RemoteAddr: "192.0.2.1:1234",
	}
	var ok bool
	if r.ProtoMajor, r.ProtoMinor, ok = http.ParseHTTPVersion(h.proto); !ok {
		panic(fmt.Sprintf("wstest: %q is no version of HTTP", h.proto))
	}
	for _, line := range h.lines {
		name, value, _ := strings.Cut(line, ":")
		r.Header.Add(name, strings.Trim(value, " \t"))
	}
	r.Host = cmp.Or(target.Host, r.Header.Get("Host"))
	r.Header.Del("Host")
	if length := r.Header.Get("Content-Length"); length != "" {
		n, err := strconv.ParseInt(length, 10, 64)
		if err != nil {
			panic("wstest: Content-Length: " + err.Error())
		}
		r.ContentLength = n
	}
	if coding, ok := r.Header["Transfer-Encoding"]; ok {
		r.Header.Del("Transfer-Encoding")
		r.TransferEncoding, r.ContentLength = coding, -1
	}
	return r
}

// handshakeText is a request before it has been put together.
type handshakeText struct {
	method, target, proto string
	lines                 []string // of the header, without CR and LF
}

func newHandshake(edits []string) *handshakeText {
	h := &handshakeText{
		method: http.MethodGet,
		target: "/chat",
		proto:  "HTTP/1.1",
		lines: []string{
			"Host: " + HandshakeHost,
			"Upgrade: websocket",
			"Connection: Upgrade",
			"Sec-WebSocket-Key: " + HandshakeKey,
			"Sec-WebSocket-Version: 13",
		},
	}
	for _, edit := range edits {
		if strings.ContainsAny(edit, "\r\n") {
			panic(fmt.Sprintf("wstest: edit %q has more than one line", edit))
		}
		h.edit(edit)
	}
	return h
}

func (h *handshakeText) edit(edit string) {
	name, _, isField := strings.Cut(edit, ":")
	switch {
	case strings.HasPrefix(edit, "-"):
		h.drop(edit[1:])
	case strings.HasPrefix(edit, "+"):
		h.lines = append(h.lines, edit[1:])
	case strings.HasPrefix(edit, "HTTP/"):
		h.proto = edit
	case strings.HasPrefix(edit, "/"), strings.HasPrefix(edit, "http://"):
		h.target = edit
	case isField:
		h.drop(name)
		h.lines = append(h.lines, edit)
	default:
		h.method = edit
	}
}

func (h *handshakeText) drop(name string) {
	h.lines = slices.DeleteFunc(h.lines, func(line string) bool {
		have, _, _ := strings.Cut(line, ":")
		return strings.EqualFold(have, name)
	})
}
