package deflate

import (
	"bytes"
	"compress/flate"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// inflateStream makes a stream of words: 5/3 is the number 5 in three bits; :0110 are
// bits as they come, as of a code; | ends the byte; x48656c are bytes. At each ! a
// message may end; ends has the numbers of bytes so far.
func inflateStream(words string) (stream []byte, ends []int) {
	bits := 0
	put := func(bit int) {
		if bits%8 == 0 {
			stream = append(stream, 0)
		}
		stream[bits/8] |= byte(bit << (bits % 8))
		bits++
	}
	for _, w := range strings.Fields(words) {
		switch {
		case w == "!":
			ends = append(ends, len(stream))
		case w == "|":
			bits = 8 * len(stream)
		case w[0] == ':':
			for _, c := range w[1:] {
				put(int(c - '0'))
			}
		case w[0] == 'x':
			b, err := hex.DecodeString(w[1:])
			if err != nil || bits%8 != 0 {
				panic("no bytes: " + w)
			}
			stream = append(stream, b...)
			bits = 8 * len(stream)
		default:
			value, size, _ := strings.Cut(w, "/")
			v, err1 := strconv.Atoi(value)
			n, err2 := strconv.Atoi(size)
			if err := errors.Join(err1, err2); err != nil {
				panic(err)
			}
			for i := range n {
				put(v >> i & 1)
			}
		}
	}
	return stream, ends
}

// Words for inflateStream. A block begins with whether it is the last one, and with
// its type.
const (
	inflateStored  = "0/1 0/2 |"
	inflateFixed   = "0/1 1/2"
	inflateFinal   = "1/1 1/2"
	inflateDynamic = "0/1 2/2"
	inflateTail    = " " + inflateStored + " x0000ffff !"

	inflateFixedEnd = " :0000000"
	inflateA        = " :10010001" // the literal a in a fixed block
)

// inflateReference returns a length and distance in a fixed block.
func inflateReference(length, distance int) string {
	return " :" + inflateFixedCodes[endOfBlock+1+inflateSymbol(lengthBase[:], length)] +
		inflateExtra(lengthBase[:], lengthExtra[:], length) +
		fmt.Sprintf(" :%05b", inflateSymbol(distanceBase[:], distance)) +
		inflateExtra(distanceBase[:], distanceExtra[:], distance)
}

func inflateSymbol(base []uint16, v int) int {
	i := len(base) - 1
	for int(base[i]) > v {
		i--
	}
	return i
}

func inflateExtra(base []uint16, extra []uint8, v int) string {
	i := inflateSymbol(base, v)
	return fmt.Sprintf(" %d/%d", v-int(base[i]), extra[i])
}

var inflateFixedCodes = inflateCodes(slices.Concat(slices.Repeat([]int{8}, 144),
	slices.Repeat([]int{9}, 112), slices.Repeat([]int{7}, 24), slices.Repeat([]int{8}, 8)))

// inflateLiterals returns literals in a fixed block.
func inflateLiterals(s string) (words string) {
	for _, c := range []byte(s) {
		words += " :" + inflateFixedCodes[c]
	}
	return words
}

// inflateStoredBlock returns a block of bytes as they are.
func inflateStoredBlock(p []byte) string {
	return fmt.Sprintf(" %s %d/16 %d/16 x%x", inflateStored, len(p), len(p)^0xffff, p)
}

// inflateHeader returns the header of a dynamic block. It has a code of four bits for
// each length.
func inflateHeader(literals, distances []int) string {
	words := fmt.Sprintf("%s %d/5 %d/5 15/4 0/9", inflateDynamic, len(literals)-257, len(distances)-1)
	words += strings.Repeat(" 4/3", 16)
	for _, n := range slices.Concat(literals, distances) {
		words += fmt.Sprintf(" :%04b", n)
	}
	return words
}

// inflateRuns returns a header in which the length zero has the code 00, two has 01,
// and 16, 17 and 18 have 10, 110 and 111.
func inflateRuns(literals, distances int, runs string) string {
	return fmt.Sprintf("%s %d/5 %d/5 12/4 2/3 3/3 3/3 2/3 %s 2/3 %s", inflateDynamic, literals-257, distances-1,
		strings.Repeat("0/3 ", 11), runs)
}

type inflateTest struct {
	name  string
	bits  int // of the window; 0 is 15
	dict  string
	words string
	want  string
	err   error
}

var inflateTests = slices.Concat(inflateRFC, inflateBlocks(), inflateLongest(), inflateErrors())

// The examples of RFC 7692, section 7.2.3, and what Tail makes of them.
var inflateRFC = []inflateTest{
	{name: "7.2.3.1, one block", words: "xf248cdc9c90700 x0000ffff !", want: "Hello"},
	{name: "7.2.3.2, the second message", dict: "Hello", words: "xf200110000 x0000ffff !", want: "Hello"},
	{name: "7.2.3.3, a stored block", words: "x000500faff48656c6c6f00 x0000ffff !", want: "Hello"},
	{name: "7.2.3.4, a final block", words: "xf348cdc9c9070000 x0000ffff !", want: "Hello"},
	{name: "7.2.3.5, two blocks", words: "xf248050000 x00ffff ! xcac9c90700 x0000ffff !", want: "Hello"},
	{name: "7.2.3.6, empty", words: "x00 x0000ffff !"},
}

func inflateBlocks() []inflateTest {
	deep := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 15}
	deepCodes := inflateCodes(deep)
	literals := inflateLengths(maxLiterals, 'a', 2, 'b', 2, 256, 3, 257, 3, 284, 3, 285, 3)
	codes := inflateCodes(literals)
	slow := inflateLengths(maxLiterals)
	for i, n := range deep {
		slow[17*i] = n // 0, 17, ..., 255
	}
	slow[255], slow[256], slow[285] = 0, 15, 0
	slowCodes := inflateCodes(slow)
	return []inflateTest{
		{name: "nothing"},
		{name: "stored, empty", words: inflateTail},
		{name: "stored, empty and final", words: "1/1 0/2 | x0000ffff !"},
		{name: "stored, padding that is not zero", words: "0/1 0/2 31/5 x0000ffff !"},
		{name: "stored", words: inflateStoredBlock([]byte("abc")) + inflateTail, want: "abc"},
		{name: "stored, empty ones within", words: inflateTail + inflateTail + inflateStoredBlock([]byte("abc")) + inflateTail, want: "abc"},
		{name: "stored after bits in the same byte", words: inflateFixed + inflateFixedEnd + inflateStoredBlock([]byte("abc")) + inflateTail, want: "abc"},
		{name: "stored, all taken before it begins", words: inflateFixed + inflateFixedEnd + inflateStoredBlock([]byte("a")), want: "a"},
		{name: "stored, more than there is room for", words: inflateStoredBlock(bytes.Repeat([]byte("x"), 0xffff)) + inflateTail, want: strings.Repeat("x", 0xffff)},
		{name: "fixed, empty", words: inflateFixed + inflateFixedEnd + inflateTail},
		{name: "fixed, literals of eight and nine bits", words: inflateFixed + inflateLiterals("\x00\x8f\x90\xff") + inflateFixedEnd + inflateTail, want: "\x00\x8f\x90\xff"},
		{name: "fixed, one byte over and over", words: inflateFixed + inflateA + inflateReference(258, 1) + inflateFixedEnd + inflateTail, want: strings.Repeat("a", 259)},
		{name: "fixed, two bytes over and over", words: inflateFixed + inflateLiterals("ab") + inflateReference(7, 2) + inflateFixedEnd + inflateTail, want: "ababababa"},
		{name: "fixed, length 258 as 227 and 31", words: inflateFixed + inflateA + " :11000100 31/5 :00000" + inflateFixedEnd + inflateTail, want: strings.Repeat("a", 259)},
		{name: "fixed, a reference over a block", words: inflateFixed + inflateLiterals("abc") + inflateFixedEnd + " " + inflateFixed + inflateReference(3, 3) + inflateFixedEnd + inflateTail, want: "abcabc"},
		{name: "final, a reference over it", words: inflateFinal + inflateLiterals("abc") + inflateFixedEnd + " | " + inflateFixed + inflateReference(3, 3) + inflateFixedEnd + inflateTail, want: "abcabc"},
		{name: "final, padding that is not zero", words: inflateFinal + inflateFixedEnd + " 63/6" + inflateTail},
		{name: "final ones only", words: inflateFinal + inflateFixedEnd + " | " + inflateFinal + inflateA + inflateFixedEnd, want: "a"},
		{name: "final, stored, a block after it", words: "1/1 0/2 | x0100feff61 " + inflateFixed + inflateA + inflateFixedEnd + inflateTail, want: "aa"},
		{name: "a reference into the dictionary", dict: "xyz", words: inflateFixed + inflateReference(5, 3) + inflateFixedEnd + inflateTail, want: "xyzxy"},
		{
			name:  "dynamic",
			words: inflateHeader(literals, []int{1, 1}) + " :" + codes['a'] + codes['b'] + codes[257] + "1 :" + codes[284] + " 2/5 :0 :" + codes[285] + "1 :" + codes[256] + inflateTail,
			want:  "ababa" + strings.Repeat("a", 229) + strings.Repeat("a", 258),
		},
		{
			name:  "dynamic, no code for distances",
			words: inflateHeader(inflateLengths(257, 'a', 1, 256, 1), []int{0}) + " :01" + inflateTail,
			want:  "a",
		},
		{
			name:  "dynamic, one code for distances",
			words: inflateHeader(inflateLengths(258, 'a', 1, 256, 2, 257, 2), []int{0, 0, 1}) + " :000 :11 :0 :10" + inflateTail,
			want:  "aaaaaa",
		},
		{
			name:  "dynamic, one code, for the end",
			words: inflateHeader(inflateLengths(257, 256, 1), []int{0}) + " :0" + inflateTail,
		},
		{
			name:  "dynamic, runs, one of them over the end of the literals",
			words: inflateRuns(258, 4, ":111 86/7 :01 :01 :111 127/7 :110 7/3 :110 6/3 :01 :10 2/2 :00 :01 :11 :01 :10") + inflateTail,
			want:  "ababa",
		},
		{
			name:  "dynamic, slow codes",
			words: inflateHeader(slow, deep) + " :" + slowCodes[0] + slowCodes[17*13] + slowCodes[17*14] + slowCodes[17*9] + " :" + slowCodes[256] + inflateTail,
			want:  string([]byte{0, 17 * 13, 17 * 14, 17 * 9}),
		},
		{
			name: "dynamic, slow distances",
			dict: "0123456789ABCDEF" + strings.Repeat("-", 184),
			words: inflateHeader(inflateLengths(258, 'a', 1, 256, 2, 257, 2), deep) + " :11 :" + deepCodes[15] + " 7/6 :11 :" + deepCodes[14] +
				" 63/6 :10" + inflateTail,
			want: "012" + "BCD",
		},
	}
}

