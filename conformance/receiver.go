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
	"github.com/airlock-go/websocket/internal/wstest"
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
	stream *wstest.H2Stream // over HTTP/2
	method string           // of the request that is answered
	log    *dialogue
	events queue
	stop   chan struct{} // closed when nobody waits for events any more

	switched chan struct{}             // closed when agreed says what the handshake has agreed on
	agreed   atomic.Pointer[agreement] // nil: no compression
	inflater inflater
	closing  atomic.Bool // the server has sent a close frame

	last   atomic.Int64 // when bytes of messages came last, in nanoseconds since log.start
	inData bool         // a message is being read
	volume int          // bytes received and inflated
	open   bool         // the answer has accepted; frames follow

	// The message under way.
	begun      bool
	op         frame.Opcode
	data       []byte
	compressed bool
}

// queue holds events until somebody asks for them. It has no limit of its own,
// so that a server that echoes never waits for a client that is still sending.
type queue struct {
	mu     sync.Mutex
	events []event
	more   chan struct{}
}

func (q *queue) put(e event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.events = append(q.events, e)
	select {
	case q.more <- struct{}{}:
	default:
	}
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

// What is more than any case asks for. Nobody wants to hold what a server sends
// without an end.
const (
	maxFrames = 200_000
	maxVolume = 40 << 20
)

var errFlood = violation("the server sent far more than anybody asked for")

// lively notes the signs of life.
type lively struct {
	io.Reader
	of *receiver
}

func (l lively) Read(b []byte) (int, error) {
	if l.of.volume > maxVolume {
		return 0, errFlood
	}
	n, err := l.Reader.Read(b)
	l.of.volume += n
	if l.of.inData {
		l.of.last.Store(int64(time.Since(l.of.log.start)))
	}
	return n, err
}

func newReceiver(conn net.Conn, method string, log *dialogue) *receiver {
	rc := &receiver{method: method, log: log, stop: make(chan struct{}), switched: make(chan struct{})}
	rc.events.more = make(chan struct{}, 1)
	rc.br = bufio.NewReaderSize(lively{conn, rc}, 64<<10)
	if t, ok := conn.(tunnel); ok {
		rc.stream = t.H2Stream
	}
	return rc
}

// run delivers events until the end of TCP, which is the last.
func (rc *receiver) run() {
	var err error
	for n := 0; err == nil; n++ {
		switch {
		case n > maxFrames:
			err = errFlood
		case rc.open:
			err = rc.readFrame()
		case rc.stream != nil:
			err = rc.readStreamAnswer()
		default:
			err = rc.readAnswer()
		}
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
func (rc *receiver) peekFields() (http.Header, error) {
	for n := 1; ; n = max(n+1, rc.br.Buffered()) {
		b, err := rc.br.Peek(n)
		head, _, whole := bytes.Cut(b, []byte("\r\n\r\n"))
		switch {
		case bytes.Contains(head, []byte("\n\n")):
			return nil, violation("RFC 9112, 2.1: lines of the server's answer end with LF alone")
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, violation("the head of the server's answer has no end")
		case !whole && err == nil:
			continue
		}
		_, lines, _ := strings.Cut(string(head)+"\r\n\r\n", "\n")
		// What is wrong with them ReadResponse will tell.
		fields, _ := textproto.NewReader(bufio.NewReader(strings.NewReader(lines))).ReadMIMEHeader()
		return http.Header(fields), nil
	}
}

// readAnswer reads an answer, and passes over those that are not the last: "A
// client MUST be able to parse one or more 1xx responses received prior to a
// final response" (RFC 9110, section 15.2).
func (rc *receiver) readAnswer() error {
	fields, err := rc.peekFields()
	if err != nil {
		return err
	}
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
	return rc.answered(resp)
}

// answered delivers an answer, and reads its body if it refuses.
func (rc *receiver) answered(resp *http.Response) error {
	rc.log.add(Received, resp.Proto+" "+resp.Status, []byte(headerText(resp.Header)))
	rc.open = accepted(resp)
	if resp.StatusCode < 200 && !rc.open {
		return nil
	}
	rc.events.put(event{kind: evAnswer, answer: resp})
	if rc.open {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if len(body) > 0 {
		rc.log.add(Received, "body, "+byteCount(len(body)), body)
	}
	return err
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
	e := &event{kind: evPong, data: data}
	switch {
	case h.Opcode == frame.Close:
		e, err = rc.close(data)
	case h.Opcode == frame.Ping:
		e.kind = evPing
	case !h.Opcode.IsControl():
		e, err = rc.message(h, data)
	}
	if e != nil {
		rc.events.put(*e)
	}
	return err
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
	case h.Length > maxVolume:
		return wrong("the server announced a payload that nobody asked for")
	}
	return nil
}

// close reads the payload of a close frame.
func (rc *receiver) close(data []byte) (*event, error) {
	code := noStatus
	switch {
	case len(data) == 1:
		return nil, violation("5.5.1: the server sent a close frame with half a code")
	case len(data) >= 2:
		code = int(data[0])<<8 | int(data[1])
		if !utf8.Valid(data[2:]) {
			return nil, violation("5.5.1: the reason in the server's close frame is not UTF-8")
		}
		if !sendable(code) {
			return nil, violation(fmt.Sprintf("7.4: the server sent a close frame with the code %d", code))
		}
	}
	rc.closing.Store(true)
	return &event{kind: evClose, code: code}, nil
}

// sendable reports whether a code may stand in a close frame. Those that are
// reserved for a later time may: a server may send back what it received.
func sendable(code int) bool {
	return code >= 1000 && code <= 4999 && code != noStatus && code != 1006 && code != 1015
}

// message adds a frame to the message under way, and returns it if it is whole.
func (rc *receiver) message(h frame.Header, data []byte) (*event, error) {
	if !rc.begun {
		rc.begun, rc.op, rc.data, rc.compressed = true, h.Opcode, nil, h.RSV1
	}
	rc.data = append(rc.data, data...)
	if !h.Fin {
		return nil, nil
	}
	rc.begun = false
	if rc.compressed {
		plain, err := rc.inflater.message(rc.agreed.Load(), rc.data)
		rc.volume += len(plain)
		if errors.Is(err, errFlood) {
			return nil, err
		}
		if err != nil {
			return nil, violation(fmt.Sprintf("RFC 7692, 7.2.2: what the server compressed cannot be read: %v", err))
		}
		rc.log.add(Remark, fmt.Sprintf("inflated, %s", byteCount(len(plain))), plain)
		rc.data = plain
	}
	if rc.op == frame.Text && !utf8.Valid(rc.data) {
		return nil, violation("5.6: the server sent text that is not UTF-8")
	}
	return &event{kind: evMessage, op: rc.op, data: rc.data}, nil
}

// readN reads n bytes into memory that grows with what comes.
func readN(r io.Reader, n uint64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err == nil && uint64(len(b)) < n {
		err = io.EOF
	}
	return b, err
}
