package websocket

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// stream is what a transport gives a Conn: bytes both ways, and ways to bound
// the waiting. It is net.Conn with promises of its own.
type stream interface {
	net.Conn

	// A Read that fails with os.ErrDeadlineExceeded has lost nothing: with
	// another deadline the next one goes on. (A transport whose deadlines are
	// final has to read ahead into a buffer of its own.)

	// CloseWrite tells the peer that nothing more will come, where the
	// transport can say so, and leaves reading open.
	CloseWrite() error

	// Abort closes without waiting for the peer, whatever else is going on,
	// and makes pending calls return.
	Abort() error

	// Outlives reports whether the stream outlives the HTTP handler. If it does not,
	// who serves it has to stay in the handler.
	Outlives() bool

	// WriteBuffers is like Write for several slices at once.
	WriteBuffers(*net.Buffers) (int64, error)

	// Direct reports whether a Write goes to the kernel without another layer.
	// Then one that fails with os.ErrDeadlineExceeded can be continued behind
	// the bytes it reports, and WriteBuffers is a single system call.
	Direct() bool

	// Lends reports whether there is ReadBuffer, as there is with a descriptor.
	Lends() bool

	// ReadBuffer is like Read, to a buffer from the pool. While it waits it needs
	// none, or a small one. If it is not to wait, it returns netpoll.ErrNotReady when there is
	// nothing to read yet.
	ReadBuffer(wait bool) (*buffer, int, error)

	// Descriptor returns the socket that is read from, or nil where other layers
	// lie between, or there is none. The methods that follow are for streams with
	// a descriptor.
	Descriptor() syscall.RawConn

	// TryRead is Read, but does not wait: it returns netpoll.ErrNotReady, too.
	TryRead(p []byte) (int, error)

	// TryWrite writes what is taken at once, and returns how much that was. What is
	// wrong, if anything is, shows in the next Write.
	TryWrite(p []byte) int
}

// isTimeout reports whether err is that of an expired deadline. Other errors call
// themselves timeouts too, such as ETIMEDOUT, after which there is no going on.
func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// epoch is a moment that times are measured from.
var epoch = time.Now()

// now returns the time since epoch. It looks at one clock, and time.Now at two.
func now() time.Duration { return time.Since(epoch) }

// past is a deadline that has expired, and overdue what stands for it.
var past = time.Unix(1, 0)

const overdue time.Duration = 1

// interrupt governs the deadline of one direction of a stream, which serves two
// masters: a time limit, and the context of the call under way. watch and arm
// are for the goroutine that has the direction, close for everybody.
type interrupt struct {
	stream   stream
	writes   bool // the direction is that of writing
	watching bool // for who has the direction: perhaps there is a context to be released

	cut    bool // the context has ended: armed is past and stays so
	closed bool
	mu     sync.Mutex      // for cut, closed, and what follows
	armed  time.Duration   // the deadline that the stream has, from epoch; 0: none
	done   <-chan struct{} // of the context that is watched; nil if none is
	stop   func() bool     // ends the watch
	turn   uint64          // counts the watches, for one that fires too late
}

func (in *interrupt) set(t time.Time) error {
	if in.writes {
		return in.stream.SetWriteDeadline(t)
	}
	return in.stream.SetReadDeadline(t)
}

// watch makes the end of ctx expire the deadline, until another ctx is watched.
// The same context costs next to nothing the second time.
func (in *interrupt) watch(ctx context.Context) {
	done := ctx.Done()
	if done == nil && !in.watching {
		return
	}
	in.watching = done != nil
	in.mu.Lock()
	defer in.mu.Unlock()
	if done == in.done || in.closed {
		return
	}
	in.release()
	if done == nil {
		return
	}
	turn := in.turn
	in.done = done
	in.stop = context.AfterFunc(ctx, func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		if in.turn != turn {
			return
		}
		in.cut, in.armed = true, overdue
		// A stream that is closed already needs no interruption.
		_ = in.set(past)
	})
}

// release ends the watch of a context; in.mu is held.
func (in *interrupt) release() {
	if in.done == nil {
		return
	}
	in.stop()
	in.done, in.stop, in.cut = nil, nil, false
	in.turn++
}

// rest ends the watch of a context, and takes the deadline away. It is for the
// goroutine that has the direction.
func (in *interrupt) rest() {
	in.watching = false
	in.mu.Lock()
	defer in.mu.Unlock()
	in.release()
	if in.armed == 0 {
		return
	}
	in.armed = 0
	_ = in.set(time.Time{})
}

// close ends the watch for good, so that a context that lives on does not keep
// the connection in memory.
func (in *interrupt) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.release()
	in.closed = true
}

// arm sees to it that the deadline expires at a time from epoch, or at most slack
// earlier, so that not every call has to move it. 0 is no deadline.
func (in *interrupt) arm(at, slack time.Duration) {
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.cut, in.armed == at:
		return
	case at != 0 && in.armed != 0 && in.armed < at && in.armed > at-slack:
		return
	}
	in.armed = at
	var t time.Time
	if at != 0 {
		t = epoch.Add(at)
	}
	// The error of a closed stream shows in the call that follows.
	_ = in.set(t)
}
