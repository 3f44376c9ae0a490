package websocket_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

const dialogues = "testdata/dialogues.txt"

// readers are the forms of reading a message; all must give the same messages.
var readers = []struct {
	name string
	read func(ctx context.Context, c *websocket.Conn) (websocket.MessageType, []byte, error)
}{
	{"Read", func(ctx context.Context, c *websocket.Conn) (websocket.MessageType, []byte, error) {
		return c.Read(ctx)
	}},
	{"ReadAppend", func(ctx context.Context, c *websocket.Conn) (websocket.MessageType, []byte, error) {
		before := []byte("before")
		typ, p, err := c.ReadAppend(ctx, append(make([]byte, 0, 64), before...))
		rest, ok := bytes.CutPrefix(p, before)
		if !ok || err != nil && len(rest) > 0 {
			return typ, p, errors.New("ReadAppend has changed dst")
		}
		return typ, rest, err
	}},
	{"Reader", readStream},
	{"ReadFrame", readFrames},
	{"Messages", func(ctx context.Context, c *websocket.Conn) (websocket.MessageType, []byte, error) {
		for m, err := range c.Messages(ctx) {
			return m.Type, bytes.Clone(m.Data), err
		}
		return 0, nil, c.Err()
	}},
}

// readStream reads a message through Reader, in small pieces.
func readStream(ctx context.Context, c *websocket.Conn) (websocket.MessageType, []byte, error) {
	typ, r, err := c.Reader(ctx)
	if err != nil {
		return 0, nil, err
	}
	var p []byte
	piece := make([]byte, 3)
	for {
		n, err := r.Read(piece)
		p = append(p, piece[:n]...)
		if err == io.EOF {
			return typ, p, nil
		}
		if err != nil {
			return typ, p, err
		}
	}
}

// readFrames puts a message together from its frames.
func readFrames(ctx context.Context, c *websocket.Conn) (typ websocket.MessageType, p []byte, err error) {
	for {
		h, payload, err := c.ReadFrame(ctx)
		if err != nil {
			return 0, nil, err
		}
		if h.Opcode.IsControl() {
			continue
		}
		if h.Opcode != frame.Continuation {
			typ = websocket.MessageType(h.Opcode)
		}
		p = append(p, payload...)
		if h.Fin {
			return typ, p, nil
		}
	}
}

// An echoer answers every message with itself, and returns why there are no more.
type echoer struct {
	name string
	run  func(t *testing.T, c *websocket.Conn) error
}

// echoers are the forms of reading, and those of being called. poller is for one of
// the latter.
func echoers(poller *websocket.Poller) []echoer {
	all := []echoer{
		{"Serve", func(t *testing.T, c *websocket.Conn) error {
			w := newWitness(t)
			c.Serve(w)
			return <-w.end
		}},
		{"Poller", func(t *testing.T, c *websocket.Conn) error { return servedBy(poller, c, newWitness(t)) }},
	}
	for _, reader := range readers {
		all = append(all, echoer{reader.name, func(t *testing.T, c *websocket.Conn) error {
			for {
				typ, data, err := reader.read(t.Context(), c)
				if err != nil {
					return err
				}
				// What follows a failed write is a failed read.
				_ = c.Write(t.Context(), typ, data)
			}
		}})
	}
	return all
}

// chops are ways in which bytes can arrive.
var chops = []struct {
	name string
	size int
}{
	{"whole", 1 << 30},
	{"byte by byte", 1},
	{"by 7", 7},
}

// TestDialogues has every dialogue with a server that echoes, over every
// transport, in every form of reading and chopped in every way.
func TestDialogues(t *testing.T) {
	all := wstest.Dialogues(t, dialogues)
	wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
		poller, err := websocket.NewPoller(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer poller.Close()
		for _, echo := range echoers(poller) {
			for _, chop := range chops {
				for _, d := range all {
					t.Run(echo.name+"/"+chop.name+"/"+d.Name, func(t *testing.T) {
						c, p := connect(t, nil)
						echoed := async(func() error { return echo.run(t, c) })
						for rest := d.Sent; len(rest) > 0; {
							n := min(chop.size, len(rest))
							if _, err := p.Write(rest[:n]); err != nil {
								break // the server has ended the connection
							}
							rest = rest[n:]
						}
						hear(t, p, d)
						p.Close()
						if err := <-echoed; websocket.CloseStatus(err) < 0 {
							t.Errorf("%s: last read: got %v, want a CloseError", d.Line, err)
						}
					})
				}
			}
		}
	})
}

