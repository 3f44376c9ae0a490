package websocket

import (
	"context"
	"fmt"
	"log"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/proto"
)

// MessageType says what a message is (RFC 6455, section 5.6).
type MessageType uint8

// The types of messages. A text message is UTF-8, in both directions: one that
// is not ends the connection when it comes from the peer, and is not sent when
// it comes from here.
const (
	Text   = MessageType(frame.Text)
	Binary = MessageType(frame.Binary)
)

// String returns "text" or "binary".
func (t MessageType) String() string { return frame.Opcode(t).String() }

func (t MessageType) opcode() (frame.Opcode, error) {
	if t != Text && t != Binary {
		return 0, fmt.Errorf("websocket: message type %d is neither Text nor Binary", uint8(t))
	}
	return frame.Opcode(t), nil
}

// Message is a message in whole.
type Message struct {
	Type MessageType
	Data []byte
}

// Conn is a WebSocket connection. All its methods may be called from any number
// of goroutines at any time: reads take turns, message by message, and so do
// writes, whereas a read and a write do not wait for each other.
//
// A ctx bounds the call that it is given to and nothing else. A read that it
// cuts off has lost nothing: what came of the message stays in the Conn, and the
// next read goes on. A write that it cuts off in the middle of a frame ends the
// connection, because the peer could not follow any more; one that was still
// waiting for its turn does not.
//
// While somebody reads, pings are answered, the peer's close frame is answered,
// and a silent peer is noticed. While nobody does, none of this happens; a
// handler that only writes calls CloseRead.
type Conn struct {
	stream       stream
	protocol     string
	subprotocol  string
	agreement    *agreement    // nil: messages are not compressed
	keepAlive    time.Duration // 0: off
	writeTimeout time.Duration // 0: none
	maxMessage   atomic.Int64  // 0: no limit

	polled atomic.Pointer[polled] // nil: no Poller serves it

	rd    reader // of whoever has rd.turn
	wr    writer // of whoever has wr.frame
	pings pings

	membership membership
	errorLog   *log.Logger // of the http.Server; nil: the standard one

	received, sent              atomic.Uint64 // messages
	bytesReceived, bytesWritten atomic.Uint64

	// An open connection has no verdict. Once it has one, only the closing
	// handshake is still sent; done is closed when the transport is.
	verdict atomic.Pointer[CloseError]
	answer  atomic.Bool // the peer's close frame has come
	said    atomic.Bool // ours has gone
	done    signal
	release sync.Once
}

// init makes c, which is the zero value, the connection over s that d decided on.
func (c *Conn) init(s stream, d *decision, opts *Options) {
	c.stream = s
	c.protocol = d.protocol
	c.subprotocol = d.subprotocol
	c.keepAlive = durationOption(opts.KeepAlive, defaultKeepAlive)
	c.writeTimeout = opts.writeTimeout()
	c.rd.interrupt.stream = s
	c.wr.interrupt.stream, c.wr.interrupt.writes = s, true
	switch {
	case opts.SendQueue == 0:
		c.wr.queue.limit = defaultSendQueue
	case opts.SendQueue > 0:
		c.wr.queue.limit = opts.SendQueue
	}
	c.SetMaxMessageSize(opts.MaxMessageSize)
	if d.deflate != nil {
		c.enableCompression(d.deflate, opts.Compression)
	}
}

// durationOption returns what an option stands for: itself, the default for 0,
// and 0 for a negative one. One that is endless has room to be added to.
func durationOption(d, byDefault time.Duration) time.Duration {
	if d == 0 {
		return byDefault
	}
	return min(max(d, 0), 1<<60)
}

func (o *Options) writeTimeout() time.Duration {
	return durationOption(o.WriteTimeout, defaultWriteTimeout)
}

// Subprotocol returns the subprotocol that was chosen in the handshake, or "".
func (c *Conn) Subprotocol() string { return c.subprotocol }

// Protocol returns the version of HTTP that the handshake came over, such as
// "HTTP/1.1".
func (c *Conn) Protocol() string { return c.protocol }

// RemoteAddr returns the network address of the peer, or of the last proxy.
func (c *Conn) RemoteAddr() net.Addr { return c.stream.RemoteAddr() }

// LocalAddr returns the local network address.
func (c *Conn) LocalAddr() net.Addr { return c.stream.LocalAddr() }

// SetMaxMessageSize changes the limit that Options.MaxMessageSize has set, with
// the same meaning of 0 and negative values. It holds from the next frame on,
// also in the middle of a message.
func (c *Conn) SetMaxMessageSize(n int64) {
	switch {
	case n == 0:
		n = defaultMaxMessageSize
	case n < 0:
		n = 0
	}
	c.maxMessage.Store(n)
}

// Done returns a channel that is closed when the connection has ended and its
// transport is closed.
func (c *Conn) Done() <-chan struct{} { return c.done.channel() }

// Err returns why the connection has ended, or is about to: a *CloseError, or
// nil as long as it is open. It is set before Done is closed.
func (c *Conn) Err() error {
	if e := c.verdict.Load(); e != nil {
		return e
	}
	return nil
}

// Stats is a snapshot of what a connection has done.
type Stats struct {
	MessagesReceived, MessagesSent uint64

	// Bytes of all frames with their headers, as they passed between the
	// protocol and the transport: without TLS, without the opening handshake.
	BytesReceived, BytesSent uint64

	// Queued is how much of Options.SendQueue is taken by messages of TrySend that
	// wait in the queue, or are being sent from it: their bytes, and 64 for each.
	Queued int

	// RTT is the time that the peer took to answer the last ping it answered,
	// of Ping or of the keepalive; 0 when it has answered none.
	RTT time.Duration
}

