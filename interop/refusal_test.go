package interop

import (
	"errors"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	gorilla "github.com/gorilla/websocket"
)

// TestRefusals runs nginx with each mistake in the table of docs/proxies.md, and
// reads the answers that the table promises to a browser's handshake.
func TestRefusals(t *testing.T) {
	t.Parallel()
	server := startExample(t, "echo")
	for _, row := range mistakes(t) {
		t.Run(row.name, func(t *testing.T) {
			front := nginx.start(t, server.url.Host, row.edits...)
			url := "ws://" + front.ws + "/"
			status, text := handshake(t, url, http.Header{"Origin": {pageURL(url)}})
			if status != row.status {
				t.Errorf("status %d, want %d", status, row.status)
			}
			there := strings.NewReplacer("127.0.0.1:8080", server.url.Host, "example.com", "127.0.0.1")
			for _, words := range row.words {
				if words = there.Replace(words); !strings.Contains(text, words) {
					t.Errorf("the answer is %q, want it to say %q", text, words)
				}
			}
			if status != http.StatusForbidden {
				return
			}
			if status, text := handshake(t, url, nil); status != http.StatusSwitchingProtocols {
				t.Errorf("without an Origin: %d %q", status, text)
			}
		})
	}
}

// mistake is a row of the table.
type mistake struct {
	name   string
	edits  []string // for (*proxy).start
	status int
	words  []string // in the answer
}

// mistakes reads the table: rows begin with "without" and lines that are left
// out, or with "with" one "in place of" another.
func mistakes(t *testing.T) (rows []mistake) {
	t.Helper()
	text, err := os.ReadFile("../docs/proxies.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\| (with.*) \| (\d+) \| (.*) \|$`).FindAllStringSubmatch(string(text), -1) {
		row := mistake{name: strings.ReplaceAll(m[1], "`", ""), words: inCode(m[3])}
		row.status, _ = strconv.Atoi(m[2]) // digits
		lines := inCode(m[1])
		if strings.HasPrefix(m[1], "without ") {
			for _, line := range lines {
				row.edits = append(row.edits, line, "")
			}
		} else {
			if len(lines) != 2 || !strings.Contains(m[1], " in place of ") {
				t.Fatalf("a row that says neither without what, nor with what in place of what: %s", m[0])
			}
			row.edits = []string{lines[1], lines[0]}
		}
		if len(row.edits) == 0 || len(row.words) == 0 {
			t.Fatalf("a row that says too little: %s", m[0])
		}
		rows = append(rows, row)
	}
	if len(rows) < 6 {
		t.Fatalf("docs/proxies.md has %d rows of mistakes", len(rows))
	}
	return rows
}

// inCode returns what stands between backticks.
func inCode(s string) (spans []string) {
	for i, span := range strings.Split(s, "`") {
		if i%2 == 1 {
			spans = append(spans, span)
		}
	}
	return spans
}

// handshake returns status and text of the answer to an opening handshake.
func handshake(t *testing.T, url string, header http.Header) (status int, text string) {
	t.Helper()
	d := gorilla.Dialer{HandshakeTimeout: patience}
	conn, resp, err := d.Dial(url, header)
	if err == nil {
		conn.Close()
		return resp.StatusCode, ""
	}
	if !errors.Is(err, gorilla.ErrBadHandshake) {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body) // the client has read all of it, or its first KiB
	return resp.StatusCode, string(body)
}

// TestReadme: the few lines about nginx in README.md are in docs/proxies.md too,
// where they are run.
func TestReadme(t *testing.T) {
	for _, block := range fences(t, "../README.md", "nginx") {
		long := fences(t, "../docs/proxies.md", "nginx")[0]
		if !strings.Contains(squeeze(long), squeeze(block)) {
			t.Errorf("docs/proxies.md does not have\n%s", block)
		}
	}
}

// squeeze makes white space the same everywhere.
func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// TestDefaultPort: nginx's $host is enough where the URL has no port.
func TestDefaultPort(t *testing.T) {
	t.Parallel()
	front := nginx.start(t, startExample(t, "echo").url.Host, "$http_host", "$host")
	header := http.Header{"Host": {"example.com"}, "Origin": {"https://example.com"}}
	if status, text := handshake(t, "ws://"+front.ws+"/", header); status != http.StatusSwitchingProtocols {
		t.Errorf("%d %q", status, text)
	}
}

// TestChangedHost: what holds for nginx holds for others.
func TestChangedHost(t *testing.T) {
	t.Parallel()
	front := haproxy.start(t, startExample(t, "echo").url.Host, "server app1 ", "http-request set-header Host app.internal\n    server app1 ")
	url := "ws://" + front.ws + "/"
	status, text := handshake(t, url, http.Header{"Origin": {pageURL(url)}})
	if status != http.StatusForbidden || !strings.Contains(text, `"http://app.internal" by the Host field`) {
		t.Errorf("%d %q", status, text)
	}
}
