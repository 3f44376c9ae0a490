package wstest

import (
	"encoding/binary"
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// h2Sizes are the sizes of the frames that have a fixed one.
var h2Sizes = map[h2Kind]int{h2Priority: 5, h2ResetStream: 4, h2Ping: 8, h2WindowUpdate: 4}

// receive takes a frame of the server's. An error ends the connection.
func (h *H2) receive(f *h2Frame) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.cond.Broadcast()
	if h.err != nil {
		return h.err
	}
	if !h.settled && (f.kind != h2Settings || f.has(h2Ack)) {
		return violation(H2ProtocolError, "%v before SETTINGS", f.kind)
	}
	if n, ok := h2Sizes[f.kind]; ok && len(f.payload) != n {
		return violation(H2FrameSizeError, "%v of %d bytes", f.kind, len(f.payload))
	}
	if len(h.out) > h2TooMuchOut {
		return errors.New("http2: server sends, but does not read the answers")
	}
	switch f.kind {
	case h2Settings, h2Ping, h2GoAway:
		if f.stream != 0 {
			return violation(H2ProtocolError, "%v on stream %d", f.kind, f.stream)
		}
		return h.receiveOwn(f)
	case h2Data, h2Headers, h2ResetStream, h2WindowUpdate:
		if f.stream == 0 && f.kind == h2WindowUpdate {
			return widen(&h.window, f)
		}
		return h.receiveOnStream(f)
	case h2PushPromise, h2Continuation:
		return violation(H2ProtocolError, "unexpected %v", f.kind)
	}
	return nil // "Implementations MUST ignore and discard frames of unknown types"
}

// receiveOwn takes a frame that is about the connection itself.
func (h *H2) receiveOwn(f *h2Frame) error {
	switch {
	case f.kind == h2Ping && !f.has(h2Ack):
		h.send(h2Ping, h2Ack, 0, f.payload)
	case f.kind == h2Settings:
		return h.receiveSettings(f)
	case f.kind == h2GoAway:
		return h.receiveGoAway(f.payload)
	}
	return nil
}

func (h *H2) receiveSettings(f *h2Frame) error {
	b := f.payload
	if len(b)%6 != 0 || f.has(h2Ack) && len(b) > 0 {
		return violation(H2FrameSizeError, "SETTINGS of %d bytes", len(b))
	}
	if f.has(h2Ack) {
		return nil
	}
	for ; len(b) > 0; b = b[6:] {
		id, value := binary.BigEndian.Uint16(b), binary.BigEndian.Uint32(b[2:])
		switch id {
		case h2InitialWindowSize:
			if err := h.setInitialWindow(value); err != nil {
				return err
			}
		case h2MaxFrameSize:
			if value < h2DefaultFrame || value > h2LargestFrame {
				return violation(H2ProtocolError, "SETTINGS_MAX_FRAME_SIZE is %d", value)
			}
			h.maxFrame = int(value)
		case h2EnableConnectProtocol:
			if value > 1 || value == 0 && h.extendedConnect {
				return violation(H2ProtocolError, "SETTINGS_ENABLE_CONNECT_PROTOCOL is %d", value)
			}
			h.extendedConnect = value == 1
		}
	}
	h.settled = true
	h.send(h2Settings, h2Ack, 0, nil)
	return nil
}

// setInitialWindow changes the windows of the streams that there are, too.
func (h *H2) setInitialWindow(n uint32) error {
	if n > h2LargestWindow {
		return violation(H2FlowControlError, "SETTINGS_INITIAL_WINDOW_SIZE is %d", n)
	}
	change := int(n) - h.initialWindow
	h.initialWindow = int(n)
	for _, s := range h.streams {
		if change > 0 && s.window > h2LargestWindow-change {
			return violation(H2FlowControlError, "SETTINGS_INITIAL_WINDOW_SIZE of %d makes the window of stream %d too large", n, s.id)
		}
		s.window += change
	}
	return nil
}

