package websocket

import (
	"crypto/fips140"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/http"

	"github.com/airlock-go/websocket/internal/field"
)

// acceptGUID is appended to the key before it is hashed (RFC 6455, section
// 1.3), so that only a server that knows WebSocket answers with the right value.
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// keyEncoded is how many characters the base64 of a key has.
const keyEncoded = 24

// AcceptKey returns the value of Sec-WebSocket-Accept that answers key, the
// value of Sec-WebSocket-Key: the base64 of the SHA-1 of the key and a fixed
// GUID (RFC 6455, section 4.2.2). It does not check the key.
func AcceptKey(key string) string {
	return string(appendAccept(make([]byte, 0, keyEncoded+len(acceptGUID)), key))
}

// appendAccept appends the AcceptKey of key to b.
func appendAccept(b []byte, key string) []byte {
	n := len(b)
	b = append(append(b, key...), acceptGUID...)
	var sum [sha1.Size]byte
	// Nothing is kept secret or authenticated by this hash; it shows that the
	// server has understood the request. So a mode that allows approved
	// cryptography only need not stop it.
	fips140.WithoutEnforcement(func() { sum = sha1.Sum(b[n:]) })
	return base64.StdEncoding.AppendEncode(b[:n], sum[:])
}

// checkKey returns the key of the handshake, or what is wrong with it.
func checkKey(r *http.Request) (string, *HandshakeError) {
	lines := r.Header[headerKey]
	switch len(lines) {
	case 0:
		return "", Reject(http.StatusBadRequest, "Sec-WebSocket-Key is missing; some proxies between HTTP/2 and HTTP/1.1 drop it")
	case 1:
	default:
		// "The |Sec-WebSocket-Key| header field MUST NOT appear more than once
		// in an HTTP request" (section 11.3.1)
		return "", Reject(http.StatusBadRequest, "Sec-WebSocket-Key stands more than once")
	}
	key := field.Trim(lines[0])
	if !isKey(key) {
		return "", refuseKey(key)
	}
	return key, nil
}

// isKey: "a base64-encoded (see Section 4 of [RFC4648]) value that, when decoded,
// is 16 bytes in length" (section 4.2.1). The bits that are left over in the last
// character may be any.
func isKey(s string) bool {
	if len(s) != keyEncoded || s[keyEncoded-2:] != "==" {
		return false
	}
	for i := range keyEncoded - 2 {
		if !base64Chars[s[i]] {
			return false
		}
	}
	return true
}

// base64Chars has a bit set for every character of RFC 4648, table 1.
var base64Chars = func() (set [256]bool) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
		set[c] = true
	}
	return set
}()

// refuseKey says what is wrong with a key.
func refuseKey(key string) *HandshakeError {
	decoded, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		return Reject(http.StatusBadRequest, "Sec-WebSocket-Key is not base64; it must be the base64 of 16 bytes")
	}
	return Reject(http.StatusBadRequest, fmt.Sprintf("Sec-WebSocket-Key decodes to %d bytes; it must be the base64 of 16", len(decoded)))
}
