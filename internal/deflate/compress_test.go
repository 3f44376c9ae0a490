package deflate

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

// compressJSON returns n bytes of events as a server would send them.
func compressJSON(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	kinds := []string{"trade", "quote", "order", "cancel"}
	names := []string{"ACME", "Globex", "Initech", "Umbrella", "Hooli", "Stark"}
	b := []byte("[")
	for len(b) < n {
		b = fmt.Appendf(b, `{"id":%d,"type":%q,"symbol":%q,"price":%.2f,"size":%d,"time":"2026-03-%02dT%02d:%02d:%02d.%03dZ","open":%t},`,
			r.IntN(1e9), kinds[r.IntN(len(kinds))], names[r.IntN(len(names))], r.Float64()*1000, r.IntN(500),
			1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(1000), r.IntN(2) == 0)
	}
	return b[:n]
}

// compressText returns n bytes of English words, the first ones more often.
func compressText(n int) []byte {
	words := strings.Fields(`the of and to in a is that for it was on are as with they be at this have from or
		had by not but some what there we can out other were all your when up use word how said each she which
		their time if will way about many then them would write like these her long make thing see him two has
		look more day could go come did my sound no most number who over know water than call first people may`)
	r := rand.New(rand.NewPCG(uint64(n), 2))
	var b []byte
	for len(b) < n {
		b = append(b, words[min(r.IntN(len(words)), r.IntN(len(words)))]...)
		b = append(b, ".  ,"[r.IntN(4)], ' ')
	}
	return b[:n]
}

func compressRandom(n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	b := make([]byte, n)
	r.Read(b)
	return b
}

// compressPeriod returns n bytes, which are random but for a period.
func compressPeriod(n, period int) []byte {
	return bytes.Repeat(compressRandom(period), n/period+1)[:n]
}

// compressRuns returns n bytes in runs of 1 to 600 equal ones.
func compressRuns(n int) []byte {
	r := rand.New(rand.NewPCG(uint64(n), 3))
	var b []byte
	for len(b) < n {
		b = append(b, bytes.Repeat([]byte{byte(r.IntN(5))}, 1+r.IntN(600))...)
	}
	return b[:n]
}

// compressEnd makes a stream of the result of Compress.
const compressEnd = "\x01\x00\x00\xff\xff"

// testCompress checks what Compress makes of p, and returns what a walker saw.
func testCompress(t *testing.T, dict, p []byte, windowBits int) (out []byte, w *compressWalker) {
	t.Helper()
	prefix := []byte("before")
	out = Compress(prefix, dict, p, windowBits)
	out, ok := bytes.CutPrefix(out, prefix)
	if !ok || !bytes.HasSuffix(out, []byte(Tail)) {
		t.Fatalf("got % x after % x, want % x at the end", out, prefix, Tail)
	}
	stream := io.MultiReader(bytes.NewReader(out), strings.NewReader(compressEnd))
	if got, err := io.ReadAll(flate.NewReaderDict(stream, dict)); err != nil || !bytes.Equal(got, p) {
		t.Fatalf("window 1<<%d: %d bytes become %d, error %v", windowBits, len(p), len(got), err)
	}
	w = compressWalk(out)
	if w.length != len(p) || w.distance > 1<<windowBits || w.reach > len(dict) {
		t.Fatalf("window 1<<%d: %d bytes, %d in the dictionary: the walker saw %+v", windowBits, len(p), len(dict), w)
	}
	return out, w
}

// searchBlock searches p, a whole message, for the sequences of one block.
func (c *compressor) searchBlock(p []byte) (n int, block []byte) {
	c.setShortest(len(p))
	start := c.begin(nil)
	n, end := c.search(start, c.fill(start, p), maxWindow)
	return n, c.history[start:end]
}

