// Command chat is a chat room with a web page.
//
//	go run ./examples/chat
//
// prints a URL, http://127.0.0.1:8080/. Open it in two windows, give two names,
// and talk. Then end the server with Ctrl-C and start it again: the pages are
// told (1001, going away), come back by themselves, and nobody loses a word that
// was typed meanwhile.
//
//	-addr :9000                 another address; port 0 takes a free one
//	-tls                        https and wss, with a self-signed certificate
//	-origins https://a.example  pages from there may connect as well
//	-people 50                  no more than 50 at a time; others may try again
//
// With -tls and GODEBUG=http2xconnect=1 in the environment, pages chat over HTTP/2;
// docs/http2.md tells more.
//
// protocol.go is what the page and the server say to each other, room.go is who
// is here and who gets what, and visit.go, the file to read first, is the life
// of one connection.
package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/airlock-go/websocket"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		log.Fatal(err)
	}
}

// shutdownTimeout is how long pages and people have when the server ends.
const shutdownTimeout = 5 * time.Second

// run is the program: it serves until ctx ends.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	cfg, err := parseFlags(args)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s := &server{options: &cfg.options, ctx: ctx}
	web := &http.Server{Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second}

	scheme, serve := "http", web.Serve
	if cfg.tls {
		cert, err := selfSigned(cfg.host())
		if err != nil {
			return err
		}
		web.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
		scheme, serve = "https", func(l net.Listener) error { return web.ServeTLS(l, "", "") }
	}
	l, err := net.Listen("tcp", cfg.addr)
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	fmt.Fprintf(stdout, "listening on %s://%s/\n", scheme, net.JoinHostPort(cfg.host(), port))
	if cfg.tls {
		fmt.Fprintf(stdout, "the certificate is self-signed; WebSockets %s\n", offered())
	}

	served := make(chan error, 1)
	go func() {
		served <- serve(l)
		stop()
	}()
	<-ctx.Done()

	// The group ends the WebSockets. Over HTTP/1.1, web knows nothing of them any
	// more; over HTTP/2 it waits for them.
	grace, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	var both sync.WaitGroup
	both.Go(func() { cfg.options.Group.Shutdown(grace) })
	both.Go(func() {
		if web.Shutdown(grace) != nil {
			web.Close()
		}
	})
	both.Wait()
	s.handlers.Wait()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// offered says over which versions of HTTP a WebSocket can be opened. net/http looks
// for this setting in the environment, too, and when the process starts.
func offered() string {
	if strings.Contains(os.Getenv("GODEBUG"), "http2xconnect=1") {
		return "may use HTTP/1.1 and HTTP/2 (extended CONNECT is offered)"
	}
	return "use HTTP/1.1 (GODEBUG=http2xconnect=1 in the environment has extended CONNECT offered, for HTTP/2)"
}

type server struct {
	options *websocket.Options
	ctx     context.Context // ends when the server does
	room    room

	// Those of WebSockets: a connection ends before its handler does.
	handlers sync.WaitGroup
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", servePage)
	mux.HandleFunc("/ws", s.serveChat)
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

func (s *server) serveChat(w http.ResponseWriter, r *http.Request) {
	s.handlers.Add(1)
	defer s.handlers.Done()
	conn, err := websocket.Upgrade(w, r, s.options)
	if err != nil {
		log.Printf("%s: %v", r.RemoteAddr, err)
		return // the client has been told
	}
	// Without go: over HTTP/2 the connection lives as long as its handler.
	s.room.visit(s.ctx, conn)
	log.Printf("%s: %s: %v", r.RemoteAddr, conn.Protocol(), conn.Err())
}

//go:embed page.html
var page string

// Nothing runs on the page but what bears the nonce of this response, and it
// connects to nothing but this server: 'self' includes ws and wss. The only image
// is the icon that browsers ask for.
const policy = "default-src 'none'; script-src 'nonce-%[1]s'; style-src 'nonce-%[1]s'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func servePage(w http.ResponseWriter, _ *http.Request) {
	nonce := rand.Text()
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", fmt.Sprintf(policy, nonce))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	io.WriteString(w, strings.ReplaceAll(page, "NONCE", nonce))
}
