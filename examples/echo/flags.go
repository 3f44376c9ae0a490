package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/airlock-go/websocket"
)

type config struct {
	addr    string
	tls     bool
	mode    string
	options websocket.Options
}

// parseFlags reads the command line. With -h it prints the flags and returns
// flag.ErrHelp.
func parseFlags(args []string) (config, error) {
	var cfg config
	opts := &cfg.options
	fs := flag.NewFlagSet("echo", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // main prints the error
	fs.StringVar(&cfg.addr, "addr", "127.0.0.1:8080", "`host:port` to listen on; port 0 takes a free one")
	fs.BoolVar(&cfg.tls, "tls", false, "serve wss, with a self-signed certificate")
	fs.Int64Var(&opts.MaxMessageSize, "max", 1<<20, "largest message in `bytes`; negative: no limit")
	compress := fs.Bool("compress", false, "compress messages (permessage-deflate)")
	window := fs.Int("window", 0, "base-2 `logarithm` of the window kept in each direction, with -compress: 8 to 15; 0: 12; negative: none")
	fs.Func("subprotocols", "`subprotocols` to speak, as a,b in order of preference", list(&opts.Subprotocols))
	fs.BoolVar(&opts.RequireSubprotocol, "require-subprotocol", false, "refuse clients that offer none of -subprotocols")
	fs.Func("origins", "foreign `origins` whose pages may connect, as https://a.example,https://b.example", list(&opts.TrustedOrigins))

	fs.StringVar(&cfg.mode, "mode", "handler", "what serves a connection: its HTTP `handler`, serve (a goroutine), or a poller")

	err := fs.Parse(args)
	opts.Compression = &websocket.Compression{SendWindowBits: *window, ReceiveWindowBits: *window}
	switch {
	case errors.Is(err, flag.ErrHelp):
		fs.SetOutput(os.Stderr)
		fs.Usage()
	case err != nil:
	case fs.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case cfg.mode != "handler" && cfg.mode != "serve" && cfg.mode != "poller":
		err = fmt.Errorf("-mode is handler, serve or poller, not %q", cfg.mode)
	default:
		err = opts.Validate()
	}
	if !*compress {
		opts.Compression = nil
	}
	return cfg, err
}

// list returns what a flag does with the elements of a list.
func list(to *[]string) func(string) error {
	return func(s string) error {
		*to = strings.FieldsFunc(s, func(c rune) bool { return c == ',' || c == ' ' })
		return nil
	}
}

// host returns the name that clients on this machine connect to.
func (c *config) host() string {
	host, _, _ := net.SplitHostPort(c.addr) // net.Listen says what is wrong with it
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		return "localhost"
	}
	return host
}
