package websocket_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

// corked is a connection in a bubble that Serve has, over a pipe that counts.
type corked struct {
	*websocket.Conn
	p         *wstest.Peer
	h         *recorder
	served    <-chan error
	transport *wstest.PipeConn // of the server
	before    int              // writes in the handshake
}

func serveCorked(t *testing.T, opts *websocket.Options, size int, onMessage func(*websocket.Conn, websocket.Message) error) *corked {
	t.Helper()
	server, client := wstest.Pipe(size)
	c, p := wstest.Over(t, server, client, opts)
	k := &corked{Conn: c, p: p, h: &recorder{onMessage: onMessage}, transport: server, before: server.Writes()}
	k.served = async(func() error { return c.Serve(k.h) })
	return k
}

// checkWrites checks how many writes there have been, all told.
func (k *corked) checkWrites(t *testing.T, want int) {
	t.Helper()
	if got := k.transport.Writes() - k.before; got != want {
		t.Errorf("%d writes, want %d", got, want)
	}
}

// checkAtOnce checks that no time has passed.
func checkAtOnce(t *testing.T, start time.Time) {
	t.Helper()
	if took := time.Since(start); took != 0 {
		t.Errorf("it took %v", took)
	}
}

// texts returns the bytes of text messages.
func texts(messages ...string) []byte {
	var b []byte
	for _, m := range messages {
		b = append(b, wstest.Frame(frame.Text, true, []byte(m))...)
	}
	return b
}

func write(t *testing.T, c *websocket.Conn, s string) {
	t.Helper()
	if err := c.Write(context.Background(), websocket.Text, []byte(s)); err != nil {
		t.Errorf("write of %q: %v", s, err)
	}
}

// TestCork: replies to a burst leave together, at once, and in order.
func TestCork(t *testing.T) {
	const (
		buffer  = 16 << 10
		quarter = buffer/4 - 4
		rest    = buffer/4 - frame.MaxHeaderSize // there has to be room for the longest header
	)
	for _, tt := range []struct {
		name    string
		replies []int // the size of the payload of each
		writes  int
	}{
		{"one", []int{5}, 1},
		{"two", []int{5, 5}, 1},
		{"without payload", []int{0, 0, 0}, 1},
		{"many", slices.Repeat([]int{1}, 1000), 1},
		{"all that a buffer holds", []int{quarter, quarter, quarter, rest}, 1},
		{"a byte more", []int{quarter, quarter, quarter, rest + 1}, 2},
		{"twice as much", slices.Repeat([]int{quarter, quarter, quarter, rest}, 2), 2},
		{"the first fills the buffer", []int{buffer - frame.MaxHeaderSize, 20, 1}, 2},
		{"the last fills the buffer", []int{1, 1, buffer - frame.MaxHeaderSize}, 2},
		{"one between fills the buffer", []int{1, 1, buffer - frame.MaxHeaderSize, 20, 1}, 3},
		{"one between is larger", []int{1, 1, 20_000, 1, 1}, 3},
		{"all are larger", []int{20_000, 20_000, 20_000}, 6}, // as without
	} {
		bubble(t, tt.name, func(t *testing.T) {
			k := serveCorked(t, nil, 1<<20, nil)
			k.h.onMessage = func(c *websocket.Conn, m websocket.Message) error {
				i := len(k.h.got) - 1
				return c.Write(t.Context(), m.Type, bytes.Repeat(m.Data, tt.replies[i]))
			}
			start := time.Now()
			var all []byte
			for i := range tt.replies {
				all = append(all, wstest.Frame(frame.Binary, true, []byte{byte(i)})...)
			}
			k.p.Send(all...)
			sent := 0
			for i, n := range tt.replies {
				k.p.Expect(frame.Binary, true, string(bytes.Repeat([]byte{byte(i)}, n)))
				sent += n + len(frame.Append(nil, frame.Header{Length: uint64(n)}))
			}
			checkAtOnce(t, start)
			synctest.Wait()
			k.checkWrites(t, tt.writes)
			if s := k.Stats(); s.BytesSent != uint64(sent) || s.MessagesSent != uint64(len(tt.replies)) {
				t.Errorf("Stats: %+v, want %d bytes sent", s, sent)
			}
		})
	}
}

