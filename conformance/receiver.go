package conformance

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/airlock-go/websocket/frame"
)

// An event is something that came from the server.
type event struct {
	kind   eventKind
	op     frame.Opcode
	data   []byte         // of a message, a ping or a pong
	code   int            // of a close frame; noStatus without one
	wrong  string         // what the server must not have sent
	err    error          // how TCP ended
	answer *http.Response // its body is not for reading
}

type eventKind int

const (
	evAnswer eventKind = iota // to the handshake
	evMessage
	evPing
	evPong
	evClose
	evEnd   // of TCP
	evWrong // a frame that must not be
)

// noStatus stands for a close frame without a code (RFC 6455, section 7.1.5).
const noStatus = 1005

// receiver turns what comes into events, in a goroutine of its own.
type receiver struct {
	br     *bufio.Reader
	method string // of the request that is answered
	log    *dialogue
	events queue
	stop   chan struct{} // closed when nobody waits for events any more

	switched chan struct{}             // closed when agreed says what the handshake has agreed on
	agreed   atomic.Pointer[agreement] // nil: no compression
	inflater inflater
	closing  atomic.Bool // the server has sent a close frame

	last   atomic.Int64 // when bytes of messages came last, in nanoseconds since log.start
	inData bool         // a message is being read

	// The message under way.
	begun      bool
	op         frame.Opcode
	data       []byte
	compressed bool
}

// queue holds events until somebody asks for them. It has no limit that matters,
// so that a server that echoes never waits for a client that is still sending.
type queue struct {
	mu     sync.Mutex
	events []event
	more   chan struct{}
}

const maxEvents = 100_000

func (q *queue) put(e event) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.events) > maxEvents {
		return io.ErrShortBuffer
	}
	q.events = append(q.events, e)
	select {
	case q.more <- struct{}{}:
	default:
	}
	return nil
}

// get returns the next event, if it comes within d.
func (q *queue) get(d time.Duration) *event {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		q.mu.Lock()
		if len(q.events) > 0 {
			e := q.events[0]
			q.events = q.events[1:]
			q.mu.Unlock()
			return &e
		}
		q.mu.Unlock()
		select {
		case <-q.more:
		case <-timer.C:
			return nil
		}
	}
}

// lively notes the signs of life.
type lively struct {
	io.Reader
	of *receiver
}

func (l lively) Read(b []byte) (int, error) {
	n, err := l.Reader.Read(b)
	if l.of.inData {
		l.of.last.Store(int64(time.Since(l.of.log.start)))
	}
	return n, err
}

func newReceiver(r io.Reader, method string, log *dialogue) *receiver {
	rc := &receiver{method: method, log: log, stop: make(chan struct{}), switched: make(chan struct{})}
	rc.events.more = make(chan struct{}, 1)
	rc.br = bufio.NewReaderSize(lively{r, rc}, 64<<10)
	return rc
}

// run delivers events until the end of TCP, which is the last.
func (rc *receiver) run() {
	err := rc.readAnswer()
	for err == nil {
		err = rc.readFrame()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = violation(fmt.Sprintf("the server was not done after %v", time.Since(rc.log.start).Round(time.Second)))
	}
	var w violation
	if errors.As(err, &w) {
		rc.log.add(Remark, string(w), nil)
		rc.events.put(event{kind: evWrong, wrong: string(w)})
		return
	}
	if !errors.Is(err, net.ErrClosed) { // which is the end of the trial
		rc.log.add(Received, "end of TCP"+endText(err), nil)
	}
	rc.events.put(event{kind: evEnd, err: err})
}

// endText says how TCP ended, if not as it should.
func endText(err error) string {
	if errors.Is(err, io.EOF) {
		return ""
	}
	return fmt.Sprintf(" (%v)", err)
}

// A violation is what a server must not send.
type violation string

func (v violation) Error() string { return string(v) }

const maxBody = 1 << 20 // of an answer that refuses

// peekFields returns the fields of the answer to come as they are. ReadResponse
// keeps some for itself.
func (rc *receiver) peekFields() http.Header {
	for n := 1; ; n = max(n+1, rc.br.Buffered()) {
		b, err := rc.br.Peek(n)
		head, _, whole := bytes.Cut(b, []byte("\r\n\r\n"))
		if !whole && err == nil {
			continue
		}
		_, lines, _ := strings.Cut(string(head)+"\r\n\r\n", "\n")
		fields, _ := textproto.NewReader(bufio.NewReader(strings.NewReader(lines))).ReadMIMEHeader()
		return http.Header(fields)
	}
}

