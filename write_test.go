package websocket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

func TestWriteSizes(t *testing.T) {
	sizes := []int{0, 1, 125, 126, 65535, 65536, 16<<10 - 4, 16<<10 - 3, 16 << 10, 100_000, 3 << 20}
	wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
		c, p := connect(t, nil)
		written := async(func() error {
			for _, n := range sizes {
				if err := c.Write(t.Context(), websocket.Binary, pattern(n)); err != nil {
					return err
				}
			}
			return nil
		})
		for _, n := range sizes {
			h, got, err := p.ReadFrame()
			if err != nil || h.Opcode != frame.Binary || !h.Fin || !bytes.Equal(got, pattern(n)) {
				t.Fatalf("%d bytes: got %v, %d bytes, error %v", n, h, len(got), err)
			}
		}
		if err := <-written; err != nil {
			t.Fatal(err)
		}
		if s := c.Stats(); s.MessagesSent != uint64(len(sizes)) {
			t.Errorf("got %d messages sent, want %d", s.MessagesSent, len(sizes))
		}
	})
}

// TestWriteIsOneWrite: a small message is one write to the transport, which on
// TCP is one system call.
func TestWriteIsOneWrite(t *testing.T) {
	server, client := wstest.Pipe(0)
	c, _ := wstest.Over(t, server, client, nil)
	before := server.Writes()
	for range 10 {
		if err := c.Write(t.Context(), websocket.Text, []byte("hello")); err != nil {
			t.Fatal(err)
		}
	}
	if got := server.Writes() - before; got != 10 {
		t.Errorf("10 messages took %d writes", got)
	}
}

func TestWriteAllocatesNothing(t *testing.T) {
	c, _ := wstest.MemorySize(t, nil, 1<<20)
	message := bytes.Repeat([]byte("x"), 200)
	got := testing.AllocsPerRun(100, func() {
		if err := c.Write(context.Background(), websocket.Text, message); err != nil {
			t.Fatal(err)
		}
	})
	if got != 0 {
		t.Errorf("got %v allocations a message, want 0", got)
	}
}

func TestWriteRefuses(t *testing.T) {
	c, p := wstest.Memory(t, nil)
	ctx := t.Context()
	if err := c.Write(ctx, websocket.Text, []byte("a\xff")); !errors.Is(err, websocket.ErrInvalidText) {
		t.Errorf("text that is not UTF-8: got %v", err)
	}
	for _, typ := range []websocket.MessageType{0, 3, websocket.MessageType(frame.Ping)} {
		if err := c.Write(ctx, typ, nil); err == nil {
			t.Errorf("type %d: got no error", typ)
		}
		if _, err := c.Writer(ctx, typ); err == nil {
			t.Errorf("Writer of type %d: got no error", typ)
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := c.Write(ended, websocket.Text, []byte("late")); !errors.Is(err, context.Canceled) || websocket.CloseStatus(err) != -1 {
		t.Errorf("ctx that has ended: got %v", err)
	}
	if _, err := c.Writer(ended, websocket.Text); !errors.Is(err, context.Canceled) {
		t.Errorf("Writer with a ctx that has ended: got %v", err)
	}
	if err := c.WriteFrame(ended, frame.Text, true, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("WriteFrame with a ctx that has ended: got %v", err)
	}
	// None of these was sent, and none has hurt.
	if err := c.Write(ctx, websocket.Binary, []byte("a\xff")); err != nil {
		t.Error(err)
	}
	p.Expect(frame.Binary, true, "a\xff")
}

func TestWriter(t *testing.T) {
	wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
		c, p := connect(t, nil)
		large := strings.Repeat("€", 30_000)
		written := async(func() error {
			w, err := c.Writer(t.Context(), websocket.Text)
			if err != nil {
				return err
			}
			for _, s := range []string{"begin ", large, "", " mid\xf0\x9f", "\x98\x80dle ", large, "end"} {
				if n, err := io.WriteString(w, s); n != len(s) || err != nil {
					return fmt.Errorf("wrote %d of %d: %w", n, len(s), err)
				}
			}
			return w.Close()
		})
		var got strings.Builder
		for first := true; ; first = false {
			h, payload, err := p.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			want := frame.Continuation
			if first {
				want = frame.Text
			}
			if h.Opcode != want {
				t.Fatalf("got %v, want %v", h, want)
			}
			got.Write(payload)
			if h.Fin {
				break
			}
		}
		if err := <-written; err != nil {
			t.Fatal(err)
		}
		if want := "begin " + large + " mid😀dle " + large + "end"; got.String() != want {
			t.Errorf("got %d bytes, want %d", got.Len(), len(want))
		}
	})
}

