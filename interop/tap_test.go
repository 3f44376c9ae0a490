package interop

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/airlock-go/websocket/frame"
)

// A tap stands in front of a server, passes on what comes and keeps it.
type tap struct {
	t       *testing.T
	addr    string
	records chan *record
}

// A record is what went through a tap in one connection.
type record struct{ up, down []byte }

func startTap(t *testing.T, server string) *tap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x := &tap{t: t, addr: l.Addr().String(), records: make(chan *record)}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // the test has ended
			}
			wg.Go(func() { x.relay(conn, server) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return x
}

// relay connects a client with the server until both have ended.
func (x *tap) relay(client net.Conn, server string) {
	defer client.Close()
	upstream, err := net.Dial("tcp", server)
	if err != nil {
		x.t.Error(err)
		return
	}
	defer upstream.Close()
	for _, conn := range []net.Conn{client, upstream} {
		conn.SetDeadline(time.Now().Add(2 * patience))
	}
	var up, down []byte
	var wg sync.WaitGroup
	wg.Go(func() { up = passOn(upstream, client) })
	wg.Go(func() { down = passOn(client, upstream) })
	wg.Wait()
	select {
	case x.records <- &record{up, down}:
	case <-x.t.Context().Done():
	}
}

// passOn returns what from has sent, also what came when to was gone.
func passOn(to, from net.Conn) []byte {
	var kept bytes.Buffer
	io.Copy(to, io.TeeReader(from, &kept))
	io.Copy(&kept, from)
	to.(*net.TCPConn).CloseWrite()
	return kept.Bytes()
}

// next waits for the end of a connection.
func (x *tap) next() *record {
	x.t.Helper()
	select {
	case r := <-x.records:
		return r
	case <-time.After(patience):
		x.t.Fatal("nothing has gone through, or it does not end")
		return nil
	}
}

// wire is what a record says, taken apart.
type wire struct {
	offer, answer string    // Sec-WebSocket-Extensions
	frames        [2][]byte // of the client and of the server
	up, down      []wireMessage
	closes        [2]int // codes of the client and of the server, 0 without a close frame
}

// wireMessage is a message as it was sent.
type wireMessage struct {
	compressed bool
	frames     int
	size       int // of all payloads
}

func (r *record) read() (w wire, err error) {
	up := bufio.NewReader(bytes.NewReader(r.up))
	request, err := http.ReadRequest(up)
	if err != nil {
		return w, fmt.Errorf("the request: %w", err)
	}
	down := bufio.NewReader(bytes.NewReader(r.down))
	response, err := http.ReadResponse(down, request)
	if err != nil {
		return w, fmt.Errorf("the response: %w", err)
	}
	const extensions = "Sec-WebSocket-Extensions"
	w.offer, w.answer = request.Header.Get(extensions), response.Header.Get(extensions)
	for i, end := range []struct {
		from     io.Reader
		messages *[]wireMessage
	}{{up, &w.up}, {down, &w.down}} {
		if w.frames[i], err = io.ReadAll(end.from); err != nil {
			return w, err
		}
		if *end.messages, w.closes[i], err = readFrames(w.frames[i]); err != nil {
			return w, fmt.Errorf("%s: %w", [...]string{"from the client", "from the server"}[i], err)
		}
	}
	return w, nil
}

// readFrames reads all that one end has sent, and finds bits that must not be
// set.
func readFrames(b []byte) (messages []wireMessage, closed int, err error) {
	for len(b) > 0 {
		h, n, err := frame.Parse(b)
		switch {
		case err != nil:
			return nil, 0, err
		case n == 0 || h.Length > uint64(len(b)-n):
			return nil, 0, io.ErrUnexpectedEOF
		case h.RSV2 || h.RSV3 || h.RSV1 && (h.Opcode.IsControl() || h.Opcode == frame.Continuation):
			return nil, 0, fmt.Errorf("%v has bits that nobody has agreed on", h)
		}
		payload := bytes.Clone(b[n:][:h.Length])
		b = b[n+len(payload):]
		switch h.Opcode {
		case frame.Text, frame.Binary:
			messages = append(messages, wireMessage{h.RSV1, 1, len(payload)})
		case frame.Continuation:
			if len(messages) == 0 {
				return nil, 0, errors.New("a continuation of nothing")
			}
			m := &messages[len(messages)-1]
			m.frames++
			m.size += len(payload)
		case frame.Close:
			if h.Masked {
				frame.Mask(payload, h.Key, 0)
			}
			if len(payload) >= 2 {
				closed = int(binary.BigEndian.Uint16(payload))
			}
		}
	}
	return messages, closed, nil
}
