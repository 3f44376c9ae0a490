package deflate

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// The two lowest bits of three are the type of a block, the third says whether
// it is the last one, which it never is.
const (
	storedBlock  = 0 << 1
	fixedBlock   = 1 << 1
	dynamicBlock = 2 << 1
)

// minDynamic is the number of literals and matches from which a code of its own
// can be smaller than the fixed one in spite of its description.
const minDynamic = 64

// The codes of a fixed block (RFC 1951, section 3.2.6), with the literals that
// never occur.
var fixedLiterals, fixedDistances = func() (literals [288]code, distances [maxDistance]code) {
	for i := range literals {
		switch {
		case i < 144:
			literals[i].size = 8
		case i < 256:
			literals[i].size = 9
		case i < 280:
			literals[i].size = 7
		default:
			literals[i].size = 8
		}
	}
	for i := range distances {
		distances[i].size = 5
	}
	assign(literals[:])
	assign(distances[:])
	return literals, distances
}()

// lengthSymbol has for a length its symbol less the first one.
var lengthSymbol = func() (symbols [maxMatch + 1]uint8) {
	for i, base := range lengthBase {
		for n := int(base); n <= min(int(base)+1<<lengthExtra[i]-1, maxMatch); n++ {
			symbols[n] = uint8(i)
		}
	}
	return symbols
}()

// distanceSymbol: a symbol is for half of what lies between two powers of two.
func distanceSymbol(distance uint16) int {
	d := uint(distance - 1)
	if d < 2 {
		return int(d)
	}
	n := bits.Len(d) - 2
	return n<<1 + int(d>>n)
}

// A bitWriter appends bits to dst. It has at most seven that do not fill a byte.
type bitWriter struct {
	dst []byte
	acc uint64
	n   uint
}

// write writes the n lowest bits of v, at most 56.
func (w *bitWriter) write(v uint64, n uint) {
	w.acc |= v << w.n
	w.n += n
	w.dst = binary.LittleEndian.AppendUint64(w.dst, w.acc)[:len(w.dst)+int(w.n>>3)]
	w.acc >>= w.n &^ 7
	w.n &= 7
}

// storedHeader writes the type of a stored block, which goes on at the next byte.
func (w *bitWriter) storedHeader() {
	w.write(storedBlock, 3)
	w.write(0, -w.n&7)
}

// A run is a symbol of the code for code sizes, with what it repeats.
type run struct {
	symbol, extra uint8
}

// An encoder writes blocks. What it has is scratch space.
type encoder struct {
	maker               codeMaker
	literalFrequencies  [maxLiterals]uint32
	distanceFrequencies [maxDistance]uint32
	runFrequencies      [len(codeLengthOrder)]uint32
	literals            [maxLiterals]code
	distances           [maxDistance]code
	runCodes            [len(codeLengthOrder)]code
	runs                [maxLiterals + maxDistance]run
}

// block writes p, which the sequences describe together with the literals after
// them, in the way that takes the fewest bits.
func (e *encoder) block(w *bitWriter, p []byte, sequences []sequence) {
	extra := e.count(p, sequences)
	fixed := extra + cost(e.literalFrequencies[:], fixedLiterals[:]) + cost(e.distanceFrequencies[:], fixedDistances[:])
	stored := int(-(w.n+3)&7) + 32 + 8*len(p)
	dynamic := fixed
	var header dynamicHeader
	if len(p) >= minDynamic {
		e.maker.make(e.literals[:], e.literalFrequencies[:], maxCodeLen)
		e.maker.make(e.distances[:], e.distanceFrequencies[:], maxCodeLen)
		header = e.header()
		dynamic = header.size + extra + cost(e.literalFrequencies[:], e.literals[:]) + cost(e.distanceFrequencies[:], e.distances[:])
	}
	w.dst = slices.Grow(w.dst, (min(stored, fixed, dynamic)+3)>>3+16)
	switch {
	case stored <= min(fixed, dynamic):
		w.storedHeader()
		w.dst = binary.LittleEndian.AppendUint16(w.dst, uint16(len(p)))
		w.dst = binary.LittleEndian.AppendUint16(w.dst, ^uint16(len(p)))
		w.dst = append(w.dst, p...)
	case fixed <= dynamic:
		w.write(fixedBlock, 3)
		w.sequences(p, sequences, fixedLiterals[:maxLiterals], fixedDistances[:])
	default:
		w.write(dynamicBlock, 3)
		e.writeHeader(w, header)
		w.sequences(p, sequences, e.literals[:], e.distances[:])
	}
}

