package conformance

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/airlock-go/websocket/frame"
)

// parse reads the cases of a file. The package documentation has the grammar.
func parse(file, text string) ([]*Case, error) {
	var all []*Case
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		place := fmt.Sprintf("%s:%d", file, n)
		var err error
		if title, ok := strings.CutPrefix(line, "== "); ok {
			c := &Case{Group: groupName(file), place: place}
			err = c.parseTitle(title)
			all = append(all, c)
		} else if len(all) == 0 {
			err = fmt.Errorf("stands before the first case")
		} else {
			err = all[len(all)-1].parseLine(line)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %q: %w", place, line, err)
		}
		c := all[len(all)-1]
		c.Source += line + "\n"
	}
	for _, c := range all {
		if err := c.finish(); err != nil {
			return nil, fmt.Errorf("%s: %w", c.place, err)
		}
	}
	return all, nil
}

var title = regexp.MustCompile(`^((?:\d{4} )?\d+(?:\.\d+)*) (.+)$`)

func (c *Case) parseTitle(s string) error {
	m := title.FindStringSubmatch(s)
	if m == nil {
		return fmt.Errorf("a title is a section and a name")
	}
	c.Section, c.Name = m[1], m[2]
	return nil
}

func (c *Case) parseLine(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	if word != ">" && word != "<" && word != "or" && len(c.steps) > 0 {
		return fmt.Errorf("stands behind the first step")
	}
	switch word {
	case ">", "<":
		return c.parseStep(word, rest)
	case "or":
		return c.parseOr(rest)
	case "why":
		c.Why = strings.TrimSpace(c.Why + " " + rest)
	case "request":
		c.request = append(c.request, rest)
	case "connect":
		c.connect = true
		return nothingBehind(rest)
	case "joined":
		c.joined = true
		return nothingBehind(rest)
	case "offer":
		if c.offer != "" {
			return fmt.Errorf("there was an offer before; a comma joins them")
		}
		c.offer = rest
	case "agree":
		c.agree = append(c.agree, strings.Fields(rest)...)
	case "chop":
		for name := range strings.FieldsSeq(rest) {
			if !slices.Contains([]chop{together, frames, bytewise, halves}, chop(name)) {
				return fmt.Errorf("no chop: %q", name)
			}
			c.chops = append(c.chops, chop(name))
		}
	default:
		return fmt.Errorf("no such word: %q", word)
	}
	return nil
}

// parseStep reads what a line sends or waits for, and how often.
func (c *Case) parseStep(word, rest string) (err error) {
	s := step{times: 1}
	if number, ok := strings.CutPrefix(rest, "repeat "); ok {
		if number, rest, _ = strings.Cut(number, " "); number == "" {
			return fmt.Errorf("repeat has no number")
		}
		if s.times, err = parseSize(number); err != nil {
			return err
		}
	}
	if word == ">" {
		s.send, err = parseSending(rest)
	} else {
		s.want = make([]outcome, 1)
		s.want[0], err = parseOutcome(rest)
	}
	c.steps = append(c.steps, s)
	return err
}

// parseOr reads what may come in place of the outcome above.
func (c *Case) parseOr(s string) error {
	if len(c.steps) == 0 || c.steps[len(c.steps)-1].want == nil {
		return fmt.Errorf("or stands below a line with <")
	}
	word, rest, _ := strings.Cut(s, " ")
	o, err := parseOutcome(rest)
	if err != nil {
		return err
	}
	if err := o.verdict.UnmarshalText([]byte(word)); err != nil {
		return err
	}
	last := &c.steps[len(c.steps)-1]
	last.want = append(last.want, o)
	return alternative(last.want[0].kind, o.kind)
}

// alternative reports what may not stand below first.
func alternative(first, kind wantKind) error {
	alone := []wantKind{wantEarly, wantHeader, wantIdle}
	switch {
	case slices.Contains(alone, kind):
		return fmt.Errorf("%s is nothing that may come in place of another", kind)
	case first == wantIdle, slices.Contains(alone, first) && kind != wantNothing:
		return fmt.Errorf("%s does not stand below %s", kind, first)
	}
	return nil
}

// shortCase is how many bytes a case may send to be sent in single bytes, too.
const shortCase = 600

func (c *Case) finish() error {
	size, waits := 0, false
	for _, s := range c.steps {
		if s.send != nil {
			size += s.times * (s.send.payload.size() + s.send.raw.size() + frame.MaxHeaderSize)
		}
		for _, o := range s.want {
			c.handmade = c.handmade || o.kind == wantHTTP
			waits = waits || o.kind == wantIdle
		}
	}
	switch {
	case len(c.steps) == 0 || c.steps[len(c.steps)-1].want == nil:
		return fmt.Errorf("the case %q does not end with what has to come back", c.Name)
	case len(c.chops) > 0:
	case size <= shortCase && !c.handmade && !waits:
		c.chops = []chop{together, bytewise}
	default:
		c.chops = []chop{together}
	}
	return nil
}

var opcodes = map[string]frame.Opcode{
	"cont": frame.Continuation, "text": frame.Text, "binary": frame.Binary,
	"close": frame.Close, "ping": frame.Ping, "pong": frame.Pong,
}

var plainHex = regexp.MustCompile(`^[0-9A-Fa-f ]+$`)

