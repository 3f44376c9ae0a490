package main

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"unicode/utf8"
)

// message is what the client sends and expects back.
type message struct {
	payload []byte
	frame   []byte // masked, and compressed if asked
}

const (
	opCont   = 0
	opText   = 1
	opBinary = 2
	opPing   = 9
	opPong   = 10
)

// The kinds of payload.
const (
	kindBinary = "binary" // random bytes
	kindText   = "text"   // JSON in ASCII, in a text message
	kindUTF8   = "utf8"   // mostly characters of several bytes, in a text message
)

var maskKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// clientFrame is a masked frame. The client has a codec of its own, lest a
// mistake of a library under test be made on both sides.
func clientFrame(op byte, fin, packed bool, payload []byte) []byte {
	b := []byte{op, 0x80}
	if fin {
		b[0] |= 0x80
	}
	if packed {
		b[0] |= rsv1
	}
	switch n := len(payload); {
	case n < 126:
		b[1] |= byte(n)
	case n < 1<<16:
		b[1] |= 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] |= 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	b = append(b, maskKey[:]...)
	for i, c := range payload {
		b = append(b, c^maskKey[i&3])
	}
	return b
}

// deflater returns what compresses a message, without regard to others, which
// suits all modes. compress/flate knows nothing of small windows, so it gets no
// more than one at a time.
func deflater(mode string) func(p []byte) []byte {
	window := 32 << 10
	if mode == smallWindows {
		window = 4 << 10
	}
	w, err := flate.NewWriter(nil, deflateLevel)
	if err != nil {
		panic(err) // the level is a constant
	}
	return func(p []byte) []byte {
		var b bytes.Buffer
		for piece := range slices.Chunk(p, window) {
			w.Reset(&b)
			w.Write(piece)
			w.Flush()
		}
		return bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})
	}
}

// newMessages makes n different messages, compressed for a mode of deflate.
func newMessages(n, size int, kind, deflate string) []message {
	rnd := rand.New(rand.NewPCG(1, uint64(size)))
	pack := deflater(deflate)
	var out []message
	for range n {
		m := message{payload: newPayload(rnd, size, kind)}
		op, data := byte(opText), m.payload
		if kind == kindBinary {
			op = opBinary
		}
		if deflate != noDeflate {
			data = pack(m.payload)
		}
		m.frame = clientFrame(op, true, deflate != noDeflate, data)
		out = append(out, m)
	}
	return out
}

func newMessage(size int, kind string) message { return newMessages(1, size, kind, noDeflate)[0] }

func newPayload(rnd *rand.Rand, size int, kind string) []byte {
	switch kind {
	case kindBinary:
		p := make([]byte, size)
		for i := range p {
			p[i] = byte(rnd.Uint32())
		}
		return p
	case kindUTF8:
		return newUTF8(rnd, size)
	}
	return newJSON(rnd, size)
}

func newUTF8(rnd *rand.Rand, size int) []byte {
	runes := []rune("абвгд 語言測試 ü😀ñ ")
	var p []byte
	for {
		r := runes[rnd.IntN(len(runes))]
		if len(p)+utf8.RuneLen(r) > size {
			break
		}
		p = utf8.AppendRune(p, r)
	}
	return append(p, bytes.Repeat([]byte(" "), size-len(p))...)
}

func newJSON(rnd *rand.Rand, size int) []byte {
	names := []string{"alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"}
	words := []string{"order", "filled", "quote", "market", "limit", "cancel", "trade", "update", "price", "volume", "session", "closed"}
	word := func() string { return words[rnd.IntN(len(words))] }
	letter := func() rune { return 'A' + rune(rnd.IntN(26)) }
	var b bytes.Buffer
	for b.Len() < size {
		fmt.Fprintf(&b, `{"id":%d,"user":"%s","symbol":"%c%c%c","price":%d.%02d,"qty":%d,"note":"%s %s %s"},`,
			rnd.IntN(1e9), names[rnd.IntN(len(names))], letter(), letter(), letter(),
			rnd.IntN(1000), rnd.IntN(100), rnd.IntN(5000), word(), word(), word())
	}
	return b.Bytes()[:size]
}
