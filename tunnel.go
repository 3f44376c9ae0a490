package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
)

// tunnel is the stream over an extended CONNECT (RFC 8441, section 5): what the client
// sends is the body of its request, and what it gets that of the response. It uses
// nothing but net/http's interfaces, so any version of HTTP will do that has them.
//
// It lives no longer than the handler. When that has returned, net/http uses the
// ResponseWriter's memory for others, so it must not be touched any more.
type tunnel struct {
	ctx           context.Context // of the request: it ends when the handler returns, or before
	w             http.ResponseWriter
	control       *http.ResponseController
	local, remote net.Addr

	in  inlet
	out outlet
}

// errTunnelEnded is the error of a tunnel whose handler has returned, or whose client
// has gone.
var errTunnelEnded = fmt.Errorf("the HTTP request has ended: its client has gone, or its handler has returned: %w", net.ErrClosed)

func (t *tunnel) init(w http.ResponseWriter, r *http.Request) {
	t.ctx = r.Context()
	t.w, t.control = w, http.NewResponseController(w)
	t.local = address{"tcp", ""}
	if a, ok := t.ctx.Value(http.LocalAddrContextKey).(net.Addr); ok {
		t.local = a
	}
	t.remote = address{t.local.Network(), r.RemoteAddr}
	t.in.init(r.Body)
	t.out.init(t.interrupt)
	go t.in.pump()
	context.AfterFunc(t.ctx, t.ended)
}

// address is that of a request, which has it as a text.
type address struct{ network, text string }

func (a address) Network() string { return a.network }
func (a address) String() string  { return a.text }

func (t *tunnel) LocalAddr() net.Addr  { return t.local }
func (t *tunnel) RemoteAddr() net.Addr { return t.remote }

func (t *tunnel) Read(p []byte) (int, error) { return t.in.read(p) }

// Write is called by one goroutine at a time. When it fails, how much of p has left
// nobody knows.
func (t *tunnel) Write(p []byte) (int, error) {
	err := t.write(func() error {
		if _, err := t.w.Write(p); err != nil {
			return err
		}
		return t.control.Flush()
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// write calls do, which writes to the ResponseWriter.
func (t *tunnel) write(do func() error) error {
	if err := t.out.begin(); err != nil {
		return err
	}
	if t.ctx.Err() != nil {
		return t.out.end(errTunnelEnded)
	}
	return t.out.end(survive(do))
}

// survive calls do, which uses the ResponseWriter. On one whose handler has returned,
// net/http panics.
func survive(do func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = errTunnelEnded
		}
	}()
	return do()
}

// interrupt resets the stream, which is the one way that net/http has to end a Write
// that waits for the peer; t.out.mu is held. A Write that is under way uses the
// ResponseWriter anyhow. Without one, nobody does after the end of the request.
func (t *tunnel) interrupt() {
	t.in.hold()
	if t.out.busy || t.ctx.Err() == nil {
		_ = survive(func() error { return t.control.SetWriteDeadline(past) })
	}
}

// ended: the request has. What came before may still be read for a while, up to the
// error behind it; a browser that leaves a page sends a close frame and resets the
// stream in the same breath. But perhaps nobody reads, or there is no error, because
// it was middleware that has ended the context.
func (t *tunnel) ended() {
	if !t.in.isClosed() {
		time.AfterFunc(closeTimeout, func() { t.close(errTunnelEnded, true) })
	}
}

func (t *tunnel) SetDeadline(at time.Time) error {
	return errors.Join(t.SetReadDeadline(at), t.SetWriteDeadline(at))
}

func (t *tunnel) SetReadDeadline(at time.Time) error {
	t.in.setDeadline(at)
	return nil
}

func (t *tunnel) SetWriteDeadline(at time.Time) error {
	t.out.setDeadline(at)
	return nil
}

// CloseWrite: the end of the stream is sent when the handler returns.
func (t *tunnel) CloseWrite() error { return errors.ErrUnsupported }

// Close ends the use of the stream. It returns when no Write is under way any more.
func (t *tunnel) Close() error { return t.close(net.ErrClosed, false) }

// Abort is Close with a reset of the stream, which is what HTTP/2 has for a TCP
// connection that is reset (RFC 8441, section 5). A Write that is under way fails.
func (t *tunnel) Abort() error { return t.close(net.ErrClosed, true) }

func (t *tunnel) close(err error, cut bool) error {
	t.in.close(err)
	t.out.close(err, cut)
	return nil
}

func (t *tunnel) WriteBuffers(*net.Buffers) (int64, error) { return 0, errors.ErrUnsupported }
func (t *tunnel) Outlives() bool                           { return false }
func (t *tunnel) Direct() bool                             { return false }
func (t *tunnel) Descriptor() syscall.RawConn              { return nil }
func (t *tunnel) Lends() bool                              { return true }
func (t *tunnel) ReadBuffer(bool) (*buffer, int, error)    { return t.in.readBuffer() }
func (t *tunnel) TryRead([]byte) (int, error)              { return 0, errors.ErrUnsupported }
func (t *tunnel) TryWrite([]byte) int                      { return 0 }

// limit is a deadline.
type limit struct {
	at    time.Time // zero: there is none
	timer *time.Timer
}

// init makes a limit that calls wake when it passes, perhaps in vain, if it has been
// set anew meanwhile.
func (l *limit) init(wake func()) {
	l.timer = time.AfterFunc(math.MaxInt64, wake)
	l.timer.Stop()
}

func (l *limit) set(at time.Time) {
	l.timer.Stop()
	l.at = at
	if !at.IsZero() {
		// On the monotonic clock, which is the timer's, it has passed when that runs,
		// whatever happens to the other.
		wait := time.Until(at)
		l.at = time.Now().Add(wait)
		l.timer.Reset(wait)
	}
}

func (l *limit) passed() bool { return !l.at.IsZero() && !time.Now().Before(l.at) }

// inlet is what has come and was not read yet. A goroutine of its own reads ahead by
// one piece, because a deadline of net/http's that has passed is final, and one of the
// Conn's is not.
type inlet struct {
	body io.ReadCloser

	mu      sync.Mutex
	changed sync.Cond // of what follows; its L is &mu
	data    []byte    // not yet read; the pump waits until nothing is left of it
	err     error     // behind data
	held    bool      // err is not told
	closed  error     // what is told instead of anything else, if it is not nil
	limit   limit
}

func (in *inlet) init(body io.ReadCloser) {
	in.body = body
	in.changed.L = &in.mu
	in.limit.init(func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		in.changed.Broadcast()
	})
}

