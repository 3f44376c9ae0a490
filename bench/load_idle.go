package main

import "time"

// idle opens connections, echoes on each, and weighs the server.
func (l *load) idle() (metrics, error) {
	msgs := l.messages()
	// What a server makes once is not to be counted.
	few, err := l.openAndEcho(32, msgs)
	if err != nil {
		return nil, err
	}
	closeAll(few)
	time.Sleep(l.For)
	before, err := l.stats("/gc")
	if err != nil {
		return nil, err
	}
	clients, err := l.openAndEcho(l.Conns, msgs)
	if err != nil {
		return nil, err
	}
	defer closeAll(clients)
	busy, err := l.stats("/stats?mem=1")
	if err != nil {
		return nil, err
	}
	time.Sleep(l.For)
	after, err := l.stats("/gc")
	if err != nil {
		return nil, err
	}
	each := func(before, after int64) float64 { return float64(after-before) / float64(l.Conns) }
	heap, stack := each(before.Heap, after.Heap), each(before.Stack, after.Stack)
	m := metrics{
		"memory":     heap + stack,
		"heap":       heap,
		"stack":      stack,
		"rss":        each(before.RSS, after.RSS),
		"rss_busy":   each(before.RSS, busy.RSS),
		"goroutines": each(int64(before.Goroutines), int64(after.Goroutines)),
	}
	// They must still be alive.
	return m, l.exchange(clients[:min(len(clients), 100)], msgs)
}

func (l *load) openAndEcho(n int, msgs []message) ([]*client, error) {
	clients, err := l.open(n, l.lib.request(l.Deflate, false))
	if err != nil {
		return nil, err
	}
	if err := l.exchange(clients, msgs); err != nil {
		closeAll(clients)
		return nil, err
	}
	return clients, nil
}

// exchange echoes on all connections: a few at a time for one echo each, all at
// once for more.
func (l *load) exchange(clients []*client, msgs []message) error {
	workers := min(len(clients), 64)
	if l.Echoes > 1 {
		workers = len(clients)
	}
	return together(workers, func(k int) error {
		for round := range l.Echoes {
			for i := k; i < len(clients); i += workers {
				clients[i].nc.SetDeadline(time.Now().Add(60 * time.Second))
				if err := clients[i].roundTrip(&msgs[(i+round)%len(msgs)]); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
