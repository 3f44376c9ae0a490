//go:build unix

package netpoll_test

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/airlock-go/websocket/internal/netpoll"
	"github.com/airlock-go/websocket/internal/wstest"
)

func TestMain(m *testing.M) { wstest.Main(m) }

// A pair is the two ends of a TCP connection.
type pair struct {
	raw       syscall.RawConn // of near
	near, far *net.TCPConn
}

func connect(t *testing.T) pair {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	p := pair{near: near.(*net.TCPConn), far: far.(*net.TCPConn)}
	if p.raw, err = p.near.SyscallConn(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		near.Close()
		far.Close()
	})
	return p
}

func open(t *testing.T) *netpoll.Poll {
	t.Helper()
	set, err := netpoll.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = set.Close() }) // a test may have closed it
	return set
}

// await waits until all of tokens have been reported, and nothing else.
func await(t *testing.T, set *netpoll.Poll, tokens ...uint64) {
	t.Helper()
	for len(tokens) > 0 {
		got, err := set.Wait(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range got {
			i := slices.Index(tokens, token)
			if i < 0 {
				t.Fatalf("got token %#x, want some of %#x", token, tokens)
			}
			tokens = slices.Delete(tokens, i, i+1)
		}
	}
}

func write(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
}

// readAll reads until there is nothing, or the end.
func readAll(raw syscall.RawConn) (string, error) {
	var all []byte
	p := make([]byte, 4)
	for {
		n, err := netpoll.Read(raw, p)
		all = append(all, p[:n]...)
		if err != nil {
			return string(all), err
		}
	}
}

// TestWait: a socket is reported when there is something new.
func TestWait(t *testing.T) {
	const token = 0xfedcba9876543210 // all of its bits count
	tests := []struct {
		name   string
		happen func(t *testing.T, p pair)
		got    string
		err    error
	}{
		{"bytes", func(t *testing.T, p pair) { write(t, p.far, "hello") }, "hello", netpoll.ErrNotReady},
		{"more than one read", func(t *testing.T, p pair) { write(t, p.far, "hello, world") }, "hello, world", netpoll.ErrNotReady},
		{"the end", func(t *testing.T, p pair) { p.far.Close() }, "", io.EOF},
		{"the end of what is said", func(t *testing.T, p pair) { p.far.CloseWrite() }, "", io.EOF},
		{"bytes and the end", func(t *testing.T, p pair) { write(t, p.far, "hello"); p.far.Close() }, "hello", io.EOF},
		{"a reset", func(t *testing.T, p pair) { p.far.SetLinger(0); p.far.Close() }, "", syscall.ECONNRESET},
	}
	for _, test := range tests {
		for _, when := range []string{"before Add", "after Add"} {
			t.Run(test.name+" "+when, func(t *testing.T) {
				p, set := connect(t), open(t)
				if when == "before Add" {
					test.happen(t, p)
				}
				if err := set.Add(p.raw, token); err != nil {
					t.Fatal(err)
				}
				if when == "after Add" {
					test.happen(t, p)
				}
				await(t, set, token)
				got, err := readAll(p.raw)
				if got != test.got || !errors.Is(err, test.err) {
					t.Errorf("got %q and error %v, want %q and %v", got, err, test.got, test.err)
				}
			})
		}
	}
}

// TestWaitMany: nobody is forgotten, though there are more than are reported at a
// time, and who has been read to the end of what there was is reported again.
func TestWaitMany(t *testing.T) {
	const n = 300
	set := open(t)
	var pairs []pair
	var tokens []uint64
	for i := range n {
		p := connect(t)
		if err := set.Add(p.raw, uint64(i)<<24); err != nil {
			t.Fatal(err)
		}
		pairs, tokens = append(pairs, p), append(tokens, uint64(i)<<24)
	}
	for range 3 {
		for _, p := range pairs {
			write(t, p.far, "x")
		}
		await(t, set, slices.Clone(tokens)...)
		for i, p := range pairs {
			if got, err := readAll(p.raw); got != "x" || err != netpoll.ErrNotReady {
				t.Errorf("socket %d: got %q, error %v", i, got, err)
			}
		}
	}
}

// TestWaitWaits: without news there is nothing to report, however often somebody
// asks; and what Wait is given stays in front.
func TestWaitWaits(t *testing.T) {
	quiet, loud, set := connect(t), connect(t), open(t)
	for i, p := range []pair{quiet, loud} {
		if err := set.Add(p.raw, uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	reported := make(chan []uint64)
	go func() {
		got, err := set.Wait([]uint64{7})
		if err != nil {
			t.Error(err)
		}
		reported <- got
	}()
	write(t, loud.far, "x")
	if got := <-reported; !slices.Equal(got, []uint64{7, 1}) {
		t.Errorf("got %v", got)
	}
	loud.near.Close() // who is closed is in the set no more
	write(t, quiet.far, "x")
	await(t, set, 0)
}

// TestClose ends a Wait under way, one that comes, and every Add; the sockets stay.
func TestClose(t *testing.T) {
	p, set := connect(t), open(t)
	if err := set.Add(p.raw, 1); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		tokens, err := set.Wait(nil)
		if len(tokens) > 0 {
			t.Errorf("got %v", tokens)
		}
		ended <- err
	}()
	if err := set.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("a Wait under way: got %v", err)
	}
	write(t, p.far, "x")
	if tokens, err := set.Wait(nil); len(tokens) > 0 || !errors.Is(err, os.ErrClosed) {
		t.Errorf("Wait: got %v, error %v", tokens, err)
	}
	if err := set.Add(connect(t).raw, 2); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Add: got %v", err)
	}
	if err := set.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Close again: got %v", err)
	}
	if got, err := readAll(p.raw); got != "x" || err != netpoll.ErrNotReady {
		t.Errorf("the socket: got %q, error %v", got, err)
	}
}

