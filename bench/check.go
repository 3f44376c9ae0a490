package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net"
	"regexp"
	"strings"
	"time"
)

// cmdCheck tells whether figures can be trusted: that the client sees a wrong
// echo, and what each server does. Then it measures whether Airlock keeps the rules.
func cmdCheck(args []string) error {
	f := flag.NewFlagSet("check", flag.ExitOnError)
	names := f.String("libs", "", "comma-separated libraries, whose speed is not measured then; all by default")
	pin := f.Bool("pin", true, "pin servers and loads to a CPU each")
	f.Parse(args)
	ls, err := pickLibs(*names)
	if err != nil {
		return err
	}
	if err := checkClient(); err != nil {
		return fmt.Errorf("the client: %w", err)
	}
	rows := [][]string{{"library", "version"}}
	for _, c := range checks {
		rows[0] = append(rows[0], c.name)
	}
	var failed []error
	for _, l := range ls {
		row := []string{l.Name, l.version()}
		for _, c := range checks {
			cell, err := c.run(l)
			if err != nil {
				cell = "FAILED"
				failed = append(failed, fmt.Errorf("%s, %s: %w", l.Name, c.name, err))
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	fmt.Print(markdownTable(rows, len(rows[0])))
	if failed != nil || *names != "" {
		return errors.Join(failed...)
	}
	// A neighbour on the machine can break a rule, but hardly twice.
	var broken error
	for _, s := range []settings{ruleSettings, ruleSettingsAgain} {
		rep, err := measureRules(s, ls, *pin)
		if err != nil {
			return err
		}
		var table string
		table, broken = rep.judge(rules)
		fmt.Print("\n", table)
		if broken == nil {
			break
		}
	}
	return broken
}

// checks return what a server does, or an error if it does not do what its
// entry says.
var checks = []struct {
	name string
	run  func(*Lib) (string, error)
}{
	{"echo", checkEcho},
	{"fragments", func(l *Lib) (string, error) { return checkWhole(l, sendFragments) }},
	{"ping", func(l *Lib) (string, error) { return checkWhole(l, sendPing) }},
	{"bad UTF-8", checkUTF8},
	{"subprotocol", checkSubprotocol},
	{"answer to permessage-deflate", checkDeflate},
}

// checkClient gives the client wrong echoes.
func checkClient() error {
	m := newMessage(mustDeflate, kindText)
	plain := serverFrame(0x81, m.payload)
	changed := bytes.Clone(plain)
	changed[150] ^= 1
	short := serverFrame(0x81, m.payload[1:])
	long := serverFrame(0x81, append(bytes.Clone(m.payload), 'x'))
	other := newMessages(2, mustDeflate, kindText, noDeflate)[1]
	pack := deflater(noTakeover)
	small := message{payload: m.payload[:mustDeflate-1]}
	for _, try := range []struct {
		name, deflate string
		frame         []byte
		m             *message
		fine          bool
	}{
		{"the right echo", noDeflate, plain, &m, true},
		{"a changed byte", noDeflate, changed, &m, false},
		{"a lost byte", noDeflate, short, &m, false},
		{"a byte too many", noDeflate, long, &m, false},
		{"compressed", noTakeover, serverFrame(0xc1, pack(m.payload)), &m, true},
		{"another message, compressed", noTakeover, serverFrame(0xc1, pack(other.payload)), &m, false},
		{"no RSV1", noTakeover, plain, &m, false},
		{"a small message without RSV1", noTakeover, serverFrame(0x81, small.payload), &small, true},
		{"a small message without RSV1, changed", noTakeover, serverFrame(0x81, changed[4:len(changed)-1]), &small, false},
		{"RSV1 without permessage-deflate", noDeflate, serverFrame(0xc1, m.payload), &m, false},
		{"RSV2", noTakeover, serverFrame(0xa1, small.payload), &small, false},
	} {
		ours, theirs := net.Pipe()
		go func() {
			theirs.Write(try.frame)
			theirs.Close()
		}()
		err := (&client{nc: ours, deflate: try.deflate, buf: make([]byte, 4096), verify: 1}).expect(try.m)
		ours.Close()
		if try.fine != (err == nil) {
			return fmt.Errorf("%s: %v", try.name, err)
		}
	}
	return nil
}

// serverFrame is a frame of 126 bytes or more, from a server.
func serverFrame(first byte, p []byte) []byte {
	return append([]byte{first, 126, byte(len(p) >> 8), byte(len(p))}, p...)
}

// checkDial connects to a new server. One in this process lives on: that of gws spins
// when its listener is closed.
func checkDial(l *Lib, cfg Config) (*client, error) {
	addr, stop, err := checkServe(l, cfg)
	if err != nil {
		return nil, err
	}
	d := dialer{lib: l, addr: addr, sockets: 1}
	c, err := d.dial(l.request(cfg.Deflate, cfg.Subprotocols), cfg.Deflate, 64<<10)
	if err != nil {
		stop()
		return nil, err
	}
	c.server = stop
	c.nc.SetDeadline(time.Now().Add(10 * time.Second))
	return c, nil
}

// checkServe starts a server: in this process, or in one of its own if its environment
// matters.
func checkServe(l *Lib, cfg Config) (addr string, stop func(), err error) {
	if l.Over == overHTTP2 {
		p, err := startServer("", l, cfg)
		if err != nil {
			return "", nil, err
		}
		return p.Addr, p.stop, nil
	}
	ln, err := listenLoopback()
	if err != nil {
		return "", nil, err
	}
	go listenAndEcho(l.New(cfg), ln)
	return ln.Addr().String(), func() {}, nil
}

func checkEcho(l *Lib) (string, error) {
	c, err := checkDial(l, Config{})
	if err != nil {
		return "", err
	}
	defer c.reset()
	for _, kind := range []string{kindBinary, kindText, kindUTF8} {
		for _, size := range []int{1, 125, 126, 4096, 65535, 65536, 1 << 20} {
			m := newMessage(size, kind)
			if err := c.roundTrip(&m); err != nil {
				return "", fmt.Errorf("%s of %d: %w", kind, size, err)
			}
		}
	}
	if l.Raw {
		return "yes", nil
	}
	empty, one := newMessage(0, kindBinary), newMessage(1, kindBinary)
	if _, err := c.nc.Write(append(empty.frame, one.frame...)); err != nil {
		return "", err
	}
	if c.expect(&empty) != nil {
		return "not of empty messages", nil
	}
	return "yes", c.expect(&one)
}

// checkWhole sends what every whole server understands.
func checkWhole(l *Lib, send func(*client) error) (string, error) {
	if l.Raw {
		return "-", nil
	}
	c, err := checkDial(l, Config{})
	if err != nil {
		return "", err
	}
	defer c.reset()
	switch err := send(c); {
	case err == nil:
		return "yes", nil
	case l.Partial:
		return "no", nil
	default:
		return "", err
	}
}

func sendFragments(c *client) error {
	m := newMessage(300, kindText)
	frames := clientFrame(opText, false, false, m.payload[:100])
	frames = append(frames, clientFrame(opCont, false, false, m.payload[100:200])...)
	frames = append(frames, clientFrame(opCont, true, false, m.payload[200:])...)
	if _, err := c.nc.Write(frames); err != nil {
		return err
	}
	return c.expect(&m)
}

func sendPing(c *client) error {
	if _, err := c.nc.Write(clientFrame(opPing, true, false, []byte("hi"))); err != nil {
		return err
	}
	h, err := c.readHeader()
	if err != nil {
		return err
	}
	if h.op != opPong || !h.fin {
		return fmt.Errorf("opcode %d in answer to a ping", h.op)
	}
	return c.compare(h.size, []byte("hi"))
}

// checkUTF8 sends text that is not UTF-8. It must come back if, and only if, the
// entry says that nobody looks.
func checkUTF8(l *Lib) (string, error) {
	if l.Raw {
		return "-", nil
	}
	c, err := checkDial(l, Config{})
	if err != nil {
		return "", err
	}
	defer c.reset()
	bad := []byte("abc\xff\xfedef")
	if _, err := c.nc.Write(clientFrame(opText, true, false, bad)); err != nil {
		return "", err
	}
	echoed := c.expect(&message{payload: bad}) == nil
	switch {
	case echoed == l.UTF8:
		return "", fmt.Errorf("echoed: %v, and the entry says UTF8: %v", echoed, l.UTF8)
	case echoed:
		return "echoed", nil
	}
	return "refused", nil
}

func checkSubprotocol(l *Lib) (string, error) {
	if l.Raw {
		return "-", nil
	}
	c, err := checkDial(l, Config{Subprotocols: true})
	if err != nil {
		return "", err
	}
	defer c.reset()
	m := subprotocolField.FindStringSubmatch(c.response)
	if m == nil || m[1] != serverProtocols[0] {
		return "", fmt.Errorf("response %q", c.response)
	}
	return m[1], nil
}

var (
	subprotocolField = regexp.MustCompile(`(?im)^sec-websocket-protocol: *(\S*)`)
	extensionsField  = regexp.MustCompile(`(?im)^sec-websocket-extensions: *(.*?)\r?$`)
)

func checkDeflate(l *Lib) (string, error) {
	var answers []string
	for _, mode := range l.Deflate {
		answer, err := checkDeflateMode(l, mode)
		if err != nil {
			return "", fmt.Errorf("%s: %w", mode, err)
		}
		answers = append(answers, mode+": "+answer)
	}
	if answers == nil {
		return "-", nil
	}
	return strings.Join(answers, ", "), nil
}

// checkDeflateMode echoes enough to slide the window, and inflates every answer.
func checkDeflateMode(l *Lib, mode string) (string, error) {
	c, err := checkDial(l, Config{Deflate: mode})
	if err != nil {
		return "", err
	}
	defer c.reset()
	for _, size := range []int{64, mustDeflate, 1 << 10, 16 << 10, 100 << 10} {
		msgs := newMessages(min(64, 400<<10/size), size, kindText, mode)
		c.verify = len(msgs)
		for i := range msgs {
			c.nc.SetDeadline(time.Now().Add(5 * time.Second))
			if err := c.roundTrip(&msgs[i]); err != nil {
				return "", fmt.Errorf("message %d of %d bytes: %w", i, size, err)
			}
		}
	}
	m := extensionsField.FindStringSubmatch(c.response)
	if m == nil {
		return "", fmt.Errorf("response %q", c.response)
	}
	return m[1], nil
}
