package websocket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

// TestResumeReader cuts a stream off at every byte of a dialogue and goes on
// with another stream.
func TestResumeReader(t *testing.T) {
	for _, d := range wstest.Dialogues(t, dialogues) {
		t.Run(d.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, p := wstest.Memory(t, nil)
				var got []string
				var end error
				message, open := "", false
				for i := 0; i < len(d.Sent) && end == nil; i++ {
					ctx, cancel := context.WithCancel(t.Context())
					done := async(func() error {
						for {
							_, r, err := c.Reader(ctx)
							if err != nil {
								return err
							}
							open = true
							part, err := io.ReadAll(r)
							message += string(part)
							if err != nil {
								return err
							}
							got, message, open = append(got, message), "", false
						}
					})
					_, _ = p.Write(d.Sent[i : i+1])
					synctest.Wait()
					cancel()
					if err := <-done; !errors.Is(err, context.Canceled) {
						end = err
					}
				}
				if open && end == nil {
					if _, _, err := c.Read(t.Context()); !errors.Is(err, websocket.ErrReaderOpen) {
						t.Errorf("%s: Read beside an open stream: got %v, want ErrReaderOpen", d.Line, err)
					}
				}
				if fmt.Sprint(got) != fmt.Sprint(d.Texts) {
					t.Errorf("%s: got %.60q, want %.60q (then %v)", d.Line, got, d.Texts, end)
				}
			})
		})
	}
}

func TestReaderAbandoned(t *testing.T) {
	c, p := wstest.Memory(t, nil)
	ctx := t.Context()
	p.SendFrame(frame.Text, false, "abc")
	p.SendFrame(frame.Continuation, true, "def")
	p.SendText("next")
	_, old, err := c.Reader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(old, make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	checkOthersRefused(t, c, "Reader")
	typ, fresh, err := c.Reader(ctx)
	if err != nil || typ != websocket.Text {
		t.Fatalf("Reader again: got %v, error %v", typ, err)
	}
	if _, err := old.Read(make([]byte, 1)); !errors.Is(err, websocket.ErrReaderOpen) {
		t.Errorf("the old stream: got %v, want ErrReaderOpen", err)
	}
	rest, err := io.ReadAll(fresh)
	if err != nil || string(rest) != "cdef" {
		t.Errorf("the new stream: got %q, error %v, want the rest of the message", rest, err)
	}
	for range 2 {
		if n, err := fresh.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("behind the end: got %d bytes, error %v, want io.EOF", n, err)
		}
	}
	if _, got, err := c.Read(ctx); err != nil || string(got) != "next" {
		t.Errorf("Read after the stream: got %q, error %v", got, err)
	}
}

// TestReaderDrained: who has read all bytes need not see io.EOF.
func TestReaderDrained(t *testing.T) {
	c, p := wstest.Memory(t, nil)
	p.SendText("exactly")
	p.SendText("next")
	_, r, err := c.Reader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n, err := r.Read(nil); n != 0 || err != nil {
		t.Errorf("Read of nothing: got %d, error %v", n, err)
	}
	if _, err := io.ReadFull(r, make([]byte, len("exactly"))); err != nil {
		t.Fatal(err)
	}
	if _, got, err := c.Read(t.Context()); err != nil || string(got) != "next" {
		t.Errorf("got %q, error %v, want the next message", got, err)
	}
	if _, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the drained stream: got %v, want io.EOF", err)
	}
}

// TestReaderDirect: a large frame that goes straight to the caller is held
// against the rules too, and bounded by ctx.
func TestReaderDirect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		text := bytes.Repeat([]byte("a"), 30_000)
		text[20_000] = 0xff
		b := wstest.Frame(frame.Text, true, text)
		p.Send(b[:10_000]...)
		_, r, err := c.Reader(ctx)
		if err != nil {
			t.Fatal(err)
		}
		large := make([]byte, 20_000)
		n := 0
		for err == nil {
			var k int
			k, err = r.Read(large[n:])
			n += k
		}
		if n < 9_000 || n > 10_000 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %d bytes, error %v", n, err)
		}
		if _, err := r.Read(large); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after the end of ctx: got %v", err)
		}
		_, r, err = c.Reader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.Send(b[10_000:]...)
		p.CloseWrite()
		for err == nil {
			_, err = r.Read(large)
		}
		if websocket.CloseStatus(err) != websocket.CloseInvalidPayload {
			t.Errorf("got %v", err)
		}
		p.ExpectClose(1007, "text message is not UTF-8")
	})
}

// TestReaderClosed: a stream that was cut short by the end of the connection
// must not look complete.
func TestReaderClosed(t *testing.T) {
	c, p := wstest.Memory(t, nil)
	p.SendText("half read")
	_, r, err := c.Reader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	c.CloseNow()
	_, _, err = c.Read(t.Context())
	if websocket.CloseStatus(err) != websocket.CloseAbnormal {
		t.Errorf("Read: got %v", err)
	}
	if _, err := r.Read(make([]byte, 1)); websocket.CloseStatus(err) != websocket.CloseAbnormal {
		t.Errorf("the stream: got %v, want the CloseError", err)
	}
}

// TestReaderEnds: a stream that has given out everything has ended, even if
// nobody has had the time to see io.EOF.
func TestReaderEnds(t *testing.T) {
	for _, test := range []struct {
		name string
		sent string
	}{{"a message", "one"}, {"an empty message", ""}, {"a large message", string(make([]byte, 100_000))}} {
		t.Run(test.name, func(t *testing.T) {
			c, p := wstest.MemorySize(t, nil, 1<<20)
			p.SendFrame(frame.Binary, true, test.sent)
			p.SendText("two")
			ctx, cancel := context.WithCancel(t.Context())
			_, r, err := c.Reader(ctx)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(test.sent))
			if _, err := io.ReadFull(r, got); err != nil {
				t.Fatal(err)
			}
			cancel()
			if _, err := r.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("got %v, want io.EOF", err)
			}
			if _, got, err := c.Read(t.Context()); err != nil || string(got) != "two" {
				t.Errorf("got %q, error %v", got, err)
			}
		})
	}
}

// TestReaderShared: of two who read one stream, both hear of its end.
func TestReaderShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		p.SendFrame(frame.Text, false, "")
		_, r, err := c.Reader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		one := async(func() string { b, err := io.ReadAll(r); return string(b) + errorText(err) })
		two := async(func() string { b, err := io.ReadAll(r); return string(b) + errorText(err) })
		synctest.Wait()
		p.SendFrame(frame.Continuation, true, "x")
		if got := <-one + <-two; got != "x" {
			t.Errorf("got %q", got)
		}
	})
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
