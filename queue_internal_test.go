package websocket

import (
	"context"
	"errors"
	"net"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/deflate"
)

// breaking is a transport that takes some writes, and then none.
type breaking struct {
	*wire
	takes int
}

func newBreaking(t *testing.T, takes int) *Conn {
	client, server := net.Pipe()
	t.Cleanup(func() { client.Close() })
	return newConn(&breaking{&wire{stream: newHijacked(server, nil)}, takes}, decision{}, &Options{KeepAlive: -1, SendQueue: -1})
}

var errBroken = errors.New("broken")

func (b *breaking) Write(p []byte) (int, error) {
	if b.takes == 0 {
		return 0, errBroken
	}
	b.takes--
	return b.wire.Write(p)
}

func (b *breaking) WriteBuffers(bufs *net.Buffers) (int64, error) {
	n, err := b.Write((*bufs)[0])
	return int64(n), err
}

// TestQueueBreaks: a message that the transport does not take ends the connection,
// wherever it is in the queue, and is not counted as sent.
func TestQueueBreaks(t *testing.T) {
	small, large := strings.Repeat("s", 100), strings.Repeat("l", 40_000)
	tests := []struct {
		name     string
		messages []string
		prepared bool
		owed     bool // a pong goes before
		takes    int
		sent     uint64
	}{
		{"the first buffer", []string{small, small, small}, false, false, 0, 0},
		{"the first buffer, prepared", []string{small, small, small}, true, false, 0, 0},
		{"a large message", []string{large, small}, false, false, 0, 0},
		{"a large message, prepared", []string{large, small}, true, false, 0, 0},
		{"a large message behind small ones", []string{small, small, large, small}, false, false, 1, 2},
		{"a large message behind small ones, prepared", []string{small, small, large, small}, true, false, 1, 2},
		{"what is owed", []string{small}, false, true, 0, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newBreaking(t, test.takes)
				c.wr.message.tryLock()
				for _, text := range test.messages {
					enqueueText(t, c, text, test.prepared)
				}
				if test.owed {
					c.wr.owed.add(frame.Pong, nil)
				}
				c.wr.message.unlock()
				<-c.Done()
				synctest.Wait()
				if e, ok := c.Err().(*CloseError); !ok || e.Code != CloseAbnormal || !errors.Is(e, errBroken) {
					t.Errorf("the connection ended with %v", c.Err())
				}
				if stats := c.Stats(); stats.MessagesSent != test.sent || stats.Queued != 0 {
					t.Errorf("got %d messages sent and %d bytes queued, want %d and 0", stats.MessagesSent, stats.Queued, test.sent)
				}
				checkNothingQueued(t, c)
			})
		})
	}
}

// TestWritePreparedBreaks is the same for WritePrepared.
func TestWritePreparedBreaks(t *testing.T) {
	for _, owed := range []bool{false, true} {
		c := newBreaking(t, 0)
		m, err := NewPreparedMessage(Text, []byte("never"))
		if err != nil {
			t.Fatal(err)
		}
		if owed {
			c.wr.owed.add(frame.Pong, nil)
		}
		if err := c.WritePrepared(t.Context(), m); err != c.Err() || !errors.Is(err, errBroken) || c.Stats().MessagesSent > 0 {
			t.Errorf("with a pong before %t: got %v, connection %v", owed, err, c.Err())
		}
	}
}

// TestOwedGoesBefore: what is owed is sent before a message, though others could
// send it afterwards.
func TestOwedGoesBefore(t *testing.T) {
	m, err := NewPreparedMessage(Text, []byte("message"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		send func(c *Conn) error
	}{
		{"TrySend", func(c *Conn) error { return c.TrySend(Text, []byte("message")) }},
		{"TrySendPrepared", func(c *Conn) error { return c.TrySendPrepared(m) }},
		{"WritePrepared", func(c *Conn) error { return c.WritePrepared(context.Background(), m) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, w := newWire(t, nil, nil)
				c.wr.owed.add(frame.Pong, []byte("pong"))
				if err := test.send(c); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if got, want := w.out.String(), "\x8a\x04pong\x81\x07message"; got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			})
		})
	}
}