// inflateLongest are streams of what takes most bits, beginning at each bit of a
// byte.
func inflateLongest() (tests []inflateTest) {
	literals := inflateLengths(285, 'a', 1, 256, 15, 284, 15)
	distances := inflateLengths(30, 0, 1, 29, 15, 28, 15)
	for n := 2; n < maxCodeLen; n++ {
		literals['a'+n], distances[n] = n, n
	}
	pair := " :" + inflateCodes(literals)[284] + " 31/5 :" + inflateCodes(distances)[29] + " 8191/13"
	tests = append(tests, inflateTest{
		name:  "the longest references",
		dict:  strings.Repeat("x", 1<<MaxWindowBits),
		words: inflateHeader(literals, distances) + strings.Repeat(" :0"+pair, 20) + " :" + inflateCodes(literals)[256] + inflateTail,
		want:  strings.Repeat("a"+strings.Repeat("x", maxMatch), 20),
	})
	// Here 18 has a code of seven bits, and 2 one of one bit.
	runs := inflateDynamic + " 1/5 3/5 12/4 6/3 5/3 7/3 2/3 7/3 4/3 0/18 3/3 0/6 1/3"
	for n := range 8 {
		tests = append(tests, inflateTest{
			name: fmt.Sprintf("the longest runs, %d bits before", n),
			words: inflateFixed + strings.Repeat(" :111111111", n) + inflateFixedEnd + " " + runs +
				" :1111111 86/7 :00 :1111111 127/7 :1111111 8/7 :000000 :10" + inflateTail,
			want: strings.Repeat("\xff", n),
		})
	}
	return tests
}

