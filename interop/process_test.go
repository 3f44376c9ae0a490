package interop

import (
	"net"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"
)

// installed returns path, of a program that interop/install has put there.
func installed(t *testing.T, path string) string {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v; interop/install installs it", err)
	}
	return path
}

// process is a program that runs until its test ends, if not before.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	output output
	done   chan struct{} // closed when the program has ended
	err    error         // then: how
}

// start starts a program. What it writes is kept, and shown when the test
// fails.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, done: make(chan struct{})}
	p.output.grown = make(chan struct{})
	if cmd.Stdout == nil {
		cmd.Stdout = &p.output
	}
	cmd.Stderr = &p.output
	// A group of its own, so that nothing it starts outlives it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", cmd, p.output.String())
		}
	})
	return p
}

// kill ends the program, and what it has started, if it still runs.
func (p *process) kill() {
	select {
	case <-p.done:
	default:
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
	}
}

func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Errorf("%s: %v", p.cmd, err)
	}
}

// wait waits for the end of the program, and returns how it ended.
func (p *process) wait() error {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Errorf("%s does not end", p.cmd)
		p.kill()
	}
	return p.err
}

// await waits until the program has written what matches pattern, and returns
// the match and its groups.
func (p *process) await(pattern string) []string {
	p.t.Helper()
	return p.awaitIn(p.t, pattern)
}

// awaitIn is await for a test within the one that has started the program.
func (p *process) awaitIn(t *testing.T, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	limit := time.After(patience)
	for {
		p.output.mu.Lock()
		grown, m := p.output.grown, re.FindStringSubmatch(string(p.output.text))
		p.output.mu.Unlock()
		if m != nil {
			return m
		}
		select {
		case <-grown:
		case <-p.done:
			t.Fatalf("%s has ended (%v) without writing %q", p.cmd, p.err, pattern)
		case <-limit:
			t.Fatalf("%s does not write %q", p.cmd, pattern)
		}
	}
}

// listening waits until the program accepts connections at addr.
func (p *process) listening(addr string) {
	p.t.Helper()
	limit := time.After(patience)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			return
		}
		select {
		case <-again.C:
		case <-p.done:
			p.t.Fatalf("%s has ended: %v", p.cmd, p.err)
		case <-limit:
			p.t.Fatalf("%s does not listen on %s", p.cmd, addr)
		}
	}
}

// output is what a program has written so far.
type output struct {
	mu    sync.Mutex
	text  []byte
	grown chan struct{} // closed with the next Write
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, b...)
	close(o.grown)
	o.grown = make(chan struct{})
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}

// example is a run of one of the examples.
type example struct {
	*process
	url *url.URL // where it listens, as it says
}

// startExample runs an example on a free port, or where args say.
func startExample(t *testing.T, name string, args ...string) *example {
	t.Helper()
	return startExampleWith(t, nil, name, args...)
}

// startExampleWith is startExample with settings in the environment.
func startExampleWith(t *testing.T, env []string, name string, args ...string) *example {
	t.Helper()
	cmd := exec.Command(programs+name, append([]string{"-addr", "127.0.0.1:0"}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	e := &example{process: start(t, cmd)}
	u, err := url.Parse(e.await(`listening on (\S+)\n`)[1])
	if err != nil {
		t.Fatal(err)
	}
	e.url = u
	return e
}