func enqueueText(t *testing.T, c *Conn, text string, prepared bool) {
	t.Helper()
	if !prepared {
		if err := c.TrySend(Text, []byte(text)); err != nil {
			t.Fatal(err)
		}
		return
	}
	m, err := NewPreparedMessage(Text, []byte(text))
	if err == nil {
		err = c.TrySendPrepared(m)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func checkNothingQueued(t *testing.T, c *Conn) {
	t.Helper()
	q := &c.wr.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting != nil || q.size != 0 || q.running || q.drained != nil {
		t.Errorf("the queue has %d messages of %d bytes, capacity %d, running %t, awaited %t",
			len(q.waiting), q.size, cap(q.waiting), q.running, q.drained != nil)
	}
}

// TestEmptyQueueIsNothing: a queue that has been sent holds no memory, and one
// under way none of what has been sent.
func TestEmptyQueueIsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newWire(t, nil, nil)
		c.wr.message.tryLock()
		for range 50 {
			enqueueText(t, c, strings.Repeat("x", 1000), false)
		}
		c.wr.message.unlock()
		synctest.Wait()
		checkNothingQueued(t, c)
	})
	q := queue{running: true, waiting: []queued{{data: make([]byte, bufferSize)}, {data: []byte("second")}}}
	for i := range q.waiting {
		q.size += q.waiting[i].size()
	}
	first, second := q.next(), q.waiting[0].size()
	if !q.forget(first, nil) || q.size != second {
		t.Errorf("%d bytes are left, want %d", q.size, second)
	}
	if len(first) != 1 || first[0].data != nil {
		t.Error("what has been sent is held as long as there is more")
	}
	if second := q.next(); len(second) != 1 || string(second[0].data) != "second" {
		t.Errorf("got %d messages behind, want 1", len(second))
	}
}

// TestQueueMemory: what a full queue holds is about what the option says, however
// small the messages are.
func TestQueueMemory(t *testing.T) {
	for _, size := range []int{0, 1, 10, 100, 1000, 10_000} {
		c, _ := newWire(t, nil, nil)
		c.wr.message.tryLock() // so that none leaves
		p := make([]byte, size)
		for n := 0; n < defaultSendQueue && c.TrySend(Binary, p) == nil; n++ {
		}
		q := &c.wr.queue
		held := cap(q.waiting) * int(reflect.TypeFor[queued]().Size())
		for _, m := range q.waiting {
			held += cap(m.data)
		}
		if got := float64(held) / defaultSendQueue; got < 0.5 || got > 1.5 {
			t.Errorf("%d messages of %d bytes take %.2f of what the queue may hold", len(q.waiting), size, got)
		}
		if got := c.Stats().Queued; got > defaultSendQueue || got <= defaultSendQueue-size-queuedOverhead {
			t.Errorf("a queue that is full for %d bytes has %d of %d", size, got, defaultSendQueue)
		}
		c.CloseNow()
	}
}

// TestQueueCopiesNoLarge: a message that does not fit a buffer leaves from where it
// is, or a broadcast of a large one would be there once for each peer that is slow.
func TestQueueCopiesNoLarge(t *testing.T) {
	c, _ := newWire(t, nil, nil)
	p := make([]byte, bufferSize)
	m, err := NewPreparedMessage(Binary, p)
	if err != nil {
		t.Fatal(err)
	}
	var buf buffer
	if frames, _, _ := c.layOut(buf[:0], nil, &queued{prepared: m}); &frames[0] != &m.plain.frame[0] {
		t.Error("a prepared message was copied")
	}
	if frames, _, large := c.layOut(buf[:0], nil, &queued{op: frame.Binary, data: p}); len(frames) > 0 || &large[0] != &p[0] {
		t.Error("a message was copied")
	}
}

// TestQueueAgainstUnfinished: what the rules of sending forbid is not sent, and
// drops the queue. It happens where a message was begun whose end the end of the
// connection forbids.
func TestQueueAgainstUnfinished(t *testing.T) {
	for _, prepared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c, w := newWire(t, nil, nil)
			if err := c.wr.send.Frame(&frame.Header{Opcode: frame.Text}, nil); err != nil {
				t.Fatal(err)
			}
			enqueueText(t, c, "never", prepared)
			synctest.Wait()
			checkNothingQueued(t, c)
			m, err := NewPreparedMessage(Text, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.WritePrepared(context.Background(), m); err == nil || !strings.Contains(err.Error(), "not finished") {
				t.Errorf("WritePrepared: got %v", err)
			}
			if w.out.Len() > 0 || c.Stats().MessagesSent > 0 {
				t.Errorf("%d bytes were sent", w.out.Len())
			}
		})
	}
}

// TestPreparedVariants: windows that a message fits in share what it is compressed
// to.
func TestPreparedVariants(t *testing.T) {
	for _, test := range []struct{ size, want int }{{256, 1}, {257, 2}, {512, 2}, {513, 3}, {1 << 15, 8}, {1 << 16, 8}} {
		m, err := NewPreparedMessage(Text, records(test.size))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			for bits := deflate.MinWindowBits; bits <= deflate.MaxWindowBits; bits++ {
				if e := m.variant(&deflation{bits: bits}, true); !e.compressed {
					t.Errorf("%d bytes, %d bits: not compressed", test.size, bits)
				}
			}
		}
		if got := len(m.packed); got != test.want {
			t.Errorf("%d bytes: got %d variants, want %d", test.size, got, test.want)
		}
	}
}
