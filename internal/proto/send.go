package proto

import (
	"errors"

	"github.com/airlock-go/websocket/frame"
)

// Send holds what this end wants to send against the rules, so that no
// sequence of calls can put an illegal one on the wire.
type Send struct {
	Role Role

	open   frame.Opcode // Text or Binary: a message is under way; else 0
	closed bool         // a close frame was sent
	text   UTF8
}

// What this end can want that it must not do. Nothing has been sent then.
var (
	ErrSendClosed     = errors.New("nothing but pongs may be sent after a close frame")
	ErrSendOpcode     = errors.New("opcode is reserved")
	ErrSendControl    = errors.New("a control frame has at most 125 bytes and no fragments")
	ErrSendClose      = errors.New("payload of the close frame is not a code that may be sent and a reason in UTF-8")
	ErrSendContinue   = errors.New("no message to continue")
	ErrSendUnfinished = errors.New("the last message is not finished")
	ErrSendText       = errors.New("text is not UTF-8")
)

// Open returns the type of the message that was begun and not finished, or 0
// between messages.
func (s *Send) Open() frame.Opcode { return s.open }

// Frame completes the header of the next frame to send, which has its Opcode and Fin.
// A client has still to choose the key and to mask. The state changes as if the frame
// had been sent, unless the error says that it must not be.
func (s *Send) Frame(h *frame.Header, payload []byte) error {
	// "The application MUST NOT send any more data frames after sending a Close
	// frame" (section 5.5.1). A pong still may, and has to: a ping is answered
	// "unless it already received a Close frame" (section 5.5.2).
	if s.closed && h.Opcode != frame.Pong {
		return ErrSendClosed
	}
	var err error
	switch {
	case h.Opcode.IsReserved():
		err = ErrSendOpcode
	case h.Opcode.IsControl():
		err = s.control(h.Opcode, h.Fin, payload)
	default:
		err = s.data(h.Opcode, h.Fin, payload)
	}
	if err == nil {
		s.complete(h, payload)
	}
	return err
}

// Message is Frame for a message in one frame, Text or Binary, with Fin. That it is
// UTF-8, if it is Text, was seen to before; RSV1 says that payload is what it was
// compressed to (RFC 7692, section 6).
func (s *Send) Message(h *frame.Header, payload []byte) error {
	switch {
	case s.closed:
		return ErrSendClosed
	case h.Opcode != frame.Text && h.Opcode != frame.Binary:
		return ErrSendOpcode
	case s.open != 0:
		return ErrSendUnfinished
	}
	s.complete(h, payload)
	return nil
}

func (s *Send) complete(h *frame.Header, payload []byte) {
	h.Masked, h.Length = s.Role == Client, uint64(len(payload))
}

func (s *Send) control(op frame.Opcode, fin bool, payload []byte) error {
	if !fin || len(payload) > frame.MaxControlPayload {
		return ErrSendControl
	}
	if op == frame.Close {
		if _, _, v := ParseClose(payload); v != nil {
			return ErrSendClose
		}
		s.closed = true
	}
	return nil
}

func (s *Send) data(op frame.Opcode, fin bool, payload []byte) error {
	typ := op
	if op == frame.Continuation {
		typ = s.open
	}
	switch {
	case typ == 0:
		return ErrSendContinue
	case op != frame.Continuation && s.open != 0:
		return ErrSendUnfinished
	}
	if typ == frame.Text {
		text := s.text
		if !text.Write(payload) || fin && !text.Complete() {
			return ErrSendText
		}
		s.text = text
	}
	if s.open = typ; fin {
		s.open = 0
	}
	return nil
}
