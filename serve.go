package websocket

import (
	"context"
	"errors"
)

// Handler receives what happens on a connection, one call at a time.
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
// connection has ended when Serve returns, also by a panic of h.
//
// Serve returns nil after a close with CloseNormal, CloseGoingAway or
// CloseNoStatus, and otherwise what OnClose got.
func (c *Conn) Serve(h Handler) error {
	defer func() {
		_ = c.CloseNow()
		h.OnClose(c, c.Err())
	}()
	var scratch []byte
	for {
		typ, data, err := c.ReadAppend(context.Background(), scratch)
		if err == nil {
			err = h.OnMessage(c, Message{typ, data})
			if err == nil {
				scratch = keepScratch(data)
				continue
			}
			err = c.closeFor(err)
		}
		if CloseStatus(err) < 0 {
			// The handler has left a Reader open, so there is no going on.
			err = c.closeFor(err)
		}
		if normalClose(err) {
			return nil
		}
		return err
	}
}

// closeFor closes the connection for an error of OnMessage. The text of an
// error is not for the peer, unless it was made to be.
func (c *Conn) closeFor(err error) error {
	e := &CloseError{Code: CloseInternalError, Sent: true, Err: err}
	if wanted, ok := errors.AsType[*CloseError](err); ok {
		if code, reason, _ := checkClose(wanted.Code, wanted.Reason); code == wanted.Code {
			e.Code, e.Reason = code, reason
		}
	}
	// Whether the peer has answered is not what ended the connection.
	_ = c.closeWith(context.Background(), e)
	return c.Err()
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
