package websocket

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/airlock-go/websocket/internal/field"
	"github.com/airlock-go/websocket/internal/netpoll"
)

// findHijacker looks for a Hijacker through the writers that middleware has put
// around net/http's own.
func findHijacker(w http.ResponseWriter) (http.Hijacker, error) {
	for {
		switch t := w.(type) {
		case http.Hijacker:
			return t, nil
		case interface{ Unwrap() http.ResponseWriter }:
			if inner := t.Unwrap(); inner != nil {
				w = inner
				continue
			}
		}
		return nil, fmt.Errorf("the ResponseWriter cannot be hijacked: %T is no http.Hijacker and has no Unwrap method that leads to one "+
			"(the usual one is that of http.TimeoutHandler, which must not be around a WebSocket)", w)
	}
}

// checkHeader finds fields, set by the handler or its middleware, that would
// change the handshake or break out of it.
func checkHeader(h http.Header) error {
	for name, values := range h {
		if leftOut(name) {
			continue
		}
		if err := checkField(name, values); err != nil {
			return err
		}
	}
	return nil
}

func checkField(name string, values []string) error {
	switch {
	case hasPrefixFold(name, headerPrefix):
		return fmt.Errorf("the field %s is set on the ResponseWriter; it is the library's to set", name)
	case !field.IsToken(name):
		return fmt.Errorf("the field name %q, set on the ResponseWriter, is no token", name)
	}
	for _, v := range values {
		if !field.IsValue(v) {
			return fmt.Errorf("the field %s, set on the ResponseWriter, has CR, LF or NUL in its value", name)
		}
	}
	return nil
}