// compressTests are kinds of data, each with sizes.
var compressTests = []struct {
	name  string
	data  func(n int) []byte
	sizes []int
}{
	{"JSON", func(n int) []byte { return compressJSON(n, 1) }, []int{0, 128, 1 << 10, 16 << 10, 100_000}},
	{"text", compressText, []int{1 << 10, 70_000}},
	{"zeros", func(n int) []byte { return make([]byte, n) }, []int{
		maxMatch, maxMatch + 1, maxMatch + 2, maxMatch + 3, maxMatch + 4, 2*maxMatch + 1, 2*maxMatch + 2, 2*maxMatch + 3,
		maxWindow, maxBlock - 1, maxBlock, maxBlock + 1, maxBlock + 2, maxBlock + 5, 300_000}},
	{"random", compressRandom, []int{1000, maxBlock - 1, maxBlock, maxBlock + 1, 2 * maxBlock, 2*maxBlock + 1, 200_000}},
	{"runs", compressRuns, []int{1000, 70_000, 300_000}},
	// Distant matches of few bytes fill a block with sequences before its end.
	{"digits", func(n int) []byte {
		b := compressRandom(n)
		for i := range b {
			b[i] = '0' + b[i]%3
		}
		return b
	}, []int{1000, 30_000, 100_000}},
	{"random, then JSON", func(n int) []byte { return append(compressRandom(n), compressJSON(n, 2)...) }, []int{500, 60_000}},
}

func TestCompress(t *testing.T) {
	dicts := []int{0, 1, 3, 4, 5, 255, 4096, maxWindow - 1, maxWindow, 40_000}
	for _, tt := range compressTests {
		t.Run(tt.name, func(t *testing.T) {
			for i, n := range tt.sizes {
				p := tt.data(n)
				for bits := MinWindowBits; bits <= MaxWindowBits; bits++ {
					dict := tt.data(dicts[(i+bits)%len(dicts)])
					testCompress(t, dict, p, bits)
				}
			}
		})
	}
}

func TestCompressShort(t *testing.T) {
	for _, tt := range compressTests {
		t.Run(tt.name, func(t *testing.T) {
			p, dict := tt.data(300), tt.data(4096)
			for n := range len(p) {
				testCompress(t, nil, p[:n], 8+n%8)
				testCompress(t, dict[n:4*n], p[n:], 8+n%8)
			}
		})
	}
}

func TestCompressNothing(t *testing.T) {
	const want = "\x00" + Tail
	for _, dict := range [][]byte{nil, []byte("before")} {
		if got := Compress(nil, dict, nil, MaxWindowBits); string(got) != want {
			t.Errorf("got % x, want % x", got, want)
		}
	}
}

// TestCompressWindow looks at the border: what repeats within the window is found,
// be it the first time in p or in the dictionary, and what repeats beyond it is not.
func TestCompressWindow(t *testing.T) {
	for bits := MinWindowBits; bits <= MaxWindowBits; bits++ {
		for _, distance := range []int{1<<bits - 2, 1<<bits - 1, 1 << bits, 1<<bits + 1, 1<<bits + 2, 1<<bits + 1<<8} {
			mark := compressRandom(50)
			p := slices.Concat(mark, make([]byte, distance-len(mark)), mark)
			want := distance <= 1<<bits
			if _, w := testCompress(t, nil, p, bits); (w.distance == distance) != want {
				t.Errorf("window 1<<%d, distance %d: got %+v", bits, distance, w)
			}
			if _, w := testCompress(t, p[:distance], p[distance:], bits); (w.distance == distance) != want {
				t.Errorf("window 1<<%d, distance %d to the dictionary: got %+v", bits, distance, w)
			}
		}
	}
}

func TestCompressWalkerSeesDistances(t *testing.T) {
	for _, period := range []int{1, 2, 3, 256, 257, 300, 5000, maxWindow} {
		out := Compress(nil, nil, compressPeriod(2*period+500, period), MaxWindowBits)
		if w := compressWalk(out); w.distance != period {
			t.Errorf("period %d: got %+v", period, w)
		}
	}
}