// parseBytes reads a payload that stands for itself, to the end of s.
func parseBytes(s string) (payload, error) {
	p, rest, err := parsePayload(s)
	if err == nil && (rest != "" || p.size() == 0) {
		err = fmt.Errorf("no bytes: %q", s)
	}
	return p, err
}

func parseSending(s string) (*sending, error) {
	out := &sending{claim: -1, key: defaultKey}
	word, rest, _ := strings.Cut(s, " ")
	var err error
	switch word {
	case "raw":
		if plainHex.MatchString(rest) {
			rest = "<" + rest + ">"
		}
		out.raw, err = parseBytes(rest)
		return out, err
	case "http":
		out.http, err = parseBytes(rest)
		return out, err
	case "half-close":
		out.halfClose = true
		return out, nothingBehind(rest)
	case "claim":
		// The length stands behind the opcode.
		op, more, _ := strings.Cut(rest, " ")
		length, more, _ := strings.Cut(more, " ")
		n, err := strconv.ParseUint(length, 0, 63)
		if err != nil {
			return nil, fmt.Errorf("no length: %q", length)
		}
		out.claim = int64(n)
		word, rest = op, more
	default:
		if count, ok := strings.CutPrefix(word, "z"); ok {
			if out.compress = 1; count != "" {
				out.compress, err = strconv.Atoi(strings.TrimPrefix(count, "/"))
				if err != nil || out.compress < 1 {
					return nil, fmt.Errorf("no number of frames: %q", word)
				}
			}
			word, rest, _ = strings.Cut(rest, " ")
		}
	}
	return out, out.parseFrame(word, rest)
}

// parseFrame reads an opcode, flags and a payload.
func (out *sending) parseFrame(op, rest string) error {
	var ok bool
	if out.header.Opcode, ok = opcodes[op]; !ok {
		n, err := strconv.ParseUint(op, 0, 4)
		if err != nil {
			return fmt.Errorf("no opcode: %q", op)
		}
		out.header.Opcode = frame.Opcode(n)
	}
	for {
		flag, after, _ := strings.Cut(rest, " ")
		known, err := out.parseFlag(flag)
		if err != nil {
			return err
		}
		if !known {
			break
		}
		rest = after
	}
	var p payload
	if out.header.Opcode == frame.Close {
		code, after, _ := strings.Cut(rest, " ")
		if n, err := strconv.ParseUint(code, 10, 16); err == nil {
			p, rest = payload{{literal: string([]byte{byte(n >> 8), byte(n)}), times: 1}}, after
		}
	}
	more, rest, err := parsePayload(rest)
	if err != nil {
		return err
	}
	out.payload = append(p, more...)
	out.header.Fin = rest != "-"
	if out.header.Fin && rest != "" {
		return nothingBehind(rest)
	}
	if op := out.header.Opcode; out.compress > 0 && (!out.header.Fin || op != frame.Text && op != frame.Binary) {
		return fmt.Errorf("only whole messages are compressed")
	}
	return nil
}

func (out *sending) parseFlag(flag string) (known bool, err error) {
	switch flag {
	case "rsv1":
		out.header.RSV1 = true
	case "rsv2":
		out.header.RSV2 = true
	case "rsv3":
		out.header.RSV3 = true
	case "unmasked":
		out.unmasked = true
	case "len16":
		out.lengthForm = 2
	case "len64":
		out.lengthForm = 8
	default:
		digits, ok := strings.CutPrefix(flag, "key=")
		if !ok {
			return false, nil
		}
		key, err := parseHex(digits)
		if err != nil || len(key) != 4 {
			return true, fmt.Errorf("no key: %q", flag)
		}
		out.key = [4]byte(key)
	}
	return true, nil
}

func parseOutcome(s string) (outcome, error) {
	word, rest, _ := strings.Cut(s, " ")
	o := outcome{kind: wantKind(word), text: s}
	var err error
	switch o.kind {
	case wantEcho, wantNothing, wantEnd, wantIdle:
		err = nothingBehind(rest)
	case wantClose, wantFail, wantEarly, wantHTTP:
		for number := range strings.FieldsSeq(rest) {
			code, err := strconv.Atoi(number)
			if err != nil {
				return o, fmt.Errorf("no code: %q", number)
			}
			o.codes = append(o.codes, code)
		}
		if len(o.codes) == 0 && o.kind != wantFail {
			err = fmt.Errorf("no code")
		}
	case wantHeader:
		err = o.parseField(rest)
	case "text", "binary", "pong":
		o.op = opcodes[word]
		if o.kind = wantMessage; word == "pong" {
			o.kind = wantPong
		}
		var after string
		o.payload, after, err = parsePayload(rest)
		if err == nil {
			err = nothingBehind(after)
		}
	default:
		err = fmt.Errorf("no outcome: %q", word)
	}
	return o, err
}

// nothingBehind is for what ends where rest begins.
func nothingBehind(rest string) error {
	if rest != "" {
		return fmt.Errorf("too much: %q", rest)
	}
	return nil
}

// parseField reads a field, the status it belongs to, or that it is absent.
func (o *outcome) parseField(s string) error {
	number, rest, _ := strings.Cut(s, " ")
	if status, err := strconv.Atoi(number); err == nil && status > 0 {
		o.codes, s = []int{status}, rest
	}
	var ok bool
	if o.name, o.absent = strings.CutPrefix(s, "-"); o.absent {
		return nil
	}
	if o.name, o.value, ok = strings.Cut(s, ": "); !ok {
		return fmt.Errorf("no field: %q", s)
	}
	return nil
}
