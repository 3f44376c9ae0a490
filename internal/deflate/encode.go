package deflate

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// minDynamic is the size, in bits, from which a code of its own is tried for a block.
// To a smaller one it seldom saves much, and takes four times the work.
const minDynamic = 800

// The codes of a fixed block (RFC 1951, section 3.2.6). The last two literals never
// occur.
var fixedLiterals, fixedDistances = func() (literals [maxLiterals + 2]code, distances [maxDistance]code) {
	next := (&sizeCount{7: 24, 8: 152, 9: 112}).first()
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
		next.assign(&literals[i])
	}
	next = (&sizeCount{5: maxDistance}).first()
	for i := range distances {
		distances[i].size = 5
		next.assign(&distances[i])
	}
	return literals, distances
}()

// lengthSymbol has, for a length, its symbol as a number from 0.
var lengthSymbol = func() (symbols [maxMatch + 1]uint8) {
	for i, base := range lengthBase {
		for length := int(base); length < min(int(base)+1<<lengthExtra[i], len(symbols)); length++ {
			symbols[length] = uint8(i)
		}
	}
	return symbols
}()

// distanceSymbol returns the symbol of a distance. From 3 on there are two for each
// power of two: its exponent and the bit below the highest make the symbol.
func distanceSymbol(distance uint16) uint8 {
	d := uint(distance - 1)
	if d < 2 {
		return uint8(d)
	}
	n := bits.Len(d) - 2
	return uint8(n<<1 + int(d>>n))
}

// A run is a symbol of the code for code sizes, with its extra bits.
type run struct {
	symbol, extra uint8
}

// An encoder writes blocks. Its fields are scratch space.
type encoder struct {
	literalFrequencies  [maxLiterals]uint32
	distanceFrequencies [maxDistance]uint32

	// The codes of a dynamic block, and what describes their sizes: so many
	// literals and distances as runs, so many codes for runs.
	literals                           [maxLiterals]code
	distances                          [maxDistance]code
	runs                               []run
	runFrequencies                     [len(codeLengthOrder)]uint32
	runCodes                           [len(codeLengthOrder)]code
	numLiterals, numDistances, numRuns int

	huffman huffman
}

// block writes p, which is what the sequences stand for and literals after them, as
// the type of block that is smallest.
func (e *encoder) block(w *bitWriter, p []byte, sequences []sequence) {
	extra := e.count(p, sequences)
	stored := int(-(w.n+3)&7) + 32 + 8*len(p)
	fixed := extra + 5*len(sequences)
	for symbol, f := range &e.literalFrequencies { // not a copy, which would be on the stack
		fixed += int(f) * int(fixedLiterals[symbol].size)
	}
	best := min(stored, fixed)
	if best >= minDynamic {
		best = min(best, extra+e.makeCodes())
	}
	w.dst = slices.Grow(w.dst, best>>3+16)
	switch best {
	case stored:
		w.storedHeader()
		w.dst = binary.LittleEndian.AppendUint16(w.dst, uint16(len(p)))
		w.dst = binary.LittleEndian.AppendUint16(w.dst, ^uint16(len(p)))
		w.dst = append(w.dst, p...)
	case fixed:
		w.write(fixedBlock, 3)
		w.symbols(p, sequences, (*[maxLiterals]code)(fixedLiterals[:]), &fixedDistances)
	default:
		w.write(dynamicBlock, 3)
		e.description(w)
		w.symbols(p, sequences, &e.literals, &e.distances)
	}
}

// count finds the frequencies of the symbols and the number of their extra bits.
func (e *encoder) count(p []byte, sequences []sequence) (extra int) {
	clear(e.literalFrequencies[:])
	clear(e.distanceFrequencies[:])
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
	e.literalFrequencies[endOfBlock] = 1
	return extra
}

// makeCodes makes the codes of a dynamic block. It returns the bits of the block
// without extra bits.
func (e *encoder) makeCodes() (cost int) {
	cost = e.huffman.build(e.literals[:], e.literalFrequencies[:], maxCodeLen)
	cost += e.huffman.build(e.distances[:], e.distanceFrequencies[:], maxCodeLen)
	e.numLiterals, e.numDistances = maxLiterals, maxDistance
	for e.literals[e.numLiterals-1].size == 0 {
		e.numLiterals--
	}
	for e.distances[e.numDistances-1].size == 0 {
		e.numDistances--
	}

	clear(e.runFrequencies[:])
	e.runs = e.runs[:0]
	e.addRuns(e.literals[:e.numLiterals])
	e.addRuns(e.distances[:e.numDistances])
	cost += e.huffman.build(e.runCodes[:], e.runFrequencies[:], maxRunCodeLen)
	for symbol, extra := range runExtra {
		cost += int(e.runFrequencies[symbol]) * int(extra)
	}
	e.numRuns = len(codeLengthOrder)
	for e.runCodes[codeLengthOrder[e.numRuns-1]].size == 0 {
		e.numRuns--
	}
	return cost + 5 + 5 + 4 + 3*e.numRuns
}