// inflateErrors are streams that go wrong, with what comes before.
func inflateErrors() []inflateTest {
	ends := inflateLengths(257, 'a', 1, 256, 1)
	matches := inflateLengths(258, 'a', 1, 256, 2, 257, 2)
	long := strings.Repeat("x", 50000)
	return []inflateTest{
		{name: "type of block", words: "0/1 3/2", err: errBlockType},
		{name: "type of block after a final one", words: inflateFinal + inflateA + inflateFixedEnd + " | 1/1 3/2", want: "a", err: errBlockType},
		{name: "type of block after much", words: inflateStoredBlock([]byte(long)) + " 0/1 3/2", want: long, err: errBlockType},
		{name: "length of a stored block", words: inflateStored + " 5/16 5/16", err: errStoredLength},
		{name: "287 literals", words: inflateDynamic + " 30/5 0/5 0/4", err: errTooManyCodes},
		{name: "31 distances", words: inflateDynamic + " 0/5 30/5 0/4", err: errTooManyCodes},
		{name: "code lengths, too many codes", words: inflateDynamic + " 0/5 0/5 0/4 1/3 1/3 1/3 0/3", err: errCode},
		{name: "code lengths, too few codes", words: inflateDynamic + " 0/5 0/5 0/4 2/3 2/3 2/3 0/3", err: errCode},
		{name: "code lengths, no code", words: inflateDynamic + " 0/5 0/5 0/4 0/12 :0", err: errUnusedCode},
		{name: "code lengths, not the one code", words: inflateDynamic + " 0/5 0/5 0/4 1/3 0/9 :1", err: errUnusedCode},
		{name: "code lengths, begin with a repeat", words: inflateRuns(257, 1, ":10 0/2"), err: errNoRepeat},
		{name: "code lengths, too many repeats", words: inflateRuns(257, 2, ":111 127/7 :111 107/7 :01 :10 0/2"), err: errTooManyLens},
		{name: "code lengths, too many zeros", words: inflateRuns(257, 2, ":111 127/7 :111 107/7 :01 :110 0/3"), err: errTooManyLens},
		{name: "code lengths, far too many zeros", words: inflateRuns(257, 1, ":111 127/7 :111 127/7"), err: errTooManyLens},
		{name: "no end of block", words: inflateHeader(inflateLengths(257, 'a', 1, 'b', 1), []int{0}), err: errNoEndOfBlock},
		{name: "literals, too many codes", words: inflateHeader(inflateLengths(257, 'a', 1, 'b', 1, 256, 1), []int{0}), err: errCode},
		{name: "literals, too few codes", words: inflateHeader(inflateLengths(257, 'a', 2, 256, 1), []int{0}), err: errCode},
		{name: "literals, one code of two bits", words: inflateHeader(inflateLengths(257, 256, 2), []int{0}), err: errCode},
		{name: "literals, not the one code", words: inflateHeader(inflateLengths(257, 256, 1), []int{0}) + " :1", err: errUnusedCode},
		{name: "distances, too many codes", words: inflateHeader(ends, []int{1, 1, 1}), err: errCode},
		{name: "distances, too few codes", words: inflateHeader(ends, []int{1, 2}), err: errCode},
		{name: "distances, one code of two bits", words: inflateHeader(ends, []int{2}), err: errCode},
		{name: "distances, not the one code", words: inflateHeader(matches, []int{1}) + " :0 :11 :1", want: "a", err: errUnusedCode},
		{name: "distances, no code", words: inflateHeader(matches, []int{0}) + " :0 :11 :0", want: "a", err: errUnusedCode},
		{name: "symbol 286", words: inflateFixed + inflateA + " :11000110", want: "a", err: errUnusedCode},
		{name: "symbol 287", words: inflateFixed + inflateA + " :11000111", want: "a", err: errUnusedCode},
		{name: "distance 30", words: inflateFixed + inflateA + " :0000001 :11110", want: "a", err: errUnusedCode},
		{name: "distance 31", words: inflateFixed + inflateA + " :0000001 :11111", want: "a", err: errUnusedCode},
		{name: "before the beginning, at once", words: inflateFixed + inflateReference(3, 1), err: errDistance},
		{name: "before the beginning", words: inflateFixed + inflateA + inflateReference(3, 2), want: "a", err: errDistance},
		{name: "before the dictionary", dict: "xyz", words: inflateFixed + inflateA + inflateReference(3, 5), want: "a", err: errDistance},
	}
}