// count sets the frequencies and returns the number of extra bits.
func (e *encoder) count(p []byte, sequences []sequence) (extra int) {
	clear(e.literalFrequencies[:])
	clear(e.distanceFrequencies[:])
	e.literalFrequencies[endOfBlock] = 1
	for _, s := range sequences {
		for _, b := range p[:s.literals] {
			e.literalFrequencies[b]++
		}
		length, distance := lengthSymbol[s.length], distanceSymbol(s.distance)
		e.literalFrequencies[endOfBlock+1+int(length)]++
		e.distanceFrequencies[distance]++
		extra += int(lengthExtra[length] + distanceExtra[distance])
		p = p[s.literals+s.length:]
	}
	for _, b := range p {
		e.literalFrequencies[b]++
	}
	return extra
}

// cost returns the number of bits that symbols take.
func cost(frequencies []uint32, codes []code) (bits int) {
	for i, f := range frequencies {
		bits += int(f) * int(codes[i].size)
	}
	return bits
}

// sequences writes the symbols of a block.
func (w *bitWriter) sequences(p []byte, sequences []sequence, literals, distances []code) {
	for _, s := range sequences {
		w.literals(p[:s.literals], literals)
		p = p[s.literals+s.length:]

		l := lengthSymbol[s.length]
		c := literals[endOfBlock+1+int(l)]
		v, n := uint64(c.bits), uint(c.size)
		v |= uint64(s.length-lengthBase[l]) << n
		n += uint(lengthExtra[l])

		d := distanceSymbol(s.distance)
		c = distances[d]
		v |= uint64(c.bits) << n
		n += uint(c.size)
		v |= uint64(s.distance-distanceBase[d]) << n
		n += uint(distanceExtra[d])
		w.write(v, n)
	}
	w.literals(p, literals)
	end := literals[endOfBlock]
	w.write(uint64(end.bits), uint(end.size))
}

func (w *bitWriter) literals(p []byte, codes []code) {
	for _, b := range p {
		c := codes[b]
		w.write(uint64(c.bits), uint(c.size))
	}
}

// A dynamicHeader says how many codes a block describes.
type dynamicHeader struct {
	literals, distances, order, runs int
	size                             int // in bits
}

// header finds the description of the codes in runs of their sizes, and its size.
func (e *encoder) header() (h dynamicHeader) {
	h.literals, h.distances, h.order = maxLiterals, maxDistance, len(codeLengthOrder)
	for e.literals[h.literals-1].size == 0 {
		h.literals--
	}
	for e.distances[h.distances-1].size == 0 {
		h.distances--
	}
	var sizes [maxLiterals + maxDistance]uint8
	for i, c := range e.literals[:h.literals] {
		sizes[i] = c.size
	}
	for i, c := range e.distances[:h.distances] {
		sizes[h.literals+i] = c.size
	}
	clear(e.runFrequencies[:])
	previous := uint8(0xff)
	for rest := sizes[:h.literals+h.distances]; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n] == rest[0] {
			n++
		}
		r := run{symbol: rest[0]}
		switch {
		case rest[0] == 0 && n >= 11:
			n = min(n, 138)
			r = run{18, uint8(n - 11)}
		case rest[0] == 0 && n >= 3:
			r = run{17, uint8(n - 3)}
		case rest[0] == previous && n >= 3:
			n = min(n, 6)
			r = run{16, uint8(n - 3)}
		default:
			n = 1
		}
		e.runs[h.runs] = r
		h.runs++
		e.runFrequencies[r.symbol]++
		previous = rest[0]
		rest = rest[n:]
	}
	e.maker.make(e.runCodes[:], e.runFrequencies[:], 7)
	for e.runCodes[codeLengthOrder[h.order-1]].size == 0 {
		h.order--
	}
	h.size = 14 + 3*h.order + cost(e.runFrequencies[:], e.runCodes[:])
	for symbol, n := range runExtra {
		h.size += int(e.runFrequencies[symbol]) * int(n)
	}
	return h
}

// runExtra has the numbers of extra bits of the code for code sizes.
var runExtra = [len(codeLengthOrder)]uint8{16: 2, 17: 3, 18: 7}

func (e *encoder) writeHeader(w *bitWriter, h dynamicHeader) {
	w.write(uint64(h.literals-257|(h.distances-1)<<5|(h.order-4)<<10), 14)
	for _, symbol := range codeLengthOrder[:h.order] {
		w.write(uint64(e.runCodes[symbol].size), 3)
	}
	for _, r := range e.runs[:h.runs] {
		c := e.runCodes[r.symbol]
		w.write(uint64(c.bits)|uint64(r.extra)<<c.size, uint(c.size+runExtra[r.symbol]))
	}
}
