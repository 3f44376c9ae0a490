package proto

import (
	"fmt"
	"math"
	"testing"

	"github.com/airlock-go/websocket/frame"
)

// feed gives Next b, which must be one event, and returns it.
func feed(t *testing.T, r *Recv, b []byte) Event {
	t.Helper()
	ev, n, v := next(r, b)
	if n != len(b) || v != nil || ev.Kind == None {
		t.Fatalf("Next(% .20x) = %+v, %d, %v, want an event of all %d bytes", b, ev, n, v, len(b))
	}
	return ev
}

// refuse gives Next the start of a frame, which must be this violation.
func refuse(t *testing.T, r *Recv, b []byte, want *Violation) {
	t.Helper()
	if ev, n, v := next(r, b); v != want || n != 0 || ev.Kind != None {
		t.Fatalf("Next(% .20x) = %+v, %d, %v, want violation %v", b, ev, n, v, want)
	}
}

// head is the header of an unmasked frame, of which the length is announced
// only. end forgets that its payload has not come.
func head(b0 byte, length uint64) []byte {
	b := frame.Append(nil, frame.Header{Length: length})
	b[0] = b0
	return b
}

func end(r *Recv) {
	r.left = 0
}

// TestMax: "the limits are held here, when nothing but the header has been
// looked at", over fragments, up to lengths that a uint64 just holds.
func TestMax(t *testing.T) {
	const most = math.MaxInt64
	for _, tt := range []struct {
		max     uint64
		lengths []uint64 // of the fragments; all but the last are taken
		err     *Violation
	}{
		{1, []uint64{0}, nil},
		{1, []uint64{1}, nil},
		{1, []uint64{2}, ErrTooBig},
		{1, []uint64{1, 0, 0}, nil},
		{1, []uint64{1, 1}, ErrTooBig},
		{125, []uint64{125}, nil},
		{125, []uint64{126}, ErrTooBig},
		{125, []uint64{62, 63}, nil},
		{125, []uint64{62, 64}, ErrTooBig},
		{65535, []uint64{65535}, nil},
		{65535, []uint64{65536}, ErrTooBig},
		{1 << 20, []uint64{1 << 19, 0, 1 << 19}, nil},
		{1 << 20, []uint64{1 << 19, 1<<19 - 1, 1, 1}, ErrTooBig},
		{1 << 20, []uint64{1 << 31}, ErrTooBig},
		{1 << 20, []uint64{1 << 32}, ErrTooBig},
		{1 << 20, []uint64{most}, ErrTooBig},
		{1 << 20, []uint64{1 << 20, most}, ErrTooBig},
		{1 << 32, []uint64{1 << 32}, nil},
		{1 << 32, []uint64{1<<32 + 1}, ErrTooBig},
		{1 << 32, []uint64{1<<32 - 1, 2}, ErrTooBig},
		{most - 1, []uint64{most}, ErrTooBig},
		{most, []uint64{most}, nil},
		{most, []uint64{most, 1}, ErrTooBig},
		{most, []uint64{1, most}, ErrTooBig},
		{most, []uint64{most - 1, 1, 0}, nil},
		{most + 1, []uint64{most, 1, 1}, ErrTooBig},
		{math.MaxUint64, []uint64{most, most, 1}, nil},
		{math.MaxUint64, []uint64{most, most, 2}, ErrTooBig},
		{math.MaxUint64, []uint64{most, most, 1, 1}, ErrTooBig},
		{math.MaxUint64, []uint64{most, most, most}, ErrTooBig},
		{0, []uint64{most}, nil},
		{0, []uint64{most, most, most, most}, nil},
		{0, []uint64{most, most, 2, 5}, nil},
	} {
		t.Run(fmt.Sprint(tt.max, tt.lengths), func(t *testing.T) {
			testMax(t, Recv{Role: Client, Max: tt.max}, 0x02, tt.lengths, tt.err)
		})
	}
}

