package wstest

import (
	"bufio"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func TestHandshake(t *testing.T) {
	const valid = "GET /chat HTTP/1.1\r\n" +
		"Host: server.example.com\r\n" +
		"Upgrade: websocket\r\n" +
		"Connection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Sec-WebSocket-Version: 13\r\n\r\n"
	replace := strings.NewReplacer
	for _, tt := range []struct {
		name  string
		edits []string
		want  string
	}{
		{"valid", nil, valid},
		{"request line", []string{"HTTP/1.0", "/x?y", "POST"}, replace("GET /chat HTTP/1.1", "POST /x?y HTTP/1.0").Replace(valid)},
		{"absolute form", []string{"http://h/x"}, replace("/chat", "http://h/x").Replace(valid)},
		{"field replaced", []string{"upgrade:h2c"}, replace("Upgrade: websocket\r\n", "", "\r\n\r\n", "\r\nupgrade:h2c\r\n\r\n").Replace(valid)},
		{"field added", []string{"Origin: http://h:1"}, replace("\r\n\r\n", "\r\nOrigin: http://h:1\r\n\r\n").Replace(valid)},
		{"line added", []string{"+host: b"}, replace("\r\n\r\n", "\r\nhost: b\r\n\r\n").Replace(valid)},
		{"two lines replaced by one", []string{"+Host: b", "HOST: c"}, replace("Host: server.example.com\r\n", "", "\r\n\r\n", "\r\nHOST: c\r\n\r\n").Replace(valid)},
		{"field dropped", []string{"-HOST"}, replace("Host: server.example.com\r\n", "").Replace(valid)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Handshake(tt.edits...); got != tt.want {
				t.Errorf("Handshake(%q) = %q\nwant %q", tt.edits, got, tt.want)
			}
		})
	}
}

// A Request has to be what net/http would have made of the same text; otherwise
// the tests that use it prove nothing about servers.
func TestRequest(t *testing.T) {
	for _, edits := range [][]string{
		nil,
		{"POST", "/x?y", "HTTP/1.0"},
		{"http://h:1/x"},
		{"-Host"},
		{"Origin:  http://h \t", "+origin: null"},
		{"sec-websocket-protocol:a"},
		{"Content-Length: 5"},
		{"Transfer-Encoding: chunked"},
	} {
		want, err := http.ReadRequest(bufio.NewReader(strings.NewReader(Handshake(edits...))))
		if err != nil {
			t.Fatalf("%q: %v", edits, err)
		}
		got := Request(edits...)
		type request struct {
			method, uri, path, proto string
			major, minor             int
			host                     string
			header                   http.Header
			length                   int64
			coding                   []string
		}
		part := func(r *http.Request) request {
			return request{r.Method, r.RequestURI, r.URL.Path, r.Proto, r.ProtoMajor, r.ProtoMinor, r.Host, r.Header, r.ContentLength, r.TransferEncoding}
		}
		if !reflect.DeepEqual(part(got), part(want)) {
			t.Errorf("Request(%q)\n got %+v\nwant %+v", edits, part(got), part(want))
		}
	}
}

func TestRequestPanics(t *testing.T) {
	for _, edit := range []string{"A: b\r\nC: d", "A\n", "HTTP/x", "/%", "Content-Length: x"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Request(%q) did not panic", edit)
				}
			}()
			Request(edit)
		}()
	}
}
