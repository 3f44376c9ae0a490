package websocket

import (
	"fmt"
	"math/bits"
	"net/http"
	"strconv"

	"github.com/airlock-go/websocket/internal/deflate"
	"github.com/airlock-go/websocket/internal/field"
)

// Compression is how messages are compressed, with permessage-deflate (RFC
// 7692), on the connections of clients that offer it. The zero value is a good
// start. Like Options it is only read.
//
// Compression saves bytes on the wire for processor time and memory at both
// ends. What a connection keeps between two messages is its windows, the end of
// what has been sent and of what has been received, for later messages to refer
// to ("context takeover"); everything else belongs to nobody and is shared.
//
// Secrets should not be compressed together with what an attacker can choose,
// for the length then gives away what they have in common: see
// [Conn.SetWriteCompression].
type Compression struct {
	// SendWindowBits is the size of the window that a connection keeps of what
	// it has sent, as the base-2 logarithm of its bytes: 8 (256 bytes) to 15
	// (32 KiB). 0: 12 (4 KiB); negative: none, every message is compressed by
	// itself. A client may demand less.
	SendWindowBits int

	// ReceiveWindowBits is the same for what has been received, where a client
	// has to do its part. One that does not offer client_max_window_bits cannot
	// be told of a smaller window than 32 KiB. By default that much is kept of
	// what it sends, then; with a value from 8 to 14 it is told to compress every
	// message by itself, which some clients do not expect (docs/compression.md).
	ReceiveWindowBits int

	// Threshold is the size in bytes below which messages are sent
	// uncompressed. 0: 128; negative: no size is too small. A message that
	// compression does not make smaller is sent uncompressed, too. Neither holds
	// for a message of 16 KiB or more from a Writer, which is compressed before
	// its size is known.
	Threshold int

	// Compress, if not nil, is used in place of the library's own compressor,
	// except for clients that ask for a smaller window than 32 KiB. It appends to
	// dst what p compresses to: blocks of DEFLATE (RFC 1951), none of them final,
	// that end with an empty stored block, as the Flush of compress/flate writes
	// it. What the blocks refer to must lie in p or in dict, which is what came
	// right before p, or empty.
	//
	// It must not keep or change dict and p, and may be called by many
	// goroutines at once. A result that ends in any other way, or an error, fails
	// the call that sends the message, and nothing is sent. From the queue of
	// TrySend, where nobody is called, the message goes uncompressed instead, and
	// after a panic, too.
	Compress func(dst, dict, p []byte) ([]byte, error)
}

// Defaults of Compression.
const (
	defaultWindowBits = 12
	defaultThreshold  = 128
)

// check finds what Options.Validate promises to find.
func (c *Compression) check() error {
	if c == nil {
		return nil
	}
	for _, o := range [...]struct {
		name string
		bits int
	}{{"SendWindowBits", c.SendWindowBits}, {"ReceiveWindowBits", c.ReceiveWindowBits}} {
		if o.bits > 0 && (o.bits < deflate.MinWindowBits || o.bits > deflate.MaxWindowBits) {
			return fmt.Errorf("the window of Compression.%s is %d; it must be %d to %d, 0 or negative", o.name, o.bits, deflate.MinWindowBits, deflate.MaxWindowBits)
		}
	}
	return nil
}

// agreement is how both ends compress (RFC 7692, section 7.1), seen from here, and
// what the connection does it with.
type agreement struct {
	sendBits, receiveBits   int // the windows, as base-2 logarithms
	sendKeeps, receiveKeeps int // what is kept of them between messages, in bytes
	answer                  deflateParams

	inflation inflation
	deflation deflation
}

// chooseExtension answers the client's offers of permessage-deflate: with the
// first that can be accepted, as the client lists them in its order of
// preference (RFC 7692, section 5), or nil. To be declined is no mistake, but to be
// malformed is, whatever the extension.
func chooseExtension(r *http.Request, with *Compression) (chosen *agreement, refusal *HandshakeError) {
	lines, ok := r.Header[headerExtensions]
	if !ok {
		return nil, nil
	}
	list := field.NewExtensions(lines)
	for list.Next() {
		if with == nil || chosen != nil || list.Name != "permessage-deflate" {
			continue
		}
		if o, ok := parseDeflateOffer(&list); ok {
			chosen = o.accept(with)
		}
	}
	if err := list.Err(); err != nil {
		return nil, Reject(http.StatusBadRequest, "Sec-WebSocket-Extensions is malformed: "+err.Error())
	}
	return chosen, nil
}

