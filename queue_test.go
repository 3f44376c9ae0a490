package websocket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

type queuer struct {
	name string
	send func(c *websocket.Conn, typ websocket.MessageType, p []byte) error
}

// queuers are the ways into the queue, which all must give the same messages.
var queuers = []queuer{
	{"TrySend", func(c *websocket.Conn, typ websocket.MessageType, p []byte) error { return c.TrySend(typ, p) }},
	{"TrySendPrepared", func(c *websocket.Conn, typ websocket.MessageType, p []byte) error {
		m, err := websocket.NewPreparedMessage(typ, p)
		if err != nil {
			return err
		}
		return c.TrySendPrepared(m)
	}},
}

// onQueuers runs a test for every way into the queue, with a fake clock.
func onQueuers(t *testing.T, test func(t *testing.T, send func(*websocket.Conn, websocket.MessageType, []byte) error)) {
	for _, queuer := range queuers {
		bubble(t, queuer.name, func(t *testing.T) { test(t, queuer.send) })
	}
}

// overhead is what each message in the queue counts for besides its bytes.
const overhead = 64

// stalledPipe is what the transport holds of a peer that does not read.
const stalledPipe = 1000

// stalledConn returns a connection whose peer does not read, until the test does
// so in its place. With compression or without, 5000 bytes of noise stop it.
func stalledConn(t *testing.T, opts websocket.Options) (*websocket.Conn, *wstest.Peer) {
	if opts.WriteTimeout == 0 {
		opts.WriteTimeout = -1
	}
	return wstest.MemorySize(t, &opts, stalledPipe)
}

// drains counts the goroutines at work on queues.
func drains() int {
	buf := make([]byte, 1<<20)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), "websocket.(*Conn).drain(")
}

// TestTrySend: what is put in the queue comes out of it, in order, and the slice is
// the caller's again at once.
func TestTrySend(t *testing.T) {
	sizes := []int{0, 1, 125, 126, 16<<10 - 15, 16<<10 - 14, 16<<10 - 13, 5, 16 << 10, 0, 65536, 7, 3 << 20, 8, 9, 10}
	wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
		for _, queuer := range queuers {
			t.Run(queuer.name, func(t *testing.T) {
				c, p := connect(t, &websocket.Options{SendQueue: -1})
				var scratch []byte
				for _, n := range sizes {
					scratch = append(scratch[:0], pattern(n)...)
					if err := queuer.send(c, websocket.Binary, scratch); err != nil {
						t.Fatalf("%d bytes: %v", n, err)
					}
					scratch = append(scratch[:0], sample(n%50_000, 1)...)
					if err := queuer.send(c, websocket.Text, scratch); err != nil {
						t.Fatalf("%d bytes of text: %v", n, err)
					}
					clear(scratch)
				}
				for _, n := range sizes {
					p.Expect(frame.Binary, true, string(pattern(n)))
					p.ExpectText(string(sample(n%50_000, 1)))
				}
				if err := c.Err(); err != nil {
					t.Error(err)
				}
			})
		}
	})
}

func TestTrySendRefuses(t *testing.T) {
	onQueuers(t, func(t *testing.T, send func(*websocket.Conn, websocket.MessageType, []byte) error) {
		c, p := wstest.Memory(t, nil)
		if err := send(c, websocket.Text, []byte("a\xff")); !errors.Is(err, websocket.ErrInvalidText) {
			t.Errorf("text that is not UTF-8: got %v", err)
		}
		for _, typ := range []websocket.MessageType{0, 3, websocket.MessageType(frame.Ping)} {
			if err := send(c, typ, nil); err == nil || c.Err() != nil {
				t.Errorf("type %d: got error %v, and the connection has %v", typ, err, c.Err())
			}
		}
		// None of these was sent, and none has hurt.
		if err := send(c, websocket.Binary, []byte("a\xff")); err != nil {
			t.Error(err)
		}
		p.Expect(frame.Binary, true, "a\xff")
		synctest.Wait()
		if s := c.Stats(); s.MessagesSent != 1 || s.Queued != 0 {
			t.Errorf("got %d messages sent and %d bytes queued, want 1 and 0", s.MessagesSent, s.Queued)
		}
	})
}

