package websocket_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

// checkEnd: everything that c returns after its end is the same error.
func checkEnd(t *testing.T, c *websocket.Conn, code websocket.CloseCode, reason string, sent bool) {
	t.Helper()
	<-c.Done()
	ce, ok := errors.AsType[*websocket.CloseError](c.Err())
	if !ok || ce.Code != code || ce.Reason != reason || ce.Sent != sent {
		t.Fatalf("the connection ended with %#v, want code %v, reason %q, sent %t", c.Err(), code, reason, sent)
	}
	ctx := context.Background()
	_, _, read := c.Read(ctx)
	_, _, readFrame := c.ReadFrame(ctx)
	_, _, reader := c.Reader(ctx)
	_, writer := c.Writer(ctx, websocket.Text)
	_, ping := c.Ping(ctx)
	for what, err := range map[string]error{
		"Read": read, "ReadFrame": readFrame, "Reader": reader, "Writer": writer, "Ping": ping,
		"Write":      c.Write(ctx, websocket.Text, nil),
		"WriteFrame": c.WriteFrame(ctx, frame.Text, true, nil),
		"ping frame": c.WriteFrame(ctx, frame.Ping, true, nil),
	} {
		if err != ce {
			t.Errorf("%s after the end: got %v, want %v", what, err, ce)
		}
	}
	if err := c.CloseNow(); err != nil {
		t.Errorf("CloseNow after the end: %v", err)
	}
}

func TestCloseByUs(t *testing.T) {
	wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
		c, p := connect(t, nil)
		closed := async(func() error { return c.Close(t.Context(), websocket.CloseGoingAway, "shutting down") })
		p.ExpectClose(1001, "shutting down")
		p.SendText("in flight")
		p.SendFrame(frame.Binary, false, "in flight")
		p.SendClose(1001, "")
		p.ExpectEOF()
		p.Close()
		if err := <-closed; err != nil {
			t.Error(err)
		}
		checkEnd(t, c, 1001, "shutting down", true)
		if !errors.Is(c.Err(), net.ErrClosed) {
			t.Errorf("%v is no net.ErrClosed", c.Err())
		}
		if err := c.Close(t.Context(), websocket.CloseNormal, "again"); err != nil {
			t.Errorf("Close again: %v", err)
		}
	})
}

func TestCloseByPeer(t *testing.T) {
	tests := []struct {
		name   string
		code   int
		reason string
		want   websocket.CloseCode
	}{
		{"code and reason", 1000, "bye", websocket.CloseNormal},
		{"code", 4321, "", 4321},
		{"nothing", 0, "", websocket.CloseNoStatus},
		{"the longest reason", 3000, strings.Repeat("é", 61) + "!", 3000},
	}
	wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				c, p := connect(t, nil)
				p.SendClose(test.code, test.reason)
				read := async(func() error {
					_, _, err := c.Read(t.Context())
					return err
				})
				p.ExpectClose(test.code, "")
				p.ExpectEOF()
				p.Close()
				err := <-read
				checkEnd(t, c, test.want, test.reason, false)
				if err != c.Err() {
					t.Errorf("got %v, want %v", err, c.Err())
				}
				if err := c.Close(t.Context(), websocket.CloseNormal, ""); err != nil {
					t.Errorf("Close afterwards: %v", err)
				}
			})
		}
	})
}

// TestCloseBesideRead: messages that still come go to the read under way, and
// the close frame behind them ends it.
func TestCloseBesideRead(t *testing.T) {
	wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
		c, p := connect(t, nil)
		type result struct {
			got string
			err error
		}
		reading := make(chan struct{})
		read := async(func() (r result) {
			close(reading)
			_, got, err := c.Read(t.Context())
			return result{string(got), err}
		})
		<-reading
		// Until the read has its turn, Close may read in its place. A pong shows
		// that it has.
		p.SendFrame(frame.Ping, true, "")
		p.Expect(frame.Pong, true, "")
		closed := async(func() error { return c.Close(t.Context(), websocket.CloseNormal, "") })
		p.ExpectClose(1000, "")
		p.SendText("last words")
		p.SendClose(1000, "")
		p.ExpectEOF()
		p.Close()
		if r := <-read; r.got != "last words" || r.err != nil {
			t.Errorf("got %q, error %v", r.got, r.err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
		checkEnd(t, c, 1000, "", true)
	})
}

// TestCloseCrossing: both ends close at once; each has its own say.
func TestCloseCrossing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		p.SendClose(4001, "theirs")
		if err := c.Close(t.Context(), 4002, "ours"); err != nil {
			t.Error(err)
		}
		p.ExpectClose(4002, "ours")
		p.ExpectEOF()
		checkEnd(t, c, 4002, "ours", true)
	})
}

