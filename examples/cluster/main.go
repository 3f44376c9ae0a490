// Command cluster is a chat that outlives its servers: several processes, called
// nodes, with what was said in a stream of NATS JetStream.
//
//	cd examples/cluster && go run .
//
// starts three nodes, each with a NATS server embedded, and prints a URL and a process
// id for each. Open one or two of the URLs, talk, and kill a node:
//
//	kill -9 PROCESS
//
// Its pages reconnect to another node, get what they have missed, and send again what
// was not acknowledged. Nothing is lost, and nothing comes twice. The node is started
// again some seconds later, as something that watches servers would do it, and catches
// up. Ctrl-C ends them all.
//
//	-nodes 5         more nodes; with fewer than three, none may be lost
//	-nats nats://a   nothing is embedded: the nodes join a real NATS cluster
//	-dir data        what was said is still there next time
//
// On several machines, each runs one node, with or without a load balancer in front:
//
//	cluster -name a -addr :8080 -nats nats://nats.internal -peers https://a.example,https://b.example
//
// visit.go, the file to read first, is the life of one connection, and room.go who is
// here and gets what. broker.go is what the nodes have in common, people.go who is on
// which. node.go is a node from beginning to end, nodes.go starts several of them, and
// protocol.go is what they and the page say to each other. docs/scaling.md has the
// reasons.
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		log.Fatal(err)
	}
}

// run is the program: it serves until ctx ends.
func run(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	cfg, err := parseFlags(args)
	if err != nil {
		return err
	}
	if cfg.untilEOF {
		var end context.CancelFunc
		ctx, end = context.WithCancel(ctx)
		go func() {
			io.Copy(io.Discard, stdin)
			end()
		}()
	}
	if cfg.name == "" {
		return runNodes(ctx, &cfg, stdout)
	}
	return runNode(ctx, &cfg, stdout)
}
