package proto

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/airlock-go/websocket/frame"
)

// FuzzRecv feeds arbitrary bytes in arbitrary pieces. The player checks that
// nothing is handed out but what was given.
func FuzzRecv(f *testing.F) {
	for i, d := range dialogues {
		for _, role := range d.roles() {
			f.Add(role == Client, d.start.Deflate, uint16(d.max), wire(role, d.frames), []byte{1, 7, 2, 0, byte(i)})
		}
		// A zero key lets the fuzzer see what it writes.
		var plain []byte
		for _, f := range d.frames {
			plain = append(append(append(plain, f.head...), 0, 0, 0, 0), f.body...)
			plain[len(plain)-len(f.body)-5] |= 0x80
		}
		f.Add(false, d.start.Deflate, uint16(d.max), plain, []byte{})
	}
	f.Fuzz(func(t *testing.T, client, deflate bool, limit uint16, b, chops []byte) {
		if len(b) > 1<<14 {
			return // the rest is the same again, and the cutting is slow
		}
		recv := Recv{Max: uint64(limit), Deflate: deflate}
		if client {
			recv.Role = Client
		}
		want, err := play(t, recv, b, false, whole)
		calls := 0
		chop := func(rest int) int {
			if len(chops) == 0 {
				return rest
			}
			calls++
			return int(chops[calls%len(chops)])
		}
		for _, direct := range []bool{false, true} {
			for _, c := range []func(int) int{chop, bytewise, whole} {
				events, v := play(t, recv, b, direct, c)
				if !slices.Equal(events, want) || v != err {
					t.Fatalf("cut, direct %v: %q, %v\nwhole: %q, %v", direct, events, v, want, err)
				}
			}
		}
	})
}

// opsFrom makes calls from bytes: opcode and fin, a length, a payload. Those of
// Message are of a whole message.
func opsFrom(b []byte) []op {
	var ops []op
	for len(b) >= 2 {
		o := op{op: frame.Opcode(b[0] & 0x1f), fin: b[0]&0x80 != 0}
		if frame.Opcode(b[0])&rsv1 != 0 {
			o = op{op: frame.Opcode(b[0])&checked | o.op&0x0f, fin: true}
		}
		n := int(b[1])
		b = b[2:]
		n = min(n, len(b))
		o.payload = string(b[:n])
		ops, b = append(ops, o), b[n:]
	}
	return ops
}

// opBytes is the opposite of opsFrom, for payloads of up to 255 bytes.
func opBytes(ops []op) []byte {
	var b []byte
	for _, o := range ops {
		b0 := byte(o.op) & 0x7f
		if o.fin {
			b0 |= 0x80
		}
		b = append(append(b, b0, byte(len(o.payload))), o.payload[:min(len(o.payload), 255)]...)
	}
	return b
}

// checkSend makes calls of both roles that may be wrong: Send and its model
// agree on every one. What is refused, a Recv at the other end would refuse as
// well; what is not, it takes for what it is. Of a message that Message is given, but
// not compressed, a Recv sees neither that its type is wrong nor who was to look at
// its text.
func checkSend(t *testing.T, ops []op) {
	t.Helper()
	ops = slices.DeleteFunc(ops, func(o op) bool {
		return o.checked() && !o.packed() && o.op != checked|bin && (o.op != checked|text || !utf8.ValidString(o.payload))
	})
	for _, role := range []Role{Server, Client} {
		m := model{}
		recv := Recv{Role: peer[role], Deflate: true}
		for i := range ops {
			o := &ops[i]
			o.err = m.legal(*o)
			if m.closed {
				continue // a Recv drops what comes now
			}
			h := o.header(role)
			after := recv
			_, _, v := next(&after, transmit(h, o.payload, byte(i)))
			if h.Opcode <= 15 && (v == nil) != (o.err == nil) {
				t.Fatalf("call %d, %v fin %v %q: Send would say %v, Recv says %v", i, o.op, o.fin, o.payload, o.err, v)
			}
			if o.err == nil {
				m.send(*o)
				recv = after
			}
		}
		testSend(t, role, ops)
	}
}

func FuzzSend(f *testing.F) {
	for _, tt := range sendTests {
		f.Add(opBytes(tt.ops))
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkSend(t, opsFrom(b)) })
}

// TestSendRandom makes calls that are legal more often than a fuzzer's are.
func TestSendRandom(t *testing.T) {
	payloads := []string{"", "a", "€", "\xe2", "\x82", "\xac", "\x82\xac", "\xff", "\x03\xe8", "\x03\xe8why", "\x03"}
	opcodes := []frame.Opcode{cont, cont, cont, cont, text, text, text, bin, bin, ping, pong, 3, rsv1 | text, rsv1 | bin, checked | text, checked | bin}
	for seed := range uint64(500) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 6455))
			var ops []op
			for range 60 {
				o := op{op: opcodes[r.IntN(len(opcodes))], fin: r.IntN(3) > 0, payload: payloads[r.IntN(len(payloads))]}
				if r.IntN(40) == 0 {
					o.op = clos
				}
				o.fin = o.fin || o.checked()
				ops = append(ops, o)
			}
			checkSend(t, ops)
		})
	}
}
