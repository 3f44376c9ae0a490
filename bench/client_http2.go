package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	h2Chunk  = 16<<10 - 9 // a DATA frame of that size, with its header, is one record of TLS
	h2Window = 1 << 30    // what a server may send until it hears that it was received
	h2Report = 1 << 20    // it hears so often
)

// errNoRoom: an HTTP/2 connection has ended, or has as many streams as it should.
var errNoRoom = errors.New("no room for another stream")

// h2Conn is an HTTP/2 connection that carries WebSockets (RFC 8441), and knows no more
// of the protocol than they need. It ends with the last of its streams.
type h2Conn struct {
	nc net.Conn

	writing sync.Mutex // held for a frame, and before mu
	framer  *http2.Framer
	nextID  uint32

	mu      sync.Mutex
	room    sync.Cond // there may be more to send now, or an error
	streams map[uint32]*h2Stream
	used    int   // streams, with those that have not begun yet
	window  int   // of what may be sent on all streams together
	initial int   // of a new stream
	err     error // why it has ended
}

// newH2Conn begins a connection, and waits until the server has said that it has
// extended CONNECT.
func newH2Conn(nc net.Conn) (*h2Conn, error) {
	c := &h2Conn{nc: nc, streams: make(map[uint32]*h2Stream), nextID: 1, window: 65535, initial: 65535}
	c.room.L = &c.mu
	c.framer = http2.NewFramer(nc, bufio.NewReaderSize(nc, 32<<10))
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.framer.SetReuseFrames()
	if _, err := io.WriteString(nc, http2.ClientPreface); err != nil {
		return nil, err
	}
	err := errors.Join(
		c.framer.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: h2Window}),
		c.framer.WriteWindowUpdate(0, h2Window),
	)
	if err != nil {
		return nil, err
	}
	f, err := c.framer.ReadFrame()
	if err != nil {
		return nil, err
	}
	settings, ok := f.(*http2.SettingsFrame)
	if !ok {
		return nil, fmt.Errorf("%v where SETTINGS should be", f.Header())
	}
	if v, _ := settings.Value(http2.SettingEnableConnectProtocol); v != 1 {
		return nil, errors.New("the server has no extended CONNECT; was it started with GODEBUG=http2xconnect=1?")
	}
	if err := c.settle(settings); err != nil {
		return nil, err
	}
	go c.receive()
	return c, nil
}

// newStream fails with errNoRoom if there are as many as most.
func (c *h2Conn) newStream(most int) (*h2Stream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.used >= most {
		return nil, errNoRoom
	}
	c.used++
	s := &h2Stream{conn: c}
	s.arrived.L = &s.mu
	return s, nil
}

// begin gives a stream its number, and sends a header block.
func (c *h2Conn) begin(s *h2Stream, block []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	if c.err != nil {
		defer c.mu.Unlock()
		return c.err
	}
	s.id, s.window = c.nextID, c.initial
	c.streams[s.id] = s
	c.nextID += 2
	c.mu.Unlock()
	return c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: block, EndHeaders: true})
}

// remove forgets a stream, and reports whether the server still has it.
func (c *h2Conn) remove(s *h2Stream) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.streams[s.id] == s
	delete(c.streams, s.id)
	c.room.Broadcast()
	return known
}

// release is for a stream that is not used any more.
func (c *h2Conn) release() {
	c.mu.Lock()
	c.used--
	last := c.used == 0
	c.mu.Unlock()
	if last {
		c.end(net.ErrClosed)
	}
}

func (c *h2Conn) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	for _, s := range c.streams {
		s.deliver("", nil, err)
	}
	clear(c.streams)
	c.room.Broadcast()
	reset(c.nc)
}

// reserve waits until something may be sent on a stream, and returns how much of n.
func (c *h2Conn) reserve(s *h2Stream, n int) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.streams[s.id] == s {
		if k := min(n, s.window, c.window); k > 0 {
			s.window, c.window = s.window-k, c.window-k
			return k, nil
		}
		c.room.Wait()
	}
	return 0, net.ErrClosed
}

// receive runs until the connection ends.
func (c *h2Conn) receive() {
	received := 0 // and not reported
	for {
		f, err := c.framer.ReadFrame()
		if err == nil {
			err = c.handle(f)
		}
		if d, ok := f.(*http2.DataFrame); ok && err == nil {
			if received += int(d.Length); received >= h2Report {
				err = c.report(0, received)
				received = 0
			}
		}
		if err != nil {
			c.end(err)
			return
		}
	}
}

func (c *h2Conn) handle(f http2.Frame) error {
	switch f := f.(type) {
	case *http2.SettingsFrame:
		return c.settle(f)
	case *http2.WindowUpdateFrame:
		c.enlarge(f.StreamID, int(f.Increment))
		return nil
	case *http2.PingFrame:
		c.writing.Lock()
		defer c.writing.Unlock()
		return c.framer.WritePing(true, f.Data)
	case *http2.GoAwayFrame:
		return fmt.Errorf("GOAWAY: %v %q", f.ErrCode, f.DebugData())
	}
	c.mu.Lock()
	s := c.streams[f.Header().StreamID]
	c.mu.Unlock()
	if s == nil {
		return nil // it was closed here, or the frame is for none
	}
	return s.handle(f)
}

// settle heeds SETTINGS.
func (c *h2Conn) settle(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	if v, ok := f.Value(http2.SettingInitialWindowSize); ok {
		c.mu.Lock()
		for _, s := range c.streams {
			s.window += int(v) - c.initial
		}
		c.initial = int(v)
		c.room.Broadcast()
		c.mu.Unlock()
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.framer.WriteSettingsAck()
}

func (c *h2Conn) enlarge(id uint32, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id == 0 {
		c.window += n
	} else if s := c.streams[id]; s != nil {
		s.window += n
	}
	c.room.Broadcast()
}

// report tells that n bytes were received.
func (c *h2Conn) report(id uint32, n int) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.framer.WriteWindowUpdate(id, uint32(n))
}
