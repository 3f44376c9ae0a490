package conformance

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// handshakeKey is that of RFC 6455, section 1.3.
const handshakeKey = "dGhlIHNhbXBsZSBub25jZQ=="

// acceptKey is the Sec-WebSocket-Accept of a key (RFC 6455, section 4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// request is a handshake, as text that can be spoilt.
type request struct {
	method, path, proto string
	fields              []string
}

var method = regexp.MustCompile(`^[A-Za-z]+$`)

// handshake returns the request of the case.
func (c *Case) handshake(t *target) *request {
	r := &request{"GET", t.path, "HTTP/1.1", []string{
		"Host: " + t.host, "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Key: " + handshakeKey, "Sec-WebSocket-Version: 13",
	}}
	r.fields = append(r.fields, t.fields...)
	if c.offer != "" {
		r.fields = append(r.fields, "Sec-WebSocket-Extensions: "+c.offer)
	}
	for _, edit := range c.request {
		if text, err := strconv.Unquote(edit); err == nil {
			edit = text // quoted, since blanks matter
		}
		r.edit(t.fill(edit))
	}
	return r
}

func (r *request) edit(edit string) {
	remove := func(name string) int {
		is := func(field string) bool {
			other, _, _ := strings.Cut(field, ":")
			return strings.EqualFold(other, name)
		}
		at := slices.IndexFunc(r.fields, is)
		r.fields = slices.DeleteFunc(r.fields, is)
		if at < 0 {
			return len(r.fields)
		}
		return at
	}
	name, _, isField := strings.Cut(edit, ":")
	switch {
	case strings.HasPrefix(edit, "-"):
		remove(edit[1:])
	case strings.HasPrefix(edit, "+"):
		r.fields = append(r.fields, edit[1:])
	case strings.HasPrefix(edit, "HTTP/"):
		r.proto = edit
	case strings.HasPrefix(edit, "/") || name == "http" || name == "https":
		r.path = edit
	case !isField && method.MatchString(edit):
		r.method = edit
	default:
		r.fields = slices.Insert(r.fields, remove(name), edit)
	}
}

func (r *request) String() string {
	return r.method + " " + r.path + " " + r.proto + "\r\n" + strings.Join(r.fields, "\r\n") + "\r\n\r\n"
}

func headerText(h http.Header) string {
	var b strings.Builder
	h.Write(&b)
	return strings.TrimSpace(b.String())
}

// patienceInAll is how many times as long as for a single thing a case may take
// in all.
const patienceInAll = 12

// connect makes the connection and, unless the case does so itself, the
// handshake.
func (p *player) connect() error {
	r := p.c.handshake(p.t)
	conn, err := p.t.dial()
	if err == nil && p.t.http2 {
		p.log.add(Sent, "handshake", []byte(strings.Join(p.t.extendedConnect(r), "\r\n")))
		conn, err = p.t.open(conn, r)
	}
	if err != nil {
		err = fmt.Errorf("connecting failed: %w", err)
		p.t.miss(err)
		return err
	}
	p.conn = conn
	p.unwatch = context.AfterFunc(p.t.ctx, func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(patienceInAll*p.t.patience + p.t.idle))
	p.rc = newReceiver(conn, r.method, p.log)
	go p.rc.run()
	if p.c.connect {
		return nil
	}
	if !p.t.http2 {
		text := r.String()
		p.log.add(Sent, "handshake", []byte(text))
		p.put([]byte(text))
		if p.c.handmade {
			return nil // a step looks at the answer, and the chop is for the handshake
		}
		p.whole = len(text)
	}
	if p.c.joined {
		return nil
	}
	p.flush()
	p.first = 0
	return p.checkAnswer(p.awaitAnswer())
}

// checkAnswer demands that the server accepts.
func (p *player) checkAnswer(answer *http.Response) error {
	switch {
	case answer == nil:
		err := fmt.Errorf("%s in place of an answer to the handshake", p.got(nil))
		p.t.miss(err)
		return err
	case !accepted(answer):
		return fmt.Errorf("the handshake was answered with %s", answer.Status)
	}
	return p.checkSwitch()
}

// checkJoined demands a 101, or a refusal of data that came before it: a client
// "MUST wait for a response from the server before sending any further data"
// (RFC 6455, section 4.1).
func (p *player) checkJoined() (done bool, err error) {
	answer := p.awaitAnswer()
	if answer == nil && p.over != nil || answer != nil && answer.StatusCode == http.StatusBadRequest {
		p.demote(Informational, "the server refuses data that comes with the handshake")
		return true, nil
	}
	return false, p.checkAnswer(answer)
}

// checkSwitch checks an answer that accepts (RFC 6455, section 4.1).
func (p *player) checkSwitch() error {
	h := p.answer.Header
	r := p.c.handshake(p.t)
	err := checkTunnel(p.answer)
	if !p.t.http2 {
		err = checkUpgrade(p.answer, r)
	}
	if err != nil {
		return err
	}
	if chosen := h.Values("Sec-WebSocket-Protocol"); len(chosen) > 0 {
		offered := strings.Split(strings.Join(r.all("Sec-WebSocket-Protocol"), ","), ",")
		for i := range offered {
			offered[i] = strings.TrimSpace(offered[i])
		}
		if len(chosen) > 1 || !slices.Contains(offered, chosen[0]) || chosen[0] == "" {
			return fmt.Errorf("4.2.2: the subprotocol %q is none that was offered: %q", chosen, offered)
		}
	}
	if err := p.agreeOn(strings.Join(r.all("Sec-WebSocket-Extensions"), ",")); err != nil {
		return err
	}
	close(p.rc.switched)
	return nil
}

