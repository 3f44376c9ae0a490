//go:build unix

package netpoll

import (
	"io"
	"sync"
	"syscall"
)

// attempt is a read that does not wait. What is given to a RawConn has to be a
// function; made once and used again, it costs no allocation.
type attempt struct {
	p    []byte
	n    int
	err  error
	once func(fd uintptr) bool
}

var attempts = sync.Pool{New: func() any {
	a := new(attempt)
	a.once = a.try
	return a
}}

// try reads, and is done in any case: false would have the RawConn wait.
func (a *attempt) try(fd uintptr) bool {
	for {
		a.n, a.err = syscall.Read(int(fd), a.p)
		if a.err != syscall.EINTR {
			return true
		}
	}
}

// Read reads what is there, and returns ErrNotReady when nothing is. Otherwise it is
// like the Read of the connection that c belongs to.
func Read(c syscall.RawConn, p []byte) (int, error) {
	a := attempts.Get().(*attempt)
	defer attempts.Put(a)
	a.p = p
	err := c.Read(a.once)
	a.p = nil
	switch {
	case err != nil:
		return 0, err
	case a.err == syscall.EAGAIN:
		return 0, ErrNotReady
	case a.err != nil:
		return 0, a.err
	case a.n == 0:
		return 0, io.EOF
	}
	return a.n, nil
}
