package conformance

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// whole is the agreement that says nothing.
var whole = &agreement{serverBits: 15, clientBits: 15}

// unhex reads hexadecimal digits, which the test has written itself.
func unhex(s string) []byte {
	b, err := parseHex(s)
	if err != nil {
		panic(err)
	}
	return b
}

// bitString packs bits, the first of each byte the lowest. Huffman codes stand
// in it as RFC 1951 has them, and numbers with their lowest bit first.
func bitString(pieces ...string) []byte {
	bits := strings.Join(pieces, "")
	b := make([]byte, (len(bits)+7)/8)
	for i, bit := range bits {
		if bit == '1' {
			b[i/8] |= 1 << (i % 8)
		}
	}
	return b
}

const (
	fixed    = "010" // the head of a block with fixed codes
	dynamic  = "001"
	letterA  = "10010001" // in fixed codes
	blockEnd = "0000000"
	flush    = "000" // an empty stored block, whose rest is the tail
)

// streams are messages as a server may send them.
var streams = []struct {
	name   string
	packed []byte
	want   string
}{
	{"RFC 7692, 7.2.3.1: fixed codes", unhex("f248cdc9c90700"), "Hello"},
	{"7.2.3.3: a stored block", unhex("000500faff48656c6c6f00"), "Hello"},
	{"7.2.3.4: a final block", unhex("f348cdc9c9070000"), "Hello"},
	{"7.2.3.5: two blocks", unhex("f248050000 00ffffcac9c90700"), "Hello"},
	{"7.2.3.6: nothing", unhex("00"), ""},
	{"7.2.3.6: nothing, as a block with fixed codes", unhex("0200"), ""},
	{"two final blocks", unhex("f348cdc9c90700f348cdc9c9070000"), "HelloHello"},
	{"a final stored block", unhex("010500faff48656c6c6f00"), "Hello"},
	{"a copy that overlaps itself", bitString(fixed, letterA, "0000010", "00000", blockEnd, flush), "aaaaa"},
}

func TestInflateStreams(t *testing.T) {
	for _, test := range streams {
		t.Run(test.name, func(t *testing.T) {
			got, err := new(inflater).message(whole, test.packed)
			if string(got) != test.want || err != nil {
				t.Errorf("%q, %v, want %q", got, err, test.want)
			}
		})
	}
}

// badStreams are messages that nobody may send.
var badStreams = []struct {
	name   string
	packed []byte
	why    string
}{
	{"no data", nil, "too early"},
	{"a reserved type of block", unhex("06"), "reserved type"},
	{"a stored block whose lengths differ", unhex("000500faef48656c6c6f00"), "wrong length"},
	{"a stored block that ends too early", unhex("00ff0000ff48656c6c6f"), "too early"},
	{"a final block and no other", unhex("f348cdc9c90700"), "too early"},
	{"a tail that was not removed", unhex("f248cdc9c907000000ffff"), "too early"},
	{"a block that ends behind the tail", bitString(fixed, letterA), "too early"},
	{"a block that ends with the tail", unhex("000400fbff"), "empty stored block"},
	{"a copy of what is not there", bitString(fixed, "0000001", "00000", blockEnd, flush), "where there are 0 bytes"},
	{"the length code 286", bitString(fixed, letterA, "11000110", "00000"), "a length that does not exist"},
	{"the distance code 30", bitString(fixed, letterA, "0000001", "11110"), "a distance that does not exist"},
	{"287 literals", bitString(dynamic, "01111", "00000", "0000"), "do not exist"},
	{"31 distances", bitString(dynamic, "00000", "01111", "0000"), "do not exist"},
	{"codes that are too many", bitString(dynamic, "00000", "00000", "0000", "100", "100", "100", "000"), "more codes than there can be"},
	{"codes that are too few", bitString(dynamic, "00000", "00000", "0000", "010", "010", "000", "000"), "stand for nothing"},
	{"a lonely code that is not used", bitString(dynamic, "00000", "00000", "0000", "100", "000", "000", "000", "1"), "stands for nothing"},
	{"a repetition of nothing", bitString(dynamic, "00000", "00000", "0000", "100", "100", "000", "000", "0"), "a repetition of nothing"},
	{"a repetition of too much", bitString(dynamic, "00000", "00000", "0000", "000", "100", "100", "000",
		"1", "1111111", "1", "1111111"), "too many lengths"},
}

