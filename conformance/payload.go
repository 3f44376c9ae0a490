package conformance

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// A payload is made when it is needed, since it may be large.
type payload []term

// A term is a piece of a payload, so many times.
type term struct {
	literal string
	kind    string // "random" or "words" in place of literal
	size    int
	times   int
}

func (p payload) size() (n int) {
	for _, t := range p {
		n += max(len(t.literal), t.size) * t.times
	}
	return n
}

func (p payload) bytes() []byte {
	b := make([]byte, 0, p.size())
	for _, t := range p {
		for range t.times {
			switch t.kind {
			case "random":
				b = appendRandom(b, t.size)
			case "words":
				b = appendWords(b, t.size)
			default:
				b = append(b, t.literal...)
			}
		}
	}
	return b
}

func appendRandom(b []byte, size int) []byte {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(size))
	start := len(b)
	b = slices.Grow(b, size)[:start+size]
	rand.NewChaCha8(seed).Read(b[start:])
	return b
}

// appendWords appends text that has characters of every length in UTF-8 and
// that can be compressed, but not to nothing.
func appendWords(b []byte, size int) []byte {
	words := []string{"lock ", "air ", "naïve ", "дверь ", "扉 ", "🚪 ", "pressure ", "seal ", "hull "}
	r := rand.New(rand.NewPCG(7692, uint64(size)))
	end := len(b) + size
	for len(b) < end {
		word := words[r.IntN(len(words))]
		if len(b)+len(word) > end {
			word = "."
		}
		b = append(b, word...)
	}
	return b
}

// parsePayload reads the payload at the start of s and returns what follows.
func parsePayload(s string) (p payload, rest string, err error) {
	for s = strings.TrimLeft(s, " "); s != "" && s != "-"; s = strings.TrimLeft(s, " ") {
		var t term
		if t, s, err = parseTerm(s); err != nil {
			return nil, s, err
		}
		p = append(p, t)
		if strings.HasPrefix(s, "-") {
			break
		}
	}
	return p, s, nil
}

func parseTerm(s string) (t term, rest string, err error) {
	t.times = 1
	switch {
	case s[0] == '"':
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return t, s, fmt.Errorf("no string: %s", s)
		}
		if t.literal, err = strconv.Unquote(quoted); err != nil {
			return t, s, err
		}
		rest = s[len(quoted):]
	case s[0] == '<':
		inner, after, ok := strings.Cut(s[1:], ">")
		if !ok {
			return t, s, fmt.Errorf("no > behind %s", s)
		}
		b, err := parseHex(inner)
		if err != nil {
			return t, s, err
		}
		t.literal, rest = string(b), after
	default:
		kind, number, _ := strings.Cut(s, ":")
		n := strings.IndexFunc(number, func(r rune) bool { return !strings.ContainsRune("0123456789KM", r) })
		if n < 0 {
			n = len(number)
		}
		if t.size, err = parseSize(number[:n]); err != nil || kind != "random" && kind != "words" {
			return t, s, fmt.Errorf("no payload: %s", s)
		}
		t.kind, rest = kind, number[n:]
	}
	if number, ok := strings.CutPrefix(rest, "*"); ok {
		n := strings.IndexAny(number+" ", " -")
		if t.times, err = parseSize(number[:n]); err != nil {
			return t, s, err
		}
		rest = number[n:]
	}
	return t, rest, nil
}

func parseHex(s string) ([]byte, error) { return hex.DecodeString(strings.ReplaceAll(s, " ", "")) }

// parseSize reads 16, 16K or 16M.
func parseSize(s string) (int, error) {
	unit := 1
	if digits, ok := strings.CutSuffix(s, "K"); ok {
		s, unit = digits, 1<<10
	} else if digits, ok := strings.CutSuffix(s, "M"); ok {
		s, unit = digits, 1<<20
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("no size: %q", s)
	}
	return n * unit, nil
}
