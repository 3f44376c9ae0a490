package proto

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/airlock-go/websocket/frame"
)

// A fr is a frame as a server sends it. To a server it goes masked.
type fr struct {
	head string
	body string
	flip bool // masked when it must not be, not masked when it must
}

// f is a frame with the first byte b0 and a length that fits.
func f(b0 byte, body string) fr {
	head := frame.Append(nil, frame.Header{Length: uint64(len(body))})
	head[0] = b0
	return fr{head: string(head), body: body}
}

var to = map[Role]string{Server: "to a server", Client: "to a client"}

// wire returns what the frames are on their way to an end with the role. No two
// frames that follow each other have the same key.
func wire(role Role, frames []fr) []byte {
	var b []byte
	for i, f := range frames {
		if f.flip == (role == Server) {
			b = append(append(b, f.head...), f.body...)
			continue
		}
		key := [4]byte{0x37 + byte(i), 0xfa, 0x21 ^ byte(i), 0x3d}
		start := len(b)
		b = append(append(b, f.head...), key[:]...)
		b[start+1] |= 0x80
		for j := range len(f.body) {
			b = append(b, f.body[j]^key[j%4])
		}
	}
	return b
}

// A player is what uses a Recv: it feeds it, checks what it promises about
// every single call, and writes down what the calls amount to.
type player struct {
	t      *testing.T
	recv   Recv
	direct bool // payloads pass by Next where they can
	events []string

	header frame.Header // of the data frame under way
	typ    frame.Opcode
	packed bool
	body   []byte // of the data frame under way; nil between frames
	closed bool
}

// play feeds b in the pieces that chop asks for, and returns the events and the
// violation. Pieces of one frame are one event; those of a frame in which a
// violation comes to light are none, because how many there are before depends
// on the pieces.
func play(t *testing.T, recv Recv, b []byte, direct bool, chop func(rest int) int) ([]string, *Violation) {
	t.Helper()
	p := &player{t: t, recv: recv, direct: direct, packed: recv.packed}
	var buf []byte
	for len(b) > 0 {
		n := min(max(chop(len(b)), 1), len(b))
		buf, b = append(bytes.Clone(buf), b[:n]...), b[n:]
		for {
			n, v := p.step(buf)
			if v != nil {
				return p.events, v
			}
			if buf = buf[n:]; n == 0 {
				break
			}
		}
	}
	if p.body != nil {
		p.endFrame("…")
	}
	return p.events, nil
}

// step takes one event from b.
func (p *player) step(b []byte) (int, *Violation) {
	p.t.Helper()
	left, given := p.recv.Left(), bytes.Clone(b)
	if p.direct && left > 0 {
		part := b[:min(left, uint64(len(b)))]
		v := p.recv.Payload(part)
		if v == nil {
			p.untouched(b, given, 0, len(part))
			p.data(part, left)
		}
		return len(part), v
	}
	ev, n, v := next(&p.recv, b)
	if v != nil {
		if n != 0 || !reflect.DeepEqual(ev, Event{}) {
			p.t.Fatalf("Next(% x) = %+v, %d with violation %v", given, ev, n, v)
		}
		return 0, v
	}
	if n < 0 || n > len(b) || len(ev.Payload) > n {
		p.t.Fatalf("Next(% x) took %d bytes and gave %d", given, n, len(ev.Payload))
	}
	p.untouched(b, given, n-len(ev.Payload), n)
	if len(ev.Payload) > 0 && &ev.Payload[0] != &b[n-len(ev.Payload)] {
		p.t.Fatalf("Next(% x): the payload is not where its bytes are", given)
	}
	if ev.Kind == None {
		p.none(ev, len(b), n)
		return n, nil
	}
	if n == 0 {
		p.t.Fatalf("Next(% x) = %+v, without taking a byte", given, ev)
	}
	header := p.header
	if left == 0 {
		header, _, _ = frame.Parse(given)
	}
	if ev.Header == nil || *ev.Header != header {
		p.t.Fatalf("Next(% x): header %v, want %v", given, ev.Header, header)
	}
	if ev.Kind == Control {
		p.control(ev)
		return n, nil
	}
	if left == 0 {
		p.header, p.typ, p.body = header, ev.Type, []byte{}
		if left = header.Length; header.Opcode != frame.Continuation {
			p.packed = header.RSV1
		}
	}
	want := Event{Kind: Data, Header: &header, Payload: ev.Payload, Type: p.typ, Compressed: p.packed,
		FrameEnd: p.recv.Left() == 0, MessageEnd: p.recv.Open() == 0}
	if !reflect.DeepEqual(ev, want) {
		p.t.Fatalf("Next(% x) = %+v, want %+v", given, ev, want)
	}
	p.data(ev.Payload, left)
	return n, nil
}

