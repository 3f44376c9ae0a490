package websocket_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

// TestTrySendPacked: messages in the queue are compressed as others are, one behind
// the other, whatever was agreed on.
func TestTrySendPacked(t *testing.T) {
	for _, set := range settings() {
		t.Run(set.name, func(t *testing.T) {
			c, p := wstest.Offering(t, &websocket.Options{Compression: set.opts, SendQueue: -1}, set.offer)
			d := peerOf(t, c)
			all := conversation(100_000)
			for _, m := range all {
				if err := c.TrySend(m.typ, m.data); err != nil {
					t.Fatal(err)
				}
			}
			for i, m := range all {
				compressed := hearPacked(t, p, d, m)
				if text := m.typ == websocket.Text; text && compressed != (len(m.data) >= 128) {
					t.Errorf("message %d of %d bytes of text: got compressed %t", i, len(m.data), compressed)
				}
			}
		})
	}
}

// TestTrySendTakeover: where a context is taken over, the queue makes use of it.
func TestTrySendTakeover(t *testing.T) {
	text := letters(2000, 1)
	for _, test := range []struct {
		name string
		send int // bits of the window
		want bool
	}{{"takeover", 0, true}, {"no takeover", -1, false}} {
		bubble(t, test.name, func(t *testing.T) {
			c, p := wstest.Memory(t, compressing(test.send, 0))
			d := peerOf(t, c)
			var sizes [2]uint64
			for i := range sizes {
				before := c.Stats().BytesSent
				if err := c.TrySend(websocket.Text, text); err != nil {
					t.Fatal(err)
				}
				if !hearPacked(t, p, d, said{websocket.Text, text}) {
					t.Error("it is not compressed")
				}
				synctest.Wait()
				sizes[i] = c.Stats().BytesSent - before
			}
			if smaller := sizes[1] < sizes[0]/10; smaller != test.want {
				t.Errorf("a message took %d bytes and then %d", sizes[0], sizes[1])
			}
		})
	}
}

// TestQueueSetWriteCompression: it is asked when TrySend is called, not when the
// message goes.
func TestQueueSetWriteCompression(t *testing.T) {
	onQueuers(t, func(t *testing.T, send func(*websocket.Conn, websocket.MessageType, []byte) error) {
		opts := compressing(0, 0)
		c, p := stalledConn(t, *opts)
		d := peerOf(t, c)
		first := noise(5000, 1)
		if err := send(c, websocket.Binary, first); err != nil {
			t.Fatal(err)
		}
		turns := []bool{true, false, false, true, true, false}
		for i, on := range turns {
			c.SetWriteCompression(on)
			if err := send(c, websocket.Text, sample(1000+i, 1)); err != nil {
				t.Fatal(err)
			}
		}
		hearPacked(t, p, d, said{websocket.Binary, first})
		for i, on := range turns {
			if got := hearPacked(t, p, d, said{websocket.Text, sample(1000+i, 1)}); got != on {
				t.Errorf("message %d: got compressed %t, want %t", i, got, on)
			}
		}
	})
}

// TestQueueCompressFails: nobody is there to be told, so the message goes as it is.
func TestQueueCompressFails(t *testing.T) {
	onQueuers(t, func(t *testing.T, send func(*websocket.Conn, websocket.MessageType, []byte) error) {
		fail := true
		c, p := wstest.Memory(t, &websocket.Options{Compression: &websocket.Compression{SendWindowBits: 15, Compress: func(dst, dict, b []byte) ([]byte, error) {
			if fail {
				return dst, errors.New("out of order")
			}
			return flateBehind(dst, dict, b)
		}}})
		d := peerOf(t, c)
		for _, fail = range []bool{true, false, true, false} {
			text := sample(1000, 1)
			if err := send(c, websocket.Text, text); err != nil {
				t.Fatal(err)
			}
			if got := hearPacked(t, p, d, said{websocket.Text, text}); got == fail {
				t.Errorf("got compressed %t, want %t", got, !fail)
			}
			synctest.Wait()
		}
	})
}

// logged is what a server logs.
type logged chan string

