package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	t.remote = address(r.RemoteAddr)
	t.local = address("")
	if a, ok := t.ctx.Value(http.LocalAddrContextKey).(net.Addr); ok {
		t.local = a
	}
	t.in.init(r.Body)
	t.out.interrupt = func() {
		// The one way that net/http has to end a Write that waits for the peer.
		_ = t.guard(func() error { return t.control.SetWriteDeadline(past) })
	}
	go t.in.pump()
	context.AfterFunc(t.ctx, func() { t.Abort() })
}

// address is that of a request, which has it as a text.
type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }

func (t *tunnel) LocalAddr() net.Addr  { return t.local }
func (t *tunnel) RemoteAddr() net.Addr { return t.remote }

// guard calls do, which uses the ResponseWriter. On one whose handler has returned,
// net/http panics.
func (t *tunnel) guard(do func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = errTunnelEnded
		}
	}()
	if t.ctx.Err() != nil {
		return errTunnelEnded
	}
	return do()
}

func (t *tunnel) Read(p []byte) (int, error) { return t.in.read(p) }

// Write is called by one goroutine at a time.
func (t *tunnel) Write(p []byte) (n int, err error) {
	err = t.write(func() error {
		if n, err = t.w.Write(p); err != nil {
			return err
		}
		return t.control.Flush()
	})
	return n, err
}

// write calls do, which writes to the ResponseWriter.
func (t *tunnel) write(do func() error) error {
	if err := t.out.begin(); err != nil {
		return err
	}
	return t.out.end(t.guard(do))
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

// Close ends the use of the stream. Whoever waits for a Write waits here, too.
func (t *tunnel) Close() error {
	t.in.close()
	t.out.close(false)
	return nil
}

// Abort resets the stream, which is what HTTP/2 has for a TCP connection that is reset
// (RFC 8441, section 5). It returns when no Write is under way any more.
func (t *tunnel) Abort() error {
	t.in.close()
	t.out.close(true)
	return nil
}

func (t *tunnel) WriteBuffers(*net.Buffers) (int64, error) { return 0, errors.ErrUnsupported }
func (t *tunnel) Outlives() bool                           { return false }
func (t *tunnel) Direct() bool                             { return false }
func (t *tunnel) Descriptor() syscall.RawConn              { return nil }
func (t *tunnel) ReadBuffer(bool) (*buffer, int, error)    { return nil, 0, errors.ErrUnsupported }
func (t *tunnel) TryRead([]byte) (int, error)              { return 0, errors.ErrUnsupported }
func (t *tunnel) TryWrite([]byte) int                      { return 0 }

// inlet is what has come and was not read yet. A goroutine of its own reads ahead by
// one piece, because a deadline of net/http's that has passed is final, and one of the
// Conn's is not.
type inlet struct {
	mu       sync.Mutex
	body     io.ReadCloser
	data     []byte // not yet read; the pump waits until nothing is left of it
	err      error  // behind data
	closed   bool
	deadline time.Time
	changed  chan struct{} // for the reader: look again
	taken    chan struct{} // for the pump: there is room again

	timer *time.Timer // of the reader
}

func (in *inlet) init(body io.ReadCloser) {
	in.body = body
	in.changed, in.taken = make(chan struct{}, 1), make(chan struct{}, 1)
	in.timer = time.NewTimer(time.Hour)
	in.timer.Stop()
}

// notify wakes whoever waits for c, now or next.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// smallest is how much a pump reads while it waits. If that was not all, a buffer of
// the pool takes the rest.
const smallest = 512

// pump reads the body until it ends, or nobody wants it any more.
func (in *inlet) pump() {
	small := make([]byte, smallest)
	for full, more := false, true; more; {
		p, big := small, (*buffer)(nil)
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
	if in.closed {
		return false
	}
	in.data, in.err = p, err
	notify(in.changed)
	for len(in.data) > 0 && !in.closed {
		in.mu.Unlock()
		<-in.taken
		in.mu.Lock()
	}
	in.data = nil
	return err == nil && !in.closed
}

func (in *inlet) read(p []byte) (int, error) {
	for {
		n, wait, err := in.take(p)
		if n > 0 || err != nil {
			return n, err
		}
		var expired <-chan time.Time
		if wait > 0 {
			in.timer.Reset(wait)
			expired = in.timer.C
		}
		select {
		case <-in.changed:
		case <-expired:
		}
		in.timer.Stop()
	}
}

// take takes what there is, or says how long to wait for it; 0 is for ever.
func (in *inlet) take(p []byte) (n int, wait time.Duration, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return 0, 0, net.ErrClosed
	}
	if !in.deadline.IsZero() {
		if wait = time.Until(in.deadline); wait <= 0 {
			return 0, 0, os.ErrDeadlineExceeded
		}
	}
	if len(in.data) == 0 {
		return 0, wait, in.err
	}
	n = copy(p, in.data)
	if in.data = in.data[n:]; len(in.data) == 0 {
		notify(in.taken)
	}
	return n, 0, nil
}

func (in *inlet) setDeadline(at time.Time) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.deadline = at
	notify(in.changed)
}

func (in *inlet) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return
	}
	in.closed = true
	notify(in.changed)
	notify(in.taken)
	// What the client still sends, it sends in vain; the pump returns.
	_ = in.body.Close()
}

// outlet says when there may be a Write, and when it has to end.
type outlet struct {
	interrupt func() // makes a Write return that waits for the peer

	turn     turn // held by a Write; the one who closes keeps it
	mu       sync.Mutex
	deadline time.Time
	busy     bool // a Write is under way
	expired  bool // and its time was up
	closed   bool
	timer    *time.Timer // nil until it is first needed
}

func (out *outlet) begin() error {
	out.turn.lock(context.Background(), nil)
	out.mu.Lock()
	defer out.mu.Unlock()
	if out.closed {
		out.turn.unlock()
		return net.ErrClosed
	}
	out.busy, out.expired = true, false
	out.arm()
	return nil
}

// arm sees to it that a Write under way ends when its time is up; out.mu is held.
func (out *outlet) arm() {
	switch {
	case !out.busy || out.deadline.IsZero():
		if out.timer != nil {
			out.timer.Stop()
		}
	case out.timer == nil:
		out.timer = time.AfterFunc(time.Until(out.deadline), out.expire)
	default:
		out.timer.Reset(time.Until(out.deadline))
	}
}

func (out *outlet) expire() {
	out.mu.Lock()
	defer out.mu.Unlock()
	if !out.busy || out.deadline.IsZero() || time.Until(out.deadline) > 0 {
		return // the timer was for another Write
	}
	out.expired = true
	out.interrupt()
}

// end is for a Write that has returned err.
func (out *outlet) end(err error) error {
	out.mu.Lock()
	defer out.mu.Unlock()
	out.busy = false
	out.arm()
	out.turn.unlock()
	switch {
	case err == nil:
		return nil
	case out.expired:
		return os.ErrDeadlineExceeded
	case out.closed:
		return net.ErrClosed
	}
	return err
}

func (out *outlet) setDeadline(at time.Time) {
	out.mu.Lock()
	defer out.mu.Unlock()
	out.deadline = at
	out.arm()
}

// close waits until no Write is under way. To cut it off means to reset the stream.
func (out *outlet) close(cut bool) {
	out.mu.Lock()
	first := !out.closed
	out.closed = true
	if cut && (first || out.busy) {
		out.interrupt()
	}
	out.mu.Unlock()
	out.turn.lock(context.Background(), nil)
	out.turn.unlock()
}
