package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
)

// patience is how long a test waits for what must come, all in all.
const patience = 90 * time.Second

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// client is a client of cluster.v1, down to the frames.
type client struct {
	conn net.Conn
	r    *bufio.Reader
}

// anything is a message of a node, of whichever type.
type anything struct {
	Type, Node, Stream, ID, Name, Text string
	After, Seq                         uint64
	People                             []person
}

// closed is the end of a connection, as the client has seen it. The code is 1006 if it
// ended without a close frame.
type closed struct {
	code   int
	reason string
}

func (c *closed) Error() string { return fmt.Sprintf("closed with %d %s", c.code, c.reason) }

// dial connects. A node that says anything but 101 is an error with the status.
func dial(ctx context.Context, host string) (*client, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: %s\r\nOrigin: http://%[1]s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: cluster.v1\r\n\r\n", host, key)
	c := &client{conn, bufio.NewReader(conn)}
	resp, err := http.ReadResponse(c.r, nil)
	if err == nil && (resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Accept") != websocket.AcceptKey(key)) {
		err = fmt.Errorf("the handshake was answered with %s", resp.Status)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *client) send(v any) error { return c.sendFrame(frame.Text, encode(v)) }

func (c *client) sendFrame(op frame.Opcode, payload []byte) error {
	h := frame.Header{Fin: true, Opcode: op, Masked: true, Key: [4]byte{1, 2, 3, 4}, Length: uint64(len(payload))}
	b := append(frame.Append(nil, h), payload...)
	frame.Mask(b[len(b)-len(payload):], h.Key, 0)
	_, err := c.conn.Write(b)
	return err
}

// next reads a message. It answers pings, and the close frame, which is the error then.
func (c *client) next() (anything, error) {
	var m anything
	for {
		h, payload, err := c.readFrame()
		if err != nil {
			c.conn.Close()
			return m, &closed{code: 1006, reason: err.Error()}
		}
		switch h.Opcode {
		case frame.Text:
			return m, json.Unmarshal(payload, &m)
		case frame.Ping:
			c.sendFrame(frame.Pong, payload)
		case frame.Close:
			c.sendFrame(frame.Close, payload)
			c.conn.Close()
			return m, &closed{int(binary.BigEndian.Uint16(payload)), string(payload[2:])}
		}
	}
}

func (c *client) readFrame() (frame.Header, []byte, error) {
	b, err := c.r.Peek(2)
	if err != nil {
		return frame.Header{}, nil, err
	}
	size := 2 // and the length, in two or eight bytes if it is longer
	switch b[1] {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if b, err = c.r.Peek(size); err != nil {
		return frame.Header{}, nil, err
	}
	h, _, err := frame.Parse(b)
	if err != nil {
		return h, nil, err
	}
	c.r.Discard(size)
	payload := make([]byte, h.Length)
	_, err = io.ReadFull(c.r, payload)
	return h, payload, err
}

// connect is dial for a test that cannot go on without.
func connectTo(t *testing.T, host string) *client {
	t.Helper()
	c, err := dial(bounded(t), host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.conn.Close() })
	return c
}

// expect reads up to a message of this type.
func (c *client) expect(t *testing.T, typ string) anything {
	t.Helper()
	for {
		m, err := c.next()
		if err != nil {
			t.Fatalf("want %s: %v", typ, err)
		}
		if m.Type == typ {
			return m
		}
	}
}

// expectClose reads up to the end.
func (c *client) expectClose(t *testing.T, code int, reason string) {
	t.Helper()
	for {
		if _, err := c.next(); err != nil {
			if want := (&closed{code, reason}); err.Error() != want.Error() {
				t.Errorf("%v, want %v", err, want)
			}
			return
		}
	}
}
