package websocket

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"runtime/debug"
)

// Handler receives what happens on a connection, one call at a time. The same
// Handler may serve any number of connections, by [Conn.Serve] and by a [Poller].
//
// What a call writes may wait for what the next ones write, as long as more
// messages have come already: replies to a burst leave together. None waits longer
// than a millisecond, and Write does not wait for it: what is held back when the
// connection is cut off, as by CloseNow, is lost.
//
// A panic of a call is logged as net/http does it, to the ErrorLog of the
// http.Server, and ends the connection with CloseInternalError. That of
// http.ErrAbortHandler is not logged, and ends it without a close frame.
type Handler interface {
	// OnMessage gets every message. Its Data is valid until OnMessage returns.
	// An error ends the connection: with the Code and Reason of a *CloseError in
	// its tree if they may be sent, otherwise with CloseInternalError.
	OnMessage(*Conn, Message) error

	// OnClose is called exactly once, after the connection has ended, with the
	// *CloseError that ended it.
	OnClose(*Conn, error)
}

// Serve reads messages and gives them to h until the connection ends, in this
// goroutine: in the HTTP handler itself, or with "go c.Serve(h)" in another, so
// that the handler can return and net/http's memory for it is freed. The
// connection has ended when Serve returns. Over HTTP/2 and HTTP/3 the handler has to
// stay, so there it is called without "go".
//
// Serve returns nil after a close with CloseNormal, CloseGoingAway or
// CloseNoStatus, and otherwise what OnClose got.
func (c *Conn) Serve(h Handler) error {
	var err error
	served := false
	defer func() {
		if !served { // h has called runtime.Goexit
			c.finish(h)
		}
	}()
	for scratch := []byte(nil); err == nil; {
		scratch, err = c.serveNext(h, scratch, nil)
	}
	c.endFor(err)
	served = true
	return c.finish(h)
}

// serveNext gives h the next message, which is read to scratch, and returns that
// for the one after. In a turn of a Poller, which waits for nothing, the error may
// be that there is no more to do.
func (c *Conn) serveNext(h Handler, scratch []byte, turn *polled) ([]byte, error) {
	m, err := c.readServed(scratch, turn)
	if err != nil {
		return scratch, err
	}
	return keepScratch(m.Data), c.onMessage(h, m)
}

// readServed is ReadAppend for who serves the connection.
func (c *Conn) readServed(dst []byte, turn *polled) (Message, error) {
	ctx := context.Background()
	if err := c.takeServed(ctx, turn); err != nil {
		return Message{}, err
	}
	defer c.releaseRead()
	typ, data, err := c.readAppend(ctx, dst)
	if on := &c.wr.cork.on; c.rd.more() && !on.Load() {
		on.Store(true)
	}
	return Message{typ, data}, err
}

// endFor ends the connection for err, if it has not ended yet: an error of
// OnMessage, or of reading, when the handler has left a Reader open. The text of an
// error is not for the peer, unless it was made to be.
func (c *Conn) endFor(err error) {
	if c.orClosed(nil) != nil {
		return
	}
	e := &CloseError{Code: CloseInternalError, Sent: true, Err: err}
	if wanted, ok := errors.AsType[*CloseError](err); ok {
		if code, reason, _ := checkClose(wanted.Code, wanted.Reason); code == wanted.Code {
			e.Code, e.Reason = code, reason
		}
	}
	// Whether the peer has answered is not what ended the connection.
	_ = c.closeWith(context.Background(), e)
}

// finish is the end of serving a connection: it has ended when h is told.
func (c *Conn) finish(h Handler) error {
	_ = c.CloseNow()
	c.onClose(h)
	if err := c.Err(); !normalClose(err) {
		return err
	}
	return nil
}

func (c *Conn) onMessage(h Handler, m Message) (err error) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler:
			err = c.abort(&CloseError{Code: CloseAbnormal, Sent: true, Err: http.ErrAbortHandler})
		default:
			c.logPanic(v)
			err = fmt.Errorf("%w: %v", ErrPanic, v)
		}
	}()
	return h.OnMessage(c, m)
}

func (c *Conn) onClose(h Handler) {
	defer func() {
		if v := recover(); v != nil && v != http.ErrAbortHandler {
			c.logPanic(v)
		}
	}()
	h.OnClose(c, c.Err())
}

// logPanic reports a panic with the value v. Who has recovered it calls this, so
// that the stack shows where it came from.
func (c *Conn) logPanic(v any) {
	printf := log.Printf
	if c.errorLog != nil {
		printf = c.errorLog.Printf
	}
	printf("websocket: panic serving %v: %v\n%s", c.RemoteAddr(), v, debug.Stack())
}

// errorLog returns the ErrorLog of the server that r came to, or nil.
func errorLog(r *http.Request) *log.Logger {
	if s, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok {
		return s.ErrorLog
	}
	return nil
}

// normalClose reports whether err is the end of a connection that nobody has to
// be told about.
func normalClose(err error) bool {
	switch CloseStatus(err) {
	case CloseNormal, CloseGoingAway, CloseNoStatus:
		return true
	}
	return false
}
