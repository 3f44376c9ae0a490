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

// utf8Block is how much Write takes at once.
const utf8Block = 64

// Write takes the next bytes of the stream and reports whether it can still be
// UTF-8.
func (u *UTF8) Write(p []byte) bool {
	state := u.state
	for ; len(p) >= utf8Block; p = p[utf8Block:] {
		if state == utf8Accept && isASCIIBlock(p) {
			continue
		}
		state = utf8Next(state, p[:utf8Block])
	}
	if state == utf8Accept { // most messages are no longer than this, and ASCII
		for len(p) >= 8 && binary.LittleEndian.Uint64(p)&notASCII == 0 {
			p = p[8:]
		}
	}
	u.state = utf8Next(state, p)
	return u.state != utf8Reject
}

// Complete reports whether the stream may end here.
func (u *UTF8) Complete() bool { return u.state == utf8Accept }

// ValidText reports whether p is UTF-8 as a whole. It is utf8.Valid, in less time
// where there is more than ASCII.
func ValidText(p []byte) bool {
	var u UTF8
	return u.Write(p) && u.Complete()
}

// utf8Next returns the state that p leads to. A loop around each byte would take
// twice the time.
func utf8Next(state uint64, p []byte) uint64 {
	for ; len(p) >= 8; p = p[8:] {
		state = utf8Table[p[0]] >> (state & utf8StateBits)
		state = utf8Table[p[1]] >> (state & utf8StateBits)
		state = utf8Table[p[2]] >> (state & utf8StateBits)
		state = utf8Table[p[3]] >> (state & utf8StateBits)
		state = utf8Table[p[4]] >> (state & utf8StateBits)
		state = utf8Table[p[5]] >> (state & utf8StateBits)
		state = utf8Table[p[6]] >> (state & utf8StateBits)
		state = utf8Table[p[7]] >> (state & utf8StateBits)
	}
	for _, b := range p {
		state = utf8Table[b] >> (state & utf8StateBits)
	}
	return state & utf8StateBits
}

// notASCII are the bits that no byte of ASCII has, in eight of them.
const notASCII = 0x8080808080808080

// isASCIIBlock reports whether the first block of p is ASCII.
func isASCIIBlock(p []byte) bool {
	w := binary.LittleEndian.Uint64(p) | binary.LittleEndian.Uint64(p[8:]) |
		binary.LittleEndian.Uint64(p[16:]) | binary.LittleEndian.Uint64(p[24:]) |
		binary.LittleEndian.Uint64(p[32:]) | binary.LittleEndian.Uint64(p[40:]) |
		binary.LittleEndian.Uint64(p[48:]) | binary.LittleEndian.Uint64(p[56:])
	return w&notASCII == 0
}
