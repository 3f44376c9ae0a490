package wstest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// H2Stream is a stream of an H2. It is a connection as others are: what is written
// goes into DATA, and what is read comes out of DATA. All its methods may be called
// concurrently; concurrent Writes do not interleave.
//
// Errors are [net.ErrClosed] once this end is closed, [os.ErrDeadlineExceeded] once a
// deadline has passed, an [*H2ResetError] or [*H2GoAwayError] if the server says so,
// and otherwise what has ended the connection.
type H2Stream struct {
	h  *H2
	id uint32

	// The rest is guarded by h.mu.

	err              error // why the stream has ended before its time
	status           int
	header           http.Header // nil until the response is here
	reading, writing side

	unread  bytes.Buffer
	eof     bool // the server has ended the stream
	granted int  // what the server may send
	read    int  // bytes read that the server has not been granted anew
	held    bool // they are not granted

	ended  bool // the client has ended the stream
	busy   bool // a Write has the stream to itself
	window int  // what the client may send; less than 0 if the server has changed its mind
}

var _ net.Conn = (*H2Stream)(nil)

var errEnded = errors.New("http2: write after the end of the stream")

// Response waits for the response, within the read deadline. Informational ones are
// not counted.
func (s *H2Stream) Response() (status int, header http.Header, err error) {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	err = s.h.wait(&s.reading, func() bool { return s.header != nil || s.err != nil })
	if err == nil && s.header == nil {
		err = s.err
	}
	if err != nil {
		return 0, nil, err
	}
	return s.status, s.header, nil
}

// Read reads of the response's body. What had come before a reset can still be read.
func (s *H2Stream) Read(p []byte) (int, error) {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	err := s.h.wait(&s.reading, func() bool {
		return len(p) == 0 || s.unread.Len() > 0 || s.eof || s.err != nil
	})
	switch {
	case err != nil:
		return 0, err
	case len(p) == 0:
		return 0, nil
	case s.unread.Len() > 0:
		n, err := s.unread.Read(p)
		s.read += n
		s.grant()
		return n, err
	case s.eof:
		return 0, io.EOF
	}
	return 0, s.err
}

// grant opens the receive window by what has been read: all of it, or what is worth a
// frame.
func (s *H2Stream) grant() {
	worth := s.read > 0 && (s.unread.Len() == 0 || s.read > h2DefaultWindow/2)
	if !worth || s.held || s.eof || s.err != nil {
		return
	}
	s.h.sendUint32(h2WindowUpdate, s.id, uint32(s.read))
	s.granted += s.read
	s.read = 0
}

// Hold keeps the receive window as it is, so that the server may send 65,535 bytes
// more at most, whatever is read. Hold(false) opens it again.
func (s *H2Stream) Hold(held bool) {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	s.held = held
	s.grant()
}

// Write sends p as the server's windows allow, and waits for them as needed. It does
// not wait until the bytes have left. If it fails, it returns how many will.
func (s *H2Stream) Write(p []byte) (n int, err error) {
	h := s.h
	h.mu.Lock()
	defer h.mu.Unlock()
	mine := false
	defer func() {
		s.busy = s.busy && !mine
		h.cond.Broadcast()
	}()
	for {
		err := h.wait(&s.writing, func() bool {
			free := mine || !s.busy
			room := n == len(p) || min(s.window, h.window) > 0 && len(h.out) < h2EnoughOut
			return free && room || s.ended || s.err != nil
		})
		switch {
		case err != nil:
			return n, err
		case s.err != nil:
			return n, s.err
		case s.ended:
			return n, errEnded
		case n == len(p):
			return n, nil
		}
		mine, s.busy = true, true
		k := min(len(p)-n, s.window, h.window, h.maxFrame, h2EnoughOut)
		h.send(h2Data, 0, s.id, p[n:n+k])
		s.window -= k
		h.window -= k
		n += k
	}
}

// CloseWrite ends what the client has to say, and leaves the rest.
func (s *H2Stream) CloseWrite() error {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	switch {
	case s.writing.closed:
		return net.ErrClosed
	case s.err != nil:
		return s.err
	case s.ended:
		return errEnded
	}
	s.h.send(h2Data, h2EndStream, s.id, nil)
	s.ended = true
	s.forget()
	return nil
}

// Close closes the stream: with a reset and CANCEL, unless both ends have ended it.
func (s *H2Stream) Close() error { return s.Reset(H2Cancel) }

// Reset closes the stream with a reset, unless both ends have ended it.
func (s *H2Stream) Reset(code H2Code) error {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	if s.reading.closed {
		return net.ErrClosed
	}
	if s.h.streams[s.id] != nil {
		s.h.sendUint32(h2ResetStream, s.id, uint32(code))
	}
	for _, d := range []*side{&s.reading, &s.writing} {
		d.closed = true
		d.timer.Stop()
	}
	s.fail(net.ErrClosed)
	s.h.cond.Broadcast()
	return nil
}

// fail ends the stream for err, unless it has ended.
func (s *H2Stream) fail(err error) {
	if s.err == nil {
		s.err = err
	}
	delete(s.h.streams, s.id)
}

// forget takes the stream from the open ones if both ends have ended it.
func (s *H2Stream) forget() {
	if s.ended && s.eof {
		delete(s.h.streams, s.id)
	}
	s.h.cond.Broadcast()
}

// LocalAddr returns the address of the client's end of the connection.
func (s *H2Stream) LocalAddr() net.Addr { return s.h.conn.LocalAddr() }

// RemoteAddr returns the address of the server's end of the connection.
func (s *H2Stream) RemoteAddr() net.Addr { return s.h.conn.RemoteAddr() }

// SetDeadline sets both deadlines; see SetReadDeadline and SetWriteDeadline.
func (s *H2Stream) SetDeadline(t time.Time) error {
	return s.setDeadlines(t, &s.reading, &s.writing)
}

// SetReadDeadline sets the time after which Read and Response fail, including calls
// that are already blocked. The zero time means never.
func (s *H2Stream) SetReadDeadline(t time.Time) error { return s.setDeadlines(t, &s.reading) }

// SetWriteDeadline sets the time after which Write fails, including calls that are
// already blocked. The zero time means never.
func (s *H2Stream) SetWriteDeadline(t time.Time) error { return s.setDeadlines(t, &s.writing) }

func (s *H2Stream) setDeadlines(t time.Time, sides ...*side) error {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	for _, d := range sides {
		if d.closed {
			return net.ErrClosed
		}
		d.setDeadline(t)
	}
	s.h.cond.Broadcast()
	return nil
}
