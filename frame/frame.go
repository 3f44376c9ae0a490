// Package frame is the wire format of RFC 6455, section 5, on byte slices: it
// parses and appends frame headers and masks payloads. It does no I/O, keeps no
// state and allocates nothing.
//
// It knows the shape of a single frame and nothing else: whether a frame may
// stand where it stands (sections 5.4, 5.5 and 7) is the business of the
// connection that reads it.
package frame

import (
	"encoding/binary"
	"errors"
	"strconv"
)

// Opcode says what a frame carries (RFC 6455, section 5.2). It has four bits on
// the wire; Append ignores the others.
type Opcode uint8

// The opcodes that RFC 6455 defines. All others are reserved.
const (
	Continuation Opcode = 0x0
	Text         Opcode = 0x1
	Binary       Opcode = 0x2
	Close        Opcode = 0x8
	Ping         Opcode = 0x9
	Pong         Opcode = 0xA
)

// IsControl reports whether o is one of the control opcodes, 0x8 to 0xF,
// reserved ones included: "Control frames are identified by opcodes where the
// most significant bit of the opcode is 1" (RFC 6455, section 5.5).
func (o Opcode) IsControl() bool { return o&0x8 != 0 }

// IsReserved reports whether RFC 6455 leaves o without a meaning.
func (o Opcode) IsReserved() bool { return o > Binary && o < Close || o > Pong }

// String returns the name that RFC 6455 gives o, in lower case, or "reserved"
// and the number.
func (o Opcode) String() string {
	switch o {
	case Continuation:
		return "continuation"
	case Text:
		return "text"
	case Binary:
		return "binary"
	case Close:
		return "close"
	case Ping:
		return "ping"
	case Pong:
		return "pong"
	}
	return "reserved " + strconv.Itoa(int(o))
}

const (
	// MaxHeaderSize is the size in bytes of the longest header: a masked frame
	// with a 64-bit length.
	MaxHeaderSize = 14

	// MaxControlPayload is the most a control frame may carry, in bytes (RFC
	// 6455, section 5.5).
	MaxControlPayload = 125
)

// Header is the header of one frame.
type Header struct {
	Fin              bool // the last frame of its message
	RSV1, RSV2, RSV3 bool // zero unless an extension gives them a meaning
	Opcode           Opcode
	Masked           bool
	Key              [4]byte // the masking key; meaningful only if Masked
	Length           uint64  // of the payload in bytes, at most 2^63-1
}

// The errors of Parse. Both are violations of RFC 6455, section 5.2.
var (
	ErrLengthNotMinimal = errors.New("frame: length is not in its shortest form")
	ErrLengthOverflow   = errors.New("frame: length has the most significant bit set")
)

const (
	finBit  = 0x80
	rsv1Bit = 0x40
	rsv2Bit = 0x20
	rsv3Bit = 0x10
	maskBit = 0x80

	opcodeBits = 0x0f
	lengthBits = 0x7f

	length16 = 126 // the length follows in 16 bits
	length64 = 127 // the length follows in 64 bits
)

// Parse reads the header at the start of b. It returns the header and its size
// in bytes, or a size of 0 and no error when b ends before the header does.
//
// As soon as b has two bytes, whatever else Parse returns, the header has
// everything these two say: all fields but Key, with Length being the 7-bit
// field, which is 126 or 127 where the length itself follows. So a caller can
// refuse a frame before the whole header has arrived.
//
// The error is [ErrLengthNotMinimal] or [ErrLengthOverflow].
func Parse(b []byte) (Header, int, error) {
	var h Header
	n, err := h.Parse(b)
	return h, n, err
}

// Parse sets h to what the function Parse returns. A Header is large for a result:
// to set one that is there takes a fraction of the time.
func (h *Header) Parse(b []byte) (int, error) {
	*h = Header{}
	if len(b) < 2 {
		return 0, nil
	}
	h.Fin = b[0]&finBit != 0
	h.RSV1 = b[0]&rsv1Bit != 0
	h.RSV2 = b[0]&rsv2Bit != 0
	h.RSV3 = b[0]&rsv3Bit != 0
	h.Opcode = Opcode(b[0] & opcodeBits)
	h.Masked = b[1]&maskBit != 0
	h.Length = uint64(b[1] & lengthBits)
	n := 2
	switch h.Length {
	case length16:
		if len(b) < 4 {
			return 0, nil
		}
		v := uint64(binary.BigEndian.Uint16(b[2:]))
		// "in all cases, the minimal number of bytes MUST be used to encode
		// the length" (section 5.2)
		if v < length16 {
			return 0, ErrLengthNotMinimal
		}
		h.Length, n = v, 4
	case length64:
		if len(b) < 10 {
			return 0, nil
		}
		v := binary.BigEndian.Uint64(b[2:])
		// "the most significant bit MUST be 0" (section 5.2)
		if v>>63 != 0 {
			return 0, ErrLengthOverflow
		}
		if v <= 0xffff {
			return 0, ErrLengthNotMinimal
		}
		h.Length, n = v, 10
	}
	if h.Masked {
		if len(b) < n+4 {
			h.Length = uint64(b[1] & lengthBits)
			return 0, nil
		}
		h.Key = [4]byte(b[n:])
		n += 4
	}
	return n, nil
}

// Append appends h to dst in its shortest form and returns the longer slice.
// Key is written only if Masked is set.
func Append(dst []byte, h Header) []byte { return h.Append(dst) }

// Append is like the function Append, and quicker, for the same reason as Parse.
func (h *Header) Append(dst []byte) []byte {
	b0 := byte(h.Opcode) & opcodeBits
	if h.Fin {
		b0 |= finBit
	}
	if h.RSV1 {
		b0 |= rsv1Bit
	}
	if h.RSV2 {
		b0 |= rsv2Bit
	}
	if h.RSV3 {
		b0 |= rsv3Bit
	}
	var mask byte
	if h.Masked {
		mask = maskBit
	}
	switch {
	case h.Length < length16:
		dst = append(dst, b0, mask|byte(h.Length))
	case h.Length <= 0xffff:
		dst = append(dst, b0, mask|length16)
		dst = binary.BigEndian.AppendUint16(dst, uint16(h.Length))
	default:
		dst = append(dst, b0, mask|length64)
		dst = binary.BigEndian.AppendUint64(dst, h.Length)
	}
	if h.Masked {
		dst = append(dst, h.Key[:]...)
	}
	return dst
}

// String describes h for logs: its opcode, its flags and the length of its
// payload. The key is left out.
func (h Header) String() string {
	s := h.Opcode.String()
	if h.Fin {
		s += " fin"
	}
	if h.RSV1 {
		s += " rsv1"
	}
	if h.RSV2 {
		s += " rsv2"
	}
	if h.RSV3 {
		s += " rsv3"
	}
	if h.Masked {
		s += " masked"
	}
	return s + " " + strconv.FormatUint(h.Length, 10) + " bytes"
}
