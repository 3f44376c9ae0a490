package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/airlock-go/websocket/frame"
)

// defaultKey masks frames that say nothing else. It is always the same, so that
// what a server does wrong with it, it does again.
var defaultKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// A trial is what came of playing a case once.
type trial struct {
	verdict Verdict
	note    string
	lines   []Line
	first   int // bytes of the first write behind the handshake
}

// player plays the client's part of a case on a connection of its own.
type player struct {
	c       *Case
	t       *target
	how     chop
	cut     int // where halves are cut
	log     *dialogue
	conn    net.Conn
	unwatch func() bool // lets conn live on when the run ends
	rc      *receiver

	out      []byte // to be written
	whole    int    // bytes at the start of out that are not cut: the handshake
	ends     []int  // of the frames in out
	open     []byte // what was sent of a frame that is not complete
	deflater deflater

	sent     []event  // messages, complete and not echoed yet
	partial  event    // the one under way
	pings    [][]byte // sent and not answered yet
	messages []event  // received and not asked for yet
	pongs    []event
	answer   *http.Response
	over     *ending // nil: the connection is open
	said     bool    // a close frame was sent
	mute     bool    // writing has failed
	parting  bool    // the steps are over
	barriers int

	trial
}

// ending is how a connection ended.
type ending struct {
	code   int    // of the server's close frame; 0: there was none
	closed bool   // TCP has ended
	err    error  // how
	wrong  string // a rule that the server broke
}

// play plays the case once. With halves, the bytes behind the handshake are
// written in two pieces, the first of cut bytes.
func (c *Case) play(t *target, how chop, cut int) trial {
	p := &player{c: c, t: t, how: how, cut: cut, log: &dialogue{start: time.Now()}}
	if err := p.run(); err != nil {
		p.verdict, p.note = Fail, err.Error()
		if errors.Is(err, errDeclined) {
			p.verdict = Unimplemented
		}
	}
	p.lines = p.log.all()
	return p.trial
}

func (p *player) run() error {
	err := p.connect()
	if p.conn != nil {
		defer p.conn.Close()
		defer close(p.rc.stop)
		defer p.unwatch()
	}
	if err != nil {
		return err
	}
	for i := range p.c.steps {
		switch done, err := p.play(&p.c.steps[i]); {
		case err != nil:
			return err
		case done && len(p.messages) > 0:
			return p.superfluous(&p.messages[0])
		case done:
			return nil
		}
	}
	return p.goodbye()
}

// play plays a step. It reports whether the trial is done.
func (p *player) play(s *step) (done bool, err error) {
	for n := 0; n < s.times && !done && err == nil; n++ {
		if s.send != nil {
			err = p.send(s.send)
		} else {
			done, err = p.await(s.want)
		}
	}
	return done, err
}

func (p *player) await(want []outcome) (done bool, err error) {
	p.flush()
	if p.c.joined && !p.c.handmade && p.answer == nil {
		if done, err := p.checkJoined(); done || err != nil {
			return done, err
		}
	}
	return p.expect(want)
}

func (p *player) superfluous(e *event) error {
	return fmt.Errorf("there was one message more than was sent: %s", brief(e.data))
}

// demote makes the verdict no better than v.
func (p *player) demote(v Verdict, format string, args ...any) {
	note := fmt.Sprintf(format, args...)
	p.log.add(Remark, v.String()+": "+note, nil)
	if v > p.verdict || p.note == "" {
		p.verdict, p.note = max(v, p.verdict), note
	}
}

// send puts what a step sends behind what is to be written.
func (p *player) send(s *sending) error {
	switch {
	case s.halfClose:
		return p.closeHalf()
	case s.http != nil:
		text := p.t.fill(string(s.http.bytes()))
		p.log.add(Sent, "HTTP", []byte(text))
		p.put([]byte(text))
	case s.raw != nil:
		raw := s.raw.bytes()
		p.log.add(Sent, fmt.Sprintf("raw, %s", byteCount(len(raw))), raw)
		p.follow(raw)
		p.put(raw)
	case s.compress > 0:
		return p.sendCompressed(s)
	default:
		p.sendFrame(s, s.payload.bytes())
	}
	return nil
}

func (p *player) closeHalf() error {
	p.flush()
	p.log.add(Sent, "end of what the client sends", nil)
	half, ok := p.conn.(interface{ CloseWrite() error })
	if !ok {
		return fmt.Errorf("%T cannot be closed by half", p.conn)
	}
	if err := half.CloseWrite(); err != nil {
		p.log.add(Remark, fmt.Sprintf("closing by half failed: %v", err), nil)
	}
	return nil
}