// leftOut reports whether the field is left out of the response: those of the
// handshake itself, and those that speak of a body, which middleware sets on
// everything. net/http marks trailers by a prefix that ends in a colon.
func leftOut(name string) bool {
	for _, other := range [...]string{headerConnection, headerUpgrade, "Keep-Alive", "Transfer-Encoding", "Trailer"} {
		if len(name) == len(other) && strings.EqualFold(name, other) {
			return true
		}
	}
	return hasPrefixFold(name, "Content-") || hasPrefixFold(name, http.TrailerPrefix)
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// switchProtocols hijacks the connection, over which s is the stream from then on, and
// writes the response. The error is a *HandshakeError as long as there is a
// ResponseWriter to answer with.
func (s *hijacked) switchProtocols(from http.Hijacker, response []byte, timeout time.Duration) error {
	conn, buffered, err := from.Hijack()
	if err != nil {
		return refuseSilently(fmt.Errorf("hijack: %w", err))
	}
	s.init(conn, earlyData(buffered))
	if err := s.writeResponse(response, timeout); err != nil {
		// The error that says what went wrong is the first.
		_ = s.Close()
		return fmt.Errorf("websocket: write 101: %w", err)
	}
	return nil
}

// writeResponse writes the response under a deadline, unless it is taken at once, and
// leaves the connection without one: those of the http.Server are for requests.
func (s *hijacked) writeResponse(response []byte, timeout time.Duration) error {
	if s.descriptor != nil {
		response = response[s.TryWrite(response):]
	}
	if len(response) > 0 {
		if err := s.writeWithin(response, timeout); err != nil {
			return err
		}
	}
	return s.SetDeadline(time.Time{})
}

func (s *hijacked) writeWithin(p []byte, timeout time.Duration) error {
	var deadline time.Time
	if timeout > 0 {
		deadline = epoch.Add(now() + timeout)
	}
	if err := s.SetWriteDeadline(deadline); err != nil {
		return err
	}
	_, err := s.Write(p)
	return err
}

// earlyData returns a copy of what net/http has read beyond the request. RFC
// 6455, section 4.1, has the client wait for the answer before it sends; one
// that does not loses nothing.
func earlyData(buffered *bufio.ReadWriter) []byte {
	if buffered == nil || buffered.Reader == nil || buffered.Reader.Buffered() == 0 {
		return nil
	}
	// Peeking at what is buffered does not fail.
	early, _ := buffered.Peek(buffered.Reader.Buffered())
	return slices.Clone(early)
}

// switching is how the server's opening handshake begins, up to the value of
// Sec-WebSocket-Accept (RFC 6455, section 4.2.2).
const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "

// appendResponse appends the rest of the server's opening handshake to b: what was
// negotiated, and the fields of the handler.
func (d *decision) appendResponse(b []byte, h http.Header) ([]byte, error) {
	b = append(b, "\r\n"...)
	if d.subprotocol != "" {
		b = appendField(b, "Sec-WebSocket-Protocol", d.subprotocol)
	}
	if d.deflate != nil {
		b = append(b, "Sec-WebSocket-Extensions: "...)
		b = d.deflate.answer.append(b)
		b = append(b, "\r\n"...)
	}
	if len(h) > 0 {
		var err error
		if b, err = appendHeader(b, h); err != nil {
			return nil, refuseSilently(err)
		}
	}
	return append(b, "\r\n"...), nil
}

// appendHeader appends the fields of the handler, in the order of their names. They are
// checked again: a hook may have set some since.
func appendHeader(b []byte, h http.Header) ([]byte, error) {
	names := make([]string, 0, usualList)
	for name, values := range h {
		if leftOut(name) {
			continue
		}
		if err := checkField(name, values); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, v := range h[name] {
			b = appendField(b, name, v)
		}
	}
	return b, nil
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// hijacked is the stream over a connection taken from net/http.
type hijacked struct {
	net.Conn
	early      []byte          // to be read first
	descriptor syscall.RawConn // nil: reads do not go straight to one
	records    bool            // it is TLS, which keeps what a Read leaves of a record
	hungry     bool            // and the last read did leave something, or nearly
}

func (s *hijacked) init(conn net.Conn, early []byte) {
	s.Conn, s.early = conn, early
	if netpoll.Direct && s.Direct() {
		// Without one, if ever, it is read like any other connection.
		s.descriptor, _ = conn.(syscall.Conn).SyscallConn()
	}
	_, s.records = conn.(*tls.Conn)
}

func (s *hijacked) Read(p []byte) (int, error) {
	if len(s.early) == 0 {
		return s.Conn.Read(p)
	}
	n := copy(p, s.early)
	if s.early = s.early[n:]; len(s.early) == 0 {
		s.early = nil
	}
	return n, nil
}

func (s *hijacked) Outlives() bool { return true }

// WriteBuffers: net.Buffers knows the kernel's vectored write only of the
// connection itself, not of one that embeds it.
func (s *hijacked) WriteBuffers(b *net.Buffers) (int64, error) {
	return b.WriteTo(s.Conn)
}

// CloseWrite: on TLS the end of the encrypted stream is one thing and that of the
// connection underneath another; a peer may wait for either.
func (s *hijacked) CloseWrite() error {
	err := closeWrite(s.Conn)
	if c, ok := s.Conn.(*tls.Conn); ok && err == nil {
		err = closeWrite(c.NetConn())
	}
	return err
}

func closeWrite(conn net.Conn) error {
	if c, ok := conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Abort: the Close of a TLS connection waits up to five seconds for a peer that
// does not read, to say goodbye. Underneath there is one that does not wait.
func (s *hijacked) Abort() error {
	if c, ok := s.Conn.(*tls.Conn); ok {
		err := c.NetConn().Close()
		// Now it fails at once, and frees what it has.
		_ = c.Close()
		return err
	}
	return s.Close()
}

func (s *hijacked) Descriptor() syscall.RawConn { return s.descriptor }

func (s *hijacked) Lends() bool { return s.descriptor != nil || s.records }

func (s *hijacked) ReadBuffer(wait bool) (*buffer, int, error) {
	if len(s.early) > 0 {
		b := buffers.Get().(*buffer)
		n, err := s.Read(b[:])
		return b, n, err
	}
	if s.descriptor == nil {
		return s.readRecord()
	}
	p, n, err := netpoll.ReadBuffer(s.descriptor, pool{}, wait)
	if err != nil {
		return nil, 0, s.readError(err)
	}
	return (*buffer)(p), n, nil
}

// smallest is how much room there is for what comes, where something has to be there
// before. If that was not enough, a buffer of the pool takes the rest.
const smallest = 512

var small = sync.Pool{New: func() any { return new([smallest]byte) }}

// readRecord is ReadBuffer on TLS, which needs room to wait.
func (s *hijacked) readRecord() (b *buffer, n int, err error) {
	if s.hungry {
		b = buffers.Get().(*buffer)
		n, err = s.Conn.Read(b[:])
		s.hungry = n == bufferSize
	} else {
		p := small.Get().(*[smallest]byte)
		defer small.Put(p)
		n, err = s.Conn.Read(p[:])
		if s.hungry = n == smallest; n > 0 {
			b = buffers.Get().(*buffer)
			copy(b[:], p[:n])
		}
	}
	if n == 0 && b != nil {
		buffers.Put(b)
		b = nil
	}
	return b, n, err
}

func (s *hijacked) TryRead(p []byte) (int, error) {
	if len(s.early) > 0 {
		return s.Read(p)
	}
	n, err := netpoll.Read(s.descriptor, p)
	return n, s.readError(err)
}

func (s *hijacked) TryWrite(p []byte) int { return netpoll.Write(s.descriptor, p) }

// readError returns err as Read would: what went wrong on which connection.
func (s *hijacked) readError(err error) error {
	if e, ok := errors.AsType[*os.SyscallError](err); ok {
		return &net.OpError{Op: "read", Net: s.RemoteAddr().Network(), Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: e}
	}
	return err
}

// Direct: only what net/http got from the kernel itself. A type that wraps one
// of these has its own idea of Write.
func (s *hijacked) Direct() bool {
	switch s.Conn.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	}
	return false
}