// untouched: Recv unmasks what it hands out and changes nothing else.
func (p *player) untouched(b, given []byte, from, to int) {
	p.t.Helper()
	if !bytes.Equal(b[:from], given[:from]) || !bytes.Equal(b[to:], given[to:]) {
		p.t.Fatalf("Recv changed more than bytes %d to %d of % x: % x", from, to, given, b)
	}
}

func (p *player) none(ev Event, size, n int) {
	p.t.Helper()
	want := 0
	if p.closed {
		want = size
	}
	if n != want || !reflect.DeepEqual(ev, Event{}) {
		p.t.Fatalf("Next of %d bytes = %+v, %d, want nothing, %d", size, ev, n, want)
	}
	// "a buffer of MaxHeaderSize + MaxControlPayload bytes always does"
	if n == 0 && size >= frame.MaxHeaderSize+frame.MaxControlPayload {
		p.t.Fatalf("Next wants more than %d bytes", size)
	}
}

func (p *player) control(ev Event) {
	p.t.Helper()
	want := Event{Kind: Control, Header: ev.Header, Payload: ev.Payload, Code: ev.Code, Reason: ev.Reason}
	text := fmt.Sprintf("%v %q", ev.Header.Opcode, ev.Payload)
	if ev.Header.Opcode == frame.Close {
		text = fmt.Sprintf("close %d %q", ev.Code, ev.Reason)
		if p.closed = true; len(ev.Payload) > 0 {
			want.Reason = ev.Payload[2:]
			want.Code = uint16(ev.Payload[0])<<8 | uint16(ev.Payload[1])
		} else {
			want.Reason, want.Code = nil, 1005
		}
	} else {
		want.Code, want.Reason = 0, nil
	}
	if !reflect.DeepEqual(ev, want) || uint64(len(ev.Payload)) != ev.Header.Length {
		p.t.Fatalf("control event %+v, want %+v", ev, want)
	}
	p.events = append(p.events, text)
}

// data takes a piece of the data frame under way, of which left was to come.
func (p *player) data(piece []byte, left uint64) {
	p.t.Helper()
	if now := p.recv.Left(); now != left-uint64(len(piece)) {
		p.t.Fatalf("%d bytes to come, then a piece of %d, then %d", left, len(piece), now)
	}
	p.body = append(p.body, piece...)
	switch open := p.recv.Open(); {
	case p.recv.Left() > 0 && open == p.typ:
	case p.recv.Left() > 0:
		p.t.Fatalf("in a %v frame Open() = %v", p.typ, open)
	case p.header.Fin && open == 0:
		p.endFrame(".")
	case !p.header.Fin && open == p.typ:
		p.endFrame("/")
	default:
		p.t.Fatalf("at the end of a %v frame with fin %v Open() = %v", p.typ, p.header.Fin, open)
	}
}

func (p *player) endFrame(mark string) {
	event := fmt.Sprintf("%v %q%s", p.typ, p.body, mark)
	if p.packed {
		event = "packed " + event
	}
	p.events = append(p.events, event)
	p.body = nil
}

func whole(rest int) int { return rest }
func bytewise(int) int   { return 1 }

// cutAt is whole but for a cut at n.
func cutAt(n int) func(int) int {
	return func(rest int) int {
		first := n
		n = rest
		return first
	}
}