// deflateParams is what one end says about permessage-deflate (RFC 7692, section
// 7.1). A window of 0 bits was not spoken of.
type deflateParams struct {
	serverAlone, clientAlone bool  // *_no_context_takeover
	serverBits, clientBits   uint8 // *_max_window_bits
}

// append appends the extension with its parameters.
func (p *deflateParams) append(b []byte) []byte {
	b = append(b, "permessage-deflate"...)
	if p.serverAlone {
		b = append(b, "; server_no_context_takeover"...)
	}
	if p.serverBits > 0 {
		b = append(b, "; server_max_window_bits="...)
		b = strconv.AppendInt(b, int64(p.serverBits), 10)
	}
	if p.clientAlone {
		b = append(b, "; client_no_context_takeover"...)
	}
	if p.clientBits > 0 {
		b = append(b, "; client_max_window_bits="...)
		b = strconv.AppendInt(b, int64(p.clientBits), 10)
	}
	return b
}

// parseDeflateOffer reports whether the offer may be accepted: "A server MUST
// decline an extension negotiation offer for this extension" with a parameter
// that is unknown or stands twice, or with a value that is not allowed (RFC
// 7692, section 7).
func parseDeflateOffer(list *field.Extensions) (o deflateParams, ok bool) {
	for list.NextParam() {
		if !o.add(&list.Param) {
			return o, false
		}
	}
	return o, true
}

// add reports whether the parameter may stand in an offer, beside those before.
func (o *deflateParams) add(p *field.Param) (ok bool) {
	switch {
	case p.Name == "server_no_context_takeover" && !o.serverAlone:
		o.serverAlone = true
		return !p.HasValue
	case p.Name == "client_no_context_takeover" && !o.clientAlone:
		o.clientAlone = true
		return !p.HasValue
	case p.Name == "server_max_window_bits" && o.serverBits == 0:
		o.serverBits, ok = parseWindowBits(p.Value)
	case p.Name == "client_max_window_bits" && o.clientBits == 0:
		if p.HasValue {
			o.clientBits, ok = parseWindowBits(p.Value)
			break
		}
		// It is an offer to keep whatever limit is answered (section 7.1.2.2).
		o.clientBits, ok = deflate.MaxWindowBits, true
	}
	return ok
}

// parseWindowBits parses "a decimal integer value without leading zeroes between
// 8 to 15" (RFC 7692, section 7.1.2).
func parseWindowBits(s string) (bits uint8, ok bool) {
	switch s {
	case "8", "9":
		return s[0] - '0', true
	case "10", "11", "12", "13", "14", "15":
		return 10 + s[1] - '0', true
	}
	return 0, false
}

// accept makes the agreement. What is asked of the client is answered, and but for
// one parameter nothing else than what was offered.
func (o *deflateParams) accept(with *Compression) *agreement {
	a := &agreement{
		sendBits:     deflate.MaxWindowBits,
		receiveBits:  deflate.MaxWindowBits,
		sendKeeps:    windowSize(with.SendWindowBits),
		receiveKeeps: windowSize(with.ReceiveWindowBits),
	}
	if o.clientBits == 0 && with.ReceiveWindowBits == 0 {
		a.receiveKeeps = 1 << deflate.MaxWindowBits
	}
	if o.serverAlone {
		a.sendKeeps = 0
		a.answer.serverAlone = true
	}
	if o.serverBits > 0 {
		a.sendBits = int(o.serverBits)
		a.sendKeeps = min(a.sendKeeps, 1<<o.serverBits)
		a.answer.serverBits = o.serverBits
	}
	if o.clientAlone || a.receiveKeeps == 0 || o.clientBits == 0 && a.receiveKeeps < 1<<deflate.MaxWindowBits {
		// The client would refer to more than is kept here, and did not offer
		// to refrain from it. "A server MAY" tell it so nevertheless.
		a.receiveKeeps = 0
		a.answer.clientAlone = true
		if o.clientBits > 0 {
			a.receiveBits = int(o.clientBits)
		}
	} else if o.clientBits > 0 {
		a.receiveKeeps = min(a.receiveKeeps, 1<<o.clientBits)
		a.receiveBits = bits.Len(uint(a.receiveKeeps)) - 1
	}
	// A client that offers less than the largest window may miss it in the
	// answer.
	if a.receiveBits < deflate.MaxWindowBits || o.clientBits > 0 && a.receiveKeeps > 0 {
		a.answer.clientBits = uint8(a.receiveBits)
	}
	return a
}

// windowSize returns the bytes that an option of Compression stands for.
func windowSize(option int) int {
	switch {
	case option < 0:
		return 0
	case option == 0:
		option = defaultWindowBits
	}
	return 1 << option
}