// TestCorkUnfinished: replies do not wait for the rest of what is at the end of a
// burst.
func TestCorkUnfinished(t *testing.T) {
	last := wstest.Frame(frame.Text, true, []byte("last"))
	large := wstest.Frame(frame.Text, true, bytes.Repeat([]byte("last"), 50_000))
	fragments := slices.Concat(wstest.Frame(frame.Text, false, []byte("la")), wstest.Frame(frame.Continuation, true, []byte("st")))
	ping := wstest.Frame(frame.Ping, true, []byte("ping"))
	for _, tt := range []struct {
		name string
		all  []byte
		now  int // how much of it comes with the burst
	}{
		{"nothing", last, 0},
		{"half a header", last, 1},
		{"a header", last, 6},
		{"half a payload", last, 8},
		{"half a large payload", large, 10_000},
		{"all but a byte of a large payload", large, len(large) - 1},
		{"a fragment", fragments, len(fragments) / 2},
		{"half a ping", append(ping, last...), len(ping) - 1},
		{"half a compressed message", wstest.CompressedFrame(frame.Text, true, []byte("\xca\x49\x2c\x2e\x01\x00")), 8},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			k := serveCorked(t, &websocket.Options{Compression: &websocket.Compression{}}, 1<<20, nil)
			start := time.Now()
			k.p.Send(append(texts("one", "two"), tt.all[:tt.now]...)...)
			k.p.ExpectText("one")
			k.p.ExpectText("two")
			checkAtOnce(t, start)
			synctest.Wait()
			k.checkWrites(t, 1)
			k.p.Send(tt.all[tt.now:]...)
			k.p.Send(wstest.CloseFrame(1000, "")...)
			for {
				h, _, err := k.p.ReadFrame()
				if err != nil {
					t.Fatal(err)
				}
				if h.Opcode == frame.Close {
					break
				}
			}
			checkAtOnce(t, start)
			k.p.CloseWrite()
			if err := <-k.served; err != nil || len(k.h.got) != 3 {
				t.Errorf("Serve: %v, after %d messages", err, len(k.h.got))
			}
		})
	}
}

// TestCorkSlow: when a call takes long, its replies do not wait for the next one.
func TestCorkSlow(t *testing.T) {
	for _, tt := range []struct {
		name   string
		burst  []string
		slow   string          // the message that takes a second
		hear   []time.Duration // when which reply is there: to each message two
		writes int
	}{
		{"the only one", []string{"a"}, "a", []time.Duration{0, time.Second}, 2},
		{"the first", []string{"a", "b", "c"}, "a", []time.Duration{time.Millisecond, time.Second, time.Second, time.Second, time.Second, time.Second}, 3},
		{"the last", []string{"a", "b"}, "b", []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond, time.Second}, 2},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			k := serveCorked(t, nil, 0, func(c *websocket.Conn, m websocket.Message) error {
				write(t, c, "1")
				if string(m.Data) == tt.slow {
					pause(time.Second)
				}
				write(t, c, "2")
				return nil
			})
			for n := range 3 {
				start := time.Now()
				k.p.Send(texts(tt.burst...)...)
				for i, want := range tt.hear {
					k.p.ExpectText([]string{"1", "2"}[i%2])
					if got := time.Since(start); got != want {
						t.Errorf("reply %d is there after %v, want %v", i, got, want)
					}
				}
				synctest.Wait()
				k.checkWrites(t, (n+1)*tt.writes)
			}
		})
	}
}