// inflateFeed gives b to f, and checks what Next promises.
func inflateFeed(t *testing.T, f *Inflater, b []byte) (all []byte, err error) {
	t.Helper()
	for {
		out, n, err := f.Next(b)
		switch {
		case err != nil && len(out) > 0:
			t.Fatalf("got %d bytes, and the error %v", len(out), err)
		case err == nil && len(out) == 0 && n < len(b):
			t.Fatalf("nothing came, but %d bytes are left", len(b)-n)
		case err != nil:
			if out, n, again := f.Next(b[n:]); again != err || n != 0 || len(out) > 0 {
				t.Fatalf("after %v: got %d bytes, took %d, error %v", err, len(out), n, again)
			}
		}
		b = b[n:]
		all = append(all, out...)
		if len(out) == 0 {
			return all, err
		}
	}
}

func (tt *inflateTest) open() *Inflater {
	bits := tt.bits
	if bits == 0 {
		bits = MaxWindowBits
	}
	return NewInflater([]byte(tt.dict), bits)
}

func TestInflate(t *testing.T) {
	for _, tt := range inflateTests {
		t.Run(tt.name, func(t *testing.T) {
			stream, ends := inflateStream(tt.words)
			f := tt.open()
			defer f.Release()
			got, err := inflateFeed(t, f, stream)
			if string(got) != tt.want || err != tt.err {
				t.Errorf("got %q, error %v\nwant %q, error %v", got, err, tt.want, tt.err)
			}
			if err != nil && (!errors.Is(err, ErrCorrupt) || !strings.HasPrefix(err.Error(), ErrCorrupt.Error()+": ")) {
				t.Errorf("%v is no ErrCorrupt with a reason", err)
			}
			if got, want := f.Done(), slices.Contains(ends, len(stream)); got != want {
				t.Errorf("done: got %v, want %v", got, want)
			}
		})
	}
}

