package interop

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// http2Conn is a client's connection of HTTP/2. It does what a stream of an extended
// CONNECT needs, which the clients of libraries do not offer. It lives no longer than
// patience.
type http2Conn struct {
	net.Conn
	framer *http2.Framer

	write  sync.Mutex // for writing with the framer, and for what follows
	fields bytes.Buffer
	hpack  *hpack.Encoder
	next   uint32 // id of a stream

	mu       sync.Mutex
	changed  *sync.Cond
	settings map[http2.SettingID]uint32 // nil: they have not come yet
	window   int64
	streams  map[uint32]*http2Stream
	away     bool  // GOAWAY has come
	err      error // why nothing more comes
}

// http2Stream is a stream, which becomes a tunnel by an extended CONNECT.
type http2Stream struct {
	*http2Conn
	id      uint32
	writing sync.Mutex // held by a Write

	// What follows is for who holds mu.
	window int64
	header *http2.MetaHeadersFrame // of the response
	data   []byte                  // not read yet
	end    error                   // behind data; io.EOF: END_STREAM
}

// resetError is RST_STREAM.
type resetError struct{ code http2.ErrCode }

func (e *resetError) Error() string { return "the stream was reset: " + e.code.String() }

// dialHTTP2 connects, over TLS if the URL says https, and waits for the settings of
// the server.
func dialHTTP2(scheme, addr string) (carrier, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(patience))
	if scheme == "https" {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	}
	c := &http2Conn{Conn: conn, framer: http2.NewFramer(conn, conn), next: 1, window: 65535, streams: make(map[uint32]*http2Stream)}
	c.changed = sync.NewCond(&c.mu)
	c.hpack = hpack.NewEncoder(&c.fields)
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.framer.MaxHeaderListSize = 1 << 16
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return nil, err
	}
	if err := c.framer.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0}); err != nil {
		return nil, err
	}
	go c.read()
	return c, c.await(func() bool { return c.settings != nil })
}

// await waits until a condition holds, for which mu is held.
func (c *http2Conn) await(holds func() bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wait(holds)
}

// wait is await for who holds mu.
func (c *http2Conn) wait(holds func() bool) error {
	for !holds() {
		if c.err != nil {
			return c.err
		}
		c.changed.Wait()
	}
	return nil
}

// offersConnect reports whether the server has offered the extended CONNECT.
func (c *http2Conn) offersConnect() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.settings[http2.SettingEnableConnectProtocol] == 1
}

// send calls do, which writes with the framer.
func (c *http2Conn) send(do func() error) error {
	c.write.Lock()
	defer c.write.Unlock()
	return do()
}