// TestSendQueue: how much the queue of a peer that does not read takes. What it
// does not take is dropped, and nothing else is.
func TestSendQueue(t *testing.T) {
	const byDefault = 64 << 10
	type message struct {
		size int
		ok   bool
	}
	tests := []struct {
		name     string
		limit    int
		messages []message
	}{
		{"up to the limit", 6000 + 3*overhead, []message{{5000, true}, {999, true}, {1, true}, {0, false}, {5000, false}}},
		{"one over the limit", 6000 + 2*overhead, []message{{5000, true}, {1001, false}, {1000, true}}},
		{"by default", 0, []message{{5000, true}, {byDefault - 5000 - 2*overhead, true}, {0, false}}},
		{"by default, one over the limit", 0, []message{{5000, true}, {byDefault - 4999 - 2*overhead, false}, {byDefault - 5000 - 2*overhead, true}}},
		{"larger than the queue", 100, []message{{5000, true}, {0, false}}},
		{"larger than the queue by default", 0, []message{{byDefault + 1, true}, {0, false}}},
		{"no limit", -1, []message{{5000, true}, {1 << 20, true}, {1 << 20, true}, {1, true}}},
		{"empty messages", 5000 + 4*overhead, []message{{5000, true}, {0, true}, {0, true}, {0, true}, {0, false}, {1, false}}},
		{"no room for the overhead", 5000 + 2*overhead - 1, []message{{5000, true}, {0, false}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onQueuers(t, func(t *testing.T, send func(*websocket.Conn, websocket.MessageType, []byte) error) {
				c, p := stalledConn(t, websocket.Options{SendQueue: test.limit})
				sent, queued := 0, 0
				for i, m := range test.messages {
					err := send(c, websocket.Binary, bytes.Repeat([]byte{byte(i)}, m.size))
					switch {
					case m.ok && err != nil, !m.ok && !errors.Is(err, websocket.ErrBackpressure):
						t.Fatalf("message %d of %d bytes: got %v, want room for it: %t", i, m.size, err, m.ok)
					case m.ok:
						sent++
						queued += m.size + overhead
					}
					synctest.Wait()
					if got := c.Stats().Queued; got != queued {
						t.Errorf("message %d: got %d bytes queued, want %d", i, got, queued)
					}
				}
				if err := c.Err(); err != nil {
					t.Fatalf("the connection ended: %v", err)
				}
				for i, m := range test.messages {
					if m.ok {
						p.Expect(frame.Binary, true, string(bytes.Repeat([]byte{byte(i)}, m.size)))
					}
				}
				synctest.Wait()
				if s := c.Stats(); s.Queued != 0 || s.MessagesSent != uint64(sent) {
					t.Errorf("at the end: got %d bytes queued and %d messages sent, want 0 and %d", s.Queued, s.MessagesSent, sent)
				}
				// There is room again.
				if err := send(c, websocket.Text, []byte("next")); err != nil {
					t.Fatal(err)
				}
				p.ExpectText("next")
			})
		})
	}
}

// TestQueueRoom: as the peer takes messages there is room for others, also while
// some are left.
func TestQueueRoom(t *testing.T) {
	onQueuers(t, func(t *testing.T, send func(*websocket.Conn, websocket.MessageType, []byte) error) {
		const size, held = 10_000, 4
		c, p := stalledConn(t, websocket.Options{SendQueue: held * (size + overhead)})
		sent := 0
		for received := range 3 * held {
			for {
				err := send(c, websocket.Binary, bytes.Repeat([]byte{byte(sent)}, size))
				if errors.Is(err, websocket.ErrBackpressure) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				sent++
			}
			if sent != received+held {
				t.Fatalf("%d messages have been taken, %d of those behind are in the queue, want %d", received, sent-received, held)
			}
			p.Expect(frame.Binary, true, string(bytes.Repeat([]byte{byte(received)}, size)))
			synctest.Wait()
		}
	})
}