// Stats returns the counters of the connection, also after its end.
func (c *Conn) Stats() Stats {
	return Stats{
		MessagesReceived: c.received.Load(),
		MessagesSent:     c.sent.Load(),
		BytesReceived:    c.bytesReceived.Load(),
		BytesSent:        c.bytesWritten.Load(),
		Queued:           c.wr.queue.held(),
		RTT:              c.pings.rtt(),
	}
}

// take takes a turn. It gives up when ctx has ended, or the connection has while
// others had the turn.
func (c *Conn) take(ctx context.Context, t *turn, doing string) error {
	if !t.tryLock() && !t.lock(ctx, c.Done()) {
		if ctx.Err() != nil {
			return interrupted(doing, ctx)
		}
		return c.Err()
	}
	if ctx.Err() != nil {
		t.unlock()
		return interrupted(doing, ctx)
	}
	return nil
}

// bufferSize is the size of the buffers that frames are read to and laid out in. A
// burst of small messages should fit, and a frame of 16 KiB with its header. (The
// allocator has no size in between.)
const bufferSize = 18 << 10

// pieceSize is how much is written at once where other layers lie between, the most
// that frames are gathered to, and the size of a Writer's fragments: that of a TLS
// record.
const pieceSize = 16 << 10

type buffer [bufferSize]byte

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// pool is buffers, for who knows a buffer as a slice.
type pool struct{}

func (pool) Get() []byte  { return buffers.Get().(*buffer)[:] }
func (pool) Put(p []byte) { buffers.Put((*buffer)(p)) }

// ReadFrame reads the next frame, whatever it is, with its payload unmasked and
// the caller's to keep. It is for those who care how a message is cut, such as
// proxies and tests; it passes through the same rules, limits and replies as
// every other form of reading: pings and pongs are returned when they have been
// dealt with, and a close frame is the end, a *CloseError.
//
// A message that another form of reading has begun is finished there; until
// then ReadFrame returns ErrReaderOpen, and the others do for the rest of a
// message whose first frame ReadFrame has returned.
//
// Of a compressed message the payload is decompressed, as far as the frame and
// those before allow. The header is always that which has come: its RSV1 says that the
// message it begins is compressed, its Length counts compressed bytes.
func (c *Conn) ReadFrame(ctx context.Context) (frame.Header, []byte, error) {
	if err := c.takeRead(ctx, byFrame); err != nil {
		return frame.Header{}, nil, err
	}
	defer c.releaseRead()
	rd := &c.rd
	for {
		ev, err := c.next(ctx)
		if err != nil {
			return frame.Header{}, nil, err
		}
		if ev.Kind == proto.Control {
			return *ev.Header, append([]byte{}, ev.Payload...), nil
		}
		rd.form = byFrame
		rd.partial = append(rd.partial, ev.Payload...)
		if !ev.FrameEnd {
			if rd.partial, err = c.readLarge(ctx, rd.partial); err != nil {
				return frame.Header{}, nil, err
			}
			if rd.inflating() || rd.recv.Left() > 0 {
				continue
			}
		}
		p := rd.partial
		rd.partial = nil
		if !rd.open() {
			c.endMessage()
		}
		return *ev.Header, p, nil
	}
}

// WriteFrame writes one frame. A message of several is a frame of Text or
// Binary without fin, any number of Continuation frames without, and one with
// fin; from the first to the last, other messages wait. The frame has to be a
// legal one at this point, otherwise an error says why it is not and nothing is
// sent. While a Writer is open, data frames are refused with ErrWriterOpen. They
// are sent as they are, without compression.
//
// Pings and pongs may be written at any time. A close frame may not: Close
// sends it and sees the closing handshake through.
func (c *Conn) WriteFrame(ctx context.Context, op frame.Opcode, fin bool, payload []byte) error {
	return c.afterEnd(ctx, c.writeOwnFrame(ctx, op, fin, payload))
}

func (c *Conn) writeOwnFrame(ctx context.Context, op frame.Opcode, fin bool, payload []byte) error {
	if op == frame.Close {
		return fmt.Errorf("websocket: a close frame is sent by Close")
	}
	if op.IsControl() {
		return c.writeFrame(ctx, &outgoing{Header: frame.Header{Opcode: op, Fin: fin}, payload: payload})
	}
	begun := false
	switch form(c.wr.form.Load()) {
	case byStream:
		return ErrWriterOpen
	case byFrame:
		// Until that message has ended there is no turn to wait for here, and
		// by then it could be another's.
		if op != frame.Continuation {
			return sendError(proto.ErrSendUnfinished)
		}
		begun = true
	default:
		if err := c.take(ctx, &c.wr.message, "write"); err != nil {
			return err
		}
	}
	err := c.writeFrame(ctx, &outgoing{Header: frame.Header{Opcode: op, Fin: fin}, as: byFrame, payload: payload})
	switch {
	case err == nil && !fin:
		c.wr.form.Store(uint32(byFrame))
	case err == nil:
		c.sent.Add(1)
		c.wr.form.Store(uint32(between))
		c.wr.message.unlock()
	case !begun:
		c.wr.message.unlock()
	}
	return err
}
