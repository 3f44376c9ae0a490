package main

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

const (
	clientKey       = "dGhlIHNhbXBsZSBub25jZQ=="
	clientAccept    = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
	clientProtocols = "chat.v2, chat.v1"
)

// deflateOffers are the offers of permessage-deflate. That for takeover is the
// one of browsers, which a server may answer with either mode.
var deflateOffers = map[string]string{
	noTakeover:   "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
	takeover:     "permessage-deflate; client_max_window_bits",
	smallWindows: "permessage-deflate; client_max_window_bits",
}

// mustDeflate is the size of message from which on a server has to compress. The
// default thresholds of all libraries are below it.
const mustDeflate = 512

func upgradeRequest(deflate string, protocols bool) []byte {
	s := "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: " + clientKey + "\r\nSec-WebSocket-Version: 13\r\n"
	if deflate != noDeflate {
		s += "Sec-WebSocket-Extensions: " + deflateOffers[deflate] + "\r\n"
	}
	if protocols {
		s += "Sec-WebSocket-Protocol: " + clientProtocols + "\r\n"
	}
	return []byte(s + "\r\n")
}

// client is a connection that does as little as it can: it writes frames made
// beforehand and compares what comes back, without allocating.
type client struct {
	nc       net.Conn
	raw      bool // the server echoes bytes, not messages
	deflate  string
	response string // of the handshake
	server   func() // ends a server that is for this client alone; may be nil

	buf  []byte // buf[r:w] is what was read and not yet used
	r, w int

	verify  int    // with deflate: inflate and compare so many compressed messages
	packed  []byte // the compressed message, while verify > 0
	window  []byte // the last 32 KiB inflated, for takeover
	wireIn  int64  // bytes of frames received
	payload int64  // bytes of payload they stand for
}

var endOfHeader = []byte("\r\n\r\n")

func (c *client) handshake(request []byte) error {
	if s, ok := c.nc.(*h2Stream); ok {
		fields, err := s.connect(request)
		if err != nil {
			return err
		}
		return c.checkFields(fields)
	}
	if _, err := c.nc.Write(request); err != nil {
		return err
	}
	for {
		if i := bytes.Index(c.buf[:c.w], endOfHeader); i >= 0 {
			c.r = i + len(endOfHeader)
			return c.checkResponse(c.buf[:i+2])
		}
		if c.w == len(c.buf) {
			return errors.New("handshake response too long")
		}
		n, err := c.nc.Read(c.buf[c.w:])
		if c.w += n; err != nil {
			return fmt.Errorf("handshake: %w (%q)", err, c.buf[:c.w])
		}
	}
}

func (c *client) checkResponse(head []byte) error {
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) || !bytes.Contains(head, []byte(": "+clientAccept+"\r\n")) {
		return fmt.Errorf("bad handshake: %q", head)
	}
	return c.checkFields(string(head))
}

func (c *client) checkFields(head string) error {
	c.response = head
	if c.deflate != noDeflate && !strings.Contains(c.response, "permessage-deflate") {
		return fmt.Errorf("deflate not negotiated: %q", head)
	}
	return nil
}

func (c *client) reset() {
	reset(c.nc)
	if c.server != nil {
		c.server()
	}
}

// need waits until n bytes are buffered.
func (c *client) need(n int) error {
	if c.w-c.r >= n {
		return nil
	}
	if c.r == c.w {
		c.r, c.w = 0, 0
	} else if c.r+n > len(c.buf) {
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
	}
	for c.w-c.r < n {
		k, err := c.nc.Read(c.buf[c.w:])
		if c.w += k; err != nil && c.w-c.r < n {
			return err
		}
	}
	return nil
}

// take returns at most n bytes of what comes next, and at least one.
func (c *client) take(n int) ([]byte, error) {
	if err := c.need(1); err != nil {
		return nil, err
	}
	p := c.buf[c.r:min(c.w, c.r+n)]
	c.r += len(p)
	return p, nil
}

// header is that of a frame from the server.
type header struct {
	op, rsv byte
	fin     bool
	size    int
}

