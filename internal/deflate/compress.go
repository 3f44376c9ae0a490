package deflate

import (
	"encoding/binary"
	"math/bits"
	"sync"
)

const (
	maxWindow = 1 << MaxWindowBits
	maxBlock  = 1<<16 - 1 // bytes, for a stored block cannot hold more

	// hashedBytes is the length of the shortest match that is looked for:
	// one of minMatch seldom pays.
	hashedBytes = 4
	hashBits    = 12

	// Only some positions can be found: of the dictionary, which is read for
	// each message anew, fewer than of what was in a match. Where a match began
	// earlier than the position that was found, it is extended back.
	dictStep  = 4
	matchStep = 2

	// After each 1<<skipBits bytes without a match the search takes longer
	// steps, so that it does not dwell on what cannot be compressed.
	skipBits = 6
)

// A sequence is a number of literals, and the match that follows them.
type sequence struct {
	literals, length, distance uint16
}

// A compressor finds matches. It keeps nothing from one message to the next but
// its memory.
type compressor struct {
	// last has, for a hash, the position where it was seen last. Positions go
	// on from message to message, with a gap of more than a window: so what
	// other messages left is never within reach, and need not be cleared.
	last [1 << hashBits]uint32
	next uint32 // position

	sequences [4096]sequence // of one block, which ends early if they are full
	encoder   encoder
}

var compressors = sync.Pool{New: func() any { return new(compressor) }}

// Compress appends p to dst as DEFLATE blocks (RFC 1951), none of them final,
// followed by an empty stored block, so that the result ends with [Tail] on a
// byte boundary. References reach into p and dict, the bytes that the receiver
// has seen right before, and at most 1<<windowBits back. dst must not overlap p
// or dict; it is enlarged at most once a block, and not at all if it has room for
// the result and 16 bytes more. Compress is safe for concurrent use.
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
	c.begin(dict)
	for start := 0; start < len(p); {
		n, end := c.search(dict, p, start, uint32(window))
		c.encoder.block(w, p[start:end], c.sequences[:n])
		start = end
	}
}

// begin begins a message after dict.
func (c *compressor) begin(dict []byte) {
	const gap = maxWindow + 1 // a position that was never set is one, too
	c.reserve(gap + len(dict))
	c.next += gap
	c.insert(dict, 0, len(dict), c.next, dictStep)
	c.next += uint32(len(dict))
}

// reserve makes sure that there are n more positions. Once in 4 GiB there are not,
// and all begins anew.
func (c *compressor) reserve(n int) {
	if c.next > ^uint32(0)-uint32(n) {
		clear(c.last[:])
		c.next = maxWindow + 1
	}
}

// insert makes every step-th position of b from i to end one that can be found.
// base is the position of b[0].
func (c *compressor) insert(b []byte, i, end int, base uint32, step int) {
	for end = min(end, len(b)-hashedBytes+1); i < end; i += step {
		c.last[hash(load32(b, i))] = base + uint32(i)
	}
}

// search finds matches in the block of p that begins at start. It returns their
// number and the end of the block.
func (c *compressor) search(dict, p []byte, start int, window uint32) (n, end int) {
	c.reserve(maxBlock)
	base := c.next - uint32(start) // the position of p[0]
	end = min(len(p), start+maxBlock)
	done := start
	for i := start; i <= end-hashedBytes && n < len(c.sequences); {
		here := load32(p, i)
		last := &c.last[hash(here)]
		distance := base + uint32(i) - *last
		*last += distance

		from, j := p, i-int(distance)
		if j < 0 {
			from, j = dict, len(dict)+j
		}
		// A block that began within a match of the last one meets itself.
		if distance-1 >= window || load32(from, j) != here {
			i += 1 + (i-done)>>skipBits
			continue
		}
		for i > done && j > 0 && p[i-1] == from[j-1] {
			i--
			j--
		}
		length := matchLen(from[j:], p[i:end])
		c.insert(p, i+1, i+length, base, matchStep)
		for literals := i - done; length > 0 && n < len(c.sequences); literals = 0 {
			part := min(length, maxMatch)
			if rest := length - part; 0 < rest && rest < minMatch {
				part -= minMatch
			}
			c.sequences[n] = sequence{uint16(literals), uint16(part), uint16(distance)}
			n++
			i += part
			length -= part
		}
		done = i
	}
	if n == len(c.sequences) {
		end = done
	}
	c.next += uint32(end - start)
	return n, end
}

// matchLen returns how many bytes a and b have in common at their beginning. A
// match does not go on from the dictionary to p, so that either may be shorter.
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

// hash multiplies with the golden ratio, which spreads v over the upper bits.
func hash(v uint32) uint32 {
	return v * 0x9e3779b1 >> (32 - hashBits)
}
