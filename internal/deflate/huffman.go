package deflate

import (
	"math/bits"
	"slices"
)

// A code stands for a symbol. Its bits are in the order in which they are sent,
// the first one the lowest.
type code struct {
	bits uint16
	size uint8
}

// A sizeCount has the numbers of codes by their sizes. Even before they are
// limited, the sizes are far below 32: a block has no more than 1<<16 symbols.
type sizeCount [32]int

// symbolBits are the bits of a symbol, below those of its frequency.
const symbolBits = 9

// maxRunCodeLen is the limit of the code for code sizes.
const maxRunCodeLen = 7

// A huffman makes codes. Its fields are scratch space.
type huffman struct {
	leaves [maxLiterals]uint32
	weight [2 * maxLiterals]uint32
	parent [2 * maxLiterals]uint16
}

// build sets codes to the best code with sizes up to limit for symbols of these
// frequencies, and returns how many bits they take with it. The code is always
// complete, for some receivers refuse any other: if need be, a symbol that does
// not occur has a code, too.
func (h *huffman) build(codes []code, frequencies []uint32, limit int) (cost int) {
	n := 0
	for symbol, f := range frequencies {
		h.leaves[n] = f<<symbolBits | uint32(symbol)
		if f > 0 {
			n++
		}
	}
	for symbol := 0; n < 2; symbol++ {
		if frequencies[symbol] == 0 {
			h.leaves[n] = uint32(symbol)
			n++
		}
	}
	leaves := h.leaves[:n]
	slices.Sort(leaves)

	clear(codes)
	count := h.tree(leaves)
	count.limit(limit)
	size, left := limit, count[limit]
	for _, leaf := range leaves {
		for left == 0 {
			size--
			left = count[size]
		}
		left--
		codes[leaf&(1<<symbolBits-1)].size = uint8(size)
		cost += size * int(leaf>>symbolBits)
	}
	assign(codes, &count)
	return cost
}

// tree builds the Huffman tree of leaves, which are sorted, and returns how many of
// them are how deep.
func (h *huffman) tree(leaves []uint32) (count sizeCount) {
	n := len(leaves)
	weight, parent := h.weight[:2*n-1], h.parent[:2*n-1]
	for i, leaf := range leaves {
		weight[i] = leaf >> symbolBits
	}
	// Inner nodes come in the order of their weights, too, so that the lightest
	// node without a parent is the first such leaf or the first such inner node.
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
	// From the root down, each parent is replaced by the depth.
	depth := parent
	depth[len(depth)-1] = 0
	for node := len(depth) - 2; node >= 0; node-- {
		depth[node] = depth[parent[node]] + 1
	}
	for _, d := range depth[:n] {
		count[d]++
	}
	return count
}

// limit makes the sizes above limit smaller, and others larger, so that the code
// stays complete.
func (count *sizeCount) limit(limit int) {
	for size := limit + 1; size < len(count); size++ {
		count[limit] += count[size]
		count[size] = 0
	}
	excess := -1 << limit
	for size, n := range count[:limit+1] {
		excess += n << (limit - size)
	}
	// A code of the largest size takes one of 1<<limit places. If it moves to a
	// shorter code, so that both are one bit longer than that one was, the place
	// it had becomes free.
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

// assign sets the bits of codes that have sizes (RFC 1951, section 3.2.2).
func assign(codes []code, count *sizeCount) {
	var next [maxCodeLen + 1]int
	for size := 1; size < len(next); size++ {
		next[size] = (next[size-1] + count[size-1]) << 1
	}
	for i := range codes {
		if c := &codes[i]; c.size > 0 {
			c.bits = bits.Reverse16(uint16(next[c.size])) >> (16 - c.size)
			next[c.size]++
		}
	}
}
