// Command http3 is an echo server for WebSockets over HTTP/3 (RFC 9220), by quic-go,
// with the same handler over HTTP/1.1 and HTTP/2 beside it, by net/http.
//
//	cd examples/http3
//	go run "$(go env GOROOT)/src/crypto/tls/generate_cert.go" -host localhost -ecdsa-curve P256
//	GODEBUG=http2xconnect=1 go run . -cert cert.pem -key key.pem
//
// The first command makes a certificate for trying it; it signs itself, so clients
// have to be told to trust it. The setting is for HTTP/2 alone, as docs/http2.md has
// it; quic-go offers extended CONNECT at all times.
//
// Clients come over TCP first. Each answer there has a field that tells them of HTTP/3
// (Alt-Svc, RFC 7838): see announce.
//
// The handler is that of any version of HTTP. Over HTTP/2 and HTTP/3 a connection lasts
// as long as its handler at the longest, so nothing may use it behind that.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/airlock-go/websocket"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8443", "`host:port` to listen on, for TCP and UDP")
	cert := flag.String("cert", "cert.pem", "`file` with the certificate")
	key := flag.String("key", "key.pem", "`file` with its key")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait
	pair, err := tls.LoadX509KeyPair(*cert, *key)
	if err == nil {
		err = run(ctx, *addr, pair, os.Stdout)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// shutdownTimeout bounds the end of the server.
const shutdownTimeout = 5 * time.Second

// run serves until ctx ends.
func run(ctx context.Context, addr string, cert tls.Certificate, stdout io.Writer) error {
	tcp, udp, err := listen(addr)
	if err != nil {
		return err
	}
	defer udp.Close()

	var group websocket.Group
	handler := echo(&websocket.Options{Group: &group})
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	quic := &http3.Server{Handler: handler, TLSConfig: http3.ConfigureTLSConfig(config)}
	web := &http.Server{Handler: announce(quic, handler), TLSConfig: config, ReadHeaderTimeout: 10 * time.Second}

	served := make(chan error, 2)
	go func() { served <- quic.Serve(udp) }()
	go func() { served <- web.ServeTLS(tcp, "", "") }()
	fmt.Fprintf(stdout, "listening on wss://%s/, by TCP and UDP\n", tcp.Addr())
	select {
	case <-ctx.Done():
	case err = <-served:
	}

	// Both servers wait for the handlers, and the handlers for the end of their
	// connections, which is the group's part.
	grace, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { group.Shutdown(grace) })
	all.Go(func() { quic.Shutdown(grace) })
	all.Go(func() { web.Shutdown(grace) })
	all.Wait()
	return err
}

// listen takes the same port for TCP and UDP.
func listen(addr string) (net.Listener, net.PacketConn, error) {
	tcp, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		return nil, nil, errors.Join(err, tcp.Close())
	}
	return tcp, udp, nil
}

// announce has every answer over TCP tell that there is HTTP/3.
func announce(quic *http3.Server, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The error is that it does not listen yet.
		_ = quic.SetQUICHeaders(w.Header())
		next.ServeHTTP(w, r)
	})
}

// echo sends everything back.
func echo(opts *websocket.Options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Upgrade(w, r, opts)
		if err != nil {
			log.Printf("%s: %v", r.RemoteAddr, err)
			return // the client has been told
		}
		defer c.CloseNow() // and not later than the handler
		for m, err := range c.Messages(context.Background()) {
			if err != nil {
				log.Printf("%s: %s: %v", c.RemoteAddr(), c.Protocol(), err)
				return
			}
			c.Write(context.Background(), m.Type, m.Data)
		}
	})
}
