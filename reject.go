package websocket

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"time"
)

// refuseSilently makes a refusal for a mistake on this side, of which the
// client learns nothing.
func refuseSilently(err error) *HandshakeError {
	return &HandshakeError{Status: http.StatusInternalServerError, Err: err}
}

// withUpgrade adds the fields of 426: "The server MUST send an Upgrade header
// field in a 426 response to indicate the required protocol(s)" (RFC 9110,
// section 15.5.22), and the versions of RFC 6455, section 4.4.
func (e *HandshakeError) withUpgrade() *HandshakeError {
	e.Header = http.Header{headerUpgrade: {"websocket"}, headerVersion: {"13"}}
	return e
}

// bodyPatience is how long net/http may wait for a body that was announced with
// a refused request before it gives the connection up.
const bodyPatience = time.Second

// answerRefusal answers a handshake that has failed, unless 101 is what went wrong. It
// is no part of Upgrade, so that the stack of those that succeed has no room for it.
//
//go:noinline
func answerRefusal(w http.ResponseWriter, r *http.Request, opts *Options, err error) {
	if refusal, ok := errors.AsType[*HandshakeError](err); ok {
		refusal.answer(w, r, opts)
	}
}

// answer writes the response of a refusal.
//
// On HTTP/1 it ends the connection. A proxy that takes any answer to an Upgrade
// for a tunnel would otherwise let the client smuggle requests through it, and
// net/http would wait for an announced body before it answered.
func (e *HandshakeError) answer(w http.ResponseWriter, r *http.Request, opts *Options) {
	h := w.Header()
	h.Del("Content-Length")
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	maps.Copy(h, e.Header)
	if r.ProtoMajor == 1 {
		// net/http closes when the first value is exactly "close". "A sender of
		// Upgrade MUST also send an "Upgrade" connection option" (RFC 9110,
		// section 7.8).
		h[headerConnection] = []string{"close"}
		if _, ok := e.Header[headerUpgrade]; ok {
			h[headerConnection] = []string{"close", "Upgrade"}
		}
		if r.ContentLength != 0 {
			// Where the writer hides its deadlines, the server's own apply.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyPatience))
		}
	}
	if opts.OnReject != nil {
		opts.OnReject(w, r, e)
		return
	}
	w.WriteHeader(e.Status)
	// The client may be gone, and then there is nobody to tell.
	_, _ = io.WriteString(w, e.Reason()+"\n")
}