func TestWriterEnds(t *testing.T) {
	c, p := wstest.Memory(t, nil)
	ctx := t.Context()
	w, err := c.Writer(ctx, websocket.Binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	p.Expect(frame.Binary, true, "")
	if _, err := w.Write([]byte("x")); !errors.Is(err, websocket.ErrWriterClosed) {
		t.Errorf("Write after Close: got %v", err)
	}
	if err := w.Close(); !errors.Is(err, websocket.ErrWriterClosed) {
		t.Errorf("Close after Close: got %v", err)
	}
	if err := c.Write(ctx, websocket.Text, []byte("next")); err != nil {
		t.Fatal(err)
	}
	p.ExpectText("next")
	if s := c.Stats(); s.MessagesSent != 2 {
		t.Errorf("got %d messages sent, want 2", s.MessagesSent)
	}
	c.CloseNow()
	if _, err := c.Writer(ctx, websocket.Text); err != c.Err() {
		t.Errorf("Writer on a closed connection: got %v", err)
	}
}

// TestWriterInvalidText: a message of which nothing was sent is forgotten, one
// that was begun cannot be.
func TestWriterInvalidText(t *testing.T) {
	t.Run("nothing sent", func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		w, err := c.Writer(t.Context(), websocket.Text)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, "cut \xe2\x82")
		if err := w.Close(); !errors.Is(err, websocket.ErrInvalidText) {
			t.Errorf("got %v", err)
		}
		if err := c.Write(t.Context(), websocket.Text, []byte("next")); err != nil {
			t.Fatal(err)
		}
		p.ExpectText("next")
	})
	t.Run("begun", func(t *testing.T) {
		c, _ := wstest.MemorySize(t, nil, 1<<20)
		w, err := c.Writer(t.Context(), websocket.Text)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, strings.Repeat("a", 20_000))
		_, err = io.WriteString(w, strings.Repeat("\xff", 20_000))
		if !errors.Is(err, websocket.ErrInvalidText) || websocket.CloseStatus(err) != websocket.CloseAbnormal {
			t.Errorf("got %v", err)
		}
		<-c.Done()
		if err := w.Close(); err != c.Err() {
			t.Errorf("Close: got %v, want %v", err, c.Err())
		}
	})
}

// TestWriterTurns: while a Writer is open, messages wait and control frames do
// not.
func TestWriterTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		ctx := t.Context()
		c.CloseRead(ctx)
		w, err := c.Writer(ctx, websocket.Text)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.WriteFrame(ctx, frame.Text, true, nil); !errors.Is(err, websocket.ErrWriterOpen) {
			t.Errorf("WriteFrame: got %v, want ErrWriterOpen", err)
		}
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if err := c.Write(short, websocket.Text, []byte("impatient")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Write with a short ctx: got %v", err)
		}
		waiting := async(func() error { return c.Write(ctx, websocket.Text, []byte("patient")) })
		synctest.Wait()
		large := strings.Repeat("x", 20_000)
		if _, err := io.WriteString(w, large); err != nil {
			t.Fatal(err)
		}
		p.SendFrame(frame.Ping, true, "between")
		p.Expect(frame.Text, false, large)
		p.Expect(frame.Pong, true, "between")
		if err := c.WriteFrame(ctx, frame.Ping, true, []byte("ours")); err != nil {
			t.Fatal(err)
		}
		p.Expect(frame.Ping, true, "ours")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		p.Expect(frame.Continuation, true, "")
		p.ExpectText("patient")
		if err := <-waiting; err != nil {
			t.Error(err)
		}
		c.CloseNow()
	})
}

func TestWriterContext(t *testing.T) {
	for _, test := range []struct {
		name  string
		begun bool
	}{{"nothing sent", false}, {"begun", true}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := wstest.Memory(t, nil)
				ctx, cancel := context.WithCancel(t.Context())
				w, err := c.Writer(ctx, websocket.Binary)
				if err != nil {
					t.Fatal(err)
				}
				if test.begun {
					w.Write(make([]byte, 20_000))
				}
				cancel()
				synctest.Wait()
				if _, err := w.Write([]byte("x")); !errors.Is(err, context.Canceled) {
					t.Errorf("Write: got %v", err)
				}
				if err := w.Close(); !errors.Is(err, context.Canceled) {
					t.Errorf("Close: got %v", err)
				}
				err = c.Write(t.Context(), websocket.Text, []byte("next"))
				if test.begun {
					if !errors.Is(err, context.Canceled) || websocket.CloseStatus(err) != websocket.CloseAbnormal {
						t.Errorf("the connection: got %v, want its end", err)
					}
				} else if err != nil {
					t.Errorf("the connection: got %v, want it open", err)
				}
			})
		})
	}
}

