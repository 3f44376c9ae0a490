// Command versions is an echo server that speaks HTTP/1.1, HTTP/2 and HTTP/3, all
// with the same handler. HTTP/2 it has over TLS and in the clear. WebSocket over
// HTTP/2 takes GODEBUG=http2xconnect=1 in the environment.
//
// What is asked for in the query of a URL:
//
//	mode=serve, mode=poller  callbacks in place of a loop in the handler
//	compress=9               permessage-deflate, with windows of so many bits
//	strict=1                 nobody connects without a subprotocol
//	close=4321&reason=x      the first message is answered by closing
//	drop=1                   or by CloseNow
//	flood=1                  or by messages without end, with a WriteTimeout of 1 s
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
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/airlock-go/websocket"
)

func main() {
	file := flag.String("pem", "", "`file` of the certificate and its key")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *file); err != nil {
		log.Fatal(err)
	}
}

// shutdownTimeout is how long clients have when the server ends.
const shutdownTimeout = 5 * time.Second

func run(ctx context.Context, pem string) error {
	cert, err := tls.LoadX509KeyPair(pem, pem)
	if err != nil {
		return err
	}
	s := new(server)
	if s.poller, err = websocket.NewPoller(nil); err != nil {
		return err
	}
	defer s.poller.Close()
	overTLS, inClear, overQUIC, err := listen()
	if err != nil {
		return err
	}
	fmt.Printf("listening on https://%s/ and http://%s/\n", overTLS.Addr(), inClear.Addr())

	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	web := &http.Server{
		Handler: s, Protocols: protocols, TLSConfig: config,
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
	}
	quic := &http3.Server{Handler: s, TLSConfig: http3.ConfigureTLSConfig(config)} // offers it by itself
	served := make(chan error, 3)
	go func() { served <- web.ServeTLS(overTLS, "", "") }()
	go func() { served <- web.Serve(inClear) }()
	go func() { served <- quic.Serve(overQUIC) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { s.group.Shutdown(grace) })
	all.Go(func() { err = errors.Join(web.Shutdown(grace), quic.Shutdown(grace)) })
	all.Wait()
	return err
}

// listen opens the sockets. TCP and UDP have the same port for TLS.
func listen() (overTLS, inClear net.Listener, overQUIC net.PacketConn, err error) {
	if inClear, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return
	}
	for range 100 {
		if overTLS, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return
		}
		if overQUIC, err = net.ListenPacket("udp", overTLS.Addr().String()); err == nil {
			return
		}
		overTLS.Close()
	}
	return
}

type server struct {
	poller *websocket.Poller
	group  websocket.Group
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !websocket.IsUpgrade(r) && r.URL.Path == "/page" {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<!DOCTYPE html><title>page</title>")
		return
	}
	name := r.Method + " over HTTP/" + strconv.Itoa(r.ProtoMajor) + " for " + r.URL.RequestURI()
	conn, err := websocket.Upgrade(w, r, s.options(r))
	if err != nil {
		log.Printf("%s: %v", name, err)
		return
	}
	log.Printf("%s: open", name)
	e := &echo{r.URL.Query(), name}
	switch e.asked.Get("mode") {
	case "serve":
		conn.Serve(e)
	case "poller":
		s.poller.Serve(conn, e)
	default:
		e.loop(conn)
	}
}

func (s *server) options(r *http.Request) *websocket.Options {
	asked := r.URL.Query()
	opts := &websocket.Options{
		Subprotocols:       []string{"chat.v2", "chat"},
		RequireSubprotocol: asked.Has("strict"),
		Group:              &s.group,
	}
	if asked.Has("flood") {
		opts.WriteTimeout = time.Second
	}
	if bits, err := strconv.Atoi(asked.Get("compress")); err == nil {
		opts.Compression = &websocket.Compression{SendWindowBits: bits, ReceiveWindowBits: bits}
	}
	return opts
}

// echo serves a connection.
type echo struct {
	asked url.Values
	name  string // of the request
}

func (e *echo) loop(conn *websocket.Conn) {
	defer e.OnClose(conn, nil)
	defer conn.CloseNow()
	for m, err := range conn.Messages(context.Background()) {
		if err != nil || e.OnMessage(conn, m) != nil {
			return
		}
	}
}

func (e *echo) OnMessage(conn *websocket.Conn, m websocket.Message) error {
	ctx := context.Background()
	switch code, err := strconv.Atoi(e.asked.Get("close")); {
	case err == nil:
		err := conn.Close(ctx, websocket.CloseCode(code), e.asked.Get("reason"))
		log.Printf("%s: Close returned %v", e.name, err)
		return err
	case e.asked.Has("drop"):
		return conn.CloseNow()
	case e.asked.Has("flood"):
		for flood := make([]byte, 1<<20); ; {
			if err := conn.Write(ctx, websocket.Binary, flood); err != nil {
				return err
			}
		}
	}
	return conn.Write(ctx, m.Type, m.Data)
}

func (e *echo) OnClose(conn *websocket.Conn, _ error) {
	log.Printf("%s: ended with %d: %v", e.name, websocket.CloseStatus(conn.Err()), conn.Err())
}
