package wstest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// H2 is the client's end of an HTTP/2 connection (RFC 9113). It asks for what a
// test wants it to ask for, right or wrong, and for extended CONNECT too (RFC
// 8441), which net/http's own client does not send.
//
// A deadline of the connection it was made of holds for all that waits.
type H2 struct {
	conn  net.Conn
	loops sync.WaitGroup
	gone  chan struct{} // closed at the first GOAWAY

	mu   sync.Mutex
	cond sync.Cond // broadcast on every change below; its L is &mu

	err     error  // why the connection has ended; the first one stays
	out     []byte // frames to be written
	streams map[uint32]*H2Stream
	last    uint32         // the latest stream
	goAway  *H2GoAwayError // the latest

	// What the server lets its client do.
	settled         bool // the server's SETTINGS are here
	extendedConnect bool
	maxFrame        int
	initialWindow   int
	window          int
}

const (
	h2EnoughOut  = 1 << 16 // where Write waits, of bytes to be written
	h2TooMuchOut = 1 << 20 // where the server does not read, but makes work

	h2Grace = time.Second // for what is under way when the connection ends
)

// HTTP2 makes an H2 of a connection on which nothing has been sent: one of TLS that
// asks for "h2" by ALPN, or one to a server known to speak HTTP/2. It waits for the
// server's SETTINGS. The connection is the H2's from now on, and closed on an error.
func HTTP2(conn net.Conn) (*H2, error) {
	h := &H2{
		conn:          conn,
		gone:          make(chan struct{}),
		streams:       make(map[uint32]*H2Stream),
		maxFrame:      h2DefaultFrame,
		initialWindow: h2DefaultWindow,
		window:        h2DefaultWindow,
	}
	h.cond.L = &h.mu
	h.out = append(h.out, h2Preface...)
	h.send(h2Settings, 0, 0, appendSetting(appendSetting(nil, h2HeaderTableSize, 0), h2EnablePush, 0))
	h.loops.Go(h.writeLoop)
	h.loops.Go(h.readLoop)

	var settled bool
	var failed error
	err := h.within(Patience, func() bool {
		settled, failed = h.settled, h.err
		return settled || failed != nil
	})
	if err == nil && !settled {
		err = failed
	}
	if err != nil {
		h.Close()
		return nil, fmt.Errorf("no SETTINGS of the server's: %w", err)
	}
	return h, nil
}

// ExtendedConnect reports whether the server takes extended CONNECT.
func (h *H2) ExtendedConnect() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.extendedConnect
}

// GoneAway returns a channel that is closed once the server has sent GOAWAY.
func (h *H2) GoneAway() <-chan struct{} { return h.gone }

// Open opens a stream with a request, which ends at once if end says so. A field is
// a line like "name: value", sent as it is and in this order; the names of
// pseudo-header fields begin with a colon.
func (h *H2) Open(end bool, fields ...string) (*H2Stream, error) {
	block := []byte{noDynamicTable}
	for _, line := range fields {
		name, value, ok := strings.Cut(line, ": ")
		if !ok {
			panic(fmt.Sprintf("wstest: field %q is not like \"name: value\"", line))
		}
		block = appendField(block, h2Field{name, value})
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.err != nil:
		return nil, h.err
	case h.goAway != nil:
		return nil, h.goAway
	case h.last == 0:
		h.last = 1
	default:
		h.last += 2
	}
	s := &H2Stream{
		h:       h,
		id:      h.last,
		ended:   end,
		reading: newSide(h.wake),
		writing: newSide(h.wake),
		window:  h.initialWindow,
		granted: h2DefaultWindow,
	}
	h.streams[s.id] = s
	var flags byte
	if end {
		flags = h2EndStream
	}
	h.out = appendHeaders(h.out, flags, s.id, block, h.maxFrame)
	h.cond.Broadcast()
	return s, nil
}

// Close closes the connection, after what is on its way and a GOAWAY if the server
// still reads. All that waits returns; [net.ErrClosed] is why, unless the connection
// had ended before.
func (h *H2) Close() {
	h.fail(net.ErrClosed)
	h.loops.Wait()
}

// fail ends the connection for err, unless it has ended.
func (h *H2) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		return
	}
	if h.goAway != nil && h.goAway.Code != H2NoError && err != net.ErrClosed {
		err = h.goAway // it says more
	}
	h.err = err
	code := H2NoError
	if v, ok := errors.AsType[*h2Violation](err); ok {
		code = v.code
	}
	h.send(h2GoAway, 0, 0, binary.BigEndian.AppendUint64(nil, uint64(code))) // and stream 0
	for _, s := range h.streams {
		s.fail(err)
	}
	h.conn.SetWriteDeadline(time.Now().Add(h2Grace))
	h.cond.Broadcast()
}

// wait waits, with h.mu held, until something is ready, or the time of a side is up.
func (h *H2) wait(d *side, ready func() bool) error {
	for ; ; h.cond.Wait() {
		switch {
		case d.closed:
			return net.ErrClosed
		case d.expired():
			return os.ErrDeadlineExceeded
		case ready():
			return nil
		}
	}
}

// within waits for as long as d at most.
func (h *H2) within(d time.Duration, ready func() bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	limit := newSide(h.wake)
	defer limit.timer.Stop()
	limit.setDeadline(time.Now().Add(d))
	return h.wait(&limit, ready)
}

func (h *H2) wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cond.Broadcast()
}

// send queues a frame. It never blocks, so that the connection is read whatever
// happens to what is written.
func (h *H2) send(kind h2Kind, flags byte, stream uint32, payload []byte) {
	h.out = appendFrame(h.out, kind, flags, stream, payload)
	h.cond.Broadcast()
}

func (h *H2) sendUint32(kind h2Kind, stream uint32, n uint32) {
	h.send(kind, 0, stream, binary.BigEndian.AppendUint32(nil, n))
}

func appendSetting(b []byte, id uint16, value uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(b, id), value)
}

// writeLoop writes what is queued until the connection ends, and closes it.
func (h *H2) writeLoop() {
	for {
		b := h.nextOut()
		if b == nil {
			break
		}
		if _, err := h.conn.Write(b); err != nil {
			// What the server had sent before it closed the connection counts.
			h.within(h2Grace, func() bool { return h.err != nil })
			h.fail(fmt.Errorf("http2: %w", err))
			break
		}
	}
	h.conn.Close()
}

// nextOut waits for frames to write. There are none when the connection has ended.
func (h *H2) nextOut() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.out == nil && h.err == nil {
		h.cond.Wait()
	}
	b := h.out
	h.out = nil
	h.cond.Broadcast()
	return b
}

// readLoop takes what the server sends until the connection ends.
func (h *H2) readLoop() {
	r := bufio.NewReader(h.conn)
	if b, err := r.Peek(5); err == nil && string(b) == "HTTP/" {
		h.fail(errors.New("http2: server speaks HTTP/1"))
		return
	}
	for {
		f, err := nextFrame(r)
		if err == nil {
			err = h.receive(&f)
		} else if _, ok := errors.AsType[*h2Violation](err); !ok {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF // it is not the end of any stream
			}
			err = fmt.Errorf("http2: %w", err)
		}
		if err != nil {
			h.fail(err)
			return
		}
	}
}
