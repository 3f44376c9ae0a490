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
func OfferedSubprotocols(r *http.Request) ([]string, error) { return appendOffered(nil, r) }

// appendOffered is OfferedSubprotocols with room for what it returns.
func appendOffered(room []string, r *http.Request) ([]string, error) {
	lines, ok := r.Header[headerProtocol]
	if !ok {
		return nil, nil
	}
	offered, err := field.AppendTokens(room, lines)
	if err == nil {
		err = checkUnique(offered)
	}
	if err != nil {
		return nil, fmt.Errorf("Sec-WebSocket-Protocol is malformed: %w", err)
	}
	return offered, nil
}

// checkUnique: "The elements that comprise this value MUST be non-empty strings
// [...] and MUST all be unique strings" (RFC 6455, section 4.1). The names are
// compared as they are: a token has a case.
func checkUnique(names []string) error {
	if len(names) < 2 {
		return nil
	}
	sorted := append(make([]string, 0, usualList), names...)
	slices.Sort(sorted)
	for i, name := range sorted[1:] {
		if name == sorted[i] {
			return fmt.Errorf("%s stands twice", field.Quote(name))
		}
	}
	return nil
}

// chooseSubprotocol returns the subprotocol to speak, "" for none. "if the
// server does not agree to any of the client's requested subprotocols, the only
// acceptable value is null" (RFC 6455, section 4.2.2).
func chooseSubprotocol(r *http.Request, offered []string, opts *Options) (string, *HandshakeError) {
	var chosen string
	if opts.SelectSubprotocol != nil {
		var err error
		// A copy: what the hook does to it is no offer of the client's.
		chosen, err = opts.SelectSubprotocol(r, slices.Clone(offered))
		if err != nil {
			return "", refuseFor(err)
		}
		if chosen != "" && !slices.Contains(offered, chosen) {
			// Another copy: what an error takes would keep offered from the stack.
			return "", refuseSilently(fmt.Errorf("SelectSubprotocol chose %q, which the client did not offer (%q)", chosen, slices.Clone(offered)))
		}
	} else {
		for _, name := range opts.Subprotocols {
			if slices.Contains(offered, name) {
				chosen = name
				break
			}
		}
	}
	if chosen == "" && opts.RequireSubprotocol {
		return "", Reject(http.StatusNotImplemented, subprotocolWanted(opts))
	}
	return chosen, nil
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