func TestWriteFrame(t *testing.T) {
	type step struct {
		op      frame.Opcode
		fin     bool
		payload string
		wrong   string // what the error says
	}
	tests := []struct {
		name  string
		steps []step
	}{
		{"a message in one frame", []step{{frame.Text, true, "x", ""}}},
		{"a message in three", []step{{frame.Binary, false, "a", ""}, {frame.Continuation, false, "", ""}, {frame.Continuation, true, "c", ""}}},
		{"control frames between", []step{{frame.Text, false, "a", ""}, {frame.Ping, true, "p", ""}, {frame.Pong, true, "q", ""}, {frame.Continuation, true, "b", ""}}},
		{"a continuation of nothing", []step{{frame.Continuation, true, "a", "no message to continue"}, {frame.Text, true, "b", ""}}},
		{"a message inside another", []step{{frame.Text, false, "a", ""}, {frame.Text, true, "b", "not finished"}, {frame.Continuation, true, "c", ""}}},
		{"a fragmented ping", []step{{frame.Ping, false, "a", "control frame"}, {frame.Text, true, "b", ""}}},
		{"a long pong", []step{{frame.Pong, true, strings.Repeat("x", 126), "125"}, {frame.Text, true, "b", ""}}},
		{"a reserved opcode", []step{{3, true, "", "reserved"}, {11, true, "", "reserved"}, {200, true, "", "reserved"}}},
		{"a close frame", []step{{frame.Close, true, "\x03\xe8", "Close"}, {frame.Text, true, "b", ""}}},
		{"text across frames", []step{{frame.Text, false, "\xe2\x82", ""}, {frame.Continuation, true, "\xac", ""}}},
		{"text that breaks", []step{{frame.Text, false, "\xe2\x82", ""}, {frame.Continuation, true, "a", "UTF-8"}, {frame.Continuation, true, "\xac", ""}}},
		{"twice", []step{{frame.Text, true, "a", ""}, {frame.Text, true, "b", ""}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, p := wstest.Memory(t, nil)
			for _, s := range test.steps {
				err := c.WriteFrame(t.Context(), s.op, s.fin, []byte(s.payload))
				if s.wrong != "" {
					if err == nil || !strings.Contains(err.Error(), s.wrong) {
						t.Errorf("%v %q: got %v, want an error with %q", s.op, s.payload, err, s.wrong)
					}
					continue
				}
				if err != nil {
					t.Fatalf("%v %q: %v", s.op, s.payload, err)
				}
				p.Expect(s.op, s.fin, s.payload)
			}
			if err := c.Err(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWriteFrameTurns: from the first frame of a message to the last, other
// messages wait.
func TestWriteFrameTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		ctx := t.Context()
		if err := c.WriteFrame(ctx, frame.Text, false, []byte("a")); err != nil {
			t.Fatal(err)
		}
		waiting := async(func() error { return c.Write(ctx, websocket.Text, []byte("after")) })
		synctest.Wait()
		if err := c.WriteFrame(ctx, frame.Continuation, true, []byte("b")); err != nil {
			t.Fatal(err)
		}
		p.Expect(frame.Text, false, "a")
		p.Expect(frame.Continuation, true, "b")
		p.ExpectText("after")
		if err := <-waiting; err != nil {
			t.Error(err)
		}
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		w, err := c.Writer(ctx, websocket.Text)
		if err != nil {
			t.Fatal(err)
		}
		w.Close()
		if err := c.WriteFrame(ctx, frame.Text, false, nil); err != nil {
			t.Fatal(err)
		}
		if err := c.Write(short, websocket.Text, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

// TestConcurrentWriters: messages of many goroutines, in every form, come whole
// and in the order of each.
func TestConcurrentWriters(t *testing.T) {
	wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
		const writers, messages = 8, 60
		c, p := connect(t, nil)
		c.CloseRead(t.Context())
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				for j := range messages {
					var err error
					text := []byte(fmt.Sprintf("%d %d %s", i, j, strings.Repeat("x", j*j*20)))
					switch (i + j) % 4 {
					case 0, 1:
						err = c.Write(t.Context(), websocket.Text, text)
					case 2:
						var w io.WriteCloser
						if w, err = c.Writer(t.Context(), websocket.Text); err == nil {
							w.Write(text[:3])
							w.Write(text[3:])
							err = w.Close()
						}
					case 3:
						_, err = c.Ping(t.Context())
						err = errors.Join(err, c.Write(t.Context(), websocket.Text, text))
					}
					if err != nil {
						t.Errorf("writer %d: %v", i, err)
						return
					}
				}
			})
		}
		next := make([]int, writers)
		var message []byte
		for n := 0; n < writers*messages; {
			h, payload, err := p.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			switch h.Opcode {
			case frame.Ping:
				p.SendFrame(frame.Pong, true, string(payload))
				continue
			case frame.Text:
				if message != nil {
					t.Fatal("a message inside another")
				}
			}
			message = append(message, payload...)
			if !h.Fin {
				continue
			}
			var i, j int
			var x string
			fmt.Sscanf(string(message), "%d %d %s", &i, &j, &x)
			if j != next[i] || len(x) != j*j*20 {
				t.Fatalf("writer %d: got message %d with %d bytes, want %d", i, j, len(x), next[i])
			}
			next[i]++
			n++
			message = nil
		}
		wg.Wait()
	})
}

// TestWriterShared: a Writer is as safe as everything else.
func TestWriterShared(t *testing.T) {
	c, p := wstest.MemorySize(t, nil, 1<<20)
	w, err := c.Writer(t.Context(), websocket.Binary)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				w.Write(make([]byte, 99))
			}
		})
	}
	wg.Wait()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	size := 0
	for {
		h, payload, err := p.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		size += len(payload)
		if h.Fin {
			break
		}
	}
	if size != 8*100*99 {
		t.Errorf("got %d bytes, want %d", size, 8*100*99)
	}
}