// addRuns adds the sizes of codes to the runs (RFC 1951, section 3.2.7).
func (e *encoder) addRuns(codes []code) {
	for len(codes) > 0 {
		size, n := codes[0].size, 1
		for n < len(codes) && codes[n].size == size {
			n++
		}
		codes = codes[n:]
		if size > 0 {
			e.addRun(size, 0)
			n--
		}
		for n >= 3 {
			switch {
			case size > 0:
				part := min(n, 6)
				e.addRun(repeatLast, part-3)
				n -= part
			case n >= 11:
				part := min(n, 138)
				e.addRun(repeatZeroLong, part-11)
				n -= part
			default:
				e.addRun(repeatZero, n-3)
				n = 0
			}
		}
		for range n {
			e.addRun(size, 0)
		}
	}
}

func (e *encoder) addRun(symbol uint8, extra int) {
	e.runs = append(e.runs, run{symbol, uint8(extra)})
	e.runFrequencies[symbol]++
}

// description writes what describes the codes of a dynamic block. w.dst has room for
// it.
func (e *encoder) description(w *bitWriter) {
	w.write(uint64(e.numLiterals-257), 5)
	w.write(uint64(e.numDistances-1), 5)
	w.write(uint64(e.numRuns-4), 4)
	for _, symbol := range codeLengthOrder[:e.numRuns] {
		w.write(uint64(e.runCodes[symbol].size), 3)
	}
	dst, at, b := w.dst[:cap(w.dst)], len(w.dst), w.pending
	for _, r := range e.runs {
		b = b.addCode(e.runCodes[r.symbol]).add(uint64(r.extra), runExtra[r.symbol])
		b, at = b.flush(dst, at)
	}
	w.dst, w.pending = dst[:at], b
}

// pending are bits that are not written yet.
type pending struct {
	bits uint64
	n    uint8 // of them
}

func (p pending) add(v uint64, n uint8) pending {
	return pending{p.bits | v<<(p.n&63), p.n + n}
}

func (p pending) addCode(c code) pending { return p.add(uint64(c.bits), c.size) }

// flush writes the whole bytes of p to dst[at:], where there is room for eight.
func (p pending) flush(dst []byte, at int) (pending, int) {
	binary.LittleEndian.PutUint64(dst[at:], p.bits)
	return pending{p.bits >> (p.n &^ 7 & 63), p.n & 7}, at + int(p.n>>3)
}

// A bitWriter appends bits to dst. Between two of its methods fewer are pending than
// fill a byte.
type bitWriter struct {
	dst []byte
	pending
}

// write writes the n lowest bits of v, at most 57.
func (w *bitWriter) write(v uint64, n uint8) {
	p := w.add(v, n)
	w.dst = binary.LittleEndian.AppendUint64(w.dst, p.bits)[:len(w.dst)+int(p.n>>3)]
	w.pending = pending{p.bits >> (p.n &^ 7), p.n & 7}
}

// storedHeader begins a stored block. What follows is whole bytes.
func (w *bitWriter) storedHeader() {
	w.write(storedBlock, 3)
	w.write(0, -w.n&7)
}

// symbols writes p, which is what the sequences stand for and literals after them.
// w.dst has room for it.
func (w *bitWriter) symbols(p []byte, sequences []sequence, literals *[maxLiterals]code, distances *[maxDistance]code) {
	dst, at, b := w.dst[:cap(w.dst)], len(w.dst), w.pending
	for i := range len(sequences) + 1 {
		run := p
		if i < len(sequences) {
			run = p[:sequences[i].literals]
		}
		for ; len(run) >= 3; run = run[3:] {
			b = b.addCode(literals[run[0]]).addCode(literals[run[1]]).addCode(literals[run[2]])
			b, at = b.flush(dst, at)
		}
		for _, l := range run {
			b = b.addCode(literals[l])
		}
		b, at = b.flush(dst, at)
		if i == len(sequences) {
			break
		}

		s := sequences[i]
		p = p[s.literals+s.length:]
		symbol := lengthSymbol[s.length]
		b = b.addCode(literals[endOfBlock+1+int(symbol)])
		b = b.add(uint64(s.length-lengthBase[symbol]), lengthExtra[symbol])
		symbol = distanceSymbol(s.distance)
		b = b.addCode(distances[symbol])
		b = b.add(uint64(s.distance-distanceBase[symbol]), distanceExtra[symbol])
		b, at = b.flush(dst, at)
	}
	b = b.addCode(literals[endOfBlock])
	w.pending, at = b.flush(dst, at)
	w.dst = dst[:at]
}
