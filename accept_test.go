package websocket_test

import (
	"crypto/fips140"
	"crypto/sha1"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/internal/wstest"
)

const keyField = "Sec-WebSocket-Key: "

var keyRows = []handshakeRow{
	{number: accepted, name: "key in white space", edits: []string{keyField + "\t" + wstest.HandshakeKey + " \t"}},
	{number: accepted, name: "key of zeros", edits: []string{keyField + "AAAAAAAAAAAAAAAAAAAAAA=="}, accept: "ICX+Yqv66kxgM0FcWaLWlFLwTAI="},
	{number: accepted, name: "key with all the alphabet has", edits: []string{keyField + "+/+/+/+/+/+/+/+/+/+/+w=="}, accept: "M0DUs3om0SqzerhOhYSMM7WQuBQ="},
	// The last character carries four bits that belong to no byte.
	{number: accepted, name: "key with trailing bits", edits: []string{keyField + "dGhlIHNhbXBsZSBub25jZR=="}, accept: "Zgw8jYXtqX5qJr7MJ1Q/MqzeSRI="},

	{number: 10, name: "missing", edits: []string{"-Sec-WebSocket-Key"}, status: 400, says: []string{"Sec-WebSocket-Key", "missing", "proxies", "HTTP/2"}},
	{number: 10, name: "twice the same", edits: []string{"+" + keyField + wstest.HandshakeKey}, status: 400, says: []string{"Sec-WebSocket-Key", "more than once"}},
	{number: 10, name: "two", edits: []string{"+" + keyField + "AAAAAAAAAAAAAAAAAAAAAA=="}, status: 400, says: []string{"more than once"}},
	{number: 10, name: "one and an empty one", edits: []string{"+" + keyField}, status: 400, says: []string{"more than once"}},
	{number: 10, name: "list", edits: []string{keyField + wstest.HandshakeKey + ", " + wstest.HandshakeKey}, status: 400, says: []string{"base64"}},
	{number: 10, name: "0 bytes", edits: []string{keyField}, status: 400, says: []string{"Sec-WebSocket-Key", "decodes to 0 bytes", "16"}},
	{number: 10, name: "3 bytes", edits: []string{keyField + "AAEC"}, status: 400, says: []string{"decodes to 3 bytes"}},
	{number: 10, name: "15 bytes", edits: []string{keyField + "AAECAwQFBgcICQoLDA0O"}, status: 400, says: []string{"decodes to 15 bytes"}},
	{number: 10, name: "17 bytes in 24 characters", edits: []string{keyField + "AAECAwQFBgcICQoLDA0ODxA="}, status: 400, says: []string{"decodes to 17 bytes"}},
	{number: 10, name: "18 bytes in 24 characters", edits: []string{keyField + "AAECAwQFBgcICQoLDA0ODxAR"}, status: 400, says: []string{"decodes to 18 bytes"}},
	{number: 10, name: "32 bytes", edits: []string{keyField + "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}, status: 400, says: []string{"decodes to 32 bytes"}},
	{number: 10, name: "60000 bytes", edits: []string{keyField + strings.Repeat("AAAA", 20000)}, status: 400, says: []string{"decodes to 60000 bytes"}},
	{number: 10, name: "no padding", edits: []string{keyField + "dGhlIHNhbXBsZSBub25jZQ"}, status: 400, says: []string{"base64"}},
	{number: 10, name: "half the padding", edits: []string{keyField + "dGhlIHNhbXBsZSBub25jZQ="}, status: 400, says: []string{"base64"}},
	{number: 10, name: "alphabet of URLs", edits: []string{keyField + "-__7__v_-__7__v_-__7_w=="}, status: 400, says: []string{"base64"}},
	{number: 10, name: "24 characters of none", edits: []string{keyField + "the sample nonce is this"}, status: 400, says: []string{"base64"}},
	{number: 10, name: "space within", edits: []string{keyField + "dGhlIHNhbXBs ZSBub25jZQ=="}, status: 400, says: []string{"base64"}},
	{number: 10, name: "bytes above ASCII", edits: []string{keyField + strings.Repeat("\xff", 24)}, status: 400, says: []string{"base64"}},
	{number: 10, name: "60001 characters of none", edits: []string{keyField + strings.Repeat("<", 60001)}, status: 400, says: []string{"base64"}},
}

func TestKey(t *testing.T) { runRows(t, keyRows) }

// A field with line breaks does not come through net/http, but base64.Decode
// passes over them: the check must not count them as part of the key.
func TestKeyLineBreaks(t *testing.T) {
	for _, key := range []string{
		"dGhlIHNhbXBs\r\nZSBub25jZQ==",
		"dGhlIHNhbXBsZSBub25j\nZQ==\n",
		"dGhlIHNhbXBsZSBu\n\n\n\n\n\n\n\n",
	} {
		r := wstest.Request()
		r.Header["Sec-Websocket-Key"] = []string{key}
		a := answerTo(t, r, nil)
		if a.status != 400 || a.hijacked > 0 {
			t.Errorf("key %q: got status %d (hijacked %d times), want 400", key, a.status, a.hijacked)
		}
	}
}

func TestAcceptKey(t *testing.T) {
	for _, tt := range []struct{ key, want string }{
		{"dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}, // RFC 6455, section 1.3
		// From another implementation of SHA-1.
		{"AAAAAAAAAAAAAAAAAAAAAA==", "ICX+Yqv66kxgM0FcWaLWlFLwTAI="},
		{"", "Kfh9QIsMVZcl6xEPYxPHzW8SZ8w="},
	} {
		if got := websocket.AcceptKey(tt.key); got != tt.want {
			t.Errorf("AcceptKey(%q) = %q, want %q", tt.key, got, tt.want)
		}
	}
}

const fipsChild = "AIRLOCK_TEST_FIPS"

// Where only approved cryptography may be used, SHA-1 panics, except in the
// handshake. GODEBUG counts at the start of a program, so the test binary is
// run once more.
func TestHandshakeFIPS(t *testing.T) {
	if os.Getenv(fipsChild) != "" {
		if !fips140.Enforced() || !panics(func() { sha1.Sum(nil) }) {
			t.Fatal("the mode is not in force, so this proves nothing")
		}
		runRows(t, []handshakeRow{{number: accepted, name: "FIPS 140 only"}})
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.v", "-test.run=^TestHandshakeFIPS$/^plain$|^TestHandshakeFIPS$/^middleware$")
	cmd.Env = append(os.Environ(), fipsChild+"=1", "GORACE=atexit_sleep_ms=0", "GODEBUG=fips140=only")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestHandshakeFIPS/plain/") {
		t.Errorf("with %s: %v\n%s", cmd.Env[len(cmd.Env)-1], err, out)
	}
}

func panics(f func()) (panicked bool) {
	defer func() { panicked = recover() != nil }()
	f()
	return false
}
