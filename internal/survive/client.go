package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
)

// A client is the other end of a connection. One goroutine acts, another listens:
// it answers pings and keeps account of what comes.
type client struct {
	plan *plan
	life *life
	conn *net.TCPConn
	in   *bufio.Reader
	deflater

	sent   uint64 // echoes that were asked for
	counts counts

	gate chan struct{}          // who has the token may read
	out  sync.Mutex             // taken for whole messages
	pong atomic.Pointer[[]byte] // owed
	mute atomic.Bool            // no pongs any more

	mu      sync.Mutex
	heard   heard
	changed chan struct{} // something was heard
	done    chan struct{} // nothing will be
}

// heard is what the server has said.
type heard struct {
	echoes     sequence
	broadcasts sequence
	odd        uint64        // broadcasts with an odd number
	late       time.Duration // how long a broadcast was on its way, at most
	pongs      int
	answer     note                // kind 0: none yet
	oddThen    uint64              // odd when the answer came
	code       websocket.CloseCode // 0: no close frame
	err        error               // of the end
}

var (
	errCut   = errors.New("the server has ended the connection")
	errFault = errors.New("the server has sent what it must not send")
)

func newClient(p *plan, l *life, conn *net.TCPConn) *client {
	c := &client{
		plan: p, life: l, conn: conn,
		in:      bufio.NewReader(conn),
		gate:    make(chan struct{}, 1),
		changed: make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
	c.gate <- struct{}{}
	c.heard.echoes.startAt(0)
	return c
}

// handshake sends a request, with what follows it, and returns the status of the
// response.
func (c *client) handshake(text string, behind []byte) (status int, err error) {
	if err := c.write(append([]byte(text), behind...)); err != nil {
		return 0, err
	}
	if err := c.conn.SetReadDeadline(time.Now().Add(c.plan.limit())); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		_, err := io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, err
	}
	if got := resp.Header.Get("Sec-WebSocket-Accept"); got != websocket.AcceptKey(key) {
		return 0, fmt.Errorf("Sec-WebSocket-Accept is %q", got)
	}
	c.deflater = newDeflater(resp.Header.Get("Sec-WebSocket-Extensions"))
	return resp.StatusCode, c.conn.SetReadDeadline(time.Time{})
}

// write gives up after a time in which the server must have ended the connection.
func (c *client) write(b []byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(c.plan.limit())); err != nil {
		return err
	}
	_, err := c.conn.Write(b)
	return err
}

// send writes whole messages, in pieces.
func (c *client) send(pieces ...[]byte) error {
	c.out.Lock()
	defer c.out.Unlock()
	for i, b := range pieces {
		if i > 0 {
			time.Sleep(time.Millisecond) // or the pieces would arrive as one
		}
		if err := c.write(b); err != nil {
			return err
		}
	}
	return nil
}

// say returns the bytes that ask for echoes.
func (c *client) say(says []utterance) ([]byte, error) {
	var b []byte
	for _, u := range says {
		payload := note{echo, c.life.id.number(), c.sent}.bytes(u.size)
		if u.compressed = u.compressed && c.agreed; u.compressed {
			var err error
			if payload, err = compress(payload); err != nil {
				return nil, err
			}
		}
		b = append(b, u.message(opcodeOf(c.sent), payload)...)
		c.sent++
	}
	c.counts[said] += len(says)
	return b, nil
}

// listen reads until the connection ends.
func (c *client) listen() {
	defer close(c.done)
	for {
		token := <-c.gate
		c.gate <- token
		op, p, err := c.readMessage()
		c.mu.Lock()
		if err == nil {
			err = c.hear(op, p)
		}
		c.heard.err = err
		c.mu.Unlock()
		if err != nil {
			return
		}
		select {
		case c.changed <- struct{}{}:
		default:
		}
	}
}

// readMessage returns the next message or control frame.
func (c *client) readMessage() (op frame.Opcode, payload []byte, err error) {
	compressed := false
	for {
		h, p, err := c.readFrame()
		if err != nil {
			return 0, nil, err
		}
		switch {
		case h.Opcode.IsControl():
			if h.Opcode == frame.Ping {
				c.owe(p)
			}
			if op != 0 && h.Opcode != frame.Close {
				continue // it can only be a ping or a pong in between
			}
			return h.Opcode, p, nil
		case (h.Opcode == frame.Continuation) != (op != 0):
			return 0, nil, fmt.Errorf("%w: %v out of turn", errFault, h)
		case op == 0:
			op, compressed = h.Opcode, h.RSV1
		}
		payload = append(payload, p...)
		if !h.Fin {
			continue
		}
		if compressed {
			if payload, err = c.decompress(payload); err != nil {
				err = fmt.Errorf("%w: %w", errFault, err)
			}
		}
		return op, payload, err
	}
}

