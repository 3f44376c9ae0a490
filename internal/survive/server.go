package main

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/airlock-go/websocket"
)

// modes are the ways to serve a connection.
var modes = []string{"handler", "serve", "poller"}

// A server echoes, broadcasts and keeps account, in the way of its mode. It is set up
// as a public one would be.
type server struct {
	mode      string
	listeners []net.Listener
	web       *http.Server
	options   websocket.Options
	poller    *websocket.Poller // of mode poller
	stopped   chan struct{}
	work      sync.WaitGroup

	// What tests replace, to see that mistakes are found.
	handler   func(websocket.Handler) websocket.Handler
	broadcast func(*websocket.PreparedMessage) (skipped int)
	offer     func(*websocket.Conn, *websocket.PreparedMessage) error

	mu     sync.Mutex
	visits map[*websocket.Conn]*visit
	peak   int            // most of them at a time
	ends   map[string]int // how many connections ended for which cause
	wrong  []string

	opened, closed, echoed, skipped atomic.Int64
}

// The server has several ports, since TCP has no more than 28,000 for a client at
// each, with those of connections that ended within the last minute.
const ports = 4

// queueSize has room for one broadcast, and for two answers.
const (
	queueSize     = 1 << 10
	broadcastSize = 700
)

// newServer returns a server that has not been started.
func newServer(p *plan) *server {
	s := &server{
		mode:    p.Mode,
		stopped: make(chan struct{}),
		visits:  make(map[*websocket.Conn]*visit),
		ends:    make(map[string]int),
		handler: func(h websocket.Handler) websocket.Handler { return h },
		offer:   (*websocket.Conn).TrySendPrepared,
	}
	s.options = websocket.Options{
		Compression:    &websocket.Compression{},
		MaxMessageSize: maxMessageSize,
		KeepAlive:      p.Patience,
		WriteTimeout:   p.writeTimeout(),
		SendQueue:      queueSize,
		Group:          new(websocket.Group),
		Limiter:        &websocket.Limiter{Max: p.Connections, MaxPerAddress: p.Connections},
	}
	s.broadcast = s.options.Group.Broadcast
	s.web = &http.Server{
		Handler:           http.HandlerFunc(s.welcome),
		ReadHeaderTimeout: p.silence(),
		ErrorLog:          log.New(complaints{s}, "", 0),
		ConnContext:       smallBuffer,
	}
	return s
}

// smallBuffer keeps what the system holds for a client that does not read to a size
// that clients exceed.
func smallBuffer(ctx context.Context, conn net.Conn) context.Context {
	// If it stays large, there are fewer stalls that the server notices.
	_ = conn.(*net.TCPConn).SetWriteBuffer(16 << 10)
	return ctx
}

// start serves, and broadcasts every now and then.
func (s *server) start(every time.Duration) error {
	if s.mode == "poller" {
		var err error
		if s.poller, err = websocket.NewPoller(nil); err != nil {
			return err
		}
	}
	for range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return errors.Join(err, s.stop())
		}
		s.listeners = append(s.listeners, l)
		s.work.Go(func() {
			if err := s.web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				s.complain(err.Error())
			}
		})
	}
	s.work.Go(func() { s.broadcastAll(every) })
	return nil
}

func (s *server) addresses() (list []string) {
	for _, l := range s.listeners {
		list = append(list, l.Addr().String())
	}
	return list
}

// stop ends what start has begun.
func (s *server) stop() error {
	close(s.stopped)
	err := s.web.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, cut := s.options.Group.Shutdown(ctx)
	if s.poller != nil {
		err = errors.Join(err, s.poller.Close())
	}
	s.work.Wait()
	return errors.Join(err, cut)
}

// welcome is the HTTP handler.
func (s *server) welcome(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Upgrade(w, r, &s.options)
	if err != nil {
		return
	}
	v := s.register(c)
	h := s.handler(v)
	switch s.mode {
	case "handler":
		for m, err := range c.Messages(context.Background()) {
			if err != nil || h.OnMessage(c, m) != nil {
				break
			}
		}
		_ = c.CloseNow() // unless it has ended
		h.OnClose(c, c.Err())
	case "serve":
		go c.Serve(h)
	case "poller":
		if err := s.poller.Serve(c, h); err != nil {
			s.complain("Poller.Serve: " + err.Error())
		}
	}
}

func (s *server) register(c *websocket.Conn) *visit {
	v := &visit{server: s, conn: c}
	s.opened.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.visits[c] = v
	s.peak = max(s.peak, len(s.visits))
	return v
}

// broadcastAll sends numbered messages to everybody: those with an even number by
// Group.Broadcast, which tells how many were skipped, the others one by one, so that
// each connection has its own account.
func (s *server) broadcastAll(every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for number := uint64(0); ; number++ {
		select {
		case <-ticker.C:
		case <-s.stopped:
			return
		}
		m, err := websocket.NewPreparedMessage(websocket.Text, note{broadcast, uint64(time.Now().UnixMilli()), number}.bytes(broadcastSize))
		if err != nil {
			s.complain(err.Error())
			return
		}
		if number%2 == 0 {
			s.skipped.Add(int64(s.broadcast(m)))
			continue
		}
		for c := range s.options.Group.All() {
			s.mu.Lock()
			v := s.visits[c]
			s.mu.Unlock()
			if v != nil {
				v.offer(m)
			}
		}
	}
}

// complain notes what must not happen.
func (s *server) complain(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.wrong) < maxComplaints {
		s.wrong = append(s.wrong, what)
	}
}

const maxComplaints = 10

// complaints takes what net/http logs: panics, and that it cannot accept.
type complaints struct{ *server }

func (c complaints) Write(p []byte) (int, error) {
	c.complain(strings.TrimSpace(string(p)))
	return len(p), nil
}
