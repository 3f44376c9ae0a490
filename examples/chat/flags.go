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
	options websocket.Options
}

// parseFlags reads the command line. With -h it prints the flags and returns
// flag.ErrHelp.
func parseFlags(args []string) (config, error) {
	cfg := config{options: websocket.Options{
		Subprotocols:       []string{"chat.v1"},
		RequireSubprotocol: true,
		MaxMessageSize:     maxMessageSize,
		SendQueue:          queueSize,
		Group:              new(websocket.Group),
		Limiter:            new(websocket.Limiter),
	}}
	fs := flag.NewFlagSet("chat", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // main prints the error
	fs.StringVar(&cfg.addr, "addr", "127.0.0.1:8080", "`host:port` to listen on; port 0 takes a free one")
	fs.BoolVar(&cfg.tls, "tls", false, "serve https and wss, with a self-signed certificate")
	fs.Func("origins", "foreign `origins` whose pages may connect, as https://a.example,https://b.example", func(s string) error {
		cfg.options.TrustedOrigins = strings.FieldsFunc(s, func(c rune) bool { return c == ',' || c == ' ' })
		return nil
	})
	fs.IntVar(&cfg.options.Limiter.Max, "people", 1000, "most `connections` at a time")

	err := fs.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fs.SetOutput(os.Stderr)
		fs.Usage()
	case err != nil:
	case fs.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", fs.Arg(0))
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
