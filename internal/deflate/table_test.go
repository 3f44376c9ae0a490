package deflate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// inflateCodes assigns codes as RFC 1951, section 3.2.2, has it, and writes them as
// they stand there: the first bit first. A length of 0 has none.
func inflateCodes(lengths []int) []string {
	codes := make([]string, len(lengths))
	code := 0
	for n := 1; n <= maxCodeLen; n++ {
		code <<= 1
		for i, l := range lengths {
			if l == n {
				codes[i] = fmt.Sprintf("%0*b", n, code)
				code++
			}
		}
	}
	return codes
}

// inflateLengths returns n lengths, zero but for those of the symbols given: symbol,
// length, symbol, length...
func inflateLengths(n int, pairs ...int) []int {
	lengths := make([]int, n)
	for ; len(pairs) > 0; pairs = pairs[2:] {
		lengths[pairs[0]] = pairs[1]
	}
	return lengths
}

func inflateBytes(lengths []int) (b []byte) {
	for _, n := range lengths {
		b = append(b, byte(n))
	}
	return b
}

func (t *table) lookup(b uint64) entry {
	e := t.fast[b%(1<<fastBits)]
	if e.kind() == longCode {
		e = t.long(b)
	}
	return e
}

func TestTableBuild(t *testing.T) {
	chain := func(n int) (lengths []int) { // 1, 2, 3, ..., n, n
		for i := range n {
			lengths = append(lengths, i+1)
		}
		return append(lengths, n)
	}
	tests := []struct {
		name    string
		lengths []int
		ok      bool
	}{
		{"two of one bit", []int{1, 1}, true},
		{"all of fifteen lengths", chain(15), true},
		{"the longest fast ones", chain(fastBits), true},
		{"one more bit", chain(fastBits + 1), true},
		{"none", inflateLengths(30), true},
		{"one of one bit", inflateLengths(30, 7, 1), true},
		{"one of two bits", inflateLengths(30, 7, 2), false},
		{"one of fifteen bits", inflateLengths(30, 7, 15), false},
		{"three of one bit", []int{1, 1, 1}, false},
		{"too many of two bits", []int{1, 2, 2, 2}, false},
		{"too many by one of fifteen bits", append(chain(15), 15), false},
		{"too few of two bits", []int{1, 2}, false},
		{"too few by one of fifteen bits", chain(15)[:15], false},
		{"too few, without the short half", chain(15)[1:], false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := new(table).build(inflateBytes(tt.lengths), literalMeanings[:]); got != tt.ok {
				t.Errorf("got %v, want %v", got, tt.ok)
			}
		})
	}
}

// TestTableFindsEachCode reads each code of many complete ones, with anything
// after it. One table is built over and over, so that nothing of the codes before
// may be left.
func TestTableFindsEachCode(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var tab table
	for i := range 500 {
		lengths := inflateRandomCode(r, 2+r.IntN(maxLiterals-2), 1+i%maxCodeLen)
		if !tab.build(inflateBytes(lengths), literalMeanings[:]) {
			t.Fatalf("no code: %v", lengths)
		}
		for symbol, code := range inflateCodes(lengths) {
			if code == "" {
				continue
			}
			for _, after := range []uint64{0, r.Uint64(), 1<<64 - 1} {
				b := after << len(code)
				for j, bit := range code {
					b |= uint64(bit-'0') << j
				}
				if got, want := tab.lookup(b), literalMeanings[symbol]|entry(len(code)); got != want {
					t.Fatalf("%v: symbol %d, code %s: got %#x, want %#x", lengths, symbol, code, got, want)
				}
			}
		}
	}
}

// inflateRandomCode makes a complete code by growing a tree no deeper than depth:
// a leaf becomes two.
func inflateRandomCode(r *rand.Rand, leaves, depth int) []int {
	leaves = min(leaves, 1<<depth)
	tree := []int{1, 1}
	for len(tree) < leaves {
		if i := len(tree) - 1 - min(r.IntN(len(tree)), r.IntN(len(tree))); tree[i] < depth {
			tree[i]++
			tree = append(tree, tree[i])
		}
	}
	lengths := append(tree, make([]int, maxLiterals-leaves)...)
	r.Shuffle(len(lengths), func(i, j int) { lengths[i], lengths[j] = lengths[j], lengths[i] })
	return lengths
}

func TestTableWhatHasNoCode(t *testing.T) {
	tests := []struct {
		name    string
		lengths []int
		bits    uint64
		want    entry
	}{
		{"the one code", inflateLengths(30, 7, 1), 0b10, distanceMeanings[7] | 1},
		{"the other bit", inflateLengths(30, 7, 1), 0b01, noCode | 1},
		{"of none, 0", inflateLengths(30), 0, noCode | 1},
		{"of none, 1", inflateLengths(30), 1, noCode | 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var tab table
			// What was there before must not shine through.
			tab.build(inflateBytes(slices.Repeat([]int{5}, 32)), distanceMeanings[:])
			tab.build(inflateBytes(tt.lengths), distanceMeanings[:])
			if got := tab.lookup(tt.bits); got != tt.want {
				t.Errorf("got %#x, want %#x", got, tt.want)
			}
		})
	}
}
