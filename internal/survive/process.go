package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// serverArg, as the first argument, makes this program the server: a process of its
// own, for no process may have as many descriptors as both ends need. A plan follows.
const serverArg = "the-server"

// The questions that the server answers, each with a value in JSON. Before the first
// it tells its addresses.
const (
	askReport = "report"
	askStacks = "stacks"
)

// serverMain is the process of the server.
func serverMain(spec string, in io.Reader, out io.Writer) error {
	var p plan
	if err := json.Unmarshal([]byte(spec), &p); err != nil {
		return err
	}
	return newServer(&p).run(&p, in, out)
}

// run serves, and answers questions until in ends.
func (s *server) run(p *plan, in io.Reader, out io.Writer) (err error) {
	if err := s.start(p.every()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	enc := json.NewEncoder(out)
	if err := enc.Encode(s.addresses()); err != nil {
		return err
	}
	asked := bufio.NewScanner(in)
	for asked.Scan() {
		switch q := asked.Text(); q {
		case askReport:
			err = enc.Encode(s.report())
		case askStacks:
			err = enc.Encode(stacks())
		default:
			err = fmt.Errorf("nobody knows what %q is", q)
		}
		if err != nil {
			return err
		}
	}
	return asked.Err()
}

// A process is a server in another process.
type process struct {
	at  []string
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// startProcess starts this program as the server, with more arguments for tests.
func startProcess(p *plan, more ...string) (*process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	spec, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	s := &process{cmd: exec.Command(exe, append([]string{serverArg, string(spec)}, more...)...)}
	s.cmd.Stderr = os.Stderr
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	s.out = json.NewDecoder(out)
	if err := s.out.Decode(&s.at); err != nil {
		return nil, errors.Join(fmt.Errorf("the server has not started: %w", err), s.stop())
	}
	return s, nil
}

func (s *process) addresses() []string { return s.at }

func (s *process) report() (r report, err error) {
	err = s.ask(askReport, &r)
	return r, err
}

func (s *process) stacks() (text string, err error) {
	err = s.ask(askStacks, &text)
	return text, err
}

func (s *process) ask(question string, answer any) error {
	_, err := fmt.Fprintln(s.in, question)
	if err == nil {
		err = s.out.Decode(answer)
	}
	if err != nil {
		return fmt.Errorf("the server does not say its %s: %w", question, err)
	}
	return nil
}

// stop ends the server, and says whether it has ended well.
func (s *process) stop() error {
	_ = s.in.Close() // it may have ended already
	timer := time.AfterFunc(10*time.Second, func() { _ = s.cmd.Process.Kill() })
	defer timer.Stop()
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("the end of the server: %w", err)
	}
	return nil
}
