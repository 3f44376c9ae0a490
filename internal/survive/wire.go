package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
)

// maxMessageSize is the server's limit. No utterance comes near it.
const maxMessageSize = 64 << 10

// key is the Sec-WebSocket-Key of every handshake: the server does not care whether
// it is random.
const key = "c3Vydml2ZSBpdCBhbGwhIQ=="

// request returns an opening handshake.
func request(host, offer string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n", host)
	fmt.Fprintf(&b, "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n", key)
	if offer != "" {
		fmt.Fprintf(&b, "Sec-WebSocket-Extensions: %s\r\n", offer)
	}
	b.WriteString("\r\n")
	return b.String()
}

// mistakes are handshakes that have to be refused.
var mistakes = []struct {
	from, to string // what is replaced in a right one
	status   int
}{
	{"Sec-WebSocket-Key: " + key, "Sec-WebSocket-Key: short", 400},
	{"Sec-WebSocket-Key: " + key + "\r\n", "", 400},
	{"Version: 13", "Version: 8", 426},
	{"Upgrade: websocket\r\n", "Upgrade: websocket\r\nOrigin: https://elsewhere.example\r\n", 403},
	{"Upgrade: websocket\r\n", "Upgrade: smtp\r\n", 400},
	{"GET ", "POST ", 405},
	{"GET / HTTP/1.1", "GET\x01/ HTTP/9", 400},
}

// violations are what has to end a connection, and with which code.
var violations = []struct {
	name string
	sent []byte
	code websocket.CloseCode
}{
	{"a frame without a mask", []byte{0x81, 2, 'h', 'i'}, 1002},
	{"a reserved opcode", masked(frame.Header{Fin: true, Opcode: 0x3}, nil), 1002},
	{"a reserved bit", masked(frame.Header{Fin: true, RSV2: true, Opcode: frame.Text}, nil), 1002},
	{"a continuation of nothing", masked(frame.Header{Fin: true, Opcode: frame.Continuation}, []byte("x")), 1002},
	{"a fragment of a ping", masked(frame.Header{Opcode: frame.Ping}, nil), 1002},
	{"a ping of 126 bytes", masked(frame.Header{Fin: true, Opcode: frame.Ping}, make([]byte, 126)), 1002},
	{"a length in too many bytes", []byte{0x82, 0x80 | 126, 0, 5, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 1002},
	{"a close code that is never sent", masked(frame.Header{Fin: true, Opcode: frame.Close}, []byte{0x03, 0xed}), 1002},
	{"text that is not UTF-8", masked(frame.Header{Fin: true, Opcode: frame.Text}, []byte("\xc3(")), 1007},
	{"a message too large", masked(frame.Header{Fin: true, Opcode: frame.Binary}, make([]byte, maxMessageSize+1)), 1009},
}

// masked returns a frame, with a mask whose bytes differ.
func masked(h frame.Header, payload []byte) []byte {
	h.Masked, h.Key, h.Length = true, [4]byte{0x5a, 0xc3, 0x17, 0x88}, uint64(len(payload))
	b := append(frame.Append(make([]byte, 0, frame.MaxHeaderSize+len(payload)), h), payload...)
	frame.Mask(b[len(b)-len(payload):], h.Key, 0)
	return b
}

func closeFrame(code websocket.CloseCode) []byte {
	return masked(frame.Header{Fin: true, Opcode: frame.Close}, binary.BigEndian.AppendUint16(nil, uint16(code)))
}

// opcodeOf says what the note is sent as: half of them are text.
func opcodeOf(number uint64) frame.Opcode {
	if number%2 == 0 {
		return frame.Text
	}
	return frame.Binary
}

// message returns the frames of an utterance, whose payload is given.
func (u utterance) message(op frame.Opcode, payload []byte) []byte {
	h := frame.Header{Opcode: op, RSV1: u.compressed}
	var b []byte
	for left := u.fragments; left > 0; left-- {
		n := len(payload) / left
		h.Fin = left == 1
		b = append(b, masked(h, payload[:n])...)
		if u.ping && left == u.fragments {
			b = append(b, pingFrame...)
		}
		payload = payload[n:]
		h = frame.Header{Opcode: frame.Continuation}
	}
	return b
}

var pingFrame = masked(frame.Header{Fin: true, Opcode: frame.Ping}, []byte("there?"))

// cut returns b in n+1 pieces, some of which may be empty.
func cut(rng *rand.Rand, b []byte, n int) [][]byte {
	pieces := make([][]byte, 0, n+1)
	for ; n > 0; n-- {
		at := rng.IntN(len(b) + 1)
		if n == 1 || at < len(b) {
			pieces = append(pieces, b[:at:at])
			b = b[at:]
		}
	}
	return append(pieces, b)
}

// mistaken returns a handshake with the mistake of a life.
func mistaken(host string, m int) (text string, status int) {
	wrong := mistakes[m%len(mistakes)]
	return strings.Replace(request(host, ""), wrong.from, wrong.to, 1), wrong.status
}
