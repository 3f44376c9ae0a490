package websocket

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/proto"
)

// queue holds the messages of TrySend until they are sent. As long as there are
// any, a goroutine is at work on them; an empty queue is nothing.
type queue struct {
	limit int // of size; 0: none

	mu      sync.Mutex
	waiting []queued
	size    int // of those waiting, and of those being sent
	running bool
	drained chan struct{} // closed when the queue is empty; nil: nobody waits for that
}

// queued is a message of TrySend or TrySendPrepared.
type queued struct {
	data     []byte
	prepared *PreparedMessage // in place of data
	op       frame.Opcode
	compress bool
}

// queuedOverhead is what a message counts for besides its own bytes: about what it
// costs to keep a small one, with the room that its slices have to grow. Else the
// limit would not be one of memory.
const queuedOverhead = 64

func (m *queued) len() int {
	if m.prepared != nil {
		return m.prepared.Size()
	}
	return len(m.data)
}

func (m *queued) size() int { return queuedOverhead + m.len() }

// TrySend sends a copy of p as one message, and waits for nothing: the message is
// put in a queue, from which it goes out as soon as the peer takes it. Messages
// keep the order in which they were put there. Other forms of writing do not wait
// for those in the queue; Close does, as long as it may.
//
// ErrBackpressure means that the peer is too slow: the queue holds so much that
// with this message it would hold more than Options.SendQueue. The message is
// dropped then, and the connection is as before; who needs all of them closes it.
// ErrInvalidText means that the message is no UTF-8. Any other error is the
// *CloseError of the connection. Compression.Compress is called later; where it
// fails or panics, the message goes uncompressed, and the panic is logged.
func (c *Conn) TrySend(typ MessageType, p []byte) error {
	op, err := typ.opcode()
	if err != nil {
		return err
	}
	if op == frame.Text && !proto.ValidText(p) {
		return ErrInvalidText
	}
	return c.enqueue(queued{op: op, data: p})
}

// TrySendPrepared is like TrySend for a message that was prepared, which is not
// copied. Its size counts all the same.
func (c *Conn) TrySendPrepared(m *PreparedMessage) error {
	return c.enqueue(queued{prepared: m})
}

func (c *Conn) enqueue(m queued) error {
	q := &c.wr.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := c.Err(); err != nil {
		return err
	}
	// One message may be larger than the queue, or it could never be sent.
	if q.limit > 0 && q.size > 0 && q.size+m.size() > q.limit {
		return ErrBackpressure
	}
	m.data, m.compress = slices.Clone(m.data), c.wr.deflation.wanted(m.len())
	q.waiting = append(q.waiting, m)
	q.size += m.size()
	if !q.running {
		q.running = true
		go c.drain()
	}
	return nil
}

// held returns how much of the limit is taken.
func (q *queue) held() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.size
}

// next takes the messages that are sent next: as many as fit a buffer, or a single
// one.
func (q *queue) next() []queued {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for room := pieceSize; n < len(q.waiting); n++ {
		room -= frame.MaxHeaderSize + q.waiting[n].len()
		if room < 0 && n > 0 {
			break
		}
	}
	batch := q.waiting[:n]
	q.waiting = q.waiting[n:]
	return batch
}

// forget forgets messages that next has taken, and all others if they could not be
// sent. It reports whether there are more, so that the goroutine goes on.
func (q *queue) forget(sent []queued, err error) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range sent {
		q.size -= sent[i].size()
	}
	clear(sent) // its memory is that of those behind
	if err == nil && len(q.waiting) > 0 {
		return true
	}
	q.end()
	return false
}

// end: nobody is at work on the queue any more; q.mu is held.
func (q *queue) end() {
	q.waiting, q.size, q.running = nil, 0, false
	if q.drained != nil {
		close(q.drained)
		q.drained = nil
	}
}