func TestWriteTimeout(t *testing.T) {
	tests := []struct {
		name     string
		timeout  time.Duration
		from, to time.Duration
	}{
		{"by default", 0, 10 * time.Second, 11250 * time.Millisecond},
		{"another", 2 * time.Second, 2 * time.Second, 2250 * time.Millisecond},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := wstest.MemorySize(t, &websocket.Options{WriteTimeout: test.timeout}, 1000)
				start := time.Now()
				err := c.Write(t.Context(), websocket.Binary, make([]byte, 5000))
				took := time.Since(start)
				ce, ok := errors.AsType[*websocket.CloseError](err)
				if !ok || !ce.Sent || !errors.Is(err, websocket.ErrWriteTimeout) || !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("got %v", err)
				}
				if took < test.from || took > test.to {
					t.Errorf("it took %v, want %v to %v", took, test.from, test.to)
				}
				<-c.Done()
			})
		})
	}
	t.Run("negative is none", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := wstest.MemorySize(t, &websocket.Options{WriteTimeout: -1}, 1000)
			written := async(func() error {
				return c.Write(t.Context(), websocket.Binary, make([]byte, 5000))
			})
			time.Sleep(24 * time.Hour)
			p.Expect(frame.Binary, true, string(make([]byte, 5000)))
			if err := <-written; err != nil {
				t.Error(err)
			}
		})
	})
}

// TestWriteProgress: a large message to a slow but live peer gets through, how
// long ever it takes; the clock runs only while nothing moves.
func TestWriteProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := wstest.MemorySize(t, nil, 16<<10)
		const size = 1 << 20
		start := time.Now()
		written := async(func() error {
			return c.Write(t.Context(), websocket.Binary, make([]byte, size))
		})
		for n := 0; n < size; {
			time.Sleep(9 * time.Second)
			got, err := p.Read(make([]byte, 16<<10))
			if err != nil {
				t.Fatal(err)
			}
			n += got
		}
		if err := <-written; err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took < time.Minute {
			t.Errorf("it took %v, which shows nothing", took)
		}
	})
}

