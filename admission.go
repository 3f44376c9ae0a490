package websocket

import "net/http"

// admission is what a handshake has been given on trust: a place of the Limiter, and
// the word of the Group that it will wait. What is not handed on to a connection goes
// back.
type admission struct {
	limiter *Limiter
	group   *Group

	place    *place
	reserved bool
}

// begin is for a handshake that has nothing wrong with it.
func (a *admission) begin(r *http.Request) (refusal *HandshakeError) {
	if a.group != nil {
		if refusal := a.group.check(); refusal != nil {
			return refusal
		}
	}
	if a.limiter != nil {
		a.place, refusal = a.limiter.admit(r)
	}
	return refusal
}

// commit is for one that is about to be answered with 101. What it has been asked
// before may have taken a long time.
func (a *admission) commit() (refusal *HandshakeError) {
	if a.group != nil {
		refusal = a.group.reserve()
		a.reserved = refusal == nil
	}
	return refusal
}

// complete hands over to the connection.
func (a *admission) complete(c *Conn) {
	c.membership.place, a.place = a.place, nil
	if a.reserved {
		a.reserved = false
		a.group.join(c)
	}
}

// end is for what has come to nothing.
func (a *admission) end() {
	a.place.giveBack()
	if a.reserved {
		a.group.join(nil)
	}
}
