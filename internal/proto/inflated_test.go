package proto

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/airlock-go/websocket/frame"
)

// A shown is a call of Inflated, with the limit at that time and the violation
// that it must give.
type shown struct {
	max   uint64
	typ   frame.Opcode
	piece string
	end   bool
	err   *Violation
}

var inflatedTests = []struct {
	name  string
	calls []shown
}{
	{"text", []shown{{0, text, "a€", true, nil}}},
	{"nothing", []shown{{0, text, "", true, nil}, {0, bin, "", true, nil}, {1, text, "", true, nil}}},
	{"pieces", []shown{{0, text, "a", false, nil}, {0, text, "", false, nil}, {0, text, "b", true, nil}}},
	{"the end alone", []shown{{0, text, "a", false, nil}, {0, text, "", true, nil}}},

	{"as large as the limit", []shown{{5, bin, "12345", true, nil}}},
	{"one larger than the limit", []shown{{5, bin, "123456", true, ErrTooBig}}},
	{"one larger than the limit, no end", []shown{{5, bin, "123456", false, ErrTooBig}}},
	{"pieces as large as the limit", []shown{{5, bin, "12", false, nil}, {5, bin, "345", false, nil}, {5, bin, "", true, nil}}},
	{"pieces one larger than the limit", []shown{{5, bin, "12", false, nil}, {5, bin, "345", false, nil}, {5, bin, "6", true, ErrTooBig}}},
	{"every message may have as much", []shown{{3, bin, "123", true, nil}, {3, text, "12", false, nil}, {3, text, "3", true, nil}, {3, bin, "1234", true, ErrTooBig}}},
	{"far from a limit", []shown{{1 << 63, text, strings.Repeat("x", 200), true, nil}}},
	{"no limit", []shown{{0, text, strings.Repeat("x", 200), false, nil}, {0, text, "y", true, nil}}},
	{"limit lowered to what has come", []shown{{5, bin, "123", false, nil}, {3, bin, "", false, nil}, {3, bin, "", true, nil}}},
	{"limit lowered below what has come", []shown{{5, bin, "123", false, nil}, {2, bin, "", true, ErrTooBig}}},
	{"limit lowered to what will come", []shown{{5, bin, "1", false, nil}, {3, bin, "23", false, nil}, {3, bin, "4", false, ErrTooBig}}},
	{"limit set where there was none", []shown{{0, bin, "123", false, nil}, {3, bin, "4", true, ErrTooBig}}},
	{"limit raised", []shown{{1, bin, "1", false, nil}, {2, bin, "2", false, nil}, {0, bin, "345", true, nil}}},
	{"limit lowered between messages", []shown{{5, bin, "12345", true, nil}, {1, bin, "1", true, nil}}},

	{"character in pieces", []shown{{0, text, "a\xf0", false, nil}, {0, text, "\x9d\x84", false, nil}, {0, text, "", false, nil}, {0, text, "\x9eb", true, nil}}},
	{"wrong byte", []shown{{0, text, "a\xffb", true, ErrText}}},
	{"wrong byte, no end", []shown{{0, text, "a\xc0", false, ErrText}}},
	{"wrong byte in the second piece", []shown{{0, text, "a\xe2", false, nil}, {0, text, "b", false, ErrText}}},
	{"wrong byte in the second message", []shown{{0, text, "a", true, nil}, {0, text, "\x80", true, ErrText}}},
	{"ends in a character", []shown{{0, text, "a\xe2\x82", true, ErrText}}},
	{"ends in a character, the end alone", []shown{{0, text, "\xc2", false, nil}, {0, text, "", true, ErrText}}},
	{"binary is not checked", []shown{{0, bin, "\xff", false, nil}, {0, bin, "\xc2", true, nil}, {0, text, "a", true, nil}}},
	{"limit before text", []shown{{1, text, "\xff\xff", true, ErrTooBig}}},
	{"limit before the end of a character", []shown{{2, text, "\xe2", false, nil}, {2, text, "\x82a", true, ErrTooBig}}},
	{"text within the limit", []shown{{2, text, "a\xff", true, ErrText}}},
}

// inflatedModel is Inflated without an eye to memory: it keeps the message.
type inflatedModel struct{ all []byte }

func (m *inflatedModel) show(c shown) *Violation {
	m.all = append(m.all, c.piece...)
	switch {
	case c.max > 0 && uint64(len(m.all)) > c.max:
		return ErrTooBig
	case c.typ == text && (!mayBecome(m.all) || c.end && !utf8.Valid(m.all)):
		return ErrText
	}
	if c.end {
		m.all = nil
	}
	return nil
}

// testInflated makes the calls up to the first violation, with each piece in
// pieces of at most size bytes, and returns the violation. Behind the end of a
// message nothing is left of it.
func testInflated(t *testing.T, calls []shown, size int) *Violation {
	t.Helper()
	r, m := Recv{Deflate: true}, inflatedModel{}
	for i, c := range calls {
		for _, part := range parts(c, size) {
			r.Max = part.max
			v := r.Inflated(part.typ, []byte(part.piece), part.end)
			if want := m.show(part); v != want {
				t.Fatalf("call %d: Inflated(%v, %.20q, %v) = %v, want %v", i, part.typ, part.piece, part.end, v, want)
			}
			if v != nil {
				return v
			}
			if fresh := (Recv{Deflate: true, Max: part.max}); part.end && r != fresh {
				t.Fatalf("call %d: at the end of a message %+v", i, r)
			}
		}
	}
	return nil
}

