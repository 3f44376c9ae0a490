package websocket

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// NetConn returns c as a net.Conn for protocols that want a stream of bytes:
// each Write is a message of type typ, and Read returns the bytes of the
// messages that come, one after the other. A message of the other type ends the
// connection with CloseUnsupportedData.
//
// Read returns io.EOF after a close with CloseNormal or CloseGoingAway. A read
// deadline that expires loses nothing, and reading goes on when it has been
// moved; a write deadline that cuts a message off ends the connection. When ctx
// ends, so do all calls. Close is that of c with CloseNormal.
func (c *Conn) NetConn(ctx context.Context, typ MessageType) net.Conn {
	n := &netConn{conn: c, typ: typ}
	n.readDeadline.init(ctx)
	n.writeDeadline.init(ctx)
	return n
}

type netConn struct {
	conn *Conn
	typ  MessageType

	readDeadline, writeDeadline deadline

	turn   turn            // of the calls of Read
	reader io.Reader       // of the message under way, nil if there is none
	ctx    context.Context // that reader is bound to
}

func (n *netConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	ctx := n.readDeadline.context()
	if err := n.conn.take(ctx, &n.turn, "read"); err != nil {
		return 0, n.readError(err)
	}
	defer n.turn.unlock()
	for {
		if err := n.next(ctx); err != nil {
			return 0, n.readError(err)
		}
		got, err := n.reader.Read(p)
		if err == io.EOF {
			n.reader, err = nil, nil
		}
		if got > 0 || err != nil {
			return got, n.readError(err)
		}
	}
}

// next sees to it that there is a stream to read from, bound to ctx. When the
// deadline was moved, Reader returns another one of the same message.
func (n *netConn) next(ctx context.Context) error {
	if n.reader != nil && n.ctx == ctx {
		return nil
	}
	typ, r, err := n.conn.Reader(ctx)
	if err != nil {
		return err
	}
	if typ != n.typ {
		err := errors.New("websocket: a " + typ.String() + " message came to a net.Conn of " + n.typ.String() + " messages")
		_ = n.conn.closeWith(ctx, &CloseError{Code: CloseUnsupportedData, Sent: true, Err: err})
		return n.conn.Err()
	}
	n.reader, n.ctx = r, ctx
	return nil
}

func (n *netConn) readError(err error) error {
	switch CloseStatus(err) {
	case CloseNormal, CloseGoingAway:
		return io.EOF
	}
	return deadlineError(err)
}

func (n *netConn) Write(p []byte) (int, error) {
	if err := n.conn.Write(n.writeDeadline.context(), n.typ, p); err != nil {
		return 0, deadlineError(err)
	}
	return len(p), nil
}

// deadlineError returns err as net.Conn has it: callers look for
// os.ErrDeadlineExceeded, or for a net.Error, without unwrapping.
func deadlineError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return os.ErrDeadlineExceeded
	}
	return err
}

func (n *netConn) Close() error {
	defer n.readDeadline.close()
	defer n.writeDeadline.close()
	return n.conn.Close(context.Background(), CloseNormal, "")
}

func (n *netConn) LocalAddr() net.Addr  { return n.conn.LocalAddr() }
func (n *netConn) RemoteAddr() net.Addr { return n.conn.RemoteAddr() }

func (n *netConn) SetDeadline(t time.Time) error {
	n.readDeadline.set(t)
	n.writeDeadline.set(t)
	return n.conn.orClosed(nil)
}

func (n *netConn) SetReadDeadline(t time.Time) error {
	n.readDeadline.set(t)
	return n.conn.orClosed(nil)
}

func (n *netConn) SetWriteDeadline(t time.Time) error {
	n.writeDeadline.set(t)
	return n.conn.orClosed(nil)
}

// deadline is a deadline of net.Conn, which may be moved while a call waits for
// it, as a context.
type deadline struct {
	parent context.Context

	mu     sync.Mutex
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer // nil: no deadline is set
	closed bool
}

func (d *deadline) init(parent context.Context) {
	d.parent = parent
	d.renew()
}

func (d *deadline) renew() {
	d.ctx, d.cancel = context.WithCancelCause(d.parent)
}

// close ends the calls that wait, and lets the parent forget the context.
func (d *deadline) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.stop()
	d.cancel(net.ErrClosed)
}

// stop stops the timer; d.mu is held. One that has gone off may not have done its
// work yet, and must not do it later, to another deadline.
func (d *deadline) stop() {
	if d.timer != nil && !d.timer.Stop() {
		d.cancel(os.ErrDeadlineExceeded)
	}
	d.timer = nil
}

func (d *deadline) context() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ctx
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	d.stop()
	if d.ctx.Err() != nil {
		d.renew()
	}
	if t.IsZero() {
		return
	}
	cancel := d.cancel
	expire := func() { cancel(os.ErrDeadlineExceeded) }
	if wait := time.Until(t); wait > 0 {
		d.timer = time.AfterFunc(wait, expire)
	} else {
		expire()
	}
}
