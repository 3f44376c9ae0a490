//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package netpoll

import (
	"os"
	"sync"
	"syscall"
)

// Poll is a set of sockets, in a kqueue of the BSDs and macOS. All methods may be
// called at any time, but Wait by one goroutine at a time.
//
// It is compiled and vetted for these systems, and was never run on one.
type Poll struct {
	events [maxEvents]syscall.Kevent_t

	mu      sync.Mutex
	fd      int
	alarm   [2]int         // a pipe, whose end wakes Wait: a kqueue cannot be waited for by the runtime everywhere
	tokens  map[int]uint64 // of a socket
	closed  bool
	waiting bool
}

// Open returns an empty set. The error is that of the system, which may be out of
// descriptors, or errors.ErrUnsupported where there is no such thing.
func Open() (*Poll, error) {
	// A process that is started before they are marked would inherit them.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, err := syscall.Kqueue()
	if err != nil {
		return nil, os.NewSyscallError("kqueue", err)
	}
	syscall.CloseOnExec(fd)
	p := &Poll{fd: fd, tokens: make(map[int]uint64)}
	if err := syscall.Pipe(p.alarm[:]); err != nil {
		_ = syscall.Close(fd)
		return nil, os.NewSyscallError("pipe", err)
	}
	syscall.CloseOnExec(p.alarm[0])
	syscall.CloseOnExec(p.alarm[1])
	if err := p.watch(p.alarm[0]); err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

// watch puts a descriptor in the kqueue. EV_CLEAR is what edge-triggered is elsewhere:
// who reads has to read until there is nothing left, and need not say when he is done.
func (p *Poll) watch(fd int) error {
	var change [1]syscall.Kevent_t
	syscall.SetKevent(&change[0], fd, syscall.EVFILT_READ, syscall.EV_ADD|syscall.EV_CLEAR)
	_, err := syscall.Kevent(p.fd, change[:], nil, nil)
	return os.NewSyscallError("kevent", err)
}

// Add puts a socket in the set, until it is closed. Wait reports token whenever
// something new is there to be read, or the end of it, and once for what is there
// already. It may do so without a reason, too.
func (p *Poll) Add(c syscall.RawConn, token uint64) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.closed {
			failed = os.ErrClosed
			return
		}
		// A descriptor that is used again has another token from now on. An event
		// of the socket before it would be one without a reason.
		p.tokens[int(fd)] = token
		failed = p.watch(int(fd))
	})
	if err != nil {
		return err
	}
	return failed
}

// Wait appends to tokens what Add was given for sockets with something new, and
// returns when there is one, or now and then without. The error after Close is
// os.ErrClosed.
func (p *Poll) Wait(tokens []uint64) ([]uint64, error) {
	fd, err := p.enter()
	if err != nil {
		return tokens, err
	}
	n, err := syscall.Kevent(fd, nil, p.events[:], nil)
	if !p.leave() {
		return tokens, os.ErrClosed
	}
	if err == syscall.EINTR {
		return tokens, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range max(n, 0) {
		if token, ok := p.tokens[int(p.events[i].Ident)]; ok {
			tokens = append(tokens, token)
		}
	}
	return tokens, os.NewSyscallError("kevent", err)
}

// enter begins a Wait.
func (p *Poll) enter() (fd int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return -1, os.ErrClosed
	}
	p.waiting = true
	return p.fd, nil
}

// leave ends a Wait, and reports whether the set is still open. Close leaves the
// descriptors to a Wait under way, which would otherwise use those of somebody else.
func (p *Poll) leave() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = false
	if p.closed {
		p.release()
	}
	return !p.closed
}

// release closes what is left of the set; p.mu is held.
func (p *Poll) release() {
	_ = syscall.Close(p.fd)
	_ = syscall.Close(p.alarm[0])
}

// Close ends a Wait under way and every later one. The sockets stay open.
func (p *Poll) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return os.ErrClosed
	}
	p.closed = true
	err := syscall.Close(p.alarm[1])
	if !p.waiting {
		p.release()
	}
	return os.NewSyscallError("close", err)
}