// TestQueueGoroutine: there is one as long as there is something to send.
func TestQueueGoroutine(t *testing.T) {
	onQueuers(t, func(t *testing.T, send func(*websocket.Conn, websocket.MessageType, []byte) error) {
		c, p := stalledConn(t, websocket.Options{})
		for i := range 3 {
			if got := drains(); got != 0 {
				t.Fatalf("round %d: got %d goroutines for an empty queue", i, got)
			}
			for range 3 {
				if err := send(c, websocket.Binary, make([]byte, 5000)); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			if got := drains(); got != 1 {
				t.Fatalf("round %d: got %d goroutines for a queue, want 1", i, got)
			}
			for range 3 {
				p.Expect(frame.Binary, true, string(make([]byte, 5000)))
			}
			synctest.Wait()
		}
	})
}

// TestQueueBatches: messages that have gathered leave together.
func TestQueueBatches(t *testing.T) {
	tests := []struct {
		name       string
		opts       *websocket.Options
		size, sent int
		writes     int // with room for the longest header of each, in buffers of 16 KiB
	}{
		{"small", nil, 20, 1000, 3},
		{"empty", nil, 0, 2000, 2},
		{"as many as fit", nil, 1024 - 14, 16, 1},
		{"one more", nil, 1024 - 14, 17, 2},
		{"two that do not fit", nil, 8179, 2, 2},
		{"two that do", nil, 8178, 2, 1},
		{"compressed", compressing(0, 0), 200, 300, 4},
		{"large ones", nil, 16<<10 - 13, 3, 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onQueuers(t, func(t *testing.T, send func(*websocket.Conn, websocket.MessageType, []byte) error) {
				opts := websocket.Options{SendQueue: -1}
				if test.opts != nil {
					opts.Compression = test.opts.Compression
				}
				server, client := wstest.Pipe(1 << 20)
				c, p := wstest.Over(t, server, client, &opts)
				// As long as another message is under way, none leaves.
				if err := c.WriteFrame(t.Context(), frame.Binary, false, nil); err != nil {
					t.Fatal(err)
				}
				message := string(bytes.Repeat([]byte("x"), test.size))
				for range test.sent {
					if err := send(c, websocket.Text, []byte(message)); err != nil {
						t.Fatal(err)
					}
				}
				if err := c.WriteFrame(t.Context(), frame.Continuation, true, nil); err != nil {
					t.Fatal(err)
				}
				before := 2 // the frames of that message
				synctest.Wait()
				if got := server.Writes() - 1 - before; got != test.writes {
					t.Errorf("%d messages of %d bytes took %d writes, want %d", test.sent, test.size, got, test.writes)
				}
				p.Expect(frame.Binary, false, "")
				p.Expect(frame.Continuation, true, "")
				d, err := wstest.NewDeflate(c.Extensions())
				if test.opts != nil && err != nil {
					t.Fatal(err)
				}
				for range test.sent {
					if hearPacked(t, p, d, said{websocket.Text, []byte(message)}) != (test.opts != nil) {
						t.Fatal("not compressed as agreed")
					}
				}
			})
		})
	}
}

