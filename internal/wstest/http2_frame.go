package wstest

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// h2Kind is the type of a frame (RFC 9113, section 6).
type h2Kind byte

const (
	h2Data         h2Kind = 0x0
	h2Headers      h2Kind = 0x1
	h2Priority     h2Kind = 0x2
	h2ResetStream  h2Kind = 0x3
	h2Settings     h2Kind = 0x4
	h2PushPromise  h2Kind = 0x5
	h2Ping         h2Kind = 0x6
	h2GoAway       h2Kind = 0x7
	h2WindowUpdate h2Kind = 0x8
	h2Continuation h2Kind = 0x9
)

var h2Kinds = [...]string{"DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE", "CONTINUATION"}

func (k h2Kind) String() string { return nameOr(h2Kinds[:], int64(k), "frame of type") }

// Flags of frames.
const (
	h2EndStream   = 0x1  // of DATA and HEADERS
	h2Ack         = 0x1  // of SETTINGS and PING
	h2EndHeaders  = 0x4  // of HEADERS and CONTINUATION
	h2Padded      = 0x8  // of DATA and HEADERS
	h2HasPriority = 0x20 // of HEADERS
)

// Settings (RFC 9113, section 6.5.2; RFC 8441, section 3).
const (
	h2HeaderTableSize       = 0x1
	h2EnablePush            = 0x2
	h2InitialWindowSize     = 0x4
	h2MaxFrameSize          = 0x5
	h2EnableConnectProtocol = 0x8
)

const (
	h2Preface       = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	h2DefaultWindow = 1<<16 - 1
	h2LargestWindow = 1<<31 - 1
	h2DefaultFrame  = 1 << 14   // what a frame may hold
	h2LargestFrame  = 1<<24 - 1 // what a peer may allow it to hold
	h2LargestBlock  = 1 << 18   // what an H2 takes of a header block
)

// H2Code says why a stream or a connection ends (RFC 9113, section 7).
type H2Code uint32

const (
	H2NoError          H2Code = 0x0
	H2ProtocolError    H2Code = 0x1
	H2InternalError    H2Code = 0x2
	H2FlowControlError H2Code = 0x3
	H2StreamClosed     H2Code = 0x5
	H2FrameSizeError   H2Code = 0x6
	H2RefusedStream    H2Code = 0x7
	H2Cancel           H2Code = 0x8
	H2CompressionError H2Code = 0x9
	H2EnhanceYourCalm  H2Code = 0xb
)

var h2Codes = [...]string{
	"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR",
	"REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
}

func (c H2Code) String() string { return nameOr(h2Codes[:], int64(c), "error code") }

func nameOr(names []string, i int64, kind string) string {
	if i < int64(len(names)) {
		return names[i]
	}
	return fmt.Sprintf("%s %#x", kind, i)
}

// H2ResetError is a RST_STREAM of the server's.
type H2ResetError struct{ Code H2Code }

func (e *H2ResetError) Error() string {
	return fmt.Sprintf("http2: server has reset the stream: %v", e.Code)
}

// H2GoAwayError is a GOAWAY of the server's. It ends the streams after the last
// that the server has taken, or may yet take, and lets no stream be opened.
type H2GoAwayError struct {
	Last  uint32
	Code  H2Code
	Debug string // what the server says besides
}

func (e *H2GoAwayError) Error() string {
	return fmt.Sprintf("http2: server goes away after stream %d: %v %q", e.Last, e.Code, e.Debug)
}

// h2Violation is something that the server must not send.
type h2Violation struct {
	code H2Code
	what string
}

func (e *h2Violation) Error() string {
	return fmt.Sprintf("http2: server breaks the protocol: %s (%v)", e.what, e.code)
}

func violation(code H2Code, format string, args ...any) error {
	return &h2Violation{code, fmt.Sprintf(format, args...)}
}

type h2Frame struct {
	kind    h2Kind
	flags   byte
	stream  uint32
	payload []byte
}

// has reports whether f has a flag.
func (f *h2Frame) has(flag byte) bool { return f.flags&flag != 0 }

// appendFrame appends a frame. The payload is in pieces, so that nobody has to put
// them together.
func appendFrame(b []byte, kind h2Kind, flags byte, stream uint32, payload ...[]byte) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, byte(kind), flags)
	b = binary.BigEndian.AppendUint32(b, stream)
	header := len(b)
	for _, piece := range payload {
		b = append(b, piece...)
	}
	n := len(b) - header
	b[start], b[start+1], b[start+2] = byte(n>>16), byte(n>>8), byte(n)
	return b
}

// appendHeaders appends a header block in as many frames as it takes.
func appendHeaders(b []byte, flags byte, stream uint32, block []byte, maxFrame int) []byte {
	kind := h2Headers
	for ; len(block) > maxFrame; block = block[maxFrame:] {
		b = appendFrame(b, kind, flags, stream, block[:maxFrame])
		kind, flags = h2Continuation, 0
	}
	return appendFrame(b, kind, flags|h2EndHeaders, stream, block)
}

// nextFrame reads a frame. HEADERS come with the whole header block and nothing
// else, for no other frame may come between its parts.
func nextFrame(r *bufio.Reader) (h2Frame, error) {
	f, err := readFrame(r)
	if err != nil || f.kind != h2Headers {
		return f, err
	}
	if f.payload, err = f.content(); err != nil {
		return f, err
	}
	for !f.has(h2EndHeaders) {
		next, err := readFrame(r)
		if err != nil {
			return f, err
		}
		if next.kind != h2Continuation || next.stream != f.stream {
			return f, violation(H2ProtocolError, "%v on stream %d within the header block of stream %d", next.kind, next.stream, f.stream)
		}
		if f.payload = append(f.payload, next.payload...); len(f.payload) > h2LargestBlock {
			return f, violation(H2EnhanceYourCalm, "header block of more than %d bytes", h2LargestBlock)
		}
		f.flags |= next.flags & h2EndHeaders
	}
	return f, nil
}

func readFrame(r *bufio.Reader) (h2Frame, error) {
	var header [9]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return h2Frame{}, err
	}
	f := h2Frame{kind: h2Kind(header[3]), flags: header[4], stream: binary.BigEndian.Uint32(header[5:]) &^ (1 << 31)}
	n := int(header[0])<<16 | int(header[1])<<8 | int(header[2])
	if n > h2DefaultFrame {
		return f, violation(H2FrameSizeError, "%v of %d bytes", f.kind, n)
	}
	f.payload = make([]byte, n)
	_, err := io.ReadFull(r, f.payload)
	return f, err
}

// content returns the payload of DATA or HEADERS without padding and priority.
func (f *h2Frame) content() ([]byte, error) {
	b, before, after := f.payload, 0, 0
	if f.has(h2Padded) && len(b) > 0 {
		before, after = 1, int(b[0])
	}
	if f.kind == h2Headers && f.has(h2HasPriority) {
		before += 5
	}
	if f.has(h2Padded) && len(b) == 0 || before+after > len(b) {
		return nil, violation(H2ProtocolError, "%v of %d bytes with more padding than that", f.kind, len(b))
	}
	return b[before : len(b)-after], nil
}
