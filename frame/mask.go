package frame

import (
	"crypto/subtle"
	"encoding/binary"
	"math/bits"
)

// patternThreshold is the payload size from which XOR against a repeated key
// pays for laying the pattern out: below it the word loop is faster.
const patternThreshold = 2 << 10

// Mask masks or unmasks b in place with key, as RFC 6455, section 5.3, has it:
// the two are the same operation. pos is the offset of b in the payload of its
// frame, so that a payload can be masked in pieces; the offset after b is
// pos + len(b), of which only the value modulo 4 counts.
func Mask(b []byte, key [4]byte, pos int) {
	k := bits.RotateLeft32(binary.LittleEndian.Uint32(key[:]), -8*(pos&3))
	if len(b) >= patternThreshold {
		maskPattern(b, k)
		return
	}
	maskWords(b, k)
}

// maskWords XORs eight bytes at a time; k is the key as it applies to b[0].
func maskWords(b []byte, k uint32) {
	k64 := uint64(k)<<32 | uint64(k)
	for len(b) >= 32 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k64)
		binary.LittleEndian.PutUint64(b[8:], binary.LittleEndian.Uint64(b[8:])^k64)
		binary.LittleEndian.PutUint64(b[16:], binary.LittleEndian.Uint64(b[16:])^k64)
		binary.LittleEndian.PutUint64(b[24:], binary.LittleEndian.Uint64(b[24:])^k64)
		b = b[32:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k64)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(k64)
		k64 >>= 8
	}
}

// maskPattern XORs against a block of repeated keys, for which the standard
// library has vector code. It has a frame of its own because the block would
// otherwise sit on the stack of every goroutine that waits in a read.
//
//go:noinline
func maskPattern(b []byte, k uint32) {
	var pattern [1 << 10]byte
	for i := 0; i < len(pattern); i += 4 {
		binary.LittleEndian.PutUint32(pattern[i:], k)
	}
	for len(b) > 0 {
		n := subtle.XORBytes(b, b, pattern[:])
		b = b[n:]
	}
}