// pump reads the body until it ends, or nobody wants it any more.
func (in *inlet) pump() {
	little := make([]byte, smallest)
	for full, more := false, true; more; {
		p, big := little, (*buffer)(nil)
		if full {
			big = buffers.Get().(*buffer)
			p = big[:]
		}
		n, err := in.body.Read(p)
		more, full = in.deliver(p[:n], err), n == len(p)
		if big != nil {
			buffers.Put(big)
		}
	}
}

// deliver hands p over, waits until it was read, and reports whether more is wanted.
func (in *inlet) deliver(p []byte, err error) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.data, in.err = p, err
	in.changed.Broadcast()
	for len(in.data) > 0 && in.closed == nil {
		in.changed.Wait()
	}
	in.data = nil
	return err == nil && in.closed == nil
}

func (in *inlet) read(p []byte) (int, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if err := in.await(len(p)); err != nil {
		return 0, err
	}
	return in.take(p), nil
}

// readBuffer is read to a buffer of the pool, which it takes when there is something to
// read.
func (in *inlet) readBuffer() (*buffer, int, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if err := in.await(1); err != nil {
		return nil, 0, err
	}
	b := buffers.Get().(*buffer)
	return b, in.take(b[:]), nil
}

// await waits until there is something for a read of n bytes; in.mu is held.
func (in *inlet) await(n int) error {
	for ; ; in.changed.Wait() {
		switch {
		case in.closed != nil:
			return in.closed
		case in.limit.passed():
			return os.ErrDeadlineExceeded
		case len(in.data) > 0 || n == 0:
			return nil
		case in.err != nil && !in.held:
			return in.err
		}
	}
}

func (in *inlet) take(p []byte) int {
	n := copy(p, in.data)
	if in.data = in.data[n:]; len(in.data) == 0 {
		in.changed.Broadcast()
	}
	return n
}

func (in *inlet) setDeadline(at time.Time) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed == nil {
		in.limit.set(at)
	}
}

// hold: the stream is about to be reset, and not by the client. Why that is, somebody
// else has to say, and then closes it.
func (in *inlet) hold() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.held = true
}

func (in *inlet) isClosed() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.closed != nil
}

func (in *inlet) close(err error) {
	in.mu.Lock()
	first := in.closed == nil
	if first {
		in.limit.set(time.Time{})
		in.closed = err
		in.changed.Broadcast()
	}
	in.mu.Unlock()
	if first {
		// What the client still sends, it sends in vain; the pump returns.
		_ = in.body.Close()
	}
}

// outlet says when there may be a Write, and when it has to end.
type outlet struct {
	interrupt func() // makes a Write return that waits for the peer, and all that follow fail

	mu    sync.Mutex
	idle  sync.Cond // no Write is under way any more; its L is &mu
	busy  bool      // one is
	err   error     // of all that are to come, if it is not nil
	cut   bool      // interrupt was called
	limit limit
}

func (out *outlet) init(interrupt func()) {
	out.interrupt = interrupt
	out.idle.L = &out.mu
	out.limit.init(out.expire)
}

func (out *outlet) begin() error {
	out.mu.Lock()
	defer out.mu.Unlock()
	switch {
	case out.err != nil:
		return out.err
	case out.limit.passed():
		return os.ErrDeadlineExceeded
	}
	out.busy = true
	return nil
}

// end is for a Write that has returned err.
func (out *outlet) end(err error) error {
	out.mu.Lock()
	defer out.mu.Unlock()
	out.busy = false
	out.idle.Broadcast()
	if out.cut {
		return out.err // whatever has become of this one
	}
	return err
}

func (out *outlet) setDeadline(at time.Time) {
	out.mu.Lock()
	defer out.mu.Unlock()
	out.limit.set(at)
}

func (out *outlet) expire() {
	out.mu.Lock()
	defer out.mu.Unlock()
	if out.busy && out.limit.passed() {
		out.fail(os.ErrDeadlineExceeded, true)
	}
}

// fail makes Writes fail from now on, and those under way, too, if they are to be cut
// off; out.mu is held. The first error stays.
func (out *outlet) fail(err error, cut bool) {
	if out.err == nil {
		out.err = err
	}
	if cut && !out.cut {
		out.cut = true
		out.interrupt()
	}
}

// close waits until no Write is under way. What has been closed before, and has none,
// is not cut off any more.
func (out *outlet) close(err error, cut bool) {
	out.mu.Lock()
	defer out.mu.Unlock()
	out.fail(err, cut && (out.err == nil || out.busy))
	for out.busy {
		out.idle.Wait()
	}
	out.limit.set(time.Time{})
}
