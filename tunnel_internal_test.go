package websocket

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// streamResponse is a ResponseWriter in memory that waits for its peer and is reset as
// net/http's is.
type streamResponse struct {
	mu      sync.Mutex
	changed sync.Cond
	window  int // how much the peer takes
	sent    []byte
	failing error // of a Write
	unsent  error // of a Flush
	over    bool  // the handler has returned
	resets  int
	flushes int
}

var errReset = errors.New("stream error")

func newStreamResponse() *streamResponse {
	w := &streamResponse{window: 1 << 30}
	w.changed.L = &w.mu
	return w
}

// update changes w.
func (w *streamResponse) update(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
	w.changed.Broadcast()
}

// use is for those methods that panic when the handler has returned.
func (w *streamResponse) use() {
	if w.over {
		panic("used after Handler finished")
	}
}

func (w *streamResponse) Header() http.Header { return nil }
func (w *streamResponse) WriteHeader(int)     {}

func (w *streamResponse) Write(p []byte) (n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.use()
	for n < len(p) {
		for w.window == 0 && w.resets == 0 {
			w.changed.Wait()
		}
		if w.resets > 0 {
			return n, errReset
		}
		w.sent = append(w.sent, p[n])
		w.window--
		n++
	}
	return n, w.failing
}

func (w *streamResponse) FlushError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.use()
	w.flushes++
	return w.unsent
}

func (w *streamResponse) SetReadDeadline(time.Time) error { return nil }

func (w *streamResponse) SetWriteDeadline(at time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.use()
	if at != past {
		panic("a deadline of net/http's that is to come is not used")
	}
	w.resets++
	w.changed.Broadcast()
	return nil
}

// streamBody is the body of a request, of which the test decides what it has.
type streamBody struct {
	*io.PipeReader
	mu    sync.Mutex
	sizes []int // of the pieces that were asked for
}

func (b *streamBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	b.sizes = append(b.sizes, len(p))
	b.mu.Unlock()
	return b.PipeReader.Read(p)
}

// tunnelTest is a tunnel, and all that it was made of.
type tunnelTest struct {
	tunnel
	response *streamResponse
	read     *streamBody
	client   *io.PipeWriter // what the client sends
	end      context.CancelFunc
}

func newTunnelTest() *tunnelTest {
	r, client := io.Pipe()
	tt := &tunnelTest{response: newStreamResponse(), read: &streamBody{PipeReader: r}, client: client}
	ctx, end := context.WithCancel(context.Background())
	tt.end = end
	tt.init(tt.response, (&http.Request{Body: tt.read}).WithContext(ctx))
	return tt
}

// inTunnel runs a test in a bubble, at whose end no goroutine may be left.
func inTunnel(t *testing.T, test func(t *testing.T, s *tunnelTest)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newTunnelTest()
		test(t, s)
		s.Abort()
		s.end()
	})
}

func (s *tunnelTest) send(p ...byte) { go s.client.Write(p) }

// result is what a call returned, and when.
type result struct {
	n    int
	err  error
	took time.Duration
}

func begin(call func() (int, error)) <-chan result {
	c := make(chan result, 1)
	begun := time.Now()
	go func() {
		n, err := call()
		c <- result{n, err, time.Since(begun)}
	}()
	return c
}

func (s *tunnelTest) beginRead() <-chan result {
	return begin(func() (int, error) { return s.Read(make([]byte, 10)) })
}

func (s *tunnelTest) beginWrite(p string) <-chan result {
	return begin(func() (int, error) { return s.Write([]byte(p)) })
}

func want(t *testing.T, what string, c <-chan result, n int, err error, took time.Duration) {
	t.Helper()
	if got := <-c; got.n != n || got.err != err || got.took != took {
		t.Errorf("%s = %d, %v after %v, want %d, %v after %v", what, got.n, got.err, got.took, n, err, took)
	}
}

