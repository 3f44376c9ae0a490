package deflate

import (
	"math/bits"
	"slices"
)

// A code is what stands for a symbol, with the bit that is sent first as the
// lowest.
type code struct {
	bits uint16
	size uint8
}

// A codeMaker makes Huffman codes. What it has is scratch space.
type codeMaker struct {
	leaves [maxLiterals]uint32 // a frequency and a symbol
	weight [2 * maxLiterals]uint32
	parent [2 * maxLiterals]uint16
}

// make sets codes to a code for the symbols that have a frequency, with sizes of
// at most limit bits. It is always complete, for not all receivers take another:
// if need be, symbols that do not occur have one, too.
func (m *codeMaker) make(codes []code, frequencies []uint32, limit int) {
	clear(codes)
	leaves := m.leaves[:0]
	for symbol, f := range frequencies {
		if f > 0 {
			leaves = append(leaves, f<<9|uint32(symbol))
		}
	}
	for symbol := 0; len(leaves) < 2; symbol++ {
		if frequencies[symbol] == 0 {
			leaves = append(leaves, 1<<9|uint32(symbol))
		}
	}
	slices.Sort(leaves)

	count := m.sizes(leaves)
	limitSizes(&count, limit)
	size := len(count) - 1
	for _, leaf := range leaves {
		for count[size] == 0 {
			size--
		}
		count[size]--
		codes[leaf&(1<<9-1)].size = uint8(size)
	}
	assign(codes)
}

// sizes builds the Huffman tree of leaves, which are sorted, and returns how many
// of them have which depth.
func (m *codeMaker) sizes(leaves []uint32) (count [32]int) {
	n := len(leaves)
	weight := m.weight[:2*n-1]
	parent := m.parent[:2*n-1]
	for i, leaf := range leaves {
		weight[i] = leaf >> 9
	}
	// Inner nodes are made in the order of their weights, so that the
	// lightest node is the first leaf or the first inner node without a parent.
	leaf, inner := 0, n
	for node := n; node < len(weight); node++ {
		weight[node] = 0
		for range 2 {
			lightest := &inner
			if leaf < n && (inner == node || weight[leaf] <= weight[inner]) {
				lightest = &leaf
			}
			weight[node] += weight[*lightest]
			parent[*lightest] = uint16(node)
			*lightest++
		}
	}
	// From here on, parent of an inner node is its depth.
	parent[len(parent)-1] = 0
	for node := len(parent) - 2; node >= n; node-- {
		parent[node] = parent[parent[node]] + 1
	}
	for _, node := range parent[:n] {
		count[parent[node]+1]++
	}
	return count
}

// limitSizes changes the numbers of codes by their sizes so that none is larger
// than limit and the code is still complete.
func limitSizes(count *[32]int, limit int) {
	excess := -1 << limit // of what the codes take of 1<<limit
	for size := 1; size < limit; size++ {
		excess += count[size] << (limit - size)
	}
	for size := limit + 1; size < len(count); size++ {
		count[limit] += count[size]
		count[size] = 0
	}
	excess += count[limit]
	// A code of the limit moves to where a shorter one was, and both are one
	// bit longer than that one. This gives back one place of size limit.
	for ; excess > 0; excess-- {
		size := limit - 1
		for count[size] == 0 {
			size--
		}
		count[size]--
		count[size+1] += 2
		count[limit]--
	}
}

// assign sets the bits of codes from their sizes (RFC 1951, section 3.2.2).
func assign(codes []code) {
	var count, next [maxCodeLen + 1]uint16
	for _, c := range codes {
		count[c.size]++
	}
	count[0] = 0
	for size := 1; size < len(next); size++ {
		next[size] = (next[size-1] + count[size-1]) << 1
	}
	for i := range codes {
		c := &codes[i]
		c.bits = bits.Reverse16(next[c.size]) >> (16 - c.size)
		next[c.size]++
	}
}