// TestInflateCut cuts each stream in two. What comes of the first part is the
// beginning of what comes of all, and whether it may end there is known.
func TestInflateCut(t *testing.T) {
	for _, tt := range inflateTests {
		t.Run(tt.name, func(t *testing.T) {
			stream, ends := inflateStream(tt.words)
			for i := 0; i <= len(stream); i += 1 + len(stream)/1000 {
				f := tt.open()
				first, err := inflateFeed(t, f, stream[:i])
				if !strings.HasPrefix(tt.want, string(first)) || err != nil && err != tt.err {
					t.Fatalf("after %d bytes: got %q, error %v", i, first, err)
				}
				if got, want := f.Done(), slices.Contains(ends, i); got != want {
					t.Fatalf("done after %d bytes: got %v, want %v", i, got, want)
				}
				second, err := inflateFeed(t, f, stream[i:])
				if got := string(first) + string(second); got != tt.want || err != tt.err {
					t.Fatalf("after %d bytes, and the rest: got %q, error %v", i, got, err)
				}
				f.Release()
			}
		})
	}
}

func TestInflateBytewise(t *testing.T) {
	for _, tt := range inflateTests {
		t.Run(tt.name, func(t *testing.T) {
			stream, _ := inflateStream(tt.words)
			f := tt.open()
			defer f.Release()
			var got []byte
			var err error
			for i := range stream {
				var out []byte
				if out, err = inflateFeed(t, f, stream[i:i+1]); err != nil {
					break
				}
				got = append(got, out...)
				if len(out) > maxMatch*8 {
					t.Fatalf("%d bytes came of one", len(out))
				}
			}
			if string(got) != tt.want || err != tt.err {
				t.Errorf("got %q, error %v", got, err)
			}
		})
	}
}

// TestInflateAfterError: nothing of a stream that went wrong, or was not read to
// its end, is left in the pool.
func TestInflateAfterError(t *testing.T) {
	for _, bad := range inflateTests {
		stream, _ := inflateStream(bad.words)
		for _, good := range inflateRFC {
			f := bad.open()
			inflateFeed(t, f, stream[:len(stream)-len(stream)/3])
			f.Release()
			f = good.open()
			if f.Done() {
				t.Fatalf("%s: done before the first byte", good.name)
			}
			stream, _ := inflateStream(good.words)
			if got, err := inflateFeed(t, f, stream); string(got) != good.want || err != nil || !f.Done() {
				t.Fatalf("%s after %s: got %q, error %v", good.name, bad.name, got, err)
			}
			f.Release()
		}
	}
}

