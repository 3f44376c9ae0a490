package proto

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

// mayBecome reports whether b is the start of some UTF-8, by what unicode/utf8
// knows: a rest that is no full character is the start of one.
func mayBecome(b []byte) bool {
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size == 1 {
			return !utf8.FullRune(b)
		}
		b = b[size:]
	}
	return true
}

var utf8Tests = []string{
	"", "a", "\x00", "\x7f", "¢", "€", "𝄞", "κόσμε", "日本語", "a¢€𝄞z",
	// First and last of each length, and beside the surrogates.
	"\u0080\u07ff\u0800\uffff\U00010000\U0010ffff", "\ud7ff\ue000", "\ufeff\ufffd\ufffe",
	// Autobahn 6.4: the first wrong byte comes in the middle.
	"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited",
	"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf",
	"\xed\xa0\x80", "\xed\xbf\xbf", "\xed\xa0\x80\xed\xb0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80",
	"\xfc\x84\x80\x80\x80\x80", "\xfe", "\xff",
	"\xc2", "\xe2\x82", "\xf0\x9d\x84", "a\xc2", "\xc2a", "\xe2a", "\xe2\x82a", "\xf0\x9da", "\xf0\x9d\x84a", "\xe2\xe2\x82\xac",
	"\xc2\xff", "\xe2\x82\xc2", "\xf1\x80\x80\xc0", "\xf4\x8f\xbf\xbf\x80",
}

// checkUTF8 feeds b in pieces cut at the points, and holds every answer against
// unicode/utf8.
func checkUTF8(t *testing.T, b []byte, cuts ...int) {
	t.Helper()
	if got, want := ValidText(b), utf8.Valid(b); got != want {
		t.Fatalf("ValidText(%q) = %v, want %v", b, got, want)
	}
	var u UTF8
	from := 0
	for _, to := range append(cuts, len(b)) {
		ok, want := u.Write(b[from:to]), mayBecome(b[:to])
		if ok != want {
			t.Fatalf("%q, pieces to %v: after byte %d Write = %v, want %v", b, cuts, to, ok, want)
		}
		if done, want := u.Complete(), utf8.Valid(b[:to]); done != want {
			t.Fatalf("%q, pieces to %v: after byte %d Complete = %v, want %v", b, cuts, to, done, want)
		}
		from = to
	}
}

func TestUTF8(t *testing.T) {
	for _, s := range utf8Tests {
		b := []byte(s)
		checkUTF8(t, b)
		var each []int
		for i := range b {
			checkUTF8(t, b, i)
			each = append(each, i, i) // and nothing at all in between
		}
		checkUTF8(t, b, each...)
	}
}

// TestUTF8Exhaustive takes all strings of one, two and three bytes, and those
// of four that begin as a character of four does, with the last two bytes from
// the edges of all ranges. What is wrong already goes on with the edges only:
// it stays wrong with any byte, which is seen once.
func TestUTF8Exhaustive(t *testing.T) {
	edges := []byte{0x00, 0x41, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0x9f, 0xa0, 0xbe, 0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0xf5, 0xff}
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	b := make([]byte, 4)
	// extend adds every byte of one more place to b[:n], whose state is u.
	var extend func(u UTF8, n int)
	extend = func(u UTF8, n int) {
		next := all
		if n == 3 || u.state == utf8Reject {
			next = edges
		}
		for _, c := range next {
			b[n] = c
			v := u
			ok := v.Write(b[n : n+1])
			if done, want := v.Complete(), utf8.Valid(b[:n+1]); done != want {
				t.Fatalf("% x: Complete = %v, want %v", b[:n+1], done, want)
			}
			if want := mayBecome(b[:n+1]); ok != want {
				t.Fatalf("% x: Write = %v, want %v", b[:n+1], ok, want)
			}
			if n < 2 || n == 2 && 0xf0 <= b[0] && b[0] <= 0xf4 && bytes.IndexByte(edges, c) >= 0 {
				extend(v, n+1)
			}
		}
	}
	extend(UTF8{}, 0)

	for _, c := range all {
		u := UTF8{utf8Reject}
		if u.Write([]byte{c}) || u.Complete() {
			t.Errorf("after a wrong byte, %#x makes it right", c)
		}
	}
}

// TestUTF8Blocks moves every text over the edges of blocks and of eight bytes, in
// ASCII and in something else, in one piece and in two; behind it there is nothing,
// or ASCII that could be skipped if the text were complete.
func TestUTF8Blocks(t *testing.T) {
	for _, filler := range []string{"x", "é", "€", "𝄞"} {
		for _, s := range utf8Tests {
			for before := range (utf8Block+10)/len(filler) + 1 {
				for _, behind := range []int{0, 9, utf8Block + 1} {
					b := []byte(strings.Repeat(filler, before) + s + strings.Repeat("y", behind))
					checkUTF8(t, b)
					if n := before * len(filler); behind == 0 || n < utf8Block-5 || n > utf8Block+1 {
						continue
					}
					for cut := range b {
						checkUTF8(t, b, cut)
					}
				}
			}
		}
	}
	// One wrong bit in the place of each byte, of a block and of what is left.
	for size := range 2*utf8Block + 18 {
		for i := range size {
			b := bytes.Repeat([]byte("x"), size)
			b[i] |= 0x80
			checkUTF8(t, b)
		}
	}
}