// TestCorkOrder: what goes out while replies are held back goes behind them, whoever
// sends it, and in the same write.
func TestCorkOrder(t *testing.T) {
	type sent struct {
		op      frame.Opcode
		fin     bool
		payload string // of a ping, whatever it is
	}
	ctx := context.Background()
	elsewhere := func(t *testing.T, f func() error) {
		if err := <-async(f); err != nil {
			t.Error(err)
		}
	}
	for _, tt := range []struct {
		name string
		send func(t *testing.T, c *websocket.Conn)
		want []sent
	}{
		{"Write", func(t *testing.T, c *websocket.Conn) {
			elsewhere(t, func() error { return c.Write(ctx, websocket.Text, []byte("x")) })
		}, []sent{{frame.Text, true, "x"}}},
		{"TrySend", func(t *testing.T, c *websocket.Conn) {
			elsewhere(t, func() error { return c.TrySend(websocket.Text, []byte("x")) })
			synctest.Wait()
		}, []sent{{frame.Text, true, "x"}}},
		{"WritePrepared", func(t *testing.T, c *websocket.Conn) {
			elsewhere(t, func() error { return c.WritePrepared(ctx, prepare(t, websocket.Text, []byte("x"))) })
		}, []sent{{frame.Text, true, "x"}}},
		{"TrySendPrepared", func(t *testing.T, c *websocket.Conn) {
			elsewhere(t, func() error { return c.TrySendPrepared(prepare(t, websocket.Text, []byte("x"))) })
			synctest.Wait()
		}, []sent{{frame.Text, true, "x"}}},
		{"Writer", func(t *testing.T, c *websocket.Conn) {
			w, err := c.Writer(ctx, websocket.Text)
			if err != nil {
				t.Fatal(err)
			}
			elsewhere(t, func() error { _, err := w.Write([]byte("x")); return err })
			elsewhere(t, w.Close)
		}, []sent{{frame.Text, true, "x"}}},
		{"WriteFrame", func(t *testing.T, c *websocket.Conn) {
			elsewhere(t, func() error { return c.WriteFrame(ctx, frame.Text, false, []byte("x")) })
			elsewhere(t, func() error { return c.WriteFrame(ctx, frame.Pong, true, []byte("y")) })
			elsewhere(t, func() error { return c.WriteFrame(ctx, frame.Continuation, true, []byte("z")) })
		}, []sent{{frame.Text, false, "x"}, {frame.Pong, true, "y"}, {frame.Continuation, true, "z"}}},
		{"Ping", func(t *testing.T, c *websocket.Conn) {
			go c.Ping(t.Context())
			synctest.Wait()
		}, []sent{{frame.Ping, true, ""}}},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			k := serveCorked(t, nil, 0, func(c *websocket.Conn, m websocket.Message) error {
				write(t, c, string(m.Data)+" 1")
				if string(m.Data) == "a" {
					tt.send(t, c)
				}
				write(t, c, string(m.Data)+" 2")
				return nil
			})
			start := time.Now()
			k.p.Send(texts("a", "b")...)
			k.p.ExpectText("a 1")
			for _, want := range tt.want {
				if want.op == frame.Ping {
					k.p.ExpectPing()
				} else {
					k.p.Expect(want.op, want.fin, want.payload)
				}
			}
			for _, reply := range []string{"a 2", "b 1", "b 2"} {
				k.p.ExpectText(reply)
			}
			checkAtOnce(t, start)
			k.checkWrites(t, 1)
		})
	}
}

// TestCorkPong: so do the answers to pings.
func TestCorkPong(t *testing.T) {
	a, b, ping := texts("a"), texts("b"), wstest.Frame(frame.Ping, true, []byte("ping"))
	for _, tt := range []struct {
		name  string
		burst []byte
		want  []frame.Opcode
	}{
		{"before", slices.Concat(ping, a, b), []frame.Opcode{frame.Pong, frame.Text, frame.Text}},
		{"between", slices.Concat(a, ping, b), []frame.Opcode{frame.Text, frame.Pong, frame.Text}},
		{"behind", slices.Concat(a, b, ping), []frame.Opcode{frame.Text, frame.Text, frame.Pong}},
		{"everywhere", slices.Concat(ping, a, ping, b, ping), []frame.Opcode{frame.Pong, frame.Text, frame.Pong, frame.Text, frame.Pong}},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			k := serveCorked(t, nil, 0, nil)
			start := time.Now()
			k.p.Send(tt.burst...)
			var got []frame.Opcode
			for range tt.want {
				h, _, err := k.p.ReadFrame()
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, h.Opcode)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			checkAtOnce(t, start)
			k.checkWrites(t, 1)
		})
	}
}