// TestInflateWindow: a reference may reach back as far as the window, if there is so
// much, and no further.
func TestInflateWindow(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for bits := MinWindowBits; bits <= MaxWindowBits; bits++ {
		window := 1 << bits
		before := inflateRandom(r, 100000)
		tests := []struct {
			name          string
			dict, message int // bytes before the reference
			distance      int
			ok            bool
		}{
			{"the dictionary", window, 0, window, true},
			{"a longer dictionary", window + 1, 0, window, true},
			{"before the window in a longer dictionary", window + 1, 0, window + 1, false},
			{"a shorter dictionary", window - 1, 0, window - 1, true},
			{"before a shorter dictionary", window - 1, 0, window, false},
			{"the message", 0, window, window, true},
			{"before the message", 0, window - 1, window, false},
			{"before the window in the message", 0, window + 1, window + 1, false},
			{"the dictionary over the message", window / 2, window / 2, window, true},
			{"before the dictionary over the message", window / 2, window/2 - 1, window, false},
			{"before the window over the message", window, 1, window + 1, false},
			{"a long message", 0, 100000, window, true},
			{"before the window in a long message", 0, 100000, window + 1, false},
			{"a long message with a dictionary", 50000, 50000, window, true},
			{"before the window in a long message with a dictionary", 50000, 50000, window + 1, false},
		}
		for _, tt := range tests {
			if tt.distance > 1<<MaxWindowBits {
				continue // no code can say it
			}
			t.Run(fmt.Sprintf("%d bits, %s", bits, tt.name), func(t *testing.T) {
				all := before[:tt.dict+tt.message]
				words := ""
				for p := range slices.Chunk(all[tt.dict:], 30000) {
					words += inflateStoredBlock(p)
				}
				stream, _ := inflateStream(words + " " + inflateFixed + inflateReference(3, tt.distance) + inflateFixedEnd + inflateTail)
				f := NewInflater(all[:tt.dict], bits)
				defer f.Release()
				want := all[tt.dict:]
				var wantErr error = errDistance
				if tt.ok {
					from := len(all) - tt.distance
					want, wantErr = slices.Concat(want, all[from:from+3]), nil
				}
				if got, err := inflateFeed(t, f, stream); !bytes.Equal(got, want) || err != wantErr {
					t.Errorf("got %d bytes, error %v; want %d, %v", len(got), err, len(want), wantErr)
				}
			})
		}
	}
}

