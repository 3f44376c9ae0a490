package conformance

import (
	"errors"
	"fmt"
	"time"
)

// A ProbeError says why there is nothing to test: nobody answers at the URL, or
// not with a handshake and an echo.
type ProbeError struct {
	URL      string
	Status   int    // of the answer to the handshake; 0 if there was none
	Dialogue []Line // what was said until then
	Err      error
}

func (e *ProbeError) Error() string {
	return printable(fmt.Sprintf("there is no server that echoes at %s: %v", e.URL, e.Err))
}

func (e *ProbeError) Unwrap() error { return e.Err }

// probe finds out whether there is anything to test.
func (t *target) probe(url string) error {
	cases, err := parse("probe", "== 1.1 an echo\n> text \"is anybody there?\"\n< echo\n")
	if err != nil {
		return err
	}
	p := &player{c: cases[0], t: t, how: together, log: &dialogue{start: time.Now()}}
	err = p.run()
	if err == nil {
		return nil
	}
	status := 0
	if p.answer != nil {
		status = p.answer.StatusCode
		p.next(t.grace) // the body of a refusal tells most
	}
	return &ProbeError{url, status, p.log.all(), err}
}

// enoughMissed is how many handshakes may come to nothing, one behind the other,
// before the server counts as dead.
const enoughMissed = 10

// miss notes that a handshake, which was in order, came to nothing.
func (t *target) miss(err error) {
	// The deadline of a connection may be over a moment before that of the run, which
	// is the reason for both.
	if end, ok := t.ctx.Deadline(); ok && !time.Now().Before(end) {
		<-t.ctx.Done()
		return
	}
	if t.missed.Add(1) == enoughMissed {
		why := fmt.Sprintf("the server is not there any more: the last %d handshakes came to nothing: %v", enoughMissed, err)
		t.giveUp(errors.New(printable(why)))
	}
}
