package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A crowd is all clients together, and what they have seen.
type crowd struct {
	plan      *plan
	addresses []string
	door      chan struct{} // of handshakes under way

	mu       sync.Mutex
	counts   counts
	late     time.Duration // how long a broadcast was on its way to who reads
	failures []string
	failed   int // with those that are not kept
}

const maxFailures = 20

// doorWidth is how many handshakes are under way at a time. What a machine is too
// slow for waits here, where no time limit of the server counts it.
const doorWidth = 200

func newCrowd(p *plan, addresses []string) *crowd {
	return &crowd{plan: p, addresses: addresses, door: make(chan struct{}, doorWidth)}
}

// wave lets connections come and go for a while, each in a slot: one life after the
// other. Slots begin and end one by one, and two of five have one life that lasts. It
// returns when all are gone. Where gentle is set, all behave.
func (c *crowd) wave(round, slots int, length time.Duration, gentle bool) {
	var wg sync.WaitGroup
	for slot := range slots {
		wg.Go(func() {
			time.Sleep(c.plan.ramp() * time.Duration(slot) / time.Duration(slots))
			ctx, cancel := context.WithTimeout(context.Background(), length)
			defer cancel()
			for id := (lifeID{round, slot, 0}); ctx.Err() == nil; id.generation++ {
				l := newLife(c.plan, id, gentle || slot%5 < 2)
				if err := live(ctx, c, l); err != nil {
					c.fail(l, err)
					wait(ctx, c.plan.Patience/5)
				}
			}
		})
	}
	wg.Wait()
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// add takes account of what a client has seen.
func (c *crowd) add(seen *counts, late time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts.add(seen)
	c.late = max(c.late, late)
}

// fail takes account of a life that went wrong.
func (c *crowd) fail(l *life, err error) {
	if err == errTurnedAway {
		return // which is the server's right
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed++
	if len(c.failures) < maxFailures {
		c.failures = append(c.failures, fmt.Sprintf("life %v, which ends with %v: %v", l.id, l.exit, err))
	}
}
