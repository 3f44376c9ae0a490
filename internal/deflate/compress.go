package deflate

import (
	"encoding/binary"
	"math/bits"
	"sync"
)

const (
	maxWindow = 1 << MaxWindowBits
	maxBlock  = 1<<16 - 1 // bytes, for that is what a stored block can hold

	// hashedBytes is the length of the shortest match that is looked for.
	// One of three bytes seldom pays.
	hashedBytes = 4
	hashBits    = 12

	// primeStep is the distance between two places of a dictionary that can
	// be found. A match that lies between is found later, and extended back.
	primeStep = 4

	// skipBits says how soon the search takes longer steps: after so many
	// bytes without a match, as a power of two, it skips one more.
	skipBits = 5
)

// A sequence is a number of literals, and a match after them.
type sequence struct {
	literals, length, distance uint16
}

// A compressor finds matches. From one message to the next it keeps its memory,
// but nothing that it knows.
type compressor struct {
	// table has for a hash the position where it was seen last. Positions
	// go on from message to message, with a gap of more than a window before
	// each, so that what other messages have left is never within reach.
	table [1 << hashBits]uint32
	next  uint32

	sequences [4096]sequence
	encoder   encoder
}

var compressors = sync.Pool{New: func() any { return new(compressor) }}

// Compress appends p to dst as DEFLATE blocks (RFC 1951), none of them final,
// followed by an empty stored block, so that the result ends with [Tail] on a
// byte boundary. References reach into p and dict, the bytes that the receiver
// has seen right before, and at most 1<<windowBits back. dst must not overlap p
// or dict. It is safe for concurrent use.
func Compress(dst, dict, p []byte, windowBits int) []byte {
	w := bitWriter{dst: dst}
	if len(p) > 0 {
		c := compressors.Get().(*compressor)
		c.compress(&w, dict, p, 1<<windowBits)
		compressors.Put(c)
	}
	w.storedHeader()
	return append(w.dst, Tail...)
}

func (c *compressor) compress(w *bitWriter, dict, p []byte, window int) {
	dict = dict[max(0, len(dict)-window):]
	c.prime(dict)
	for start := 0; start < len(p); {
		n, end := c.search(dict, p, start, uint32(window))
		c.encoder.block(w, p[start:end], c.sequences[:n])
		start = end
	}
}

// reserve makes sure that n more positions can be counted.
func (c *compressor) reserve(n int) {
	if c.next > ^uint32(0)-uint32(n) {
		clear(c.table[:])
		c.next = maxWindow + 1
	}
}

// prime puts the positions of dict in the table.
func (c *compressor) prime(dict []byte) {
	c.reserve(maxWindow + 1 + len(dict))
	c.next += maxWindow + 1
	for i := 0; i <= len(dict)-hashedBytes; i += primeStep {
		c.table[hash(load32(dict, i))] = c.next + uint32(i)
	}
	c.next += uint32(len(dict))
}

// search finds the matches of the block that begins at start. It returns their
// number and the end of the block.
func (c *compressor) search(dict, p []byte, start int, window uint32) (n, end int) {
	c.reserve(maxBlock)
	base := c.next - uint32(start)
	end = min(len(p), start+maxBlock)
	done := start
	for i := start; i <= end-hashedBytes; {
		here := load32(p, i)
		entry := &c.table[hash(here)]
		position := base + uint32(i)
		distance := position - *entry
		*entry = position

		from, j := p, i-int(distance)
		if distance-1 < window && j < 0 {
			from, j = dict, len(dict)+j
		}
		if distance-1 >= window || load32(from, j) != here {
			i += 1 + (i-done)>>skipBits
			continue
		}
		for i > done && j > 0 && p[i-1] == from[j-1] {
			i--
			j--
		}
		length := matchLen(from[j:], p[i:min(end, i+maxMatch)])
		c.sequences[n] = sequence{uint16(i - done), uint16(length), uint16(distance)}
		n++
		i += length
		done = i
		if n == len(c.sequences) {
			end = i
			break
		}
		if i <= end-2 {
			c.table[hash(load32(p, i-2))] = base + uint32(i-2)
		}
	}
	c.next += uint32(end - start)
	return n, end
}

// matchLen returns the number of bytes that a and b have in common at their
// beginnings. b is the shorter one, or a ends first because the dictionary does.
func matchLen(a, b []byte) int {
	b = b[:min(len(a), len(b))]
	n := 0
	for ; n <= len(b)-8; n += 8 {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return n + bits.TrailingZeros64(x)>>3
		}
	}
	for n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func load32(b []byte, i int) uint32 {
	return binary.LittleEndian.Uint32(b[i:])
}

// hash multiplies by the golden ratio, of which the upper bits depend on all of v.
func hash(v uint32) uint32 {
	return v * 0x9e3779b1 >> (32 - hashBits)
}