// testPlay checks that b gives the events and the violation, however it is cut.
func testPlay(t *testing.T, recv Recv, b []byte, want []string, err *Violation) {
	t.Helper()
	check := func(how string, direct bool, chop func(int) int) {
		t.Helper()
		events, v := play(t, recv, b, direct, chop)
		if !slices.Equal(events, want) || v != err {
			t.Errorf("%s, direct %v: % x\ngot  %s, violation %v\nwant %s, violation %v", how, direct, b,
				strings.Join(events, ", "), v, strings.Join(want, ", "), err)
		}
	}
	for _, direct := range []bool{false, true} {
		check("whole", direct, whole)
		check("one byte at a time", direct, bytewise)
		for i := 1; i < len(b); i++ {
			check(fmt.Sprintf("cut at %d", i), direct, cutAt(i))
		}
	}
}

func TestRecv(t *testing.T) {
	for _, tt := range dialogues {
		for _, role := range tt.roles() {
			t.Run(to[role]+"/"+tt.name, func(t *testing.T) {
				b := wire(role, tt.frames)
				testPlay(t, tt.recv(role), b, tt.want, tt.err)

				for i := range b {
					events, v := play(t, tt.recv(role), b[:i], false, whole)
					again, u := play(t, tt.recv(role), b[:i], false, bytewise)
					if !slices.Equal(events, again) || u != v {
						t.Errorf("% x\nwhole          %q, violation %v\nbyte by byte %q, violation %v", b[:i], events, v, again, u)
					}
					if v != nil && v != tt.err {
						t.Errorf("% x: violation %v, in full %v", b[:i], v, tt.err)
					}
				}
			})
		}
	}
}

// TestRecvDeflateUnused: that messages may be compressed changes nothing for
// those that are not.
func TestRecvDeflateUnused(t *testing.T) {
	for _, tt := range dialogues {
		if tt.start.Deflate || tt.err == ErrReservedBit {
			continue
		}
		for _, role := range tt.roles() {
			t.Run(to[role]+"/"+tt.name, func(t *testing.T) {
				recv := tt.recv(role)
				recv.Deflate = true
				testPlay(t, recv, wire(role, tt.frames), tt.want, tt.err)
			})
		}
	}
}

// TestRecvLengths plays frames that are too long to be cut everywhere.
func TestRecvLengths(t *testing.T) {
	for _, role := range []Role{Server, Client} {
		for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536} {
			body := strings.Repeat("0123456789", n/10+1)[:n]
			b := wire(role, []fr{f(0x81, body), f(0x89, "behind")})
			want := []string{fmt.Sprintf("text %q.", body), `ping "behind"`}
			for _, at := range []int{1, 2, 3, 4, 8, 9, 10, 13, 14, 15, 2061, 2062, len(b) - 13, len(b) - 9, len(b) - 1, len(b)} {
				if at < 1 || at > len(b) {
					continue
				}
				for _, direct := range []bool{false, true} {
					events, v := play(t, Recv{Role: role}, b, direct, cutAt(at))
					if !slices.Equal(events, want) || v != nil {
						t.Errorf("%s, %d bytes, cut at %d, direct %v: other events, or violation %v", to[role], n, at, direct, v)
					}
				}
			}
		}
	}
}

// TestRecvFirstTwo takes all values of the first two bytes in all states. A
// wrong frame is refused with these, and the same way when more has come.
func TestRecvFirstTwo(t *testing.T) {
	rest := strings.Repeat("\x01", frame.MaxHeaderSize+frame.MaxControlPayload)
	for _, state := range []Recv{
		{}, {open: frame.Text}, {open: frame.Binary},
		{Deflate: true}, {Deflate: true, open: frame.Text}, {Deflate: true, open: frame.Binary, packed: true},
	} {
		for _, role := range []Role{Server, Client} {
			state.Role = role
			for i := range 1 << 16 {
				testFirstTwo(t, state, []byte{byte(i >> 8), byte(i)}, rest)
			}
		}
	}
}

