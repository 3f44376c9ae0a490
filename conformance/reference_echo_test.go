package conformance

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/airlock-go/websocket/frame"
)

// echoer is the reference server behind the handshake.
type echoer struct {
	reference
	conn    net.Conn
	br      *bufio.Reader
	deflate *codec // nil: not agreed

	op       frame.Opcode // of the message under way; 0: there is none
	packed   bool
	data     []byte
	pieces   [][]byte // data, by frames
	text     utf8Check
	pings    [][]byte // not answered yet
	held     *message // not sent back yet
	echoed   []byte   // the last echo
	frames   int      // of the message under way
	total    int      // bytes of all messages
	closing  bool
	answered bool     // a close frame
	ended    *message // what was under way when TCP ended
}

type message struct {
	op   frame.Opcode
	data []byte
}

// A failure is a close code that ends the connection.
type failure int

func (f failure) Error() string { return "failed" }

const (
	protocolError = failure(1002)
	badData       = failure(1007)
	tooBig        = failure(1009)

	messageLimit = 64 << 20
	goneAfter    = time.Hour // with a quirk, at the latest
)

func (e *echoer) run() {
	var err error
	for err == nil {
		if e.has(endsWith1006) {
			e.conn.SetReadDeadline(time.Now().Add(time.Second))
		}
		err = e.next()
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = failure(1006)
	case err == io.EOF && e.ended != nil && e.has(echoesHalves):
		e.send(e.ended)
	case err == io.EOF && !e.answered && e.has(staysHalfOpen):
		time.Sleep(goneAfter)
	}
	if code, ok := err.(failure); ok && !e.closing {
		e.fail(code)
	}
	if e.has(neverClosesTCP) {
		io.Copy(io.Discard, e.conn)
	}
}

// fail says why the connection ends.
func (e *echoer) fail(code failure) {
	switch {
	case e.has(failsSilently):
		return
	case code != protocolError && e.has(failsWithOneCode):
		code = protocolError
	case e.has(failsNormally):
		code = 1000
	}
	e.write(frame.Header{Fin: true, Opcode: frame.Close}, binary.BigEndian.AppendUint16(nil, uint16(code)))
}

// next reads a frame and does what it asks for.
func (e *echoer) next() error {
	h, err := e.readHeader()
	if err != nil {
		return err
	}
	if h.Length < uint64(e.br.Buffered()) && e.has(readsOneFrame) {
		defer func(n int) { e.br.Discard(n) }(e.br.Buffered() - int(h.Length))
	}
	if h.Opcode.IsControl() {
		data, err := e.readPayload(h, nil)
		if err == nil {
			err = e.control(h, data)
		}
		return err
	}
	return e.message(h)
}

func (e *echoer) readHeader() (frame.Header, error) {
	for n := 2; ; n++ {
		b, err := e.br.Peek(n)
		if err != nil {
			if e.op != 0 {
				e.ended = &message{e.op, e.data}
			}
			return frame.Header{}, err
		}
		h, size, err := frame.Parse(b)
		if n == 2 {
			if err := e.check(h); err != nil && !e.has(checksFramesLate) {
				return h, err
			}
		}
		if err != nil && e.acceptsLength(err) {
			h, size, err = parseLeniently(b)
			if h.Length >= 1<<63 && e.has(readsSigned64) {
				h.Length = 0
			}
			h.Length &^= 1 << 63
		}
		if err != nil {
			return h, protocolError
		}
		if size > 0 {
			e.br.Discard(size)
			return h, e.checkWhole(h)
		}
	}
}

// checkWhole is what a whole header has to pass.
func (e *echoer) checkWhole(h frame.Header) error {
	if err := e.check(h); err != nil {
		e.readPayload(h, nil) // late
		return err
	}
	switch {
	case h.Length > messageLimit-uint64(len(e.data)) && !e.has(overflowsLengths),
		h.Length >= 1<<15 && h.Length < 1<<16 && e.has(readsSigned16):
		return tooBig
	case h.Masked && h.Key == [4]byte{} && e.has(refusesZeroKeys):
		return protocolError
	}
	return nil
}

func (e *echoer) acceptsLength(err error) bool {
	return err == frame.ErrLengthNotMinimal && e.has(acceptsLongLengths) ||
		err == frame.ErrLengthOverflow && (e.has(acceptsTopBit) || e.has(readsSigned64))
}

// parseLeniently reads any length.
func parseLeniently(b []byte) (h frame.Header, size int, err error) {
	h, _, _ = frame.Parse(b[:2])
	size = 4
	if h.Length == 127 {
		size = 10
	}
	if h.Masked {
		size += 4
	}
	if len(b) < size {
		return h, 0, nil
	}
	if h.Length == 126 {
		h.Length = uint64(binary.BigEndian.Uint16(b[2:]))
	} else {
		h.Length = binary.BigEndian.Uint64(b[2:])
	}
	copy(h.Key[:], b[size-4:])
	return h, size, nil
}