func (l logged) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// TestQueueCompressPanics: nobody is there who could recover, so that is as if it had
// failed, and the log tells.
func TestQueueCompressPanics(t *testing.T) {
	for _, queuer := range queuers {
		t.Run(queuer.name, func(t *testing.T) {
			var fail atomic.Bool
			opts := &websocket.Options{Compression: &websocket.Compression{SendWindowBits: 15, Compress: func(dst, dict, b []byte) ([]byte, error) {
				if fail.Load() {
					panic("out of order")
				}
				return flateBehind(dst, dict, b)
			}}}
			lines := make(logged, 10)
			e := newEndpoint(t, plainVenue, opts, func(s *http.Server) { s.ErrorLog = log.New(lines, "", 0) })
			client := e.send(t, wstest.Handshake("Sec-WebSocket-Extensions: permessage-deflate"))
			client.readHead(t)
			c, p := e.result(t).conn, client.peer(t)
			d := peerOf(t, c)
			for i := range 4 {
				fail.Store(i%2 == 0)
				// Small ones leave in a buffer, large ones by themselves.
				for _, text := range [][]byte{sample(1000, 1), sample(50_000, 1)} {
					if err := queuer.send(c, websocket.Text, text); err != nil {
						t.Fatal(err)
					}
					if got := hearPacked(t, p, d, said{websocket.Text, text}); got == fail.Load() {
						t.Errorf("message %d of %d bytes: got compressed %t", i, len(text), got)
					}
				}
			}
			if got, want := len(lines), 4; got != want {
				t.Errorf("the log has %d entries, want %d", got, want)
			}
			want := fmt.Sprintf("websocket: panic serving %v: out of order\n", c.RemoteAddr())
			for range len(lines) {
				if line := <-lines; !strings.HasPrefix(line, want) {
					t.Errorf("the log has %q, want %q and the stack", line, want)
				}
			}
		})
	}
}

// TestControlBesideCompressing: what takes long to compress keeps no control frame
// waiting, and is sent behind it, or not at all behind a close frame.
func TestControlBesideCompressing(t *testing.T) {
	tests := []struct {
		name string
		send func(c *websocket.Conn, p *wstest.Peer) error
		op   frame.Opcode
		want string
	}{
		{"ping", func(c *websocket.Conn, p *wstest.Peer) error {
			return c.WriteFrame(context.Background(), frame.Ping, true, []byte("hello?"))
		}, frame.Ping, "hello?"},
		{"pong", func(c *websocket.Conn, p *wstest.Peer) error {
			p.SendFrame(frame.Ping, true, "hello?")
			return nil
		}, frame.Pong, "hello?"},
		{"close", func(c *websocket.Conn, p *wstest.Peer) error {
			return c.Close(context.Background(), websocket.CloseGoingAway, "")
		}, frame.Close, string(wstest.ClosePayload(1001, ""))},
	}
	ways := slices.Concat(queuers, []queuer{{"Write", func(c *websocket.Conn, typ websocket.MessageType, p []byte) error {
		return c.Write(context.Background(), typ, p)
	}}, {"WritePrepared", func(c *websocket.Conn, typ websocket.MessageType, p []byte) error {
		m, err := websocket.NewPreparedMessage(typ, p)
		if err != nil {
			return err
		}
		return c.WritePrepared(context.Background(), m)
	}}})
	for _, test := range tests {
		for _, way := range ways {
			bubble(t, test.name+"/"+way.name, func(t *testing.T) {
				proceed := make(chan struct{})
				server, client := wstest.Pipe(0)
				c, p := wstest.Over(t, server, client, &websocket.Options{Compression: &websocket.Compression{
					SendWindowBits: 15, Compress: func(dst, dict, b []byte) ([]byte, error) {
						<-proceed
						return flateBehind(dst, dict, b)
					},
				}})
				d := peerOf(t, c)
				c.CloseRead(t.Context())
				text := sample(1000, 1)
				sent := async(func() error { return way.send(c, websocket.Text, text) })
				synctest.Wait()
				controlled := async(func() error { return test.send(c, p) })
				time.Sleep(4500 * time.Millisecond) // Close has five seconds, four of them for the queue
				early := server.Buffered() > 0
				close(proceed)
				if !early {
					t.Fatal("it waits for the compressor")
				}
				synctest.Wait()
				p.Expect(test.op, true, test.want)
				if test.op == frame.Close {
					p.SendClose(1001, "")
					p.ExpectEOF()
					p.Close()
				} else if err := <-sent; err != nil || !hearPacked(t, p, d, said{websocket.Text, text}) {
					t.Errorf("it is not compressed, or the error is %v", err)
				}
				if err := <-controlled; err != nil {
					t.Error(err)
				}
			})
		}
	}
}