func inflateRandom(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// TestInflateAppendWindow: the window is the end of dictionary and output, wherever
// the message stops.
func TestInflateAppendWindow(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, bits := range []int{8, 9, 12, 15} {
		window := 1 << bits
		for _, sizes := range [][2]int{{0, 0}, {1, 0}, {0, 1}, {100, 100}, {window, 0}, {window + 1, 0}, {0, window}, {0, window + 1},
			{window - 1, 1}, {window, window}, {40000, 1}, {0, 40959}, {0, 40960}, {0, 40961}, {40000, 90000}} {
			all := inflateRandom(r, sizes[0]+sizes[1])
			f := NewInflater(all[:sizes[0]], bits)
			words := ""
			for p := range slices.Chunk(all[sizes[0]:], 10000) {
				words += inflateStoredBlock(p)
			}
			stream, _ := inflateStream(words)
			if _, err := inflateFeed(t, f, stream); err != nil {
				t.Fatal(err)
			}
			for _, max := range []int{0, 1, 255, window - 1, window, window + 1} {
				want := "before" + string(all[len(all)-min(max, window, len(all)):])
				if got := f.AppendWindow([]byte("before"), max); string(got) != want {
					t.Errorf("%d bits, %d and %d bytes, at most %d: got %d bytes, want %d", bits, sizes[0], sizes[1], max, len(got), len(want))
				}
			}
			f.Release()
		}
	}
}

// inflateSample returns n bytes of JSON as a server might send them.
func inflateSample(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	names := []string{"temperature", "humidity", "pressure", "wind"}
	var b []byte
	for len(b) < n {
		b = fmt.Appendf(b, `{"id":%d,"sensor":%q,"value":%.3f,"ok":%v,"at":"2024-05-%02dT%02d:%02d:00Z"},`,
			r.IntN(100000), names[r.IntN(len(names))], r.Float64()*100, r.IntN(2) == 0, 1+r.IntN(28), r.IntN(24), r.IntN(60))
	}
	return b[:n]
}

// inflateByWriter compresses p with compress/flate. It ends with Tail.
func inflateByWriter(tb testing.TB, level int, dict, p []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriterDict(&b, level, dict)
	if err != nil {
		tb.Fatal(err)
	}
	_, err1 := w.Write(p)
	if err := errors.Join(err1, w.Flush()); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// TestInflateWhatFlateWrites reads conversations of messages that compress/flate
// wrote, in pieces of any size, each with the window of the one before.
func TestInflateWhatFlateWrites(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	kinds := []struct {
		name string
		make func(n int) []byte
	}{
		{"JSON", inflateSample},
		{"noise", func(n int) []byte { return inflateRandom(r, n) }},
		{"one byte", func(n int) []byte { return bytes.Repeat([]byte("x"), n) }},
		{"noise of four bytes", func(n int) []byte {
			b := inflateRandom(r, n)
			for i := range b {
				b[i] %= 4
			}
			return b
		}},
	}
	for _, kind := range kinds {
		for level := flate.HuffmanOnly; level <= flate.BestCompression; level++ {
			t.Run(fmt.Sprintf("%s, level %d", kind.name, level), func(t *testing.T) {
				var window []byte
				// No window of exactly one byte: the writer takes it for a part of the message.
				for _, n := range []int{0, 64, 1, 1000, 32769, 70000, 0, 5000} {
					p := kind.make(n)
					stream := inflateByWriter(t, level, window, p)
					f := NewInflater(window, MaxWindowBits)
					var got []byte
					for len(stream) > 0 {
						i := min(len(stream), 1+r.IntN(1+r.IntN(5000)))
						out, err := inflateFeed(t, f, stream[:i])
						if err != nil {
							t.Fatal(err)
						}
						got = append(got, out...)
						stream = stream[i:]
					}
					if !bytes.Equal(got, p) || !f.Done() {
						t.Fatalf("got %d bytes, done %v; want %d, not the same", len(got), f.Done(), len(p))
					}
					window = f.AppendWindow(window[:0], 1<<MaxWindowBits)
					f.Release()
				}
			})
		}
	}
}

func TestInflateAllocatesNothing(t *testing.T) {
	dict := inflateSample(4096)
	stream := inflateByWriter(t, flate.DefaultCompression, nil, inflateSample(100000))
	window := make([]byte, 0, 1<<MaxWindowBits)
	bad := append(slices.Clone(stream), 7)
	got := testing.AllocsPerRun(100, func() {
		for _, b := range [][]byte{stream, bad} {
			f := NewInflater(dict, MaxWindowBits)
			for out := dict; len(out) > 0; {
				var n int
				out, n, _ = f.Next(b)
				b = b[n:]
			}
			window = f.AppendWindow(window[:0], 1<<MaxWindowBits)
			f.Release()
		}
	})
	if got != 0 {
		t.Errorf("got %v allocations for two messages, want 0", got)
	}
}

// TestInflaterIsSmall: there may be one for each message that is on its way.
func TestInflaterIsSmall(t *testing.T) {
	if size := reflect.TypeFor[Inflater]().Size(); size > 48<<10 {
		t.Errorf("an Inflater has %d bytes", size)
	}
}

// inflateByReader reads b as a chain of streams, each up to its final block, as
// section 7.2.3.4 has it, with compress/flate.
func inflateByReader(b []byte) (all []byte, err error) {
	for in := bytes.NewReader(b); err == nil && in.Len() > 0; {
		var out []byte
		out, err = io.ReadAll(flate.NewReaderDict(in, all[max(0, len(all)-1<<MaxWindowBits):]))
		all = append(all, out...)
	}
	return all, err
}

// FuzzInflate reads arbitrary bytes, in arbitrary pieces, and compares with
// compress/flate. That refuses a stream that stops before the end of a final
// block, for which there is no error here; and it may need other bits, at most those
// of a reference, to see that something is wrong, or see it only when a code is used.
func FuzzInflate(f *testing.F) {
	for _, tt := range inflateTests {
		stream, _ := inflateStream(tt.words)
		f.Add(stream, []byte(tt.dict), []byte{1, 7, 0, 40})
	}
	for level := flate.HuffmanOnly; level <= flate.BestCompression; level++ {
		f.Add(append(inflateByWriter(f, level, nil, inflateSample(600)), inflateEnd...), []byte{}, []byte{100, 3})
	}
	f.Fuzz(func(t *testing.T, b, dict, cuts []byte) {
		if len(b) > 1<<12 {
			return // what comes of it can be a thousand times as long
		}
		for _, bits := range []int{MinWindowBits, MaxWindowBits} {
			inflateCompareCuts(t, b, dict, cuts, bits)
		}
		inflateCompareFlate(t, b)
	})
}

// inflateEnd is an empty stored block that is final.
const inflateEnd = "\x01" + Tail

func inflateCompareCuts(t *testing.T, b, dict, cuts []byte, bits int) {
	t.Helper()
	whole := NewInflater(dict, bits)
	defer whole.Release()
	want, wantErr := inflateFeed(t, whole, b)
	pieces := NewInflater(dict, bits)
	defer pieces.Release()
	var got []byte
	var err error
	for i := 0; len(b) > 0 && err == nil; i++ {
		n := 1
		if len(cuts) > 0 {
			n = max(int(cuts[i%len(cuts)]), i&1)
		}
		n = min(n, len(b))
		var out []byte
		out, err = inflateFeed(t, pieces, b[:n])
		got = append(got, out...)
		b = b[n:]
	}
	if !bytes.Equal(got, want) || err != wantErr || pieces.Done() != whole.Done() {
		t.Fatalf("%d bits, cut: %d bytes, error %v; whole: %d bytes, error %v", bits, len(got), err, len(want), wantErr)
	}
	if n := 1 << bits; !bytes.Equal(pieces.AppendWindow(nil, n), whole.AppendWindow(nil, n)) {
		t.Fatalf("%d bits: not the same window", bits)
	}
}

func inflateCompareFlate(t *testing.T, b []byte) {
	t.Helper()
	read := func(b []byte) ([]byte, bool, error) {
		f := NewInflater(nil, MaxWindowBits)
		defer f.Release()
		out, err := inflateFeed(t, f, b)
		return out, f.Done(), err
	}
	got, done, err := read(b)
	want, wantErr := inflateByReader(b)
	var corrupt flate.CorruptInputError
	switch {
	case wantErr == nil:
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("got %d bytes, error %v; want %d, not the same", len(got), err, len(want))
		}
	case errors.As(wantErr, &corrupt):
		_, _, err := read(slices.Concat(b, make([]byte, 8)))
		if err == nil || !inflateOnePrefix(got, want) {
			t.Fatalf("got %d bytes, error %v; want %d, %v", len(got), err, len(want), wantErr)
		}
	case err == nil && !bytes.HasPrefix(got, want), !inflateOnePrefix(got, want):
		t.Fatalf("got %d bytes, error %v; want %d, %v", len(got), err, len(want), wantErr)
	}
	if done {
		want, err := inflateByReader(slices.Concat(b, []byte(inflateEnd)))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("done, with %d bytes; want %d, error %v", len(got), len(want), err)
		}
	}
}

