package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/airlock-go/websocket"
)

type config struct {
	addr     string
	nats     string
	dir      string
	replicas int
	drain    time.Duration
	people   int
	untilEOF bool

	nodes int // without a name

	name    string
	cluster string
	routes  []string
	peers   []string
	options websocket.Options
}

// parseFlags reads the command line. With -h it prints the flags and returns
// flag.ErrHelp.
func parseFlags(args []string) (config, error) {
	limiter := new(websocket.Limiter)
	cfg := config{options: websocket.Options{
		Subprotocols:       []string{"cluster.v1"},
		RequireSubprotocol: true,
		MaxMessageSize:     maxMessageSize,
		SendQueue:          queueSize,
		Group:              new(websocket.Group),
		Limiter:            limiter,
	}}
	fs := flag.NewFlagSet("cluster", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // main prints the error
	fs.StringVar(&cfg.addr, "addr", "127.0.0.1:8081", "`host:port` to listen on; of several nodes, the first")
	fs.StringVar(&cfg.nats, "nats", "", "`URL` of a NATS cluster to join, with JetStream; default: NATS is embedded")
	fs.StringVar(&cfg.dir, "dir", "", "`directory` for what embedded NATS stores; default: one that is deleted at the end")
	fs.IntVar(&cfg.replicas, "replicas", 3, "`copies` that the stream has, if it has to be created")
	fs.DurationVar(&cfg.drain, "drain", 0, "`time` for which /healthz says 503 before the pages are told to go")
	fs.IntVar(&cfg.people, "people", 1000, "most `connections` of a node at a time")
	fs.BoolVar(&cfg.untilEOF, "until-eof", false, "end with standard input, too")
	fs.IntVar(&cfg.nodes, "nodes", 3, "without -name: how many `processes` to start on this machine")
	fs.StringVar(&cfg.name, "name", "", "be one node, of this `name`")
	fs.StringVar(&cfg.cluster, "cluster", "", "with -name: `host:port` where embedded NATS listens to the other nodes; there is no password")
	fs.Func("routes", "with -name: the -cluster `addresses` of all nodes, as 10.0.0.1:6222,10.0.0.2:6222", func(s string) error {
		cfg.routes = fields(s)
		return nil
	})
	fs.Func("peers", "with -name: the `origins` of all nodes, as http://10.0.0.1:8081,http://10.0.0.2:8081; none behind a load balancer", func(s string) error {
		cfg.peers = fields(s)
		return nil
	})
	var origins []string
	fs.Func("origins", "with -name: other `origins` whose pages may connect", func(s string) error {
		origins = fields(s)
		return nil
	})

	err := fs.Parse(args)
	limiter.Max = cfg.people
	cfg.options.TrustedOrigins = append(origins, cfg.peers...)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fs.SetOutput(os.Stderr)
		fs.Usage()
	case err != nil:
	case fs.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case cfg.name == "" && (cfg.nodes < 1 || cfg.nodes > 9):
		err = fmt.Errorf("-nodes is %d, want 1 to 9", cfg.nodes)
	case cfg.replicas < 1 || cfg.replicas > 5:
		err = fmt.Errorf("-replicas is %d, want 1 to 5", cfg.replicas)
	case slices.ContainsFunc(cfg.peers, func(peer string) bool { return !strings.HasPrefix(peer, "http") || strings.Contains(peer, "*") }):
		err = fmt.Errorf("not all of -peers %q can be connected to", cfg.peers)
	case cfg.name != "" && cfg.nats == "" && cfg.dir == "":
		err = errors.New("with -name and without -nats, -dir is needed")
	default:
		err = cfg.options.Validate()
	}
	return cfg, err
}

// host returns the name that browsers on this machine connect to.
func (c *config) host() string {
	host, _, _ := net.SplitHostPort(c.addr) // net.Listen says what is wrong with it
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		return "localhost"
	}
	return host
}

// fields splits a list.
func fields(s string) []string {
	return strings.FieldsFunc(s, func(c rune) bool { return c == ',' || c == ' ' })
}