func TestInflateRefuses(t *testing.T) {
	for _, test := range badStreams {
		t.Run(test.name, func(t *testing.T) {
			got, err := new(inflater).message(whole, test.packed)
			if err == nil || !strings.Contains(err.Error(), test.why) {
				t.Errorf("%q, %v, want an error with %q", got, err, test.why)
			}
		})
	}
}

// texts are things to compress, of many kinds and sizes.
func texts() map[string][]byte {
	all := make(map[string][]byte)
	for _, size := range []int{0, 1, 2, 3, 258, 259, 4096, 32769, 65536} {
		all[fmt.Sprintf("words of %d bytes", size)] = appendWords(nil, size)
		all[fmt.Sprintf("random %d bytes", size)] = appendRandom(nil, size)
		all[fmt.Sprintf("%d zeros", size)] = make([]byte, size)
	}
	all["much"] = appendWords(appendRandom(make([]byte, 50<<10), 50<<10), 100<<10)
	return all
}

// deflateAs compresses with compress/flate, flushed after every step bytes, and
// with a final block if so wanted.
func deflateAs(t testing.TB, plain []byte, level, step int, final bool) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, level)
	for at := 0; err == nil && at < len(plain); at += step {
		if _, err = w.Write(plain[at:min(at+step, len(plain))]); err == nil {
			err = w.Flush()
		}
	}
	if err == nil && final {
		err = w.Close()
		out.WriteByte(0)
	} else if err == nil {
		err = w.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte{0, 0, 0xff, 0xff})
}

func TestInflateWhatFlateDeflates(t *testing.T) {
	for name, plain := range texts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for level := flate.HuffmanOnly; level <= flate.BestCompression; level++ {
				final, step := level%2 == 0, max(len(plain)/(level+3), 1)
				packed := deflateAs(t, plain, level, step, final)
				got, err := new(inflater).message(whole, packed)
				if err != nil || !bytes.Equal(got, plain) {
					t.Errorf("level %d, a flush after %d bytes, final %v: %d bytes, %v", level, step, final, len(got), err)
				}
			}
		})
	}
}

// TestInflateTruncated: wherever a message is cut, what comes of it is an error
// or, where it was flushed, its beginning.
func TestInflateTruncated(t *testing.T) {
	plain := appendWords(nil, 1500)
	for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, flate.BestSpeed, flate.BestCompression} {
		packed := deflateAs(t, plain, level, 700, false)
		for n := range packed {
			got, err := new(inflater).message(whole, packed[:n])
			if err == nil && !bytes.HasPrefix(plain, got) {
				t.Errorf("level %d: %d of %d bytes are %q", level, n, len(packed), got)
			}
		}
	}
}