// read reads frames until there are no more. What it has to answer is written by
// others, for it must not wait.
func (c *http2Conn) read() {
	for {
		f, err := c.framer.ReadFrame()
		c.mu.Lock()
		if err != nil {
			c.err = err
		} else {
			c.receive(f)
		}
		c.changed.Broadcast()
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (c *http2Conn) receive(f http2.Frame) {
	switch f := f.(type) {
	case *http2.SettingsFrame:
		c.receiveSettings(f)
		return
	case *http2.PingFrame:
		if data := f.Data; !f.IsAck() {
			go c.send(func() error { return c.framer.WritePing(true, data) })
		}
		return
	case *http2.GoAwayFrame:
		c.away = true
		return
	case *http2.WindowUpdateFrame:
		if f.StreamID == 0 {
			c.window += int64(f.Increment)
			return
		}
	case *http2.DataFrame:
		// The others on the connection must not wait for who reads this stream.
		if n := f.Length; n > 0 {
			go c.send(func() error { return c.framer.WriteWindowUpdate(0, n) })
		}
	}
	if s := c.streams[f.Header().StreamID]; s != nil {
		s.receive(f)
	}
}

func (c *http2Conn) receiveSettings(f *http2.SettingsFrame) {
	if f.IsAck() {
		return
	}
	before := c.initialWindow()
	if c.settings == nil {
		c.settings = make(map[http2.SettingID]uint32)
	}
	f.ForeachSetting(func(s http2.Setting) error {
		c.settings[s.ID] = s.Val
		return nil
	})
	for _, s := range c.streams {
		s.window += c.initialWindow() - before
	}
	go c.send(c.framer.WriteSettingsAck)
}

func (c *http2Conn) initialWindow() int64 {
	if v, ok := c.settings[http2.SettingInitialWindowSize]; ok {
		return int64(v)
	}
	return 65535
}

// receive is for who holds mu.
func (s *http2Stream) receive(f http2.Frame) {
	if s.end != nil {
		return
	}
	ended := false
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		s.header, ended = f, f.StreamEnded()
	case *http2.DataFrame:
		s.data, ended = append(s.data, f.Data()...), f.StreamEnded()
	case *http2.WindowUpdateFrame:
		s.window += int64(f.Increment)
	case *http2.RSTStreamFrame:
		s.end = &resetError{f.ErrCode}
	}
	if ended {
		s.end = io.EOF
	}
}

// request sends a request, which has no body or is an extended CONNECT, and waits for
// the answer. The response has no Body but a stream.
func (c *http2Conn) request(r *http.Request) (int, http.Header, tunnel, error) {
	s := &http2Stream{http2Conn: c}
	err := c.send(func() error {
		c.fields.Reset()
		for _, f := range requestFields(r) {
			if err := c.hpack.WriteField(f); err != nil {
				return err
			}
		}
		s.id = c.next
		c.next += 2
		c.mu.Lock()
		s.window = c.initialWindow()
		c.streams[s.id] = s
		c.mu.Unlock()
		return c.framer.WriteHeaders(http2.HeadersFrameParam{
			StreamID: s.id, BlockFragment: c.fields.Bytes(), EndHeaders: true, EndStream: r.Method != http.MethodConnect,
		})
	})
	if err != nil {
		return 0, nil, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.wait(func() bool { return s.header != nil || s.end != nil }); err != nil {
		return 0, nil, nil, err
	}
	if s.header == nil {
		return 0, nil, nil, s.end
	}
	header := make(http.Header)
	for _, f := range s.header.RegularFields() {
		header.Add(f.Name, f.Value)
	}
	status, err := strconv.Atoi(s.header.PseudoValue("status"))
	return status, header, s, err
}

// requestFields returns the fields of a request, as RFC 9113 and RFC 8441 have them.
func requestFields(r *http.Request) []hpack.HeaderField {
	fields := []hpack.HeaderField{{Name: ":method", Value: r.Method}, {Name: ":authority", Value: r.Host}}
	if r.Method != http.MethodConnect || r.Proto != "" {
		fields = append(fields, hpack.HeaderField{Name: ":scheme", Value: r.URL.Scheme}, hpack.HeaderField{Name: ":path", Value: r.URL.RequestURI()})
	}
	if r.Proto != "" {
		fields = append(fields, hpack.HeaderField{Name: ":protocol", Value: r.Proto})
	}
	for name, values := range r.Header {
		for _, v := range values {
			fields = append(fields, hpack.HeaderField{Name: strings.ToLower(name), Value: v})
		}
	}
	return fields
}

func (s *http2Stream) Read(p []byte) (int, error) {
	s.mu.Lock()
	if err := s.wait(func() bool { return len(s.data) > 0 || s.end != nil }); err != nil {
		s.mu.Unlock()
		return 0, err
	}
	n, end := copy(p, s.data), s.end
	s.data = slices.Delete(s.data, 0, n)
	s.mu.Unlock()
	if n == 0 {
		return 0, end
	}
	if end != nil {
		return n, nil
	}
	return n, s.send(func() error { return s.framer.WriteWindowUpdate(s.id, uint32(n)) })
}

func (s *http2Stream) Write(p []byte) (n int, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	for n < len(p) {
		size, err := s.reserve(len(p) - n)
		if err != nil {
			return n, err
		}
		if err := s.send(func() error { return s.framer.WriteData(s.id, false, p[n:n+size]) }); err != nil {
			return n, err
		}
		n += size
	}
	return n, nil
}

// reserve waits until something may be sent, and returns how much of what is wanted.
func (s *http2Stream) reserve(wanted int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.wait(func() bool { return s.end != nil || s.window > 0 && s.http2Conn.window > 0 })
	if err != nil || s.end != nil {
		return 0, errors.Join(err, s.end)
	}
	n := min(int64(wanted), s.window, s.http2Conn.window, 1<<14)
	s.window -= n
	s.http2Conn.window -= n
	return int(n), nil
}

// Close sends the end of the stream.
func (s *http2Stream) Close() error {
	return s.send(func() error { return s.framer.WriteData(s.id, true, nil) })
}

func (s *http2Stream) reset() error {
	return s.send(func() error { return s.framer.WriteRSTStream(s.id, http2.ErrCodeCancel) })
}

// leave: what was sent before is on its way in order.
func (s *http2Stream) leave() error { return s.reset() }

// goAway is the polite way of a client to end: the streams that are open go on, and there
// will be no others.
func (c *http2Conn) goAway() error {
	return c.send(func() error { return c.framer.WriteGoAway(0, http2.ErrCodeNo, nil) })
}

// gone waits for GOAWAY and the end of the connection.
func (c *http2Conn) gone() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.wait(func() bool { return false })
	if !c.away || !errors.Is(err, io.EOF) {
		return fmt.Errorf("GOAWAY: %v; the connection ended with %w", c.away, err)
	}
	return nil
}
