package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/airlock-go/websocket/frame"
)

// broken reports a rule that the server broke while it ended the connection.
func (e *ending) broken() error {
	switch {
	case e.wrong != "":
		return errors.New(e.wrong)
	case e.code != 0 && !e.closed:
		return errors.New("7.1.1: the server did not close TCP after the close frames")
	}
	return nil
}

func (e *ending) String() string {
	switch {
	case e.wrong != "":
		return e.wrong
	case e.code == noStatus:
		return "a close frame without a code"
	case e.code != 0:
		return fmt.Sprintf("a close frame with %d", e.code)
	case errors.Is(e.err, io.EOF):
		return "the end of TCP without a close frame"
	}
	return fmt.Sprintf("the end of TCP without a close frame (%v)", e.err)
}

// patience is how long something that has to come may take.
func (p *player) patience() time.Duration {
	if p.parting {
		return 4 * p.t.grace // nothing has to
	}
	return p.t.patience
}

// next returns the next event, or nil when nothing has come for d.
func (p *player) next(d time.Duration) *event { return p.nextSince(time.Since(p.log.start), d) }

// nextSince is next for a time that began before. Bytes of a message, which may
// be large, make it begin anew.
func (p *player) nextSince(begun, d time.Duration) *event {
	for {
		begun = max(begun, time.Duration(p.rc.last.Load()))
		wait := d - (time.Since(p.log.start) - begun)
		if e := p.rc.events.get(max(wait, 0)); e != nil || wait <= 0 {
			return e
		}
	}
}

// observe waits for what counts next: a message, or a pong if that is wanted, or
// the end, after which p.over is set and the event is nil. Without either the
// patience is at its end.
func (p *player) observe(pong bool) *event { return p.observeFor(pong, p.patience()) }

func (p *player) observeFor(pong bool, d time.Duration) *event {
	begun := time.Since(p.log.start)
	for {
		queue := &p.messages
		if pong {
			queue = &p.pongs
		}
		if len(*queue) > 0 {
			e := (*queue)[0]
			*queue = (*queue)[1:]
			return &e
		}
		if p.over != nil {
			return nil
		}
		e := p.nextSince(begun, d)
		if e == nil {
			return nil
		}
		p.take(e)
	}
}

// take sorts an event in.
func (p *player) take(e *event) {
	switch e.kind {
	case evMessage:
		p.messages = append(p.messages, *e)
	case evPong:
		p.pongs = append(p.pongs, *e)
	case evPing:
		// "Upon receipt of a Ping frame, an endpoint MUST send a Pong frame":
		// so does this one, unless it is in the middle of a frame.
		if len(p.open) == 0 && !p.said {
			p.sendControl(frame.Pong, e.data)
			p.flush()
		}
	case evClose:
		p.over = &ending{code: e.code}
		if len(p.open) == 0 && !p.said {
			p.sendControl(frame.Close, closePayload(e.code))
			p.flush()
		}
		if last := p.next(p.patience()); last != nil {
			p.over.closed, p.over.err, p.over.wrong = last.kind == evEnd, last.err, last.wrong
		}
	case evEnd:
		p.over = &ending{closed: true, err: e.err}
	case evWrong:
		p.over = &ending{wrong: e.wrong}
	case evAnswer:
		p.answer = e.answer
	}
}

func closePayload(code int) []byte {
	if code == noStatus {
		return nil
	}
	return []byte{byte(code >> 8), byte(code)}
}

// expect waits for one of the outcomes. It reports whether the trial is done.
func (p *player) expect(outcomes []outcome) (done bool, err error) {
	kind := func(kind wantKind) int {
		return slices.IndexFunc(outcomes, func(o outcome) bool { return o.kind == kind })
	}
	if kind(wantHTTP) >= 0 {
		return p.expectAnswer(outcomes)
	}
	switch outcomes[0].kind {
	case wantHeader:
		return false, p.expectHeader(outcomes)
	case wantIdle:
		return true, p.expectIdle()
	case wantEarly:
		return p.expectEarly(outcomes)
	case wantNothing:
		return p.expectNothing(outcomes)
	}
	if kind(wantPong) < 0 {
		return p.match(outcomes, p.observe(false))
	}
	var pongs [][]byte
	for _, o := range outcomes {
		if o.kind == wantPong {
			pongs = append(pongs, o.payload.bytes())
		}
	}
	e, skipped := p.observePong(pongs...)
	if skipped {
		p.demote(Informational, "5.5.3: of several pings, not all were answered")
		return false, nil
	}
	return p.match(outcomes, e)
}

// observePong waits for a pong that carries one of wants, or the end. "A Pong
// frame MAY be sent unsolicited", so others are passed over; and of several pings
// the server may answer the last alone, so the pong for a ping behind the first
// of wants stays for later.
func (p *player) observePong(wants ...[]byte) (e *event, skipped bool) {
	is := func(b []byte) func([]byte) bool { return func(a []byte) bool { return bytes.Equal(a, b) } }
	sent := slices.IndexFunc(p.pings, is(wants[0]))
	for {
		e := p.observe(true)
		switch {
		case e == nil:
			return nil, false
		case slices.ContainsFunc(wants, is(e.data)):
			p.pings = p.pings[sent+1:]
			return e, false
		case sent >= 0 && slices.ContainsFunc(p.pings[sent+1:], is(e.data)):
			p.pongs = slices.Insert(p.pongs, 0, *e)
			return nil, true
		}
		p.log.add(Remark, "nothing asked for the pong "+brief(e.data), nil)
	}
}

