package websocket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

// pattern returns n bytes that do not repeat with any power of two.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return b
}

// async runs f in a goroutine and returns a channel that gets its result.
func async[T any](f func() T) <-chan T {
	done := make(chan T, 1)
	go func() { done <- f() }()
	return done
}

func TestReadSizes(t *testing.T) {
	sizes := []int{0, 1, 4 << 10, 16<<10 - 8, 16 << 10, 16<<10 + 1, 100_000, 1 << 20}
	wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
		for _, reader := range readers {
			t.Run(reader.name, func(t *testing.T) {
				c, p := connect(t, nil)
				sent := async(func() error {
					for _, n := range sizes {
						b := wstest.Frame(frame.Binary, true, pattern(n))
						// A second message right behind, so that reading ahead shows.
						if _, err := p.Write(append(b, wstest.Frame(frame.Text, true, []byte("next"))...)); err != nil {
							return err
						}
					}
					return nil
				})
				for _, n := range sizes {
					typ, got, err := reader.read(t.Context(), c)
					if err != nil || typ != websocket.Binary || !bytes.Equal(got, pattern(n)) {
						t.Fatalf("%d bytes: got %v message of %d bytes, error %v", n, typ, len(got), err)
					}
					typ, got, err = reader.read(t.Context(), c)
					if err != nil || typ != websocket.Text || string(got) != "next" {
						t.Fatalf("behind %d bytes: got %v message %.20q, error %v", n, typ, got, err)
					}
				}
				if err := <-sent; err != nil {
					t.Fatal(err)
				}
			})
		}
	})
}

// TestReadKeeps: what Read has returned is the caller's, whatever comes later.
func TestReadKeeps(t *testing.T) {
	c, p := wstest.Memory(t, nil)
	p.SendText("first")
	p.SendText("other")
	_, first, err := c.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if string(first) != "first" {
		t.Errorf("a later Read has changed the message to %q", first)
	}
}

func TestReadAppendAllocatesNothing(t *testing.T) {
	c, p := wstest.Memory(t, nil)
	const runs = 100
	message := wstest.Frame(frame.Text, true, []byte(strings.Repeat("x", 200)))
	p.Send(bytes.Repeat(message, runs+1)...)
	dst := make([]byte, 0, 1024)
	got := testing.AllocsPerRun(runs, func() {
		if _, p, err := c.ReadAppend(context.Background(), dst); err != nil || len(p) != 200 {
			t.Fatalf("got %d bytes, error %v", len(p), err)
		}
	})
	if got != 0 {
		t.Errorf("got %v allocations a message, want 0", got)
	}
}

func TestReadFrame(t *testing.T) {
	c, p := wstest.Memory(t, nil)
	ctx := t.Context()
	p.SendFrame(frame.Text, false, "he")
	p.SendFrame(frame.Ping, true, "p")
	p.SendFrame(frame.Pong, true, "q")
	p.SendFrame(frame.Continuation, true, "llo")
	p.SendFrame(frame.Binary, false, "x")
	want := []struct {
		op      frame.Opcode
		fin     bool
		payload string
	}{
		{frame.Text, false, "he"},
		{frame.Ping, true, "p"},
		{frame.Pong, true, "q"},
		{frame.Continuation, true, "llo"},
		{frame.Binary, false, "x"},
	}
	for _, w := range want {
		h, got, err := c.ReadFrame(ctx)
		if err != nil || h.Opcode != w.op || h.Fin != w.fin || string(got) != w.payload || h.Length != uint64(len(got)) {
			t.Fatalf("got %v %q, error %v, want %v fin=%t %q", h, got, err, w.op, w.fin, w.payload)
		}
	}
	p.Expect(frame.Pong, true, "p")
	checkOthersRefused(t, c, "ReadFrame")
	p.SendFrame(frame.Continuation, true, "y")
	if h, got, err := c.ReadFrame(ctx); err != nil || string(got) != "y" {
		t.Fatalf("got %v %q, error %v", h, got, err)
	}
	p.SendText("whole")
	if _, got, err := c.Read(ctx); err != nil || string(got) != "whole" {
		t.Errorf("Read after frames: got %q, error %v", got, err)
	}
	p.SendClose(1000, "bye")
	p.CloseWrite()
	_, _, err := c.ReadFrame(ctx)
	if ce, ok := errors.AsType[*websocket.CloseError](err); !ok || ce.Code != 1000 || ce.Reason != "bye" || ce.Sent {
		t.Errorf("got %v, want the peer's close", err)
	}
}

