// Package proto is the rules of RFC 6455 for a stream of frames as two values:
// [Recv] for what a peer sends and [Send] for what goes to it (sections 5.1,
// 5.4, 5.5, 7.4 and 8.1), and of RFC 7692 for which messages are compressed
// (section 6). Neither does I/O, knows a clock or starts a goroutine, so the same
// rules serve every transport, the tests and the fuzzers. The zero value of each
// is the server's end of a new connection.
package proto

import "unicode/utf8"

// Role says which end of the connection this is. A client masks its frames, a
// server does not (RFC 6455, section 5.1).
type Role uint8

// The two roles.
const (
	Server Role = iota
	Client
)

// Close codes that this package gives or tells apart (RFC 6455, section 7.4.1).
const (
	codeProtocolError  = 1002
	codeNoStatus       = 1005
	codeInvalidPayload = 1007
	codePolicy         = 1008
	codeTooBig         = 1009
)

// Violation is something a peer must not send, and the close code that answers
// it. Each kind is one of the variables of this package.
type Violation struct {
	Code uint16
	Text string
}

func (v *Violation) Error() string { return v.Text }

// What a peer can do wrong.
var (
	ErrReservedBit       = &Violation{codeProtocolError, "reserved bit set without an extension"}
	ErrCompressedBit     = &Violation{codeProtocolError, "RSV1 on a frame that does not begin a message"}
	ErrReservedOpcode    = &Violation{codeProtocolError, "reserved opcode"}
	ErrNotMasked         = &Violation{codeProtocolError, "frame from a client is not masked"}
	ErrMasked            = &Violation{codeProtocolError, "frame from a server is masked"}
	ErrControlFragmented = &Violation{codeProtocolError, "control frame is fragmented"}
	ErrControlTooLong    = &Violation{codeProtocolError, "control frame has more than 125 bytes"}
	ErrNothingToContinue = &Violation{codeProtocolError, "continuation frame without a message to continue"}
	ErrMessageUnfinished = &Violation{codeProtocolError, "new message before the last one was finished"}
	ErrLengthNotMinimal  = &Violation{codeProtocolError, "frame length is not in its shortest form"}
	ErrLengthOverflow    = &Violation{codeProtocolError, "frame length has the most significant bit set"}
	ErrCloseTruncated    = &Violation{codeProtocolError, "close frame has half a status code"}
	ErrCloseCode         = &Violation{codeProtocolError, "close code may not be sent"}
	ErrCloseReason       = &Violation{codeInvalidPayload, "close reason is not UTF-8"}
	ErrText              = &Violation{codeInvalidPayload, "text message is not UTF-8"}
	ErrDeflate           = &Violation{codeInvalidPayload, "compressed message is no DEFLATE stream"}
	ErrTooBig            = &Violation{codeTooBig, "message is larger than the limit"}
	ErrTooManyFrames     = &Violation{codePolicy, "message has too many frames"}
)

// ValidCode reports whether a close frame may carry code: those that RFC 6455
// or the IANA registry define for the wire, and the ranges for libraries and
// applications (sections 7.4.1, 7.4.2 and 11.7).
func ValidCode(code uint16) bool {
	switch {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014:
		return true
	case code >= 3000 && code <= 4999:
		return true
	}
	return false
}

// ParseClose takes the payload of a close frame apart. The code of an empty
// payload is 1005 (RFC 6455, section 7.1.5). The reason aliases p.
func ParseClose(p []byte) (code uint16, reason []byte, v *Violation) {
	switch len(p) {
	case 0:
		return codeNoStatus, nil, nil
	case 1:
		// "the first two bytes of the body MUST be a 2-byte unsigned integer"
		// (section 5.5.1)
		return 0, nil, ErrCloseTruncated
	}
	code, reason = uint16(p[0])<<8|uint16(p[1]), p[2:]
	if !ValidCode(code) {
		return code, nil, ErrCloseCode
	}
	if !utf8.Valid(reason) {
		return code, nil, ErrCloseReason
	}
	return code, reason, nil
}

// AppendClose appends the payload of a close frame to dst.
func AppendClose(dst []byte, code uint16, reason string) []byte {
	return append(append(dst, byte(code>>8), byte(code)), reason...)
}
