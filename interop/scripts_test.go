package interop

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

func openNode(t *testing.T) *script {
	if _, err := os.Stat("node_modules/ws"); err != nil {
		t.Fatalf("%v; interop/install installs it", err)
	}
	return openScript(t, "node", "testdata/client.mjs")
}

// openPython runs Debian's Python, for which the package of the client is.
func openPython(t *testing.T) *script {
	python := installed(t, "/usr/bin/python3")
	if out, err := exec.Command(python, "-c", "import websockets").CombinedOutput(); err != nil {
		t.Fatalf("%s; interop/install installs it", out)
	}
	return openScript(t, python, "testdata/client.py")
}

func scriptDialer(open func(*testing.T) *script) func(*testing.T) dialer {
	return func(t *testing.T) dialer { return open(t).dial }
}

// script is a client in another language. It is told what to do on its standard
// input, a line of JSON each, and answers each with a line on its standard
// output. There is one connection at a time. That of TestDeflateWindow is no
// client, but led like one.
type script struct {
	process *process
	in      io.Writer
	out     *bufio.Reader
	name    string // of the subprotocol
}

// command is what a script is told: "dial", "send", "receive", "ping", "close"
// or "drop". "load" reads messages, and "exchange" is all of the others with
// some of these: dial, send and receive each, and close.
type command struct {
	Do string `json:"do"`
	target
	data
	Fragmented bool   `json:"fragmented"`
	Payload    string `json:"payload"`
	closed
	File  string `json:"file,omitempty"`
	Count int    `json:"count,omitempty"` // of messages
}

// answer is what it answers.
type answer struct {
	Subprotocol string         `json:"subprotocol"`
	Agreed      *deflateParams `json:"agreed"` // permessage-deflate
	data
	Refused int     `json:"refused"`
	Closed  *closed `json:"closed"`
	Failed  string  `json:"failed"`
}

// data is a message: one of the two.
type data struct {
	Text   *string `json:"text,omitempty"`
	Binary []byte  `json:"binary,omitempty"` // in base64
}

// forScript returns m in the form that scripts read and write.
func (m message) forScript() (d data) {
	if m.binary {
		d.Binary = []byte(m.data)
	} else {
		d.Text = &m.data
	}
	return d
}

func openScript(t *testing.T, name string, args ...string) *script {
	cmd := exec.Command(name, args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = w
	s := &script{process: start(t, cmd), in: in, out: bufio.NewReader(r)}
	w.Close() // so that reading ends with the script
	t.Cleanup(func() {
		in.Close() // which is how it is told to end
		<-s.process.done
		r.Close()
		if s.process.err != nil {
			t.Errorf("%s: %v", cmd, s.process.err)
		}
	})
	return s
}

// ask sends the script a line of JSON and reads one.
func (s *script) ask(question, answer any) error {
	patience := time.AfterFunc(patience, func() { s.process.signal(syscall.SIGKILL) })
	defer patience.Stop()
	line, err := json.Marshal(question)
	if err != nil {
		return err
	}
	if _, err := s.in.Write(append(line, '\n')); err != nil {
		return err
	}
	line, err = s.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	return json.Unmarshal(line, answer)
}

// call has the script do c.
func (s *script) call(c command) (a answer, err error) {
	if err := s.ask(c, &a); err != nil {
		return a, fmt.Errorf("%s: %w", c.Do, err)
	}
	switch {
	case a.Failed != "":
		return a, errors.New(a.Failed)
	case a.Refused != 0:
		return a, &refused{a.Refused}
	}
	return a, nil
}

func (s *script) dial(to target) (socket, error) {
	a, err := s.call(command{Do: "dial", target: to})
	if err != nil {
		return nil, err
	}
	s.name = a.Subprotocol
	return s, nil
}

func (s *script) subprotocol() string { return s.name }

func (s *script) send(m message, fragmented bool) error {
	_, err := s.call(command{Do: "send", data: m.forScript(), Fragmented: fragmented})
	return err
}

func (s *script) receive() (message, error) {
	a, err := s.call(command{Do: "receive"})
	switch {
	case err != nil:
		return message{}, err
	case a.Closed != nil:
		return message{}, a.Closed
	case a.Text != nil:
		return message{false, *a.Text}, nil
	}
	return message{true, string(a.Binary)}, nil
}

func (s *script) ping(payload string) error {
	_, err := s.call(command{Do: "ping", Payload: payload})
	return err
}

func (s *script) close(code int, reason string) (*closed, error) {
	a, err := s.call(command{Do: "close", closed: closed{code, reason}})
	return a.Closed, err
}

func (s *script) drop() { s.call(command{Do: "drop"}) }
