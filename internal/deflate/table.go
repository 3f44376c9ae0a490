package deflate

import "math/bits"

// An entry says what a code stands for: its length in bits 0 to 3, the number of
// extra bits that follow it in bits 4 to 7, its kind in bits 8 to 11, and from bit
// 16 on a literal, or the base of a length or distance.
type entry uint32

const (
	literal entry = 1 << (iota + 8)
	endCode
	longCode // only the slow way tells: it is longer than fastBits
	noCode   // nothing has it, or what must not occur
)

func (e entry) codeLen() uint { return uint(e & 15) }
func (e entry) extra() uint   { return uint(e >> 4 & 15) }
func (e entry) kind() entry   { return e & 0xf00 }
func (e entry) value() int    { return int(e >> 16) }

// What the symbols of the three alphabets stand for. Fixed codes have two
// symbols at the end of each alphabet that must not occur.
var (
	literalMeanings    [maxLiterals + 2]entry
	distanceMeanings   [maxDistance + 2]entry
	codeLengthMeanings [len(codeLengthOrder)]entry
)

// The fixed codes (RFC 1951, section 3.2.6).
var fixedLiteralTable, fixedDistanceTable table

func init() {
	for i := range literalMeanings {
		switch l := i - endOfBlock - 1; {
		case i < endOfBlock:
			literalMeanings[i] = literal | entry(i)<<16
		case i == endOfBlock:
			literalMeanings[i] = endCode
		case i < maxLiterals:
			literalMeanings[i] = entry(lengthBase[l])<<16 | entry(lengthExtra[l])<<4
		default:
			literalMeanings[i] = noCode
		}
	}
	for i := range distanceMeanings {
		distanceMeanings[i] = noCode
		if i < maxDistance {
			distanceMeanings[i] = entry(distanceBase[i])<<16 | entry(distanceExtra[i])<<4
		}
	}
	for i := range codeLengthMeanings {
		codeLengthMeanings[i] = entry(i)<<16 | entry(runExtra[i])<<4
	}

	var lengths [len(literalMeanings)]uint8
	for i, c := range fixedLiterals {
		lengths[i] = c.size
	}
	fixedLiteralTable.build(lengths[:], literalMeanings[:])
	for i := range distanceMeanings {
		lengths[i] = 5
	}
	fixedDistanceTable.build(lengths[:len(distanceMeanings)], distanceMeanings[:])
}

// Codes up to this length are read at once.
const fastBits = 9

// A table decodes a Huffman code.
type table struct {
	// fast has, for each value of the next fastBits bits, the code they begin with.
	fast [1 << fastBits]entry

	// Longer codes are found by their order: canonical codes of one length follow
	// upon each other, and come after all that are shorter. limit is the first code
	// past those of a length, filled up to maxCodeLen bits; first is where in
	// sorted the code zero of that length would be.
	limit  [maxCodeLen + 1]uint16
	first  [maxCodeLen + 1]int16
	sorted [maxLiterals + 2]entry
}

// build makes the table of the code that has, for symbol i, a code of lengths[i]
// bits, or none if that is 0. It reports whether there is such a code. There is none
// if bits could be read in two ways. There is none if bits could not be read in any
// way either, with an exception that zlib made the rule: a code of at most one
// symbol, of one bit.
func (t *table) build(lengths []uint8, meanings []entry) bool {
	var count [maxCodeLen + 1]int
	for _, n := range lengths {
		if n > 0 { // most are not, and to count these takes longer than to look
			count[n]++
		}
	}
	var next [maxCodeLen + 1]int // where in sorted the next symbol goes
	code, sum, longest := 0, 0, 0
	for n := 1; n <= maxCodeLen; n++ {
		code <<= 1
		next[n] = sum
		t.first[n] = int16(sum - code)
		sum += count[n]
		code += count[n]
		if code > 1<<n {
			return false
		}
		if count[n] > 0 {
			longest = n
		}
		t.limit[n] = uint16(code << (maxCodeLen - n))
	}
	if code < 1<<maxCodeLen && longest > 1 {
		return false
	}
	for i, n := range lengths {
		if n > 0 {
			t.sorted[next[n]] = meanings[i] | entry(n)
			next[n]++
		}
	}
	t.fill(&count, longest)
	return true
}

// fill makes t.fast. What begins with a short code is the short code, so that the
// table for n+1 bits is that for n bits twice, and then the codes of n+1 bits.
func (t *table) fill(count *[maxCodeLen + 1]int, longest int) {
	t.fast[0] = noCode | 1
	if longest > fastBits {
		t.fast[0] = longCode
	}
	code, i := 0, 0
	for n := 1; n <= fastBits; n++ {
		copy(t.fast[1<<(n-1):], t.fast[:1<<(n-1)])
		code <<= 1
		for range count[n] {
			t.fast[bits.Reverse16(uint16(code))>>(16-n)] = t.sorted[i]
			code++
			i++
		}
	}
}

// long returns the code, longer than fastBits, that b begins with.
func (t *table) long(b uint64) entry {
	code := bits.Reverse16(uint16(b)) >> (16 - maxCodeLen)
	n := fastBits + 1
	for n < maxCodeLen && code >= t.limit[n] {
		n++
	}
	return t.sorted[int(t.first[n])+int(code>>(maxCodeLen-n))]
}