// checkOthersRefused: while a message is read in one form, all others are refused.
func checkOthersRefused(t *testing.T, c *websocket.Conn, form string) {
	t.Helper()
	for _, reader := range readers {
		if reader.name == form {
			continue
		}
		if _, _, err := reader.read(t.Context(), c); !errors.Is(err, websocket.ErrReaderOpen) {
			t.Errorf("%s in the middle of a message read by %s: got %v, want ErrReaderOpen", reader.name, form, err)
		}
	}
}

// TestReadFrameResume cuts ReadFrame off in the middle of a frame.
func TestReadFrameResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		b := wstest.Frame(frame.Binary, true, pattern(20_000))
		for _, part := range [][]byte{b[:5], b[5:9], b[9:10_000], b[10_000:19_990]} {
			p.Send(part...)
			ctx, cancel := context.WithCancel(t.Context())
			done := async(func() error {
				_, _, err := c.ReadFrame(ctx)
				return err
			})
			synctest.Wait()
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v", err)
			}
		}
		if _, _, err := c.Read(t.Context()); !errors.Is(err, websocket.ErrReaderOpen) {
			t.Errorf("Read in the middle of a frame: got %v, want ErrReaderOpen", err)
		}
		p.Send(b[19_990:]...)
		if _, got, err := c.ReadFrame(t.Context()); err != nil || !bytes.Equal(got, pattern(20_000)) {
			t.Errorf("got %d bytes, error %v", len(got), err)
		}
	})
}

// TestReadThenOther: a message of which Read got a part goes on with Read,
// ReadAppend and Reader, and not with ReadFrame.
func TestReadThenOther(t *testing.T) {
	for _, by := range []string{"Read", "ReadAppend", "Reader"} {
		for _, first := range []string{"", "abc"} {
			t.Run(by+"/"+first, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, p := wstest.Memory(t, nil)
					p.SendFrame(frame.Text, false, first)
					ctx, cancel := context.WithCancel(t.Context())
					done := async(func() error {
						_, got, err := c.Read(ctx)
						if got != nil {
							t.Errorf("got %q with the error", got)
						}
						return err
					})
					synctest.Wait()
					cancel()
					if err := <-done; !errors.Is(err, context.Canceled) {
						t.Fatalf("got %v", err)
					}
					if _, _, err := c.ReadFrame(t.Context()); !errors.Is(err, websocket.ErrReaderOpen) {
						t.Errorf("ReadFrame: got %v, want ErrReaderOpen", err)
					}
					p.SendFrame(frame.Continuation, true, "def")
					for _, reader := range readers {
						if reader.name != by {
							continue
						}
						typ, got, err := reader.read(t.Context(), c)
						if err != nil || typ != websocket.Text || string(got) != first+"def" {
							t.Errorf("got %v %q, error %v", typ, got, err)
						}
					}
				})
			})
		}
	}
}

