package frame

import (
	"encoding/binary"
	"math/bits"
)

// Mask masks or unmasks b in place with key, as RFC 6455, section 5.3, has it:
// the two are the same operation. pos is the offset of b in the payload of its
// frame, so that a payload can be masked in pieces; the offset after b is
// pos + len(b), of which only the value modulo 4 counts.
func Mask(b []byte, key [4]byte, pos int) {
	k := bits.RotateLeft32(binary.LittleEndian.Uint32(key[:]), -8*(pos&3))
	k64 := uint64(k)<<32 | uint64(k)
	// Eight words a turn keep up with crypto/subtle.XORBytes, for which a pattern of
	// repeated keys would have to be laid out first.
	for ; len(b) >= 64; b = b[64:] {
		xorWord(b, k64)
		xorWord(b[8:], k64)
		xorWord(b[16:], k64)
		xorWord(b[24:], k64)
		xorWord(b[32:], k64)
		xorWord(b[40:], k64)
		xorWord(b[48:], k64)
		xorWord(b[56:], k64)
	}
	for ; len(b) >= 8; b = b[8:] {
		xorWord(b, k64)
	}
	for i := range b {
		b[i] ^= byte(k64)
		k64 >>= 8
	}
}

func xorWord(b []byte, k uint64) {
	binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k)
}