// TestWriteProgressTCP: on TCP the time limit of a write is renewed by any
// progress, not only by a chunk of a certain size.
func TestWriteProgressTCP(t *testing.T) {
	const size = 32 << 20
	c, p := wstest.TCP(t, &websocket.Options{WriteTimeout: 50 * time.Millisecond})
	start := time.Now()
	written := async(func() error {
		return c.Write(t.Context(), websocket.Binary, make([]byte, size))
	})
	buf := make([]byte, 256<<10)
	for n := 0; n < size; {
		got, err := p.Read(buf)
		if err != nil {
			t.Fatalf("after %d bytes and %v: %v; the write: %v", n, time.Since(start), err, <-written)
		}
		n += got
		pause(3 * time.Millisecond)
	}
	if err := <-written; err != nil {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
}

// pause lets real time pass, where a peer has to be slow.
func pause(d time.Duration) { <-time.After(d) }

// TestWriteTurn: one who waits for a turn behind a stalled write does not hurt
// the connection when its ctx ends, and its waiting starts no clock.
func TestWriteTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := wstest.MemorySize(t, &websocket.Options{WriteTimeout: -1}, 1000)
		stalled := async(func() error { return c.Write(t.Context(), websocket.Binary, make([]byte, 5000)) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		err := c.Write(ctx, websocket.Text, []byte("impatient"))
		if !errors.Is(err, context.DeadlineExceeded) || websocket.CloseStatus(err) != -1 {
			t.Errorf("got %v", err)
		}
		if _, err := c.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Ping: got %v", err)
		}
		p.Expect(frame.Binary, true, string(make([]byte, 5000)))
		if err := <-stalled; err != nil {
			t.Error(err)
		}
		if err := c.Write(t.Context(), websocket.Text, []byte("next")); err != nil {
			t.Error(err)
		}
		p.ExpectText("next")
	})
}

// TestWriteCut: a write that its ctx cuts off in the middle of a frame is the
// end.
func TestWriteCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := wstest.MemorySize(t, nil, 1000)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("no time"))
		defer cancel()
		start := time.Now()
		err := c.Write(ctx, websocket.Binary, make([]byte, 5000))
		if took := time.Since(start); took != time.Second {
			t.Errorf("it took %v, want 1s", took)
		}
		if !errors.Is(err, context.DeadlineExceeded) || websocket.CloseStatus(err) != websocket.CloseAbnormal ||
			!strings.Contains(err.Error(), "no time") {
			t.Errorf("got %v", err)
		}
		if err := c.Write(t.Context(), websocket.Text, nil); err != c.Err() || err == nil {
			t.Errorf("the next: got %v", err)
		}
	})
}

// TestPongBehindStalledWrite: the reader does not wait for a write that the
// peer keeps in the way; the pong follows when that is done, and of very many
// only the last.
func TestPongBehindStalledWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := wstest.MemorySize(t, &websocket.Options{WriteTimeout: -1}, 100_000)
		large := make([]byte, 200_000)
		stalled := async(func() error { return c.Write(t.Context(), websocket.Binary, large) })
		synctest.Wait()
		const pings = 500
		for i := range pings {
			p.SendFrame(frame.Ping, true, fmt.Sprintf("%0100d", i))
		}
		p.SendText("hello")
		if _, got, err := c.Read(t.Context()); err != nil || string(got) != "hello" {
			t.Fatalf("got %q, error %v", got, err)
		}
		p.Expect(frame.Binary, true, string(large))
		if err := <-stalled; err != nil {
			t.Fatal(err)
		}
		c.Close(t.Context(), 1000, "")
		last, n := "", 0
		for {
			h, payload, err := p.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if h.Opcode != frame.Pong {
				break
			}
			last, n = string(payload), n+1
		}
		if last != fmt.Sprintf("%0100d", pings-1) || n > 30 {
			t.Errorf("got %d pongs, the last %.120q", n, last)
		}
	})
}

// TestWriteTimeoutTCP: where a write goes on behind what was taken, a peer that
// takes nothing more is given up all the same.
func TestWriteTimeoutTCP(t *testing.T) {
	for _, size := range []int{10_000, 1 << 20} { // in one slice and in two
		c, _ := wstest.TCP(t, &websocket.Options{WriteTimeout: 20 * time.Millisecond})
		var err error
		for err == nil {
			err = c.Write(t.Context(), websocket.Binary, make([]byte, size))
		}
		if !errors.Is(err, websocket.ErrWriteTimeout) {
			t.Errorf("got %v", err)
		}
		checkEnd(t, c, websocket.CloseAbnormal, "", true)
	}
}

