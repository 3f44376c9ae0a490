package deflate

import (
	"encoding/binary"
	"math/bits"
	"sync"
)

const (
	maxWindow = 1 << MaxWindowBits
	maxBlock  = maxWindow - wordBytes // bytes

	// gap is between the positions of two messages. One that was never set is 0,
	// and is out of reach for the same reason.
	gap = maxWindow + 1

	// wordBytes are read at once.
	wordBytes = 8

	// The shortest match that is looked for has 4 bytes in a message that is short,
	// where each of them counts, and 5 in others, where those of 4 are many and
	// save little.
	shortMessage = 128
	hashBits     = 13

	// Only some positions can be found: of the dictionary, which is read for
	// each message anew, every third of its end, and few of what is older.
	// Where a match began earlier than the position that was found, it is
	// extended back.
	recent    = 4 << 10
	dictStep  = 3
	olderStep = 16
	matchStep = 4

	// After each 1<<skipBits bytes without a match the search takes longer
	// steps, so that it does not dwell on what cannot be compressed. After
	// maxSkip bytes they are long enough: if all of that comes again, it is found.
	skipBits = 6
	maxSkip  = 4 << 10
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
	base uint32 // the position of history[0]

	shortest   int    // match to look for
	mask       uint64 // of so many bytes
	multiplier uint64 // hashes them

	// history has a block, and before it what it may refer to, in one piece. A
	// word can be read before and after it, and the one after it is zero.
	history [wordBytes + maxWindow + maxBlock + wordBytes]byte

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
	c.setShortest(len(p))
	start := c.begin(dict[max(0, len(dict)-window):])
	for len(p) > 0 {
		start = c.slide(start)
		end := c.fill(start, p[:min(len(p), maxBlock)])
		n, end := c.search(start, end, uint32(window))
		c.encoder.block(w, c.history[start:end], c.sequences[:n])
		p = p[end-start:]
		start = end
	}
	c.base += uint32(start)
}

// setShortest decides on the shortest match for a message of size bytes.
func (c *compressor) setShortest(size int) {
	c.shortest = 5
	if size < shortMessage {
		c.shortest = 4
	}
	c.mask = 1<<(8*c.shortest) - 1
	// The golden ratio spreads what it is multiplied with over the upper bits. This
	// much of it leaves out all bytes but the first.
	c.multiplier = 0x9e3779b97f4a7c15 << (64 - 8*c.shortest)
}

// begin begins a message after dict, and returns the place of the first block.
func (c *compressor) begin(dict []byte) (start int) {
	c.advance(gap)
	start = c.fill(wordBytes, dict)
	older := max(wordBytes, start-recent)
	c.insert(wordBytes, older, olderStep)
	c.insert(older, start-c.shortest+1, dictStep)
	return start
}

// advance adds n to the positions of all that is in history. Once in 4 GiB there are
// no more, and all begins anew.
func (c *compressor) advance(n int) {
	if c.base > ^uint32(0)-uint32(n+len(c.history)) {
		clear(c.last[:])
		c.base = gap
	}
	c.base += uint32(n)
}

// fill copies p to start, and returns where it ends.
func (c *compressor) fill(start int, p []byte) (end int) {
	end = start + copy(c.history[start:], p)
	clear(c.history[end : end+wordBytes])
	return end
}

// slide makes room for a block at start, and returns where start is then.
func (c *compressor) slide(start int) int {
	const last = wordBytes + maxWindow
	if start > last {
		c.advance(start - last)
		copy(c.history[wordBytes:], c.history[start-maxWindow:start])
	}
	return min(start, last)
}

// insert makes every step-th position from i to end one that can be found.
func (c *compressor) insert(i, end, step int) {
	for ; i < end; i += step {
		c.last[c.hash(c.load(i))] = c.base + uint32(i)
	}
}

// search finds matches in the block from start to end. It returns their number and
// the end of the block, which is earlier if they are too many.
func (c *compressor) search(start, end int, window uint32) (n, stop int) {
	done := start
	for i := start; i <= end-c.shortest && n < len(c.sequences); {
		here := c.load(i)
		position := c.base + uint32(i)
		last := &c.last[c.hash(here)]
		distance := position - *last
		*last = position

		// That a position is too far away and that other bytes are there is one
		// condition: which of them it is cannot be predicted.
		j := i - int(distance)
		difference := here ^ c.load(j)
		tooFar := (uint64(window) - 1 - uint64(distance-1)) >> 63
		if difference&c.mask|tooFar != 0 {
			i += 1 + min(i-done, maxSkip)>>skipBits
			continue
		}
		length := c.matchLen(i, j, end, difference)
		c.insert(i+1, min(i+length, end-c.shortest+1), matchStep)
		back := c.matchBack(i, j, done)
		i -= back
		length += back
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
	return n, end
}

// matchLen returns how many bytes from i to end are the same from j on. difference is
// what the first words have.
func (c *compressor) matchLen(i, j, end int, difference uint64) int {
	n := 0
	for difference == 0 && i+n < end {
		n += wordBytes
		difference = c.load(i+n) ^ c.load(j+n)
	}
	return min(n+bits.TrailingZeros64(difference)>>3, end-i)
}

// matchBack returns how many bytes before i, back to done, are the same before j.
func (c *compressor) matchBack(i, j, done int) (n int) {
	most, same := min(i-done, j-wordBytes), wordBytes
	for n < most && same == wordBytes {
		same = bits.LeadingZeros64(c.load(i-n-wordBytes)^c.load(j-n-wordBytes)) >> 3
		n += same
	}
	return min(n, most)
}

// load reads a word of the history. Which one it is for an i beyond it, as comes of
// a position too far away, does not matter, but it is one, and no check is needed.
func (c *compressor) load(i int) uint64 {
	return binary.LittleEndian.Uint64(c.history[i&(2*maxWindow-1):])
}

func (c *compressor) hash(v uint64) uint64 { return v * c.multiplier >> (64 - hashBits) }
