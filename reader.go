package websocket

import (
	"context"
	"io"
	"sync/atomic"

	"github.com/airlock-go/websocket/internal/proto"
)

// Reader returns the next message as a stream. ctx bounds Reader and every Read
// of the stream; io.EOF is the end of the message.
//
// Until the stream has been read to its end, other forms of reading return
// ErrReaderOpen. When it was left before, because its ctx ended or nobody wanted
// the rest, Reader returns a new stream that goes on with the same message, and
// the old one is dead.
func (c *Conn) Reader(ctx context.Context) (MessageType, io.Reader, error) {
	if err := c.takeRead(ctx, byStream); err != nil {
		return 0, nil, err
	}
	defer c.releaseRead()
	rd := &c.rd
	switch rd.form {
	case between:
		ev, err := c.nextData(ctx)
		if err != nil {
			return 0, nil, err
		}
		rd.typ, rd.piece = MessageType(ev.Type), ev.Payload
	case byMessage:
		rd.piece, rd.partial = rd.partial, nil
	}
	m := &messageReader{conn: c, ctx: ctx}
	rd.form, rd.stream = byStream, m
	c.endStream() // an empty message has ended already
	return rd.typ, m, nil
}

// messageReader is the stream of Reader.
type messageReader struct {
	conn *Conn
	ctx  context.Context
	eof  atomic.Bool
}

// Read returns io.EOF with the last bytes: were it left for the next call, and
// that one cut off, nobody could tell an ended message from one under way.
func (m *messageReader) Read(p []byte) (int, error) {
	c, rd := m.conn, &m.conn.rd
	if m.eof.Load() {
		return 0, io.EOF
	}
	if err := c.takeTurn(m.ctx); err != nil {
		return 0, err
	}
	rd.interrupt.watch(m.ctx)
	defer c.releaseRead()
	switch {
	case m.eof.Load(): // meanwhile
		return 0, io.EOF
	case rd.stream != m:
		return 0, c.orClosed(ErrReaderOpen)
	case len(p) == 0:
		return 0, nil
	}
	n, err := m.read(p)
	if err == nil && c.endStream() {
		err = io.EOF
	}
	return n, err
}

// read reads the next of the message, which has not ended, to p. It returns 0
// when what was still to come turns out to be empty.
func (m *messageReader) read(p []byte) (int, error) {
	c, rd := m.conn, &m.conn.rd
	for len(rd.piece) == 0 && rd.open() {
		if rd.direct() >= directSize && len(p) >= directSize {
			return c.receivePayload(m.ctx, p)
		}
		ev, err := c.nextData(m.ctx)
		if err != nil {
			return 0, err
		}
		rd.piece = ev.Payload
	}
	n := copy(p, rd.piece)
	rd.piece = rd.piece[n:]
	for len(rd.piece) == 0 && rd.inflating() {
		var ev proto.Event
		err := c.inflate(m.ctx, &ev)
		if err != nil {
			return n, err
		}
		rd.piece = ev.Payload
	}
	return n, nil
}

// endStream notices that a message read by stream has been read to its end.
func (c *Conn) endStream() bool {
	rd := &c.rd
	if rd.form != byStream || len(rd.piece) > 0 || rd.open() {
		return false
	}
	rd.stream.eof.Store(true)
	rd.stream = nil
	c.endMessage()
	return true
}
