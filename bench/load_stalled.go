package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	stalledEvery = 10 * time.Millisecond // between two broadcasts
	settleEvery  = 2 * time.Millisecond  // and when nothing is measured
	settleCount  = 32
	settleTries  = 50

	// What those who do not read send, to have it echoed: more than fits in the
	// buffers of the sockets on its way back.
	fillSize  = 16 << 10
	fillCount = 512
)

// crowd are the clients of a broadcast. The first of them can fall asleep.
type crowd struct {
	*load
	clients  []*client
	sleepers int
	bed      sync.RWMutex // locked while they are asleep
	asleep   int
	fills    sync.WaitGroup // what they send
	phase    atomic.Pointer[phase]
	ended    chan error // the first error of a client
}

// phase is a number of broadcasts, and what came of them.
type phase struct {
	id      uint64
	asleep  int            // how many clients
	pending sync.WaitGroup // messages that are to arrive

	mu      sync.Mutex
	latency hist // of those who are never asleep
}

// stalled measures the latency of broadcasts: while everybody reads, while one in
// a hundred does not, and while everybody does again.
func (l *load) stalled() (metrics, error) {
	// A client may have its answer before it is among those that get broadcasts, but
	// not an echo.
	clients, err := l.openAndEcho(l.Conns, l.messages())
	if err != nil {
		return nil, err
	}
	defer closeAll(clients)
	c := &crowd{load: l, clients: clients, sleepers: max(1, l.Conns/100), ended: make(chan error, 1)}
	c.phase.Store(new(phase))
	patience := time.Now().Add(4*l.For + 30*time.Second)
	for _, cl := range clients {
		cl.nc.SetDeadline(patience)
	}
	go func() { c.ended <- together(len(clients), c.read) }()

	var all, others hist
	for _, step := range []func() error{
		c.settle, // the first broadcast is slower than others
		func() error { return c.measure(&all, 1) },
		c.fallAsleep,
		c.settle,
		func() error { return c.measure(&others, 2) },
		c.wake,
		c.settle,
		func() error { return c.measure(&all, 1) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return metrics{
		"all_us":    all.quantile(0.5),
		"others_us": others.quantile(0.5),
		"slowdown":  others.quantile(0.5) / all.quantile(0.5),
	}, nil
}

// read counts the messages that client i gets.
func (c *crowd) read(i int) error {
	for {
		if i < c.sleepers {
			c.sleep()
		}
		sent, id, err := c.clients[i].readStamped()
		if err != nil {
			return err
		}
		p := c.phase.Load()
		if id != p.id || i < p.asleep {
			continue // it is a late one, or the last that is read before falling asleep
		}
		if i >= c.sleepers {
			p.mu.Lock()
			p.latency.add(time.Since(sent))
			p.mu.Unlock()
		}
		p.pending.Done()
	}
}

func (c *crowd) sleep() {
	c.bed.RLock()
	defer c.bed.RUnlock()
}

// readStamped reads a message of a broadcast.
func (c *client) readStamped() (sent time.Time, phase uint64, err error) {
	h, err := c.readHeader()
	if err == nil {
		err = c.checkHeader(h, true, h.size)
	}
	if err != nil {
		return sent, 0, err
	}
	if h.size < stampSize || h.size > len(broadcastPayload) || !h.fin {
		return sent, 0, errPayload
	}
	if err := c.need(stampSize); err != nil {
		return sent, 0, err
	}
	sent = time.Unix(0, int64(binary.BigEndian.Uint64(c.buf[c.r:])))
	phase = binary.BigEndian.Uint64(c.buf[c.r+8:])
	c.r += stampSize
	return sent, phase, c.compare(h.size-stampSize, broadcastPayload[stampSize:])
}

// fallAsleep has the sleepers read no more, and their connections fill up.
func (c *crowd) fallAsleep() error {
	c.bed.Lock()
	c.asleep = c.sleepers
	payload := slices.Concat(make([]byte, stampSize), broadcastPayload[stampSize:])
	echoes := bytes.Repeat(clientFrame(opBinary, true, false, payload), fillCount)
	for _, cl := range c.clients[:c.sleepers] {
		// An error comes again to who reads.
		c.fills.Go(func() { _, _ = cl.nc.Write(echoes) })
	}
	return nil
}

func (c *crowd) wake() error {
	c.asleep = 0
	c.bed.Unlock()
	c.fills.Wait()
	return nil
}

// settle broadcasts until nobody is skipped but those who are asleep.
func (c *crowd) settle() error {
	var err error
	for range settleTries {
		if _, err = c.count(settleCount, settleEvery); !errors.Is(err, errSkipped) {
			break
		}
	}
	return err
}

// measure adds the latencies of so many slices.
func (c *crowd) measure(h *hist, slices int) error {
	p, err := c.count(slices*max(1, int(c.For/stalledEvery)), stalledEvery)
	if err == nil {
		h.merge(&p.latency)
	}
	return err
}

var errSkipped = errors.New("others were skipped than those who do not read")

// count broadcasts n messages, and waits until they have arrived.
func (c *crowd) count(n int, every time.Duration) (*phase, error) {
	p := &phase{id: c.phase.Load().id + 1, asleep: c.asleep}
	p.pending.Add(n * (len(c.clients) - c.asleep))
	c.phase.Store(p)
	skipped, err := c.broadcast(broadcastSpec{Phase: p.id, N: n, Size: c.Size, Every: every})
	if err != nil {
		return nil, err
	}
	want := 0
	if c.lib.Skips {
		want = n * c.asleep
	}
	if skipped != want {
		return nil, fmt.Errorf("%w: %d, and not %d", errSkipped, skipped, want)
	}
	arrived := make(chan struct{})
	go func() {
		p.pending.Wait()
		close(arrived)
	}()
	select {
	case <-arrived:
		return p, nil
	case err := <-c.ended:
		return nil, err
	}
}

// broadcast returns how many messages were skipped.
func (c *crowd) broadcast(s broadcastSpec) (skipped int, err error) {
	path, err := s.path()
	if err != nil {
		return 0, err
	}
	b, err := c.control(path)
	var stats broadcastStats
	if err == nil {
		err = json.Unmarshal(b, &stats)
	}
	return stats.Skipped, err
}