// testMax announces the fragments of a message, the first with b0. All are
// taken, but for the last if there is a violation.
func testMax(t *testing.T, r Recv, b0 byte, lengths []uint64, err *Violation) {
	t.Helper()
	for i, length := range lengths {
		b := head(b0, length)
		if i == len(lengths)-1 && err != nil {
			refuse(t, &r, b, err)
			return
		}
		ev := feed(t, &r, b)
		if ev.Header.Length != length || r.Left() != length || ev.FrameEnd != (length == 0) {
			t.Fatalf("frame of %d bytes: %+v, %d to come", length, ev, r.Left())
		}
		end(&r)
		b0 = 0x00
	}
}

// TestMaxPacked: what a compressed message may have on its way is the limit, an
// eighth more, and 16 bytes for each frame.
func TestMaxPacked(t *testing.T) {
	const (
		most   = math.MaxInt64
		beyond = most/8 + 2*16 // what is left behind a frame of most bytes
	)
	for _, tt := range []struct {
		max     uint64
		lengths []uint64 // of the fragments; all but the last are taken
		err     *Violation
	}{
		{1, []uint64{17}, nil},
		{1, []uint64{18}, ErrTooBig},
		{1, []uint64{17, 16}, nil},
		{1, []uint64{17, 17}, ErrTooBig},
		{1, []uint64{0, 33}, nil},
		{1, []uint64{0, 34}, ErrTooBig},
		{1, []uint64{0, 0, 0, 0, 1 + 5*16}, nil},
		{1, []uint64{0, 0, 0, 0, 1 + 5*16 + 1}, ErrTooBig},
		{7, []uint64{7 + 16}, nil},
		{7, []uint64{7 + 16 + 1}, ErrTooBig},
		{8, []uint64{8 + 1 + 16}, nil},
		{8, []uint64{8 + 1 + 16 + 1}, ErrTooBig},
		{15, []uint64{15 + 1 + 16 + 1}, ErrTooBig},
		{1 << 20, []uint64{1<<20 + 1<<17 + 16, 16, 16}, nil},
		{1 << 20, []uint64{1<<20 + 1<<17 + 16, 16, 17}, ErrTooBig},
		{1 << 20, []uint64{1<<20 + 1<<17 + 17}, ErrTooBig},
		{1 << 20, []uint64{most}, ErrTooBig},
		{1 << 20, []uint64{1, most}, ErrTooBig},
		{most, []uint64{most}, nil},
		{most, []uint64{most, beyond}, nil},
		{most, []uint64{most, beyond + 1}, ErrTooBig},
		{most, []uint64{most, most}, ErrTooBig},
		{most, []uint64{most, beyond, 16}, nil},
		{most, []uint64{most, beyond, 17}, ErrTooBig},
		{math.MaxUint64 / 9 * 8, []uint64{most, most}, nil},
		{math.MaxUint64, []uint64{most, most, 1}, nil},
		{math.MaxUint64, []uint64{most, most, 2}, ErrTooBig},
		{0, []uint64{most}, nil},
		{0, []uint64{most, most, most, most}, nil},
	} {
		t.Run(fmt.Sprint(tt.max, tt.lengths), func(t *testing.T) {
			testMax(t, Recv{Role: Client, Deflate: true, Max: tt.max}, 0x42, tt.lengths, tt.err)
		})
	}
	t.Run("lowered in a message", func(t *testing.T) {
		for _, tt := range []struct {
			max uint64
			err *Violation
		}{{2, nil}, {1, ErrTooBig}} {
			r := Recv{Role: Client, Deflate: true, Max: 100}
			feed(t, &r, head(0x42, 34))
			end(&r)
			r.Max = tt.max
			testMax(t, r, 0x00, []uint64{0}, tt.err)
		}
	})
	t.Run("last frame of the highest limit", func(t *testing.T) {
		r := almostPacked
		r.Role, r.Max, r.size = Client, most, most
		length := uint64(most/8 + 16*MaxFrames)
		testMax(t, r, 0x00, []uint64{length}, nil)
		testMax(t, r, 0x00, []uint64{length + 1}, ErrTooBig)
	})
}

