package websocket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

// prepare returns a message that has to be in order.
func prepare(t testing.TB, typ websocket.MessageType, data []byte) *websocket.PreparedMessage {
	t.Helper()
	m, err := websocket.NewPreparedMessage(typ, data)
	if err != nil {
		t.Fatal(err)
	}
	if m.Size() != len(data) {
		t.Fatalf("got a message of %d bytes, want %d", m.Size(), len(data))
	}
	return m
}

// preparedSenders are the ways to send a prepared message to a connection, and one
// of its own behind it.
var preparedSenders = []struct {
	name   string
	send   func(c *websocket.Conn, m *websocket.PreparedMessage) error
	behind func(c *websocket.Conn, m said) error
}{
	{"WritePrepared", func(c *websocket.Conn, m *websocket.PreparedMessage) error {
		return c.WritePrepared(context.Background(), m)
	}, func(c *websocket.Conn, m said) error { return c.Write(context.Background(), m.typ, m.data) }},
	{"TrySendPrepared", func(c *websocket.Conn, m *websocket.PreparedMessage) error {
		return c.TrySendPrepared(m)
	}, func(c *websocket.Conn, m said) error { return c.TrySend(m.typ, m.data) }},
}

func TestNewPreparedMessage(t *testing.T) {
	tests := []struct {
		name string
		typ  websocket.MessageType
		data string
		ok   bool
		text bool // the error is ErrInvalidText
	}{
		{"text", websocket.Text, "a€", true, false},
		{"nothing", websocket.Text, "", true, false},
		{"binary", websocket.Binary, "a\xff", true, false},
		{"no UTF-8", websocket.Text, "a\xff", false, true},
		{"a truncated character", websocket.Text, "a\xe2\x82", false, true},
		{"no type", 0, "", false, false},
		{"a reserved type", 3, "", false, false},
		{"a control frame", websocket.MessageType(frame.Ping), "", false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			data := []byte(test.data)
			m, err := websocket.NewPreparedMessage(test.typ, data)
			if !test.ok {
				if err == nil || m != nil || errors.Is(err, websocket.ErrInvalidText) != test.text {
					t.Errorf("got message %v, error %v", m, err)
				}
				return
			}
			if err != nil || m.Size() != len(data) {
				t.Fatalf("got error %v, size %d, want %d", err, m.Size(), len(data))
			}
			clear(data) // it has a copy
			for _, sender := range preparedSenders {
				c, p := wstest.Memory(t, nil)
				if err := sender.send(c, m); err != nil {
					t.Fatal(err)
				}
				p.Expect(frame.Opcode(test.typ), true, test.data)
			}
		})
	}
}

// TestPreparedSizes: larger than a buffer or not, over every transport.
func TestPreparedSizes(t *testing.T) {
	sizes := []int{0, 1, 125, 126, 16<<10 - 4, 16<<10 - 3, 16 << 10, 65535, 65536, 100_000, 3 << 20}
	wstest.OnEach(t, func(t *testing.T, connect wstest.Connect) {
		for _, sender := range preparedSenders {
			t.Run(sender.name, func(t *testing.T) {
				c, p := connect(t, &websocket.Options{SendQueue: -1})
				sent := async(func() error {
					for _, n := range sizes {
						m, err := websocket.NewPreparedMessage(websocket.Binary, pattern(n))
						if err == nil {
							err = sender.send(c, m)
						}
						if err != nil {
							return err
						}
					}
					return c.Close(t.Context(), websocket.CloseNormal, "")
				})
				for _, n := range sizes {
					p.Expect(frame.Binary, true, string(pattern(n)))
				}
				p.ExpectClose(1000, "")
				p.SendClose(1000, "")
				p.ExpectEOF()
				p.Close()
				if err := <-sent; err != nil {
					t.Error(err)
				}
				if got := c.Stats().MessagesSent; got != uint64(len(sizes)) {
					t.Errorf("got %d messages sent, want %d", got, len(sizes))
				}
			})
		}
	})
}

