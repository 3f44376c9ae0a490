package conformance

import (
	"strconv"
	"sync"
	"time"

	"github.com/airlock-go/websocket/frame"
)

// describe tells a header in words.
func describe(h frame.Header) string {
	s := h.Opcode.String()
	for _, bit := range []struct {
		set  bool
		name string
	}{{!h.Fin, "more follows"}, {h.RSV1, "rsv1"}, {h.RSV2, "rsv2"}, {h.RSV3, "rsv3"}} {
		if bit.set {
			s += ", " + bit.name
		}
	}
	return s + ", " + byteCount(int(h.Length))
}

func byteCount(n int) string {
	if n == 1 {
		return "1 byte"
	}
	return strconv.Itoa(n) + " bytes"
}

// dialogue collects what was said. Both ends of a connection write to it.
type dialogue struct {
	start time.Time
	mu    sync.Mutex
	lines []Line
}

// previewSize is how many bytes of a payload are kept for people to look at.
const previewSize = 200

func (d *dialogue) add(mark Mark, what string, data []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	const enough = 400 // lines; a flood would be read by nobody
	if len(d.lines) > enough {
		return
	}
	if len(d.lines) == enough {
		mark, what, data = Remark, "and so on", nil
	}
	line := Line{Seconds: time.Since(d.start).Seconds(), Mark: mark, What: printable(what)}
	if len(data) > 0 {
		line.Data = preview(data)
	}
	d.lines = append(d.lines, line)
}

func preview(data []byte) string { return quote(data, previewSize) }

// brief is preview for a note, which is a line among others.
func brief(data []byte) string { return quote(data, 40) }

func quote(data []byte, size int) string {
	if len(data) <= size {
		return strconv.Quote(string(data))
	}
	return strconv.Quote(string(data[:size])) + "…"
}

func (d *dialogue) all() []Line {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lines
}
