package websocket

import (
	"net/http"

	"github.com/airlock-go/websocket/internal/field"
)

// checkExtensions refuses a malformed Sec-WebSocket-Extensions. What is well
// formed is declined by not answering it: "Extensions not listed by the client
// [...] MUST NOT be" answered, and of those listed the server may take none
// (RFC 6455, section 9.1).
func checkExtensions(r *http.Request) *HandshakeError {
	lines, ok := r.Header[headerExtensions]
	if !ok {
		return nil
	}
	if _, err := field.AppendExtensions(nil, lines); err != nil {
		return Reject(http.StatusBadRequest, "Sec-WebSocket-Extensions is malformed: "+err.Error())
	}
	return nil
}
