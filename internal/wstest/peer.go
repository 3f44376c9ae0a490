package wstest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/airlock-go/websocket/frame"
)

// Key is the masking key of every frame that a Peer sends. All four bytes
// differ, so that a mask that is off by one shows.
var Key = [4]byte{0xa1, 0x5b, 0x3c, 0x07}

// Frame returns the bytes of a masked frame with payload.
func Frame(op frame.Opcode, fin bool, payload []byte) []byte {
	return masked(frame.Header{Fin: fin, Opcode: op}, payload)
}

func masked(h frame.Header, payload []byte) []byte {
	h.Masked, h.Key, h.Length = true, Key, uint64(len(payload))
	b := frame.Append(nil, h)
	n := len(b)
	b = append(b, payload...)
	frame.Mask(b[n:], Key, 0)
	return b
}

// CloseFrame returns the bytes of a masked close frame.
func CloseFrame(code int, reason string) []byte {
	return Frame(frame.Close, true, ClosePayload(code, reason))
}

// ClosePayload returns the payload of a close frame: nothing for code 0.
func ClosePayload(code int, reason string) []byte {
	if code == 0 {
		return nil
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
}

// Peer is a client that says what a test wants it to say, right or wrong. What
// goes against the expectation of a test fails it.
type Peer struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

// NewPeer returns a Peer over conn, from which r, if it is not nil, has read
// ahead.
func NewPeer(t testing.TB, conn net.Conn, r *bufio.Reader) *Peer {
	if r == nil {
		r = bufio.NewReader(conn)
	}
	return &Peer{conn, t, r}
}

// Send writes b as it is.
func (p *Peer) Send(b ...byte) {
	p.t.Helper()
	if _, err := p.Write(b); err != nil {
		p.t.Fatalf("peer: write: %v", err)
	}
}

// SendFrame writes a masked frame.
func (p *Peer) SendFrame(op frame.Opcode, fin bool, payload string) {
	p.t.Helper()
	p.Send(Frame(op, fin, []byte(payload))...)
}

// SendText writes a text message in one frame.
func (p *Peer) SendText(s string) {
	p.t.Helper()
	p.SendFrame(frame.Text, true, s)
}

// SendClose writes a close frame.
func (p *Peer) SendClose(code int, reason string) {
	p.t.Helper()
	p.Send(CloseFrame(code, reason)...)
}

// ReadFrame returns the next frame that the server sends. A masked one is an
// error, for a server "MUST NOT mask any frames" (RFC 6455, section 5.1).
func (p *Peer) ReadFrame() (frame.Header, []byte, error) {
	var b []byte
	for {
		h, n, err := frame.Parse(b)
		if err != nil {
			return h, nil, err
		}
		if n > 0 {
			if h.Masked {
				return h, nil, errors.New("frame of the server is masked")
			}
			payload := make([]byte, h.Length)
			_, err := io.ReadFull(p.r, payload)
			return h, payload, err
		}
		c, err := p.r.ReadByte()
		if err != nil {
			return h, nil, err
		}
		b = append(b, c)
	}
}

// Expect reads a frame and compares it.
func (p *Peer) Expect(op frame.Opcode, fin bool, payload string) {
	p.t.Helper()
	h, got, err := p.ReadFrame()
	if err != nil {
		p.t.Fatalf("peer: got error %v, want %v %q", err, op, brief([]byte(payload)))
	}
	if h.Opcode != op || h.Fin != fin || string(got) != payload {
		p.t.Fatalf("peer: got %v with %s, want %v fin=%t with %s", h, brief(got), op, fin, brief([]byte(payload)))
	}
}

// ExpectText reads a text message in one frame.
func (p *Peer) ExpectText(s string) {
	p.t.Helper()
	p.Expect(frame.Text, true, s)
}

// ExpectClose reads a close frame.
func (p *Peer) ExpectClose(code int, reason string) {
	p.t.Helper()
	p.Expect(frame.Close, true, string(ClosePayload(code, reason)))
}

// ExpectEOF reads to the end of the connection, where nothing may be left.
func (p *Peer) ExpectEOF() {
	p.t.Helper()
	rest, err := io.ReadAll(p.r)
	if err != nil || len(rest) > 0 {
		p.t.Fatalf("peer: got %s and error %v, want the end of the connection", brief(rest), err)
	}
}

// ExpectPing reads a ping and returns its payload.
func (p *Peer) ExpectPing() string {
	p.t.Helper()
	h, payload, err := p.ReadFrame()
	if err != nil || h.Opcode != frame.Ping {
		p.t.Fatalf("peer: got %v, error %v, want a ping", h, err)
	}
	return string(payload)
}

// CloseWrite ends what the peer has to say, and leaves the rest.
func (p *Peer) CloseWrite() {
	p.t.Helper()
	if err := p.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		p.t.Fatalf("peer: close write: %v", err)
	}
}

// CloseAtOnce closes the connection, where a TCP one is reset.
func (p *Peer) CloseAtOnce() {
	if c, ok := p.Conn.(*net.TCPConn); ok {
		c.SetLinger(0)
	}
	p.Conn.Close()
}

// brief shows a payload, cut where it is long.
func brief(b []byte) string {
	if len(b) <= 64 {
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%q… (%d bytes, %d times its first)", b[:64], len(b), bytes.Count(b, b[:1]))
}

// Patience is how long a Peer on a real socket waits before a test fails.
const Patience = 30 * time.Second
