package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// The CPUs that servers and loads are pinned to.
const (
	serverCPU = "0"
	loadCPU   = "1"
)

// self runs this program again, with a spec as its argument; pinned to a CPU,
// unless that is "".
func self(cpu, command string, spec any) (*exec.Cmd, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	arg, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	line := []string{exe, command, string(arg)}
	if cpu != "" {
		line = append([]string{"taskset", "-c", cpu}, line...)
	}
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Stderr = os.Stderr
	return cmd, nil
}

// output runs this program again and decodes what it prints, value by value.
func output[T any](cpu, command string, spec any, each func(T)) error {
	cmd, err := self(cpu, command, spec)
	if err != nil {
		return err
	}
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w", cmd, err)
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var v T
		if err := dec.Decode(&v); err != nil {
			return err
		}
		each(v)
	}
	return nil
}

// process is a server that runs.
type process struct {
	serverInfo
	lib   *Lib
	cmd   *exec.Cmd
	stdin io.Closer
}

// startServer starts a server, where net/http offers WebSocket over HTTP/2.
func startServer(cpu string, l *Lib, cfg Config) (*process, error) {
	cmd, err := self(cpu, "serve", serverSpec{l.Name, cfg})
	if err != nil {
		return nil, err
	}
	cmd.Env = append(os.Environ(), "GODEBUG="+strings.TrimPrefix(os.Getenv("GODEBUG")+",http2xconnect=1", ","))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{lib: l, cmd: cmd, stdin: stdin}
	rd := bufio.NewReader(stdout)
	line, err := rd.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &p.serverInfo)
	}
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("%s did not start: %w", l.Name, err)
	}
	go io.Copy(io.Discard, rd) // a library may log there
	return p, nil
}

func (p *process) stop() {
	p.stdin.Close()
	timer := time.AfterFunc(3*time.Second, func() { p.cmd.Process.Kill() })
	p.cmd.Wait()
	timer.Stop()
}

// interleave measures all items in each round, there and back: A B C C B A …,
// so that drift cancels out.
func interleave[T any](rounds int, items []T, measure func(T) error) error {
	for round := range rounds {
		for i := range items {
			if round%2 == 1 {
				i = len(items) - 1 - i
			}
			if err := measure(items[i]); err != nil {
				return err
			}
		}
	}
	return nil
}