func (c *client) readHeader() (h header, err error) {
	if err := c.need(2); err != nil {
		return h, err
	}
	b0, b1 := c.buf[c.r], c.buf[c.r+1]
	h = header{op: b0 & 15, rsv: b0 & 0x70, fin: b0&0x80 != 0, size: int(b1)}
	n := 2
	switch {
	case b1 >= 128:
		return h, errors.New("masked frame from the server")
	case b1 == 126:
		n = 4
	case b1 == 127:
		n = 10
	}
	if err := c.need(n); err != nil {
		return h, err
	}
	switch b := c.buf[c.r : c.r+n]; n {
	case 4:
		h.size = int(binary.BigEndian.Uint16(b[2:]))
	case 10:
		h.size = int(binary.BigEndian.Uint64(b[2:]))
	}
	c.r += n
	c.wireIn += int64(n + h.size)
	return h, nil
}

// checkHeader reports that a frame is not the next of a message of size bytes.
func (c *client) checkHeader(h header, first bool, size int) error {
	if h.op > opBinary || first == (h.op == opCont) {
		return fmt.Errorf("unexpected opcode %d", h.op)
	}
	want := byte(0)
	if first && c.deflate != noDeflate && (size >= mustDeflate || h.rsv != 0) {
		want = rsv1
	}
	if h.rsv != want {
		return fmt.Errorf("RSV bits %#x, want %#x", h.rsv, want)
	}
	return nil
}

const rsv1 = 0x40

var errPayload = errors.New("the echo differs from what was sent")

// expect reads one message and compares it with m.
func (c *client) expect(m *message) error {
	if c.raw {
		c.wireIn += int64(len(m.frame))
		c.payload += int64(len(m.frame))
		return c.compare(len(m.frame), m.frame)
	}
	rest, packed := m.payload, false
	for first := true; ; first = false {
		h, err := c.readHeader()
		if err == nil {
			err = c.checkHeader(h, first, len(m.payload))
		}
		if err != nil {
			return err
		}
		if packed = packed || h.rsv == rsv1; packed {
			err = c.gather(h.size)
		} else if err = c.compare(h.size, rest); err == nil {
			rest = rest[h.size:]
		}
		if err != nil {
			return err
		}
		if h.fin {
			break
		}
	}
	c.payload += int64(len(m.payload))
	switch {
	case !packed && len(rest) > 0:
		return errPayload
	case packed && c.verify > 0:
		c.verify--
		return c.inflate(m)
	}
	return nil
}

// compare reads n bytes, which must be those that want begins with.
func (c *client) compare(n int, want []byte) error {
	for n > 0 {
		p, err := c.take(n)
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(want, p) {
			return errPayload
		}
		want, n = want[len(p):], n-len(p)
	}
	return nil
}

// gather reads n bytes, and keeps them if the message is to be inflated.
func (c *client) gather(n int) error {
	for n > 0 {
		p, err := c.take(n)
		if err != nil {
			return err
		}
		if c.verify > 0 {
			c.packed = append(c.packed, p...)
		}
		n -= len(p)
	}
	return nil
}

func (c *client) inflate(m *message) error {
	c.packed = append(c.packed, 0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff)
	got, err := io.ReadAll(flate.NewReaderDict(bytes.NewReader(c.packed), c.window))
	c.packed = c.packed[:0]
	if err != nil {
		return fmt.Errorf("inflate: %w", err)
	}
	if !bytes.Equal(got, m.payload) {
		return errPayload
	}
	if c.deflate != noTakeover {
		c.window = append(c.window, got...)
		c.window = c.window[max(0, len(c.window)-32768):]
	}
	return nil
}

// roundTrip sends a message and waits for its echo. A big one is written while
// the echo is read, as both ends could otherwise block on full socket buffers.
func (c *client) roundTrip(m *message) error {
	if len(m.frame) <= 64<<10 {
		if _, err := c.nc.Write(m.frame); err != nil {
			return err
		}
		return c.expect(m)
	}
	written := make(chan error, 1)
	go func() {
		_, err := c.nc.Write(m.frame)
		written <- err
	}()
	if err := c.expect(m); err != nil {
		return err
	}
	return <-written
}