// checkUpgrade checks what a 101 has besides what was agreed on.
func checkUpgrade(answer *http.Response, r *request) error {
	h := answer.Header
	key := handshakeKey // of a request that the case makes itself, too
	if keys := r.all("Sec-WebSocket-Key"); len(keys) > 0 {
		key = keys[0]
	}
	if got, want := h.Values("Sec-WebSocket-Accept"), acceptKey(key); len(got) != 1 || got[0] != want {
		return fmt.Errorf("4.2.2: Sec-WebSocket-Accept is %q, want %q", got, want)
	}
	if !answer.ProtoAtLeast(1, 1) {
		return fmt.Errorf("RFC 9110, 15.2: a 101 in %s", answer.Proto)
	}
	if !strings.EqualFold(h.Get("Upgrade"), "websocket") {
		return fmt.Errorf("4.2.2: Upgrade is %q, want websocket", h.Get("Upgrade"))
	}
	if !hasToken(h.Values("Connection"), "upgrade") {
		return fmt.Errorf("4.2.2: Connection is %q, want Upgrade", h.Values("Connection"))
	}
	return nil
}

// all returns the values of the lines of a field.
func (r *request) all(name string) (values []string) {
	for _, field := range r.fields {
		if n, value, _ := strings.Cut(field, ":"); strings.EqualFold(n, name) {
			values = append(values, strings.TrimSpace(value))
		}
	}
	return values
}

func hasToken(lines []string, token string) bool {
	for element := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		if strings.EqualFold(strings.TrimSpace(element), token) {
			return true
		}
	}
	return false
}

var errDeclined = errors.New("the server does not speak the extension")

// expectAnswer waits for the answer to the handshake, or for another outcome.
func (p *player) expectAnswer(outcomes []outcome) (done bool, err error) {
	answer := p.awaitAnswer()
	i := slices.IndexFunc(outcomes, func(o outcome) bool { return p.answers(&o, answer) })
	if i < 0 {
		return true, fmt.Errorf("%s in place of %s", p.gotAnswer(), outcomes[0].text)
	}
	o := &outcomes[i]
	switch {
	case i > 0:
		p.demote(o.verdict, "%s where %s is best", p.gotAnswer(), outcomes[0].text)
	case answer != nil && !slices.Contains(o.codes, answer.StatusCode):
		p.demote(Pass, "%s where %s is best", p.gotAnswer(), o.text)
	}
	if answer == nil {
		return p.over != nil, nil
	}
	if accepted(answer) {
		err = p.checkSwitch()
	}
	// What follows is meant for the first outcome.
	return refuses(o.codes) != refuses(outcomes[0].codes), err
}

func (p *player) gotAnswer() string {
	if p.answer == nil {
		return p.got(nil)
	}
	return fmt.Sprintf("status %d", p.answer.StatusCode)
}

// answers reports whether the answer to the handshake is the outcome o. One
// refusal is as good as another.
func (p *player) answers(o *outcome, answer *http.Response) bool {
	if answer == nil || o.kind != wantHTTP {
		ok, _ := p.is(o, nil)
		return ok && answer == nil
	}
	return slices.Contains(o.codes, answer.StatusCode) || refuses(o.codes) && refuses([]int{answer.StatusCode})
}

// refuses reports whether all codes are those of refusals.
func refuses(codes []int) bool {
	return !slices.ContainsFunc(codes, func(code int) bool { return code < 400 || code > 599 })
}

func (p *player) awaitAnswer() *http.Response {
	p.answer = nil
	begun := time.Since(p.log.start)
	for p.answer == nil && p.over == nil {
		e := p.nextSince(begun, p.t.patience)
		if e == nil {
			break
		}
		p.take(e)
	}
	if p.answer != nil {
		p.t.missed.Store(0)
	}
	return p.answer
}

// expectHeader looks for a field in the answer that came last.
func (p *player) expectHeader(outcomes []outcome) error {
	want := outcomes[0]
	if len(want.codes) > 0 && !slices.Contains(want.codes, p.answer.StatusCode) {
		return nil // the field belongs to another status
	}
	lines := p.answer.Header.Values(want.name)
	wrong := fmt.Sprintf("the answer has no %s: %s", want.name, want.value)
	switch {
	case want.absent && len(lines) == 0, !want.absent && hasToken(lines, want.value):
		return nil
	case want.absent:
		wrong = fmt.Sprintf("the answer has %s: %s", want.name, strings.Join(lines, ", "))
	}
	if len(outcomes) > 1 {
		p.demote(outcomes[1].verdict, "%s", wrong)
		return nil
	}
	return errors.New(wrong)
}
