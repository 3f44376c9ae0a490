package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	streamName    = "airlock-chat"
	saidSubject   = "airlock.chat.said"
	peopleSubject = "airlock.chat.people" // not in the stream: gone once heard
)

const (
	// publishTimeout is how long a message may wait to be stored. When the server
	// that leads the stream is lost, the others take up to ten seconds to notice and
	// to elect another.
	publishTimeout = 30 * time.Second

	// tryTimeout is for one question to the broker. What has no answer by then was
	// asked of somebody who is gone.
	tryTimeout = 2 * time.Second
	retryAfter = 200 * time.Millisecond

	// duplicates is how long the stream knows the id of a message, so that what is
	// sent again within this time is stored once.
	duplicates = 10 * time.Minute
)

// broker is what the nodes have in common: the stream of all that was said, which
// gives every message its number, and a subject on which they tell who is here.
type broker struct {
	embedded *server.Server // nil with -nats
	quorum   int            // of the servers, when embedded
	conn     *nats.Conn
	js       jetstream.JetStream
	stream   jetstream.Stream
}

// connect waits for the broker and for the stream, which the first node creates.
func connect(ctx context.Context, cfg *config) (*broker, error) {
	b := new(broker)
	err := b.dial(cfg)
	if err == nil {
		b.stream, err = b.open(ctx, cfg.replicas)
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// dial connects to NATS, or to a server that it embeds.
func (b *broker) dial(cfg *config) (err error) {
	options := []nats.Option{nats.Name("airlock " + cfg.name), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true)}
	if cfg.nats == "" {
		// The server also listens for clients, or it would not know how to retire.
		// None but this node has the password.
		password := rand.Text()
		if b.embedded, err = embed(cfg, password); err != nil {
			return err
		}
		b.quorum = cfg.replicas/2 + 1
		options = append(options, nats.InProcessServer(b.embedded), nats.Token(password))
	}
	if b.conn, err = nats.Connect(cfg.nats, options...); err != nil {
		return err
	}
	b.js, err = jetstream.New(b.conn)
	return err
}

// embed starts a server of NATS in this process.
func embed(cfg *config, password string) (*server.Server, error) {
	opts := &server.Options{
		ServerName:          cfg.name,
		Host:                "127.0.0.1",
		Port:                server.RANDOM_PORT,
		Authorization:       password,
		JetStream:           true,
		JetStreamMaxStore:   1 << 30,
		JetStreamMaxMemory:  64 << 20,
		StoreDir:            cfg.dir,
		NoSigs:              true,
		NoLog:               true,
		LameDuckDuration:    2 * time.Second,
		LameDuckGracePeriod: time.Second,
	}
	if cfg.cluster != "" {
		host, port, err := net.SplitHostPort(cfg.cluster)
		if err != nil {
			return nil, err
		}
		opts.Cluster.Name, opts.Cluster.Host = streamName, host
		if opts.Cluster.Port, err = strconv.Atoi(port); err != nil {
			return nil, fmt.Errorf("-cluster: %w", err)
		}
		for _, route := range cfg.routes {
			opts.Routes = append(opts.Routes, &url.URL{Scheme: "nats", Host: route})
		}
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return nil, err
	}
	srv.Start()
	if !srv.ReadyForConnections(publishTimeout) {
		srv.Shutdown()
		return nil, errors.New("the embedded NATS server does not start; is its port taken?")
	}
	return srv, nil
}

// open returns the stream. A new cluster needs a while, and all who will keep a copy,
// to create it.
func (b *broker) open(ctx context.Context, replicas int) (jetstream.Stream, error) {
	cfg := jetstream.StreamConfig{
		Name:       streamName,
		Subjects:   []string{saidSubject},
		MaxMsgs:    historySize,
		Duplicates: duplicates,
		Replicas:   replicas,
	}
	begin, said := time.Now(), ""
	for {
		try, cancel := context.WithTimeout(ctx, tryTimeout)
		stream, err := b.js.Stream(try, streamName)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			stream, err = b.js.CreateStream(try, cfg)
		}
		cancel()
		if err == nil {
			return stream, nil
		}
		if time.Since(begin) > 5*time.Second && err.Error() != said {
			said = err.Error()
			log.Printf("waiting for the broker: %v", err)
		}
		if !sleep(ctx, retryAfter) {
			return nil, fmt.Errorf("no stream: %w", err)
		}
	}
}

// streamID tells the stream from one that is made anew and counts from 1 again.
func (b *broker) streamID() string {
	return strconv.FormatInt(b.stream.CachedInfo().Created.UnixNano(), 36)
}

// publish stores a message under its id and returns its number. It returns when most
// of the copies have it, so that it survives the loss of any one, or with an error:
// then it may have been stored or not, and may be published again.
func (b *broker) publish(ctx context.Context, s said) (seq uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	for {
		try, cancel := context.WithTimeout(ctx, tryTimeout)
		ack, err := b.js.Publish(try, saidSubject, encode(s), jetstream.WithMsgID(s.ID))
		cancel()
		if err == nil {
			return ack.Sequence, nil
		}
		if !sleep(ctx, retryAfter) {
			return 0, err
		}
	}
}

// follow gives all messages of the stream to f, in order and each once, until ctx
// ends. It calls current whenever there are no more for now.
func (b *broker) follow(ctx context.Context, f func(seq uint64, data []byte), current func()) {
	next := uint64(1)
	for {
		err := b.read(ctx, &next, f, current)
		if !sleep(ctx, retryAfter) {
			return
		}
		log.Printf("following from %d again: %v", next, err)
	}
}

var errGap = errors.New("a message was lost on the way here")

// read follows by means of one consumer, for as long as that lasts: it lives on one
// server, and is lost with it.
func (b *broker) read(ctx context.Context, next *uint64, f func(seq uint64, data []byte), current func()) error {
	try, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	consumer, err := b.stream.CreateConsumer(try, jetstream.ConsumerConfig{
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       *next,
		AckPolicy:         jetstream.AckNonePolicy,
		InactiveThreshold: time.Minute,
		MemoryStorage:     true,
		Replicas:          1,
	})
	if err != nil {
		return err
	}
	if consumer.CachedInfo().NumPending == 0 {
		current()
	}
	messages, err := consumer.Messages(jetstream.PullExpiry(10*time.Second), jetstream.PullHeartbeat(time.Second),
		jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return err
	}
	defer messages.Stop()
	for n := uint64(1); ; n++ {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		if meta.Sequence.Consumer != n {
			return errGap
		}
		f(meta.Sequence.Stream, msg.Data())
		*next = meta.Sequence.Stream + 1
		if meta.NumPending == 0 {
			current()
		}
	}
}

// lost says why this node cannot reach the broker, or "". It is about this node
// alone: that the broker elects a leader, or is down, is the same for all nodes, and
// no reason to take each of them out of a load balancer.
func (b *broker) lost() string {
	if !b.conn.IsConnected() {
		return "not connected to NATS"
	}
	if b.embedded != nil && b.embedded.NumRemotes()+1 < b.quorum {
		return "cut off from the other NATS servers"
	}
	return ""
}

// close hands over what this server leads, if there is one, and ends it.
func (b *broker) close() {
	if b.conn != nil {
		b.conn.FlushTimeout(tryTimeout)
		b.conn.Close()
	}
	if b.embedded != nil {
		b.embedded.LameDuckShutdown()
		b.embedded.WaitForShutdown()
	}
}

// sleep waits for d, and reports whether ctx still goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
