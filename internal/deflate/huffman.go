package deflate

import "math/bits"

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

// leaves are symbols with their frequencies above them. There is room for two more.
type leaves [maxLiterals + 2]uint32

// A huffman makes codes. Its fields are scratch space, for which there is none on the
// stack of a goroutine that then waits for long.
type huffman struct {
	count          sizeCount
	next           [1 << digit]uint16  // where the next leaf with a digit goes
	symbols        [maxLiterals]uint16 // that have a code, in order
	leaves, sorted leaves
	weight         [maxLiterals + 1]uint32 // of inner nodes
	parent         [maxLiterals + 1]uint16 // of inner nodes, and which of them that is
}

// build sets codes to the best code with sizes up to limit for symbols of these
// frequencies, and returns how many bits they take with it. The code is always
// complete, for some receivers refuse any other: if need be, a symbol that does
// not occur has a code, too.
func (h *huffman) build(codes []code, frequencies []uint32, limit int) (cost int) {
	n := 0
	for symbol, f := range frequencies {
		h.symbols[n] = uint16(symbol)
		h.leaves[n] = f<<symbolBits | uint32(symbol)
		if f > 0 {
			n++
		}
	}
	if n < 2 {
		other := max(1, h.symbols[0]*uint16(n))
		h.symbols[0], h.symbols[1] = 0, other
		h.leaves[0], h.leaves[1] = frequencies[0]<<symbolBits, frequencies[other]<<symbolBits|uint32(other)
		n = 2
	}
	leaves := h.sort(n)
	h.tree(leaves, n)
	count := &h.count
	count.limit(limit)

	clear(codes)
	size, left := limit, count[limit]
	for _, leaf := range leaves[:n] {
		for left == 0 {
			size--
			left = count[size]
		}
		left--
		codes[leaf&(1<<symbolBits-1)].size = uint8(size)
		cost += size * int(leaf>>symbolBits)
	}
	next := count.first()
	for _, symbol := range h.symbols[:n] {
		next.assign(&codes[symbol])
	}
	return cost
}

// digit is how many bits of the frequencies are looked at together to sort them.
const digit = 6

// sort sorts n leaves by their frequencies, one digit of these after the other.
func (h *huffman) sort(n int) *leaves {
	var union uint32
	for _, leaf := range h.leaves[:n] {
		union |= leaf
	}
	from, to := &h.leaves, &h.sorted
	for shift := symbolBits; union>>shift > 0; shift += digit {
		next := &h.next
		clear(next[:])
		for _, leaf := range from[:n] {
			next[leaf>>shift%(1<<digit)]++
		}
		sum := uint16(0)
		for i, count := range next {
			next[i] = sum
			sum += count
		}
		for _, leaf := range from[:n] {
			i := &next[leaf>>shift%(1<<digit)]
			to[*i] = leaf
			*i++
		}
		from, to = to, from
	}
	return from
}

// tree builds the Huffman tree of the first n leaves, which are sorted, and counts
// how many of them are how deep.
func (h *huffman) tree(leaves *leaves, n int) {
	// Inner nodes come in the order of their weights, too, so that the two lightest
	// nodes without a parent are among the next two leaves and the next two inner
	// nodes. What is not there weighs more than all. Which of them it is cannot be
	// predicted, so nothing here depends on it but values.
	const none = ^uint32(0)
	leaves[n], leaves[n+1] = none, none
	h.weight[0] = none >> symbolBits
	leaf, inner := 0, 0
	for node := range n - 1 {
		h.weight[node+1] = none >> symbolBits
		leaf1, leaf2 := leaves[leaf]>>symbolBits, leaves[leaf+1]>>symbolBits
		inner1, inner2 := h.weight[inner], h.weight[inner+1]
		h.weight[node] = min(leaf1+leaf2, leaf1+inner1, inner1+inner2)
		h.parent[inner], h.parent[inner+1] = uint16(node), uint16(node)
		taken := 1
		if leaf2 <= inner1 {
			taken = 2
		}
		if inner2 < leaf1 {
			taken = 0
		}
		leaf += taken
		inner += 2 - taken
	}
	// From the root down, each parent is replaced by the depth. A node that was a
	// leaf so far becomes an inner one, with two leaves.
	depth, count := &h.parent, &h.count
	*count = sizeCount{}
	depth[n-2] = 0
	count[1] = 2
	for node := n - 3; node >= 0; node-- {
		d := depth[depth[node]] + 1
		depth[node] = d
		count[d]--
		count[d+1] += 2
	}
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

// A nextCode has the next code of each size.
type nextCode [maxCodeLen + 1]uint16

// first returns the first codes (RFC 1951, section 3.2.2).
func (count *sizeCount) first() (next nextCode) {
	for size := 1; size < len(next); size++ {
		next[size] = (next[size-1] + uint16(count[size-1])) << 1
	}
	return next
}

// assign sets the bits of c, which has a size.
func (next *nextCode) assign(c *code) {
	c.bits = bits.Reverse16(next[c.size]) >> (16 - c.size)
	next[c.size]++
}