// hear compares what the server says.
func hear(t *testing.T, p *wstest.Peer, d wstest.Dialogue) {
	t.Helper()
	for _, want := range d.Heard {
		h, payload, err := p.ReadFrame()
		if err != nil {
			t.Fatalf("%s: got error %v, want %v %q", d.Line, err, want.Opcode, want.Payload)
		}
		if h.Opcode != want.Opcode || !h.Fin || string(payload) != want.Payload {
			t.Fatalf("%s: got %v %q, want %v %q", d.Line, h, payload, want.Opcode, want.Payload)
		}
		if h.Opcode == frame.Close {
			// "the server [...] MUST close the TCP connection immediately"
			// (RFC 6455, section 7.1.1)
			if _, _, err := p.ReadFrame(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("%s: the server goes on after its close frame: %v", d.Line, err)
			}
		}
	}
}

// TestResume cuts a read off at every byte of every dialogue. Nothing may be
// lost, on any transport, however the next read is made.
func TestResume(t *testing.T) {
	all := wstest.Dialogues(t, dialogues)
	forms := []struct {
		name          string
		before, after func(context.Context, *websocket.Conn) (websocket.MessageType, []byte, error)
	}{
		{"Read", readers[0].read, readers[0].read},
		{"ReadAppend", readers[1].read, readers[1].read},
		{"Read then ReadAppend", readers[0].read, readers[1].read},
		{"ReadAppend then Read", readers[1].read, readers[0].read},
		{"Messages", readers[4].read, readers[4].read},
	}
	for _, form := range forms {
		t.Run(form.name, func(t *testing.T) {
			for _, d := range all {
				t.Run(d.Name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						c, p := wstest.Memory(t, nil)
						resume(t, c, p, d, synctest.Wait, form.before, form.after)
					})
				})
			}
		})
	}
	// Without a fake clock nobody knows how far the read has come when it is cut
	// off; so many bytes meet most cases.
	nowait := func() {}
	for _, transport := range []struct {
		name    string
		connect wstest.Connect
	}{{"tcp", wstest.TCP}, {"tls", wstest.TLS}, {"http2", wstest.HTTP2Stream}} {
		t.Run(transport.name, func(t *testing.T) {
			for _, d := range all {
				t.Run(d.Name, func(t *testing.T) {
					c, p := transport.connect(t, nil)
					resume(t, c, p, d, nowait, readers[0].read, readers[1].read)
				})
			}
		})
	}
}

// resume sends d byte by byte, each into a read that is cut off when the byte
// has been seen, by turns in two forms; then it reads to the end.
func resume(t *testing.T, c *websocket.Conn, p *wstest.Peer, d wstest.Dialogue, settle func(),
	before, after func(context.Context, *websocket.Conn) (websocket.MessageType, []byte, error)) {
	var got []string
	var end error
	keep := func(data []byte, err error) bool {
		switch {
		case err == nil:
			got = append(got, string(data))
		case errors.Is(err, context.Canceled):
			return false
		default:
			end = err
		}
		return end == nil
	}
	for i := 0; i < len(d.Sent) && end == nil; i++ {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			read := before
			if i%2 == 1 {
				read = after
			}
			for {
				_, data, err := read(ctx, c)
				if !keep(data, err) {
					return
				}
			}
		}()
		// An error means that the server has ended the connection, which shows.
		_, _ = p.Write(d.Sent[i : i+1])
		settle()
		cancel()
		<-done
	}
	if end == nil {
		p.CloseWrite()
	}
	for end == nil {
		_, data, err := before(context.Background(), c)
		keep(data, err)
	}
	if len(got) != len(d.Texts) {
		t.Fatalf("%s: got %d messages %.60q, want %d (then %v)", d.Line, len(got), got, len(d.Texts), end)
	}
	for i, want := range d.Texts {
		if got[i] != want {
			t.Errorf("%s: message %d: got %.60q, want %.60q", d.Line, i, got[i], want)
		}
	}
}
