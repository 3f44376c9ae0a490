package wstest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A result is how a Read or Write ended, and how long it had taken by then.
type result struct {
	n    int
	err  error
	took time.Duration
}

// start makes the call in a goroutine of its own, and returns once that blocks
// or ends. The channel gets the result, and nothing is left running after that.
func start(call func([]byte) (int, error), p []byte) <-chan result {
	done := make(chan result, 1)
	go func() {
		begin := time.Now()
		n, err := call(p)
		done <- result{n, err, time.Since(begin)}
	}()
	synctest.Wait()
	return done
}

// blocked fails the test if the call has ended.
func blocked(t *testing.T, done <-chan result) {
	t.Helper()
	synctest.Wait()
	select {
	case r := <-done:
		t.Fatalf("call did not block: %+v", r)
	default:
	}
}

// check compares a result with the one wanted; errors by errors.Is, and
// timeouts must also say that they are.
func check(t *testing.T, got, want result) {
	t.Helper()
	if got.n != want.n || !errors.Is(got.err, want.err) || got.took != want.took {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	ne, ok := errors.AsType[net.Error](got.err)
	if timeout := ok && ne.Timeout(); timeout != (want.err == os.ErrDeadlineExceeded) {
		t.Fatalf("error %v has Timeout() = %v", got.err, timeout)
	}
}

func mustWrite(t *testing.T, c *PipeConn, s string) {
	t.Helper()
	if n, err := c.Write([]byte(s)); n != len(s) || err != nil {
		t.Fatalf("Write(%q) = %d, %v", s, n, err)
	}
}

// mustRead checks that want can be read at once.
func mustRead(t *testing.T, c *PipeConn, want string) {
	t.Helper()
	p := make([]byte, len(want))
	if n, err := io.ReadFull(c, p); err != nil || string(p) != want {
		t.Fatalf("read %q, %v, want %q", p[:n], err, want)
	}
}

func mustDo(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// in returns the time d from now.
func in(d time.Duration) time.Time { return time.Now().Add(d) }

// run runs each case in a bubble of its own, on a pipe of 4 bytes.
func run(t *testing.T, cases map[string]func(t *testing.T, a, b *PipeConn)) {
	for name, f := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := Pipe(4)
				defer a.Close() // a failed test must not leave calls blocked
				f(t, a, b)
			})
		})
	}
}

func TestPipeReadDeadline(t *testing.T) {
	past := result{0, os.ErrDeadlineExceeded, 0}
	run(t, map[string]func(t *testing.T, a, b *PipeConn){
		"set or moved while blocked": func(t *testing.T, a, b *PipeConn) {
			const s = time.Second
			for _, tt := range []struct{ first, then, want time.Duration }{
				{0, 2 * s, 3 * s},     // set
				{0, -time.Hour, s},    // set to the past
				{3 * s, 6 * s, 7 * s}, // moved later
				{9 * s, 2 * s, 3 * s}, // moved earlier
			} {
				mustDo(t, a.SetReadDeadline(time.Time{}))
				if tt.first != 0 {
					mustDo(t, a.SetReadDeadline(in(tt.first)))
				}
				done := start(a.Read, make([]byte, 4))
				time.Sleep(s)
				mustDo(t, a.SetReadDeadline(in(tt.then)))
				check(t, <-done, result{0, os.ErrDeadlineExceeded, tt.want})
			}
		},
		"cleared while blocked": func(t *testing.T, a, b *PipeConn) {
			mustDo(t, a.SetReadDeadline(in(time.Second)))
			done := start(a.Read, make([]byte, 4))
			mustDo(t, a.SetReadDeadline(time.Time{}))
			time.Sleep(time.Hour)
			blocked(t, done)
			mustWrite(t, b, "x")
			check(t, <-done, result{1, nil, time.Hour})
		},
		"expired with data buffered": func(t *testing.T, a, b *PipeConn) {
			mustWrite(t, b, "data")
			mustDo(t, a.SetReadDeadline(in(time.Second)))
			time.Sleep(time.Second)
			check(t, <-start(a.Read, make([]byte, 4)), past)
			check(t, <-start(a.Read, make([]byte, 4)), past)
			mustWrite(t, a, "out") // the write deadline is another
			mustDo(t, a.SetReadDeadline(time.Time{}))
			mustRead(t, a, "data")
		},
	})
}