func inflateOnePrefix(a, b []byte) bool {
	return bytes.HasPrefix(a, b) || bytes.HasPrefix(b, a)
}

func BenchmarkInflate(b *testing.B) {
	for _, size := range []int{64, 512, 1 << 10, 16 << 10, 256 << 10} {
		for _, dictSize := range []int{0, 4 << 10} {
			all := inflateSample(dictSize + size)
			dict := all[:dictSize]
			stream := inflateByWriter(b, flate.DefaultCompression, dict, all[dictSize:])
			name := fmt.Sprintf("%d bytes, dictionary of %d", size, dictSize)
			b.Run(name+"/Inflater", func(b *testing.B) { inflateBenchmark(b, stream, dict, size) })
			b.Run(name+"/flate", func(b *testing.B) { inflateBenchmarkFlate(b, stream, dict, size) })
		}
	}
}

func inflateBenchmark(b *testing.B, stream, dict []byte, size int) {
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		f := NewInflater(dict, MaxWindowBits)
		got := 0
		for src, out := stream, stream; len(out) > 0; {
			var n int
			out, n, _ = f.Next(src)
			src = src[n:]
			got += len(out)
		}
		if got != size || !f.Done() {
			b.Fatalf("got %d bytes, done %v", got, f.Done())
		}
		f.Release()
	}
}

func inflateBenchmarkFlate(b *testing.B, stream, dict []byte, size int) {
	b.SetBytes(int64(size))
	b.ReportAllocs()
	in := bytes.NewReader(nil)
	r := flate.NewReader(in)
	out := make([]byte, size)
	for b.Loop() {
		in.Reset(stream)
		if err := r.(flate.Resetter).Reset(in, dict); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(r, out); err != nil {
			b.Fatal(err)
		}
	}
}
