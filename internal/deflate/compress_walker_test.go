package deflate

import "fmt"

// A compressWalker goes through DEFLATE blocks and notes what they are made of. It
// has nothing in common with the code it checks but the tables of RFC 1951.
type compressWalker struct {
	stored, fixed, dynamic int
	length                 int // of all that the blocks stand for
	literals               int // among it
	distance               int // the largest
	reach                  int // how far before the first byte

	p   []byte
	bit int
}

// compressWalk goes through p to the end. It panics where p is not DEFLATE.
func compressWalk(p []byte) *compressWalker {
	w := &compressWalker{p: p}
	for w.bit < 8*len(p) {
		if w.bits(1) == 1 {
			panic("a block is the last one")
		}
		switch w.bits(2) {
		case 0:
			w.stored++
			w.bit = (w.bit + 7) &^ 7
			n := w.bits(16)
			if w.bits(16) != n^0xffff {
				panic("the lengths of a stored block differ")
			}
			w.bit += 8 * n
			w.length += n
		case 1:
			w.fixed++
			sizes := make([]int, 288+32)
			for i := range sizes {
				switch {
				case i >= 288:
					sizes[i] = 5
				case i >= 144 && i < 256:
					sizes[i] = 9
				case i >= 256 && i < 280:
					sizes[i] = 7
				default:
					sizes[i] = 8
				}
			}
			w.symbols(compressWalkCode(sizes[:288]), compressWalkCode(sizes[288:]))
		case 2:
			w.dynamic++
			w.symbols(w.codes())
		default:
			panic("a block has no type")
		}
	}
	w.p = nil
	return w
}

func (w *compressWalker) bits(n int) (v int) {
	for i := range n {
		v |= int(w.p[w.bit>>3]>>(w.bit&7)&1) << i
		w.bit++
	}
	return v
}

// A compressWalkerCode has symbols by their codes, with a one before the first bit.
type compressWalkerCode map[int]int

// compressWalkCode makes a code from its sizes. It panics unless it is complete.
func compressWalkCode(sizes []int) compressWalkerCode {
	symbols := make(compressWalkerCode)
	code, space := 1, 1<<maxCodeLen
	for size := 1; size <= maxCodeLen; size++ {
		code <<= 1
		for symbol, s := range sizes {
			if s == size {
				symbols[code] = symbol
				code++
				space -= 1 << (maxCodeLen - size)
			}
		}
	}
	if space != 0 {
		panic(fmt.Sprintf("a code leaves %d of %d places", space, 1<<maxCodeLen))
	}
	return symbols
}

func (w *compressWalker) symbol(symbols compressWalkerCode) int {
	for code := 1; code < 1<<maxCodeLen; {
		code = code<<1 | w.bits(1)
		if symbol, ok := symbols[code]; ok {
			return symbol
		}
	}
	panic("a symbol is unknown")
}

func (w *compressWalker) codes() (literals, distances compressWalkerCode) {
	numLiterals, numDistances := 257+w.bits(5), 1+w.bits(5)
	if numLiterals > maxLiterals || numDistances > maxDistance {
		panic("there are too many codes")
	}
	var runSizes [19]int
	for _, symbol := range codeLengthOrder[:4+w.bits(4)] {
		runSizes[symbol] = w.bits(3)
	}
	runs := compressWalkCode(runSizes[:])
	var sizes []int
	for len(sizes) < numLiterals+numDistances {
		symbol := w.symbol(runs)
		size, n := symbol, 1
		switch symbol {
		case 16:
			size, n = sizes[len(sizes)-1], 3+w.bits(2)
		case 17:
			size, n = 0, 3+w.bits(3)
		case 18:
			size, n = 0, 11+w.bits(7)
		}
		for range n {
			sizes = append(sizes, size)
		}
	}
	if len(sizes) > numLiterals+numDistances {
		panic("a run is too long")
	}
	return compressWalkCode(sizes[:numLiterals]), compressWalkCode(sizes[numLiterals:])
}

func (w *compressWalker) symbols(literals, distances compressWalkerCode) {
	for {
		symbol := w.symbol(literals)
		if symbol == endOfBlock {
			return
		}
		if symbol < endOfBlock {
			w.literals++
			w.length++
			continue
		}
		length := int(lengthBase[symbol-257]) + w.bits(int(lengthExtra[symbol-257]))
		symbol = w.symbol(distances)
		distance := int(distanceBase[symbol]) + w.bits(int(distanceExtra[symbol]))
		w.distance = max(w.distance, distance)
		w.reach = max(w.reach, distance-w.length)
		w.length += length
	}
}