func TestCompressDict(t *testing.T) {
	p := compressJSON(1000, 1)
	dict := slices.Concat(compressRandom(maxWindow), p, compressRandom(500))
	for _, tt := range []struct {
		name       string
		dict       []byte
		windowBits int
		found      bool
	}{
		{"all", dict, 15, true},
		{"part, at the end", dict[:len(dict)-1000], 15, true},
		{"part, at the beginning", dict[maxWindow+500:], 15, true},
		{"within the window", dict, 11, true},
		{"beyond the window", dict, 9, false},
		{"too short", p[:3], 15, false},
		{"none", nil, 15, false},
	} {
		alone, _ := testCompress(t, nil, p, tt.windowBits)
		out, w := testCompress(t, tt.dict, p, tt.windowBits)
		if found := w.reach > 0; found != tt.found || found != (len(out) < len(alone)*3/4) {
			t.Errorf("%s: %d bytes, %d without the dictionary, %+v", tt.name, len(out), len(alone), w)
		}
	}
}

func TestCompressDictEnd(t *testing.T) {
	p, dict := compressJSON(1000, 1), compressJSON(40_001, 2)
	for bits := MinWindowBits; bits <= MaxWindowBits; bits++ {
		want := Compress(nil, dict[len(dict)-1<<bits:], p, bits)
		if got := Compress(nil, dict, p, bits); !bytes.Equal(got, want) {
			t.Errorf("window 1<<%d: what is before the window counts", bits)
		}
	}
}

// TestCompressFinds counts the literals that are left where all or most could be
// matches.
func TestCompressFinds(t *testing.T) {
	random := compressRandom(1000)
	part, between := random[:200], random[200:230]
	for i := range dictStep {
		if _, w := testCompress(t, random, random[i:], MaxWindowBits); w.literals > 0 {
			t.Errorf("from byte %d of the dictionary: %d literals", i, w.literals)
		}
	}
	older := slices.Concat(random, make([]byte, 2*recent))
	for i := range olderStep {
		if _, w := testCompress(t, older, random[i:i+olderStep+4], MaxWindowBits); w.literals > 0 {
			t.Errorf("from byte %d of what is older: %d literals", i, w.literals)
		}
	}
	p := slices.Concat(part, between, part, between[:20], part[50:])
	if _, w := testCompress(t, nil, p, 8); w.literals > len(part)+len(between)+5 {
		t.Errorf("what was in a match is not found: %d literals", w.literals)
	}
}

func TestCompressSkips(t *testing.T) {
	c := new(compressor)
	c.searchBlock(compressRandom(maxBlock))
	visited := 0
	for _, position := range c.last {
		if position > 0 {
			visited++
		}
	}
	if visited > maxBlock/32 {
		t.Errorf("the search looks at %d of %d random bytes", visited, maxBlock)
	}
}

func TestCompressShortest(t *testing.T) {
	for _, tt := range []struct{ size, length, want int }{
		{shortMessage - 1, 3, 0},
		{shortMessage - 1, 4, 1},
		{shortMessage, 4, 0},
		{shortMessage, 5, 1},
	} {
		p := compressRandom(tt.size)
		copy(p[40:], p[:tt.length])
		p[40+tt.length] = ^p[tt.length]
		if n, _ := new(compressor).searchBlock(p); n != tt.want {
			t.Errorf("%d bytes of %d come twice: %d sequences, want %d", tt.length, tt.size, n, tt.want)
		}
	}
}

// TestCompressFindsAgain: what was skipped is found when all of it comes again.
func TestCompressFindsAgain(t *testing.T) {
	for i := range 20 {
		n := 20_000 + i
		if _, w := testCompress(t, nil, compressPeriod(3*n, n), MaxWindowBits); w.literals > n+n/4 {
			t.Errorf("%d random bytes, three times: %d literals", n, w.literals)
		}
	}
}

// TestCompressFullBlock has as many sequences as a block takes, or nearly so, when a
// long match comes, which is then in two blocks.
func TestCompressFullBlock(t *testing.T) {
	const record = 7
	var records []byte
	for _, b := range compressRandom(5000) {
		records = append(append(records, b), "record"...)
	}
	c := new(compressor)
	n, block := c.searchBlock(records[:maxBlock])
	if n < len(c.sequences) {
		t.Fatalf("a block of %d bytes has %d sequences", len(block), n)
	}
	for last := range 4 {
		for _, n := range []int{maxMatch, maxMatch + 1, maxMatch + 2, maxMatch + 3, maxMatch + 4, maxMatch + 5, maxMatch + 6, 3000} {
			p := slices.Concat(records[:len(block)-record*last], make([]byte, n), records[:100])
			if _, w := testCompress(t, nil, p, MaxWindowBits); w.fixed+w.dynamic != 2 || w.literals > len(c.sequences)+100 {
				t.Errorf("%d zeros %d records before the end: got %+v", n, last, w)
			}
		}
	}
}

