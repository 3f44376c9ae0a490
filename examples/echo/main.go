// Command echo is a WebSocket server that sends every message back, with a page
// to try it from.
//
//	go run ./examples/echo
//
// prints the URL that it listens on, ws://127.0.0.1:8080/. Clients of WebSocket
// connect to it; a browser that opens the same URL with http in place of ws
// shows the page, which connects by itself. Ctrl-C ends the server and tells
// every client (1001, going away). What the flags do, by example:
//
//	-addr :9000                 another address; port 0 takes a free one
//	-tls                        wss and https, with a self-signed certificate,
//	                            and HTTP/2 besides HTTP/1.1
//	-max 65536                  smaller messages only; -1 for any size
//	-compress                   compress messages, for clients that offer it
//	-window 15                  and keep 32 KiB of them each way, -1 for nothing
//	-subprotocols chat.v2,chat  speak one of these, the first by preference,
//	-require-subprotocol        and with nobody who offers neither
//	-origins https://a.example  pages from there may connect as well
//	-mode serve                 a goroutine for each connection, outside of the
//	-mode poller                HTTP handler; or none as long as nothing comes
//
// The page offers subprotocols when its own URL says which:
// http://127.0.0.1:8080/?subprotocols=chat. With -tls and GODEBUG=http2xconnect=1 in
// the environment, WebSockets come over HTTP/2, too; docs/http2.md tells more.
//
// What there is to learn about the library is in (*server).echo and below: a
// handshake, a loop over the messages or callbacks for them, and a close.
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

// shutdownTimeout bounds the end of the server. Conn.Close gives a client just
// as long to answer.
const shutdownTimeout = 5 * time.Second

// run is the program: it serves until ctx ends.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	cfg, err := parseFlags(args)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s := &server{options: cfg.options, mode: cfg.mode}
	s.options.Group = &s.group
	if s.mode == "poller" {
		if s.poller, err = websocket.NewPoller(nil); err != nil {
			return err
		}
		defer s.poller.Close()
	}
	web := &http.Server{Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second}

	scheme, serve := "ws", web.Serve
	if cfg.tls {
		cert, err := selfSigned(cfg.host())
		if err != nil {
			return err
		}
		web.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
		scheme, serve = "wss", func(l net.Listener) error { return web.ServeTLS(l, "", "") }
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

	// One Shutdown stops accepting, the other closes what has become a WebSocket
	// and is none of the first one's business any more.
	grace, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	var both sync.WaitGroup
	both.Go(func() { s.group.Shutdown(grace) })
	if web.Shutdown(grace) != nil {
		web.Close()
	}
	both.Wait()
	s.open.Wait()
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
	options websocket.Options
	mode    string
	poller  *websocket.Poller // in mode "poller"
	group   websocket.Group
	open    sync.WaitGroup // connections whose end was not logged
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		if wantsPage(r) {
			servePage(w, r)
		} else {
			s.echo(w, r)
		}
	})
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// wantsPage tells browsers from clients that did not mean to open a page, and
// had better be told what is spoken here.
func wantsPage(r *http.Request) bool {
	return !websocket.IsUpgrade(r) && (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		strings.Contains(r.Header.Get("Accept"), "text/html")
}

// echo answers the handshake, and has what comes sent back in one of three ways.
func (s *server) echo(w http.ResponseWriter, r *http.Request) {
	s.open.Add(1)
	conn, err := websocket.Upgrade(w, r, &s.options)
	if err != nil {
		s.open.Done()
		log.Printf("%s: %v", r.RemoteAddr, err)
		return // the client has been told
	}
	switch s.mode {
	case "serve":
		if r.ProtoMajor > 1 {
			// The connection is the request, and lives as long as its handler.
			conn.Serve(echoes{s})
			return
		}
		// The connection has a goroutine, and net/http can forget the request.
		go conn.Serve(echoes{s})
	case "poller":
		// While nothing comes, it has not even that. Over HTTP/2 this blocks.
		s.poller.Serve(conn, echoes{s})
	default:
		s.loop(conn)
	}
}

// loop is the way of a handler that keeps the connection to itself.
func (s *server) loop(conn *websocket.Conn) {
	defer s.ended(conn)
	defer conn.CloseNow()
	for m, err := range conn.Messages(context.Background()) {
		if err != nil {
			return
		}
		// No deadline is needed: Options.WriteTimeout takes care of a client
		// that does not read.
		if err := conn.Write(context.Background(), m.Type, m.Data); err != nil {
			return
		}
	}
}

// echoes is the way of callbacks.
type echoes struct{ *server }

func (e echoes) OnMessage(conn *websocket.Conn, m websocket.Message) error {
	return conn.Write(context.Background(), m.Type, m.Data)
}

func (e echoes) OnClose(conn *websocket.Conn, _ error) { e.ended(conn) }

func (s *server) ended(conn *websocket.Conn) {
	stats := conn.Stats()
	log.Printf("%s: %s: %v; %d messages received, %d sent",
		conn.RemoteAddr(), conn.Protocol(), conn.Err(), stats.MessagesReceived, stats.MessagesSent)
	s.open.Done()
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
