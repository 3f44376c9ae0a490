package main

import (
	"io"
	"sync/atomic"
)

// handshake connects, upgrades and closes, over and over. Over HTTP/2 the connection is
// there before.
func (l *load) handshake() (metrics, error) {
	offer := noDeflate
	if l.Offers {
		offer = takeover // as browsers do
	}
	request := l.lib.request(offer, l.Offers)
	if l.lib.Over == overHTTP2 {
		stays, err := l.dial(request, noDeflate, 1024) // and the HTTP/2 connection with it
		if err != nil {
			return nil, err
		}
		defer stays.reset()
	}
	var n atomic.Int64
	var stop atomic.Bool
	done := make(chan error, 1)
	go func() {
		done <- together(l.Conns, func(int) error {
			for !stop.Load() {
				if err := l.shake(request); err != nil {
					return err
				}
				n.Add(1)
			}
			return nil
		})
	}()
	l.warmUp()
	m, err := l.window(n.Load)
	stop.Store(true)
	if failed := <-done; failed != nil {
		return nil, failed
	}
	return m, err
}

func (l *load) shake(request []byte) error {
	c, err := l.dial(request, noDeflate, 1024)
	if err != nil {
		return err
	}
	defer c.reset()
	if !l.lib.NoHTTP {
		return nil
	}
	// There is nothing to shake; one echo stands for it.
	if _, err := c.nc.Write(request); err != nil {
		return err
	}
	_, err = io.ReadFull(c.nc, make([]byte, len(request)))
	return err
}
