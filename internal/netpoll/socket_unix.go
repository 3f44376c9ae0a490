//go:build unix

package netpoll

import (
	"io"
	"os"
	"sync"
	"syscall"
)

// Direct reports whether there are Read, ReadBuffer and Write on this system.
const Direct = true

// attempt is a read of a socket. What is given to a RawConn has to be a function;
// made once and used again, it costs no allocation.
type attempt struct {
	p      []byte // nil: to be had from buffer, when there is something to read
	buffer Buffer
	wait   bool
	n      int
	err    error
	once   func(fd uintptr) bool
}

var attempts = sync.Pool{New: func() any {
	a := new(attempt)
	a.once = a.try
	return a
}}

// try reads, and reports whether it is done; if not, the RawConn waits and tries
// again.
func (a *attempt) try(fd uintptr) bool {
	p := a.p
	if p == nil {
		p = a.buffer.Get()
	}
	a.n, a.err = readFD(int(fd), p)
	if a.n > 0 {
		a.p = p
		return true
	}
	if a.p == nil {
		a.buffer.Put(p)
	}
	return a.err != syscall.EAGAIN || !a.wait
}

func readFD(fd int, p []byte) (int, error) {
	for {
		n, err := syscall.Read(fd, p)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// run makes the attempt.
func (a *attempt) run(c syscall.RawConn) (p []byte, n int, err error) {
	err = c.Read(a.once)
	p, n = a.p, a.n
	switch {
	case err != nil:
	case a.err == syscall.EAGAIN:
		err = ErrNotReady
	case a.err != nil:
		err = os.NewSyscallError("read", a.err)
	case n == 0:
		err = io.EOF
	}
	a.p, a.buffer, a.wait = nil, nil, false
	attempts.Put(a)
	if err != nil {
		return nil, 0, err
	}
	return p, n, nil
}

// Read reads what is there, and returns ErrNotReady when nothing is. Otherwise it is
// like the Read of the connection that c belongs to.
func Read(c syscall.RawConn, p []byte) (int, error) {
	a := attempts.Get().(*attempt)
	a.p = p
	_, n, err := a.run(c)
	return n, err
}

// ReadBuffer reads to a buffer that it takes when there is something to read, and
// returns the buffer with the number of bytes. If it is to wait, nothing is held until
// then, else it returns ErrNotReady.
func ReadBuffer(c syscall.RawConn, b Buffer, wait bool) ([]byte, int, error) {
	a := attempts.Get().(*attempt)
	a.buffer, a.wait = b, wait
	return a.run(c)
}

// delivery is a write to a socket that does not wait.
type delivery struct {
	p    []byte
	n    int
	once func(fd uintptr) bool
}

var deliveries = sync.Pool{New: func() any {
	d := new(delivery)
	d.once = d.try
	return d
}}

func (d *delivery) try(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), d.p)
		if err != syscall.EINTR {
			d.n = max(n, 0)
			return true
		}
	}
}

// Write writes as much of p as the system takes at once, and returns how much that
// was. What was wrong, if it was nothing, shows when the connection that c belongs to
// is written to in the usual way.
func Write(c syscall.RawConn, p []byte) int {
	d := deliveries.Get().(*delivery)
	d.p, d.n = p, 0
	// It is an error of a connection that is closed, or has a deadline that is over.
	_ = c.Write(d.once)
	n := d.n
	d.p = nil
	deliveries.Put(d)
	return n
}