func TestCompressTypes(t *testing.T) {
	for _, tt := range []struct {
		name                   string
		p                      []byte
		stored, fixed, dynamic int
	}{
		{"short", []byte(`{"hello":"world"}`), 0, 1, 0},
		{"short and random", compressRandom(200), 1, 0, 0},
		{"long", compressJSON(2000, 1), 0, 0, 1},
		{"long, with many repetitions", compressPeriod(5000, 2), 0, 1, 0},
		{"long and random", compressRandom(maxBlock), 1, 0, 0},
		{"two blocks", append(compressRandom(maxBlock), compressJSON(2000, 1)...), 1, 0, 1},
		{"more than one block", compressJSON(60_000, 1), 0, 0, 2},
	} {
		_, w := testCompress(t, nil, tt.p, MaxWindowBits)
		w.stored-- // the tail
		if w.stored != tt.stored || w.fixed != tt.fixed || w.dynamic != tt.dynamic {
			t.Errorf("%s: got %+v", tt.name, w)
		}
	}
}

// TestCompressSmallest writes blocks in all ways, of which Compress must have chosen
// the smallest.
func TestCompressSmallest(t *testing.T) {
	c := new(compressor)
	for _, tt := range compressTests {
		for n := 150; n < 5000; n += n/8 + 1 {
			p := tt.data(n)
			count, p := c.searchBlock(p)
			sequences := c.sequences[:count]

			var got bitWriter
			fixed := bitWriter{dst: make([]byte, 0, 2*len(p)+16)}
			dynamic := bitWriter{dst: make([]byte, 0, 2*len(p)+1000)}
			e := &c.encoder
			e.block(&got, p, sequences)
			fixed.write(fixedBlock, 3)
			fixed.symbols(p, sequences, (*[maxLiterals]code)(fixedLiterals[:]), &fixedDistances)
			extra := e.count(p, sequences)
			cost := extra + e.makeCodes() + 3
			dynamic.write(dynamicBlock, 3)
			e.description(&dynamic)
			dynamic.symbols(p, sequences, &e.literals, &e.distances)
			if size := 8*len(dynamic.dst) + int(dynamic.n); size != cost {
				t.Errorf("%s, %d bytes: a dynamic block has %d bits, not %d", tt.name, n, size, cost)
			}
			best := min(len(fixed.dst), len(dynamic.dst), len(p)+5)
			if size := min(len(fixed.dst), len(p)+5); 8*size < minDynamic {
				best = size
			}
			if len(got.dst) != best {
				t.Errorf("%s, %d bytes: %d, could be %d", tt.name, n, len(got.dst), best)
			}
		}
	}
}

func TestCompressRuns(t *testing.T) {
	for _, tt := range []struct {
		name  string
		sizes []uint8
		want  []run
	}{
		{"none", nil, nil},
		{"two zeros", make([]uint8, 2), []run{{0, 0}, {0, 0}}},
		{"3 zeros", make([]uint8, 3), []run{{17, 0}}},
		{"10 zeros", make([]uint8, 10), []run{{17, 7}}},
		{"11 zeros", make([]uint8, 11), []run{{18, 0}}},
		{"138 zeros", make([]uint8, 138), []run{{18, 127}}},
		{"139 zeros", make([]uint8, 139), []run{{18, 127}, {0, 0}}},
		{"286 zeros", make([]uint8, 286), []run{{18, 127}, {18, 127}, {17, 7}}},
		{"3 equal", []uint8{5, 5, 5}, []run{{5, 0}, {5, 0}, {5, 0}}},
		{"4 equal", []uint8{5, 5, 5, 5}, []run{{5, 0}, {16, 0}}},
		{"7 equal", []uint8{5, 5, 5, 5, 5, 5, 5}, []run{{5, 0}, {16, 3}}},
		{"8 equal", []uint8{5, 5, 5, 5, 5, 5, 5, 5}, []run{{5, 0}, {16, 3}, {5, 0}}},
		{"different", []uint8{15, 0, 15, 15}, []run{{15, 0}, {0, 0}, {15, 0}, {15, 0}}},
	} {
		codes := make([]code, len(tt.sizes))
		for i, size := range tt.sizes {
			codes[i].size = size
		}
		var e encoder
		e.addRuns(codes)
		if !slices.Equal(e.runs, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, e.runs, tt.want)
		}
	}
}

