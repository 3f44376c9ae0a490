package websocket

import (
	"context"
	"fmt"
	"io"
	"math"

	"github.com/airlock-go/websocket/frame"
)

// Writer begins a message whose size is not known beforehand, or which should
// not lie in memory whole. It goes out in fragments, as much at a time as fits a
// buffer, and ends with Close. Until then other messages wait for their turn,
// while pings and the closing handshake do not; so it must be closed.
//
// Where compression was agreed on, the message is compressed as it is written,
// and lies in memory so until Close sends it in one frame. To send it in
// fragments, uncompressed, see SetWriteCompression.
//
// ctx bounds the whole message. When it ends before, and a part has been sent,
// the connection ends with it. An error of Write is final for the message.
func (c *Conn) Writer(ctx context.Context, typ MessageType) (io.WriteCloser, error) {
	op, err := typ.opcode()
	if err != nil {
		return nil, err
	}
	compress := c.wr.deflation.wanted(math.MaxInt)
	if err := c.take(ctx, &c.wr.message, "write"); err != nil {
		return nil, err
	}
	if err := c.Err(); err != nil {
		c.wr.message.unlock()
		return nil, c.afterEnd(ctx, err)
	}
	c.wr.form.Store(uint32(byStream))
	m := &messageWriter{conn: c, ctx: ctx, op: op, buf: buffers.Get().(*buffer), compress: compress}
	m.turn.lock(context.Background(), nil) // expire may be called at once
	m.stop = context.AfterFunc(ctx, m.expire)
	m.turn.unlock()
	return m, nil
}

// messageWriter is the stream of Writer.
type messageWriter struct {
	conn *Conn
	ctx  context.Context
	stop func() bool
	turn turn // of the calls, which may come from several goroutines

	op  frame.Opcode // of the next fragment
	buf *buffer      // what the next fragment has so far; nil at the end
	n   int
	err error // why the message has ended

	compress bool
	packer   *packer // in place of fragments, if the message is compressed
}

func (m *messageWriter) Write(p []byte) (int, error) {
	n, err := m.write(p)
	return n, m.conn.afterEnd(m.ctx, err)
}

func (m *messageWriter) write(p []byte) (int, error) {
	m.turn.lock(context.Background(), nil)
	defer m.turn.unlock()
	written := 0
	for m.err == nil && len(p) > 0 {
		if m.n == 0 && len(p) >= pieceSize {
			m.next(p)
			if m.err == nil {
				written += len(p)
			}
			return written, m.err
		}
		n := copy(m.buf[m.n:pieceSize], p)
		m.n += n
		p = p[n:]
		if m.n == pieceSize {
			m.next(m.buf[:pieceSize])
		}
		if m.err == nil {
			written += n
		}
	}
	return written, m.err
}

// next sends p as the next fragment, or compresses it.
func (m *messageWriter) next(p []byte) {
	if !m.compress {
		m.fragment(false, p)
		return
	}
	if m.packer == nil {
		m.packer = newPacker(m.conn.wr.deflation)
	}
	if err := m.packer.add(m.op, p); err != nil {
		m.abandon(err)
		return
	}
	m.n = 0
}

// Close sends the last fragment, or the compressed message.
func (m *messageWriter) Close() error {
	return m.conn.afterEnd(m.ctx, m.close())
}

func (m *messageWriter) close() error {
	m.turn.lock(context.Background(), nil)
	defer m.turn.unlock()
	if m.err != nil {
		return m.err
	}
	switch {
	case m.packer != nil:
		m.sendPacked()
	case m.compress && m.n >= m.conn.wr.deflation.threshold:
		if err := m.conn.pack(m.ctx, byStream, m.op, m.buf[:m.n]); err != nil {
			m.abandon(err)
		}
	default:
		m.fragment(true, m.buf[:m.n])
	}
	if m.err != nil {
		return m.err
	}
	m.conn.sent.Add(1)
	m.finish(ErrWriterClosed)
	return nil
}

// sendPacked sends the compressed message.
func (m *messageWriter) sendPacked() {
	if m.next(m.buf[:m.n]); m.err != nil {
		return
	}
	b, plain, err := m.packer.finish()
	if err == nil {
		f := outgoing{Header: frame.Header{Opcode: m.op, Fin: true, RSV1: true}, as: byStream, checked: true, payload: b}
		err = m.conn.writePacked(m.ctx, &f, plain)
	}
	if err != nil {
		m.abandon(err)
	}
}

// fragment sends p as the next fragment. A fragment that cannot be sent is the
// end of the message, and a message that was begun and cannot be ended is the
// end of the connection.
func (m *messageWriter) fragment(fin bool, p []byte) {
	err := m.conn.writeFrame(m.ctx, &outgoing{Header: frame.Header{Opcode: m.op, Fin: fin}, as: byStream, payload: p})
	if err != nil {
		m.abandon(err)
		return
	}
	m.op, m.n = frame.Continuation, 0
}

func (m *messageWriter) abandon(err error) {
	c := m.conn
	if m.op == frame.Continuation && c.Err() == nil {
		err = c.abort(&CloseError{Code: CloseAbnormal, Sent: true, Err: fmt.Errorf("a message was begun and not finished: %w", err)})
	}
	m.finish(err)
}

// expire: the context of the message has ended.
func (m *messageWriter) expire() {
	m.turn.lock(context.Background(), nil)
	defer m.turn.unlock()
	if m.err == nil {
		m.abandon(interrupted("write", m.ctx))
	}
}

// finish ends the message for every later call.
func (m *messageWriter) finish(err error) {
	m.err = err
	m.stop()
	buffers.Put(m.buf)
	m.buf, m.packer = nil, nil
	m.conn.wr.form.Store(uint32(between))
	m.conn.wr.message.unlock()
}