// TestPreparedPacked: one message goes to connections with everything that can be
// agreed on, between others, and refers to nothing but itself.
func TestPreparedPacked(t *testing.T) {
	all := conversation(100_000)
	for bits := 8; bits <= 15; bits++ {
		// What repeats just beyond a window tempts those who look further.
		repeated := bytes.Repeat(append(noise(1<<bits-20, 1), sample(100, 1)...), 3)
		all = append(all, said{websocket.Binary, repeated})
	}
	shared := make([]*websocket.PreparedMessage, len(all))
	for i, m := range all {
		shared[i] = prepare(t, m.typ, m.data)
	}
	for _, set := range settings() {
		for _, sender := range preparedSenders {
			t.Run(set.name+"/"+sender.name, func(t *testing.T) {
				c, p := wstest.Offering(t, &websocket.Options{Compression: set.opts, SendQueue: -1}, set.offer)
				d := peerOf(t, c)
				sent := async(func() error {
					for i, m := range all {
						err := sender.send(c, shared[i])
						if err == nil {
							err = sender.behind(c, m)
						}
						if err != nil {
							return errors.Join(err, c.CloseNow()) // so that nobody waits
						}
					}
					return nil
				})
				for i, m := range all {
					compressed := hearAlone(t, p, d, m)
					if text := len(m.data) >= 128 && m.typ == websocket.Text; text && !compressed {
						t.Errorf("message %d of %d bytes of text is not compressed", i, len(m.data))
					}
					hearPacked(t, p, d, m)
				}
				if err := <-sent; err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// window connects a peer that has asked for a window of so many bits.
func window(t *testing.T, bits int) (*websocket.Conn, *wstest.Peer) {
	t.Helper()
	offer := fmt.Sprintf("permessage-deflate; server_max_window_bits=%d", bits)
	return wstest.Offering(t, compressing(15, 0), offer)
}

// TestPreparedWindows: what was made for a large window is not sent to those with a
// smaller one, if it reaches back too far for them.
func TestPreparedWindows(t *testing.T) {
	for bits := 8; bits < 15; bits++ {
		for _, distance := range []int{1<<bits - 100, 1 << bits, 1<<bits + 1} {
			t.Run(fmt.Sprintf("%d/%d", bits, distance), func(t *testing.T) {
				text := letters(distance, 1)
				text = append(text, text[:100]...)
				m := prepare(t, websocket.Text, text)
				for _, bits := range []int{15, bits, 15, bits} {
					c, p := window(t, bits)
					if err := c.WritePrepared(t.Context(), m); err != nil {
						t.Fatal(err)
					}
					if !hearAlone(t, p, peerOf(t, c), said{websocket.Text, text}) {
						t.Error("it is not compressed")
					}
				}
			})
		}
	}
}

// hearAlone is hearPacked for a message that refers to nothing before it.
func hearAlone(t *testing.T, p *wstest.Peer, d *wstest.Deflate, want said) bool {
	t.Helper()
	h, payload, err := p.ReadFrame()
	if err != nil || h.Opcode != want.op() || !h.Fin {
		t.Fatalf("got %v, error %v, want a %v message of %d bytes", h, err, want.typ, len(want.data))
	}
	if !h.RSV1 {
		if !bytes.Equal(payload, want.data) {
			t.Fatalf("got %v, want the message of %d bytes as it is", h, len(want.data))
		}
		return false
	}
	_, size := d.Window()
	if got, err := strictly(payload, nil, size); err != nil || !bytes.Equal(got, want.data) {
		t.Fatalf("%v, without a window of %d bytes: got %d bytes, error %v, want %d", h, size, len(got), err, len(want.data))
	}
	if got, err := d.Unpack(payload); err != nil || !bytes.Equal(got, want.data) {
		t.Fatalf("%v, with compress/flate: got %d bytes, error %v, want %d", h, len(got), err, len(want.data))
	}
	return true
}

// TestPreparedBytes: all connections get the same bytes, whatever they were sent
// before, and whatever the window is if the message fits in it.
func TestPreparedBytes(t *testing.T) {
	tests := []struct {
		name    string
		size    int
		connect func(t *testing.T, i int) (*websocket.Conn, *wstest.Peer)
		packed  bool
	}{
		{"plain", 3000, func(t *testing.T, i int) (*websocket.Conn, *wstest.Peer) { return wstest.Memory(t, nil) }, false},
		{"compressed", 3000, func(t *testing.T, i int) (*websocket.Conn, *wstest.Peer) {
			return wstest.Memory(t, compressing(0, 0))
		}, true},
		{"without takeover, too", 3000, func(t *testing.T, i int) (*websocket.Conn, *wstest.Peer) {
			return wstest.Memory(t, compressing(i%2*16-1, 0))
		}, true},
		{"in a small window", 3000, func(t *testing.T, i int) (*websocket.Conn, *wstest.Peer) { return window(t, 9) }, true},
		{"in windows it fits in", 256, func(t *testing.T, i int) (*websocket.Conn, *wstest.Peer) { return window(t, 8+i) }, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			text := sample(test.size, 1)
			m := prepare(t, websocket.Text, text)
			var want []byte
			for i := range 8 {
				for _, sender := range preparedSenders {
					c, p := test.connect(t, i)
					for n := range i {
						if err := c.Write(t.Context(), websocket.Text, sample(1000*n, 1)); err != nil {
							t.Fatal(err)
						}
						if _, _, err := p.ReadFrame(); err != nil {
							t.Fatal(err)
						}
					}
					if err := sender.send(c, m); err != nil {
						t.Fatal(err)
					}
					h, got, err := p.ReadFrame()
					if err != nil || h.RSV1 != test.packed {
						t.Fatalf("got %v, error %v", h, err)
					}
					if want == nil {
						want = got
					}
					if !bytes.Equal(got, want) {
						t.Errorf("connection %d, %s: got %d bytes, want the same %d as before", i, sender.name, len(got), len(want))
					}
				}
			}
		})
	}
}

// counting returns a Compression whose Compress counts its calls.
func counting(calls *atomic.Int64) *websocket.Compression {
	return &websocket.Compression{SendWindowBits: 15, Compress: func(dst, dict, p []byte) ([]byte, error) {
		if len(dict) > 0 {
			return nil, errors.New("there is a dictionary")
		}
		calls.Add(1)
		return flateBehind(dst, dict, p)
	}}
}

// TestPreparedOnce: a message is compressed once for all, also when all are first.
func TestPreparedOnce(t *testing.T) {
	tests := []struct {
		name string
		data []byte
		want bool
	}{
		{"text", sample(5000, 1), true},
		{"noise", noise(5000, 1), false},
	}
	for _, test := range tests {
		for _, sender := range preparedSenders {
			t.Run(test.name+"/"+sender.name, func(t *testing.T) {
				var calls [2]atomic.Int64
				shared := []*websocket.Compression{counting(&calls[0]), counting(&calls[1])}
				m := prepare(t, websocket.Binary, test.data)
				var wg sync.WaitGroup
				begin := make(chan struct{})
				for i := range 16 {
					c, p := wstest.Memory(t, &websocket.Options{Compression: shared[i%2]})
					wg.Go(func() {
						<-begin
						d := peerOf(t, c)
						for range 3 {
							if err := sender.send(c, m); err != nil {
								t.Error(err)
								return
							}
							h, payload, err := p.ReadFrame()
							if err == nil && h.RSV1 {
								payload, err = d.Unpack(payload)
							}
							if err != nil || h.RSV1 != test.want || !bytes.Equal(payload, test.data) {
								t.Errorf("connection %d: got %v, %d bytes, error %v", i, h, len(payload), err)
							}
						}
					})
				}
				close(begin)
				wg.Wait()
				for i := range calls {
					if got := calls[i].Load(); got != 1 {
						t.Errorf("compressor %d was asked %d times, want once", i, got)
					}
				}
			})
		}
	}
}

// TestPreparedForMany: Options that are made for every connection, as handlers may
// do it, do not make a message that lives long grow with all of them.
func TestPreparedForMany(t *testing.T) {
	m := prepare(t, websocket.Text, sample(1000, 1))
	var calls atomic.Int64
	const rounds, most = 50, 16
	conns := make([]*websocket.Conn, rounds)
	for i := range conns {
		c, p := wstest.Memory(t, &websocket.Options{Compression: counting(&calls)})
		conns[i] = c
		if err := c.WritePrepared(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if !hearAlone(t, p, peerOf(t, c), said{websocket.Text, sample(1000, 1)}) {
			t.Error("it is not compressed")
		}
	}
	// The last are still there, the first are not.
	calls.Store(0)
	for _, c := range slices.Backward(conns) {
		if err := c.WritePrepared(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if got := calls.Load(); got != rounds-most {
		t.Errorf("%d of %d variants were made again, want all but %d", got, rounds, most)
	}
}

// TestPreparedPlain: what is not compressed.
func TestPreparedPlain(t *testing.T) {
	broken := func(dst, dict, p []byte) ([]byte, error) { return dst, errors.New("out of order") }
	tests := []struct {
		name string
		opts *websocket.Compression
		data []byte
		off  bool
		want bool
	}{
		{"below the threshold", &websocket.Compression{}, make([]byte, 127), false, false},
		{"the threshold", &websocket.Compression{}, make([]byte, 128), false, true},
		{"below another", &websocket.Compression{Threshold: 1000}, make([]byte, 999), false, false},
		{"another", &websocket.Compression{Threshold: 1000}, make([]byte, 1000), false, true},
		{"small with none", &websocket.Compression{Threshold: -1}, make([]byte, 20), false, true},
		{"empty with none", &websocket.Compression{Threshold: -1}, nil, false, false},
		{"noise", &websocket.Compression{}, noise(1000, 1), false, false},
		{"switched off", &websocket.Compression{}, make([]byte, 1000), true, false},
		{"a compressor that fails", &websocket.Compression{SendWindowBits: 15, Compress: broken}, make([]byte, 1000), false, false},
	}
	for _, test := range tests {
		for _, sender := range preparedSenders {
			t.Run(test.name+"/"+sender.name, func(t *testing.T) {
				c, p := wstest.Memory(t, &websocket.Options{Compression: test.opts})
				c.SetWriteCompression(!test.off)
				d := peerOf(t, c)
				m := prepare(t, websocket.Binary, test.data)
				for range 2 {
					if err := sender.send(c, m); err != nil {
						t.Fatal(err)
					}
					if got := hearAlone(t, p, d, said{websocket.Binary, test.data}); got != test.want {
						t.Errorf("got compressed %t, want %t", got, test.want)
					}
				}
			})
		}
	}
}

func TestWritePreparedAllocatesNothing(t *testing.T) {
	for _, test := range []struct {
		name string
		opts *websocket.Options
	}{{"plain", nil}, {"compressed", compressing(0, 0)}, {"without takeover", compressing(-1, 0)}} {
		t.Run(test.name, func(t *testing.T) {
			server, client := wstest.Pipe(1 << 20)
			c, _ := wstest.Over(t, server, client, test.opts)
			drained := async(func() error { _, err := io.Copy(io.Discard, client); return err })
			m := prepare(t, websocket.Text, sample(40_000, 1))
			write := func() {
				if err := c.WritePrepared(context.Background(), m); err != nil {
					t.Fatal(err)
				}
			}
			for range 50 { // the pipe has grown then
				write()
			}
			if got := testing.AllocsPerRun(100, write); got != 0 {
				t.Errorf("got %v allocations a message, want 0", got)
			}
			c.CloseNow()
			<-drained
		})
	}
}

// TestWritePreparedEnds: it keeps to its ctx, to WriteTimeout and to its turn.
func TestWritePreparedEnds(t *testing.T) {
	m := prepare(t, websocket.Text, []byte("prepared"))
	large := prepare(t, websocket.Binary, make([]byte, 5000))
	bubble(t, "a ctx that has ended", func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.WritePrepared(ctx, m); !errors.Is(err, context.Canceled) || c.Err() != nil {
			t.Errorf("got %v, connection %v", err, c.Err())
		}
		if err := c.WritePrepared(t.Context(), m); err != nil {
			t.Error(err)
		}
		p.ExpectText("prepared")
	})
	for _, behind := range []struct {
		name  string
		op    frame.Opcode
		size  int
		begin func(c *websocket.Conn) error
	}{
		{"the turn of a message", frame.Binary, 5000, func(c *websocket.Conn) error {
			return c.Write(context.Background(), websocket.Binary, make([]byte, 5000))
		}},
		{"the turn of a frame", frame.Ping, 125, func(c *websocket.Conn) error {
			return c.WriteFrame(context.Background(), frame.Ping, true, make([]byte, 125))
		}},
	} {
		bubble(t, behind.name, func(t *testing.T) {
			c, p := stalledConn(t, websocket.Options{})
			full := make([]byte, stalledPipe-4)
			if err := c.Write(t.Context(), websocket.Binary, full); err != nil {
				t.Fatal(err)
			}
			stalled := async(func() error { return behind.begin(c) })
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := c.WritePrepared(ctx, m); !errors.Is(err, context.DeadlineExceeded) || c.Err() != nil {
				t.Errorf("got %v, connection %v", err, c.Err())
			}
			p.Expect(frame.Binary, true, string(full))
			p.Expect(behind.op, true, string(make([]byte, behind.size)))
			if err := <-stalled; err != nil {
				t.Error(err)
			}
			if err := c.WritePrepared(t.Context(), m); err != nil {
				t.Error(err)
			}
			p.ExpectText("prepared")
		})
	}
	for _, cut := range []struct {
		name    string
		timeout time.Duration
		err     error
	}{{"WriteTimeout", 2 * time.Second, websocket.ErrWriteTimeout}, {"ctx in the middle", -1, context.DeadlineExceeded}} {
		bubble(t, cut.name, func(t *testing.T) {
			c, _ := stalledConn(t, websocket.Options{WriteTimeout: cut.timeout})
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			err := c.WritePrepared(ctx, large)
			if !errors.Is(err, cut.err) || err != c.Err() || c.Stats().MessagesSent != 0 {
				t.Errorf("got %v, connection %v, %d messages sent", err, c.Err(), c.Stats().MessagesSent)
			}
			for _, sender := range preparedSenders {
				if err := sender.send(c, m); err != c.Err() {
					t.Errorf("%s after the end: got %v, want %v", sender.name, err, c.Err())
				}
			}
		})
	}
	bubble(t, "Close", func(t *testing.T) {
		c, p := wstest.Memory(t, nil)
		closing := async(func() error { return c.Close(t.Context(), websocket.CloseNormal, "") })
		p.ExpectClose(1000, "")
		var sent []<-chan error
		for _, sender := range preparedSenders {
			sent = append(sent, async(func() error { return sender.send(c, m) }))
		}
		synctest.Wait()
		p.SendClose(1000, "")
		if err := <-closing; err != nil {
			t.Error(err)
		}
		for i, sender := range preparedSenders {
			if err := <-sent[i]; err != c.Err() || err == nil {
				t.Errorf("%s while the connection ends: got %v, want %v", sender.name, err, c.Err())
			}
		}
	})
}