func TestPipeWriteDeadline(t *testing.T) {
	run(t, map[string]func(t *testing.T, a, b *PipeConn){
		"partial write": func(t *testing.T, a, b *PipeConn) {
			mustDo(t, a.SetWriteDeadline(in(3*time.Second)))
			done := start(a.Write, []byte("0123456789"))
			time.Sleep(time.Second)
			mustRead(t, b, "01")
			check(t, <-done, result{6, os.ErrDeadlineExceeded, 3 * time.Second})
			mustDo(t, a.SetWriteDeadline(time.Time{}))
			done = start(a.Write, []byte("6789"))
			mustRead(t, b, "23456789")
			check(t, <-done, result{4, nil, 0})
		},
		"expired with room": func(t *testing.T, a, b *PipeConn) {
			mustDo(t, a.SetWriteDeadline(in(0)))
			check(t, <-start(a.Write, []byte("0")), result{0, os.ErrDeadlineExceeded, 0})
			mustWrite(t, b, "in") // the read deadline is another
			mustRead(t, a, "in")
		},
		"set while two are blocked": func(t *testing.T, a, b *PipeConn) {
			first, second := start(a.Write, []byte("01234")), start(a.Write, []byte("x"))
			mustDo(t, a.SetWriteDeadline(in(time.Second)))
			check(t, <-first, result{4, os.ErrDeadlineExceeded, time.Second})
			check(t, <-second, result{0, os.ErrDeadlineExceeded, time.Second})
			mustRead(t, b, "0123")
		},
	})
}

func TestPipeFlow(t *testing.T) {
	run(t, map[string]func(t *testing.T, a, b *PipeConn){
		"write freed by read": func(t *testing.T, a, b *PipeConn) {
			mustWrite(t, a, "0123")
			done := start(a.Write, []byte("45"))
			time.Sleep(time.Second)
			mustRead(t, b, "0")
			blocked(t, done)
			time.Sleep(time.Second)
			mustRead(t, b, "1")
			check(t, <-done, result{2, nil, 2 * time.Second})
			mustRead(t, b, "2345")
		},
		"read woken by blocked write": func(t *testing.T, a, b *PipeConn) {
			read := start(b.Read, make([]byte, 8))
			write := start(a.Write, []byte("01234"))
			check(t, <-read, result{4, nil, 0})
			check(t, <-write, result{5, nil, 0})
			mustRead(t, b, "4")
		},
		"default size": func(t *testing.T, _, _ *PipeConn) {
			a, _ := Pipe(0)
			mustDo(t, a.SetWriteDeadline(in(time.Second)))
			done := start(a.Write, make([]byte, 64<<10+1))
			check(t, <-done, result{64 << 10, os.ErrDeadlineExceeded, time.Second})
		},
		"zero length": func(t *testing.T, a, b *PipeConn) {
			mustWrite(t, a, "full")
			mustWrite(t, a, "")
			check(t, <-start(a.Read, nil), result{})
			mustRead(t, b, "full")
		},
		"counters": func(t *testing.T, a, b *PipeConn) {
			count := func(c *PipeConn, buffered, writes int) {
				t.Helper()
				if n, w := c.Buffered(), c.Writes(); n != buffered || w != writes {
					t.Errorf("Buffered, Writes = %d, %d, want %d, %d", n, w, buffered, writes)
				}
			}
			mustWrite(t, a, "01")
			count(a, 2, 1)
			done := start(a.Write, []byte("234567"))
			count(a, 4, 2)
			mustRead(t, b, "01234567")
			check(t, <-done, result{6, nil, 0})
			count(a, 0, 2)
			count(b, 0, 0)
		},
		"addresses": func(t *testing.T, a, b *PipeConn) {
			if a.LocalAddr() != b.RemoteAddr() || a.RemoteAddr() != b.LocalAddr() {
				t.Error("the ends do not agree on their addresses")
			}
			if l, r := a.LocalAddr(), a.RemoteAddr(); l.String() == r.String() || l.Network() != "pipe" {
				t.Errorf("addresses %v and %v of network %q", l, r, l.Network())
			}
		},
	})
}

