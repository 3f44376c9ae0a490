// Command wsconform tests a WebSocket server, in whatever language it is
// written. The server needs to do no more than to send every message back.
//
//	go run ./conformance/cmd/wsconform ws://127.0.0.1:8080/
//
// plays several hundred cases and prints what came of them. By example:
//
//	-run 'utf8|close/7'      only cases whose names match
//	-list                    the names of the cases, without a server
//	-v                       what was said in every case that did not pass
//	-html report.html        a page to look at
//	-json report.json        everything, for programs; also -junit FILE
//	-expect results.txt      every verdict has to be as it stands there
//	-update                  writes that file instead
//	-http2                   over HTTP/2, in the clear for ws (RFC 8441)
//	-insecure                wss with any certificate
//	-H 'Cookie: session=1'   a field for every handshake
//
// A - in place of a file is standard output; what is for people goes to standard
// error then. Ctrl-C ends the run, with a report of what has been found so far.
//
// The exit status is
//
//	0  when no case failed or, with -expect, every verdict was as expected
//	1  when one failed or, with -expect, was other than expected
//	2  when there was nothing to test, or the run ended early
//
// With NO_COLOR in the environment there are no colours.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/airlock-go/websocket/conformance"
)

// The exit statuses.
const (
	exitFine = iota
	exitFailed
	exitNothing
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cfg, err := parseFlags(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitFine
	}
	if err != nil {
		fmt.Fprintf(stderr, "wsconform: %v\n", err)
		return exitNothing
	}
	if cfg.list {
		for _, c := range cfg.cases() {
			fmt.Fprintln(stdout, c.ID())
		}
		return exitFine
	}
	status, err := cfg.test(ctx, stdout, stderr)
	if err != nil {
		complain(stderr, err)
		return exitNothing
	}
	return status
}

// test plays the cases and tells what came of them. A run that ended early is
// told like any other, and an error in the end.
func (cfg *config) test(ctx context.Context, stdout, stderr io.Writer) (status int, err error) {
	progress := newProgress(stderr, len(cfg.cases()))
	cfg.options.Progress = progress.step
	report, ended := conformance.Run(ctx, cfg.options)
	progress.done()
	if report == nil {
		return exitNothing, ended
	}
	people := stdout
	if cfg.takesStdout() {
		people = stderr
	}
	summarise(people, report, cfg.verbose)
	if err := cfg.write(stdout, report); err != nil || ended != nil {
		return exitNothing, errors.Join(err, ended)
	}
	if cfg.expect == "" || cfg.update {
		if cfg.expect == "" && report.Count()[conformance.Fail] > 0 {
			return exitFailed, nil
		}
		return exitFine, nil
	}
	return cfg.compare(people, report)
}

// cases returns the cases that will be played.
func (cfg *config) cases() (matching []*conformance.Case) {
	for _, c := range conformance.Cases() {
		if m := cfg.options.Match; m == nil || m.MatchString(c.ID()) {
			matching = append(matching, c)
		}
	}
	return matching
}
