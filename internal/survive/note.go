package main

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
)

// A note is a message of the experiment: a kind, two numbers, padding, and a
// checksum of all that. It is ASCII, so it may be a text as well as a binary
// message.
type note struct {
	kind kind
	a, b uint64
}

type kind byte

const (
	echo      kind = 'e' // a: the life it belongs to; b: its number, from 0
	broadcast kind = 'b' // a: when it was sent, in milliseconds since 1970; b: its number
	question  kind = 'q' // how many broadcasts were there for me?
	answer    kind = 'a' // a: so many; b: of these were skipped
	later     kind = 'l' // ask again, for the queue is full
)

// bytes returns the note, with about as many bytes.
func (n note) bytes(size int) []byte {
	p := make([]byte, 0, size+64)
	p = fmt.Appendf(p, "%c %d %d ", n.kind, n.a, n.b)
	// Padding that compresses somewhat, and differs from note to note.
	for x := uint32(n.b)*2654435761 + uint32(n.a); len(p) < size-9; x = x*1664525 + 1013904223 {
		p = append(p, 'a'+byte(x>>24)%20)
	}
	return fmt.Appendf(p, " %08x", crc32.ChecksumIEEE(p))
}

// parseNote returns the note in p if it has come as it was sent.
func parseNote(p []byte) (note, error) {
	end := len(p) - 9
	if end < 0 || string(p[end:]) != fmt.Sprintf(" %08x", crc32.ChecksumIEEE(p[:end])) {
		return note{}, errors.New("the checksum is wrong")
	}
	fields := bytes.SplitN(p[:end], []byte(" "), 4)
	if len(fields) != 4 || len(fields[0]) != 1 {
		return note{}, errors.New("it has no fields")
	}
	a, err1 := strconv.ParseUint(string(fields[1]), 10, 64)
	b, err2 := strconv.ParseUint(string(fields[2]), 10, 64)
	return note{kind(fields[0][0]), a, b}, errors.Join(err1, err2)
}
