package main

import (
	"bytes"
	"crypto/subtle"
	"testing"
	"unicode/utf8"

	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/proto"
)

// The floors in process are the work itself, without a library. memConn's Read
// and Write stand for a socket's, with their copies.

// sumOfParts is all that has to be done with the bytes, one after the other, by the
// functions that Airlock has for it.
const sumOfParts = "(sum-of-parts)"

func floor(name string, f func()) microBench {
	return microBench{name, func(b *testing.B) error {
		for range b.N {
			f()
		}
		return nil
	}}
}

func readFloors(m *message, kind string) []microBench {
	var c memConn
	dst := make([]byte, len(m.frame))
	payload := dst[len(m.frame)-len(m.payload):]
	key := bytes.Repeat(maskKey[:], len(m.payload)/len(maskKey)+1)
	read := func() {
		if c.left == 0 {
			c.reset(nil, m.frame, 1<<30)
		}
		c.Read(dst)
	}
	floors := []microBench{
		floor("(conn.Read)", read),
		floor("(xor)", func() { subtle.XORBytes(dst, m.payload, key) }),
		floor(sumOfParts, func() {
			read()
			frame.Mask(payload, maskKey, 0)
			if kind != kindBinary && !proto.ValidText(payload) {
				panic("our own text is not valid")
			}
		}),
	}
	if kind != kindBinary {
		floors = append(floors, floor("(utf8.Valid)", func() { utf8.Valid(m.payload) }))
	}
	return floors
}

func writeFloors(m *message, kind string) []microBench {
	var c memConn
	wire := unmasked(m)
	return []microBench{
		floor("(conn.Write)", func() { c.Write(wire) }),
		floor(sumOfParts, func() {
			if kind != kindBinary && !proto.ValidText(m.payload) {
				panic("our own text is not valid")
			}
			c.Write(wire)
		}),
	}
}

// broadcastFloors write a frame to many connections, one after another.
func broadcastFloors(m *message) []microBench {
	return []microBench{{sumOfParts, func(b *testing.B) error {
		conns := make([]*memConn, broadcastConns)
		for i := range conns {
			conns[i] = new(memConn)
		}
		b.ResetTimer()
		for range b.N {
			wire := unmasked(m)
			for _, c := range conns {
				c.Write(wire)
			}
		}
		return nil
	}}}
}

// unmasked is m as a server sends it.
func unmasked(m *message) []byte {
	return append(frame.Append(nil, frame.Header{Fin: true, Opcode: frame.Text, Length: uint64(len(m.payload))}), m.payload...)
}