// TestBesideQueue: other forms of writing do not wait for what is in the queue,
// but for what of it is being sent.
func TestBesideQueue(t *testing.T) {
	prepared, err := websocket.NewPreparedMessage(websocket.Text, []byte("urgent"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		op   frame.Opcode
		send func(ctx context.Context, c *websocket.Conn) error
	}{
		{"Write", frame.Text, func(ctx context.Context, c *websocket.Conn) error {
			return c.Write(ctx, websocket.Text, []byte("urgent"))
		}},
		{"WritePrepared", frame.Text, func(ctx context.Context, c *websocket.Conn) error { return c.WritePrepared(ctx, prepared) }},
		{"Writer", frame.Text, func(ctx context.Context, c *websocket.Conn) error {
			return packedWriters[1].write(ctx, c, websocket.Text, []byte("urgent"))
		}},
		{"WriteFrame", frame.Ping, func(ctx context.Context, c *websocket.Conn) error {
			return c.WriteFrame(ctx, frame.Ping, true, []byte("urgent"))
		}},
	}
	for _, test := range tests {
		bubble(t, test.name, func(t *testing.T) {
			const size, messages = 10_000, 10
			c, p := stalledConn(t, websocket.Options{SendQueue: -1})
			for range messages {
				if err := c.TrySend(websocket.Binary, make([]byte, size)); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			sent := async(func() error { return test.send(t.Context(), c) })
			synctest.Wait()
			p.Expect(frame.Binary, true, string(make([]byte, size)))
			p.Expect(test.op, true, "urgent")
			for range messages - 1 {
				p.Expect(frame.Binary, true, string(make([]byte, size)))
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
		})
	}
	for _, messages := range []int{1, 10} {
		bubble(t, fmt.Sprintf("the pong of a peer, behind the first of %d", messages), func(t *testing.T) {
			const size = 10_000
			c, p := stalledConn(t, websocket.Options{SendQueue: -1})
			c.CloseRead(t.Context())
			for range messages {
				if err := c.TrySend(websocket.Binary, make([]byte, size)); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			start := time.Now()
			p.SendFrame(frame.Ping, true, "hello?")
			synctest.Wait()
			p.Expect(frame.Binary, true, string(make([]byte, size)))
			p.Expect(frame.Pong, true, "hello?")
			if took := time.Since(start); took != 0 {
				t.Errorf("it took %v", took)
			}
			for range messages - 1 {
				p.Expect(frame.Binary, true, string(make([]byte, size)))
			}
			c.CloseNow()
		})
	}
}

// TestQueueBehindWriter: a message is not sent inside another.
func TestQueueBehindWriter(t *testing.T) {
	onQueuers(t, func(t *testing.T, send func(*websocket.Conn, websocket.MessageType, []byte) error) {
		c, p := wstest.Memory(t, nil)
		w, err := c.Writer(t.Context(), websocket.Text)
		if err != nil {
			t.Fatal(err)
		}
		if err := send(c, websocket.Text, []byte("behind")); err != nil {
			t.Fatal(err)
		}
		large := strings.Repeat("x", 20_000)
		if _, err := w.Write([]byte(large)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		p.Expect(frame.Text, false, large)
		p.Expect(frame.Continuation, true, "")
		p.ExpectText("behind")
	})
}

// TestQueueEnds: whatever ends the connection ends the queue, at once, and is what
// is said to those who come later.
func TestQueueEnds(t *testing.T) {
	tests := []struct {
		name string
		opts websocket.Options
		end  func(t *testing.T, c *websocket.Conn, p *wstest.Peer)
		code websocket.CloseCode
		err  error
	}{
		{"CloseNow", websocket.Options{}, func(t *testing.T, c *websocket.Conn, p *wstest.Peer) {
			start := time.Now()
			if err := c.CloseNow(); err != nil {
				t.Error(err)
			}
			if took := time.Since(start); took != 0 {
				t.Errorf("it took %v", took)
			}
		}, websocket.CloseAbnormal, nil},
		{"WriteTimeout", websocket.Options{WriteTimeout: 2 * time.Second}, func(t *testing.T, c *websocket.Conn, p *wstest.Peer) {
			<-c.Done()
		}, websocket.CloseAbnormal, websocket.ErrWriteTimeout},
		{"the peer vanishes", websocket.Options{}, func(t *testing.T, c *websocket.Conn, p *wstest.Peer) {
			p.CloseAtOnce()
		}, websocket.CloseAbnormal, nil},
		{"the peer closes and does not read", websocket.Options{}, func(t *testing.T, c *websocket.Conn, p *wstest.Peer) {
			p.SendClose(4000, "")
			c.CloseRead(t.Context())
		}, 4000, nil},
		{"the peer closes and reads", websocket.Options{}, func(t *testing.T, c *websocket.Conn, p *wstest.Peer) {
			p.SendClose(4000, "")
			c.CloseRead(t.Context())
			synctest.Wait()
			if err := c.TrySend(websocket.Text, nil); err != c.Err() || err == nil {
				t.Errorf("while the connection ends: got %v, want %v", err, c.Err())
			}
			// What is on its way comes to its end, the rest does not come.
			p.Expect(frame.Binary, true, string(make([]byte, 10_000)))
			p.ExpectClose(4000, "")
			p.ExpectEOF()
		}, 4000, nil},
		{"the peer breaks a rule", websocket.Options{}, func(t *testing.T, c *websocket.Conn, p *wstest.Peer) {
			p.Send(0x81, 0x00)
			c.CloseRead(t.Context())
			synctest.Wait()
			p.Expect(frame.Binary, true, string(make([]byte, 10_000)))
			p.ExpectClose(1002, "frame from a client is not masked")
			p.ExpectEOF()
		}, websocket.CloseProtocolError, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onQueuers(t, func(t *testing.T, send func(*websocket.Conn, websocket.MessageType, []byte) error) {
				test.opts.SendQueue = -1
				c, p := stalledConn(t, test.opts)
				for range 10 {
					if err := send(c, websocket.Binary, make([]byte, 10_000)); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				test.end(t, c, p)
				<-c.Done()
				synctest.Wait()
				if err := send(c, websocket.Text, nil); err != c.Err() {
					t.Errorf("after the end: got %v, want %v", err, c.Err())
				}
				if code := websocket.CloseStatus(c.Err()); code != test.code || test.err != nil && !errors.Is(c.Err(), test.err) {
					t.Errorf("the connection ended with %v, want code %v, cause %v", c.Err(), test.code, test.err)
				}
				if got := c.Stats().Queued; got != 0 {
					t.Errorf("%d bytes are still queued", got)
				}
				if got := drains(); got != 0 {
					t.Errorf("%d goroutines are left", got)
				}
			})
		})
	}
}

// TestQueueEndsWaiting: a queue that waits for its turn ends with the connection.
func TestQueueEndsWaiting(t *testing.T) {
	tests := []struct {
		name string
		hold func(ctx context.Context, c *websocket.Conn) error
	}{
		{"behind a message", func(ctx context.Context, c *websocket.Conn) error {
			return c.WriteFrame(ctx, frame.Text, false, nil)
		}},
		{"behind a stalled ping", func(ctx context.Context, c *websocket.Conn) error {
			err := c.Write(ctx, websocket.Binary, make([]byte, stalledPipe-4))
			async(func() error { return c.WriteFrame(ctx, frame.Ping, true, nil) })
			return err
		}},
	}
	for _, test := range tests {
		bubble(t, test.name, func(t *testing.T) {
			c, _ := stalledConn(t, websocket.Options{})
			if err := test.hold(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if err := c.TrySend(websocket.Text, []byte("never")); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if got := drains(); got != 1 {
				t.Fatalf("%d goroutines are waiting, want 1", got)
			}
			c.CloseNow()
			synctest.Wait()
			if got := drains(); got != 0 || c.Stats().Queued != 0 {
				t.Errorf("%d goroutines and %d bytes are left", got, c.Stats().Queued)
			}
		})
	}
}

// TestCloseSendsQueue: the close frame comes behind everything that TrySend has
// taken, and nothing is taken any more.
func TestCloseSendsQueue(t *testing.T) {
	wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
		for _, queuer := range queuers {
			t.Run(queuer.name, func(t *testing.T) {
				c, p := connect(t, &websocket.Options{SendQueue: -1})
				// More than the sockets hold, so that some has to wait.
				const messages, size = 100, 200_000
				for i := range messages {
					if err := queuer.send(c, websocket.Binary, bytes.Repeat([]byte{byte(i)}, size)); err != nil {
						t.Fatal(err)
					}
				}
				closing := async(func() error { return c.Close(t.Context(), websocket.CloseGoingAway, "done") })
				for i := range messages {
					p.Expect(frame.Binary, true, string(bytes.Repeat([]byte{byte(i)}, size)))
				}
				p.ExpectClose(1001, "done")
				if err := queuer.send(c, websocket.Text, nil); err != c.Err() || err == nil {
					t.Errorf("while the connection ends: got %v, want %v", err, c.Err())
				}
				p.SendClose(1001, "")
				p.ExpectEOF()
				p.Close()
				if err := <-closing; err != nil {
					t.Error(err)
				}
			})
		}
	})
}

// TestCloseStalledQueue: a peer that does not read makes Close take no longer than
// one that does not answer.
func TestCloseStalledQueue(t *testing.T) {
	tests := []struct {
		name string
		ctx  time.Duration // 0: none; negative: it has ended
		want time.Duration
	}{
		{"five seconds", 0, 5 * time.Second},
		{"or ctx", time.Second, time.Second},
		{"no more than five seconds", time.Hour, 5 * time.Second},
		{"a second after ctx", -1, time.Second},
	}
	for _, test := range tests {
		bubble(t, test.name, func(t *testing.T) {
			c, _ := stalledConn(t, websocket.Options{})
			for range 10 {
				if err := c.TrySend(websocket.Binary, make([]byte, 5000)); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			ctx := t.Context()
			if test.ctx != 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, test.ctx)
				defer cancel()
			}
			start := time.Now()
			closing := make([]<-chan error, 3) // they wait together
			for i := range closing {
				closing[i] = async(func() error { return c.Close(ctx, websocket.CloseNormal, "") })
			}
			for _, closed := range closing {
				if err := <-closed; err == nil {
					t.Error("got no error")
				}
			}
			if took := time.Since(start); took != test.want {
				t.Errorf("it took %v, want %v", took, test.want)
			}
			synctest.Wait()
			if got := drains(); got != 0 || c.Stats().Queued != 0 {
				t.Errorf("%d goroutines and %d bytes are left", got, c.Stats().Queued)
			}
		})
	}
}

// TestCloseWithoutQueue: where the queue cannot be sent in time, the close frame
// still is.
func TestCloseWithoutQueue(t *testing.T) {
	bubble(t, "a message is under way", func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		if _, err := c.Writer(t.Context(), websocket.Text); err != nil {
			t.Fatal(err)
		}
		if err := c.TrySend(websocket.Text, []byte("never")); err != nil {
			t.Fatal(err)
		}
		closing := async(func() error { return c.Close(t.Context(), websocket.CloseGoingAway, "") })
		p.ExpectClose(1001, "")
		p.SendClose(1001, "")
		p.ExpectEOF()
		p.Close()
		if err := <-closing; err != nil {
			t.Error(err)
		}
	})
	bubble(t, "the peer is slow", func(t *testing.T) {
		const size = 10_000
		c, p := stalledConn(t, websocket.Options{SendQueue: -1})
		for range 20 {
			if err := c.TrySend(websocket.Binary, make([]byte, size)); err != nil {
				t.Fatal(err)
			}
		}
		closing := async(func() error { return c.Close(t.Context(), websocket.CloseGoingAway, "") })
		for range 20 {
			time.Sleep(600 * time.Millisecond)
			h, payload, err := p.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if h.Opcode != frame.Close {
				continue
			}
			if string(payload) != string(wstest.ClosePayload(1001, "")) {
				t.Errorf("got %q", payload)
			}
			p.SendClose(1001, "")
			p.ExpectEOF()
			p.Close()
			break
		}
		if err := <-closing; err != nil {
			t.Error(err)
		}
	})
	bubble(t, "the connection ends meanwhile", func(t *testing.T) {
		c, p := stalledConn(t, websocket.Options{})
		if err := c.TrySend(websocket.Binary, make([]byte, 5000)); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		closing := async(func() error { return c.Close(t.Context(), websocket.CloseGoingAway, "") })
		synctest.Wait()
		p.CloseAtOnce()
		if err := <-closing; err == nil {
			t.Error("got no error")
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}

// TestQueueBehindContext: a ctx that ends has nothing to say to what comes behind
// its call.
func TestQueueBehindContext(t *testing.T) {
	wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
		for _, queuer := range queuers {
			c, p := connect(t, nil)
			ctx, cancel := context.WithCancel(t.Context())
			if err := c.Write(ctx, websocket.Text, []byte("before")); err != nil {
				t.Fatal(err)
			}
			large := make([]byte, 20<<20) // more than the sockets hold
			if err := queuer.send(c, websocket.Binary, large); err != nil {
				t.Fatal(err)
			}
			cancel()
			p.ExpectText("before")
			p.Expect(frame.Binary, true, string(large))
			if err := c.Err(); err != nil {
				t.Error(err)
			}
		}
	})
}

// direct and queued are the ways of a message of TestManySenders; along each, a
// sender's messages keep their order.
const (
	direct = "direct"
	queued = "queued"
)

// TestManySenders: all forms of sending at once, until one of the senders closes.
// What was taken comes, once, whole, and in the order of each sender.
func TestManySenders(t *testing.T) {
	wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
		for seed := range uint64(2) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				opts := &websocket.Options{SendQueue: 20_000}
				if seed%2 == 1 {
					opts.Compression = &websocket.Compression{}
				}
				c, p := connect(t, opts)
				c.CloseRead(t.Context())
				const senders = 8
				taken := make([]map[string]int, senders)
				var wg sync.WaitGroup
				for i := range senders {
					taken[i] = make(map[string]int)
					wg.Go(func() { sendMany(t, c, i, rand.New(rand.NewPCG(seed, uint64(i))), taken[i]) })
				}
				got := hearMany(t, c, p, senders)
				wg.Wait()
				for i := range senders {
					for _, way := range []string{direct, queued} {
						if got[i][way] != taken[i][way] {
							t.Errorf("sender %d, %s: %d messages came of %d", i, way, got[i][way], taken[i][way])
						}
					}
				}
			})
		}
	})
}