// TestCorkEnds: whatever ends the connection, the replies go before.
func TestCorkEnds(t *testing.T) {
	failure := errors.New("failure")
	answer := func(p *wstest.Peer, code int) { p.SendClose(code, "") }
	for _, tt := range []struct {
		name   string
		tail   []byte // behind the burst
		second func(t *testing.T, c *websocket.Conn) error
		code   int // of our close frame; 0: there is none
		then   func(p *wstest.Peer, code int)
		closed websocket.CloseCode
	}{
		{"the peer closes", wstest.CloseFrame(1000, ""), nil, 1000, nil, 1000},
		{"the peer breaks a rule", []byte{0x81, 0x00}, nil, 1002, nil, 1002},
		{"a message is too large", wstest.Frame(frame.Text, true, make([]byte, 1001)), nil, 1009, nil, 1009},
		{"the peer has nothing more to say", nil, nil, 0, nil, 1006},
		{"or breaks off", texts("three")[:5], nil, 0, nil, 1006},
		{"an error", nil, func(*testing.T, *websocket.Conn) error { return failure }, 1011, answer, 1011},
		{"an error, with more to read", texts("three"), func(*testing.T, *websocket.Conn) error { return failure }, 1011, answer, 1011},
		{"a panic", texts("three"), func(t *testing.T, _ *websocket.Conn) error { standardLog(t); panic(failure) }, 1011, answer, 1011},
		{"Close in the call", texts("three"), func(t *testing.T, c *websocket.Conn) error {
			return c.Close(t.Context(), 4000, "")
		}, 4000, answer, 4000},
		{"Close elsewhere", texts("three"), func(t *testing.T, c *websocket.Conn) error {
			go c.Close(t.Context(), 4000, "")
			<-c.Done()
			return nil
		}, 4000, answer, 4000},
		{"Close elsewhere, and no more to read", nil, func(t *testing.T, c *websocket.Conn) error {
			go c.Close(t.Context(), 4000, "")
			synctest.Wait()
			if err := c.Write(t.Context(), websocket.Text, nil); err != c.Err() {
				t.Errorf("Write: %v", err)
			}
			return nil
		}, 4000, answer, 4000},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			k := serveCorked(t, &websocket.Options{MaxMessageSize: 1000}, 0, nil)
			k.h.onMessage = func(c *websocket.Conn, m websocket.Message) error {
				write(t, c, string(m.Data))
				if len(k.h.got) == 2 && tt.second != nil {
					return tt.second(t, c)
				}
				return nil
			}
			start := time.Now()
			k.p.Send(append(texts("one", "two"), tt.tail...)...)
			if tt.then == nil {
				k.p.CloseWrite()
			}
			k.p.ExpectText("one")
			k.p.ExpectText("two")
			sent := 10
			if tt.code != 0 {
				h, payload, err := k.p.ReadFrame()
				if err != nil || h.Opcode != frame.Close || !bytes.HasPrefix(payload, wstest.ClosePayload(tt.code, "")) {
					t.Fatalf("got %v %q, error %v, want a close frame with %d", h, payload, err, tt.code)
				}
				sent += 2 + len(payload)
			}
			k.checkWrites(t, 1)
			if tt.then != nil {
				tt.then(k.p, tt.code)
				k.p.CloseWrite()
			}
			k.p.ExpectEOF()
			<-k.served
			checkAtOnce(t, start)
			checkClosed(t, k, tt.closed, sent)
		})
	}
}

func checkClosed(t *testing.T, k *corked, code websocket.CloseCode, sent int) {
	t.Helper()
	if len(k.h.closed) != 1 || websocket.CloseStatus(k.h.closed[0]) != code {
		t.Errorf("OnClose: got %v, want %v", k.h.closed, code)
	}
	if got := k.Stats().BytesSent; got != uint64(sent) {
		t.Errorf("%d bytes sent, want %d", got, sent)
	}
}

// TestCorkStalled: a peer that does not read holds up the replies, and gets them when
// it reads, unless it has been given up.
func TestCorkStalled(t *testing.T) {
	for _, tt := range []struct {
		name  string
		size  int // of a reply
		limit time.Duration
		reads bool
	}{
		{"for a while", 2000, 10 * time.Second, true},
		{"for too long", 2000, 2 * time.Second, false},
		{"for a while, more than a buffer", 10_000, 10 * time.Second, true},
		{"for too long, more than a buffer", 10_000, 2 * time.Second, false},
		{"for a while, each more than a buffer", 20_000, 10 * time.Second, true},
		{"for too long, each more than a buffer", 20_000, 2 * time.Second, false},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			reply := bytes.Repeat([]byte("reply"), tt.size/5)
			k := serveCorked(t, &websocket.Options{WriteTimeout: tt.limit}, 500, func(c *websocket.Conn, m websocket.Message) error {
				return c.Write(t.Context(), m.Type, reply)
			})
			k.p.Send(texts("one", "two", "three")...)
			pause(5 * time.Second)
			if tt.reads {
				for range 3 {
					k.p.ExpectText(string(reply))
				}
				k.p.SendClose(1000, "")
				k.p.ExpectClose(1000, "")
				k.p.Close()
			}
			err := <-k.served
			if tt.reads != (err == nil) || !tt.reads && !errors.Is(err, websocket.ErrWriteTimeout) {
				t.Errorf("Serve: %v", err)
			}
		})
	}
}

