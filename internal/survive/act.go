package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
)

// tightBuffer is what the system keeps for a client that stalls. It does not grow
// then, and neither is it smaller than a segment on the loopback, for these would be
// dropped, and come again later and later.
const tightBuffer = 64 << 10

var errTurnedAway = errors.New("the server is full")

// live does what is in a life, from the connection to its end. When ctx ends, it is
// time to leave. The error is what must not have happened.
func live(ctx context.Context, crowd *crowd, l *life) error {
	c, in, err := open(crowd, l)
	if c == nil {
		return err
	}
	defer c.conn.Close()
	if in {
		err = c.stay(ctx)
	}
	for _, what := range []count{lost, doubled, misordered} {
		if n := c.counts[what]; n > 0 {
			err = errors.Join(err, fmt.Errorf("%d messages %s", n, countNames[what]))
		}
	}
	crowd.add(&c.counts, c.heard.late)
	return err
}

// open connects, and takes its turn for that.
func open(crowd *crowd, l *life) (c *client, in bool, err error) {
	if l.entry != unfinished { // these take as long as the server lets them
		crowd.door <- struct{}{}
		defer func() { <-crowd.door }()
	}
	address := crowd.addresses[l.id.slot%len(crowd.addresses)]
	dialer := net.Dialer{Timeout: crowd.plan.limit()}
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		return nil, false, err
	}
	c = newClient(crowd.plan, l, conn.(*net.TCPConn))
	in, err = c.enter(address)
	return c, in, err
}

