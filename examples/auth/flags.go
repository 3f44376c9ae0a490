package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/airlock-go/websocket"
)

type config struct {
	addr     string
	secure   bool
	lifetime time.Duration // of a session
	options  websocket.Options
}

// parseFlags reads the command line. With -h it prints the flags and returns
// flag.ErrHelp.
func parseFlags(args []string) (config, error) {
	var cfg config
	fs := flag.NewFlagSet("auth", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // main prints the error
	fs.StringVar(&cfg.addr, "addr", "127.0.0.1:8080", "`host:port` to listen on; port 0 takes a free one")
	fs.BoolVar(&cfg.secure, "secure", false, "browsers come by https, through a proxy that ends TLS")
	fs.DurationVar(&cfg.lifetime, "lifetime", 12*time.Hour, "how long a `session` lasts")
	fs.Func("origins", "foreign `origins` whose pages may connect, as https://a.example,https://b.example", func(s string) error {
		cfg.options.TrustedOrigins = strings.FieldsFunc(s, func(c rune) bool { return c == ',' || c == ' ' })
		return nil
	})

	err := fs.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fs.SetOutput(os.Stderr)
		fs.Usage()
	case err != nil:
	case fs.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case cfg.lifetime <= 0:
		err = fmt.Errorf("a session cannot last %v", cfg.lifetime)
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