func (p *player) sendFrame(s *sending, data []byte) {
	h := s.header
	h.Masked, h.Key, h.Length = !s.unmasked, s.key, uint64(len(data))
	if s.claim >= 0 {
		h.Length = uint64(s.claim)
	}
	what := describe(h)
	if s.unmasked {
		what += ", unmasked"
	}
	if s.lengthForm > 0 {
		what += fmt.Sprintf(", length in %d bytes", s.lengthForm)
	}
	p.log.add(Sent, what, data)
	p.remember(h, data)

	b := appendHeader(make([]byte, 0, frame.MaxHeaderSize+len(data)), h, s.lengthForm)
	start := len(b)
	b = append(b, data...)
	if h.Masked {
		frame.Mask(b[start:], h.Key, 0)
	}
	if len(p.open) > 0 || s.claim >= 0 {
		p.follow(b)
	}
	p.put(b)
}

// sendControl sends a control frame of the player's own.
func (p *player) sendControl(op frame.Opcode, data []byte) {
	p.sendFrame(&sending{header: frame.Header{Fin: true, Opcode: op}, key: defaultKey, claim: -1}, data)
}

// follow keeps what is not complete, of a frame that is sent in pieces: nothing
// but the rest of it may come next.
func (p *player) follow(b []byte) {
	p.open = append(p.open, b...)
	for {
		h, size, err := frame.Parse(p.open)
		if err != nil || size == 0 || uint64(len(p.open)-size) < h.Length {
			return
		}
		p.said = p.said || h.Opcode == frame.Close
		p.open = p.open[size+int(h.Length):]
	}
}

// remember notes what is to be echoed or answered.
func (p *player) remember(h frame.Header, data []byte) {
	switch h.Opcode {
	case frame.Close:
		p.said = true
	case frame.Ping:
		p.pings = append(p.pings, data)
	case frame.Text, frame.Binary:
		p.partial = event{kind: evMessage, op: h.Opcode, data: bytes.Clone(data)}
	case frame.Continuation:
		p.partial.data = append(p.partial.data, data...)
	}
	if !h.Opcode.IsControl() && h.Fin {
		p.sent = append(p.sent, p.partial)
	}
}

// appendHeader is frame.Append for lengths that are not in their shortest form,
// too.
func appendHeader(b []byte, h frame.Header, lengthForm int) []byte {
	if lengthForm == 0 {
		return frame.Append(b, h)
	}
	short := h
	short.Length = 126
	if lengthForm == 8 {
		short.Length = 1 << 16
	}
	start := len(b)
	b = frame.Append(b, short)
	for i := range lengthForm {
		b[start+2+i] = byte(h.Length >> (8 * (lengthForm - 1 - i)))
	}
	return b
}

func (p *player) put(b []byte) {
	p.out = append(p.out, b...)
	p.ends = append(p.ends, len(p.out))
}

// writePause is the time between two pieces that shall arrive one by one.
const writePause = 100 * time.Microsecond

// flush writes what is to be written, cut as the chop says. That the server has
// closed the connection meanwhile is for expect to find.
func (p *player) flush() {
	b, whole, ends := p.out, p.whole, p.ends
	p.out, p.whole, p.ends = nil, 0, nil
	if p.first == 0 {
		p.first = len(b) - whole
	}
	var cuts []int
	switch p.how {
	case frames:
		cuts = ends
	case bytewise:
		for i := whole + 1; i < len(b); i++ {
			cuts = append(cuts, i)
		}
	case halves:
		if len(b) > whole {
			cuts, p.cut = []int{min(whole+p.cut, len(b))}, 0
		}
	}
	start := 0
	for _, end := range append(cuts, len(b)) {
		if end <= start || end <= whole && end < len(b) {
			continue
		}
		if start > 0 {
			time.Sleep(writePause)
		}
		if p.mute || p.over == nil && p.rc.closing.Load() {
			return // or the server has said goodbye
		}
		p.conn.SetWriteDeadline(time.Now().Add(p.t.patience * 4))
		if _, err := p.conn.Write(b[start:end]); err != nil {
			p.log.add(Remark, fmt.Sprintf("writing failed: %v", err), nil)
			p.mute = true
			return
		}
		start = end
	}
}

// goodbye closes the connection after the last step, as a client does, and looks
// whether there was more to come. How the server closes is not what this case is
// about.
func (p *player) goodbye() error {
	if p.over != nil || p.answer == nil || !accepted(p.answer) || len(p.open) > 0 {
		return nil
	}
	p.parting = true
	if !p.said {
		p.sendControl(frame.Close, []byte{3, 232})
		p.flush()
	}
	if e := p.observe(false); e != nil {
		return p.superfluous(e)
	}
	return nil
}