// TestCorkPongBehind: a ping that comes while what was held back goes out is answered
// behind it.
func TestCorkPongBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reply := string(make([]byte, 1000))
		k := serveCorked(t, nil, 500, func(c *websocket.Conn, m websocket.Message) error {
			write(t, c, reply)
			pause(time.Second)
			return nil
		})
		ping := wstest.Frame(frame.Ping, true, []byte("ping"))
		k.p.Send(append(texts("one"), ping[:1]...)...)
		pause(2 * time.Second)
		k.p.Send(ping[1:]...)
		synctest.Wait()
		start := time.Now()
		k.p.ExpectText(reply)
		k.p.Expect(frame.Pong, true, "ping")
		checkAtOnce(t, start)
	})
}

// TestCorkBesideStalled: where nothing is held back, a message of another goroutine
// that the peer does not take holds up no call.
func TestCorkBesideStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := serveCorked(t, nil, 500, func(*websocket.Conn, websocket.Message) error { return nil })
		go k.Write(t.Context(), websocket.Text, make([]byte, 1000))
		synctest.Wait()
		for range 3 {
			k.p.Send(texts("x", "x")...)
			synctest.Wait()
		}
		if len(k.h.got) != 6 {
			t.Errorf("%d messages, want 6", len(k.h.got))
		}
	})
}

// TestNotCorked: replies leave at once where nobody would see to it that they leave
// later.
func TestNotCorked(t *testing.T) {
	const n = 5
	for _, tt := range []struct {
		name string
		echo func(c *websocket.Conn)
	}{
		{"Read", func(c *websocket.Conn) {
			for range n {
				typ, data, err := c.Read(context.Background())
				if err == nil {
					c.Write(context.Background(), typ, data)
				}
			}
		}},
		{"Messages", func(c *websocket.Conn) {
			for m := range c.Messages(context.Background()) {
				c.Write(context.Background(), m.Type, m.Data)
			}
		}},
		{"NetConn", func(c *websocket.Conn) {
			conn := c.NetConn(context.Background(), websocket.Text)
			for p := make([]byte, 1); ; {
				if _, err := conn.Read(p); err != nil {
					return
				}
				conn.Write(p)
			}
		}},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			server, client := wstest.Pipe(0)
			c, p := wstest.Over(t, server, client, nil)
			before := server.Writes()
			go tt.echo(c)
			p.Send(texts("a", "b", "c", "d", "e")...)
			for _, reply := range []string{"a", "b", "c", "d", "e"} {
				p.ExpectText(reply)
			}
			if got := server.Writes() - before; got != n {
				t.Errorf("%d writes, want %d", got, n)
			}
		})
	}
}

// TestCorkReadInCall: a call that reads on does so as one that waits for the peer,
// who has its replies by then. The ctx of that reading is for the reading alone.
func TestCorkReadInCall(t *testing.T) {
	const large = 400
	for _, tt := range []struct {
		name  string
		reads bool // the peer
	}{{"the peer reads", true}, {"the peer does not", false}} {
		bubble(t, tt.name, func(t *testing.T) {
			reply := string(bytes.Repeat([]byte("r"), large))
			k := serveCorked(t, nil, 500, func(c *websocket.Conn, m websocket.Message) error {
				write(t, c, reply)
				write(t, c, reply)
				if _, data, err := c.Read(t.Context()); err != nil || string(data) != "two" {
					t.Errorf("Read: %q, %v", data, err)
				}
				write(t, c, reply)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				begun := time.Now()
				_, _, err := c.Read(ctx)
				if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || c.Err() != nil || took != time.Second {
					t.Errorf("Read without a message: %v after %v, connection %v", err, took, c.Err())
				}
				write(t, c, "late")
				return nil
			})
			start := time.Now()
			k.p.Send(texts("one", "two")...)
			if !tt.reads {
				pause(2 * time.Second)
				start = time.Now()
			}
			for range 3 {
				k.p.ExpectText(reply)
			}
			checkAtOnce(t, start)
			k.p.ExpectText("late")
			k.checkWrites(t, 2)
		})
	}
}

