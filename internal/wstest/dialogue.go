package wstest

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/airlock-go/websocket/frame"
)

// Dialogue is what a client says to a server that echoes every message, and
// what it must hear.
type Dialogue struct {
	Name string // with the section of the RFC
	Line string // file:line

	Sent  []byte   // everything the client sends
	Heard []Heard  // every frame the server sends
	Texts []string // the messages that the server receives
}

// Heard is a frame as the client hears it.
type Heard struct {
	Opcode  frame.Opcode
	Payload string
}

// Dialogues reads dialogues from a file. Each begins with a line of its own:
//
//	== name (section)
//	> text "hel"-         a masked frame; the - leaves the fin bit out
//	> cont "lo"
//	> ping "x"*125        the payload so many times
//	> close 1000 "bye"    or close alone, or close 1000
//	> raw 83 80           bytes as they are
//	< text "hello"        a frame that comes back, in order
//	< pong "x"
//	< close 1000
//
// Payloads are Go strings. Lines that begin with # are comments.
func Dialogues(t testing.TB, file string) []Dialogue {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []Dialogue
	s := bufio.NewScanner(f)
	for n := 1; s.Scan(); n++ {
		line := strings.TrimSpace(s.Text())
		at := fmt.Sprintf("%s:%d", file, n)
		mark, rest, _ := strings.Cut(line, " ")
		switch mark {
		case "", "#":
			continue
		case "==":
			all = append(all, Dialogue{Name: rest, Line: at})
			continue
		}
		if len(all) == 0 {
			t.Fatalf("%s: %q stands before the first dialogue", at, line)
		}
		if err := all[len(all)-1].add(mark, rest); err != nil {
			t.Fatalf("%s: %q: %v", at, line, err)
		}
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func (d *Dialogue) add(mark, rest string) error {
	kind, rest, _ := strings.Cut(rest, " ")
	if mark == ">" && kind == "raw" {
		b, err := hex.DecodeString(strings.ReplaceAll(rest, " ", ""))
		d.Sent = append(d.Sent, b...)
		return err
	}
	op, ok := opcodes[kind]
	if !ok {
		return fmt.Errorf("%q is no frame", kind)
	}
	rest, unfinished := strings.CutSuffix(rest, "-")
	code := 0
	if op == frame.Close && rest != "" {
		number, reason, _ := strings.Cut(rest, " ")
		var err error
		if code, err = strconv.Atoi(number); err != nil {
			return err
		}
		rest = reason
	}
	payload, err := parsePayload(rest)
	if err != nil {
		return err
	}
	if op == frame.Close {
		payload = string(ClosePayload(code, payload))
	}
	switch mark {
	case ">":
		d.Sent = append(d.Sent, Frame(op, !unfinished, []byte(payload))...)
	case "<":
		d.Heard = append(d.Heard, Heard{op, payload})
		if !op.IsControl() {
			d.Texts = append(d.Texts, payload)
		}
	default:
		return fmt.Errorf("a line begins with ==, >, < or #")
	}
	return nil
}

var opcodes = map[string]frame.Opcode{
	"cont":   frame.Continuation,
	"text":   frame.Text,
	"binary": frame.Binary,
	"close":  frame.Close,
	"ping":   frame.Ping,
	"pong":   frame.Pong,
}

// parsePayload reads a Go string, or nothing, and how many times it stands.
func parsePayload(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	quoted, times, repeated := s, "", false
	if i := strings.LastIndex(s, `"*`); i > 0 {
		quoted, times, repeated = s[:i+1], s[i+2:], true
	}
	payload, err := strconv.Unquote(quoted)
	if err != nil || !repeated {
		return payload, err
	}
	n, err := strconv.Atoi(times)
	return strings.Repeat(payload, max(n, 0)), err
}
