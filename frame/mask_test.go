package frame

import (
	"bytes"
	"math"
	"strconv"
	"testing"
)

// naive is Mask as RFC 6455, section 5.3, writes it: "j = i MOD 4".
func naive(b []byte, key [4]byte, pos int) []byte {
	out := bytes.Clone(b)
	for i := range out {
		out[i] ^= key[(pos%4+i)%4]
	}
	return out
}

// payload returns n bytes without a period that a key could hide in.
func payload(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*31 + i>>8*7)
	}
	return b
}

// testMask checks Mask of p at pos, lying at an offset in a larger array of
// which nothing else may change.
func testMask(t *testing.T, p []byte, key [4]byte, pos, offset int) {
	t.Helper()
	const guard = 40
	b := bytes.Repeat([]byte{0xa5}, offset+len(p)+guard)
	copy(b[offset:], p)
	want := bytes.Clone(b)
	copy(want[offset:], naive(p, key, pos))

	in := b[offset : offset+len(p)]
	Mask(in, key, pos)
	if !bytes.Equal(b, want) {
		i := 0
		for b[i] == want[i] {
			i++
		}
		t.Fatalf("Mask of %d bytes at %d with % x: byte %d is %#x, want %#x", len(p), pos, key, i-offset, b[i], want[i])
	}
	Mask(in, key, pos)
	if !bytes.Equal(in, p) {
		t.Fatalf("Mask of %d bytes at %d with % x does not undo itself", len(p), pos, key)
	}
}

func TestMask(t *testing.T) {
	for _, tt := range []struct {
		name       string
		key        [4]byte
		pos        int
		plain, out string
	}{
		{"RFC 6455, section 5.7", key, 0, "Hello", "\x7f\x9f\x4d\x51\x58"},
		{"nothing", key, 0, "", ""},
		{"second byte", key, 1, "ello", "\x9f\x4d\x51\x58"},
		{"third byte", key, 2, "llo", "\x4d\x51\x58"},
		{"fourth byte", key, 3, "lo", "\x51\x58"},
		{"fifth byte", key, 4, "o", "\x58"},
		{"zero key", [4]byte{}, 3, "Hello", "Hello"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := []byte(tt.plain)
			Mask(b, tt.key, tt.pos)
			if string(b) != tt.out {
				t.Errorf("Mask(%q, % x, %d) = % x, want % x", tt.plain, tt.key, tt.pos, b, tt.out)
			}
		})
	}
}

func TestMaskLengths(t *testing.T) {
	for n := range 201 {
		p := payload(n)
		for pos := range 8 {
			for offset := range 9 {
				testMask(t, p, key, pos, offset)
			}
		}
	}
	for _, n := range []int{4 << 10, 64 << 10} {
		for d := -9; d <= 9; d++ {
			testMask(t, payload(n+d), key, d&3, d&7)
		}
	}
}

// TestMaskPosition: of pos, only the value modulo 4 counts, also where an int
// cannot hold the offset and what is left of it is negative.
func TestMaskPosition(t *testing.T) {
	p := payload(100)
	for pos := range 4 {
		want := naive(p, key, pos)
		for _, far := range []int{pos + 1<<20, pos + math.MaxInt - 3, pos - 4, pos + math.MinInt} {
			got := bytes.Clone(p)
			Mask(got, key, far)
			if !bytes.Equal(got, want) {
				t.Errorf("Mask at %d is not Mask at %d", far, pos)
			}
		}
	}
}

func TestMaskPieces(t *testing.T) {
	for _, n := range []int{70, 200, 1 << 10} {
		p := payload(n)
		want := naive(p, key, 0)
		got := make([]byte, n)
		for cut := range n + 1 {
			copy(got, p)
			Mask(got[:cut], key, 0)
			Mask(got[cut:], key, cut)
			if !bytes.Equal(got, want) {
				t.Fatalf("%d bytes, cut at %d: not the same as in one piece", n, cut)
			}
		}
	}
}

func TestMaskAllocs(t *testing.T) {
	for _, n := range []int{0, 100, 64 << 10} {
		b := payload(n)
		if allocs := testing.AllocsPerRun(10, func() { Mask(b, key, 1) }); allocs != 0 {
			t.Errorf("Mask of %d bytes allocates %v times", n, allocs)
		}
	}
}

// FuzzMask masks p, repeated, since a fuzzer seldom finds its way to long payloads.
func FuzzMask(f *testing.F) {
	for _, tt := range []struct{ n, times int }{{0, 0}, {1, 1}, {33, 1}, {33, 62}, {64, 32}, {61, 50}} {
		f.Add(payload(tt.n), uint8(tt.times), key[0], key[1], key[2], key[3], uint(tt.n), uint(tt.n*tt.times/3))
	}
	f.Fuzz(func(t *testing.T, p []byte, times, k0, k1, k2, k3 byte, pos, cut uint) {
		if len(p) < 1<<10 {
			p = bytes.Repeat(p, int(times))
		}
		key := [4]byte{k0, k1, k2, k3}
		at := int(pos % 1024)
		testMask(t, p, key, at, at%9)

		c := int(cut % uint(len(p)+1))
		got := bytes.Clone(p)
		Mask(got[:c], key, at)
		Mask(got[c:], key, at+c)
		if !bytes.Equal(got, naive(p, key, at)) {
			t.Fatalf("Mask(%q) at %d with % x, cut at %d: % x", p, at, key, c, got)
		}
	})
}

// BenchmarkMask masks payloads where they lie behind a header.
func BenchmarkMask(b *testing.B) {
	for _, n := range []int{16, 125, 512, 1 << 10, 2 << 10, 4 << 10, 16 << 10, 64 << 10, 1 << 20} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			header := Append(nil, Header{Masked: true, Length: uint64(n)})
			p := append(header, payload(n)...)[len(header):]
			b.SetBytes(int64(n))
			for b.Loop() {
				Mask(p, key, 0)
			}
		})
	}
}
