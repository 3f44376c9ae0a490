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

const (
	keySize    = 16 // bytes of a decoded key
	keyEncoded = 24 // characters of an encoded one
)

// AcceptKey returns the value of Sec-WebSocket-Accept that answers key, the
// value of Sec-WebSocket-Key: the base64 of the SHA-1 of the key and a fixed
// GUID (RFC 6455, section 4.2.2). It does not check the key.
func AcceptKey(key string) string { return string(appendAccept(nil, key)) }

// appendAccept appends the AcceptKey of key to b.
func appendAccept(b []byte, key string) []byte {
	whole := append(make([]byte, 0, keyEncoded+len(acceptGUID)), key...)
	whole = append(whole, acceptGUID...)
	var sum [sha1.Size]byte
	// Nothing is kept secret or authenticated by this hash; it shows that the
	// server has understood the request. So a mode that allows approved
	// cryptography only need not stop it.
	fips140.WithoutEnforcement(func() { sum = sha1.Sum(whole) })
	return base64.StdEncoding.AppendEncode(b, sum[:])
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
	// "a base64-encoded (see Section 4 of [RFC4648]) value that, when decoded,
	// is 16 bytes in length" (section 4.2.1)
	key := field.Trim(lines[0])
	decoded, err := base64.StdEncoding.AppendDecode(make([]byte, 0, keyEncoded), []byte(key))
	switch {
	case err != nil:
		return "", Reject(http.StatusBadRequest, "Sec-WebSocket-Key is not base64; it must be the base64 of 16 bytes")
	case len(decoded) != keySize || len(key) != keyEncoded:
		return "", Reject(http.StatusBadRequest, fmt.Sprintf("Sec-WebSocket-Key decodes to %d bytes; it must be the base64 of 16", len(decoded)))
	}
	return key, nil
}
