package websocket

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/airlock-go/websocket/internal/field"
)

// OfferedSubprotocols returns the names that the client offers in
// Sec-WebSocket-Protocol, in its order of preference, over all lines of the
// field (RFC 6455, section 4.1); none if the request has no such field. The
// error says what is malformed: an element that is no token, a name that stands
// twice, or a field without an element.
func OfferedSubprotocols(r *http.Request) ([]string, error) {
	offered, err := appendOffered(nil, r)
	if err == nil {
		err = checkUnique(slices.Clone(offered))
	}
	if err != nil {
		return nil, err
	}
	return offered, nil
}

// appendOffered appends what the client offers, in which a name may stand twice.
func appendOffered(room []string, r *http.Request) ([]string, error) {
	lines, ok := r.Header[headerProtocol]
	if !ok {
		return nil, nil
	}
	offered, err := field.AppendTokens(room, lines)
	if err != nil {
		return nil, fmt.Errorf("Sec-WebSocket-Protocol is malformed: %w", err)
	}
	return offered, nil
}

// checkUnique: "The elements that comprise this value MUST be non-empty strings
// [...] and MUST all be unique strings" (RFC 6455, section 4.1). The names are
// compared as they are: a token has a case. They are sorted for that.
func checkUnique(names []string) error {
	slices.Sort(names)
	for i := 1; i < len(names); i++ {
		if names[i] == names[i-1] {
			return fmt.Errorf("Sec-WebSocket-Protocol is malformed: %s stands twice", field.Quote(names[i]))
		}
	}
	return nil
}

// usualList is how many elements of a list there is room for on the stack. The lists
// of a handshake are seldom longer.
const usualList = 8

// readSubprotocols reads what the client offers, and keeps what is needed to choose:
// the first of ours that is among it, or all of it for the hook.
func (d *decision) readSubprotocols(r *http.Request, opts *Options) *HandshakeError {
	offered, err := appendOffered(make([]string, 0, usualList), r)
	if err == nil {
		if opts.SelectSubprotocol != nil {
			d.offered = slices.Clone(offered)
		}
		for _, name := range opts.Subprotocols {
			if slices.Contains(offered, name) {
				d.subprotocol = name
				break
			}
		}
		err = checkUnique(offered)
	}
	if err != nil {
		return Reject(http.StatusBadRequest, err.Error())
	}
	return nil
}

// chooseSubprotocol decides on the subprotocol to speak, "" for none. "if the
// server does not agree to any of the client's requested subprotocols, the only
// acceptable value is null" (RFC 6455, section 4.2.2).
func (d *decision) chooseSubprotocol(r *http.Request, opts *Options) *HandshakeError {
	if opts.SelectSubprotocol != nil {
		// A copy: what the hook does to it is no offer of the client's.
		chosen, err := opts.SelectSubprotocol(r, slices.Clone(d.offered))
		if err != nil {
			return refuseFor(err)
		}
		if chosen != "" && !slices.Contains(d.offered, chosen) {
			return refuseSilently(fmt.Errorf("SelectSubprotocol chose %q, which the client did not offer (%q)", chosen, d.offered))
		}
		d.subprotocol = chosen
	}
	if d.subprotocol == "" && opts.RequireSubprotocol {
		return Reject(http.StatusNotImplemented, subprotocolWanted(opts))
	}
	return nil
}

func subprotocolWanted(opts *Options) string {
	if opts.SelectSubprotocol != nil || len(opts.Subprotocols) == 0 {
		return "none of the offered subprotocols is spoken here, and one is required"
	}
	return fmt.Sprintf("none of the offered subprotocols is spoken here; one of %q is required", opts.Subprotocols)
}

// refuseFor is the refusal for an error of a hook: the HandshakeError in its
// tree, or else 403 without a word of what the error says.
func refuseFor(err error) *HandshakeError {
	e, ok := errors.AsType[*HandshakeError](err)
	switch {
	case !ok:
		return &HandshakeError{Status: http.StatusForbidden, Err: err}
	case e == nil:
		// It is not kept, for to walk the tree with it would panic.
		return &HandshakeError{Status: http.StatusForbidden, Err: fmt.Errorf("the error is a nil *HandshakeError, or wraps one (%v)", err)}
	}
	refusal := *e
	refusal.Header = e.Header.Clone() // e may be the answer to other requests, too
	refusal.Err = err
	if e == err {
		refusal.Err = e.Err
	}
	if refusal.Status < 300 || refusal.Status > 599 {
		refusal.Status = http.StatusForbidden
	}
	return &refusal
}
