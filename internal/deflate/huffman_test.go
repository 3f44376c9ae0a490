package deflate

import (
	"container/heap"
	"math/rand/v2"
	"strconv"
	"testing"
)

// fibonacciFrequencies are those with the deepest trees.
func fibonacciFrequencies(n int) []uint32 {
	f := make([]uint32, n)
	for i := range f {
		f[i] = 1
		if i > 1 {
			f[i] = f[i-1] + f[i-2]
		}
	}
	return f
}

func randomFrequencies(n int, largest uint32, seed uint64) []uint32 {
	r := rand.New(rand.NewPCG(seed, 4))
	f := make([]uint32, n)
	for i := range f {
		f[i] = r.Uint32N(largest + 1)
	}
	return f
}

func equalFrequencies(n int, f uint32) []uint32 {
	all := make([]uint32, n)
	for i := range all {
		all[i] = f
	}
	return all
}

// A weightHeap is for optimalCost.
type weightHeap []int

func (h weightHeap) Len() int           { return len(h) }
func (h weightHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h weightHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *weightHeap) Push(x any)        { *h = append(*h, x.(int)) }
func (h *weightHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// optimalCost returns what the best code without a limit takes, in the way of the
// textbook.
func optimalCost(frequencies []uint32) (cost int) {
	var h weightHeap
	for _, f := range frequencies {
		if f > 0 {
			heap.Push(&h, int(f))
		}
	}
	if len(h) == 1 {
		return h[0] // one bit each, not none
	}
	for len(h) > 1 {
		sum := heap.Pop(&h).(int) + heap.Pop(&h).(int)
		cost += sum
		heap.Push(&h, sum)
	}
	return cost
}

func TestHuffman(t *testing.T) {
	for _, tt := range []struct {
		name        string
		frequencies []uint32
		limit       int
		limited     bool // there is a better code with larger sizes
	}{
		{"no symbol", make([]uint32, maxDistance), maxCodeLen, false},
		{"the first symbol", []uint32{7, 0, 0}, maxCodeLen, false},
		{"the last symbol", []uint32{0, 0, 7}, maxCodeLen, false},
		{"two symbols", []uint32{0, 1 << 15, 0, 1}, maxCodeLen, false},
		{"three symbols", []uint32{1, 1, 1}, maxCodeLen, false},
		{"all literals", equalFrequencies(maxLiterals, 1), maxCodeLen, false},
		{"as many as in a block", append(make([]uint32, 255), maxBlock, 1), maxCodeLen, false},
		{"two frequencies", append(equalFrequencies(200, 1), equalFrequencies(86, 500)...), maxCodeLen, false},
		{"powers of two", []uint32{1, 1, 2, 4, 8, 16, 32, 64}, maxRunCodeLen, false},
		{"one more than fits", []uint32{1, 1, 2, 4, 8, 16, 32, 64, 128}, maxRunCodeLen, true},
		{"Fibonacci, 8", fibonacciFrequencies(8), maxRunCodeLen, false},
		{"Fibonacci, 9", fibonacciFrequencies(9), maxRunCodeLen, true},
		{"Fibonacci, 19", fibonacciFrequencies(19), maxRunCodeLen, true},
		{"Fibonacci, 16", fibonacciFrequencies(16), maxCodeLen, false},
		{"Fibonacci, 17", fibonacciFrequencies(17), maxCodeLen, true},
		{"Fibonacci, 22", fibonacciFrequencies(22), maxCodeLen, true},
		{"Fibonacci and all others", append(fibonacciFrequencies(21), equalFrequencies(maxLiterals-21, 1)...), maxCodeLen, false},
		{"random", randomFrequencies(maxLiterals, 200, 1), maxCodeLen, false},
		{"random, with a limit", randomFrequencies(maxLiterals, 200, 2), 9, true},
		{"few random", randomFrequencies(19, 3, 3), maxRunCodeLen, false},
		{"as many as fit", equalFrequencies(1<<maxRunCodeLen, 3), maxRunCodeLen, false},
		{"as many as fit, with a limit", randomFrequencies(1<<maxRunCodeLen, 1000, 4), maxRunCodeLen, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			codes := make([]code, len(tt.frequencies))
			for i := range codes {
				codes[i] = code{0xaaaa, 15} // of another block
			}
			cost := new(huffman).build(codes, tt.frequencies, tt.limit)
			testCode(t, codes, tt.limit)
			sum := 0
			for i, f := range tt.frequencies {
				if f > 0 && codes[i].size == 0 {
					t.Errorf("symbol %d has no code", i)
				}
				for j, g := range tt.frequencies {
					if f > g && g > 0 && codes[i].size > codes[j].size {
						t.Errorf("symbol %d occurs %d times and takes %d bits, symbol %d %d times and %d", i, f, codes[i].size, j, g, codes[j].size)
					}
				}
				sum += int(f) * int(codes[i].size)
			}
			best := optimalCost(tt.frequencies)
			if cost != sum || (cost > best) != tt.limited || cost < best || cost > best*5/4 {
				t.Errorf("got %d bits, it is %d, and %d without a limit", cost, sum, best)
			}
		})
	}
}

