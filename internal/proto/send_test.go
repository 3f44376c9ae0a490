package proto

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/airlock-go/websocket/frame"
)

// An op is a call of Frame and the error that it must give. With the bit rsv1
// beside the opcode, as on the wire, it is one of Message for a message that was
// compressed, with checked one for a message that was not.
type op struct {
	op      frame.Opcode
	fin     bool
	payload string
	err     error
}

func (o op) checked() bool { return o.op&rsv1 != 0 }
func (o op) packed() bool  { return o.op&checked == rsv1 }

// opcode is what the frame has.
func (o op) opcode() frame.Opcode {
	if o.checked() {
		return o.op &^ checked
	}
	return o.op
}

// call makes the call, which must leave the header as it was if there is an error.
func (o op) call(s *Send, payload []byte) (h frame.Header, err error) {
	h = frame.Header{Opcode: o.opcode(), Fin: o.fin, RSV1: o.packed()}
	before := h
	if o.checked() {
		err = s.Message(&h, payload)
	} else {
		err = s.Frame(&h, payload)
	}
	if err != nil && h == before {
		h = frame.Header{}
	}
	return h, err
}

// header is what it must return if there is no error.
func (o op) header(role Role) frame.Header {
	return frame.Header{
		Fin:    o.fin,
		RSV1:   o.packed(),
		Opcode: o.opcode(),
		Masked: role == Client,
		Length: uint64(len(o.payload)),
	}
}

const (
	rsv1    = frame.Opcode(0x40)
	checked = rsv1 | 0x20

	cont = frame.Continuation
	text = frame.Text
	bin  = frame.Binary
	clos = frame.Close
	ping = frame.Ping
	pong = frame.Pong
)