func TestCloseMistakes(t *testing.T) {
	long := strings.Repeat("é", 62)
	tests := []struct {
		name       string
		code       websocket.CloseCode
		reason     string
		wantCode   int
		wantReason string
		says       string // what the error says, "" for none
	}{
		{"normal", 1000, "", 1000, "", ""},
		{"going away", 1001, "", 1001, "", ""},
		{"of an application", 4999, "x", 4999, "x", ""},
		{"the longest reason", 1000, long[:122] + "a", 1000, long[:122] + "a", ""},
		{"zero", 0, "r", 1000, "r", "close code 0"},
		{"negative", -1, "", 1000, "", "close code -1"},
		{"no status", websocket.CloseNoStatus, "", 1000, "", "1005 (no status)"},
		{"abnormal", websocket.CloseAbnormal, "", 1000, "", "1006"},
		{"TLS handshake", websocket.CloseTLSHandshake, "", 1000, "", "1015"},
		{"of a client", websocket.CloseMandatoryExtension, "", 1000, "", "by a server"},
		{"reserved", 2999, "", 1000, "", "2999"},
		{"out of range", 5000, "", 1000, "", "5000"},
		{"that wraps round", 1000 + 1<<16, "", 1000, "", "66536"},
		{"a long reason", 1000, long, 1000, long[:122], "at most 123"},
		{"a long reason in ASCII", 1000, strings.Repeat("a", 200), 1000, strings.Repeat("a", 123), "at most 123"},
		{"a reason that is not UTF-8", 1000, "ok\xffno", 1000, "ok", "not UTF-8"},
		{"a reason with a replacement character", 1000, "ok\ufffd!", 1000, "ok\ufffd!", ""},
		{"a long reason that is not UTF-8", 1000, long + "\xff", 1000, long[:122], "not UTF-8"},
		{"code and reason", 7, long, 1000, long[:122], "close code 7"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, p := wstest.Memory(t, nil)
			closed := async(func() error { return c.Close(t.Context(), test.code, test.reason) })
			p.ExpectClose(test.wantCode, test.wantReason)
			p.SendClose(test.wantCode, "")
			p.Close()
			err := <-closed
			if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
				t.Errorf("got error %v, want one with %q", err, test.says)
			}
			if websocket.CloseStatus(c.Err()) != websocket.CloseCode(test.wantCode) {
				t.Errorf("the connection ended with %v", c.Err())
			}
		})
	}
}

// TestCloseSilentPeer: what a silent peer costs is bounded and documented.
func TestCloseSilentPeer(t *testing.T) {
	tests := []struct {
		name string
		ctx  time.Duration // 0: none
		want time.Duration
	}{
		{"five seconds", 0, 5 * time.Second},
		{"or ctx", time.Second, time.Second},
		{"no more than five seconds", time.Hour, 5 * time.Second},
	}
	for _, test := range tests {
		for _, reading := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/reading=%t", test.name, reading), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, p := wstest.Memory(t, nil)
					if reading {
						c.CloseRead(t.Context())
					}
					ctx, cancel := context.WithCancel(t.Context())
					if test.ctx > 0 {
						ctx, cancel = context.WithTimeout(t.Context(), test.ctx)
					}
					defer cancel()
					start := time.Now()
					err := c.Close(ctx, websocket.CloseNormal, "")
					if took := time.Since(start); took != test.want {
						t.Errorf("it took %v, want %v", took, test.want)
					}
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("got %v", err)
					}
					p.ExpectClose(1000, "")
					p.ExpectEOF()
					checkEnd(t, c, 1000, "", true)
				})
			})
		}
	}
	t.Run("who keeps talking", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := wstest.Memory(t, nil)
			start := time.Now()
			closed := async(func() error { return c.Close(t.Context(), websocket.CloseNormal, "") })
			for {
				if _, err := p.Write(wstest.Frame(frame.Text, true, []byte("bla"))); err != nil {
					break
				}
				time.Sleep(100 * time.Millisecond)
			}
			if err := <-closed; !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			if took := time.Since(start); took > 6*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	})
	t.Run("who does not read either", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, _ := wstest.MemorySize(t, &websocket.Options{WriteTimeout: -1}, 1000)
			written := async(func() error { return c.Write(t.Context(), websocket.Binary, make([]byte, 5000)) })
			synctest.Wait()
			start := time.Now()
			if err := c.Close(t.Context(), websocket.CloseNormal, ""); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			if took := time.Since(start); took != 5*time.Second {
				t.Errorf("it took %v, want 5s", took)
			}
			if err := <-written; err != c.Err() {
				t.Errorf("the write: got %v", err)
			}
		})
	})
	t.Run("who closes and stays", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := wstest.Memory(t, nil)
			p.SendClose(1000, "")
			start := time.Now()
			read := async(func() error { _, _, err := c.Read(t.Context()); return err })
			p.ExpectClose(1000, "")
			p.ExpectEOF()
			if took := time.Since(start); took != 0 {
				t.Errorf("the peer saw the end after %v", took)
			}
			if err := <-read; websocket.CloseStatus(err) != 1000 {
				t.Errorf("got %v", err)
			}
			if took := time.Since(start); took != time.Second {
				t.Errorf("it took %v, want the second of lingering", took)
			}
			checkEnd(t, c, 1000, "", false)
		})
	})
	t.Run("whose reader runs out of time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := wstest.Memory(t, nil)
			p.SendClose(1000, "")
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			start := time.Now()
			if _, _, err := c.Read(ctx); websocket.CloseStatus(err) != 1000 {
				t.Errorf("got %v", err)
			}
			if took := time.Since(start); took != 300*time.Millisecond {
				t.Errorf("it took %v, want what ctx has", took)
			}
			checkEnd(t, c, 1000, "", false)
		})
	})
}

