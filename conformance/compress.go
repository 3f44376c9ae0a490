package conformance

import "math/bits"

// compress returns data as a DEFLATE stream (RFC 1951) without the four bytes of
// the tail, with references into data and history that reach back no further
// than the window of so many bits. What a case sends must not depend on the
// release of Go it was built with, and compress/flate knows one window only.
func compress(history, data []byte, windowBits int) []byte {
	p := packer{all: append(history[:len(history):len(history)], data...), window: 1 << windowBits}
	p.put(0b010, 3) // not the last block; fixed codes
	for i := range p.last {
		p.last[i] = -1
	}
	for i := range history {
		p.note(i)
	}
	for i := len(history); i < len(p.all); {
		n, distance := p.match(i)
		if n == 0 {
			p.literal(int(p.all[i]))
			n = 1
		} else {
			p.reference(n, distance)
		}
		for range n {
			p.note(i)
			i++
		}
	}
	p.literal(256) // the end of the block
	p.put(0, 3)    // a stored block, whose length is the tail
	p.align()
	if stored := store(data); len(stored) < len(p.out) {
		return stored
	}
	return p.out
}

// store returns data in stored blocks, which take five bytes more each.
func store(data []byte) (out []byte) {
	for len(data) > 0 {
		n := min(len(data), 1<<16-1)
		out = append(out, 0, byte(n), byte(n>>8), ^byte(n), ^byte(n>>8))
		out, data = append(out, data[:n]...), data[n:]
	}
	return append(out, 0)
}

// packer is the state of a compression.
type packer struct {
	all    []byte
	window int
	last   [1 << 14]int // where a sequence with this hash was seen last; -1: nowhere
	out    []byte
	acc    uint64 // bits not written yet, the lowest first
	n      uint
}

// The shortest and the longest reference.
const (
	minMatch = 3
	maxMatch = 258
)

// slot returns where the sequence at i is noted, if there is a sequence.
func (p *packer) slot(i int) *int {
	if i+minMatch > len(p.all) {
		return nil
	}
	sequence := uint32(p.all[i]) | uint32(p.all[i+1])<<8 | uint32(p.all[i+2])<<16
	return &p.last[sequence*0x9e3779b1>>18]
}

func (p *packer) note(i int) {
	if slot := p.slot(i); slot != nil {
		*slot = i
	}
}

// match returns how many bytes at i were seen before, and how far back. 0: none.
func (p *packer) match(i int) (n, distance int) {
	slot := p.slot(i)
	if slot == nil || *slot < 0 || i-*slot > p.window {
		return 0, 0
	}
	for n < maxMatch && i+n < len(p.all) && p.all[*slot+n] == p.all[i+n] {
		n++
	}
	if n < minMatch {
		return 0, 0
	}
	return n, i - *slot
}

// put writes the lowest n bits of v.
func (p *packer) put(v, n uint) {
	p.acc |= uint64(v) << p.n
	for p.n += n; p.n >= 8; p.n -= 8 {
		p.out = append(p.out, byte(p.acc))
		p.acc >>= 8
	}
}

func (p *packer) align() { p.put(0, (8-p.n)%8) }

// code writes a Huffman code, whose bits go the other way round.
func (p *packer) code(v, n uint) { p.put(uint(bits.Reverse16(uint16(v))>>(16-n)), n) }

// literal writes a symbol in the fixed code (RFC 1951, section 3.2.6).
func (p *packer) literal(symbol int) {
	v := uint(symbol)
	switch {
	case v < 144:
		p.code(0x30+v, 8)
	case v < 256:
		p.code(0x190+v-144, 9)
	case v < 280:
		p.code(v-256, 7)
	default:
		p.code(0xc0+v-280, 8)
	}
}

// reference writes that n bytes stand distance bytes before.
func (p *packer) reference(n, distance int) {
	symbol := len(lengthBase) - 1
	for lengthBase[symbol] > n {
		symbol--
	}
	p.literal(257 + symbol)
	p.put(uint(n-lengthBase[symbol]), lengthBits[symbol])

	back := uint(distance - 1)
	if back < 4 {
		p.code(back, 5)
		return
	}
	// Two symbols for each power of two, and the bits below.
	extra := uint(bits.Len(back)) - 2
	p.code(2*extra+back>>extra, 5)
	p.put(back&(1<<extra-1), extra)
}
