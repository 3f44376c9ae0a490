package conformance

import (
	"errors"
	"fmt"
	"slices"
)

// inflater decompresses what the server sends (RFC 1951). compress/flate would
// do, but for one thing: it does not tell how far the data reach back, and a
// server that agreed to a window must not reach beyond.
type inflater struct {
	history []byte // of the messages before, as far as they count
}

const maxWindow = 1 << 15

// message decompresses the payload of a message (RFC 7692, section 7.2.2).
func (f *inflater) message(a *agreement, packed []byte) ([]byte, error) {
	if a.serverNoTakeover {
		f.history = nil
	}
	d := inflation{
		in:     append(append([]byte(nil), packed...), 0, 0, 0xff, 0xff),
		out:    append([]byte(nil), f.history...),
		window: 1 << a.serverBits,
	}
	for len(d.in) > 0 {
		final, err := d.block()
		if err != nil {
			return nil, err
		}
		if final {
			d.align() // another stream begins, at a byte
		}
	}
	if !d.flushed {
		return nil, errUnflushed
	}
	plain := d.out[len(f.history):]
	f.history = d.out[max(0, len(d.out)-maxWindow):]
	return plain, nil
}

// inflation is the state of a decompression.
type inflation struct {
	in      []byte
	out     []byte
	window  int
	acc     uint64 // bits not used yet, the lowest first
	bits    uint
	flushed bool // the block before this place is stored and empty
}

var (
	errTruncated = errors.New("the data end too early")
	errUnflushed = errors.New("the data do not end with an empty stored block")
)

// take returns the next n bits.
func (d *inflation) take(n uint) (int, error) {
	for d.bits < n {
		if len(d.in) == 0 {
			return 0, errTruncated
		}
		d.acc |= uint64(d.in[0]) << d.bits
		d.in, d.bits = d.in[1:], d.bits+8
	}
	v := d.acc & (1<<n - 1)
	d.acc, d.bits = d.acc>>n, d.bits-n
	return int(v), nil
}

// align drops the bits up to the next byte.
func (d *inflation) align() {
	drop := d.bits % 8
	d.acc, d.bits = d.acc>>drop, d.bits-drop
}

func (d *inflation) block() (final bool, err error) {
	head, err := d.take(3)
	if err != nil {
		return false, err
	}
	final = head&1 == 1
	d.flushed = false
	switch head >> 1 {
	case 0:
		return final, d.stored()
	case 1:
		return final, d.symbols(fixedLiterals, fixedDistances)
	case 2:
		literals, distances, err := d.tables()
		if err != nil {
			return final, err
		}
		return final, d.symbols(literals, distances)
	}
	return final, errors.New("a block of a reserved type")
}

func (d *inflation) stored() error {
	d.align()
	n, err := d.take(16)
	if err != nil {
		return err
	}
	inverse, err := d.take(16)
	if err != nil {
		return err
	}
	if n != ^inverse&0xffff {
		return errors.New("a stored block with a wrong length")
	}
	if n > len(d.in) {
		return errTruncated
	}
	d.out, d.in = append(d.out, d.in[:n]...), d.in[n:]
	d.flushed = n == 0
	return nil
}

// huffman is a code: how many symbols have each length, and the symbols in the
// order of their codes (RFC 1951, section 3.2.2).
type huffman struct {
	count   [16]int
	symbols []int
}

func newHuffman(lengths []int) (*huffman, error) {
	h := &huffman{symbols: make([]int, len(lengths))}
	for _, n := range lengths {
		h.count[n]++
	}
	used := len(lengths) - h.count[0]
	h.count[0] = 0
	var at [17]int
	free := 1 // codes that no symbol has
	for n := 1; n < 16; n++ {
		if free = free<<1 - h.count[n]; free < 0 {
			return nil, errors.New("more codes than there can be")
		}
		at[n+1] = at[n] + h.count[n]
	}
	if lonely := used == 0 || used == 1 && h.count[1] == 1; free > 0 && !lonely {
		return nil, errors.New("codes that stand for nothing")
	}
	for symbol, n := range lengths {
		if n > 0 {
			h.symbols[at[n]] = symbol
			at[n]++
		}
	}
	return h, nil
}

// symbol reads one symbol.
func (d *inflation) symbol(h *huffman) (int, error) {
	code, first, index := 0, 0, 0
	for n := 1; n < len(h.count); n++ {
		bit, err := d.take(1)
		if err != nil {
			return 0, err
		}
		code |= bit
		if code-first < h.count[n] {
			return h.symbols[index+code-first], nil
		}
		index += h.count[n]
		first = (first + h.count[n]) << 1
		code <<= 1
	}
	return 0, errors.New("a code that stands for nothing")
}