func testFirstTwo(t *testing.T, state Recv, two []byte, rest string) {
	t.Helper()
	wrong := wrongs(state, two[0], two[1])
	recv := state
	ev, n, v := next(&recv, two)
	if len(wrong) == 0 && v != nil || len(wrong) > 0 && !slices.Contains(wrong, v) {
		t.Fatalf("%+v: Next(% x) gives %v, want one of %v", state, two, v, wrong)
	}
	if v == nil {
		return
	}
	if n != 0 || ev.Kind != None {
		t.Fatalf("%+v: Next(% x) = %+v, %d with a violation", state, two, ev, n)
	}
	for _, more := range []int{1, 2, 7, 8, 12, len(rest)} {
		recv := state
		if _, _, u := next(&recv, append(two, rest[:more]...)); u != v {
			t.Fatalf("%+v: Next(% x) gives %v, and %v with %d bytes more", state, two, v, u, more)
		}
	}
}

// wrongs returns the rules that the first two bytes of a frame break.
func wrongs(r Recv, b0, b1 byte) (list []*Violation) {
	add := func(wrong bool, v *Violation) {
		if wrong {
			list = append(list, v)
		}
	}
	fin, rsv1, op, masked, length := b0 >= 128, b0&64 != 0, b0%16, b1 >= 128, b1%128
	add(b0&48 != 0 || rsv1 && !r.Deflate, ErrReservedBit)
	add(rsv1 && r.Deflate && op != 1 && op != 2, ErrCompressedBit)
	add(op >= 3 && op <= 7 || op >= 11, ErrReservedOpcode)
	add(r.Role == Server && !masked, ErrNotMasked)
	add(r.Role == Client && masked, ErrMasked)
	add(op >= 8 && !fin, ErrControlFragmented)
	add(op >= 8 && length > 125, ErrControlTooLong)
	add(op == 0 && r.open == 0, ErrNothingToContinue)
	add((op == 1 || op == 2) && r.open != 0, ErrMessageUnfinished)
	return list
}

// TestRecvNothing: a Next without bytes asks for more and changes nothing,
// wherever it comes.
func TestRecvNothing(t *testing.T) {
	recv := Recv{Role: Client}
	var buf []byte
	for i, c := range wire(Client, []fr{f(0x01, "ab"), f(0x89, ""), f(0x80, "c"), f(0x88, "")}) {
		buf = append(buf, c)
		_, n, v := next(&recv, buf)
		if v != nil {
			t.Fatalf("byte %d: violation %v", i, v)
		}
		buf = buf[n:]
		before := recv
		if ev, n, v := next(&recv, nil); ev.Kind != None || n != 0 || v != nil || recv != before {
			t.Fatalf("after byte %d: Next(nil) = %+v, %d, %v, and the state went from %+v to %+v", i, ev, n, v, before, recv)
		}
	}
}

func TestRecvAllocs(t *testing.T) {
	for _, tt := range dialogues {
		for _, role := range tt.roles() {
			b := wire(role, tt.frames)
			buf := make([]byte, len(b))
			var recv Recv
			allocs := testing.AllocsPerRun(5, func() {
				recv = tt.recv(role)
				rest := buf[:copy(buf, b)]
				for {
					_, n, v := next(&recv, rest)
					if n == 0 || v != nil {
						return
					}
					rest = rest[n:]
				}
			})
			if allocs != 0 {
				t.Errorf("%s/%s: Next allocates %v times", to[role], tt.name, allocs)
			}
		}
	}
	recv := Recv{header: frame.Header{Masked: true, Length: 1 << 62}, left: 1 << 62, open: frame.Text}
	p := make([]byte, 4096)
	if allocs := testing.AllocsPerRun(5, func() {
		clear(p)
		recv.header.Key = [4]byte{}
		if v := recv.Payload(p); v != nil {
			t.Fatal(v)
		}
	}); allocs != 0 {
		t.Errorf("Payload allocates %v times", allocs)
	}
	if allocs := testing.AllocsPerRun(5, func() {
		if v := recv.Inflated(frame.Text, p, true); v != nil {
			t.Fatal(v)
		}
	}); allocs != 0 {
		t.Errorf("Inflated allocates %v times", allocs)
	}
}