// Behind every error there is something legal, to show that the error has
// changed nothing.
var sendTests = []struct {
	name string
	ops  []op
}{
	{"messages", []op{{text, true, "a€", nil}, {bin, true, "\xff", nil}, {text, true, "", nil}, {bin, true, "", nil}}},
	{"fragments", []op{{text, false, "a", nil}, {cont, false, "", nil}, {cont, true, "b", nil}, {bin, false, "\xff", nil}, {cont, true, "\xfe", nil}}},
	{"a character in pieces", []op{{text, false, "\xf0", nil}, {cont, false, "\x9d\x84", nil}, {cont, false, "", nil}, {cont, true, "\x9e", nil}}},
	{"control between fragments", []op{{text, false, "\xe2", nil}, {ping, true, "\xff", nil}, {cont, false, "\x82", nil}, {pong, true, "", nil}, {cont, true, "\xac", nil}}},
	{"largest control", []op{{ping, true, strings.Repeat("p", 125), nil}, {clos, true, "\x03\xe8" + strings.Repeat("r", 123), nil}}},
	{"close in a message", []op{{text, false, "\xe2", nil}, {clos, true, "\x03\xe9", nil}}},
	{"126 bytes", []op{{bin, true, strings.Repeat("x", 126), nil}}},
	{"65536 bytes", []op{{bin, false, strings.Repeat("x", 65536), nil}, {cont, true, "", nil}}},

	{"after a close", []op{{clos, true, "", nil}, {text, true, "a", ErrSendClosed}, {cont, true, "", ErrSendClosed}, {ping, true, "", ErrSendClosed},
		{pong, true, "", nil}, {clos, true, "", ErrSendClosed}, {11, true, "", ErrSendClosed}}},
	{"after a close in a message", []op{{bin, false, "a", nil}, {clos, true, "\x03\xe8", nil}, {cont, true, "b", ErrSendClosed}}},
	{"reserved opcodes", []op{{3, true, "", ErrSendOpcode}, {7, false, "a", ErrSendOpcode}, {11, true, "", ErrSendOpcode}, {15, true, "", ErrSendOpcode},
		{16, true, "", ErrSendOpcode}, {0x81, true, "a", ErrSendOpcode}, {191, true, "", ErrSendOpcode}, {text, true, "a", nil}}},
	{"compressed opcodes", []op{{rsv1 | cont, true, "", ErrSendOpcode}, {rsv1 | 3, true, "", ErrSendOpcode}, {rsv1 | clos, true, "", ErrSendOpcode},
		{rsv1 | ping, true, "", ErrSendOpcode}, {rsv1 | text, true, "a", nil}, {bin, false, "a", nil}, {rsv1 | cont, true, "", ErrSendOpcode}, {cont, true, "", nil}}},
	{"reserved opcode in a message", []op{{bin, false, "a", nil}, {4, true, "", ErrSendOpcode}, {cont, true, "b", nil}}},
	{"control fragmented", []op{{ping, false, "", ErrSendControl}, {pong, false, "a", ErrSendControl}, {clos, false, "\x03\xe8", ErrSendControl}, {clos, true, "", nil}}},
	{"control too long", []op{{ping, true, strings.Repeat("p", 126), ErrSendControl}, {pong, true, strings.Repeat("p", 65536), ErrSendControl},
		{clos, true, "\x03\xe8" + strings.Repeat("r", 124), ErrSendControl}, {text, true, "a", nil}}},
	{"close that may not be sent", []op{{clos, true, "\x03", ErrSendClose}, {clos, true, "\x03\xed", ErrSendClose}, {clos, true, "\x00\x00", ErrSendClose},
		{clos, true, "\x03\xe8\xff", ErrSendClose}, {clos, true, "\x03\xe8\xe2\x82", ErrSendClose}, {text, true, "a", nil}, {clos, true, "\x03\xe8ok", nil}}},
	{"nothing to continue", []op{{cont, false, "a", ErrSendContinue}, {cont, true, "", ErrSendContinue}, {text, true, "a", nil}, {cont, true, "b", ErrSendContinue},
		{text, false, "a", nil}, {cont, true, "", nil}, {cont, true, "", ErrSendContinue}}},
	{"unfinished", []op{{text, false, "\xe2", nil}, {text, true, "a", ErrSendUnfinished}, {bin, false, "a", ErrSendUnfinished}, {cont, true, "\x82\xac", nil}, {bin, true, "", nil}}},
	{"unfinished binary", []op{{bin, false, "a", nil}, {bin, true, "b", ErrSendUnfinished}, {text, true, "b", ErrSendUnfinished}, {cont, true, "\xff", nil}}},
	{"text not UTF-8", []op{{text, true, "a\xff", ErrSendText}, {text, false, "\xc0", ErrSendText}, {cont, true, "", ErrSendContinue}, {text, true, "a", nil}}},
	{"text that ends in a character", []op{{text, true, "a\xe2\x82", ErrSendText}, {text, false, "a\xe2\x82", nil}, {cont, true, "", ErrSendText}, {cont, true, "\xac", nil}}},
	{"wrong rest of a character", []op{{text, false, "\xf0\x9d", nil}, {cont, false, "a", ErrSendText}, {cont, true, "\x84", ErrSendText},
		{cont, false, "\x84\x84\xff", ErrSendText}, {cont, false, "\x84", nil}, {cont, true, "\x9e", nil}, {text, true, "b", nil}}},

	{"packed", []op{{rsv1 | text, true, "\xff", nil}, {text, true, "a", nil}, {rsv1 | bin, true, "", nil}, {ping, true, "", nil},
		{rsv1 | text, true, strings.Repeat("x", 126), nil}, {bin, false, "\xff", nil}, {cont, true, "", nil}, {rsv1 | bin, true, strings.Repeat("x", 65536), nil}}},
	{"packed, nothing to continue", []op{{rsv1 | text, true, "a", nil}, {cont, true, "b", ErrSendContinue}, {cont, false, "", ErrSendContinue}, {bin, true, "c", nil}}},
	{"packed in a message", []op{{bin, false, "a", nil}, {rsv1 | bin, true, "b", ErrSendUnfinished}, {cont, false, "c", nil}, {rsv1 | text, true, "", ErrSendUnfinished},
		{cont, true, "d", nil}, {rsv1 | bin, true, "e", nil}}},
	{"packed in a character", []op{{text, false, "\xe2\x82", nil}, {rsv1 | text, true, "\xac", ErrSendUnfinished}, {cont, true, "\xac", nil}, {rsv1 | text, true, "\xac", nil}}},
	{"packed after a close", []op{{rsv1 | text, true, "a", nil}, {clos, true, "\x03\xe8", nil}, {rsv1 | text, true, "b", ErrSendClosed}, {rsv1 | bin, true, "", ErrSendClosed}, {pong, true, "", nil}}},
	{"checked", []op{{checked | text, true, "a€", nil}, {text, true, "a", nil}, {checked | bin, true, "\xff", nil}, {checked | text, true, "", nil}, {rsv1 | bin, true, "\xff", nil},
		{checked | bin, true, strings.Repeat("x", 126), nil}, {bin, false, "\xff", nil}, {cont, true, "", nil}, {checked | text, true, strings.Repeat("x", 65536), nil}}},
	{"checked opcodes", []op{{checked | cont, true, "", ErrSendOpcode}, {checked | 3, true, "", ErrSendOpcode}, {checked | clos, true, "", ErrSendOpcode},
		{checked | ping, true, "", ErrSendOpcode}, {checked | pong, true, "", ErrSendOpcode}, {checked | text, true, "a", nil}}},
	{"checked, nothing to continue", []op{{checked | text, true, "a", nil}, {cont, true, "b", ErrSendContinue}, {checked | bin, true, "c", nil}}},
	{"checked in a message", []op{{bin, false, "a", nil}, {checked | bin, true, "b", ErrSendUnfinished}, {checked | text, true, "", ErrSendUnfinished}, {checked | cont, true, "", ErrSendOpcode},
		{cont, true, "d", nil}, {checked | text, true, "e", nil}}},
	{"checked in a character", []op{{text, false, "\xe2\x82", nil}, {checked | text, true, "a", ErrSendUnfinished}, {cont, true, "\xac", nil}, {checked | text, true, "€", nil}}},
	{"checked after a close", []op{{checked | text, true, "a", nil}, {clos, true, "\x03\xe8", nil}, {checked | text, true, "b", ErrSendClosed}, {checked | bin, true, "", ErrSendClosed},
		{checked | ping, true, "", ErrSendClosed}, {pong, true, "", nil}}},
	{"packed after a close in a message", []op{{text, false, "a", nil}, {clos, true, "", nil}, {rsv1 | text, true, "b", ErrSendClosed}}},
}

