// Package wstest holds helpers shared by the tests of this module.
package wstest

import (
	"bytes"
	"io"
	"math"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// defaultPipeSize is the buffer size of a direction when Pipe is given none.
const defaultPipeSize = 64 << 10

// Pipe returns the two ends of an in-memory connection. Each direction buffers
// up to size bytes (64 KiB if size <= 0); a Write blocks while the buffer of
// its direction is full.
//
// Unlike [net.Pipe], whose writes wait for a matching read, the connection
// behaves as a TCP connection does. It can be made and used inside a
// [testing/synctest] bubble; it must then be used in that bubble only.
func Pipe(size int) (a, b *PipeConn) {
	if size <= 0 {
		size = defaultPipeSize
	}
	ab, ba := newStream(size), newStream(size)
	a = &PipeConn{in: ba, out: ab, local: "pipe-a", remote: "pipe-b"}
	b = &PipeConn{in: ab, out: ba, local: "pipe-b", remote: "pipe-a"}
	return a, b
}

// A PipeConn is one end of a connection made by [Pipe]. All its methods may be
// called concurrently; concurrent Writes do not interleave.
//
// Errors are of type [*net.OpError], except for [io.EOF]. They wrap
// [net.ErrClosed] once this end is closed, [os.ErrDeadlineExceeded] once the
// deadline has passed, and [syscall.EPIPE] for a Write that nobody can read.
type PipeConn struct {
	in, out       *stream
	local, remote pipeAddr
}

var _ net.Conn = (*PipeConn)(nil)

// Read reads buffered bytes into p, waiting until there is at least one. It
// returns [io.EOF] when the peer has closed its side and all it wrote was read.
// Past the read deadline it fails even if bytes are buffered, as TCP does.
func (c *PipeConn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	return n, c.opError("read", err)
}

// Write queues p for the peer, waiting for room as needed. If it fails it
// returns the number of bytes that were queued, which the peer can still read.
func (c *PipeConn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	return n, c.opError("write", err)
}

// Close closes this end and wakes all calls blocked on either end. The peer
// can still read what was written before. Closing again is an error, as it is
// for a TCP connection.
func (c *PipeConn) Close() error {
	err := c.in.close(&c.in.reader)
	if err == nil {
		err = c.out.close(&c.out.writer)
	}
	return c.opError("close", err)
}

// CloseWrite ends the outgoing direction only: the peer reads [io.EOF] after
// what is buffered, and further Writes on this end fail.
func (c *PipeConn) CloseWrite() error {
	return c.opError("close", c.out.closeWrite())
}

// LocalAddr returns the address of this end, whose network is "pipe".
func (c *PipeConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the address of the other end.
func (c *PipeConn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines; see SetReadDeadline and SetWriteDeadline.
func (c *PipeConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline sets the time after which Read fails, including calls that
// are already blocked. The zero time means never.
func (c *PipeConn) SetReadDeadline(t time.Time) error {
	return c.opError("set", c.in.setDeadline(&c.in.reader, t))
}

// SetWriteDeadline sets the time after which Write fails, including calls that
// are already blocked. The zero time means never.
func (c *PipeConn) SetWriteDeadline(t time.Time) error {
	return c.opError("set", c.out.setDeadline(&c.out.writer, t))
}

// Buffered returns the number of bytes written on this end that the peer has
// not read. Bytes that the peer left unread when it closed stay counted.
func (c *PipeConn) Buffered() int {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.out.buf.Len()
}

// Writes returns the number of Write calls made on this end so far, whatever
// their outcome and including those still blocked. It stands for the number of
// system calls that a network connection would have made.
func (c *PipeConn) Writes() int {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.out.writes
}

// opError wraps err as package net would. io.EOF stays bare, as the contract
// of io.Reader wants.
func (c *PipeConn) opError(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: c.local.Network(), Source: c.local, Addr: c.remote, Err: err}
}

// A pipeAddr is the name of one end.
type pipeAddr string

func (pipeAddr) Network() string  { return "pipe" }
func (a pipeAddr) String() string { return string(a) }

// A stream is one direction of a connection. Blocked calls wait on cond and
// never hold mu meanwhile: package synctest takes a goroutine waiting on a
// sync.Cond as idle, but not one waiting on a sync.Mutex.
type stream struct {
	size int

	mu   sync.Mutex
	cond sync.Cond // broadcast on every change below; its L is &mu

	buf            bytes.Buffer // at most size bytes
	writing        bool         // a Write has the stream to itself
	writes         int          // Write calls so far
	eof            bool         // no byte will be added to buf
	reader, writer side
}

// A side is what a stream knows of one of the connection's ends.
type side struct {
	closed   bool
	deadline time.Time   // of its calls on this stream; zero: none
	timer    *time.Timer // wakes blocked calls at the deadline; never nil
}

// expired reports whether the deadline has passed. It asks the clock, so that a
// call made after that time fails even if the timer has yet to run.
func (d *side) expired() bool {
	return !d.deadline.IsZero() && !time.Now().Before(d.deadline)
}

// newSide returns a side without a deadline. At a deadline wake is called.
func newSide(wake func()) side {
	timer := time.AfterFunc(math.MaxInt64, wake)
	timer.Stop()
	return side{timer: timer}
}

// setDeadline sets the deadline. Calls that are blocked have to be woken.
func (d *side) setDeadline(t time.Time) {
	d.timer.Stop()
	d.deadline = t
	if t.IsZero() {
		return
	}
	// A deadline on the monotonic clock, as the timer is, has passed for
	// certain when the timer runs, whatever happens to the wall clock.
	now := time.Now()
	wait := t.Sub(now)
	d.deadline = now.Add(wait)
	d.timer.Reset(wait)
}

func newStream(size int) *stream {
	s := &stream{size: size}
	s.cond.L = &s.mu
	s.reader, s.writer = newSide(s.wake), newSide(s.wake)
	return s
}

// wake makes blocked calls look at the deadlines. It takes mu so that it cannot
// fall between a call's look at its deadline and the start of its wait.
func (s *stream) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cond.Broadcast()
}

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; ; s.cond.Wait() {
		switch {
		case s.reader.closed:
			return 0, net.ErrClosed
		case len(p) == 0:
			return 0, nil
		case s.reader.expired():
			return 0, os.ErrDeadlineExceeded
		case s.buf.Len() > 0:
			n, err := s.buf.Read(p)
			s.cond.Broadcast()
			return n, err
		case s.eof:
			return 0, io.EOF
		}
	}
}

func (s *stream) write(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	// A Write too large for the buffer gives up mu while it waits for room;
	// writing keeps the bytes of other Writes out from between its own.
	mine := false
	defer func() {
		s.writing = s.writing && !mine
		s.cond.Broadcast()
	}()
	for ; ; s.cond.Wait() {
		switch {
		case s.writer.closed:
			return n, net.ErrClosed
		case s.writer.expired():
			return n, os.ErrDeadlineExceeded
		case s.eof || s.reader.closed:
			return n, os.NewSyscallError("write", syscall.EPIPE)
		case s.writing && !mine:
			continue
		}
		mine, s.writing = true, true
		k := min(len(p)-n, s.size-s.buf.Len())
		s.buf.Write(p[n : n+k])
		n += k
		if n == len(p) {
			return n, nil
		}
		s.cond.Broadcast()
	}
}

// update makes a change on behalf of d, one of the sides of s, unless that side
// is closed. Every change may be what a blocked call waits for.
func (s *stream) update(d *side, change func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.closed {
		return net.ErrClosed
	}
	change()
	s.cond.Broadcast()
	return nil
}

func (s *stream) close(d *side) error {
	return s.update(d, func() {
		d.closed = true
		d.timer.Stop()
		s.eof = s.eof || s.writer.closed
	})
}

func (s *stream) closeWrite() error {
	return s.update(&s.writer, func() { s.eof = true })
}

func (s *stream) setDeadline(d *side, t time.Time) error {
	return s.update(d, func() { d.setDeadline(t) })
}