func TestMessages(t *testing.T) {
	tests := []struct {
		name string
		end  func(c *websocket.Conn, p *wstest.Peer)
		want websocket.CloseCode // 0: the loop ends without an error
	}{
		{"normal closure", func(c *websocket.Conn, p *wstest.Peer) { p.SendClose(1000, "") }, 0},
		{"going away", func(c *websocket.Conn, p *wstest.Peer) { p.SendClose(1001, "") }, 0},
		{"no status", func(c *websocket.Conn, p *wstest.Peer) { p.SendClose(0, "") }, 0},
		{"another code", func(c *websocket.Conn, p *wstest.Peer) { p.SendClose(4000, "") }, 4000},
		{"a violation", func(c *websocket.Conn, p *wstest.Peer) { p.Send(0x81, 0x00) }, 1002},
		{"no close frame", func(c *websocket.Conn, p *wstest.Peer) { p.Close() }, 1006},
		{"CloseNow", func(c *websocket.Conn, p *wstest.Peer) { c.CloseNow() }, 1006},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, p := wstest.Memory(t, nil)
			p.SendText("one")
			p.SendFrame(frame.Binary, true, "two")
			var got []string
			var errs []error
			for m, err := range c.Messages(t.Context()) {
				if err != nil {
					errs = append(errs, err)
					continue
				}
				got = append(got, m.Type.String()+" "+string(m.Data))
				if len(got) == 2 {
					test.end(c, p)
					if test.want != 1006 {
						p.CloseWrite() // no need to linger
					}
				}
			}
			if fmt.Sprint(got) != "[text one binary two]" {
				t.Errorf("got %q", got)
			}
			switch {
			case test.want == 0 && len(errs) > 0:
				t.Errorf("got errors %v, want none", errs)
			case test.want != 0 && (len(errs) != 1 || websocket.CloseStatus(errs[0]) != test.want):
				t.Errorf("got errors %v, want one with %v", errs, test.want)
			}
		})
	}
	t.Run("break leaves the connection open", func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		for _, s := range []string{"one", "two"} {
			p.SendText(s)
			for m, err := range c.Messages(t.Context()) {
				if err != nil || string(m.Data) != s {
					t.Errorf("got %q, error %v", m.Data, err)
				}
				break
			}
		}
		if err := c.Err(); err != nil {
			t.Error(err)
		}
	})
	t.Run("the end of ctx", func(t *testing.T) {
		c, _ := wstest.Memory(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		n := 0
		for _, err := range c.Messages(ctx) {
			n++
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		}
		if n != 1 || c.Err() != nil {
			t.Errorf("got %d elements, connection %v", n, c.Err())
		}
	})
}

func TestCloseRead(t *testing.T) {
	t.Run("answers and drops", func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		ended := c.CloseRead(t.Context())
		p.SendText("dropped")
		p.SendFrame(frame.Binary, false, "dropped")
		p.SendFrame(frame.Ping, true, "still there?")
		p.Expect(frame.Pong, true, "still there?")
		if err := c.Write(t.Context(), websocket.Text, []byte("pushed")); err != nil {
			t.Fatal(err)
		}
		p.ExpectText("pushed")
		p.SendClose(1000, "enough")
		p.ExpectClose(1000, "")
		p.Close()
		<-ended.Done()
		if cause := context.Cause(ended); websocket.CloseStatus(cause) != 1000 {
			t.Errorf("got cause %v, want the close", cause)
		}
		if n := c.Stats().MessagesReceived; n != 1 {
			t.Errorf("got %d messages received, want the one that was finished", n)
		}
		<-c.Done()
	})
	t.Run("drops what was begun", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := wstest.Memory(t, nil)
			p.SendText("half")
			_, r, err := c.Reader(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Read(make([]byte, 2)); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := c.CloseRead(ctx)
			synctest.Wait()
			cancel()
			<-ended.Done()
			synctest.Wait()
			p.SendText("next")
			if _, got, err := c.Read(t.Context()); err != nil || string(got) != "next" {
				t.Errorf("Read after CloseRead: got %q, error %v", got, err)
			}
		})
	})
	t.Run("on a closed connection", func(t *testing.T) {
		c, _ := wstest.Memory(t, nil)
		c.CloseNow()
		ended := c.CloseRead(t.Context())
		<-ended.Done()
		if cause := context.Cause(ended); cause != c.Err() {
			t.Errorf("got cause %v, want %v", cause, c.Err())
		}
	})
}

func TestMaxMessageSize(t *testing.T) {
	const max = 1000
	fragments := func(sizes ...int) []byte {
		var b []byte
		for i, n := range sizes {
			op := frame.Binary
			if i > 0 {
				op = frame.Continuation
			}
			b = append(b, wstest.Frame(op, i == len(sizes)-1, make([]byte, n))...)
		}
		return b
	}
	tests := []struct {
		name string
		sent []byte
		size int // -1: refused
	}{
		{"at the limit", fragments(max), max},
		{"one over", fragments(max + 1), -1},
		{"fragments at the limit", fragments(400, 0, 600), max},
		{"fragments one over", fragments(400, 601), -1},
		{"one over in the last byte", fragments(max, 1), -1},
		{"limits are by message", append(fragments(max), fragments(max)...), max},
	}
	for _, reader := range readers {
		for _, test := range tests {
			t.Run(reader.name+"/"+test.name, func(t *testing.T) {
				c, p := wstest.Memory(t, &websocket.Options{MaxMessageSize: max})
				p.Send(test.sent...)
				p.CloseWrite()
				_, got, err := reader.read(t.Context(), c)
				if test.size < 0 {
					ce, ok := errors.AsType[*websocket.CloseError](err)
					if !ok || ce.Code != websocket.CloseMessageTooBig || !ce.Sent {
						t.Fatalf("got %d bytes, error %v, want CloseMessageTooBig", len(got), err)
					}
					p.ExpectClose(1009, "message is larger than the limit")
				} else if err != nil || len(got) != test.size {
					t.Fatalf("got %d bytes, error %v", len(got), err)
				}
			})
		}
	}
}

