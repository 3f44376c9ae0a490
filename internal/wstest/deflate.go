package wstest

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/airlock-go/websocket/frame"
)

// CompressedFrame returns the bytes of a masked frame with RSV1: the first of a
// compressed message, of which payload is the compressed data.
func CompressedFrame(op frame.Opcode, fin bool, payload []byte) []byte {
	return masked(frame.Header{Fin: fin, RSV1: true, Opcode: op}, payload)
}

// CompressedFragments returns the bytes of a compressed message in frames of at
// most size bytes.
func CompressedFragments(op frame.Opcode, payload []byte, size int) []byte {
	first, rest := payload[:min(size, len(payload))], payload[min(size, len(payload)):]
	b := CompressedFrame(op, len(rest) == 0, first)
	for len(rest) > 0 {
		n := min(size, len(rest))
		b = append(b, Frame(frame.Continuation, n == len(rest), rest[:n])...)
		rest = rest[n:]
	}
	return b
}

// Deflate is a client's end of permessage-deflate (RFC 7692). It is made of
// compress/flate, so that it has a mind of its own.
type Deflate struct {
	sent, received deflateWindow
}

type deflateWindow struct {
	size  int // in bytes
	keeps bool
	held  []byte
}

// NewDeflate returns the client's end of what the server has answered in
// Sec-WebSocket-Extensions.
func NewDeflate(answer string) (*Deflate, error) {
	d := &Deflate{deflateWindow{1 << 15, true, nil}, deflateWindow{1 << 15, true, nil}}
	name, params, _ := strings.Cut(answer, ";")
	if name != "permessage-deflate" {
		return nil, fmt.Errorf("the answer is %q", answer)
	}
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		w := &d.sent
		if strings.HasPrefix(name, "server_") {
			w = &d.received
		}
		switch {
		case name == "":
		case strings.HasSuffix(name, "_no_context_takeover"):
			w.keeps = false
		case strings.HasSuffix(name, "_max_window_bits"):
			bits, err := strconv.Atoi(value)
			if err != nil {
				return nil, err
			}
			w.size = 1 << bits
		default:
			return nil, fmt.Errorf("the answer has %q", param)
		}
	}
	return d, nil
}

// add takes p as the end of the last message.
func (w *deflateWindow) add(p []byte) {
	if !w.keeps {
		return
	}
	w.held = append(w.held, p...)
	w.held = w.held[max(0, len(w.held)-w.size):]
}

// Window returns what the next message of the server may refer to, and how far
// back it may do so.
func (d *Deflate) Window() (held []byte, size int) { return d.received.held, d.received.size }

const deflateTail = "\x00\x00\xff\xff"

// Pack returns the payload of the next compressed message to the server. The
// standard library knows no window but the largest. To keep to another, the first
// half of one is packed behind the other half, and every further one by itself.
func (d *Deflate) Pack(p []byte) []byte {
	w := &d.sent
	dict, first := w.held, len(p)
	if w.size < 1<<15 {
		dict, first = dict[max(0, len(dict)-w.size/2):], min(first, w.size/2)
	}
	var b bytes.Buffer
	z, err := flate.NewWriterDict(&b, flate.DefaultCompression, dict)
	if err == nil {
		err = flushed(z, p[:first])
	}
	if err == nil && first < len(p) {
		z, err = flate.NewWriter(&b, flate.DefaultCompression)
	}
	for piece := range slices.Chunk(p[first:], w.size) {
		err = errors.Join(err, flushed(z, piece))
		z.Reset(&b)
	}
	if err != nil {
		panic("wstest: " + err.Error())
	}
	w.add(p)
	return bytes.TrimSuffix(b.Bytes(), []byte(deflateTail))
}

func flushed(z *flate.Writer, p []byte) error {
	_, err := z.Write(p)
	return errors.Join(err, z.Flush())
}

// Unpack returns what the payload of the next compressed message of the server
// decompresses to.
func (d *Deflate) Unpack(payload []byte) ([]byte, error) {
	w := &d.received
	p, err := Inflate(payload, w.held)
	w.add(p)
	return p, err
}

// Inflate returns what the payload of a compressed message behind window
// decompresses to, blocks behind a final one included.
func Inflate(payload, window []byte) ([]byte, error) {
	const end = "\x01\x00\x00\xff\xff" // a final block, for compress/flate to stop at
	rest := strings.NewReader(string(payload) + deflateTail + end)
	seen, had := window, len(window)
	for rest.Len() > 0 {
		p, err := io.ReadAll(flate.NewReaderDict(rest, seen[max(0, len(seen)-1<<15):]))
		seen = append(seen[:len(seen):len(seen)], p...)
		if err != nil {
			return seen[had:], err
		}
	}
	return seen[had:], nil
}

// ReadCompressed reads a frame that has to be a whole compressed message, and
// returns its payload.
func (p *Peer) ReadCompressed(op frame.Opcode) []byte {
	p.t.Helper()
	h, payload, err := p.ReadFrame()
	if err != nil || h.Opcode != op || !h.Fin || !h.RSV1 {
		p.t.Fatalf("peer: got %v, error %v, want a compressed %v message in one frame", h, err, op)
	}
	return payload
}
