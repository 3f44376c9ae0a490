package websocket_test

import (
	"bytes"
	"context"
	"iter"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

// cost is something that a server does again and again, and how often it allocates
// each time, which TestAllocations holds. The benchmarks measure how long it takes.
type cost struct {
	name   string
	allocs float64
	size   int // of the message; 0: there is none
	begin  func(tb testing.TB, size int) (once func())
}

// costs are all of them, by the benchmark that they are in.
var costs = []struct {
	name  string
	costs []cost
}{
	{"Upgrade", upgradeCosts},
	{"Read", readCosts},
	{"ReadAppend", readAppendCosts},
	{"Write", writeCosts},
	{"WritePrepared", writePreparedCosts},
	{"TrySend", trySendCosts},
	{"Broadcast", broadcastCosts},
	{"Serve", serveCosts},
}

func BenchmarkUpgrade(b *testing.B)       { benchmark(b, upgradeCosts) }
func BenchmarkRead(b *testing.B)          { benchmark(b, readCosts) }
func BenchmarkReadAppend(b *testing.B)    { benchmark(b, readAppendCosts) }
func BenchmarkWrite(b *testing.B)         { benchmark(b, writeCosts) }
func BenchmarkWritePrepared(b *testing.B) { benchmark(b, writePreparedCosts) }
func BenchmarkTrySend(b *testing.B)       { benchmark(b, trySendCosts) }
func BenchmarkBroadcast(b *testing.B)     { benchmark(b, broadcastCosts) }
func BenchmarkServe(b *testing.B)         { benchmark(b, serveCosts) }

func benchmark(b *testing.B, costs []cost) {
	for _, c := range costs {
		b.Run(c.name, func(b *testing.B) {
			once := c.begin(b, c.size)
			once() // fills the pools
			b.ReportAllocs()
			for b.Loop() {
				once()
			}
		})
	}
}

// The Conn is one allocation, and the state of compression the second.
var upgradeCosts = []cost{
	{"plain", 1, 0, upgrading(nil, nil)},
	{"browser", 1, 0, upgrading(
		&websocket.Options{TrustedOrigins: []string{"https://www.example.com", "https://*.example.com"}},
		http.Header{"Set-Cookie": {"a=b"}, "X-Request-Id": {"1"}},
		"Connection: keep-alive, Upgrade", "Origin: https://app.example.com",
	)},
	{"offers", 2, 0, upgrading(
		&websocket.Options{Subprotocols: []string{"chat.v1", "chat.v2"}, Compression: &websocket.Compression{}},
		nil,
		"Sec-WebSocket-Protocol: chat.v2, chat.v1", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
	)},
}

// upgrading upgrades again and again. Whatever is set, offered and supported is in
// the response.
func upgrading(opts *websocket.Options, set http.Header, edits ...string) func(testing.TB, int) func() {
	return func(tb testing.TB, _ int) func() {
		conn, r := newFrugalConn(nil), wstest.Request(edits...)
		conn.header = set
		once := func() {
			if _, err := websocket.Upgrade(conn, r, opts); err != nil {
				tb.Fatal(err)
			}
		}
		once()
		want := []string{"Sec-WebSocket-Accept: " + wstest.HandshakeAccept}
		for name, values := range set {
			want = append(want, name+": "+values[0])
		}
		if opts != nil && opts.Compression != nil {
			want = append(want, "Sec-WebSocket-Protocol: chat.v1", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=12")
		}
		for _, want := range want {
			if !strings.Contains(conn.response, "\r\n"+want+"\r\n") {
				tb.Fatalf("got %q, without %q", conn.response, want)
			}
		}
		return once
	}
}

// Read makes room for each message; that for a large one grows as it comes.
var readCosts = []cost{
	{"text/128B", 1, 128, reading(nil)},
	{"text/1KiB", 1, 1 << 10, reading(nil)},
	{"text/64KiB", 3, 64 << 10, reading(nil)},
}

func reading(opts *websocket.Options) func(testing.TB, int) func() {
	return func(tb testing.TB, size int) func() {
		c, _ := upgradeFrugally(tb, opts, wstest.Frame(frame.Text, true, sample(size, 1)))
		return func() {
			if _, got, err := c.Read(context.Background()); err != nil || len(got) != size {
				tb.Fatalf("got %d bytes, error %v", len(got), err)
			}
		}
	}
}

var readAppendCosts = []cost{
	{"binary/128B", 0, 128, readingTo(nil, websocket.Binary)},
	{"binary/64KiB", 0, 64 << 10, readingTo(nil, websocket.Binary)},
	{"text/128B", 0, 128, readingTo(nil, websocket.Text)},
	{"text/1KiB", 0, 1 << 10, readingTo(nil, websocket.Text)},
	{"text/64KiB", 0, 64 << 10, readingTo(nil, websocket.Text)},
	{"compressed/1KiB", 0, 1 << 10, readingTo(compressing(0, 0), websocket.Text)},
	{"compressed without takeover/1KiB", 0, 1 << 10, readingTo(compressing(-1, -1), websocket.Text)},
}

// readingTo reads to room that there is.
func readingTo(opts *websocket.Options, typ websocket.MessageType) func(testing.TB, int) func() {
	return func(tb testing.TB, size int) func() {
		c, conn := upgradeFrugally(tb, opts, nil)
		// What refers to no other message can come for ever.
		if conn.coming = wstest.Frame(frame.Opcode(typ), true, sample(size, 1)); opts != nil {
			conn.coming = wstest.CompressedFrame(frame.Opcode(typ), true, peerOf(tb, c).Pack(sample(size, 1)))
		}
		dst := make([]byte, 0, size)
		return func() {
			if _, got, err := c.ReadAppend(context.Background(), dst); err != nil || len(got) != size {
				tb.Fatalf("got %d bytes, error %v", len(got), err)
			}
		}
	}
}

var writeCosts = []cost{
	{"binary/128B", 0, 128, writing(nil, websocket.Binary)},
	{"binary/1KiB", 0, 1 << 10, writing(nil, websocket.Binary)},
	{"binary/64KiB", 0, 64 << 10, writing(nil, websocket.Binary)},
	{"binary without WriteTimeout/128B", 0, 128, writing(&websocket.Options{WriteTimeout: -1}, websocket.Binary)},
	{"text/128B", 0, 128, writing(nil, websocket.Text)},
	{"text/1KiB", 0, 1 << 10, writing(nil, websocket.Text)},
	{"text/64KiB", 0, 64 << 10, writing(nil, websocket.Text)},
	{"text without WriteTimeout/128B", 0, 128, writing(&websocket.Options{WriteTimeout: -1}, websocket.Text)},
	{"compressed/1KiB", 0, 1 << 10, writing(compressing(0, 0), websocket.Text)},
	{"compressed without takeover/1KiB", 0, 1 << 10, writing(compressing(-1, -1), websocket.Text)},
}

func writing(opts *websocket.Options, typ websocket.MessageType) func(testing.TB, int) func() {
	return func(tb testing.TB, size int) func() {
		c, conn := upgradeFrugally(tb, opts, nil)
		message := sample(size, 1)
		once := func() {
			if err := c.Write(context.Background(), typ, message); err != nil {
				tb.Fatal(err)
			}
		}
		expectWritten(tb, conn, once, size, opts != nil && opts.Compression != nil)
		return once
	}
}

// expectWritten checks that once writes as many bytes as it has to, or fewer if they
// are compressed.
func expectWritten(tb testing.TB, conn *frugalConn, once func(), size int, compressed bool) {
	tb.Helper()
	before := conn.written
	once()
	plain := len(frame.Append(nil, frame.Header{Length: uint64(size)})) + size
	if got := conn.written - before; (got == plain) == compressed || got == 0 {
		tb.Fatalf("wrote %d bytes; uncompressed, they are %d", got, plain)
	}
}

var writePreparedCosts = []cost{
	{"1KiB", 0, 1 << 10, writingPrepared(nil)},
	{"64KiB", 0, 64 << 10, writingPrepared(nil)},
	{"compressed/1KiB", 0, 1 << 10, writingPrepared(compressing(0, 0))},
}

func writingPrepared(opts *websocket.Options) func(testing.TB, int) func() {
	return func(tb testing.TB, size int) func() {
		c, conn := upgradeFrugally(tb, opts, nil)
		m := prepare(tb, websocket.Text, sample(size, 1))
		once := func() {
			if err := c.WritePrepared(context.Background(), m); err != nil {
				tb.Fatal(err)
			}
		}
		expectWritten(tb, conn, once, size, opts != nil)
		return once
	}
}

// What waits in a queue has memory of its own, and a goroutine is started to send it.
var trySendCosts = []cost{
	{"text/128B", 3, 128, func(tb testing.TB, size int) func() {
		c, conn := upgradeFrugally(tb, nil, nil)
		message := sample(size, 1)
		once := func() {
			if err := c.TrySend(websocket.Text, message); err != nil {
				tb.Fatal(err)
			}
			awaitSent(c)
		}
		expectWritten(tb, conn, once, size, false)
		return once
	}},
}

var broadcastCosts = []cost{
	{"128B to 100", 200, 128, func(tb testing.TB, size int) func() {
		var group websocket.Group
		conns := make([]*frugalConn, 100)
		members := make([]*websocket.Conn, len(conns))
		for i := range conns {
			members[i], conns[i] = upgradeFrugally(tb, &websocket.Options{Group: &group}, nil)
		}
		m := prepare(tb, websocket.Text, sample(size, 1))
		once := func() {
			if skipped := group.Broadcast(m); skipped > 0 {
				tb.Fatalf("%d were skipped", skipped)
			}
			for _, c := range members {
				awaitSent(c)
			}
		}
		for _, conn := range conns {
			expectWritten(tb, conn, once, size, false)
		}
		return once
	}},
}

// awaitSent waits until the queue is empty.
func awaitSent(c *websocket.Conn) {
	for c.Stats().Queued > 0 {
		runtime.Gosched()
	}
}

var serveCosts = []cost{
	{"text/128B", 0, 128, echoServing(1)},
	{"text/1KiB", 0, 1 << 10, echoServing(1)},
	{"16 at once/128B", 0, 128, echoServing(16)},
}

// echoServing echoes n messages that come at once. Serve is a coroutine, so that it is
// measured from one burst to the next.
func echoServing(n int) func(testing.TB, int) func() {
	return func(tb testing.TB, size int) func() {
		message := wstest.Frame(frame.Text, true, sample(size, 1))
		c, conn := upgradeFrugally(tb, nil, bytes.Repeat(message, n))
		next, stop := iter.Pull(func(yield func(struct{}) bool) {
			conn.next = func() bool { return yield(struct{}{}) }
			c.Serve(echoing{})
		})
		tb.Cleanup(stop)
		next() // nothing has come yet
		before := conn.written
		next()
		if got, want := conn.written-before, n*(len(message)-4); got != want {
			tb.Fatalf("wrote %d bytes, want %d", got, want)
		}
		return func() { next() }
	}
}

type echoing struct{}

func (echoing) OnMessage(c *websocket.Conn, m websocket.Message) error {
	return c.Write(context.Background(), m.Type, m.Data)
}

func (echoing) OnClose(*websocket.Conn, error) {}
