package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// What carries the connections of a library, if it is not TCP itself.
const (
	overTLS   = "TLS"
	overHTTP2 = "HTTP/2" // over TLS, as browsers have it
)

// dialer opens connections to a server.
type dialer struct {
	lib     *Lib
	addr    string
	sockets int // on one HTTP/2 connection
	resume  tls.ClientSessionCache

	mu    sync.Mutex
	http2 *h2Conn // the newest
}

// checkLoopback keeps all traffic on this machine.
func checkLoopback(addr string) error {
	a, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return err
	}
	if !a.IP.IsLoopback() {
		return fmt.Errorf("%s is not on the loopback", addr)
	}
	return nil
}

// dial connects and upgrades.
func (d *dialer) dial(request []byte, deflate string, bufSize int) (*client, error) {
	nc, err := d.connect()
	if err != nil {
		return nil, err
	}
	c := &client{nc: nc, raw: d.lib.Raw, deflate: deflate, buf: make([]byte, bufSize)}
	if d.lib.NoHTTP {
		return c, nil
	}
	nc.SetDeadline(time.Now().Add(10 * time.Second))
	if err := c.handshake(request); err != nil {
		nc.Close()
		return nil, err
	}
	nc.SetDeadline(time.Time{})
	return c, nil
}

func (d *dialer) connect() (net.Conn, error) {
	switch d.lib.Over {
	case overTLS:
		return d.connectTLS("http/1.1")
	case overHTTP2:
		return d.stream()
	}
	return d.connectTCP()
}

func (d *dialer) connectTCP() (net.Conn, error) {
	if err := checkLoopback(d.addr); err != nil {
		return nil, err
	}
	return net.DialTimeout("tcp", d.addr, 10*time.Second)
}

func (d *dialer) connectTLS(protocol string) (net.Conn, error) {
	tcp, err := d.connectTCP()
	if err != nil {
		return nil, err
	}
	nc := tls.Client(tcp, &tls.Config{
		InsecureSkipVerify: true, // the server made its certificate a moment ago
		ServerName:         serverName,
		NextProtos:         []string{protocol},
		ClientSessionCache: d.resume,
	})
	nc.SetDeadline(time.Now().Add(10 * time.Second))
	if err := nc.Handshake(); err != nil {
		tcp.Close()
		return nil, err
	}
	if got := nc.ConnectionState().NegotiatedProtocol; got != protocol {
		tcp.Close()
		return nil, fmt.Errorf("the server speaks %q, want %q", got, protocol)
	}
	nc.SetDeadline(time.Time{})
	return nc, nil
}

// stream is a new one on the newest HTTP/2 connection, or on another if that has as
// many as it should.
func (d *dialer) stream() (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.http2 != nil {
		s, err := d.http2.newStream(d.sockets)
		if !errors.Is(err, errNoRoom) {
			return s, err
		}
	}
	nc, err := d.connectTLS("h2")
	if err != nil {
		return nil, err
	}
	if d.http2, err = newH2Conn(nc); err != nil {
		reset(nc)
		return nil, err
	}
	return d.http2.newStream(d.sockets)
}

// reset closes with a RST, which leaves no TIME_WAIT behind.
func reset(nc net.Conn) {
	switch t := nc.(type) {
	case *tls.Conn:
		reset(t.NetConn()) // without a word of TLS
		return
	case *net.TCPConn:
		t.SetLinger(0)
	}
	nc.Close()
}
