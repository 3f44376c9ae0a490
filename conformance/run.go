package conformance

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"time"
)

// Options say what to test, and how.
type Options struct {
	// URL is that of the server: ws or wss.
	URL string

	// HTTP2 opens each WebSocket by an extended CONNECT (RFC 8441), on a connection
	// of HTTP/2 that it has to itself: with TLS for wss, and otherwise in the clear,
	// as the server is known to speak it. Cases about HTTP/1.1 are Unimplemented.
	HTTP2 bool

	// TLS is for wss. Nil: the certificates of the system are trusted.
	TLS *tls.Config

	// Header has fields that every handshake needs, as Origin or Cookie, or Host
	// in place of the URL's.
	Header http.Header

	// Match selects cases by their ID. Nil: all of them.
	Match *regexp.Regexp

	// Parallel is how many cases run at a time. 0: 8.
	Parallel int

	// Patience is how long a server that ought to say something may say nothing.
	// 0: 5 seconds.
	Patience time.Duration

	// Idle is how long to wait where a server may end an idle connection, but
	// need not. 0: 2 seconds.
	Idle time.Duration

	// Limit is how long the run may take. 0: 10 minutes.
	Limit time.Duration

	// Progress, if not nil, is called with every result, one at a time, as it
	// comes.
	Progress func(*Result)
}

// Run plays the cases against a server. Its error is that there is no server at
// that URL that echoes, as a *[ProbeError]; or that the run ended early, because
// ctx or the time has ended, or the server is gone: then the report has what was found before.
func Run(ctx context.Context, o Options) (*Report, error) {
	limit := cmp.Or(o.Limit, 10*time.Minute)
	ctx, stop := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the %v that it may take are over", limit))
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	t, err := newTarget(ctx, &o)
	if err != nil {
		return nil, err
	}
	t.giveUp = cancel
	if err := t.probe(o.URL); err != nil {
		return nil, err
	}
	var cases []*Case
	for _, c := range Cases() {
		if o.Match == nil || o.Match.MatchString(c.ID()) {
			cases = append(cases, c)
		}
	}
	if len(cases) == 0 {
		return nil, fmt.Errorf("no case matches %v", o.Match)
	}
	report := &Report{URL: o.URL, Started: time.Now(), Results: make([]Result, len(cases))}
	t.runAll(cases, o.Parallel, func(i int, r Result) {
		report.Results[i] = r
		if o.Progress != nil {
			o.Progress(&report.Results[i])
		}
	})
	report.Seconds = time.Since(report.Started).Seconds()
	report.Results = slices.DeleteFunc(report.Results, func(r Result) bool { return r.ID == "" })
	if len(report.Results) == len(cases) {
		return report, nil
	}
	err = fmt.Errorf("the run ended after %d of %d cases: %w", len(report.Results), len(cases), context.Cause(ctx))
	report.Ended = err.Error()
	return report, err
}

// runAll runs cases, so many at a time, and reports each, until ctx ends. What
// was under way then says nothing about the server.
func (t *target) runAll(cases []*Case, parallel int, report func(int, Result)) {
	if parallel <= 0 {
		parallel = 8
	}
	var (
		mu   sync.Mutex
		wg   sync.WaitGroup
		next = make(chan int)
	)
	for range parallel {
		wg.Go(func() {
			for i := range next {
				r := cases[i].run(t)
				mu.Lock()
				if t.ctx.Err() == nil {
					report(i, r)
				}
				mu.Unlock()
			}
		})
	}
	for i := range cases {
		if t.ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
}

// run plays a case in all its chops and returns the worst that came of it.
func (c *Case) run(t *target) Result {
	begun := time.Now()
	r := Result{ID: c.ID(), Group: c.Group, Section: c.Section, Name: c.Name, Why: c.Why, Source: c.Source}
	keep := func(name string, got trial) (more bool) {
		if r.Runs++; r.Runs == 1 || got.verdict > r.Verdict {
			r.Verdict, r.Note, r.Dialogue, r.Chop = got.verdict, printable(got.note), got.lines, name
		}
		return r.Verdict < Unimplemented && t.ctx.Err() == nil
	}
	if t.http2 && c.needsHTTP1() {
		keep("", trial{verdict: Unimplemented, note: errHTTP1.Error()})
		return r
	}
	for _, how := range c.chops {
		first := c.play(t, how, 1)
		name := string(how)
		if how == halves {
			name = "in two, at byte 1"
		}
		if !keep(name, first) {
			break
		}
		for cut := 2; how == halves && cut < first.first; cut++ {
			if !keep(fmt.Sprintf("in two, at byte %d", cut), c.play(t, how, cut)) {
				break
			}
		}
	}
	r.Seconds = time.Since(begun).Seconds()
	return r
}