// TestPongToReset: when a reply cannot be sent, the read that owed it says so.
func TestPongToReset(t *testing.T) {
	c, p := wstest.Memory(t, nil)
	p.SendFrame(frame.Ping, true, "")
	p.Close()
	if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.CloseAbnormal {
		t.Errorf("got %v", err)
	}
	checkEnd(t, c, websocket.CloseAbnormal, "", false)
}

// TestWriteToReset: the error of a write to a peer that is gone is the end.
func TestWriteToReset(t *testing.T) {
	c, p := wstest.Memory(t, nil)
	p.Close()
	err := c.Write(t.Context(), websocket.Text, []byte("hello?"))
	ce, ok := errors.AsType[*websocket.CloseError](err)
	if !ok || ce.Code != websocket.CloseAbnormal || ce.Sent {
		t.Errorf("got %v", err)
	}
	<-c.Done()
}

// TestNoDeadlineLeftBehind: between two writes, a transport that writes on its
// own, as crypto/tls does when a peer asks it to change keys, finds no deadline.
func TestNoDeadlineLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := wstest.Pipe(0)
		conn := &deadlines{PipeConn: server}
		c, p := wstest.Over(t, conn, client, nil)
		ctx, cancel := context.WithCancel(t.Context())
		if err := c.Write(ctx, websocket.Text, nil); err != nil {
			t.Fatal(err)
		}
		cancel()
		synctest.Wait()
		if d := conn.last(); !d.IsZero() {
			t.Errorf("a write has left the deadline %v", d)
		}
		p.SendFrame(frame.Ping, true, "")
		p.SendText("")
		if _, _, err := c.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if d := conn.last(); !d.IsZero() {
			t.Errorf("a pong has left the deadline %v", d)
		}
	})
}

// deadlines notes the write deadline that was set last.
type deadlines struct {
	*wstest.PipeConn
	mu  sync.Mutex
	set time.Time
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.mu.Lock()
	d.set = t
	d.mu.Unlock()
	return d.PipeConn.SetWriteDeadline(t)
}

func (d *deadlines) last() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.set
}

// TestWriteFrameBehindAnother: a frame that begins a message does not wait
// within another's, whose turn it would then give back a second time.
func TestWriteFrameBehindAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := wstest.MemorySize(t, &websocket.Options{WriteTimeout: -1}, 1000)
		ctx := t.Context()
		if err := c.WriteFrame(ctx, frame.Binary, false, nil); err != nil {
			t.Fatal(err)
		}
		last := async(func() error { return c.WriteFrame(ctx, frame.Continuation, true, make([]byte, 5000)) })
		synctest.Wait()
		if err := c.WriteFrame(ctx, frame.Binary, true, nil); err == nil {
			t.Error("a message inside another: got no error")
		}
		p.Expect(frame.Binary, false, "")
		p.Expect(frame.Continuation, true, string(make([]byte, 5000)))
		if err := <-last; err != nil {
			t.Fatal(err)
		}
		w, err := c.Writer(ctx, websocket.Text)
		if err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if err := c.Write(short, websocket.Text, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Write beside a Writer: got %v", err)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestOwedToStalledPeer: what is owed goes before what comes later, on the time
// of who sends that.
func TestOwedToStalledPeer(t *testing.T) {
	for _, test := range []struct {
		name string
		send func(ctx context.Context, c *websocket.Conn) error
	}{
		{"WriteFrame", func(ctx context.Context, c *websocket.Conn) error { return c.WriteFrame(ctx, frame.Ping, true, nil) }},
		{"Close", func(ctx context.Context, c *websocket.Conn) error { return c.Close(ctx, 1000, "") }},
	} {
		bubble(t, test.name, func(t *testing.T) {
			const size = 1000
			c, p := wstest.MemorySize(t, &websocket.Options{WriteTimeout: -1}, size)
			large := async(func() error { return c.Write(t.Context(), websocket.Binary, make([]byte, 5*size-4)) })
			synctest.Wait()
			p.SendFrame(frame.Ping, true, "x")
			p.SendText("hello")
			if _, _, err := c.Read(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			later := async(func() error { return test.send(ctx, c) })
			synctest.Wait()
			// The large frame is out when the pipe is full with its end.
			if _, err := io.ReadFull(p.Conn, make([]byte, 4*size)); err != nil {
				t.Fatal(err)
			}
			if err := <-large; err != nil {
				t.Fatal(err)
			}
			if err := <-later; !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			<-c.Done()
		})
	}
}
