package proto

import "encoding/binary"

// UTF8 finds out whether a stream of bytes is UTF-8 (RFC 3629), piece by
// piece, and knows of the first wrong byte as soon as it has come, which
// unicode/utf8 cannot tell from a character cut in two. The zero value is the
// start of a stream.
//
// It is an automaton whose state is a shift: a row of the table has, for one
// byte, six bits for each state at the offset that is the state's number, and
// these six bits are the number of the next state.
type UTF8 struct{ state uint64 }

// The states: between characters, after a wrong byte, and in a character of
// which so many continuation bytes are to come, the next one restricted after
// some leading bytes (RFC 3629, section 4).
const (
	utf8Accept = 6 * iota
	utf8Reject
	utf8One
	utf8Two
	utf8Three
	utf8AfterE0 // no overlong forms: A0 to BF
	utf8AfterED // no surrogates: 80 to 9F
	utf8AfterF0 // no overlong forms: 90 to BF
	utf8AfterF4 // nothing above U+10FFFF: 80 to 8F
	utf8States

	utf8StateBits = 63
)

var utf8Table = func() (table [256]uint64) {
	arc := func(from, first, last, to int) {
		for b := first; b <= last; b++ {
			table[b] &^= utf8StateBits << from
			table[b] |= uint64(to) << from
		}
	}
	for from := 0; from < utf8States; from += 6 {
		arc(from, 0x00, 0xff, utf8Reject)
	}
	arc(utf8Accept, 0x00, 0x7f, utf8Accept)
	arc(utf8Accept, 0xc2, 0xdf, utf8One)
	arc(utf8Accept, 0xe1, 0xef, utf8Two)
	arc(utf8Accept, 0xe0, 0xe0, utf8AfterE0)
	arc(utf8Accept, 0xed, 0xed, utf8AfterED)
	arc(utf8Accept, 0xf1, 0xf3, utf8Three)
	arc(utf8Accept, 0xf0, 0xf0, utf8AfterF0)
	arc(utf8Accept, 0xf4, 0xf4, utf8AfterF4)
	arc(utf8One, 0x80, 0xbf, utf8Accept)
	arc(utf8Two, 0x80, 0xbf, utf8One)
	arc(utf8Three, 0x80, 0xbf, utf8Two)
	arc(utf8AfterE0, 0xa0, 0xbf, utf8One)
	arc(utf8AfterED, 0x80, 0x9f, utf8One)
	arc(utf8AfterF0, 0x90, 0xbf, utf8Two)
	arc(utf8AfterF4, 0x80, 0x8f, utf8Two)
	return table
}()

// Write takes the next bytes of the stream and reports whether it can still be
// UTF-8.
func (u *UTF8) Write(p []byte) bool {
	const block = 32
	state := u.state
	for len(p) >= block {
		if state&utf8StateBits == utf8Accept && isASCII32(p) {
			p = p[block:]
			continue
		}
		for _, b := range p[:block] {
			state = utf8Table[b] >> (state & utf8StateBits)
		}
		p = p[block:]
	}
	for _, b := range p {
		state = utf8Table[b] >> (state & utf8StateBits)
	}
	u.state = state & utf8StateBits
	return u.state != utf8Reject
}

// Complete reports whether the stream may end here.
func (u *UTF8) Complete() bool { return u.state == utf8Accept }

// isASCII32 reports whether the first 32 bytes of p are ASCII.
func isASCII32(p []byte) bool {
	w := binary.LittleEndian.Uint64(p) | binary.LittleEndian.Uint64(p[8:]) |
		binary.LittleEndian.Uint64(p[16:]) | binary.LittleEndian.Uint64(p[24:])
	return w&0x8080808080808080 == 0
}
