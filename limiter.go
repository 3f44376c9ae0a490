package websocket

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Limiter bounds how many connections there are, so that a server under load turns
// clients away, or lets them wait, in place of serving everybody badly. One Limiter
// may be in any number of Options; it counts their connections together. A place is
// taken by a handshake that is valid, before Options.Authorize is asked, and given
// back when the connection has ended or the handshake is refused after all.
//
// The fields must not be changed after the first handshake. The zero value limits
// nothing.
type Limiter struct {
	// Max is how many connections there may be. A handshake too many is refused
	// with 503 and Retry-After. 0 or negative: no limit.
	Max int

	// MaxPerAddress is how many connections one address may have, with those that
	// wait. One too many is refused with 429 and Retry-After. 0 or negative: no
	// limit.
	MaxPerAddress int

	// Address, if not nil, tells from whom a request comes. Behind a proxy it has
	// to, or all addresses are the proxy's. It may return any name for the client;
	// "" is one like the others. Nil: the IP address of Request.RemoteAddr, of IPv6
	// the first 64 bits, which is what one customer gets.
	Address func(*http.Request) string

	// MaxWaiting is how many handshakes may wait for a place when there is none, in
	// the order in which they came. 0 or negative: none.
	MaxWaiting int

	// Wait is how long one waits before it is refused with 503. 0 or negative: 5
	// seconds.
	Wait time.Duration

	mu        sync.Mutex
	taken     int
	addresses map[string]int
	waiting   []*place // the first to come first
}

const defaultWait = 5 * time.Second

// Len returns how many places are taken.
func (l *Limiter) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.taken
}

// place is a connection's among those of a Limiter, or that of one to be.
type place struct {
	limiter *Limiter
	address string
	free    chan struct{} // closed when one who waited gets it
}

// admit takes a place for r, and waits for one if it must and may.
func (l *Limiter) admit(r *http.Request) (*place, *HandshakeError) {
	p := &place{limiter: l, address: l.address(r)}
	switch err := l.enter(p); {
	case err != nil:
		return nil, refuseBusy(err)
	case p.free == nil:
		return p, nil
	}
	wait := l.Wait
	if wait <= 0 {
		wait = defaultWait
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	select {
	case <-p.free:
		return p, nil
	case <-ctx.Done():
	}
	if !l.giveUp(p) {
		p.giveBack() // it came too late
	}
	return nil, refuseBusy(ErrTooMany)
}

func refuseBusy(err error) *HandshakeError {
	refusal := Reject(http.StatusServiceUnavailable, "there are too many connections; try again later")
	if err == ErrTooManyFromAddress {
		refusal = Reject(http.StatusTooManyRequests, "there are too many connections from this address")
	}
	refusal.Err = err
	return refusal.withRetryAfter()
}

// withRetryAfter adds when to come again, which is not the same for all, or they
// would come again together.
func (e *HandshakeError) withRetryAfter() *HandshakeError {
	e.Header = http.Header{"Retry-After": {strconv.Itoa(1 + rand.IntN(10))}}
	return e
}

// address returns from whom r comes.
func (l *Limiter) address(r *http.Request) string {
	if l.MaxPerAddress <= 0 {
		return ""
	}
	if l.Address != nil {
		return l.Address(r)
	}
	addrPort, err := netip.ParseAddrPort(r.RemoteAddr)
	ip := addrPort.Addr()
	if err != nil {
		ip, err = netip.ParseAddr(r.RemoteAddr) // middleware leaves out the port
	}
	if err != nil {
		return r.RemoteAddr // as of a Unix socket
	}
	if ip = ip.Unmap(); ip.Is6() {
		prefix, _ := ip.Prefix(64)
		return prefix.Addr().String()
	}
	return ip.String()
}

// enter takes a place for p, or puts it among those that wait.
func (l *Limiter) enter(p *place) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.MaxPerAddress > 0 && l.addresses[p.address] >= l.MaxPerAddress {
		return ErrTooManyFromAddress
	}
	switch {
	case l.Max <= 0 || l.taken < l.Max:
		l.taken++
	case len(l.waiting) < l.MaxWaiting:
		p.free = make(chan struct{})
		l.waiting = append(l.waiting, p)
	default:
		return ErrTooMany
	}
	if l.MaxPerAddress > 0 {
		if l.addresses == nil {
			l.addresses = make(map[string]int)
		}
		l.addresses[p.address]++
	}
	return nil
}

// giveUp takes p out of those that wait. It reports whether it was among them.
func (l *Limiter) giveUp(p *place) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.waiting, p)
	if i < 0 {
		return false
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	l.forget(p)
	return true
}

// forget: p does not count for its address any more; l.mu is held.
func (l *Limiter) forget(p *place) {
	if n := l.addresses[p.address]; n > 1 {
		l.addresses[p.address] = n - 1
		return
	}
	delete(l.addresses, p.address)
}

// giveBack gives the place to the first of those that wait, or makes it free. It is
// for the last who has the place: nobody calls it twice.
func (p *place) giveBack() {
	if p == nil {
		return
	}
	l := p.limiter
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(p)
	if len(l.waiting) == 0 {
		l.taken--
		return
	}
	close(l.waiting[0].free)
	l.waiting = slices.Delete(l.waiting, 0, 1)
}
