package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// A subject is the server as the experiment sees it.
type subject interface {
	addresses() []string
	report() (report, error)
	stacks() (string, error)
}

// An experiment is a warm-up, after which the server is at rest, and two rounds,
// after each of which it has to be at rest again.
type experiment struct {
	plan    *plan
	subject subject
	crowd   *crowd
	out     io.Writer
	begun   time.Time
}

// perform returns an error if the server has not survived. What happened goes to out.
func perform(p *plan, s subject, out io.Writer) error {
	e := &experiment{plan: p, subject: s, crowd: newCrowd(p, s.addresses()), out: out, begun: time.Now()}
	err := e.rounds()
	fmt.Fprintf(out, "\n%v\nthe slowest broadcast took %v to a client that reads\n", e.crowd.counts, e.crowd.late)
	if n := e.crowd.failed; n > 0 {
		err = errors.Join(err, fmt.Errorf("%d connections went wrong, among them:\n  %s", n, strings.Join(e.crowd.failures, "\n  ")))
		if e.crowd.late > p.Patience/2 {
			err = errors.Join(err, fmt.Errorf("this machine is too slow for so much, which may be why: a broadcast took %v, and the -patience is %v", e.crowd.late, p.Patience))
		}
	}
	return err
}

// rounds is the experiment. It goes on after an error as long as that makes sense.
func (e *experiment) rounds() error {
	fresh, err := e.subject.report()
	if err != nil {
		return err
	}
	// Pools are filled, and what is started when it is needed has been.
	e.crowd.wave(0, max(1, e.plan.Connections/10), e.plan.round()/4, true)
	rest, err := e.steady()
	if err != nil {
		return err
	}
	e.print("before the warm-up", &fresh)
	e.print("after it, at rest", &rest)
	var errs []error
	ends := []report{rest}
	// What went wrong in the first round would only go wrong again in the second.
	for round := 1; round <= rounds && len(errs) == 0 && e.crowd.failed == 0; round++ {
		height, err := e.round(round)
		if err != nil {
			return err
		}
		e.print(fmt.Sprintf("in round %d", round), &height)
		end, err := e.empty(&rest)
		e.print(fmt.Sprintf("after it; peak %d", end.Peak), &end)
		if err != nil {
			errs = append(errs, err)
		}
		ends = append(ends, end)
	}
	return errors.Join(append(errs, e.compare(ends))...)
}

// round lets the crowd come and go, and returns a report from the midst of it.
func (e *experiment) round(round int) (height report, err error) {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		e.crowd.wave(round, e.plan.Connections, e.plan.round(), false)
	}()
	time.Sleep(e.plan.round() * 3 / 4)
	height, err = e.subject.report()
	<-gone
	return height, err
}

// empty waits until nothing is left that was not there at rest.
func (e *experiment) empty(rest *report) (report, error) {
	for begun := time.Now(); ; time.Sleep(e.plan.Patience / 10) {
		r, err := e.subject.report()
		if err != nil {
			return r, err
		}
		left := r.left(rest)
		if left == "" {
			return r, nil
		}
		if time.Since(begun) > e.plan.limit() {
			stacks, err := e.subject.stacks()
			return r, errors.Join(fmt.Errorf("%v after the last client had gone, there were %s", e.plan.limit(), left),
				err, fmt.Errorf("the goroutines of the server:\n%s", stacks))
		}
	}
}

// steady waits until all is gone but goroutines and descriptors whose number does
// not change any more.
func (e *experiment) steady() (report, error) {
	rest := report{Goroutines: 1 << 30, Descriptors: 1 << 30}
	r, err := e.empty(&rest)
	for same := 0; same < 5 && err == nil; same++ {
		time.Sleep(e.plan.Patience / 10)
		last := r
		if r, err = e.empty(&rest); r.Goroutines != last.Goroutines || r.Descriptors != last.Descriptors {
			same = 0
		}
	}
	return r, err
}

// compare compares the reports at rest with each other, and with what was seen.
func (e *experiment) compare(ends []report) error {
	last := &ends[len(ends)-1]
	fmt.Fprint(e.out, "\nHow they ended, as the server was told:\n")
	for _, cause := range slices.Sorted(maps.Keys(last.Ends)) {
		fmt.Fprintf(e.out, "%-55s %9d\n", cause, last.Ends[cause])
	}
	var errs []error
	if len(ends) > rounds {
		errs = append(errs, compareHeaps(e.plan, &ends[0], &ends[1], last))
	}
	complain := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if last.Peak < e.plan.Connections/2 {
		complain("there were no more than %d connections at a time, want %d", last.Peak, e.plan.Connections)
	}
	if last.Opened != last.Closed {
		complain("%d connections were opened, but OnClose was called for %d", last.Opened, last.Closed)
	}
	if n := int64(e.crowd.counts[gaps]); n > last.Skipped {
		complain("%d broadcasts were missing, but Broadcast has skipped only %d", n, last.Skipped)
	}
	if e.crowd.counts[survivors] == 0 {
		complain("there were no survivors")
	}
	for _, what := range last.Complaints {
		complain("the server complains: %s", what)
	}
	return errors.Join(errs...)
}

func (e *experiment) print(when string, r *report) {
	fmt.Fprintf(e.out, "%4.0fs  %-20s %6d open  %6d goroutines  %6d descriptors  %9d bytes on the heap\n",
		time.Since(e.begun).Seconds(), when, r.Open, r.Goroutines, r.Descriptors, r.Heap)
}
