package proto

import (
	"math"

	"github.com/airlock-go/websocket/frame"
)

// MaxFrames is how many frames one message may consist of, empty ones
// included. A message in frames of 16 bytes reaches 1 MiB before this limit.
const MaxFrames = 1 << 16

// Recv holds what a peer sends against the rules. The bytes stay where they
// are: Recv unmasks them in place and hands out parts of the caller's buffer.
//
// A caller gives Next what it has, drops the bytes that Next took, and gets
// more when it took none. The events and the error do not depend on how the
// bytes were cut, except that the payload of a data frame comes in as many
// pieces as the caller's buffers had; of a frame whose text is wrong, the piece
// with the wrong byte is not handed out, and those before are. After an error
// the connection has failed and the Recv must not be used again.
type Recv struct {
	// Max is the size in bytes that a message may have; 0 is no limit. It may
	// be changed at any time and counts from the next frame on, in a compressed
	// message from the next piece on that Inflated gets.
	Max uint64

	Role Role

	// Deflate: permessage-deflate was agreed on, so a message may be compressed
	// (RFC 7692). Its payload is handed out as it came; what it decompresses to
	// has to be shown to Inflated.
	Deflate bool

	open   frame.Opcode // Text or Binary: a message is under way; else 0
	packed bool         // and it is compressed
	closed bool         // a close frame has come
	header frame.Header // of the data frame under way, or what has come of another
	left   uint64       // what is still to come of its payload
	size   uint64       // of the message's frames so far, as announced
	frames int          // of the message so far
	plain  uint64       // of a compressed message: what Inflated has seen
	text   UTF8
}

// Kind says what an Event is about.
type Kind uint8

// The kinds of events.
const (
	None    Kind = iota // more bytes are needed
	Data                // a piece of the payload of a data frame
	Control             // a whole control frame
)

// Event is what some bytes from a peer amount to.
type Event struct {
	Kind    Kind
	Header  *frame.Header // valid until the next call
	Payload []byte        // unmasked; part of the caller's buffer

	// Of Data:
	Type       frame.Opcode // Text or Binary, in continuation frames too
	Compressed bool         // the message is, not only the frame
	FrameEnd   bool         // this is the last piece of the frame
	MessageEnd bool         // and the frame the last of the message

	// Of a close frame:
	Code   uint16
	Reason []byte // part of Payload
}

// Open returns the type of the message of which something has come but not the
// end, or 0 between messages.
func (r *Recv) Open() frame.Opcode { return r.open }

// Left returns how many bytes are to come of the payload of the data frame
// under way. They need not pass through Next: see Payload.
func (r *Recv) Left() uint64 { return r.left }

// Next takes the next piece from the start of b: either what b has of a data
// frame, or a whole control frame. It sets ev to what that was, and returns how many
// bytes it took; ev is None, with 0, when b does not hold enough for either. A
// buffer of MaxHeaderSize + MaxControlPayload bytes always does. Behind a close
// frame everything is dropped (RFC 6455, section 1.4).
func (r *Recv) Next(b []byte, ev *Event) (int, *Violation) {
	*ev = Event{}
	if r.closed {
		return len(b), nil
	}
	if r.left > 0 {
		if len(b) == 0 {
			return 0, nil
		}
		return r.data(b, 0, ev)
	}
	if len(b) < 2 {
		return 0, nil
	}
	h := &r.header
	n, err := h.Parse(b)
	if v := r.check(h, err); v != nil || n == 0 {
		return 0, v
	}
	if h.Opcode.IsControl() {
		if uint64(len(b)-n) < h.Length {
			return 0, nil
		}
		return r.control(b, n, ev)
	}
	if v := r.begin(h); v != nil {
		return 0, v
	}
	return r.data(b, n, ev)
}

// check holds a header, and the error of parsing it, against everything that does not
// change the state. But for the length the first two bytes decide, so a wrong frame is
// refused before the rest of its header has arrived, and with the same error however
// it came.
func (r *Recv) check(h *frame.Header, err error) *Violation {
	switch {
	case h.RSV1 && !r.Deflate || h.RSV2 || h.RSV3:
		// "MUST be 0 unless an extension is negotiated that defines meanings
		// for non-zero values" (section 5.2)
		return ErrReservedBit
	case h.RSV1 && h.Opcode != frame.Text && h.Opcode != frame.Binary:
		// "An endpoint MUST NOT set the "Per-Message Compressed" bit of control
		// frames and non-first fragments of a data message" (RFC 7692, section 6)
		return ErrCompressedBit
	case h.Opcode.IsReserved():
		// "If an unknown opcode is received, the receiving endpoint MUST _Fail
		// the WebSocket Connection_" (section 5.2)
		return ErrReservedOpcode
	case !h.Masked && r.Role == Server:
		// "The server MUST close the connection upon receiving a frame that is
		// not masked" (section 5.1)
		return ErrNotMasked
	case h.Masked && r.Role == Client:
		// "A client MUST close a connection if it detects a masked frame"
		// (section 5.1)
		return ErrMasked
	case h.Opcode.IsControl():
		// "All control frames MUST have a payload length of 125 bytes or less
		// and MUST NOT be fragmented" (section 5.5)
		if !h.Fin {
			return ErrControlFragmented
		}
		if h.Length > frame.MaxControlPayload {
			return ErrControlTooLong
		}
	case h.Opcode == frame.Continuation:
		if r.open == 0 {
			return ErrNothingToContinue
		}
	case r.open != 0:
		// "The fragments of one message MUST NOT be interleaved between the
		// fragments of another message" (section 5.4)
		return ErrMessageUnfinished
	}
	switch err {
	case frame.ErrLengthNotMinimal:
		return ErrLengthNotMinimal
	case frame.ErrLengthOverflow:
		return ErrLengthOverflow
	}
	return nil
}