// tables reads the codes of a dynamic block (section 3.2.7).
func (d *inflation) tables() (literals, distances *huffman, err error) {
	var n [3]int
	for i, bits := range []uint{5, 5, 4} {
		if n[i], err = d.take(bits); err != nil {
			return nil, nil, err
		}
	}
	nLiterals, nDistances, nLengths := n[0]+257, n[1]+1, n[2]+4
	if nLiterals > 286 || nDistances > 30 { // RFC 1951 lets 32 pass, decompressors do not
		return nil, nil, errors.New("codes for symbols that do not exist")
	}
	order := [...]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
	meta := make([]int, len(order))
	for i := range nLengths {
		if meta[order[i]], err = d.take(3); err != nil {
			return nil, nil, err
		}
	}
	h, err := newHuffman(meta)
	if err != nil {
		return nil, nil, err
	}
	lengths, err := d.lengths(h, nLiterals+nDistances)
	if err != nil {
		return nil, nil, err
	}
	if literals, err = newHuffman(lengths[:nLiterals]); err != nil {
		return nil, nil, err
	}
	distances, err = newHuffman(lengths[nLiterals:])
	return literals, distances, err
}

// lengths reads total lengths of codes.
func (d *inflation) lengths(h *huffman, total int) ([]int, error) {
	var lengths []int
	for len(lengths) < total {
		symbol, err := d.symbol(h)
		if err != nil {
			return nil, err
		}
		if symbol < 16 {
			lengths = append(lengths, symbol)
			continue
		}
		value, bits, base := 0, uint(0), 0
		switch symbol {
		case 16:
			if len(lengths) == 0 {
				return nil, errors.New("a repetition of nothing")
			}
			value, bits, base = lengths[len(lengths)-1], 2, 3
		case 17:
			bits, base = 3, 3
		default:
			bits, base = 7, 11
		}
		n, err := d.take(bits)
		if err != nil {
			return nil, err
		}
		for range n + base {
			lengths = append(lengths, value)
		}
	}
	if len(lengths) > total {
		return nil, errors.New("too many lengths of codes")
	}
	return lengths, nil
}

var (
	fixedLiterals, fixedDistances = fixedCodes()

	lengthBase = [...]int{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthBits = [...]uint{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
)

// fixedCodes returns the codes of section 3.2.6.
func fixedCodes() (literals, distances *huffman) {
	lengths := slices.Concat(slices.Repeat([]int{8}, 144), slices.Repeat([]int{9}, 112),
		slices.Repeat([]int{7}, 24), slices.Repeat([]int{8}, 8))
	literals, err := newHuffman(lengths)
	if err == nil {
		distances, err = newHuffman(slices.Repeat([]int{5}, 32))
	}
	if err != nil {
		panic(err) // they are complete
	}
	return literals, distances
}

// symbols reads literals and copies until the end of the block.
func (d *inflation) symbols(literals, distances *huffman) error {
	for {
		symbol, err := d.symbol(literals)
		switch {
		case err != nil:
			return err
		case len(d.out) > maxVolume:
			return errFlood
		case symbol < 256:
			d.out = append(d.out, byte(symbol))
			continue
		case symbol == 256:
			return nil
		case symbol-257 >= len(lengthBase):
			return errors.New("a length that does not exist")
		}
		extra, err := d.take(lengthBits[symbol-257])
		if err != nil {
			return err
		}
		if err := d.copy(lengthBase[symbol-257]+extra, distances); err != nil {
			return err
		}
	}
}

// copy repeats n bytes of what was written before.
func (d *inflation) copy(n int, distances *huffman) error {
	symbol, err := d.symbol(distances)
	if err != nil {
		return err
	}
	if symbol > 29 {
		return errors.New("a distance that does not exist")
	}
	distance := symbol + 1
	if symbol > 3 {
		bits := uint(symbol/2 - 1)
		extra, err := d.take(bits)
		if err != nil {
			return err
		}
		distance = (2+symbol%2)<<bits + extra + 1
	}
	if distance > d.window {
		return fmt.Errorf("a distance of %d, beyond the window of %d", distance, d.window)
	}
	if distance > len(d.out) {
		return fmt.Errorf("a distance of %d where there are %d bytes", distance, len(d.out))
	}
	for range n {
		d.out = append(d.out, d.out[len(d.out)-distance])
	}
	return nil
}