func TestCompressRandomGrowsLittle(t *testing.T) {
	for _, n := range []int{1, 2, 50, 1000, maxBlock, maxBlock + 1, 500_000} {
		p := compressRandom(n)
		blocks := (n + maxBlock - 1) / maxBlock
		if out, _ := testCompress(t, nil, p, MaxWindowBits); len(out) > n+5*blocks+1+len(Tail) {
			t.Errorf("%d bytes become %d", n, len(out))
		}
	}
}

// compressFlate is Compress by compress/flate at its fastest level.
func compressFlate(t testing.TB, dict, p []byte) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	compressWrite(t, w, dict)
	b.Reset()
	compressWrite(t, w, p)
	return b.Bytes()
}

func compressWrite(t testing.TB, w *flate.Writer, p []byte) {
	if _, err := w.Write(p); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}

func TestCompressRatio(t *testing.T) {
	for _, kind := range []struct {
		name string
		data func(n int, seed uint64) []byte
	}{
		{"JSON", compressJSON},
		{"text", func(n int, seed uint64) []byte { return compressText(n + int(seed))[seed:] }},
	} {
		for _, n := range []int{1 << 10, 16 << 10, 256 << 10} {
			for _, dict := range [][]byte{nil, kind.data(4096, 2), kind.data(maxWindow, 2)} {
				got, peer := 0, 0
				for seed := range uint64(8) {
					p := kind.data(n, 10+seed)
					got += len(Compress(nil, dict, p, MaxWindowBits))
					peer += len(compressFlate(t, dict, p))
				}
				t.Logf("%s, %d bytes, %d in the dictionary: %d, %d with compress/flate", kind.name, n, len(dict), got/8, peer/8)
				if got > peer*103/100 {
					t.Errorf("%s, %d bytes, %d in the dictionary: %d, but %d with compress/flate", kind.name, n, len(dict), got/8, peer/8)
				}
			}
		}
	}
}

// TestCompressPositionsRunOut: where positions begin anew, before a message or within
// one, what the table has from long ago must not be taken for something near.
func TestCompressPositionsRunOut(t *testing.T) {
	old, other, zeros := compressRandom(1000), compressRandom(999), make([]byte, 4*maxBlock)
	for _, left := range []int{0, 1, 999, maxWindow, maxWindow + 1, maxWindow + 500, maxWindow + 1000, maxBlock, 2 * maxBlock} {
		for _, n := range []int{1, 1000, left + 1, left + 600, left + maxWindow + 600} {
			c := new(compressor)
			for i, p := range [][]byte{old, zeros[:n], other, old} {
				if i == 1 {
					c.base = ^uint32(0) - uint32(left)
				}
				var w bitWriter
				c.compress(&w, nil, p, maxWindow)
				w.storedHeader()
				got, err := io.ReadAll(flate.NewReader(strings.NewReader(string(w.dst) + Tail + compressEnd)))
				if err != nil || !bytes.Equal(got, p) {
					t.Fatalf("%d positions left, message %d: error %v", left, i, err)
				}
			}
		}
	}
}