// drain sends what is in the queue until nothing is, or the connection ends. It
// gives up its turns between two buffers, for others to have theirs.
func (c *Conn) drain() {
	for more := true; more; {
		sent, err := c.sendQueued()
		more = c.wr.queue.forget(sent, err)
	}
}

// sendQueued sends the next messages of the queue; if it cannot, the connection has
// ended. A Close that waits for the queue has settled how, so this goes on until the
// close frame.
func (c *Conn) sendQueued() ([]queued, error) {
	ctx := context.Background()
	if err := c.take(ctx, &c.wr.message, "write"); err != nil {
		return nil, err
	}
	defer c.wr.message.unlock()
	buf, scratch := buffers.Get().(*buffer), packed.Get().(*[]byte)
	defer buffers.Put(buf)
	defer packed.Put(scratch)
	var h frame.Header
	var large []byte
	b, batch := buf[:0], c.wr.queue.next()
	for i := range batch {
		b, h, large = c.layOut(b, scratch, &batch[i])
	}
	// Control frames have not waited for all that.
	if err := c.take(ctx, &c.wr.frame, "write"); err != nil {
		return nil, err
	}
	defer c.releaseFrame()
	if err := c.sendOwed(ctx); err != nil {
		return nil, err
	}
	if err := c.wr.send.Message(&frame.Header{Opcode: frame.Binary, Fin: true}, nil); err != nil {
		return nil, err
	}
	c.wr.interrupt.watch(ctx)
	var err error
	if large != nil {
		err = c.transmit(&h, large)
	} else {
		err = c.putFrame(b)
	}
	if err != nil {
		return nil, c.unsent(ctx, err)
	}
	c.sent.Add(uint64(len(batch)))
	return batch, nil
}

// layOut appends m to b, compressed if it is to be, as good as sent: if it cannot be,
// nothing comes behind it. A message that does not fit a buffer is alone; its frame
// is returned in place of b, or as header and payload.
func (c *Conn) layOut(b []byte, scratch *[]byte, m *queued) (frames []byte, h frame.Header, large []byte) {
	d := c.wr.deflation
	if m.prepared != nil {
		e := m.prepared.plain
		c.contain(func() { e = m.prepared.variant(d, m.compress) })
		if e.compressed {
			d.keep(m.prepared.data)
		}
		if len(e.frame) > pieceSize {
			return e.frame, h, nil
		}
		return append(b, e.frame...), h, nil
	}
	payload, compressed := m.data, false
	if m.compress {
		// A compressor that fails leaves the message as it was.
		c.contain(func() { payload, compressed, _ = d.pack(scratch, d.window, m.data) })
	}
	if compressed {
		d.keep(m.data)
	}
	h = frame.Header{Fin: true, RSV1: compressed, Opcode: m.op, Length: uint64(len(payload))}
	if frame.MaxHeaderSize+len(payload) > pieceSize {
		return b, h, payload
	}
	return append(frame.Append(b, h), payload...), h, nil
}

// contain calls pack, and with it a compressor of the program's, whose panic would
// end the program, for nobody else is above it.
func (c *Conn) contain(pack func()) {
	defer func() {
		if v := recover(); v != nil {
			c.logPanic(v)
		}
	}()
	pack()
}

// awaitQueue waits until the queue is empty, which it is, too, when the connection
// ends, but no longer than four fifths of ctx. In the rest the close frame may still
// go out, in between the messages, to a peer that is not that slow.
func (c *Conn) awaitQueue(ctx context.Context) {
	q := &c.wr.queue
	q.mu.Lock()
	if !q.running {
		q.mu.Unlock()
		return
	}
	if q.drained == nil {
		q.drained = make(chan struct{})
	}
	drained := q.drained
	q.mu.Unlock()
	deadline, _ := ctx.Deadline()
	ctx, cancel := context.WithTimeout(ctx, time.Until(deadline)/5*4)
	defer cancel()
	select {
	case <-drained:
	case <-ctx.Done():
	}
}