// match looks for the outcome that e, or the end, is, and takes the best.
func (p *player) match(outcomes []outcome, e *event) (done bool, err error) {
	verdict, found := Fail, -1
	for i := range outcomes {
		if ok, v := p.is(&outcomes[i], e); ok && (found < 0 || max(v, outcomes[i].verdict) < verdict) {
			verdict, found = max(v, outcomes[i].verdict), i
		}
	}
	if found < 0 {
		return true, fmt.Errorf("%s in place of %s", p.got(e), p.wanted(&outcomes[0]))
	}
	if e == nil && p.over != nil {
		if err := p.over.broken(); err != nil {
			return true, err
		}
	}
	if verdict > Pass || found > 0 {
		p.demote(verdict, "%s where %s is best", p.got(e), outcomes[0].text)
	}
	if outcomes[found].kind == wantEcho {
		p.sent = p.sent[1:]
	}
	return e == nil && p.over != nil, nil
}

// wanted tells an outcome to people.
func (p *player) wanted(o *outcome) string {
	if o.kind == wantEcho && len(p.sent) > 0 {
		return fmt.Sprintf("the echo (%v, %s)", p.sent[0].op, byteCount(len(p.sent[0].data)))
	}
	return o.text
}

// got tells what came.
func (p *player) got(e *event) string {
	switch {
	case e != nil:
		kind := e.op.String()
		if e.kind == evPong {
			kind = "pong"
		}
		return fmt.Sprintf("%s %s (%s)", kind, brief(e.data), byteCount(len(e.data)))
	case p.over != nil:
		return p.over.String()
	}
	return fmt.Sprintf("nothing for %v", p.t.patience)
}

// is reports whether e, or the end where e is nil, is the outcome o; and with
// which verdict, if the RFC would rather have another code.
func (p *player) is(o *outcome, e *event) (ok bool, v Verdict) {
	message := e != nil && e.kind == evMessage
	switch o.kind {
	case wantEcho:
		return message && len(p.sent) > 0 && sameMessage(e, &p.sent[0]), Pass
	case wantMessage:
		return message && sameMessage(e, &event{op: o.op, data: o.payload.bytes()}), Pass
	case wantPong:
		return e != nil && e.kind == evPong && bytes.Equal(e.data, o.payload.bytes()), Pass
	case wantNothing:
		return e == nil && p.over == nil, Pass
	case wantEnd:
		return e == nil && p.over != nil, Pass
	case wantClose, wantFail:
		switch {
		case e != nil || p.over == nil:
			return false, Pass
		case p.over.wrong != "" || len(o.codes) == 0 || slices.Contains(o.codes, p.over.code):
			return true, Pass
		case o.kind == wantClose && p.over.code == 0:
			return false, Pass // "an endpoint [...] MUST send a Close frame in response"
		}
		return true, NonStrict
	}
	return false, Pass
}

func sameMessage(a, b *event) bool { return a.op == b.op && bytes.Equal(a.data, b.data) }

// expectEarly waits a while for the connection to fail. If it does not, it may
// do so at the end of the message. Between frames a ping tells for sure.
func (p *player) expectEarly(outcomes []outcome) (done bool, err error) {
	late := NonStrict
	if last := outcomes[len(outcomes)-1]; last.kind == wantNothing {
		late = last.verdict
	}
	want := outcomes[0]
	want.kind = wantFail
	e := p.observeFor(false, p.t.grace)
	if e == nil && p.over == nil {
		if len(p.open) > 0 {
			e = p.observeFor(false, 3*p.t.grace)
		} else if e, _ = p.observePong(p.barrier()); e != nil {
			e = nil
		}
		if e == nil && p.over == nil {
			p.demote(late, "the mistake was not noticed before more was sent")
			return false, nil
		}
	}
	return p.match([]outcome{want}, e)
}

// barrier sends a ping and returns its payload. What comes before the pong was
// under way before.
func (p *player) barrier() []byte {
	p.barriers++
	token := fmt.Appendf(nil, "barrier %d", p.barriers)
	p.sendControl(frame.Ping, token)
	p.flush()
	return token
}

// expectNothing sends a ping. Whatever comes before its pong is not nothing.
func (p *player) expectNothing(outcomes []outcome) (done bool, err error) {
	token := p.barrier()
	pong := outcome{kind: wantPong, text: "nothing but a pong", payload: payload{{literal: string(token), times: 1}}}
	e, _ := p.observePong(token)
	if len(p.messages) > 0 {
		e, p.messages = &p.messages[0], p.messages[1:]
	}
	if ok, _ := p.is(&pong, e); ok {
		return false, nil
	}
	return p.match(append([]outcome{pong}, outcomes[1:]...), e)
}

// expectIdle waits for the server to end the connection.
func (p *player) expectIdle() error {
	begun := time.Now()
	switch e := p.observeFor(false, p.t.idle); {
	case e != nil:
		return p.superfluous(e)
	case p.over == nil:
		p.demote(Informational, "still open after %v", p.t.idle)
		return nil
	}
	p.demote(Informational, "%v after %v", p.over, time.Since(begun).Round(100*time.Millisecond))
	return p.over.broken()
}