// TestCompressForgets: no message has a part of another one, even of one that was
// the same.
func TestCompressForgets(t *testing.T) {
	c := new(compressor)
	p := compressJSON(1000, 1)
	for i := range 5 {
		var w bitWriter
		c.compress(&w, nil, p, maxWindow)
		w.storedHeader()
		if walker := compressWalk(append(w.dst, Tail...)); walker.reach > 0 {
			t.Errorf("message %d: got %+v", i, walker)
		}
	}
}

func TestCompressConcurrent(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 20 {
				n := 10 + 700*j
				dict, p := compressJSON(100*i, uint64(i)), compressJSON(n, uint64(j))
				out := Compress(nil, dict, p, 8+j%8)
				stream := io.MultiReader(bytes.NewReader(out), strings.NewReader(compressEnd))
				if got, err := io.ReadAll(flate.NewReaderDict(stream, dict)); err != nil || !bytes.Equal(got, p) {
					t.Errorf("%d bytes: %d, error %v", n, len(got), err)
				}
			}
		})
	}
	wg.Wait()
}

// TestCompressMemory: with room in dst nothing is allocated, without it once a
// block, or twice under the race detector. That also has the pool drop what it gets,
// so that this does without it.
func TestCompressMemory(t *testing.T) {
	c := new(compressor)
	for _, tt := range compressTests {
		for _, n := range tt.sizes {
			p, dict := tt.data(n), tt.data(4096)
			out := Compress(nil, dict, p, MaxWindowBits)
			dst := make([]byte, 0, len(out)+16)
			if got := Compress(dst, dict, p, MaxWindowBits); &got[0] != &dst[:1][0] {
				t.Errorf("%s, %d bytes: dst has been moved", tt.name, n)
			}
			w := compressWalk(out)
			blocks := w.stored + w.fixed + w.dynamic - 1
			for _, tt := range []struct {
				dst  []byte
				want int
			}{{dst, 0}, {nil, 2 * blocks}} {
				allocs := testing.AllocsPerRun(2, func() {
					w := bitWriter{dst: tt.dst}
					c.compress(&w, dict, p, maxWindow)
				})
				if int(allocs) > tt.want {
					t.Errorf("%d bytes to %d, in %d blocks: %v allocations", n, cap(tt.dst), blocks, allocs)
				}
			}
		}
	}
	size := reflect.TypeFor[compressor]().Size() + uintptr(cap(c.encoder.runs))*reflect.TypeFor[run]().Size()
	if size > 136<<10 {
		t.Errorf("the state takes %d bytes", size)
	}
}

func FuzzCompress(f *testing.F) {
	for i, tt := range compressTests {
		f.Add(tt.data(1000), tt.data(5000), MinWindowBits+i%8)
	}
	f.Add([]byte{}, []byte{}, MaxWindowBits)
	f.Fuzz(func(t *testing.T, dict, p []byte, windowBits int) {
		testCompress(t, dict, p, MinWindowBits+windowBits&7)
	})
}

func BenchmarkCompress(b *testing.B) {
	for _, n := range []int{64, 128, 512, 1 << 10, 16 << 10, 256 << 10} {
		var messages [16][]byte
		for i := range messages {
			messages[i] = compressJSON(n, 10+uint64(i))
		}
		for _, dict := range [][]byte{nil, compressJSON(4096, 2)} {
			name := fmt.Sprintf("%d/dict=%d/", n, len(dict))
			run := func(peer string, compress func(p []byte) int) {
				b.Run(name+peer, func(b *testing.B) {
					b.SetBytes(int64(n))
					size, i := 0, 0
					for b.Loop() {
						size += compress(messages[i%len(messages)])
						i++
					}
					b.ReportMetric(float64(size)/float64(i)/float64(n), "ratio")
				})
			}
			var dst []byte
			run("deflate", func(p []byte) int {
				dst = Compress(dst[:0], dict, p, MaxWindowBits)
				return len(dst)
			})
			var buf bytes.Buffer
			w, _ := flate.NewWriter(&buf, flate.BestSpeed)
			run("flate", func(p []byte) int {
				w.Reset(&buf)
				if dict != nil {
					compressWrite(b, w, dict)
				}
				buf.Reset()
				compressWrite(b, w, p)
				return buf.Len()
			})
		}
	}
}