func TestSetMaxMessageSize(t *testing.T) {
	tests := []struct {
		name  string
		limit int64
		size  int
		ok    bool
	}{
		{"0 is 1 MiB", 0, 1 << 20, true},
		{"0 is no more than 1 MiB", 0, 1<<20 + 1, false},
		{"negative is no limit", -1, 3 << 20, true},
		{"another", 10, 11, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, p := wstest.MemorySize(t, &websocket.Options{MaxMessageSize: 5}, 8<<20)
			c.SetMaxMessageSize(test.limit)
			p.Send(wstest.Frame(frame.Binary, true, make([]byte, test.size))...)
			p.CloseWrite()
			_, got, err := c.Read(t.Context())
			if test.ok != (err == nil) || err == nil && len(got) != test.size {
				t.Errorf("got %d bytes, error %v", len(got), err)
			}
		})
	}
	t.Run("in the middle of a message", func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		p.SendFrame(frame.Binary, false, "0123456789")
		_, r, err := c.Reader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c.SetMaxMessageSize(5)
		p.SendFrame(frame.Continuation, true, "x")
		p.CloseWrite()
		got, err := io.ReadAll(r)
		if websocket.CloseStatus(err) != websocket.CloseMessageTooBig || string(got) != "0123456789" {
			t.Errorf("got %q, error %v", got, err)
		}
	})
}

// TestTooManyFrames: a message of empty fragments has no size and must end.
func TestTooManyFrames(t *testing.T) {
	c, p := wstest.MemorySize(t, &websocket.Options{MaxMessageSize: -1}, 1<<20)
	empty := bytes.Repeat(wstest.Frame(frame.Continuation, false, nil), 1<<16)
	p.SendFrame(frame.Text, false, "")
	p.Send(empty...)
	p.CloseWrite()
	_, _, err := c.Read(t.Context())
	if websocket.CloseStatus(err) != websocket.ClosePolicyViolation {
		t.Errorf("got %v", err)
	}
}

// TestAnnouncedSize: a peer that announces 2^62 bytes and sends ten costs
// kilobytes, in every form of reading.
func TestAnnouncedSize(t *testing.T) {
	announce := frame.Append(nil, frame.Header{Fin: true, Opcode: frame.Binary, Masked: true, Length: 1 << 62})
	for _, reader := range readers {
		t.Run(reader.name, func(t *testing.T) {
			c, p := wstest.Memory(t, &websocket.Options{MaxMessageSize: -1})
			p.Send(append(announce, "ten bytes!"...)...)
			p.CloseWrite()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, err := reader.read(t.Context(), c)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("got %v", err)
			}
			if cost := after.TotalAlloc - before.TotalAlloc; cost > 128<<10 {
				t.Errorf("it has cost %d bytes", cost)
			}
		})
	}
}

// TestReadFlood: pings without end neither pile up answers nor keep a read from
// its ctx.
func TestReadFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The peer does not read, so that no pong leaves once the pipe is full.
		c, p := wstest.MemorySize(t, &websocket.Options{WriteTimeout: -1}, 4<<10)
		flood := async(func() error {
			pings := bytes.Repeat(wstest.Frame(frame.Ping, true, make([]byte, 100)), 1000)
			_, err := p.Write(pings)
			return err
		})
		read := async(func() error {
			_, _, err := c.Read(t.Context())
			return err
		})
		synctest.Wait()
		c.CloseNow()
		if err := <-read; websocket.CloseStatus(err) != websocket.CloseAbnormal {
			t.Errorf("got %v", err)
		}
		<-flood
	})
}