func (c *client) readFrame() (frame.Header, []byte, error) {
	for n := 2; ; n++ {
		b, err := c.in.Peek(n)
		if err != nil {
			if len(b) > 0 && err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return frame.Header{}, nil, err
		}
		h, size, err := frame.Parse(b)
		if err != nil {
			return h, nil, fmt.Errorf("%w: %w", errFault, err)
		}
		if size == 0 {
			continue
		}
		if h.Masked || h.RSV2 || h.RSV3 || h.RSV1 && !c.agreed || h.Opcode.IsReserved() || h.Length > 2*maxMessageSize {
			return h, nil, fmt.Errorf("%w: %v", errFault, h)
		}
		_, _ = c.in.Discard(size) // they were peeked at
		payload := make([]byte, h.Length)
		_, err = io.ReadFull(c.in, payload)
		return h, payload, err
	}
}

// hear takes account of a message; c.mu is held.
func (c *client) hear(op frame.Opcode, p []byte) error {
	h := &c.heard
	switch op {
	case frame.Ping:
		return nil
	case frame.Pong:
		h.pongs++
		return nil
	case frame.Close:
		h.code = websocket.CloseNoStatus
		if len(p) >= 2 {
			h.code = websocket.CloseCode(p[0])<<8 | websocket.CloseCode(p[1])
		}
		return nil
	}
	if h.code != 0 {
		return fmt.Errorf("%w: a message behind the close frame", errFault)
	}
	n, err := parseNote(p)
	if err != nil {
		return fmt.Errorf("%w: a damaged message: %w", errFault, err)
	}
	switch {
	case n.kind == echo && n.a == c.life.id.number() && op == opcodeOf(n.b):
		h.echoes.add(n.b)
	case n.kind == broadcast:
		h.broadcasts.add(n.b)
		h.odd += n.b % 2
		if !c.life.tight && !c.mute.Load() {
			h.late = max(h.late, time.Since(time.UnixMilli(int64(n.a))))
		}
		c.counts[broadcasts]++
	case n.kind == answer || n.kind == later:
		h.answer, h.oddThen = n, h.odd
	default:
		return fmt.Errorf("%w: a message for somebody else: %v %+v", errFault, op, n)
	}
	return nil
}

// owe sends a pong, but from another goroutine: a server that waits for this client
// to read does not read, and so the pong would wait for itself.
func (c *client) owe(payload []byte) {
	if c.mute.Load() {
		return
	}
	c.pong.Store(&payload)
	go func() {
		c.out.Lock()
		defer c.out.Unlock()
		if p := c.pong.Swap(nil); p != nil && !c.mute.Load() {
			// Whether it arrives shows in whether the server goes on.
			_ = c.write(masked(frame.Header{Fin: true, Opcode: frame.Pong}, *p))
		}
	}()
}

// await waits until what has been heard is enough.
func (c *client) await(what string, enough func(*heard) bool) error {
	timer := time.NewTimer(c.plan.limit())
	defer timer.Stop()
	check := func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return enough(&c.heard)
	}
	for !check() {
		select {
		case <-c.changed:
		case <-c.done:
			if check() {
				return nil
			}
			return c.cut(what)
		case <-timer.C:
			return fmt.Errorf("%s did not come in %v", what, c.plan.limit())
		}
	}
	return nil
}

// cut returns the error of a connection that the server has ended.
func (c *client) cut(when string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.heard.code != 0 {
		return fmt.Errorf("before %s: %w with code %v", when, errCut, c.heard.code)
	}
	return fmt.Errorf("before %s: %w: %w", when, errCut, c.heard.err)
}

// awaitEnd waits until the server has ended the connection.
func (c *client) awaitEnd(why string) error {
	timer := time.NewTimer(c.plan.limit())
	defer timer.Stop()
	select {
	case <-c.done:
		return nil
	case <-timer.C:
		return fmt.Errorf("the server has not ended, in %v, %s", c.plan.limit(), why)
	}
}

// pause waits. It returns false when ctx or the connection ends before.
func (c *client) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-c.done:
	}
	return false
}