// waits checks that a call has not returned.
func waits(t *testing.T, what string, c <-chan result) {
	t.Helper()
	synctest.Wait()
	select {
	case got := <-c:
		t.Fatalf("%s = %d, %v after %v, and was to wait", what, got.n, got.err, got.took)
	default:
	}
}

func (s *tunnelTest) wantResets(t *testing.T, n int) {
	t.Helper()
	s.response.update(func() {
		if s.response.resets != n {
			t.Errorf("the stream was reset %d times, want %d", s.response.resets, n)
		}
	})
}

func TestTunnelRead(t *testing.T) {
	for _, ask := range []int{1, 2, 511, smallest, 513, 4096, bufferSize, bufferSize + 1, 1 << 20} {
		for _, come := range []int{1, 10, 511, smallest, 513, 1000, bufferSize, bufferSize + smallest, 40_000} {
			inTunnel(t, func(t *testing.T, s *tunnelTest) {
				sent := make([]byte, 40_000)
				for i := range sent {
					sent[i] = byte(i / 7)
				}
				go func() {
					for p := range slices.Chunk(sent, come) {
						s.client.Write(p)
					}
					s.client.Close()
				}()
				var got []byte
				p := make([]byte, ask)
				for {
					n, err := s.Read(p)
					got = append(got, p[:n]...)
					if err == io.EOF {
						break
					}
					if err != nil || n == 0 {
						t.Fatalf("Read = %d, %v", n, err)
					}
				}
				if !bytes.Equal(got, sent) {
					t.Errorf("read by %d: what came by %d has changed", ask, come)
				}
				if _, err := s.Read(p); err != io.EOF {
					t.Errorf("Read after the end = %v", err)
				}
			})
		}
	}
}

func TestTunnelReadNothing(t *testing.T) {
	inTunnel(t, func(t *testing.T, s *tunnelTest) {
		want(t, "Read of nothing", begin(func() (int, error) { return s.Read(nil) }), 0, nil, 0)
		s.send('x')
		synctest.Wait()
		want(t, "Read of nothing", begin(func() (int, error) { return s.Read(nil) }), 0, nil, 0)
		want(t, "Read", s.beginRead(), 1, nil, 0)
	})
}

// TestTunnelReadErrors: an error of the body comes behind its data, as often as it is
// asked for.
func TestTunnelReadErrors(t *testing.T) {
	for _, tt := range []error{io.EOF, io.ErrUnexpectedEOF, errReset, &http.MaxBytesError{Limit: 1}} {
		inTunnel(t, func(t *testing.T, s *tunnelTest) {
			go func() {
				s.client.Write([]byte("ab"))
				s.client.CloseWithError(tt)
			}()
			synctest.Wait()
			want(t, "Read", s.beginRead(), 2, nil, 0)
			for range 3 {
				want(t, "Read", s.beginRead(), 0, tt, 0)
			}
		})
	}
}

// errorWithData returns the last bytes and the error together.
type errorWithData struct{ io.ReadCloser }

func (errorWithData) Read(p []byte) (int, error) { return copy(p, "ab"), io.ErrUnexpectedEOF }
func (errorWithData) Close() error               { return nil }

func TestTunnelReadErrorWithData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s tunnel
		s.init(newStreamResponse(), &http.Request{Body: errorWithData{}})
		defer s.Abort()
		for _, want := range []string{"a", "b"} {
			p := make([]byte, 1)
			if n, err := s.Read(p); n != 1 || err != nil || string(p) != want {
				t.Errorf("Read = %d %q, %v, want %q", n, p, err, want)
			}
		}
		if n, err := s.Read(make([]byte, 1)); n != 0 || err != io.ErrUnexpectedEOF {
			t.Errorf("Read = %d, %v, want the error", n, err)
		}
	})
}

// tunnelRow is what happens in a tunnel, and how often its stream has been reset then.
type tunnelRow struct {
	name   string
	run    func(t *testing.T, s *tunnelTest)
	resets int
}

