package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// The page that servers on net/http have beside the WebSockets.
const (
	pagePath = "/"
	page     = "an ordinary page\n"
)

// pageEvery is the time from one answer to the next request for it.
const pageEvery = time.Millisecond

// neighbour measures how long an ordinary GET takes while the WebSockets of the
// same server are busy. The next messages go out when those before have come back,
// so that a server on one CPU has much to do, but never more than it can.
func (l *load) neighbour() (metrics, error) {
	clients, err := l.open(l.Conns, l.lib.request(l.Deflate, false))
	if err != nil {
		return nil, err
	}
	defer closeAll(clients)
	p, err := l.openPage()
	if err != nil {
		return nil, err
	}
	defer p.nc.Close()
	patience := l.patience()
	for _, c := range clients {
		c.nc.SetDeadline(patience)
	}
	p.nc.SetDeadline(patience)

	var echoes atomic.Int64
	msgs := l.messages()
	m, err := l.during(2, func(i int, w *watch) error {
		if i == 0 {
			return p.keepAsking(w)
		}
		return l.inTurn(clients, msgs, &echoes, w)
	}, echoes.Load)
	if err != nil {
		return nil, err
	}
	return metrics{
		"get_us":     p.hist.quantile(0.5),
		"get_p99_us": p.hist.quantile(0.99),
		"busy":       100 * m["server_us"] * m["per_s"] / 1e6,
	}, nil
}

// inTurn echoes on a few connections at the same time, and then on the next ones.
func (l *load) inTurn(clients []*client, msgs []message, echoes *atomic.Int64, w *watch) error {
	for k := 0; !w.stop.Load(); k += l.Depth {
		m := &msgs[k/l.Depth%len(msgs)]
		for i := range l.Depth {
			if _, err := clients[(k+i)%len(clients)].nc.Write(m.frame); err != nil {
				return err
			}
		}
		for i := range l.Depth {
			if err := clients[(k+i)%len(clients)].expect(m); err != nil {
				return err
			}
		}
		echoes.Add(int64(l.Depth))
	}
	return nil
}

// pageConn is a connection that is kept alive, and asks for the page.
type pageConn struct {
	nc   net.Conn
	br   *bufio.Reader
	hist hist
}

func (l *load) openPage() (*pageConn, error) {
	if err := checkLoopback(l.Addr); err != nil {
		return nil, err
	}
	nc, err := net.DialTimeout("tcp", l.Addr, 10*time.Second)
	if err != nil {
		return nil, err
	}
	return &pageConn{nc: nc, br: bufio.NewReader(nc)}, nil
}

func (p *pageConn) keepAsking(w *watch) error {
	for !w.stop.Load() {
		time.Sleep(pageEvery)
		start := time.Now()
		if err := p.get(); err != nil {
			return err
		}
		if w.record.Load() {
			p.hist.add(time.Since(start))
		}
	}
	return nil
}

var pageRequest = []byte("GET " + pagePath + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

func (p *pageConn) get() error {
	if _, err := p.nc.Write(pageRequest); err != nil {
		return err
	}
	resp, err := http.ReadResponse(p.br, nil)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || string(body) != page || resp.Close) {
		err = fmt.Errorf("GET %s: %s, %q", pagePath, resp.Status, body)
	}
	return err
}