// TestCloseEndsTCP: on TLS, too, the server is the first to end the connection
// itself, and does not wait for the client to do so.
func TestCloseEndsTCP(t *testing.T) {
	c, p := wstest.TLS(t, nil)
	p.SendClose(1000, "")
	read := async(func() error { _, _, err := c.Read(t.Context()); return err })
	p.ExpectClose(1000, "")
	if _, err := io.Copy(io.Discard, p.Conn.(*tls.Conn).NetConn()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.Done():
		t.Error("the server has ended the connection only after lingering")
	default:
	}
	p.Close()
	if err := <-read; websocket.CloseStatus(err) != 1000 {
		t.Errorf("got %v", err)
	}
}

// TestPongBehindClose: a ping is answered until the peer has sent its close
// frame, not until this end has.
func TestPongBehindClose(t *testing.T) {
	wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
		c, p := connect(t, nil)
		closed := async(func() error { return c.Close(t.Context(), 1000, "") })
		p.ExpectClose(1000, "")
		p.SendFrame(frame.Ping, true, "still there?")
		p.Expect(frame.Pong, true, "still there?")
		p.Send(append(wstest.CloseFrame(1000, ""), wstest.Frame(frame.Ping, true, nil)...)...)
		p.ExpectEOF()
		p.Close()
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

// TestCloseWithoutTime: a peer that closes, or breaks a rule, is told even if
// the ctx of the read ends at that moment; and so is one that is closed with a
// ctx that has ended.
func TestCloseWithoutTime(t *testing.T) {
	for _, test := range []struct {
		name   string
		sent   []byte
		code   int
		reason string
	}{
		{"the peer closes", wstest.CloseFrame(4000, ""), 4000, ""},
		{"the peer breaks a rule", []byte{0x81, 0x00}, 1002, "frame from a client is not masked"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server, client := wstest.Pipe(0)
			ctx, cancel := context.WithCancel(t.Context())
			c, p := wstest.Over(t, cancelRead{server, cancel}, client, nil)
			p.Send(test.sent...)
			p.CloseWrite()
			if _, _, err := c.Read(ctx); websocket.CloseStatus(err) != websocket.CloseCode(test.code) {
				t.Errorf("got %v", err)
			}
			p.ExpectClose(test.code, test.reason)
		})
	}
	t.Run("Close", func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Close(ctx, 1001, "late"); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		p.ExpectClose(1001, "late")
		p.ExpectEOF()
	})
	bubble(t, "Close, and the peer does not read", func(t *testing.T) {
		c, _ := wstest.MemorySize(t, &websocket.Options{WriteTimeout: -1}, 1000)
		written := async(func() error { return c.Write(t.Context(), websocket.Binary, make([]byte, 5000)) })
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		if err := c.Close(ctx, 1001, ""); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("it took %v, want 1s", took)
		}
		<-written
	})
}

// cancelRead is a connection whose Read ends a context when it has read.
type cancelRead struct {
	*wstest.PipeConn
	cancel context.CancelFunc
}

func (c cancelRead) Read(p []byte) (int, error) {
	n, err := c.PipeConn.Read(p)
	c.cancel()
	return n, err
}