// TestMaxChanged: Max "may be changed at any time and counts from the next
// frame on".
func TestMaxChanged(t *testing.T) {
	three := []fr{f(0x02, "ab"), f(0x00, "cd"), f(0x80, "ef")}
	first, second, third := wire(Server, three[:1]), wire(Server, three[1:2]), wire(Server, three[2:])
	empty := wire(Server, []fr{f(0x80, "")})

	t.Run("lowered in a frame", func(t *testing.T) {
		r := Recv{Max: 6}
		feed(t, &r, first[:7])
		r.Max = 1
		if ev := feed(t, &r, first[7:]); string(ev.Payload) != "b" || !ev.FrameEnd {
			t.Errorf("rest of the frame: %+v", ev)
		}
		refuse(t, &r, second, ErrTooBig)
	})
	t.Run("lowered to what the message has", func(t *testing.T) {
		r := Recv{Max: 6}
		feed(t, &r, first)
		r.Max = 2
		feed(t, &r, empty)
	})
	t.Run("lowered below what the message has", func(t *testing.T) {
		r := Recv{Max: 6}
		feed(t, &r, first)
		r.Max = 1
		refuse(t, &r, empty, ErrTooBig)
	})
	t.Run("lowered to what it will have", func(t *testing.T) {
		r := Recv{Max: 6}
		feed(t, &r, first)
		r.Max = 4
		feed(t, &r, second)
		refuse(t, &r, third, ErrTooBig)
	})
	t.Run("set where there was none", func(t *testing.T) {
		r := Recv{}
		feed(t, &r, first)
		r.Max = 3
		refuse(t, &r, second, ErrTooBig)
	})
	t.Run("raised", func(t *testing.T) {
		r := Recv{Max: 2}
		feed(t, &r, first)
		r.Max = 4
		feed(t, &r, second)
		r.Max = 0
		feed(t, &r, third)
	})
	t.Run("lowered between messages", func(t *testing.T) {
		r := Recv{Max: 6}
		feed(t, &r, first)
		feed(t, &r, empty)
		r.Max = 2
		feed(t, &r, first)
	})
}

// TestTooBigEarly: a frame that is too big is refused with the last byte of its
// header and not before.
func TestTooBigEarly(t *testing.T) {
	for _, tt := range []struct {
		b0     byte
		length uint64
	}{
		{0x82, 11}, {0x82, 126}, {0x82, 65536},
		{0xc2, 10 + 1 + 16 + 1}, {0xc2, 126}, {0xc2, 65536},
	} {
		b := wire(Server, []fr{{head: string(head(tt.b0, tt.length))}})
		for i := range b {
			r := Recv{Max: 10, Deflate: true}
			if ev, n, v := next(&r, b[:i]); ev.Kind != None || n != 0 || v != nil {
				t.Errorf("Next(% x) = %+v, %d, %v, want nothing", b[:i], ev, n, v)
			}
		}
		r := Recv{Max: 10, Deflate: true}
		refuse(t, &r, b, ErrTooBig)
	}
}

func TestMaxFrames(t *testing.T) {
	if MaxFrames*16 != 1<<20 {
		t.Errorf("%d frames of 16 bytes are not 1 MiB", MaxFrames)
	}
	b := wire(Client, []fr{f(0x02, ""), f(0x00, ""), f(0x00, "x"), f(0x89, ""), f(0x80, "")})
	begin, empty, one, ping, last := b[0:2], b[2:4], b[4:7], b[7:9], b[9:11]
	r := Recv{Role: Client}
	for range 2 { // the second message may have as many again
		feed(t, &r, begin)
		for i := range MaxFrames - 2 {
			if i%3 == 0 {
				feed(t, &r, one)
			} else {
				feed(t, &r, empty)
			}
			if i%100 == 0 {
				feed(t, &r, ping)
			}
		}
		if ev := feed(t, &r, last); !ev.MessageEnd {
			t.Fatalf("last frame: %+v", ev)
		}
	}
	feed(t, &r, begin)
	for range MaxFrames - 1 {
		feed(t, &r, empty)
	}
	feed(t, &r, ping)
	refuse(t, &r, last, ErrTooManyFrames)
}