// testCode checks that codes have sizes up to limit, in the order of RFC 1951, and
// that whatever bits come, they begin with exactly one of the codes.
func testCode(t *testing.T, codes []code, limit int) {
	t.Helper()
	seen := make([]int, 1<<limit)
	for _, c := range codes {
		if int(c.size) > limit {
			t.Fatalf("a code of %d bits", c.size)
		}
		if c.size == 0 {
			continue
		}
		for rest := range 1 << (limit - int(c.size)) {
			seen[rest<<c.size|int(c.bits)]++
		}
	}
	for bits, n := range seen {
		if n != 1 {
			t.Fatalf("%0*b begins with %d codes", limit, bits, n)
		}
	}
}

// bitString writes a code as RFC 1951 does, the first bit first.
func bitString(c code) string {
	var b []byte
	for i := range c.size {
		b = strconv.AppendUint(b, uint64(c.bits>>i&1), 2)
	}
	return string(b)
}

// TestAssign has the example of RFC 1951, section 3.2.2.
func TestAssign(t *testing.T) {
	codes := make([]code, 8)
	for i, size := range []uint8{3, 3, 3, 3, 3, 2, 4, 4} {
		codes[i].size = size
	}
	next := (&sizeCount{2: 1, 3: 5, 4: 2}).first()
	for i := range codes {
		next.assign(&codes[i])
	}
	for i, want := range []string{"010", "011", "100", "101", "110", "00", "1110", "1111"} {
		if got := bitString(codes[i]); got != want {
			t.Errorf("%c: got %s, want %s", 'A'+i, got, want)
		}
	}
}

// TestFixedCodes has the table of RFC 1951, section 3.2.6.
func TestFixedCodes(t *testing.T) {
	for _, tt := range []struct {
		symbol int
		want   string
	}{
		{0, "00110000"}, {143, "10111111"},
		{144, "110010000"}, {255, "111111111"},
		{256, "0000000"}, {279, "0010111"},
		{280, "11000000"}, {287, "11000111"},
	} {
		if got := bitString(fixedLiterals[tt.symbol]); got != tt.want {
			t.Errorf("literal %d: got %s, want %s", tt.symbol, got, tt.want)
		}
	}
	testCode(t, fixedLiterals[:], 9)
	for i, c := range fixedDistances {
		if got, err := strconv.ParseUint(bitString(c), 2, 8); len(bitString(c)) != 5 || int(got) != i || err != nil {
			t.Errorf("distance %d: got %s", i, bitString(c))
		}
	}
}

func TestSymbols(t *testing.T) {
	for length := minMatch; length <= maxMatch; length++ {
		symbol := lengthSymbol[length]
		extra := length - int(lengthBase[symbol])
		if extra < 0 || extra >= 1<<lengthExtra[symbol] || length == maxMatch && lengthExtra[symbol] != 0 {
			t.Errorf("length %d: symbol %d", length, symbol)
		}
	}
	for distance := 1; distance <= maxWindow; distance++ {
		symbol := distanceSymbol(uint16(distance))
		if extra := distance - int(distanceBase[symbol]); extra < 0 || extra >= 1<<distanceExtra[symbol] {
			t.Errorf("distance %d: symbol %d", distance, symbol)
		}
	}
}