func TestSend(t *testing.T) {
	for _, tt := range sendTests {
		for _, role := range []Role{Server, Client} {
			t.Run(to[peer[role]]+"/"+tt.name, func(t *testing.T) {
				testSend(t, role, tt.ops)
			})
		}
	}
}

var peer = map[Role]Role{Server: Client, Client: Server}

// testSend makes the calls and holds each against the error it must give, the
// state that must follow, and what a Recv at the other end makes of the frame.
func testSend(t *testing.T, role Role, ops []op) {
	t.Helper()
	send := Send{Role: role}
	m := model{}
	p := &player{t: t, recv: Recv{Role: peer[role], Deflate: true}}
	var want []string
	for i, o := range ops {
		before := send
		h, err := o.call(&send, []byte(o.payload))
		if err != o.err {
			t.Fatalf("call %d, %v fin %v %.20q: error %v, want %v", i, o.op, o.fin, o.payload, err, o.err)
		}
		if err != nil {
			if send != before || h != (frame.Header{}) {
				t.Fatalf("call %d, %v: error %v, but the state went from %+v to %+v, header %v", i, o.op, err, before, send, h)
			}
			continue
		}
		dropped := m.closed // a Recv takes nothing behind a close frame
		m.send(o)
		if send.Open() != m.open {
			t.Fatalf("call %d, %v: Open() = %v, want %v", i, o.op, send.Open(), m.open)
		}
		if wanted := o.header(role); h != wanted {
			t.Fatalf("call %d: header %v, want %v", i, h, wanted)
		}
		if o.checked() && send != before {
			t.Fatalf("call %d: a checked message took the state from %+v to %+v", i, before, send)
		}
		if !dropped {
			want = append(want, m.event(o))
		}
		b := transmit(h, o.payload, byte(i))
		n, v := p.step(b)
		if v != nil || n != len(b) {
			t.Fatalf("call %d, %v fin %v %q: Recv took %d of %d, violation %v", i, o.op, o.fin, o.payload, n, len(b), v)
		}
	}
	if !slices.Equal(p.events, want) {
		t.Fatalf("sent %q, received %q", want, p.events)
	}
}

