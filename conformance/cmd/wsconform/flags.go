package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"

	"github.com/airlock-go/websocket/conformance"
)

type config struct {
	options           conformance.Options
	list, verbose     bool
	expect            string
	update            bool
	html, json, junit string
}

func parseFlags(args []string, stderr io.Writer) (*config, error) {
	cfg := &config{}
	o := &cfg.options
	o.Header = make(http.Header)
	f := flag.NewFlagSet("wsconform", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Func("run", "play the cases whose names match `regexp`", func(s string) (err error) {
		o.Match, err = regexp.Compile(s)
		return err
	})
	f.BoolVar(&cfg.list, "list", false, "print the names of the cases")
	f.BoolVar(&cfg.verbose, "v", false, "print what was said in every case that did not pass")
	f.StringVar(&cfg.html, "html", "", "write a page to look at to `file`")
	f.StringVar(&cfg.json, "json", "", "write everything to `file`; - for standard output")
	f.StringVar(&cfg.junit, "junit", "", "write a report in the format of JUnit to `file`")
	f.StringVar(&cfg.expect, "expect", "", "the verdicts have to be those in `file`")
	f.BoolVar(&cfg.update, "update", false, "write the file of -expect")
	f.IntVar(&o.Parallel, "parallel", 8, "play so many cases at a time")
	f.DurationVar(&o.Patience, "patience", 0, "`time` that a server may say nothing when it ought to (default 5s)")
	f.DurationVar(&o.Idle, "idle", 0, "`time` to wait where a server may end an idle connection (default 2s)")
	f.DurationVar(&o.Limit, "limit", 0, "`time` that the whole run may take (default 10m)")
	f.BoolVar(&o.HTTP2, "http2", false, "open WebSockets over HTTP/2 (extended CONNECT, RFC 8441)")
	insecure := f.Bool("insecure", false, "accept every certificate")
	f.Func("H", "a `field: value` for every handshake; may be given again", func(s string) error {
		name, value, ok := strings.Cut(s, ":")
		if !ok || name == "" {
			return fmt.Errorf("a field is Name: value")
		}
		o.Header.Add(name, strings.TrimSpace(value))
		return nil
	})
	err := f.Parse(args)
	if err == flag.ErrHelp {
		f.SetOutput(stderr)
		fmt.Fprintln(stderr, "usage: wsconform [flags] ws://host:port/")
		f.PrintDefaults()
	}
	if err != nil {
		return nil, err
	}
	if *insecure {
		o.TLS = &tls.Config{InsecureSkipVerify: true}
	}
	o.URL = f.Arg(0)
	return cfg, cfg.check(f.Args())
}

// check looks for what the flags alone cannot be together.
func (cfg *config) check(args []string) error {
	match := cfg.options.Match
	switch {
	case len(args) > 1 && strings.HasPrefix(args[1], "-"):
		return fmt.Errorf("flags stand before the URL: %q", args[1:])
	case len(args) != 1 && !cfg.list:
		return fmt.Errorf("want the URL of one server, as ws://127.0.0.1:8080/, have %q; -h tells more", args)
	case cfg.update && cfg.expect == "":
		return fmt.Errorf("-update wants -expect, for the name of the file")
	case cfg.update && match != nil:
		return fmt.Errorf("-update writes the verdicts of all cases, and -run leaves some out")
	case cfg.options.Parallel < 1, cfg.options.Patience < 0, cfg.options.Idle < 0, cfg.options.Limit < 0:
		return fmt.Errorf("-parallel, -patience, -idle and -limit want more than nothing")
	case len(cfg.cases()) == 0:
		return fmt.Errorf("no case matches %q; -list tells their names", match)
	}
	return nil
}

// takesStdout reports whether a report is written to standard output.
func (cfg *config) takesStdout() bool {
	return cfg.html == "-" || cfg.json == "-" || cfg.junit == "-"
}

// write writes the files that were asked for.
func (cfg *config) write(stdout io.Writer, report *conformance.Report) error {
	expect := ""
	if cfg.update && report.Ended == "" {
		expect = cfg.expect
	}
	for _, out := range []struct {
		file  string
		write func(io.Writer) error
	}{
		{cfg.html, report.HTML}, {cfg.json, report.JSON}, {cfg.junit, report.JUnit}, {expect, report.Expected},
	} {
		if err := writeFile(out.file, stdout, out.write); err != nil {
			return err
		}
	}
	return nil
}

// compare prints what differs from the file of -expect.
func (cfg *config) compare(w io.Writer, report *conformance.Report) (status int, err error) {
	text, err := os.ReadFile(cfg.expect)
	if err != nil {
		return exitNothing, fmt.Errorf("%w; -update writes it", err)
	}
	wrong, err := report.Unexpected(string(text), cfg.options.Match)
	if err != nil {
		return exitNothing, fmt.Errorf("%s: %w", cfg.expect, err)
	}
	if len(wrong) == 0 {
		fmt.Fprintf(w, "all as expected in %s\n", cfg.expect)
		return exitFine, nil
	}
	fmt.Fprintf(w, "%d not as expected in %s:\n", len(wrong), cfg.expect)
	for _, line := range wrong {
		fmt.Fprintln(w, "  "+line)
	}
	return exitFailed, nil
}

// writeFile does nothing without a name, and writes to stdout for -.
func writeFile(name string, stdout io.Writer, write func(io.Writer) error) error {
	switch name {
	case "":
		return nil
	case "-":
		return write(stdout)
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