// begin enters a data frame. The limits are held here, when nothing but the
// header has been looked at.
func (r *Recv) begin(h *frame.Header) *Violation {
	packed := h.RSV1 || r.open != 0 && r.packed
	if limit := r.limit(packed); limit > 0 && (r.size > limit || h.Length > limit-r.size) {
		return ErrTooBig
	}
	if r.frames == MaxFrames {
		return ErrTooManyFrames
	}
	if h.Opcode != frame.Continuation {
		r.open, r.packed = h.Opcode, packed
	}
	r.frames++
	r.size += h.Length
	r.left = h.Length
	return nil
}

// limit returns how many bytes the frames of the message may have with the next
// one; 0 is no limit. Of a compressed message this does not bound what is in it
// but what is sent in vain: a character takes nine bits at most where DEFLATE is
// not to its advantage, and the end of a frame is marked by a few bytes.
func (r *Recv) limit(packed bool) uint64 {
	if r.Max == 0 || !packed {
		return r.Max
	}
	return r.Max + min(r.Max/8+16*uint64(r.frames+1), math.MaxUint64-r.Max)
}

// data makes an event of what b has, from n on, of the data frame under way.
func (r *Recv) data(b []byte, n int, ev *Event) (int, *Violation) {
	p := b[n:]
	if uint64(len(p)) > r.left {
		p = p[:r.left]
	}
	typ := r.open
	if v := r.Payload(p); v != nil {
		return 0, v
	}
	ev.Kind, ev.Header, ev.Payload = Data, &r.header, p
	ev.Type, ev.Compressed = typ, r.packed
	ev.FrameEnd, ev.MessageEnd = r.left == 0, r.open == 0
	return n + len(p), nil
}

// Payload takes p, at most Left bytes, as the next of the payload of the data
// frame under way, and unmasks and checks it in place. It is for callers that
// read a large payload straight to where it belongs; afterwards Left tells
// whether the frame has ended and Open whether the message has.
func (r *Recv) Payload(p []byte) *Violation {
	if r.header.Masked {
		frame.Mask(p, r.header.Key, int(r.header.Length-r.left))
	}
	r.left -= uint64(len(p))
	// "When an endpoint is to interpret a byte stream as UTF-8 but finds that
	// the byte stream is not, in fact, a valid UTF-8 stream, that endpoint
	// MUST _Fail the WebSocket Connection_" (section 8.1)
	check := r.open == frame.Text && !r.packed
	if check && !r.text.Write(p) {
		return ErrText
	}
	if r.left > 0 || !r.header.Fin {
		return nil
	}
	if check && !r.text.Complete() {
		return ErrText
	}
	r.open, r.size, r.frames = 0, 0, 0
	return nil
}

// Inflated takes p as the next of what a compressed message of type typ holds,
// and holds it against the rules and limits. end says that nothing follows. All
// of a message has to be shown before Next gets what comes behind it.
func (r *Recv) Inflated(typ frame.Opcode, p []byte, end bool) *Violation {
	if r.Max > 0 && (r.plain > r.Max || uint64(len(p)) > r.Max-r.plain) {
		return ErrTooBig
	}
	r.plain += uint64(len(p))
	if typ == frame.Text && (!r.text.Write(p) || end && !r.text.Complete()) {
		return ErrText
	}
	if end {
		r.plain = 0
	}
	return nil
}

// control makes an event of the whole control frame at the start of b, whose
// header takes n bytes.
func (r *Recv) control(b []byte, n int, ev *Event) (int, *Violation) {
	h := &r.header
	end := n + int(h.Length)
	p := b[n:end]
	if h.Masked {
		frame.Mask(p, h.Key, 0)
	}
	if h.Opcode == frame.Close {
		code, reason, v := ParseClose(p)
		if v != nil {
			return 0, v
		}
		ev.Code, ev.Reason = code, reason
		r.closed = true
	}
	ev.Kind, ev.Header, ev.Payload = Control, h, p
	return end, nil
}