// TestClosedSocket: a socket that is closed cannot be added or read from.
func TestClosedSocket(t *testing.T) {
	p, set := connect(t), open(t)
	p.near.Close()
	if err := set.Add(p.raw, 1); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Add: got %v", err)
	}
	if n, err := netpoll.Read(p.raw, make([]byte, 1)); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read: got %d, error %v", n, err)
	}
}

// TestReadDeadline: that of the connection holds for Read as well.
func TestReadDeadline(t *testing.T) {
	p := connect(t)
	write(t, p.far, "x")
	if err := p.near.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := netpoll.Read(p.raw, make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestOpenFails: a set is a descriptor, and there may be none left.
func TestOpenFails(t *testing.T) {
	var set *netpoll.Poll
	var err error
	wstest.WithoutDescriptors(t, func() { set, err = netpoll.Open() })
	if set != nil || !errors.Is(err, syscall.EMFILE) {
		t.Errorf("without descriptors: got %v, error %v", set, err)
	}
}

// shelf lends a buffer, and counts how many are out.
type shelf struct {
	t     *testing.T
	out   atomic.Int32
	onPut func() // may be nil
}

func (s *shelf) Get() []byte {
	s.out.Add(1)
	return make([]byte, 8)
}

func (s *shelf) Put(p []byte) {
	if s.out.Add(-1) < 0 || len(p) != 8 {
		s.t.Errorf("%d bytes were put back that were not taken", len(p))
	}
	if s.onPut != nil {
		s.onPut()
	}
}

func TestReadBuffer(t *testing.T) {
	for _, test := range []struct {
		name string
		wait bool
		do   func(p pair)
		got  string
		err  error
	}{
		{"there is something", false, func(p pair) { write(t, p.far, "abc") }, "abc", nil},
		{"more than a buffer", true, func(p pair) { write(t, p.far, "abcdefghij") }, "abcdefgh", nil},
		{"nothing yet", false, func(pair) {}, "", netpoll.ErrNotReady},
		{"the end", true, func(p pair) { p.far.Close() }, "", io.EOF},
		{"a reset", true, func(p pair) { p.far.SetLinger(0); p.far.Close() }, "", syscall.ECONNRESET},
		{"nothing in time", true, func(p pair) { p.near.SetReadDeadline(time.Unix(1, 0)) }, "", os.ErrDeadlineExceeded},
		{"closed here", true, func(p pair) { p.near.Close() }, "", net.ErrClosed},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, s := connect(t), &shelf{t: t}
			test.do(p)
			if !test.wait && test.err == nil {
				await(t, watching(t, p), 7)
			}
			b, n, err := netpoll.ReadBuffer(p.raw, s, test.wait)
			if !errors.Is(err, test.err) || string(b[:n]) != test.got {
				t.Errorf("got %q, %v; want %q, %v", b[:n], err, test.got, test.err)
			}
			if out, want := s.out.Load(), int32(min(1, len(test.got))); out != want {
				t.Errorf("%d buffers are out, want %d", out, want)
			}
		})
	}
}

// watching returns a set that has p in it, with token 7.
func watching(t *testing.T, p pair) *netpoll.Poll {
	t.Helper()
	set := open(t)
	if err := set.Add(p.raw, 7); err != nil {
		t.Fatal(err)
	}
	return set
}

// TestReadBufferWaits: who waits holds no buffer. What the second look finds is sent
// when the first has found nothing.
func TestReadBufferWaits(t *testing.T) {
	p := connect(t)
	s := &shelf{t: t}
	s.onPut = func() {
		if out := s.out.Load(); out != 0 {
			t.Errorf("%d buffers are out while nothing has come", out)
		}
		write(t, p.far, "late")
	}
	b, n, err := netpoll.ReadBuffer(p.raw, s, true)
	if err != nil || string(b[:n]) != "late" || s.out.Load() != 1 {
		t.Errorf("got %q, %v, and %d buffers are out", b[:n], err, s.out.Load())
	}
}

// TestWrite: what there is room for is written, and nothing waits.
func TestWrite(t *testing.T) {
	p := connect(t)
	if n := netpoll.Write(p.raw, []byte("abc")); n != 3 {
		t.Errorf("wrote %d bytes of 3", n)
	}
	sent, large := 3, make([]byte, 1<<20)
	for n := len(large); n > 0; {
		n = netpoll.Write(p.raw, large)
		sent += n
	}
	if n := netpoll.Write(p.raw, []byte("x")); n != 0 {
		t.Errorf("wrote %d bytes where there is no room", n)
	}
	if err := p.near.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(p.far); err != nil || len(got) != sent {
		t.Errorf("%d bytes came of %d, %v", len(got), sent, err)
	}
}

func TestWriteFails(t *testing.T) {
	p := connect(t)
	if err := p.near.SetWriteDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if n := netpoll.Write(p.raw, []byte("x")); n != 0 {
		t.Errorf("wrote %d bytes past a deadline", n)
	}
	p.near.Close()
	if n := netpoll.Write(p.raw, []byte("x")); n != 0 {
		t.Errorf("wrote %d bytes to a closed connection", n)
	}
}