func (h *H2) receiveGoAway(b []byte) error {
	if len(b) < 8 {
		return violation(H2FrameSizeError, "GOAWAY of %d bytes", len(b))
	}
	if h.goAway == nil {
		close(h.gone)
	}
	h.goAway = &H2GoAwayError{binary.BigEndian.Uint32(b) &^ (1 << 31), H2Code(binary.BigEndian.Uint32(b[4:])), string(b[8:])}
	for id, s := range h.streams {
		if id > h.goAway.Last {
			s.fail(h.goAway)
		}
	}
	return nil
}

// widen opens a window of ours by as much as WINDOW_UPDATE says.
func widen(window *int, f *h2Frame) error {
	n := binary.BigEndian.Uint32(f.payload) &^ (1 << 31)
	if n == 0 {
		return violation(H2ProtocolError, "WINDOW_UPDATE of 0 on stream %d", f.stream)
	}
	if int(n) > h2LargestWindow-max(*window, 0) {
		return violation(H2FlowControlError, "WINDOW_UPDATE makes the window of stream %d too large", f.stream)
	}
	*window += int(n)
	return nil
}

func (h *H2) receiveOnStream(f *h2Frame) error {
	if f.stream%2 == 0 || f.stream > h.last {
		return violation(H2ProtocolError, "%v on stream %d, which nobody has opened", f.kind, f.stream)
	}
	if f.kind == h2Data && len(f.payload) > 0 {
		h.sendUint32(h2WindowUpdate, 0, uint32(len(f.payload))) // no stream keeps others waiting
	}
	s := h.streams[f.stream]
	if s == nil {
		return nil // it was on its way when the stream ended
	}
	switch f.kind {
	case h2ResetStream:
		s.fail(&H2ResetError{H2Code(binary.BigEndian.Uint32(f.payload))})
		return nil
	case h2WindowUpdate:
		return widen(&s.window, f)
	}
	if s.eof {
		return violation(H2StreamClosed, "%v on stream %d after its end", f.kind, s.id)
	}
	take := s.receiveData
	if f.kind == h2Headers {
		take = s.receiveHeaders
	}
	if err := take(f); err != nil {
		return err
	}
	if f.has(h2EndStream) {
		s.eof = true
		s.forget()
	}
	return nil
}

func (s *H2Stream) receiveData(f *h2Frame) error {
	if s.header == nil {
		return violation(H2ProtocolError, "DATA before HEADERS on stream %d", s.id)
	}
	if len(f.payload) > s.granted {
		return violation(H2FlowControlError, "DATA of %d bytes on stream %d, whose window has %d", len(f.payload), s.id, s.granted)
	}
	data, err := f.content()
	if err != nil {
		return err
	}
	s.granted -= len(f.payload)
	s.unread.Write(data)
	s.read += len(f.payload) - len(data)
	s.grant()
	return nil
}

func (s *H2Stream) receiveHeaders(f *h2Frame) error {
	fields, err := decodeFields(f.payload)
	if err != nil {
		return violation(H2CompressionError, "stream %d: %v", s.id, err)
	}
	if s.header != nil { // then these are trailers
		if !f.has(h2EndStream) {
			return violation(H2ProtocolError, "second HEADERS on stream %d", s.id)
		}
		return nil
	}
	if len(fields) == 0 || fields[0].name != ":status" {
		return violation(H2ProtocolError, "HEADERS on stream %d do not begin with :status", s.id)
	}
	status, err := strconv.Atoi(fields[0].value)
	if err != nil || status < 100 || status > 999 {
		return violation(H2ProtocolError, ":status of stream %d is %q", s.id, fields[0].value)
	}
	if status < 200 { // not the response yet
		if f.has(h2EndStream) {
			return violation(H2ProtocolError, "stream %d ends with status %d", s.id, status)
		}
		return nil
	}
	header := make(http.Header)
	for _, field := range fields[1:] {
		if strings.HasPrefix(field.name, ":") || field.name != strings.ToLower(field.name) {
			return violation(H2ProtocolError, "field %q in HEADERS on stream %d", field.name, s.id)
		}
		header.Add(field.name, field.value)
	}
	s.status, s.header = status, header
	return nil
}