// parts cuts a call into several. The end comes with the last.
func parts(c shown, size int) []shown {
	var list []shown
	for piece := range slices.Chunk([]byte(c.piece), size) {
		list = append(list, shown{c.max, c.typ, string(piece), false, nil})
	}
	if len(list) == 0 {
		return []shown{c}
	}
	list[len(list)-1].end = c.end
	return list
}

func TestInflated(t *testing.T) {
	for _, tt := range inflatedTests {
		t.Run(tt.name, func(t *testing.T) {
			last := tt.calls[len(tt.calls)-1].err
			if v := testInflated(t, tt.calls, math.MaxInt); v != last {
				t.Errorf("violation %v, want %v", v, last)
			}
			v := testInflated(t, tt.calls, 1)
			if (v == nil) != (last == nil) {
				t.Errorf("one byte at a time: violation %v, want one %v", v, last != nil)
			}
		})
	}
}

// TestInflatedTop: the limit holds up to the sizes that a uint64 just holds.
func TestInflatedTop(t *testing.T) {
	for _, tt := range []struct {
		max, seen uint64
		piece     string
		err       *Violation
	}{
		{math.MaxInt64, math.MaxInt64 - 2, "12", nil},
		{math.MaxInt64, math.MaxInt64 - 2, "123", ErrTooBig},
		{math.MaxInt64, math.MaxInt64, "", nil},
		{math.MaxInt64, math.MaxInt64 + 1, "", ErrTooBig},
		{math.MaxUint64, math.MaxUint64 - 2, "12", nil},
		{math.MaxUint64, math.MaxUint64 - 2, "123", ErrTooBig},
		{math.MaxUint64, math.MaxUint64, "", nil},
		{math.MaxUint64, math.MaxUint64, "1", ErrTooBig},
		{1, math.MaxUint64, "12", ErrTooBig},
	} {
		t.Run(fmt.Sprint(tt.max, tt.seen, len(tt.piece)), func(t *testing.T) {
			r := Recv{Max: tt.max, plain: tt.seen}
			if v := r.Inflated(bin, []byte(tt.piece), false); v != tt.err {
				t.Errorf("violation %v, want %v", v, tt.err)
			}
		})
	}
}

// TestInflatedBetween: what is shown to Inflated and what comes through Next
// and Payload are counted and checked apart.
func TestInflatedBetween(t *testing.T) {
	r := Recv{Deflate: true, Max: 4}
	next := func(b0 byte, body string) {
		t.Helper()
		ev := feed(t, &r, wire(Server, []fr{f(b0, body)}))
		if string(ev.Payload) != body {
			t.Fatalf("%q came as %+v", body, ev)
		}
	}
	inflated := func(piece string, end bool) {
		t.Helper()
		if v := r.Inflated(text, []byte(piece), end); v != nil {
			t.Fatalf("Inflated(%q, %v): %v", piece, end, v)
		}
	}
	for range 2 {
		next(0xc1, "in one frame \xff")
		inflated("a€", true)
		next(0x81, "b€")

		next(0x41, "in fragments \xc2")
		inflated("a\xe2", false)
		next(0x89, "a ping \xff")
		next(0x00, "")
		inflated("\x82", false)
		inflated("", false)
		next(0x80, "\xff")
		inflated("\xac", true)
		next(0x01, "€")
		next(0x80, "b")
	}
	next(0xc1, "")
	inflated("1234", true)
	refuse(t, &r, wire(Server, []fr{f(0x81, "\xac")}), ErrText)
}

// FuzzInflated shows one message after another in arbitrary pieces.
func FuzzInflated(f *testing.F) {
	for _, tt := range inflatedTests {
		var b []byte
		for _, c := range tt.calls {
			control := byte(c.typ) & 1
			if c.end {
				control |= 2
			}
			b = append(append(b, control, byte(c.max), byte(len(c.piece))), c.piece[:min(len(c.piece), 255)]...)
		}
		f.Add(b, uint8(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, size uint8) {
		if len(b) > 1<<11 {
			return // the model looks at all of a message with every piece
		}
		var calls []shown
		for len(b) >= 3 {
			c := shown{max: uint64(b[1]), typ: []frame.Opcode{bin, text}[b[0]&1], end: b[0]&2 != 0}
			n := min(int(b[2]), len(b)-3)
			c.piece, b = string(b[3:3+n]), b[3+n:]
			if i := len(calls) - 1; i >= 0 && !calls[i].end {
				c.typ = calls[i].typ // all of a message is of one type
			}
			calls = append(calls, c)
		}
		testInflated(t, calls, math.MaxInt)
		testInflated(t, calls, max(int(size), 1))
	})
}
