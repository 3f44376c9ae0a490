package conformance

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/airlock-go/websocket/frame"
)

// agreement is what the server answered to an offer of permessage-deflate (RFC
// 7692, section 7.1).
type agreement struct {
	serverNoTakeover, clientNoTakeover bool
	serverBits, clientBits             int // of the windows
}

// parameters of permessage-deflate, by name. A parameter without a value is "".
type parameters map[string]string

const (
	serverNoTakeover = "server_no_context_takeover"
	clientNoTakeover = "client_no_context_takeover"
	serverWindow     = "server_max_window_bits"
	clientWindow     = "client_max_window_bits"
)

// parseExtension reads an element of Sec-WebSocket-Extensions.
func parseExtension(s string) (name string, params parameters, err error) {
	pieces := strings.Split(s, ";")
	params = make(parameters)
	for _, piece := range pieces[1:] {
		key, value, has := strings.Cut(strings.TrimSpace(piece), "=")
		if key == "" {
			return "", nil, fmt.Errorf("a parameter has no name")
		}
		if params.has(key) {
			return "", nil, fmt.Errorf("the parameter %s stands twice", key)
		}
		if inner, ok := strings.CutPrefix(value, `"`); ok {
			if value, ok = strings.CutSuffix(inner, `"`); !ok {
				return "", nil, fmt.Errorf("the value of %s has one quote", key)
			}
		}
		if has && value == "" {
			return "", nil, fmt.Errorf("the parameter %s has an empty value", key)
		}
		params[key] = value
	}
	return strings.TrimSpace(pieces[0]), params, nil
}

func (p parameters) has(key string) bool {
	_, ok := p[key]
	return ok
}

// check looks for what may stand neither in an answer nor in an offer, where a
// client need not say how large its own window can be.
func (p parameters) check(offer bool) error {
	for _, key := range slices.Sorted(maps.Keys(p)) {
		switch value := p[key]; {
		case key == serverNoTakeover || key == clientNoTakeover:
			if value != "" {
				return fmt.Errorf("%s has a value", key)
			}
		case key != serverWindow && key != clientWindow:
			return fmt.Errorf("there is no parameter %s", key)
		case value == "" && key == clientWindow && offer:
		case !windowSizes.MatchString(value):
			return fmt.Errorf("%s is %q, which is no size of a window", key, value)
		}
	}
	return nil
}

var windowSizes = regexp.MustCompile("^([89]|1[0-5])$")

// bits returns the size of a window, which is the largest unless p says so.
func (p parameters) bits(key string) int {
	n, err := strconv.Atoi(p[key])
	if err != nil {
		return 15
	}
	return n
}

// agreeOn reads the answer to an offer.
func (p *player) agreeOn(offer string) error {
	answer := strings.Join(p.answer.Header.Values("Sec-WebSocket-Extensions"), ",")
	refuse := slices.Contains(p.c.agree, "-"+deflateName)
	switch {
	case answer == "" && (p.c.offer == "" || refuse):
		return nil
	case answer == "":
		return errDeclined
	case offer == "":
		return fmt.Errorf("9.1: the server chose %q, and nothing was offered", answer)
	case refuse:
		return fmt.Errorf("RFC 7692, 7: the server accepted %q, which it must decline", offer)
	}
	a, params, err := agreed(answer, offer)
	if err != nil {
		return fmt.Errorf("RFC 7692, 7.1: the server answered %q: %w", answer, err)
	}
	for _, want := range p.c.agree {
		want, absent := strings.CutPrefix(want, "-")
		key, value, _ := strings.Cut(want, "=")
		if met := params.has(key) && (value == "" || params[key] == value); met == absent {
			return fmt.Errorf("%w as this case needs it: it answered %q", errDeclined, answer)
		}
	}
	p.rc.agreed.Store(a)
	p.deflater = deflater{agreement: a}
	return nil
}

const deflateName = "permessage-deflate"

// agreed checks that answer accepts one of the offers.
func agreed(answer, offers string) (*agreement, parameters, error) {
	if strings.Contains(answer, ",") {
		return nil, nil, fmt.Errorf("that is more than one extension")
	}
	name, params, err := parseExtension(answer)
	if err == nil && name != deflateName {
		err = fmt.Errorf("that is no extension of RFC 7692")
	}
	if err == nil {
		err = params.check(false)
	}
	if err != nil {
		return nil, nil, err
	}
	wrong := fmt.Errorf("nothing like it was offered")
	for offer := range strings.SplitSeq(offers, ",") {
		name, offered, err := parseExtension(offer)
		if err != nil || name != deflateName || offered.check(true) != nil {
			continue // to be declined
		}
		var a *agreement
		if a, wrong = accepts(params, offered); wrong == nil {
			return a, params, nil
		}
	}
	return nil, nil, wrong
}

// accepts returns what is agreed when answer is the answer to offered.
func accepts(answer, offered parameters) (*agreement, error) {
	switch {
	case offered.has(serverNoTakeover) && !answer.has(serverNoTakeover):
		return nil, fmt.Errorf("%s was offered and is not kept", serverNoTakeover)
	case offered.has(serverWindow) && (!answer.has(serverWindow) || answer.bits(serverWindow) > offered.bits(serverWindow)):
		return nil, fmt.Errorf("%s=%s was offered and is not kept", serverWindow, offered[serverWindow])
	case answer.has(clientWindow) && !offered.has(clientWindow):
		return nil, fmt.Errorf("%s was not offered", clientWindow)
	case answer.has(clientWindow) && answer.bits(clientWindow) > offered.bits(clientWindow):
		return nil, fmt.Errorf("%s is larger than what was offered", clientWindow)
	}
	// What a client offers of its own side it keeps, whether the server confirms
	// it or not (sections 7.1.1.2 and 7.1.2.2).
	return &agreement{
		serverNoTakeover: answer.has(serverNoTakeover),
		clientNoTakeover: answer.has(clientNoTakeover) || offered.has(clientNoTakeover),
		serverBits:       answer.bits(serverWindow),
		clientBits:       min(answer.bits(clientWindow), offered.bits(clientWindow)),
	}, nil
}

// deflater compresses what the client sends, as agreed.
type deflater struct {
	agreement *agreement
	history   []byte // of the messages before, as far as they count
}

// message returns data as the payload of a message (RFC 7692, section 7.2.1).
func (d *deflater) message(data []byte) []byte {
	packed := compress(d.history, data, d.agreement.clientBits)
	if !d.agreement.clientNoTakeover {
		d.history = lastBytes(append(d.history, data...), 1<<d.agreement.clientBits)
	}
	return packed
}

// lastBytes returns the last n bytes of b, or all of them.
func lastBytes(b []byte, n int) []byte { return bytes.Clone(b[max(0, len(b)-n):]) }

// sendCompressed sends a message in as many frames as the step says.
func (p *player) sendCompressed(s *sending) error {
	if p.deflater.agreement == nil {
		return errDeclined
	}
	plain := s.payload.bytes()
	packed := p.deflater.message(plain)
	p.log.add(Remark, fmt.Sprintf("%s, compressed to %s", byteCount(len(plain)), byteCount(len(packed))), plain)
	size := (len(packed) + s.compress - 1) / s.compress
	for i := range s.compress {
		n := min(size, len(packed))
		part := *s
		part.header.RSV1 = i == 0
		part.header.Fin = i == s.compress-1
		if i > 0 {
			part.header.Opcode = frame.Continuation
		}
		p.sendFrame(&part, packed[:n])
		packed = packed[n:]
	}
	p.sent[len(p.sent)-1].data = plain // what the frames mean, not what they hold
	return nil
}