// TestCloseNow waits for nobody, whatever is going on.
func TestCloseNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tests := []struct {
			name  string
			first func(c *websocket.Conn, p *wstest.Peer) func() error // what goes on meanwhile
		}{
			{"nothing", func(c *websocket.Conn, p *wstest.Peer) func() error { return nil }},
			{"a read", func(c *websocket.Conn, p *wstest.Peer) func() error {
				return func() error { _, _, err := c.Read(context.Background()); return err }
			}},
			{"a stalled write", func(c *websocket.Conn, p *wstest.Peer) func() error {
				return func() error { return c.Write(context.Background(), websocket.Binary, make([]byte, 100_000)) }
			}},
			{"a Close", func(c *websocket.Conn, p *wstest.Peer) func() error {
				return func() error { return c.Close(context.Background(), 1000, "") }
			}},
			{"lingering", func(c *websocket.Conn, p *wstest.Peer) func() error {
				p.SendClose(1000, "")
				return func() error { _, _, err := c.Read(context.Background()); return err }
			}},
			{"a ping", func(c *websocket.Conn, p *wstest.Peer) func() error {
				return func() error { _, err := c.Ping(context.Background()); return err }
			}},
		}
		for _, test := range tests {
			c, p := wstest.MemorySize(t, nil, 1000)
			var done <-chan error
			if f := test.first(c, p); f != nil {
				done = async(f)
			}
			synctest.Wait()
			start := time.Now()
			if err := c.CloseNow(); err != nil {
				t.Errorf("%s: got %v", test.name, err)
			}
			<-c.Done()
			if done != nil {
				if err := <-done; err == nil {
					t.Errorf("%s: got no error", test.name)
				}
			}
			if took := time.Since(start); took != 0 {
				t.Errorf("%s: it took %v", test.name, took)
			}
			if c.Err() == nil {
				t.Errorf("%s: no error", test.name)
			}
		}
	})
}

// TestCloseNowStalledTLS: crypto/tls would wait five seconds for a peer that
// does not read, to say goodbye.
func TestCloseNowStalledTLS(t *testing.T) {
	c, _ := wstest.TLS(t, &websocket.Options{WriteTimeout: -1})
	stalled := async(func() error {
		for {
			if err := c.Write(context.Background(), websocket.Binary, make([]byte, 1<<20)); err != nil {
				return err
			}
		}
	})
	for last := uint64(0); ; { // until nothing moves any more
		pause(20 * time.Millisecond)
		now := c.Stats().BytesSent
		if now == last && now > 0 {
			break
		}
		last = now
	}
	closed := async(c.CloseNow)
	select {
	case <-c.Done():
	case <-time.After(4 * time.Second): // less than what crypto/tls would wait
		t.Error("CloseNow waits for the peer")
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if err := <-stalled; err != c.Err() {
		t.Errorf("got %v, want %v", err, c.Err())
	}
}

func TestLost(t *testing.T) {
	t.Run("end of file", func(t *testing.T) {
		wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
			c, p := connect(t, nil)
			p.SendFrame(frame.Text, false, "unfinished")
			p.CloseWrite() // Close resets a stream of HTTP/2
			_, _, err := c.Read(t.Context())
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("got %v", err)
			}
			checkEnd(t, c, websocket.CloseAbnormal, "", false)
			if err := c.Close(t.Context(), 1000, ""); err == nil {
				t.Error("Close afterwards: got no error")
			}
		})
	})
	t.Run("reset", func(t *testing.T) {
		c, p := wstest.TCP(t, nil)
		p.CloseAtOnce()
		if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.CloseAbnormal {
			t.Errorf("got %v", err)
		}
		checkEnd(t, c, websocket.CloseAbnormal, "", false)
	})
	t.Run("after our close frame", func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		closed := async(func() error { return c.Close(t.Context(), 1000, "") })
		p.ExpectClose(1000, "")
		p.Close()
		if err := <-closed; err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want an error at once", err)
		}
		checkEnd(t, c, 1000, "", true)
	})
}

// TestCloseFrameArrives: the close frame that says what was wrong reaches a
// peer that was in the middle of sending much more.
func TestCloseFrameArrives(t *testing.T) {
	wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
		for range 20 {
			c, p := connect(t, nil)
			read := async(func() error {
				_, _, err := c.Read(t.Context())
				return err
			})
			more := bytes.Repeat(wstest.Frame(frame.Binary, true, make([]byte, 1000)), 50)
			p.Send(append([]byte{0x81, 0x00}, more...)...)
			p.ExpectClose(1002, "frame from a client is not masked")
			p.ExpectEOF()
			p.Close()
			if err := <-read; websocket.CloseStatus(err) != websocket.CloseProtocolError {
				t.Errorf("got %v", err)
			}
			checkEnd(t, c, websocket.CloseProtocolError, "frame from a client is not masked", true)
		}
	})
}