func (rc *receiver) readAnswer() error {
	fields := rc.peekFields() // what is wrong with them shows in the next line
	resp, err := http.ReadResponse(rc.br, &http.Request{Method: rc.method})
	var network net.Error
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return io.EOF
	case errors.Is(err, io.EOF), errors.As(err, &network):
		return err
	case err != nil:
		return violation(fmt.Sprintf("the server's answer is not HTTP: %v", err))
	}
	resp.Header = fields
	rc.log.add(Received, resp.Proto+" "+resp.Status, []byte(headerText(resp.Header)))
	err = rc.events.put(event{kind: evAnswer, answer: resp})
	if err != nil || resp.StatusCode == http.StatusSwitchingProtocols {
		return err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if len(body) > 0 {
		rc.log.add(Received, "body, "+byteCount(len(body)), body)
	}
	if err != nil {
		return err
	}
	return rc.readAnswer() // there is no other, unless one was asked for behind the first
}

func (rc *receiver) readFrame() error {
	h, err := rc.readHeader()
	if err != nil {
		return err
	}
	if err := rc.check(h); err != nil {
		return err
	}
	rc.inData = !h.Opcode.IsControl()
	data, err := readN(rc.br, h.Length)
	rc.inData = false
	rc.log.add(Received, describe(h), data)
	if err != nil {
		return err
	}
	if h.Opcode.IsControl() {
		return rc.control(h.Opcode, data)
	}
	return rc.message(h, data)
}

func (rc *receiver) readHeader() (h frame.Header, err error) {
	for n := 2; ; n++ {
		b, err := rc.br.Peek(n)
		if err != nil {
			return h, err
		}
		h, size, err := frame.Parse(b)
		if err != nil {
			return h, violation(fmt.Sprintf("5.2: the server sent a frame whose header is wrong: %v", err))
		}
		if size > 0 {
			rc.br.Discard(size)
			return h, nil
		}
	}
}

// check looks for what no server may send, whatever the case is.
func (rc *receiver) check(h frame.Header) error {
	wrong := func(text string) error { return violation(text + ": " + describe(h)) }
	control := h.Opcode.IsControl()
	if h.RSV1 {
		select { // before the handshake is judged, nobody knows
		case <-rc.switched:
		case <-rc.stop:
		}
	}
	switch {
	case h.Masked:
		return wrong("5.1: a server must not mask")
	case h.Opcode.IsReserved():
		return wrong("5.2: the server sent a reserved opcode")
	case h.RSV2 || h.RSV3 || h.RSV1 && (rc.agreed.Load() == nil || control || h.Opcode == frame.Continuation):
		return wrong("5.2: the server sent a reserved bit that nothing gives a meaning")
	case control && (!h.Fin || h.Length > frame.MaxControlPayload):
		return wrong("5.5: control frames are whole and have at most 125 bytes")
	case !control && rc.begun != (h.Opcode == frame.Continuation):
		return wrong("5.4: fragments out of turn")
	case rc.closing.Load():
		return wrong("5.5.1: the server sent a frame behind its close frame")
	case h.Length > 1<<30:
		return wrong("the server announced a payload that nobody asked for")
	}
	return nil
}

func (rc *receiver) control(op frame.Opcode, data []byte) error {
	switch op {
	case frame.Ping:
		return rc.events.put(event{kind: evPing, data: data})
	case frame.Pong:
		return rc.events.put(event{kind: evPong, data: data})
	}
	code := noStatus
	switch {
	case len(data) == 1:
		return violation("5.5.1: the server sent a close frame with half a code")
	case len(data) >= 2:
		code = int(data[0])<<8 | int(data[1])
		if !utf8.Valid(data[2:]) {
			return violation("5.5.1: the reason in the server's close frame is not UTF-8")
		}
		if !sendable(code) {
			return violation(fmt.Sprintf("7.4: the server sent a close frame with the code %d", code))
		}
	}
	rc.closing.Store(true)
	return rc.events.put(event{kind: evClose, code: code})
}

// sendable reports whether a code may stand in a close frame. Those that are
// reserved for a later time may: a server may send back what it received.
func sendable(code int) bool {
	return code >= 1000 && code <= 4999 && code != noStatus && code != 1006 && code != 1015
}

func (rc *receiver) message(h frame.Header, data []byte) error {
	if !rc.begun {
		rc.begun, rc.op, rc.data, rc.compressed = true, h.Opcode, nil, h.RSV1
	}
	rc.data = append(rc.data, data...)
	if !h.Fin {
		return nil
	}
	rc.begun = false
	if rc.compressed {
		plain, err := rc.inflater.message(rc.agreed.Load(), rc.data)
		if err != nil {
			return violation(fmt.Sprintf("RFC 7692, 7.2.2: what the server compressed cannot be read: %v", err))
		}
		rc.log.add(Remark, fmt.Sprintf("inflated, %s", byteCount(len(plain))), plain)
		rc.data = plain
	}
	if rc.op == frame.Text && !utf8.Valid(rc.data) {
		return violation("5.6: the server sent text that is not UTF-8")
	}
	return rc.events.put(event{kind: evMessage, op: rc.op, data: rc.data})
}

// readN reads n bytes into memory that grows with what comes.
func readN(r io.Reader, n uint64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err == nil && uint64(len(b)) < n {
		err = io.EOF
	}
	return b, err
}