// transmit is what a connection does with a header and its payload.
func transmit(h frame.Header, payload string, seed byte) []byte {
	if h.Masked {
		h.Key = [4]byte{seed, 0x5a, ^seed, 1}
	}
	b := frame.Append(nil, h)
	n := len(b)
	b = append(b, payload...)
	if h.Masked {
		frame.Mask(b[n:], h.Key, 0)
	}
	return b
}

// model is Send without an eye to time or memory: it keeps the whole text.
type model struct {
	open   frame.Opcode
	typ    frame.Opcode // of the last message
	text   []byte
	closed bool
}

// legal returns the error that o must give.
func (m *model) legal(o op) error {
	typ := o.op
	if typ == cont {
		typ = m.open
	}
	all := string(m.text) + o.payload
	switch {
	case m.closed && o.op != pong:
		return ErrSendClosed
	case o.checked() && o.opcode() != text && o.opcode() != bin:
		return ErrSendOpcode
	case o.checked() && m.open != 0:
		return ErrSendUnfinished
	case o.checked():
		return nil
	case !slices.Contains([]frame.Opcode{cont, text, bin, clos, ping, pong}, o.op):
		return ErrSendOpcode
	case o.op >= 8 && (!o.fin || len(o.payload) > 125):
		return ErrSendControl
	case o.op == clos && o.payload != "" && !(len(o.payload) >= 2 &&
		isSendable(int(o.payload[0])<<8+int(o.payload[1])) && utf8.ValidString(o.payload[2:])):
		return ErrSendClose
	case o.op == cont && m.open == 0:
		return ErrSendContinue
	case (o.op == text || o.op == bin) && m.open != 0:
		return ErrSendUnfinished
	case typ == text && (!mayBecome([]byte(all)) || o.fin && !utf8.ValidString(all)):
		return ErrSendText
	}
	return nil
}

// send takes o, which is legal.
func (m *model) send(o op) {
	if o.op == text || o.op == bin {
		m.typ = o.op
	}
	switch {
	case o.checked():
	case o.op == clos:
		m.closed = true
	case o.op >= 8:
	case o.fin:
		m.open, m.text = 0, nil
	default:
		if m.open = m.typ; m.open == text {
			m.text = append(m.text, o.payload...)
		}
	}
}

// TestEverySendError: none that send.go declares is left out of the table.
func TestEverySendError(t *testing.T) {
	var reached []string
	for _, tt := range sendTests {
		for _, o := range tt.ops {
			if o.err != nil {
				reached = append(reached, o.err.Error())
			}
		}
	}
	for name, text := range declared(t, "send.go") {
		if !slices.Contains(reached, text) {
			t.Errorf("no row has %s", name)
		}
	}
}

// TestSendModel: the model that the fuzzer trusts agrees with the table.
func TestSendModel(t *testing.T) {
	for _, tt := range sendTests {
		m := model{}
		for i, o := range tt.ops {
			if err := m.legal(o); err != o.err {
				t.Errorf("%s: call %d: model says %v, table %v", tt.name, i, err, o.err)
			}
			if o.err == nil {
				m.send(o)
			}
		}
	}
}

func TestSendAllocs(t *testing.T) {
	for _, tt := range sendTests {
		payloads := make([][]byte, len(tt.ops))
		for i, o := range tt.ops {
			payloads[i] = []byte(o.payload)
		}
		allocs := testing.AllocsPerRun(5, func() {
			send := Send{Role: Client}
			for i, o := range tt.ops {
				o.call(&send, payloads[i])
			}
		})
		if allocs != 0 {
			t.Errorf("%s: the calls allocate %v times", tt.name, allocs)
		}
	}
}

// event writes o, which was sent last, as a player would write it.
func (m *model) event(o op) string {
	switch {
	case o.packed():
		return fmt.Sprintf("packed %v %q.", o.opcode(), o.payload)
	case o.checked():
		return fmt.Sprintf("%v %q.", o.opcode(), o.payload)
	case o.op == clos && o.payload == "":
		return `close 1005 ""`
	case o.op == clos:
		return fmt.Sprintf("close %d %q", int(o.payload[0])<<8+int(o.payload[1]), o.payload[2:])
	case o.op >= 8:
		return fmt.Sprintf("%v %q", o.op, o.payload)
	case o.fin:
		return fmt.Sprintf("%v %q.", m.typ, o.payload)
	}
	return fmt.Sprintf("%v %q/", m.typ, o.payload)
}