func TestConcurrentReaders(t *testing.T) {
	wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
		const readersN, messages = 8, 400
		c, p := connect(t, nil)
		var mu sync.Mutex
		seen := make(map[string]int)
		var wg sync.WaitGroup
		for i := range readersN {
			wg.Go(func() {
				for {
					_, got, err := readers[i%2].read(t.Context(), c)
					if err != nil {
						if websocket.CloseStatus(err) != 1000 {
							t.Errorf("got %v", err)
						}
						return
					}
					mu.Lock()
					seen[string(got)]++
					mu.Unlock()
				}
			})
		}
		for i := range messages {
			p.SendText(fmt.Sprint("message ", i))
		}
		p.SendClose(1000, "")
		p.ExpectClose(1000, "")
		p.Close()
		wg.Wait()
		for i := range messages {
			if n := seen[fmt.Sprint("message ", i)]; n != 1 {
				t.Errorf("message %d came %d times", i, n)
			}
		}
	})
}

// TestReadBesidePings: a peer that pings and does not read does not hold up a
// read beyond its ctx.
func TestReadBesidePings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := wstest.MemorySize(t, &websocket.Options{WriteTimeout: -1}, 1000)
		pinged := async(func() error {
			for range 1000 {
				if _, err := p.Write(wstest.Frame(frame.Ping, true, make([]byte, 100))); err != nil {
					return err
				}
			}
			return nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		if _, _, err := c.Read(ctx); !errors.Is(err, context.DeadlineExceeded) || c.Err() != nil {
			t.Errorf("got %v, connection %v", err, c.Err())
		}
		if took := time.Since(start); took != 100*time.Millisecond {
			t.Errorf("it took %v, want 100ms", took)
		}
		if err := <-pinged; err != nil {
			t.Error(err)
		}
		c.CloseNow()
	})
}

// TestDroppedMessage: of a message whose beginning CloseRead has dropped, nothing
// is handed out, in no form of reading, cut off as it may be.
func TestDroppedMessage(t *testing.T) {
	for _, reader := range readers {
		bubble(t, reader.name, func(t *testing.T) {
			c, p := wstest.Memory(t, nil)
			b := wstest.Frame(frame.Text, true, []byte("transfer 1000"))
			p.Send(b[:15]...)
			ctx, cancel := context.WithCancel(t.Context())
			c.CloseRead(ctx)
			synctest.Wait()
			cancel()
			synctest.Wait()
			p.Send(b[15:17]...)
			short, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, got, err := reader.read(short, c); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("got %q, error %v", got, err)
			}
			p.Send(b[17:]...)
			p.SendText("next")
			if _, got, err := reader.read(t.Context(), c); string(got) != "next" || err != nil {
				t.Errorf("got %q, error %v, want the next message", got, err)
			}
		})
	}
}

// TestSetMaxMessageSizeWhileReading: the limit holds from the next frame on, also
// for a read that waits for it.
func TestSetMaxMessageSizeWhileReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		read := async(func() error { _, _, err := c.Read(t.Context()); return err })
		synctest.Wait()
		c.SetMaxMessageSize(10)
		p.SendText("more than ten bytes")
		p.CloseWrite()
		if err := <-read; websocket.CloseStatus(err) != websocket.CloseMessageTooBig {
			t.Errorf("got %v", err)
		}
	})
}

// TestReadRecords: over TLS, who waits has room for 512 bytes at first. Messages come
// whole, however many are in a record and wherever one is full.
func TestReadRecords(t *testing.T) {
	const first, buffer = 512, 18 << 10
	for _, sizes := range [][]int{
		{first - 9}, {first - 8}, {first - 7}, {first - 8, first - 8},
		{first - 8, buffer - 8}, {first - 8, buffer - 8, 1}, {1, 100, 400, 1}, slices.Repeat([]int{50}, 300),
	} {
		c, p := wstest.TLS(t, nil)
		var sent []byte
		for i, size := range sizes {
			sent = append(sent, wstest.Frame(frame.Binary, true, bytes.Repeat([]byte{byte(i)}, size))...)
		}
		go p.Send(sent...)
		for i, size := range sizes {
			if _, got, err := c.Read(t.Context()); err != nil || !bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, size)) {
				t.Fatalf("%d: message %d: got %d bytes, error %v", sizes, i, len(got), err)
			}
		}
		p.Close()
		if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.CloseAbnormal {
			t.Errorf("%d: at the end: %v", sizes, err)
		}
	}
}
