// Command auth is a WebSocket server for people who have logged in: a form, a
// cookie, and a socket that refuses everybody else.
//
//	go run ./examples/auth
//
// prints the URL that it listens on, http://127.0.0.1:8080/. A browser shows the
// form there, and then a page that connects to /ws. Without the cookie that the
// form gives, /ws answers 401; to a page of a foreign origin 403, cookie or not.
// Whoever logs out, or stays longer than a session lasts, loses the sockets too
// (1008, policy violation). Ctrl-C ends the server and tells every client (1001,
// going away). What the flags do, by example:
//
//	-addr :9000                 another address; port 0 takes a free one
//	-secure                     behind a proxy that ends TLS: cookies for https only
//	-lifetime 30s               sessions that end soon, to see what happens then
//	-origins https://a.example  pages from there may connect as well
//
// What there is to learn is in (*server).socket, login.go and session.go. What
// an application of your own has besides: passwords, one for each user and
// hashed, and limits on guesses and on sessions.
package main

import (
	"context"
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

// run is the program: it serves until ctx ends.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	cfg, err := parseFlags(args)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", cfg.addr)
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	fmt.Fprintf(stdout, "listening on http://%s/\n", net.JoinHostPort(cfg.host(), port))
	return serve(ctx, cfg, l)
}

// shutdownTimeout bounds the end of the server. Conn.Close gives a client just
// as long to answer.
const shutdownTimeout = 5 * time.Second

func serve(ctx context.Context, cfg config, l net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s := newServer(ctx, cfg)
	web := &http.Server{Handler: s.routes(), ReadTimeout: 10 * time.Second} // not for sockets: Upgrade ends it

	served := make(chan error, 1)
	go func() {
		served <- web.Serve(l)
		stop()
	}()
	<-ctx.Done()

	// Shutdown stops accepting. Sockets are none of its business any more: they
	// close because ctx has ended, and sockets waits for them.
	grace, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if web.Shutdown(grace) != nil {
		web.Close()
	}
	s.sockets.Lock()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type server struct {
	config
	ctx      context.Context // ends when the server does
	sessions sessions

	// Every socket holds sockets for reading, so taking it for writing waits for
	// all of them and lets no other begin.
	sockets sync.RWMutex
}

func newServer(ctx context.Context, cfg config) *server {
	return &server{config: cfg, ctx: ctx, sessions: sessions{byHash: make(map[hash]*session)}}
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("POST /login", s.login)
	mux.HandleFunc("POST /logout", s.logout)
	mux.HandleFunc("GET /session", s.status)
	mux.HandleFunc("/ws", s.socket)
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})
	// No page of another origin can log a browser in or out. The handshake of a
	// WebSocket is a GET, which this lets through: Upgrade looks at its Origin.
	return http.NewCrossOriginProtection().Handler(mux)
}

// socket greets the user by name and sends back what comes, until the
// connection or the session ends.
func (s *server) socket(w http.ResponseWriter, r *http.Request) {
	if !s.sockets.TryRLock() {
		http.Error(w, "the server is shutting down", http.StatusServiceUnavailable)
		return
	}
	defer s.sockets.RUnlock()

	// Authorize is only called for requests that are fine otherwise. Options are
	// shared, so these are a copy: what Authorize finds belongs to this request.
	var session *session
	opts := s.options
	opts.Authorize = func(r *http.Request) error {
		if session = s.sessionOf(r); session == nil {
			return unauthorized()
		}
		return nil
	}
	conn, err := websocket.Upgrade(w, r, &opts)
	if err != nil {
		log.Printf("%s: %v", r.RemoteAddr, err)
		return // the client has been told
	}
	defer conn.CloseNow()
	converse(conn, session)

	// The handshake was the only time that the cookie came, so whoever ends the
	// session has to end its sockets, too.
	if s.ctx.Err() != nil {
		conn.Close(context.Background(), websocket.CloseGoingAway, "the server is shutting down")
	} else if cause := context.Cause(session.ctx); cause != nil {
		conn.Close(context.Background(), websocket.ClosePolicyViolation, cause.Error())
	}
	log.Printf("%s: %q: %v", r.RemoteAddr, session.user, conn.Err())
}

// converse returns when the connection or the session has ended, for every read
// and write has the context of the session.
func converse(conn *websocket.Conn, session *session) {
	expires, _ := session.ctx.Deadline()
	hello := fmt.Sprintf("Hello %s. This session ends at %s.", session.user, expires.Format(time.TimeOnly))
	if conn.Write(session.ctx, websocket.Text, []byte(hello)) != nil {
		return
	}
	for m, err := range conn.Messages(session.ctx) {
		if err != nil {
			return
		}
		answer := append([]byte(session.user+": "), m.Data...)
		if conn.Write(session.ctx, m.Type, answer) != nil {
			return
		}
	}
}

// unauthorized refuses a handshake without a session.
func unauthorized() error {
	err := websocket.Reject(http.StatusUnauthorized, "There is no session, or it has ended. Log in first.")
	err.Header = http.Header{"Www-Authenticate": {challenge}}
	return err
}