// enter is the opening handshake, as it is in the life. It reports whether the
// connection is open.
func (c *client) enter(address string) (in bool, err error) {
	if c.life.tight {
		if err := c.conn.SetReadBuffer(tightBuffer); err != nil {
			return false, err
		}
	}
	l := c.life
	switch l.entry {
	case malformed:
		c.counts[refused]++
		text, want := mistaken(address, l.broken)
		status, err := c.handshake(text, nil)
		if err == nil && status != want {
			err = fmt.Errorf("a malformed handshake was answered with %d, want %d: %q", status, want, text)
		}
		return false, err
	case unfinished:
		c.counts[unfinishedHandshakes]++
		text := request(address, "")
		if _, err := c.handshake(text[:l.broken%len(text)], nil); isTimeout(err) {
			return false, fmt.Errorf("an unfinished handshake was not ended: %w", err)
		}
		return false, nil
	case abrupt:
		c.counts[abruptHandshakes]++
		if err := c.write([]byte(request(address, l.offer))); err != nil {
			return false, err
		}
		return false, c.conn.SetLinger(0)
	}
	var behind []byte
	if l.entry == enterEager {
		if behind, err = c.say([]utterance{{size: 100, fragments: 1}}); err != nil {
			return false, err
		}
	}
	status, err := c.handshake(request(address, l.offer), behind)
	switch {
	case err != nil:
		return false, fmt.Errorf("handshake: %w", err)
	case status == http.StatusServiceUnavailable, status == http.StatusTooManyRequests:
		c.counts[turnedAway]++
		return false, errTurnedAway
	case status != http.StatusSwitchingProtocols:
		return false, fmt.Errorf("a handshake was answered with %d", status)
	}
	c.counts[opened]++
	return true, nil
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

// stay goes from the handshake to the end.
func (c *client) stay(ctx context.Context) (err error) {
	go c.listen()
	if !c.life.lasting {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.life.length)
		defer cancel()
	}
	for err == nil && ctx.Err() == nil {
		err = c.act(ctx, c.life.next())
	}
	if err == nil {
		err = c.leave()
	}
	err = errors.Join(err, ignoreClosed(c.conn.Close()))
	<-c.done
	c.account()
	if errors.Is(c.heard.err, errFault) {
		err = errors.Join(err, c.heard.err)
	}
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// act does one step.
func (c *client) act(ctx context.Context, s step) error {
	switch s.deed {
	case idle:
		c.pause(ctx, s.pause)
	case talk:
		b, err := c.say(s.says)
		if err == nil {
			err = c.send(cut(c.life.rng, b, s.cuts)...)
		}
		if err != nil {
			return err
		}
	case stall:
		c.counts[stalls]++
		token := <-c.gate
		defer func() { c.gate <- token }()
		b, err := c.say(s.says)
		if err == nil {
			err = c.send(b)
		}
		if err != nil {
			return err
		}
		c.pause(ctx, s.pause)
	case ping:
		c.mu.Lock()
		want := c.heard.pongs + 1
		c.mu.Unlock()
		if err := c.send(pingFrame); err != nil {
			return err
		}
		return c.await("a pong", func(h *heard) bool { return h.pongs >= want })
	}
	select {
	case <-c.done:
		return c.cut("its time")
	default:
		return nil
	}
}

// leave ends the connection, as it is in the life.
func (c *client) leave() error {
	switch c.life.exit {
	case farewell:
		return c.farewell()
	case reset:
		c.counts[resets]++
		b, err := c.say(c.life.flood()[:1])
		if err == nil {
			err = c.send(b[:c.life.broken*len(b)/1000])
		}
		return errors.Join(err, c.conn.SetLinger(0))
	case hangUp:
		c.counts[hangUps]++
	case halfClose:
		c.counts[halfCloses]++
		if err := c.conn.CloseWrite(); err != nil {
			return err
		}
		return c.awaitEnd("a connection that was closed by half")
	case vanish:
		c.counts[vanished]++
		return c.fallSilent(nil, "a connection that vanished")
	case stallForEver:
		c.counts[stalledForEver]++
		return c.fallSilent(append(c.life.flood(), c.life.flood()...), "a connection that is not read from")
	case violate:
		return c.violate()
	}
	return nil
}

// farewell is what a survivor does: it waits for all echoes, asks how many
// broadcasts there were, and closes.
func (c *client) farewell() error {
	err := c.await("the last echo", func(h *heard) bool { return h.echoes.next == c.sent })
	for err == nil {
		err = c.ask()
		if c.heardAnswer().kind == answer {
			break
		}
	}
	if err != nil {
		return err
	}
	c.mute.Store(true)
	if err := c.send(closeFrame(websocket.CloseNormal)); err != nil {
		return err
	}
	if err := c.await("the close frame", func(h *heard) bool { return h.code != 0 }); err != nil {
		return err
	}
	if err := c.awaitEnd("a connection after the closing handshake"); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.heard.code != websocket.CloseNormal || c.heard.err != io.EOF {
		return fmt.Errorf("the closing handshake ended with code %v and %w", c.heard.code, c.heard.err)
	}
	c.counts[survivors]++
	return nil
}

// ask asks how many broadcasts there were. It counts what was lost on the way: the
// answer comes behind them in the same queue.
func (c *client) ask() error {
	c.mu.Lock()
	c.heard.answer = note{}
	c.mu.Unlock()
	if err := c.send(masked(frame.Header{Fin: true, Opcode: frame.Text}, note{kind: question}.bytes(0))); err != nil {
		return err
	}
	if err := c.await("the number of broadcasts", func(h *heard) bool { return h.answer.kind != 0 }); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := &c.heard; h.answer.kind == answer {
		missing := int(h.answer.a-h.answer.b) - int(h.oddThen)
		c.counts[skipped] += int(h.answer.b)
		c.counts[lost] += max(0, missing)
		c.counts[doubled] += max(0, -missing)
	}
	return nil
}

func (c *client) heardAnswer() note {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard.answer
}

// fallSilent stops reading, says something or nothing more, and neither reads nor
// answers. It looks later whether the server has noticed by itself.
func (c *client) fallSilent(says []utterance, what string) error {
	c.mute.Store(true)
	token := <-c.gate
	b, err := c.say(says)
	if err == nil {
		err = c.send(b)
	}
	if err == nil {
		c.pause(context.Background(), c.plan.silence())
	}
	c.gate <- token
	if isTimeout(err) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return c.awaitEnd(what)
}

// violate breaks a rule, and sees whether the server says so. What it says may be
// lost when the connection is reset.
func (c *client) violate() error {
	v := violations[c.life.broken%len(violations)]
	c.counts[violated]++
	c.mute.Store(true)
	if err := c.send(v.sent); err != nil {
		return err
	}
	if err := c.awaitEnd("a connection with " + v.name); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if code := c.heard.code; code != v.code && (code != 0 || c.heard.err == io.EOF) {
		return fmt.Errorf("%s was answered with code %d, want %d", v.name, code, v.code)
	}
	return nil
}

// account counts what was wrong with what came; the connection has ended.
func (c *client) account() {
	h := &c.heard
	end := uint64(0)
	if c.counts[survivors] > 0 {
		end = c.sent
	}
	c.counts[echoed] += int(h.echoes.next) - h.echoes.lost(0)
	c.counts[lost] += h.echoes.lost(end)
	c.counts[doubled] += h.echoes.doubled + h.broadcasts.doubled
	c.counts[misordered] += h.echoes.misordered + h.broadcasts.misordered
	c.counts[gaps] += h.broadcasts.lostEven()
}