// TestCorkReadElsewhere: another reader, who should not be there, loses nothing and
// holds nothing up.
func TestCorkReadElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := serveCorked(t, nil, 0, func(c *websocket.Conn, m websocket.Message) error {
			write(t, c, "held back")
			other := async(func() error {
				if _, data, err := c.Read(t.Context()); err != nil || string(data) != "two" {
					t.Errorf("Read: %q, %v", data, err)
				}
				_, data, err := c.Read(t.Context())
				if string(data) != "three" {
					t.Errorf("Read: %q, %v", data, err)
				}
				return err
			})
			synctest.Wait()
			write(t, c, "at once")
			if err := <-other; err != nil {
				t.Error(err)
			}
			return nil
		})
		start := time.Now()
		k.p.Send(texts("one", "two")...)
		k.p.ExpectText("held back")
		k.p.ExpectText("at once")
		checkAtOnce(t, start)
		k.checkWrites(t, 2)
		k.p.SendText("three")
		k.p.SendClose(1000, "")
		k.p.ExpectClose(1000, "")
		k.p.CloseWrite()
		if err := <-k.served; err != nil {
			t.Error(err)
		}
	})
}

// TestCorkPacked: replies that refer to those before them.
func TestCorkPacked(t *testing.T) {
	bubble(t, "takeover", func(t *testing.T) {
		k := serveCorked(t, &websocket.Options{Compression: &websocket.Compression{}}, 0, nil)
		d := peerOf(t, k.Conn)
		var all []said
		for i := range 20 {
			all = append(all, said{websocket.Text, sample(300, uint64(i))})
		}
		start := time.Now()
		k.p.Send(pack(d, all)...)
		for _, m := range all {
			if !hearPacked(t, k.p, d, m) {
				t.Error("a reply is not compressed")
			}
		}
		checkAtOnce(t, start)
		k.checkWrites(t, 1)
	})
}

// TestCorkEverywhere: bursts of all sizes, with pauses at odd places, over every
// transport and in every way to be served.
func TestCorkEverywhere(t *testing.T) {
	poller, err := websocket.NewPoller(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer poller.Close()
	for _, way := range []struct {
		name  string
		serve func(c *websocket.Conn, h websocket.Handler)
	}{
		{"Serve", func(c *websocket.Conn, h websocket.Handler) { go c.Serve(h) }},
		{"Poller", func(c *websocket.Conn, h websocket.Handler) { go poller.Serve(c, h) }}, // over HTTP/2 it stays
	} {
		t.Run(way.name, func(t *testing.T) {
			wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
				r := rand.New(rand.NewPCG(1, 2))
				var want [][]byte
				var all []byte
				for i := range 2000 {
					m := bytes.Repeat([]byte{byte(i)}, r.IntN(100))
					if i%200 == 0 {
						m = bytes.Repeat([]byte{byte(i)}, 1000*r.IntN(50))
					}
					want = append(want, m)
					all = append(all, wstest.Frame(frame.Binary, true, m)...)
				}
				c, p := connect(t, nil)
				way.serve(c, new(recorder))
				sent := async(func() error { return sendInPieces(p, all, r) })
				for _, m := range want {
					p.Expect(frame.Binary, true, string(m))
				}
				if err := <-sent; err != nil {
					t.Fatal(err)
				}
				p.SendClose(1000, "")
				p.ExpectClose(1000, "")
				p.ExpectEOF()
				p.Close()
				<-c.Done()
			})
		})
	}
}

// sendInPieces sends b, in pieces that have nothing to do with frames.
func sendInPieces(conn net.Conn, b []byte, r *rand.Rand) error {
	for len(b) > 0 {
		n := min(len(b), 1+r.IntN(20_000))
		if _, err := conn.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
		runtime.Gosched()
	}
	return nil
}
