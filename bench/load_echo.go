package main

import (
	"sync/atomic"
	"time"
)

// echoConn is a connection that is kept busy, and what came of it.
type echoConn struct {
	*client
	n    atomic.Int64 // messages
	hist hist         // of round trips in the window
}

// echo keeps every connection busy: a message goes out when the one before has
// come back (with Depth, a batch at a time).
func (l *load) echo() (metrics, error) {
	msgs := l.messages()
	clients, err := l.open(l.Conns, l.lib.request(l.Deflate, false))
	if err != nil {
		return nil, err
	}
	defer closeAll(clients)
	patience := l.patience()
	conns := make([]*echoConn, len(clients))
	for i, c := range clients {
		c.nc.SetDeadline(patience)
		if i < 2 && l.Deflate != noDeflate {
			c.verify = 100
		}
		conns[i] = &echoConn{client: c}
	}

	work := func(i int, w *watch) error { return conns[i].keepBusy(msgs, i, l.Depth, w) }
	m, err := l.during(len(conns), work, func() (n int64) {
		for _, c := range conns {
			n += c.n.Load()
		}
		return n
	})
	if err != nil {
		return nil, err
	}
	addEchoMetrics(m, conns)
	return m, nil
}

func (c *echoConn) keepBusy(msgs []message, first, depth int, w *watch) error {
	exchange := func(k int) error { return c.roundTrip(&msgs[k%len(msgs)]) }
	if depth > 1 {
		var batch []byte
		for i := range depth {
			batch = append(batch, msgs[i%len(msgs)].frame...)
		}
		exchange = func(int) error {
			if _, err := c.nc.Write(batch); err != nil {
				return err
			}
			for i := range depth {
				if err := c.expect(&msgs[i%len(msgs)]); err != nil {
					return err
				}
			}
			return nil
		}
	}
	for k := first; !w.stop.Load(); k++ {
		start := time.Now()
		if err := exchange(k); err != nil {
			return err
		}
		c.n.Add(int64(depth))
		if w.record.Load() {
			c.hist.add(time.Since(start))
		}
	}
	return nil
}

func addEchoMetrics(m metrics, conns []*echoConn) {
	var all hist
	var wire, payload int64
	for _, c := range conns {
		all.merge(&c.hist)
		wire, payload = wire+c.wireIn, payload+c.payload
	}
	m["p99_us"] = all.quantile(0.99)
	m["wire_ratio"] = float64(wire) / float64(payload)
}
