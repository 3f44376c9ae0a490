package conformance

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"slices"
	"strings"
)

// offer is an element of Sec-WebSocket-Extensions.
type offer struct {
	name   string
	params []param
}

type param struct {
	name, value string
	valued      bool
}

// parseOffers reads the field as RFC 6455, section 9.1, has it.
func parseOffers(lines []string) ([]offer, error) {
	var offers []offer
	for element := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		if element = strings.Trim(element, " \t"); element == "" {
			continue
		}
		var o offer
		for i, piece := range strings.Split(element, ";") {
			piece = strings.Trim(piece, " \t")
			name, value, valued := strings.Cut(piece, "=")
			name, value = strings.TrimRight(name, " \t"), strings.TrimLeft(value, " \t")
			if n := len(value); n > 1 && value[0] == '"' && value[n-1] == '"' {
				value = unescape(value[1 : n-1])
			}
			if !isToken(name) || valued && (i == 0 || !isToken(value)) {
				return nil, fmt.Errorf("malformed extensions: %q", piece)
			}
			if i == 0 {
				o.name = name
			} else {
				o.params = append(o.params, param{name, value, valued})
			}
		}
		offers = append(offers, o)
	}
	if len(lines) > 0 && len(offers) == 0 {
		return nil, fmt.Errorf("no extension")
	}
	return offers, nil
}

// unescape reads what stands in quotes (RFC 9110, section 5.6.4).
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// settings is what was agreed.
type settings struct {
	answer          string
	resets, forgets bool // the server's compressor, the client's
	window          int  // bits, of the server's
}

// agree takes the first offer that can be taken.
func (o *opener) agree() *settings {
	offers, err := parseOffers(o.fields[secExtensions])
	if err != nil && !o.has(ignoresExtensions) {
		return nil
	}
	if len(offers) > 1 && o.has(takesFirstOffer) {
		offers = offers[:1]
	}
	for _, offer := range offers {
		if offer.name == deflateName && !o.has(declines) {
			if s := o.take(offer); s != nil {
				return s
			}
		}
	}
	return nil
}

// take returns nil if the offer has to be declined (RFC 7692, section 7.1).
func (o *opener) take(offer offer) *settings {
	s := &settings{answer: deflateName, window: 15}
	for i, p := range offer.params {
		twice := slices.ContainsFunc(offer.params[:i], func(q param) bool { return q.name == p.name })
		if twice && !o.has(acceptsParamsTwice) {
			return nil
		}
		bits, good := parseBits(p.value)
		if p.valued && !good && o.has(ignoresBadValues) {
			good, p.valued = good || p.valued, p.valued && p.name != serverNoTakeover && p.name != clientNoTakeover
		}
		switch {
		case p.name == serverNoTakeover && !p.valued:
			s.resets = true
			if o.has(ignoresServerNoTakeover) {
				continue
			}
		case p.name == clientNoTakeover && !p.valued:
			s.forgets = true
		case p.name == serverWindow && good:
			if s.window = bits; o.has(forgetsServerWindow) {
				continue
			}
			if bits == 8 && o.has(raisesWindow8) {
				p.value = "9"
			}
		case p.name == clientWindow && !p.valued:
			continue
		case p.name == clientWindow && good:
		case o.has(acceptsUnknownParams):
			continue
		default:
			return nil
		}
		s.answer += "; " + p.name
		if p.valued {
			s.answer += "=" + p.value
		}
	}
	if o.has(answersClientWindow) {
		s.answer += "; " + clientWindow + "=15"
	}
	if !s.resets && o.has(neverTakesOver) {
		s.resets = true
		s.answer += "; " + serverNoTakeover
	}
	if !s.forgets && o.has(wantsNoTakeover) {
		s.forgets = true
		s.answer += "; " + clientNoTakeover
	}
	return s
}

// parseBits reads 8 to 15.
func parseBits(value string) (bits int, ok bool) {
	if _, err := fmt.Sscanf(value, "%d", &bits); err != nil {
		return 15, false
	}
	return min(max(bits, 8), 15), bits >= 8 && bits <= 15 && value == fmt.Sprint(bits)
}

// codec compresses and decompresses messages.
type codec struct {
	reference
	settings
	history []byte // what the client's compressor may refer to
	packed  []byte // what its own may refer to
}

const tail = "\x00\x00\xff\xff"

// inflate returns the message in packed.
func (c *codec) inflate(packed []byte) ([]byte, error) {
	end := tail + "\x01" + tail // and a final block, for compress/flate wants one
	if c.has(forgetsTail) {
		end = "\x01" + tail
	}
	in := bytes.NewReader(append(packed, end...))
	var plain []byte
	for in.Len() > 0 {
		r := flate.NewReaderDict(in, lastWindow(append(c.history, plain...)))
		piece, err := io.ReadAll(io.LimitReader(r, messageLimit))
		plain = append(plain, piece...)
		switch {
		case err != nil && c.has(acceptsCorrupt):
			in.Reset(nil)
		case err != nil:
			return nil, badData
		case len(plain) > 64<<10 && c.has(stopsAt64K):
			return nil, io.EOF
		case len(plain) >= messageLimit:
			return nil, tooBig
		case in.Len() > 0 && c.has(stopsAtFinalBlock):
			in.Reset(nil)
		}
	}
	c.history = lastWindow(append(c.history, plain...))
	if c.forgets && !c.has(keepsHistory) || c.has(forgetsHistory) {
		c.history = nil
	}
	return plain, nil
}

func lastWindow(b []byte) []byte { return lastBytes(b, 1<<15) }

// deflate returns data as the payload of a message.
func (c *codec) deflate(data []byte) []byte {
	window := c.window
	if c.has(exceedsWindow) {
		window = 15
	}
	packed := append(compress(c.packed, data, window), tail...)
	if c.packed = lastWindow(append(c.packed, data...)); c.resets && !c.has(neverResets) {
		c.packed = nil
	}
	if c.has(packsInFinalBlocks) {
		// A final block, and the one that a single byte begins (RFC 7692, section
		// 7.2.3.4).
		return append(packed, 1, 0, 0, 0xff, 0xff, 0)
	}
	if !c.has(leavesTail) {
		packed = bytes.TrimSuffix(packed, []byte(tail))
	}
	return packed
}
