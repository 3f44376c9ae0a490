//go:build linux

package netpoll

import (
	"os"
	"syscall"
)

// Poll is a set of sockets, in an epoll of Linux. All methods may be called at any
// time, but Wait by one goroutine at a time.
type Poll struct {
	file *os.File
	raw  syscall.RawConn

	// Of Wait:
	look   func(fd uintptr) bool
	events [maxEvents]syscall.EpollEvent
	n      int
	err    error
}

// Open returns an empty set. The error is that of the system, which may be out of
// descriptors, or errors.ErrUnsupported where there is no such thing.
func Open() (*Poll, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	// An epoll can be waited for as a socket can. As a file that does not block,
	// it is in the runtime's poller, and who waits for it has no thread of its own.
	if err := syscall.SetNonblock(fd, true); err != nil {
		_ = syscall.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &Poll{file: os.NewFile(uintptr(fd), "epoll")}
	p.look = p.wait
	p.raw, err = p.file.SyscallConn()
	if err != nil {
		_ = p.file.Close()
		return nil, err
	}
	return p, nil
}

// Add puts a socket in the set, until it is closed. Wait reports token whenever
// something new is there to be read, or the end of it, and once for what is there
// already. It may do so without a reason, too.
func (p *Poll) Add(c syscall.RawConn, token uint64) error {
	event := syscall.EpollEvent{
		// Edge-triggered: who reads has to read until there is nothing left, and
		// need not say when he is done.
		Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | 1<<31, // syscall.EPOLLET is negative
		Fd:     int32(uint32(token)),
		Pad:    int32(uint32(token >> 32)),
	}
	var failed error
	err := p.raw.Control(func(set uintptr) {
		err := c.Control(func(fd uintptr) {
			failed = os.NewSyscallError("epoll_ctl", syscall.EpollCtl(int(set), syscall.EPOLL_CTL_ADD, int(fd), &event))
		})
		if err != nil {
			failed = err
		}
	})
	if err != nil {
		return os.ErrClosed
	}
	return failed
}

// Wait appends to tokens what Add was given for sockets with something new, and
// returns when there is one at least. The error after Close is os.ErrClosed.
func (p *Poll) Wait(tokens []uint64) ([]uint64, error) {
	if p.raw.Read(p.look) != nil {
		return tokens, os.ErrClosed // nothing else is wrong with it, ever
	}
	for _, e := range p.events[:p.n] {
		tokens = append(tokens, uint64(uint32(e.Fd))|uint64(uint32(e.Pad))<<32)
	}
	return tokens, os.NewSyscallError("epoll_wait", p.err)
}

// wait looks for events, and reports whether there is something to return with.
func (p *Poll) wait(fd uintptr) bool {
	for {
		p.n, p.err = syscall.EpollWait(int(fd), p.events[:], 0)
		if p.err != syscall.EINTR {
			break
		}
	}
	p.n = max(p.n, 0)
	return p.n > 0 || p.err != nil
}

// Close ends a Wait under way and every later one. The sockets stay open.
func (p *Poll) Close() error { return p.file.Close() }
