package websocket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
)

// HandshakeError is a request that [Upgrade] refused: the answer that the
// client got, or would get from an [Options.OnReject] that changed nothing, and
// the reason for it.
type HandshakeError struct {
	// Status is the status code of the response. One outside 300 to 599, which
	// could not end a handshake, is replaced with 403 when it comes from
	// Options.Authorize or Options.SelectSubprotocol.
	Status int

	// Header has the fields that belong to the refusal (Allow,
	// Sec-WebSocket-Version, WWW-Authenticate and the like). It may be nil.
	Header http.Header

	// Err is what was wrong, for logs. Of an error that Options.Authorize or
	// Options.SelectSubprotocol returned, nothing but the text that was given
	// to [Reject] reaches the client.
	Err error

	reason string // for the client; "" where nothing may be said
}

func (e *HandshakeError) Error() string {
	s := "websocket: handshake refused with " + strconv.Itoa(e.Status)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns e.Err.
func (e *HandshakeError) Unwrap() error { return e.Err }

// Reason returns the text that the client is told: what was wrong and what was
// expected, or only the name of the status where more would give away what is
// none of the client's business. It is plain text in ASCII unless it comes from
// Reject.
func (e *HandshakeError) Reason() string {
	if e.reason != "" {
		return e.reason
	}
	return http.StatusText(e.Status)
}

// Reject returns an error for Options.Authorize and Options.SelectSubprotocol
// that refuses the handshake with status and tells the client reason. Fields
// such as WWW-Authenticate go into the Header of the result. The library's own
// refusals are made by it, too.
func Reject(status int, reason string) *HandshakeError {
	return &HandshakeError{Status: status, Err: errors.New(reason), reason: reason}
}

// CloseCode is the status code of a close (RFC 6455, section 7.4).
type CloseCode int

// The codes that RFC 6455 and the IANA registry define. Applications have 4000
// to 4999 for themselves, libraries and frameworks 3000 to 3999.
const (
	CloseNormal             CloseCode = 1000
	CloseGoingAway          CloseCode = 1001 // a server shutting down, a browser leaving the page
	CloseProtocolError      CloseCode = 1002
	CloseUnsupportedData    CloseCode = 1003 // binary where only text is understood, or the reverse
	CloseNoStatus           CloseCode = 1005 // never sent: the close frame had no code
	CloseAbnormal           CloseCode = 1006 // never sent: the connection ended without a close frame
	CloseInvalidPayload     CloseCode = 1007 // text that is not UTF-8
	ClosePolicyViolation    CloseCode = 1008
	CloseMessageTooBig      CloseCode = 1009
	CloseMandatoryExtension CloseCode = 1010 // from a client only
	CloseInternalError      CloseCode = 1011
	CloseServiceRestart     CloseCode = 1012
	CloseTryAgainLater      CloseCode = 1013
	CloseBadGateway         CloseCode = 1014
	CloseTLSHandshake       CloseCode = 1015 // never sent
)

var closeNames = map[CloseCode]string{
	CloseNormal:             "normal closure",
	CloseGoingAway:          "going away",
	CloseProtocolError:      "protocol error",
	CloseUnsupportedData:    "unsupported data",
	CloseNoStatus:           "no status",
	CloseAbnormal:           "abnormal closure",
	CloseInvalidPayload:     "invalid payload",
	ClosePolicyViolation:    "policy violation",
	CloseMessageTooBig:      "message too big",
	CloseMandatoryExtension: "mandatory extension",
	CloseInternalError:      "internal error",
	CloseServiceRestart:     "service restart",
	CloseTryAgainLater:      "try again later",
	CloseBadGateway:         "bad gateway",
	CloseTLSHandshake:       "TLS handshake",
}

// String returns the number and, where it has one, the name of c.
func (c CloseCode) String() string {
	if name, ok := closeNames[c]; ok {
		return strconv.Itoa(int(c)) + " (" + name + ")"
	}
	return strconv.Itoa(int(c))
}

// CloseError is the end of a connection. Once a connection has ended, or this
// end has decided that it will, everything returns the same CloseError.
type CloseError struct {
	// Code is the status code of the close frame that ended the connection,
	// CloseNoStatus if that frame had none, or CloseAbnormal if there was no
	// such frame.
	Code CloseCode

	// Reason is the reason in that close frame, in UTF-8. It is for people who
	// debug, not to be shown to users (RFC 6455, section 7.1.6).
	Reason string

	// Sent reports who ended the connection: this end, by Close, by CloseNow or
	// because the peer broke a rule or a time limit (true), or the peer or the
	// network (false).
	Sent bool

	// Err is the cause, if there is more to say: the rule that the peer broke,
	// ErrKeepAlive, ErrSlowMessage, ErrWriteTimeout, the error of the
	// transport, or net.ErrClosed after Close and CloseNow.
	Err error
}

func (e *CloseError) Error() string {
	by := "peer"
	switch {
	case e.Sent:
		by = "this end"
	case e.Code == CloseAbnormal:
		by = "the network"
	}
	s := fmt.Sprintf("websocket: closed by %s with %s", by, e.Code)
	if e.Reason != "" {
		s += ": " + strconv.Quote(e.Reason)
	}
	// net.ErrClosed is for errors.Is; "this end" says as much.
	if e.Err != nil && e.Err != net.ErrClosed && e.Err.Error() != e.Reason {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns e.Err.
func (e *CloseError) Unwrap() error { return e.Err }

// CloseStatus returns the Code of the CloseError in err's tree, or -1 when
// there is none: when err is nil, or no end of a connection, such as a read
// that ran out of time.
func CloseStatus(err error) CloseCode {
	if e, ok := errors.AsType[*CloseError](err); ok {
		return e.Code
	}
	return -1
}

// Time limits that a peer missed. Each is found in the tree of a CloseError,
// satisfies net.Error with Timeout, and is an os.ErrDeadlineExceeded to
// errors.Is.
var (
	// ErrKeepAlive: nothing came for the time of Options.KeepAlive, and nothing
	// for as long again after a ping.
	ErrKeepAlive error = timeoutError("the peer gave no sign of life")

	// ErrSlowMessage: a message was begun and not finished in the time that
	// Options.KeepAlive allows it.
	ErrSlowMessage error = timeoutError("the peer took too long over a message")

	// ErrWriteTimeout: the peer took nothing for the time of
	// Options.WriteTimeout.
	ErrWriteTimeout error = timeoutError("the peer did not read")
)

type timeoutError string

func (e timeoutError) Error() string        { return string(e) }
func (e timeoutError) Timeout() bool        { return true }
func (e timeoutError) Temporary() bool      { return false }
func (e timeoutError) Is(target error) bool { return target == os.ErrDeadlineExceeded }

// Reasons to turn a client away that is right in everything else. Each is found in
// the tree of a HandshakeError.
var (
	// ErrShutdown: the Group is shutting down. Group.Add returns it, too.
	ErrShutdown = errors.New("websocket: the group is shutting down")

	// ErrTooMany: there are as many connections as Limiter.Max allows, and none
	// has ended in the time that the client could wait.
	ErrTooMany = errors.New("websocket: there are as many connections as the limiter allows")

	// ErrTooManyFromAddress: there are as many from the address of the client as
	// Limiter.MaxPerAddress allows.
	ErrTooManyFromAddress = errors.New("websocket: there are as many connections from one address as the limiter allows")
)

// ErrPanic: a Handler has panicked in OnMessage. It is found in the tree of the
// CloseError, whose text has the value of the panic.
var ErrPanic = errors.New("the handler panicked")

// Calls that cannot be made now. The connection is not affected.
var (
	// ErrReaderOpen: a message was begun by another form of reading. One that
	// Reader began is finished by calling Reader again and reading to the end,
	// one that ReadFrame began by ReadFrame, one that Read began by Read,
	// ReadAppend or Reader.
	ErrReaderOpen = errors.New("websocket: the message under way is being read in another form")

	// ErrWriterOpen: a message was begun by Writer and not closed, so WriteFrame
	// cannot send data.
	ErrWriterOpen = errors.New("websocket: the message under way is being written by a Writer")

	// ErrWriterClosed: the message of this Writer has ended.
	ErrWriterClosed = errors.New("websocket: this Writer has been closed")

	// ErrBackpressure: the queue of TrySend has no room for the message, because
	// the peer does not take those that are in it.
	ErrBackpressure = errors.New("websocket: the peer is too slow: its queue is full")

	// ErrPollerClosed: the Poller was closed. Here the connection is affected: it is
	// closed.
	ErrPollerClosed = errors.New("websocket: the poller is closed")

	// ErrInvalidText: a text message, or a close reason, that this end wanted
	// to send is not UTF-8 (RFC 6455, section 5.6). Nothing was sent.
	ErrInvalidText = errors.New("websocket: text is not UTF-8")
)

// interrupted is the error of a call whose ctx has ended before it was done:
// ctx.Err(), and what was given as its cause.
func interrupted(doing string, ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == err {
		return fmt.Errorf("websocket: %s: %w", doing, err)
	}
	return fmt.Errorf("websocket: %s: %w: %w", doing, err, cause)
}
