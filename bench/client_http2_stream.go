package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2Stream is a WebSocket on an HTTP/2 connection.
type h2Stream struct {
	conn     *h2Conn
	id       uint32 // 0 until it has begun
	window   int    // of what may be sent; guarded by conn.mu
	received int    // and not reported

	mu       sync.Mutex
	arrived  sync.Cond
	response string // its fields, in lines
	data     []byte
	taken    int // of data
	err      error
	expiry   *time.Timer
	closed   bool
}

// connectRequest is the header block of an extended CONNECT. It is the same each time,
// as it leaves nothing in the table of HPACK.
func connectRequest(deflate string, protocols bool) []byte {
	fields := []hpack.HeaderField{
		{Name: ":method", Value: "CONNECT"}, {Name: ":protocol", Value: "websocket"}, {Name: ":scheme", Value: "https"},
		{Name: ":authority", Value: serverName}, {Name: ":path", Value: "/ws"}, {Name: "sec-websocket-version", Value: "13"},
	}
	if deflate != noDeflate {
		fields = append(fields, hpack.HeaderField{Name: "sec-websocket-extensions", Value: deflateOffers[deflate]})
	}
	if protocols {
		fields = append(fields, hpack.HeaderField{Name: "sec-websocket-protocol", Value: clientProtocols})
	}
	var b bytes.Buffer
	enc := hpack.NewEncoder(&b)
	for _, f := range fields {
		f.Sensitive = true
		enc.WriteField(f) // a bytes.Buffer takes everything
	}
	return b.Bytes()
}

// connect sends the request, and returns the fields of the response.
func (s *h2Stream) connect(request []byte) (string, error) {
	if err := s.conn.begin(s, request); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.response == "" && s.err == nil {
		s.arrived.Wait()
	}
	if s.response == "" {
		return "", fmt.Errorf("extended CONNECT: %w", s.err)
	}
	if !strings.HasPrefix(s.response, ":status: 200\r\n") {
		return "", fmt.Errorf("bad handshake: %q", s.response)
	}
	return s.response, nil
}

// handle takes a frame.
func (s *h2Stream) handle(f http2.Frame) error {
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		var lines strings.Builder
		for _, field := range f.Fields {
			fmt.Fprintf(&lines, "%s: %s\r\n", field.Name, field.Value)
		}
		s.deliver(lines.String(), nil, endOf(f.StreamEnded()))
	case *http2.DataFrame:
		s.deliver("", f.Data(), endOf(f.StreamEnded()))
		if s.received += int(f.Length); s.received >= h2Report {
			n := s.received
			s.received = 0
			return s.conn.report(s.id, n)
		}
	case *http2.RSTStreamFrame:
		s.conn.remove(s)
		s.deliver("", nil, fmt.Errorf("the server has reset the stream: %v", f.ErrCode))
	}
	return nil
}

func endOf(ended bool) error {
	if ended {
		return io.EOF
	}
	return nil
}

// deliver hands over what has come.
func (s *h2Stream) deliver(response string, data []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if response != "" {
		s.response = response
	}
	s.data = append(s.data, data...)
	if s.err == nil {
		s.err = err
	}
	s.arrived.Signal()
}

func (s *h2Stream) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.taken == len(s.data) {
		if s.err != nil {
			return 0, s.err
		}
		s.arrived.Wait()
	}
	n := copy(p, s.data[s.taken:])
	if s.taken += n; s.taken == len(s.data) {
		s.data, s.taken = s.data[:0], 0
	}
	return n, nil
}

func (s *h2Stream) Write(p []byte) (n int, err error) {
	for n < len(p) {
		k, err := s.conn.reserve(s, min(h2Chunk, len(p)-n))
		if err != nil {
			return n, err
		}
		s.conn.writing.Lock()
		err = s.conn.framer.WriteData(s.id, false, p[n:n+k])
		s.conn.writing.Unlock()
		if err != nil {
			return n, err
		}
		n += k
	}
	return n, nil
}

// Close resets the stream.
func (s *h2Stream) Close() error {
	s.SetDeadline(time.Time{})
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.mu.Unlock()
	if again {
		return nil
	}
	if s.conn.remove(s) {
		s.conn.writing.Lock()
		s.conn.framer.WriteRSTStream(s.id, http2.ErrCodeCancel)
		s.conn.writing.Unlock()
	}
	s.deliver("", nil, net.ErrClosed)
	s.conn.release()
	return nil
}

// SetDeadline: a stream whose time is up is of no use any more.
func (s *h2Stream) SetDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.expiry != nil {
		s.expiry.Stop()
	}
	if !t.IsZero() {
		s.expiry = time.AfterFunc(time.Until(t), func() {
			s.conn.remove(s)
			s.deliver("", nil, os.ErrDeadlineExceeded)
		})
	}
	return nil
}

func (s *h2Stream) SetReadDeadline(t time.Time) error  { return s.SetDeadline(t) }
func (s *h2Stream) SetWriteDeadline(t time.Time) error { return s.SetDeadline(t) }
func (s *h2Stream) LocalAddr() net.Addr                { return s.conn.nc.LocalAddr() }
func (s *h2Stream) RemoteAddr() net.Addr               { return s.conn.nc.RemoteAddr() }