// sendMany sends messages until the connection ends. The first sender ends it.
func sendMany(t *testing.T, c *websocket.Conn, i int, r *rand.Rand, taken map[string]int) {
	ctx := t.Context()
	for n := 0; i > 0 || n < 200; n++ {
		choice := r.IntN(4)
		way := direct
		if choice < 2 {
			way = queued
		}
		text := fmt.Appendf(nil, "%d %s %d %s", i, way, taken[way], sample(r.IntN(3000), uint64(n)))
		if r.IntN(100) == 0 {
			text = append(text, strings.Repeat("large ", 5000)...)
		}
		m, err := websocket.NewPreparedMessage(websocket.Text, text)
		if err != nil {
			t.Error(err)
		}
		switch choice {
		case 0:
			err = c.TrySend(websocket.Text, text)
		case 1:
			err = c.TrySendPrepared(m)
		case 2:
			err = c.Write(ctx, websocket.Text, text)
		case 3:
			err = c.WritePrepared(ctx, m)
		}
		switch {
		case err == nil:
			taken[way]++
		case errors.Is(err, websocket.ErrBackpressure):
		case err == c.Err():
			return
		default:
			t.Errorf("sender %d: %v", i, err)
			return
		}
	}
	if err := c.Close(ctx, websocket.CloseNormal, ""); err != nil {
		t.Error(err)
	}
}

// hearMany reads to the end of the connection, and returns how many messages came
// of each sender along each way.
func hearMany(t *testing.T, c *websocket.Conn, p *wstest.Peer, senders int) []map[string]int {
	t.Helper()
	d, _ := wstest.NewDeflate(c.Extensions())
	got := make([]map[string]int, senders)
	for i := range got {
		got[i] = make(map[string]int)
	}
	for all := uint64(0); ; all++ {
		h, payload, err := p.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if h.Opcode == frame.Close {
			p.SendClose(1000, "")
			p.ExpectEOF()
			p.Close()
			if sent := c.Stats().MessagesSent; sent != all {
				t.Errorf("got %d messages, and %d were sent", all, sent)
			}
			return got
		}
		if h.RSV1 {
			if payload, err = d.Unpack(payload); err != nil {
				t.Fatal(err)
			}
		}
		var i, n int
		var way string
		if _, err := fmt.Sscanf(string(payload[:min(len(payload), 50)]), "%d %s %d", &i, &way, &n); err != nil {
			t.Fatalf("%.50q: %v", payload, err)
		}
		if n != got[i][way] {
			t.Fatalf("sender %d, %s: got message %d, want %d", i, way, n, got[i][way])
		}
		got[i][way]++
	}
}