// TestRecvText: a text is refused exactly with its first wrong byte, and one
// that is not complete exactly with its end, in whatever frames it comes.
func TestRecvText(t *testing.T) {
	ping := f(0x89, "\xff")
	shapes := []struct {
		name   string
		frames func(b []byte) []fr // of one message
	}{
		{"one frame", func(b []byte) []fr { return []fr{f(0x81, string(b))} }},
		{"a frame a byte", func(b []byte) []fr {
			frames := []fr{f(0x01, "")}
			for _, c := range b {
				frames = append(frames, f(0x00, string([]byte{c})))
			}
			return append(frames, f(0x80, ""))
		}},
		{"a frame a byte, others between", func(b []byte) []fr {
			frames := []fr{f(0x01, "")}
			for _, c := range b {
				frames = append(frames, ping, f(0x00, string([]byte{c})), ping, f(0x00, ""))
			}
			return append(frames, ping, f(0x80, ""))
		}},
		{"the end in a frame of its own", func(b []byte) []fr {
			cut := len(b) / 2
			return []fr{f(0x01, string(b[:cut])), f(0x80, string(b[cut:]))}
		}},
	}
	for _, shape := range shapes {
		t.Run(shape.name, func(t *testing.T) {
			for _, s := range utf8Tests {
				testText(t, []byte(s), shape.frames([]byte(s)))
			}
		})
	}
}

// testText feeds the frames of a text one byte at a time.
func testText(t *testing.T, text []byte, frames []fr) {
	t.Helper()
	r := Recv{}
	got := 0 // bytes of the text
	var buf []byte
	b := wire(Server, frames)
	for i, c := range b {
		left, last := r.Left(), i == len(b)-1
		buf = append(buf, c)
		_, n, v := next(&r, buf)
		buf = buf[n:]
		if left > 0 {
			got++ // c was payload
		}
		wrong := !mayBecome(text[:got]) || last && !utf8.Valid(text)
		switch {
		case v != nil && v != ErrText:
			t.Fatalf("%q: %v", text, v)
		case (v != nil) != wrong:
			t.Fatalf("%q, after %d of its bytes, end %v: violation %v, want one %v", text, got, last, v, wrong)
		case v != nil:
			return
		}
	}
	if got != len(text) || r.Open() != 0 {
		t.Fatalf("%q: %d bytes, open %v at the end", text, got, r.Open())
	}
}

func FuzzUTF8(f *testing.F) {
	for _, s := range utf8Tests {
		f.Add([]byte(s), uint(1), uint(0))
		f.Add([]byte(strings.Repeat("x", utf8Block-2)+s+strings.Repeat("y", utf8Block)), uint(utf8Block), uint(1))
	}
	f.Fuzz(func(t *testing.T, b []byte, i, j uint) {
		first := int(i % uint(len(b)+1))
		second := first + int(j%uint(len(b)-first+1))
		checkUTF8(t, b)
		checkUTF8(t, b, first, second)
	})
}

// benchmarkText returns words of s in no order that a processor could learn.
func benchmarkText(s string) []byte {
	words := strings.SplitAfter(s, " ")
	if len(words) < 3 {
		words = strings.SplitAfter(s, "")
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	var b []byte
	for len(b) < 256<<10 {
		b = append(b, words[rnd.IntN(len(words))]...)
	}
	return b
}

// BenchmarkUTF8 has unicode/utf8 beside it, which is what others check with.
func BenchmarkUTF8(b *testing.B) {
	for _, script := range []struct{ name, text string }{
		{"ASCII", "All human beings are born free and equal in dignity and rights. "},
		{"French", "Tous les êtres humains naissent libres et égaux en dignité et en droits. "},
		{"Vietnamese", "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền. "},
		{"Russian", "Все люди рождаются свободными и равными в своём достоинстве и правах. "},
		{"Hindi", "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है। "},
		{"Chinese", "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。"},
		{"emoji", "😀🎉🚀🌍👍🏽🔥💯🙏"},
		{"JSON", `{"id": 48211, "user": "Zoë", "text": "Grüße aus 東京 🎉", "tags": ["été", "новости"], "ok": true}, `},
	} {
		text := benchmarkText(script.text)
		for _, size := range []int{50, 1 << 10, 64 << 10} {
			var pieces [][]byte
			for rest := text; len(rest) > size; {
				n := size
				for !utf8.RuneStart(rest[n]) {
					n--
				}
				pieces, rest = append(pieces, rest[:n]), rest[n:]
			}
			run := func(name string, valid func(p []byte) bool) {
				b.Run(fmt.Sprintf("%s/%d/%s", script.name, size, name), func(b *testing.B) {
					b.SetBytes(int64(len(bytes.Join(pieces, nil))))
					for b.Loop() {
						for _, p := range pieces {
							if !valid(p) {
								b.Fatalf("%q is UTF-8", p)
							}
						}
					}
				})
			}
			run("proto", ValidText)
			run("unicode", utf8.Valid)
		}
	}
}
