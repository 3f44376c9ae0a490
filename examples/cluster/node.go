package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/airlock-go/websocket"
)

// shutdownTimeout is how long pages and people have when a node ends.
const shutdownTimeout = 5 * time.Second

// node is one of the processes that make the chat.
type node struct {
	name     string
	peers    []string // the origins of all nodes
	options  *websocket.Options
	broker   *broker
	room     room
	presence presence

	draining atomic.Bool
	handlers sync.WaitGroup // those of WebSockets: a connection ends before its handler does
}

// runNode is one node, until ctx ends. It listens when it knows all that was said.
func runNode(ctx context.Context, cfg *config, stdout io.Writer) error {
	b, err := connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer b.close() // when nobody needs it any more
	n := &node{name: cfg.name, peers: cfg.peers, options: &cfg.options, broker: b}

	background, end := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	defer loops.Wait()
	defer end()
	current := make(chan struct{})
	loops.Go(func() { b.follow(background, n.add, sync.OnceFunc(func() { close(current) })) })
	if _, err := b.conn.Subscribe(peopleSubject, n.hearPeople); err != nil {
		return err
	}
	loops.Go(func() { n.tellPeople(background) })
	select {
	case <-current:
	case <-ctx.Done():
		return ctx.Err()
	}

	l, err := net.Listen("tcp", cfg.addr)
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	fmt.Fprintf(stdout, "node %s: http://%s/ (process %d)\n", n.name, net.JoinHostPort(cfg.host(), port), os.Getpid())
	return n.serve(ctx, l, cfg.drain)
}

// add takes a message from the stream.
func (n *node) add(seq uint64, data []byte) {
	var s said
	if err := json.Unmarshal(data, &s); err != nil {
		log.Printf("message %d of the stream: %v", seq, err)
		return
	}
	n.room.add(seq, s)
}

// serve serves until ctx ends, and then sees everybody off: first the load balancer is
// told, then the pages, and what they have sent is stored or left to another node.
func (n *node) serve(ctx context.Context, l net.Listener, drain time.Duration) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	storing, giveUp := context.WithCancel(context.Background())
	defer giveUp()
	web := &http.Server{Handler: n.routes(storing), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() {
		served <- web.Serve(l)
		stop()
	}()
	<-ctx.Done()
	n.draining.Store(true)
	time.Sleep(drain)

	// The group has the WebSockets, of which web knows nothing any more.
	grace, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	var both sync.WaitGroup
	both.Go(func() { n.options.Group.Shutdown(grace) })
	both.Go(func() {
		if web.Shutdown(grace) != nil {
			web.Close()
		}
	})
	both.Wait()
	giveUp() // the pages are gone, and will send again what has no ack
	n.handlers.Wait()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (n *node) routes(storing context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", n.servePage)
	mux.HandleFunc("GET /healthz", n.serveHealth)
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		n.handlers.Add(1)
		defer n.handlers.Done()
		conn, err := websocket.Upgrade(w, r, n.options)
		if err != nil {
			log.Printf("%s: %s: %v", n.name, r.RemoteAddr, err)
			return // the client has been told
		}
		n.visit(storing, conn)
		log.Printf("%s: %s: %v", n.name, r.RemoteAddr, conn.Err())
	})
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// serveHealth is for a load balancer: whether new clients should come here.
func (n *node) serveHealth(w http.ResponseWriter, _ *http.Request) {
	why := "shutting down"
	if !n.draining.Load() {
		why = n.broker.lost()
	}
	if why != "" {
		http.Error(w, why, http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

//go:embed page.html
var page string

// Nothing runs on the page but what bears the nonce of this response, and it connects
// to nothing but the nodes: 'self' includes ws and wss. The only image is the icon that
// browsers ask for.
const policy = "default-src 'none'; script-src 'nonce-%[1]s'; style-src 'nonce-%[1]s'; connect-src 'self'%[2]s; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func (n *node) servePage(w http.ResponseWriter, _ *http.Request) {
	nonce, nodes, sources := rand.Text(), "", ""
	for _, origin := range n.peers {
		source := "ws" + strings.TrimPrefix(origin, "http") // and wss for https
		sources += " " + source
		nodes += source + "/ws "
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", fmt.Sprintf(policy, nonce, sources))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	strings.NewReplacer("NONCE", nonce, "NODES", html.EscapeString(strings.TrimSpace(nodes))).WriteString(w, page)
}