// check is what the first two bytes of a frame have to pass.
func (e *echoer) check(h frame.Header) error {
	control := h.Opcode.IsControl()
	rsv1 := h.RSV1
	if rsv1 && e.deflate != nil {
		rsv1 = control && !e.has(acceptsPackedControl) || h.Opcode == frame.Continuation && !e.has(acceptsPackedParts)
	}
	switch {
	case !h.Masked && !e.has(acceptsUnmasked),
		rsv1 && !e.has(ignoresRSV),
		(h.RSV2 || h.RSV3) && !e.has(ignoresRSV) && !e.has(ignoresRSV23),
		h.Opcode.IsReserved() && !control && !e.has(ignoresReservedData),
		h.Opcode.IsReserved() && control && !e.has(ignoresReservedControl),
		control && !h.Fin && !e.has(acceptsControlParts),
		control && h.Length > frame.MaxControlPayload && !e.has(acceptsLongControl),
		control && h.Length >= frame.MaxControlPayload && e.has(refusesFullControl),
		h.Opcode == frame.Continuation && e.op == 0 && !e.has(acceptsStrayParts),
		h.Opcode != frame.Continuation && !control && e.op != 0 && !e.has(acceptsInterleaving) && !h.Opcode.IsReserved(),
		e.deflate != nil && !h.RSV1 && !control && e.op == 0 && e.has(wantsAllPacked):
		return protocolError
	}
	return nil
}

// readPayload reads a payload and shows each piece of it, as it comes, to see.
func (e *echoer) readPayload(h frame.Header, see func([]byte) error) ([]byte, error) {
	var data []byte
	buf := make([]byte, min(h.Length, 32<<10))
	for uint64(len(data)) < h.Length {
		n, err := e.br.Read(buf[:min(uint64(len(buf)), h.Length-uint64(len(data)))])
		if err != nil {
			return data, err
		}
		piece := buf[:n]
		pos := len(data)
		if pos%4 > 0 && e.has(restartsMask) {
			pos = 0
		}
		if h.Masked {
			frame.Mask(piece, h.Key, pos)
		}
		data = append(data, piece...)
		if see != nil {
			if err := see(piece); err != nil {
				return nil, err
			}
		}
	}
	return data, nil
}

func (e *echoer) control(h frame.Header, data []byte) error {
	switch {
	case e.op != 0 && h.Opcode != frame.Close && e.has(breaksOffAtControl):
		e.op, e.data = 0, nil
	case e.op != 0 && h.Opcode == frame.Ping && e.has(mixesControl):
		e.data = append(e.data, data...)
	}
	switch h.Opcode {
	case frame.Ping:
		e.pings = append(e.pings, data)
		if (e.op != 0 && e.has(answersPingsLate)) || e.has(ignoresPings) {
			return nil
		}
		if e.br.Buffered() >= 2 {
			if b, _ := e.br.Peek(1); frame.Opcode(b[0]&0xf) == frame.Ping && e.has(answersLastPing) {
				e.pings = nil
				return nil // there is another
			}
		}
		return e.pong()
	case frame.Pong:
		if e.has(refusesPongs) {
			return protocolError
		}
		if e.has(answersPongs) {
			return e.write(frame.Header{Fin: true, Opcode: frame.Pong}, data)
		}
		return nil
	case frame.Close:
		return e.close(data)
	}
	return nil // a defect has let it pass
}

// pong answers the pings.
func (e *echoer) pong() error {
	for _, data := range e.pings {
		switch {
		case len(data) > 0 && e.has(emptiesPongs):
			data = nil
		case slices.Contains(data, 0) && e.has(stringsPongs):
			data = data[:slices.Index(data, 0)]
		}
		if err := e.write(frame.Header{Fin: true, Opcode: frame.Pong}, data); err != nil {
			return err
		}
	}
	e.pings = nil
	return nil
}

// close answers a close frame.
func (e *echoer) close(data []byte) error {
	if e.has(ignoresClose) {
		return nil
	}
	if e.has(closesSilently) {
		return io.EOF
	}
	if len(data) == 1 && !e.has(acceptsHalfCodes) {
		return protocolError
	}
	answer := []byte{}
	if len(data) >= 2 {
		if !e.acceptsCode(int(binary.BigEndian.Uint16(data))) {
			return protocolError
		}
		reason := utf8Check{reference: e.reference}
		if reason.write(data[2:]); !reason.ended() && !e.has(ignoresReasons) {
			return badData
		}
		answer = data[:2]
	}
	switch {
	case len(data) > 2 && e.has(prefixesReasons):
		answer = slices.Concat(data[:2], []byte("you said: "), data[2:])
	case len(data) > 2 && e.has(echoesReasons):
		answer = data
	case e.has(answers1000):
		answer = []byte{3, 232}
	case len(data) == 0 && e.has(answers1005):
		answer = []byte{3, 237}
	}
	if err := e.write(frame.Header{Fin: true, Opcode: frame.Close}, answer); err != nil {
		return err
	}
	e.answered = true
	if e.has(echoesAfterClose) {
		e.closing = true
		return nil
	}
	return io.EOF
}