func TestPipeClose(t *testing.T) {
	run(t, map[string]func(t *testing.T, a, b *PipeConn){
		"half close": func(t *testing.T, a, b *PipeConn) {
			mustWrite(t, a, "last")
			mustDo(t, a.CloseWrite())
			mustDo(t, a.CloseWrite())
			check(t, <-start(a.Write, []byte("x")), result{0, syscall.EPIPE, 0})
			mustRead(t, b, "last")
			check(t, <-start(b.Read, make([]byte, 1)), result{0, io.EOF, 0})
			mustWrite(t, b, "back") // the other direction lives on
			mustRead(t, a, "back")
		},
		"half close wakes": func(t *testing.T, a, b *PipeConn) {
			read, write := start(b.Read, make([]byte, 1)), start(b.Write, []byte("01234"))
			time.Sleep(time.Second)
			mustDo(t, a.CloseWrite())
			check(t, <-read, result{0, io.EOF, time.Second})
			blocked(t, write)
			mustRead(t, a, "01234")
			check(t, <-write, result{5, nil, time.Second})
		},
		"peer drains": func(t *testing.T, a, b *PipeConn) {
			mustWrite(t, a, "last")
			mustDo(t, a.Close())
			mustRead(t, b, "last")
			if _, err := b.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("Read error %v, want exactly io.EOF", err)
			}
			check(t, <-start(b.Write, []byte("x")), result{0, syscall.EPIPE, 0})
		},
		"wakes own calls": func(t *testing.T, a, b *PipeConn) {
			read, write := start(a.Read, make([]byte, 1)), start(a.Write, []byte("01234"))
			time.Sleep(time.Second)
			mustDo(t, a.Close())
			check(t, <-read, result{0, net.ErrClosed, time.Second})
			check(t, <-write, result{4, net.ErrClosed, time.Second})
			mustRead(t, b, "0123")
		},
		"wakes peer's calls": func(t *testing.T, a, b *PipeConn) {
			read, write := start(b.Read, make([]byte, 1)), start(b.Write, []byte("01234"))
			time.Sleep(time.Second)
			mustDo(t, a.Close())
			check(t, <-read, result{0, io.EOF, time.Second})
			check(t, <-write, result{4, syscall.EPIPE, time.Second})
		},
		"use after close": func(t *testing.T, a, b *PipeConn) {
			mustWrite(t, b, "data")
			mustDo(t, a.SetDeadline(in(time.Second)))
			mustDo(t, a.Close())
			check(t, <-start(a.Read, make([]byte, 1)), result{0, net.ErrClosed, 0})
			check(t, <-start(a.Read, nil), result{0, net.ErrClosed, 0})
			check(t, <-start(a.Write, []byte("x")), result{0, net.ErrClosed, 0})
			for name, err := range map[string]error{
				"Close": a.Close(), "CloseWrite": a.CloseWrite(), "SetDeadline": a.SetDeadline(in(0)),
				"SetReadDeadline": a.SetReadDeadline(in(0)), "SetWriteDeadline": a.SetWriteDeadline(in(0)),
			} {
				if !errors.Is(err, net.ErrClosed) {
					t.Errorf("%s error %v, want net.ErrClosed", name, err)
				}
			}
		},
	})
}

// TestPipeConcurrentWrites has Writes larger than the buffer compete, with
// read deadlines expiring all the while.
func TestPipeConcurrentWrites(t *testing.T) {
	const writers, size = 8, 1000
	a, b := Pipe(7)
	var wg, closer sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			if _, err := a.Write(bytes.Repeat([]byte{byte('a' + i)}, size)); err != nil {
				t.Error(err)
			}
		})
	}
	closer.Go(func() { wg.Wait(); a.Close() })
	defer closer.Wait()
	defer b.Close() // so that the wait ends if the test fails

	var got []byte
	for p := make([]byte, 5); ; {
		mustDo(t, b.SetReadDeadline(in(50*time.Microsecond)))
		n, err := b.Read(p)
		got = append(got, p[:n]...)
		if err == io.EOF {
			break
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	if len(got) != writers*size {
		t.Fatalf("read %d bytes, want %d", len(got), writers*size)
	}
	for ; len(got) > 0; got = got[size:] {
		if bytes.Count(got[:size], got[:1]) != size {
			t.Fatalf("interleaved Writes: %q", got[:size])
		}
	}
}
