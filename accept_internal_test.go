package websocket

import (
	"encoding/base64"
	"testing"
)

// TestIsKey: a key is what encoding/base64 decodes to 16 bytes, and nothing that it
// overlooks, such as the end of a line.
func TestIsKey(t *testing.T) {
	check := func(s string) {
		t.Helper()
		decoded, err := base64.StdEncoding.DecodeString(s)
		if want := err == nil && len(decoded) == 16 && len(s) == 24; isKey(s) != want {
			t.Errorf("isKey(%q) = %t, want %t", s, !want, want)
		}
	}
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	for i := range len(key) {
		check(key[:i])
		check(key[i:])
		check(key[:i] + "\n" + key[i:])
		for c := range 256 {
			check(key[:i] + string([]byte{byte(c)}) + key[i+1:])
		}
	}
	check(key)
	check(key + key)
	check("dGhlIHNhbXBsZSBub25jZQ=\n")
	check("dGhlIHNhbXBsZSBub25j\nZQ==")
}