// acceptsCode knows section 7.4 and what is registered by now.
func (e *echoer) acceptsCode(code int) bool {
	switch {
	case code < 1000:
		return e.has(acceptsLowCodes)
	case code >= 5000:
		return e.has(acceptsHighCodes)
	case code >= 3000:
		return !e.has(refusesPrivateCodes)
	case code == 1004 || code == 1005 || code == 1006 || code == 1015:
		return e.has(acceptsReservedCodes)
	case code > 1015:
		return e.has(acceptsUnknownCodes)
	}
	return code <= 1011 || !e.has(refusesNewCodes)
}

// message takes in a frame of a message.
func (e *echoer) message(h frame.Header) error {
	if h.Opcode.IsReserved() {
		_, err := e.readPayload(h, nil) // a defect
		return err
	}
	if h.Opcode != frame.Continuation || e.op == 0 {
		e.op, e.data, e.pieces, e.packed = h.Opcode, nil, nil, h.RSV1 && e.deflate != nil
		e.text = utf8Check{reference: e.reference}
	}
	see := e.text.see
	if e.op != frame.Text || e.packed {
		see = nil
	}
	piece, err := e.readPayload(h, see)
	if err != nil {
		e.ended = &message{e.op, append(e.data, piece...)}
		return err
	}
	e.data = append(e.data, piece...)
	e.pieces = append(e.pieces, piece)
	e.frames++
	e.total += len(piece)
	switch {
	case e.total > len(e.data) && e.total > 256<<10 && e.has(addsUpMessages):
		return tooBig
	case e.op == frame.Text && !e.packed && e.text.need > 0 && !h.Fin && e.has(checksFragments):
		return badData
	case len(e.data) > 64<<10 && e.has(stopsAt64K):
		return io.EOF
	case e.frames > 16 && e.has(limitsFragments):
		return protocolError
	}
	if !h.Fin || h.Opcode == frame.Continuation && h.Length == 0 && e.has(forgetsEmptyEnds) {
		if !e.packed && e.has(echoesFragments) {
			m := &message{e.op, e.data}
			e.data = nil
			return e.send(m)
		}
		return nil
	}
	return e.complete()
}

// complete sends a message back.
func (e *echoer) complete() error {
	m := &message{e.op, e.data}
	if !e.packed && len(e.pieces) > 1 && e.has(reversesFragments) {
		slices.Reverse(e.pieces)
		m.data = slices.Concat(e.pieces...)
	}
	e.op, e.data, e.pieces, e.frames = 0, nil, nil, 0
	if e.packed {
		plain, err := e.deflate.inflate(m.data)
		if err != nil {
			return err
		}
		m.data = plain
		e.text.write(plain)
	}
	if m.op == frame.Text {
		if !e.text.ended() && !(e.packed && e.has(ignoresPackedText)) {
			return badData
		}
		for _, c := range string(m.data) {
			if c > 0xffff && e.has(refusesFourBytes) || (c&0xfffe == 0xfffe || c >= 0xfdd0 && c <= 0xfdef || c == 0x378) && e.has(refusesNoncharacters) {
				return badData
			}
		}
	}
	if err := e.send(m); err != nil {
		return err
	}
	return e.pong()
}

// send sends a message, now or, with a defect, in the wrong place.
func (e *echoer) send(m *message) error {
	if e.br.Buffered() > 0 {
		if e.held == nil && e.has(reorders) {
			e.held = m
			return nil
		}
		if slices.Equal(m.data, e.echoed) && e.has(mergesRepeats) {
			return nil
		}
	}
	e.echoed = m.data
	for m != nil {
		if err := e.echo(m); err != nil {
			return err
		}
		m, e.held = e.held, nil
	}
	return nil
}

