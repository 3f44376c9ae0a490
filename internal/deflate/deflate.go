// Package deflate makes and reads the payloads of permessage-deflate (RFC 7692,
// section 7.2): DEFLATE streams (RFC 1951) that are cut into messages, whose
// references reach back no further than an agreed window. [Compress] makes one,
// an [Inflater] reads one as it comes. Neither does I/O. Their memory is pooled:
// between two messages there is nothing to keep but the window.
package deflate

// The sizes of a window as the base-2 logarithm of its bytes (RFC 7692, section
// 7.1.2).
const (
	MinWindowBits = 8
	MaxWindowBits = 15
)

// Tail is the end of what Compress returns: the lengths of an empty stored
// block. It is removed from a message before it is sent, and put back by who
// receives it (RFC 7692, sections 7.2.1 and 7.2.2).
const Tail = "\x00\x00\xff\xff"

// The types of blocks (RFC 1951, section 3.2.3), above the bit that marks the last
// one.
const (
	storedBlock  = 0 << 1
	fixedBlock   = 1 << 1
	dynamicBlock = 2 << 1
)

// The alphabets of RFC 1951, section 3.2.5: literals, the end of a block and
// lengths in one, distances in the other.
const (
	endOfBlock  = 256
	maxLiterals = 286
	maxDistance = 30
	maxCodeLen  = 15 // of a Huffman code, in bits

	minMatch = 3
	maxMatch = 258
)

// A length or distance is a symbol, which stands for a base, and extra bits,
// which are added to it.
var (
	lengthBase  = [...]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthExtra = [...]uint8{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}

	distanceBase = [maxDistance]uint16{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769,
		1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	distanceExtra = [maxDistance]uint8{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}
)

// The symbols of the code for code lengths that are no length, and the numbers of
// extra bits of all of them (RFC 1951, section 3.2.7).
const (
	repeatLast     = 16
	repeatZero     = 17
	repeatZeroLong = 18
)

var runExtra = [len(codeLengthOrder)]uint8{repeatLast: 2, repeatZero: 3, repeatZeroLong: 7}

// codeLengthOrder is the order in which a dynamic block has the lengths of the
// code for code lengths (RFC 1951, section 3.2.7).
var codeLengthOrder = [...]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