func runTunnels(t *testing.T, rows []tunnelRow) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			inTunnel(t, func(t *testing.T, s *tunnelTest) {
				row.run(t, s)
				synctest.Wait()
				s.wantResets(t, row.resets)
			})
		})
	}
}

// after returns a deadline.
func after(d time.Duration) time.Time { return time.Now().Add(d) }

const sec = time.Second

// TestTunnelReadDeadline: a deadline that has passed is not the end, and loses nothing.
func TestTunnelReadDeadline(t *testing.T) { runTunnels(t, readDeadlines) }

var readDeadlines = []tunnelRow{
	{"passes", func(t *testing.T, c *tunnelTest) {
		c.SetReadDeadline(after(3 * sec))
		want(t, "Read", c.beginRead(), 0, os.ErrDeadlineExceeded, 3*sec)
		want(t, "Read", c.beginRead(), 0, os.ErrDeadlineExceeded, 0)
		c.send('a', 'b')
		synctest.Wait()
		want(t, "Read", c.beginRead(), 0, os.ErrDeadlineExceeded, 0)
		c.SetReadDeadline(after(3 * sec))
		want(t, "Read", c.beginRead(), 2, nil, 0)
		want(t, "Read", c.beginRead(), 0, os.ErrDeadlineExceeded, 3*sec)
		c.SetDeadline(time.Time{})
		r := c.beginRead()
		time.Sleep(time.Hour)
		waits(t, "Read without a deadline", r)
		c.send('c')
		want(t, "Read", r, 1, nil, time.Hour)
	}, 0},
	{"is met", func(t *testing.T, c *tunnelTest) {
		c.SetReadDeadline(after(3 * sec))
		r := c.beginRead()
		time.Sleep(2 * sec)
		c.send('a')
		want(t, "Read", r, 1, nil, 2*sec)
	}, 0},
	{"moved to later", func(t *testing.T, c *tunnelTest) {
		c.SetReadDeadline(after(3 * sec))
		r := c.beginRead()
		time.Sleep(2 * sec)
		c.SetReadDeadline(after(10 * sec))
		want(t, "Read", r, 0, os.ErrDeadlineExceeded, 12*sec)
	}, 0},
	{"moved to earlier", func(t *testing.T, c *tunnelTest) {
		c.SetReadDeadline(after(time.Hour))
		r := c.beginRead()
		time.Sleep(sec)
		c.SetReadDeadline(after(sec))
		want(t, "Read", r, 0, os.ErrDeadlineExceeded, 2*sec)
	}, 0},
	{"moved to the past", func(t *testing.T, c *tunnelTest) {
		r := c.beginRead()
		time.Sleep(sec)
		c.SetDeadline(past)
		want(t, "Read", r, 0, os.ErrDeadlineExceeded, sec)
	}, 0},
	{"taken away", func(t *testing.T, c *tunnelTest) {
		c.SetReadDeadline(after(3 * sec))
		r := c.beginRead()
		time.Sleep(2 * sec)
		c.SetReadDeadline(time.Time{})
		time.Sleep(2 * sec)
		waits(t, "Read", r)
		c.Close()
		want(t, "Read", r, 0, net.ErrClosed, 4*sec)
	}, 0},
	{"further than the clock goes", func(t *testing.T, c *tunnelTest) {
		c.SetReadDeadline(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
		r := c.beginRead()
		time.Sleep(time.Hour)
		waits(t, "Read", r)
		c.send('a')
		want(t, "Read", r, 1, nil, time.Hour)
	}, 0},
	{"after Close", func(t *testing.T, c *tunnelTest) {
		c.Close()
		c.SetReadDeadline(after(sec)) // the timer would keep all this in memory
		if !c.in.limit.at.IsZero() {
			t.Error("a deadline was set")
		}
		want(t, "Read", c.beginRead(), 0, net.ErrClosed, 0)
	}, 0},
}

// TestTunnelReadClosed: Close and Abort end a Read, and the body.
func TestTunnelReadClosed(t *testing.T) {
	for name, end := range map[string]func(*tunnelTest){
		"Close": func(s *tunnelTest) { s.Close() },
		"Abort": func(s *tunnelTest) { s.Abort() },
	} {
		t.Run(name, func(t *testing.T) {
			inTunnel(t, func(t *testing.T, s *tunnelTest) {
				r := s.beginRead()
				waits(t, "Read", r)
				end(s)
				want(t, "Read", r, 0, net.ErrClosed, 0)
				if _, err := s.client.Write([]byte("x")); err != io.ErrClosedPipe {
					t.Errorf("the client writes: %v, want the body to be closed", err)
				}
			})
			inTunnel(t, func(t *testing.T, s *tunnelTest) {
				s.send([]byte("unread")...)
				synctest.Wait() // the pump has it, and waits
				end(s)
				want(t, "Read", s.beginRead(), 0, net.ErrClosed, 0)
			})
		})
	}
}

// TestTunnelPump: it waits with a small buffer, takes a large one only as long as there
// is enough for it, and reads ahead by one piece.
func TestTunnelPump(t *testing.T) {
	inTunnel(t, func(t *testing.T, s *tunnelTest) {
		p := make([]byte, 1<<20)
		for _, n := range []int{1, 511, smallest + bufferSize + 1} {
			s.send(p[:n]...)
			for left := n; left > 0; {
				n, err := s.Read(p)
				if err != nil {
					t.Fatal(err)
				}
				left -= n
			}
		}
		synctest.Wait()
		if got, want := s.read.sizes, []int{512, 512, 512, bufferSize, bufferSize, 512}; !slices.Equal(got, want) {
			t.Errorf("the pump has read to %d bytes, want %d", got, want)
		}
		s.send(p[:2*smallest]...)
		synctest.Wait()
		if n := len(s.read.sizes); n != 6 {
			t.Errorf("the pump has read %d times more before anybody took what there was", n-6)
		}
	})
}

func TestTunnelWrite(t *testing.T) {
	inTunnel(t, func(t *testing.T, s *tunnelTest) {
		want(t, "Write", s.beginWrite("abc"), 3, nil, 0)
		want(t, "Write", s.beginWrite(""), 0, nil, 0)
		if w := s.response; string(w.sent) != "abc" || w.flushes != 2 {
			t.Errorf("sent %q with %d flushes, want all of it with two", w.sent, w.flushes)
		}
		s.response.failing = io.ErrShortWrite
		want(t, "Write that fails", s.beginWrite("abc"), 0, io.ErrShortWrite, 0)
		s.response.failing, s.response.unsent = nil, errReset
		want(t, "Write whose Flush fails", s.beginWrite("abc"), 0, errReset, 0)
		s.wantResets(t, 0)
	})
}

// TestTunnelWriteDeadline: one that passes during a Write is final, and one that passes
// between two is not. Who reads is not told of the reset.
func TestTunnelWriteDeadline(t *testing.T) { runTunnels(t, writeDeadlines) }

var writeDeadlines = []tunnelRow{
	{"passes", func(t *testing.T, c *tunnelTest) {
		c.response.window = 2
		c.SetWriteDeadline(after(3 * sec))
		want(t, "Write", c.beginWrite("abc"), 0, os.ErrDeadlineExceeded, 3*sec)
		c.SetWriteDeadline(time.Time{})
		want(t, "Write", c.beginWrite("abc"), 0, os.ErrDeadlineExceeded, 0)
		if got := string(c.response.sent); got != "ab" {
			t.Errorf("sent %q, want nothing behind what was cut off", got)
		}
	}, 1},
	{"is met", func(t *testing.T, c *tunnelTest) {
		c.response.window = 0
		c.SetWriteDeadline(after(3 * sec))
		w := c.beginWrite("abc")
		time.Sleep(2 * sec)
		c.response.update(func() { c.response.window = 3 })
		want(t, "Write", w, 3, nil, 2*sec)
		time.Sleep(time.Hour)
		c.SetWriteDeadline(time.Time{})
		want(t, "Write of nothing", c.beginWrite(""), 0, nil, 0)
	}, 0},
	{"has passed", func(t *testing.T, c *tunnelTest) {
		c.SetWriteDeadline(past)
		want(t, "Write", c.beginWrite("abc"), 0, os.ErrDeadlineExceeded, 0)
		c.SetWriteDeadline(after(sec))
		time.Sleep(sec)
		want(t, "Write", c.beginWrite("abc"), 0, os.ErrDeadlineExceeded, 0)
		c.SetDeadline(time.Time{})
		want(t, "Write", c.beginWrite("abc"), 3, nil, 0)
		if got := string(c.response.sent); got != "abc" {
			t.Errorf("sent %q, want what was written without a deadline", got)
		}
	}, 0},
	{"set during it", func(t *testing.T, c *tunnelTest) {
		c.response.window = 0
		w := c.beginWrite("abc")
		time.Sleep(sec)
		c.SetWriteDeadline(after(sec))
		want(t, "Write", w, 0, os.ErrDeadlineExceeded, 2*sec)
	}, 1},
	{"the past set during it", func(t *testing.T, c *tunnelTest) {
		c.response.window = 0
		w := c.beginWrite("abc")
		time.Sleep(sec)
		c.SetWriteDeadline(past)
		want(t, "Write", w, 0, os.ErrDeadlineExceeded, sec)
	}, 1},
	{"moved during it", func(t *testing.T, c *tunnelTest) {
		c.response.window = 0
		c.SetWriteDeadline(after(2 * sec))
		w := c.beginWrite("abc")
		time.Sleep(sec)
		c.SetWriteDeadline(after(3 * sec))
		want(t, "Write", w, 0, os.ErrDeadlineExceeded, 4*sec)
	}, 1},
	{"taken away during it", func(t *testing.T, c *tunnelTest) {
		c.response.window = 0
		c.SetWriteDeadline(after(2 * sec))
		w := c.beginWrite("abc")
		time.Sleep(sec)
		c.SetWriteDeadline(time.Time{})
		time.Sleep(time.Hour)
		waits(t, "Write", w)
		c.response.update(func() { c.response.window = 3 })
		want(t, "Write", w, 3, nil, time.Hour+sec)
	}, 0},
	{"a reader", func(t *testing.T, c *tunnelTest) {
		c.response.window = 0
		c.SetWriteDeadline(after(sec))
		r := c.beginRead()
		want(t, "Write", c.beginWrite("abc"), 0, os.ErrDeadlineExceeded, sec)
		c.client.CloseWithError(errReset)
		waits(t, "Read", r)
		c.Abort()
		want(t, "Read", r, 0, net.ErrClosed, sec)
	}, 1},
	{"the timer of another Write", func(t *testing.T, c *tunnelTest) {
		c.response.window = 0
		c.SetWriteDeadline(after(time.Hour))
		w := c.beginWrite("abc")
		synctest.Wait()
		c.out.expire()
		waits(t, "Write", w)
	}, 0},
}

// TestTunnelWriteClosed: Close waits for a Write, and Abort cuts it off, with one reset.
func TestTunnelWriteClosed(t *testing.T) { runTunnels(t, writesClosed) }

func ending(f func() error) func() (int, error) { return func() (int, error) { return 0, f() } }

var writesClosed = []tunnelRow{
	{"Close, nothing under way", func(t *testing.T, s *tunnelTest) {
		want(t, "Close", begin(ending(s.Close)), 0, nil, 0)
		want(t, "Write", s.beginWrite("abc"), 0, net.ErrClosed, 0)
		want(t, "Abort", begin(ending(s.Abort)), 0, nil, 0)
	}, 0},
	{"Abort, nothing under way", func(t *testing.T, s *tunnelTest) {
		want(t, "Abort", begin(ending(s.Abort)), 0, nil, 0)
		want(t, "Write", s.beginWrite("abc"), 0, net.ErrClosed, 0)
		want(t, "Abort", begin(ending(s.Abort)), 0, nil, 0)
		want(t, "Close", begin(ending(s.Close)), 0, nil, 0)
	}, 1},
	{"Close during a Write", func(t *testing.T, s *tunnelTest) {
		s.response.window = 0
		w := s.beginWrite("abc")
		synctest.Wait()
		c := begin(ending(s.Close))
		time.Sleep(time.Hour)
		waits(t, "Close", c)
		s.response.update(func() { s.response.window = 3 })
		want(t, "Write", w, 3, nil, time.Hour)
		want(t, "Close", c, 0, nil, time.Hour)
	}, 0},
	{"Close during a Write whose time is up", func(t *testing.T, s *tunnelTest) {
		s.response.window = 0
		s.SetWriteDeadline(time.Now().Add(time.Minute))
		w := s.beginWrite("abc")
		synctest.Wait()
		want(t, "Close", begin(ending(s.Close)), 0, nil, time.Minute)
		want(t, "Write", w, 0, net.ErrClosed, time.Minute)
	}, 1},
	{"Abort during a Write", func(t *testing.T, s *tunnelTest) {
		s.response.window = 0
		w := s.beginWrite("abc")
		synctest.Wait()
		want(t, "Abort", begin(ending(s.Abort)), 0, nil, 0)
		want(t, "Write", w, 0, net.ErrClosed, 0)
	}, 1},
	{"Abort during Close during a Write", func(t *testing.T, s *tunnelTest) {
		s.response.window = 0
		w := s.beginWrite("abc")
		synctest.Wait()
		c := begin(ending(s.Close))
		time.Sleep(time.Second)
		want(t, "Abort", begin(ending(s.Abort)), 0, nil, 0)
		want(t, "Abort", begin(ending(s.Abort)), 0, nil, 0)
		want(t, "Write", w, 0, net.ErrClosed, time.Second)
		want(t, "Close", c, 0, nil, time.Second)
	}, 1},
	{"Abort during a Write that a reset does not end", func(t *testing.T, s *tunnelTest) {
		// The peer takes nothing of the whole connection: net/http waits for it,
		// and so does who wants to leave.
		busy := make(chan struct{})
		w := begin(func() (int, error) { return 0, s.write(func() error { <-busy; return nil }) })
		synctest.Wait()
		a, again := begin(ending(s.Abort)), begin(ending(s.Abort))
		time.Sleep(time.Hour)
		waits(t, "Abort", a)
		waits(t, "Abort", again)
		close(busy)
		want(t, "Write", w, 0, net.ErrClosed, time.Hour)
		want(t, "Abort", a, 0, nil, time.Hour)
		want(t, "Abort", again, 0, nil, time.Hour)
	}, 1},
}

// TestTunnelRequestEnds: from the end of the request on, the ResponseWriter is not
// touched, except to free a Write that uses it already.
func TestTunnelRequestEnds(t *testing.T) { runTunnels(t, requestEnds) }

var requestEnds = []tunnelRow{
	{"a late Write", func(t *testing.T, s *tunnelTest) {
		s.end()
		want(t, "Write", s.beginWrite("abc"), 0, errTunnelEnded, 0)
		if s.response.sent != nil {
			t.Errorf("sent %q", s.response.sent)
		}
		s.Abort()
		want(t, "Write", s.beginWrite("abc"), 0, net.ErrClosed, 0)
	}, 0},
	{"a Write before anybody has heard of the end", func(t *testing.T, s *tunnelTest) {
		s.response.over = true
		want(t, "Write", s.beginWrite("abc"), 0, errTunnelEnded, 0)
		s.Abort()
	}, 0},
	{"what came before", func(t *testing.T, s *tunnelTest) {
		s.send([]byte("closing")...)
		synctest.Wait()
		go func() {
			s.client.Write([]byte("frame"))
			s.client.CloseWithError(errReset)
		}()
		s.end()
		time.Sleep(closeTimeout - 1)
		want(t, "Read", s.beginRead(), 7, nil, 0)
		want(t, "Read", s.beginRead(), 5, nil, 0)
		want(t, "Read", s.beginRead(), 0, errReset, 0)
		s.Abort()
	}, 0},
	{"nobody reads", func(t *testing.T, s *tunnelTest) {
		s.send('x')
		synctest.Wait()
		s.end()
		time.Sleep(closeTimeout)
		synctest.Wait()
		want(t, "Read", s.beginRead(), 0, errTunnelEnded, 0)
		want(t, "Write", s.beginWrite("abc"), 0, errTunnelEnded, 0)
	}, 0},
	{"the client is there, and the handler", func(t *testing.T, s *tunnelTest) {
		r := s.beginRead()
		synctest.Wait()
		s.end()
		want(t, "Read", r, 0, errTunnelEnded, closeTimeout)
	}, 0},
	{"a Write under way", func(t *testing.T, s *tunnelTest) {
		s.response.window = 0
		w := s.beginWrite("abc")
		synctest.Wait()
		s.end()
		want(t, "Write", w, 0, errTunnelEnded, closeTimeout)
	}, 1},
	{"a Write under way whose time is up", func(t *testing.T, s *tunnelTest) {
		s.response.window = 0
		s.SetWriteDeadline(time.Now().Add(time.Second))
		w := s.beginWrite("abc")
		synctest.Wait()
		s.end()
		want(t, "Write", w, 0, os.ErrDeadlineExceeded, time.Second)
	}, 1},
	{"after Close", func(t *testing.T, s *tunnelTest) {
		s.SetDeadline(after(sec))
		s.Close()
		s.end()
		if !s.in.limit.at.IsZero() || !s.out.limit.at.IsZero() {
			t.Error("timers keep all this in memory")
		}
	}, 0},
}

// TestTunnelTogether: everything at the same time leaves nobody waiting. The race
// detector looks on.
func TestTunnelTogether(t *testing.T) {
	for range 20 {
		inTunnel(t, func(t *testing.T, s *tunnelTest) {
			s.response.window = 1000
			stop := make(chan struct{})
			var all sync.WaitGroup
			loop := func(f func() error) {
				all.Go(func() {
					for f() != net.ErrClosed {
						select {
						case <-stop:
							return
						case <-time.After(time.Millisecond):
						}
					}
				})
			}
			loop(func() error { _, err := s.Read(make([]byte, 3)); return err })
			loop(func() error { _, err := s.Write([]byte("abc")); return err })
			loop(func() error { return s.SetReadDeadline(time.Now().Add(time.Millisecond)) })
			loop(func() error { return s.SetWriteDeadline(time.Now().Add(time.Second)) })
			loop(func() error { _, err := s.client.Write([]byte("abcdefgh")); return err })
			time.Sleep(300 * time.Millisecond)
			all.Go(func() { s.Close() })
			all.Go(func() { s.Abort() })
			all.Go(s.end)
			s.Abort()
			close(stop)
			all.Wait()
		})
	}
}

func TestTunnelIsNoSocket(t *testing.T) {
	inTunnel(t, func(t *testing.T, s *tunnelTest) {
		_, buffers := s.WriteBuffers(nil)
		_, try := s.TryRead(nil)
		for name, err := range map[string]error{"CloseWrite": s.CloseWrite(), "WriteBuffers": buffers, "TryRead": try} {
			if err != errors.ErrUnsupported {
				t.Errorf("%s = %v", name, err)
			}
		}
		if s.Outlives() || s.Direct() || s.Descriptor() != nil || s.TryWrite([]byte("x")) != 0 {
			t.Errorf("Outlives, Direct, Descriptor, TryWrite = %t, %t, %v, %d", s.Outlives(), s.Direct(), s.Descriptor(), s.TryWrite([]byte("x")))
		}
	})
}