func (e *echoer) echo(m *message) error {
	h := frame.Header{Fin: true, Opcode: m.op}
	data := m.data
	switch {
	case m.op == frame.Binary && e.has(echoesText):
		h.Opcode = frame.Text
	case m.op == frame.Text && e.has(echoesBinary):
		h.Opcode = frame.Binary
	case slices.Contains(data, 0) && e.has(stopsAtNUL):
		data = data[:slices.Index(data, 0)]
	case len(data) == 0 && e.has(dropsEmpty):
		return nil
	case m.op == frame.Text:
		data = e.spoilText(data)
	}
	if e.has(pingsToo) {
		for _, op := range []frame.Opcode{frame.Ping, frame.Pong} {
			if err := e.write(frame.Header{Fin: true, Opcode: op}, []byte("unasked")); err != nil {
				return err
			}
		}
	}
	if e.deflate != nil && (len(m.data) > 20 || !e.has(packsSome)) {
		h.RSV1, data = true, e.deflate.deflate(data)
	}
	return e.writeMessage(h, data)
}

// spoilText is for servers that do with text what is not asked for.
func (e *echoer) spoilText(data []byte) []byte {
	mark := []byte("\ufeff")
	switch {
	case bytes.Contains(data, []byte("\r\n")) && e.has(changesLineEnds):
		return bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	case utf8.RuneCount(data) < len(data) && e.has(countsCharacters):
		return data[:utf8.RuneCount(data)]
	case bytes.HasPrefix(data, mark) && e.has(dropsMarks):
		return data[len(mark):]
	case bytes.Contains(data, []byte("e\u0301")) && e.has(composes):
		return bytes.ReplaceAll(data, []byte("e\u0301"), []byte("\u00e9"))
	case !utf8.Valid(data) && e.has(replacesBadText):
		return bytes.ToValidUTF8(data, []byte("\ufffd"))
	}
	return data
}

func (e *echoer) writeMessage(h frame.Header, data []byte) error {
	const least = 2 // bytes, to be cut in two
	for len(data) >= least && (e.has(echoesInParts) || h.RSV1 && e.has(packsParts)) {
		part := h
		part.Fin = false
		if err := e.write(part, data[:len(data)/2]); err != nil {
			return err
		}
		data = data[len(data)/2:]
		h.Opcode, h.RSV1 = frame.Continuation, h.RSV1 && e.has(packsParts)
	}
	return e.write(h, data)
}

func (e *echoer) write(h frame.Header, data []byte) error {
	h.Length = uint64(len(data))
	var form int
	switch {
	case e.has(masks):
		h.Masked, h.Key = true, defaultKey
		data = slices.Clone(data)
		frame.Mask(data, h.Key, 0)
	case len(data) < 126 && e.has(writesLongLengths):
		form = 2
	case len(data) == 125 && e.has(misses125):
		form = 2
	case len(data) == 65535 && e.has(misses65535):
		form = 8
	case len(data) > 65535 && e.has(cutsLengths):
		h.Length &= 0xffff
	}
	_, err := e.conn.Write(append(appendHeader(nil, h, form), data...))
	return err
}

// utf8Check follows text as it comes (the table of RFC 3629, section 4).
type utf8Check struct {
	reference
	need     int  // bytes that the character under way still lacks
	min, max byte // of the next of them
	bad      bool
}

// see takes in the next piece and reports a mistake as soon as there is one.
func (c *utf8Check) see(b []byte) error {
	if c.write(b); c.bad && !c.has(ignoresUTF8) && !c.has(replacesBadText) && !c.has(checksTextLate) {
		return badData
	}
	return nil
}

func (c *utf8Check) write(b []byte) {
	for _, x := range b {
		switch {
		case c.bad:
			return
		case c.need > 0:
			c.bad = x < c.min || x > c.max
			c.need, c.min, c.max = c.need-1, 0x80, 0xbf
		case x >= 0x80:
			c.begin(x)
		}
	}
}

// ended reports whether all was text.
func (c *utf8Check) ended() bool {
	switch {
	case c.bad:
		return c.has(ignoresUTF8) || c.has(replacesBadText)
	case c.need > 0:
		return c.has(ignoresUTF8) || c.has(replacesBadText) || c.has(acceptsCutText)
	}
	return true
}

// begin looks at the first byte of a character.
func (c *utf8Check) begin(x byte) {
	c.min, c.max = 0x80, 0xbf
	switch {
	case x < 0xc0, x > 0xf4 && !(x <= 0xf7 && c.has(acceptsAbove)), x < 0xc2 && !c.has(acceptsOverlong):
		c.bad = true
	case x < 0xe0:
		c.need = 1
	case x < 0xf0:
		c.need = 2
	default:
		c.need = 3
	}
	switch {
	case x == 0xe0 && !c.has(acceptsOverlong):
		c.min = 0xa0
	case x == 0xed && !c.has(acceptsSurrogates):
		c.max = 0x9f
	case x == 0xf0 && !c.has(acceptsOverlong):
		c.min = 0x90
	case x == 0xf4 && !c.has(acceptsAbove):
		c.max = 0x8f
	}
}