func TestInflateCorrupt(t *testing.T) {
	packed := deflateAs(t, appendWords(nil, 700), flate.DefaultCompression, 300, false)
	refused := 0
	for i := range packed {
		for bit := range 8 {
			spoilt := bytes.Clone(packed)
			spoilt[i] ^= 1 << bit
			refused += compareWithFlate(t, spoilt)
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}

// compareWithFlate inflates packed in both ways, which have to agree. It
// returns how often it was refused.
func compareWithFlate(t *testing.T, packed []byte) (refused int) {
	t.Helper()
	got, err := new(inflater).message(whole, packed)
	want, flateErr := inflateWithFlate(packed)
	early := errors.Is(err, errTruncated) || errors.Is(err, errUnflushed)
	switch {
	case err == nil && (flateErr != nil || !bytes.Equal(got, want)):
		t.Errorf("%x: %q, compress/flate says %q, %v", packed, got, want, flateErr)
	case err != nil && flateErr == nil && !early:
		t.Errorf("%x: %v, compress/flate says %q", packed, err, want)
	}
	if err != nil {
		refused = 1
	}
	return refused
}

// inflateWithFlate reads packed and the tail with one stream after the other.
// compress/flate wants a final block, which may complete what was cut.
func inflateWithFlate(packed []byte) (plain []byte, err error) {
	in := bytes.NewReader(append(bytes.Clone(packed), 0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff))
	for in.Len() > 0 && err == nil {
		var piece []byte
		piece, err = io.ReadAll(flate.NewReaderDict(in, plain[max(0, len(plain)-maxWindow):]))
		plain = append(plain, piece...)
	}
	return plain, err
}

func FuzzInflate(f *testing.F) {
	for _, test := range streams {
		f.Add(test.packed)
	}
	for _, test := range badStreams {
		f.Add(test.packed)
	}
	f.Add(deflateAs(f, appendWords(nil, 2000), flate.BestCompression, 700, true))
	f.Fuzz(func(t *testing.T, packed []byte) { compareWithFlate(t, packed) })
}

// farCopy is a message that repeats its first three bytes from a distance.
func farCopy(plain []byte, distance int) []byte {
	stored := []byte{0}
	stored = binary.LittleEndian.AppendUint16(stored, uint16(len(plain)))
	stored = binary.LittleEndian.AppendUint16(stored, ^uint16(len(plain)))
	stored = append(stored, plain...)
	symbol, extra := 0, 0
	for bits := uint(1); ; bits++ {
		if distance-1 < 4<<bits {
			symbol = 2*int(bits) + 2 + (distance-1)>>bits&1
			extra = (distance - 1) & (1<<bits - 1)
			return append(stored, bitString(
				fixed,
				"0000001", // the length 3
				fmt.Sprintf("%05b", symbol), reverse(fmt.Sprintf("%0*b", bits, extra)),
				blockEnd, flush,
			)...)
		}
	}
}

func reverse(s string) (r string) {
	for _, c := range s {
		r = string(c) + r
	}
	return r
}

func TestInflateWindow(t *testing.T) {
	for bits := 8; bits <= 15; bits++ {
		size := 1 << bits
		for _, distance := range []int{size - 1, size, size + 1} {
			t.Run(fmt.Sprintf("%d bits, a distance of %d", bits, distance), func(t *testing.T) {
				plain := appendRandom(nil, size+5)
				packed := farCopy(plain, min(distance, maxWindow))
				got, err := new(inflater).message(&agreement{serverBits: bits}, packed)
				if distance > size && bits < 15 {
					if err == nil || !strings.Contains(err.Error(), "beyond the window") {
						t.Errorf("the error is %v", err)
					}
					return
				}
				start := len(plain) - min(distance, maxWindow)
				if want := string(plain) + string(plain[start:start+3]); string(got) != want || err != nil {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			})
		}
	}
}

func TestInflateTakeover(t *testing.T) {
	hello, again := unhex("f248cdc9c90700"), unhex("f200110000") // RFC 7692, 7.2.3.2
	kept := &inflater{}
	for i, packed := range [][]byte{hello, again, again, hello} {
		if got, err := kept.message(whole, packed); string(got) != "Hello" || err != nil {
			t.Errorf("message %d: %q, %v", i, got, err)
		}
	}
	reset := &inflater{}
	none := &agreement{serverBits: 15, serverNoTakeover: true}
	if got, err := reset.message(none, hello); string(got) != "Hello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := reset.message(none, again); err == nil {
		t.Errorf("%q refers to a message before, and nothing was wrong", got)
	}
}

// TestInflateFarTakeover: messages before count for the window.
func TestInflateFarTakeover(t *testing.T) {
	plain := appendRandom(nil, 40000)
	f := &inflater{}
	for range 3 {
		packed := deflateAs(t, plain, flate.NoCompression, len(plain), false)
		if _, err := f.message(whole, packed); err != nil {
			t.Fatal(err)
		}
	}
	if len(f.history) != maxWindow {
		t.Errorf("%d bytes are kept", len(f.history))
	}
	back := farCopy(nil, maxWindow)
	got, err := f.message(whole, back)
	if start := len(plain) - maxWindow; string(got) != string(plain[start:start+3]) || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := f.message(&agreement{serverBits: 14}, back); err == nil {
		t.Error("the window is 16 KiB, and a distance of 32 KiB was accepted")
	}
}