// TestOddTransport: a connection that cannot close one half only, and whose
// Close fails.
func TestOddTransport(t *testing.T) {
	failure := errors.New("close failed")
	t.Run("no half close", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			server, client := wstest.Pipe(0)
			c, p := wstest.Over(t, struct{ net.Conn }{server}, client, nil)
			p.SendClose(1000, "")
			start := time.Now()
			if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != 1000 {
				t.Errorf("got %v", err)
			}
			if took := time.Since(start); took != 0 {
				t.Errorf("it lingered for %v, though the peer waits for this end", took)
			}
			p.ExpectClose(1000, "")
			p.ExpectEOF()
		})
	})
	t.Run("Close fails", func(t *testing.T) {
		server, client := wstest.Pipe(0)
		c, _ := wstest.Over(t, failingClose{server, failure}, client, nil)
		if err := c.CloseNow(); err != failure {
			t.Errorf("CloseNow: got %v", err)
		}
		<-c.Done()
	})
}

type failingClose struct {
	net.Conn
	err error
}

func (c failingClose) Close() error {
	c.Conn.Close()
	return c.err
}

// TestEverythingAtOnce does what one should not: everything from everywhere,
// while the connection ends. Nothing panics and everything returns.
func TestEverythingAtOnce(t *testing.T) {
	wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
		for i := range 10 {
			c, p := connect(t, nil)
			ctx := t.Context()
			var wg sync.WaitGroup
			for _, reader := range readers {
				wg.Go(func() {
					for c.Err() == nil {
						reader.read(ctx, c)
					}
				})
			}
			for _, act := range []func(){
				func() { c.Write(ctx, websocket.Text, []byte("x")) },
				func() { c.WriteFrame(ctx, frame.Text, false, []byte("x")) },
				func() { c.WriteFrame(ctx, frame.Continuation, true, []byte("x")) },
				func() { c.WriteFrame(ctx, frame.Pong, true, nil) },
				func() {
					short, cancel := context.WithTimeout(ctx, time.Millisecond)
					defer cancel()
					c.Ping(short)
					c.Read(short)
				},
				func() {
					if w, err := c.Writer(ctx, websocket.Binary); err == nil {
						w.Write(make([]byte, 20_000))
						w.Close()
					}
				},
				func() { c.Stats(); c.SetMaxMessageSize(1 << 19) },
			} {
				wg.Go(func() {
					for c.Err() == nil {
						act()
					}
				})
			}
			wg.Go(func() {
				io.Copy(io.Discard, p.Conn)
			})
			for j := range 50 {
				p.SendText(fmt.Sprint("message ", j))
				p.SendFrame(frame.Ping, true, "x")
			}
			switch i % 4 {
			case 0:
				c.CloseNow()
			case 1:
				short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
				c.Close(short, 1000, "")
				cancel()
			case 2:
				p.Close()
			case 3:
				p.SendClose(1000, "")
			}
			<-c.Done()
			p.Close()
			wg.Wait()
		}
	})
}

// TestTimeoutOfTheSystem: ETIMEDOUT calls itself a timeout, but nobody has set
// it, and there is no going on.
func TestTimeoutOfTheSystem(t *testing.T) {
	server, client := wstest.Pipe(0)
	c, _ := wstest.Over(t, timedOut{server}, client, &websocket.Options{KeepAlive: -1})
	if _, _, err := c.Read(t.Context()); !errors.Is(err, syscall.ETIMEDOUT) {
		t.Errorf("got %v", err)
	}
	checkEnd(t, c, websocket.CloseAbnormal, "", false)
}

type timedOut struct{ net.Conn }

func (timedOut) Read([]byte) (int, error) { return 0, os.NewSyscallError("read", syscall.ETIMEDOUT) }

// TestCloseNotSaid: Close does not claim a closing handshake in which this end
// had no say.
func TestCloseNotSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := wstest.MemorySize(t, &websocket.Options{WriteTimeout: -1}, 1000)
		written := async(func() error { return c.Write(t.Context(), websocket.Binary, make([]byte, 5000)) })
		synctest.Wait()
		p.SendClose(1000, "")
		if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != 1000 {
			t.Errorf("got %v", err)
		}
		if err := c.Close(t.Context(), 1000, ""); err == nil {
			t.Error("Close: got no error")
		}
		<-written
	})
}
