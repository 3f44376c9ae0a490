package wstest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// Frames of servers that have something wrong with them.

func h2frame(kind h2Kind, flags byte, stream uint32, payload string) string {
	return string(appendFrame(nil, kind, flags, stream, []byte(payload)))
}

// h2frame32 is a frame that holds a number.
func h2frame32(kind h2Kind, stream, n uint32) string {
	return h2frame(kind, 0, stream, string(binary.BigEndian.AppendUint32(nil, n)))
}

func h2setting(id uint16, value uint32) string {
	return h2frame(h2Settings, 0, 0, string(appendSetting(nil, id, value)))
}

// h2headers are complete HEADERS of stream 1, of lines like those of Open.
func h2headers(flags byte, lines ...string) string {
	var block []byte
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		block = appendField(block, h2Field{name, value})
	}
	return h2frame(h2Headers, flags|h2EndHeaders, 1, string(block))
}

var (
	h2hello = h2frame(h2Settings, 0, 0, "")
	h2ok    = h2hello + h2headers(0, ":status: 200")
)

// h2Fault is what a server sends before it is silent, and what becomes of that.
type h2Fault struct {
	name string
	sent string
	want string // part of the error
	code H2Code // of the client's GOAWAY
}

func TestH2Faults(t *testing.T) {
	testFaults(t, []h2Fault{
		{"HTTP/1", "HTTP/1.1 400 Bad Request\r\n\r\n", "server speaks HTTP/1", 0},
		{"silence", "", "i/o timeout", 0},
		{"no SETTINGS", h2frame(h2Ping, 0, 0, "12345678"), "PING before SETTINGS", H2ProtocolError},
		{"only acknowledges", h2frame(h2Settings, h2Ack, 0, ""), "SETTINGS before SETTINGS", H2ProtocolError},
		{"SETTINGS on a stream", h2frame(h2Settings, 0, 1, ""), "SETTINGS on stream 1", H2ProtocolError},
		{"SETTINGS of 5 bytes", h2frame(h2Settings, 0, 0, "12345"), "SETTINGS of 5 bytes", H2FrameSizeError},
		{"acknowledges with settings", h2hello + h2frame(h2Settings, h2Ack, 0, "123456"), "SETTINGS of 6 bytes", H2FrameSizeError},
		{"initial window", h2setting(h2InitialWindowSize, 1<<31), "INITIAL_WINDOW_SIZE is 2147483648", H2FlowControlError},
		{"initial window that makes another too large", h2hello + h2frame32(h2WindowUpdate, 1, h2LargestWindow-h2DefaultWindow) + h2setting(h2InitialWindowSize, h2DefaultWindow+1), "stream 1 too large", H2FlowControlError},
		{"small frames", h2setting(h2MaxFrameSize, h2DefaultFrame-1), "MAX_FRAME_SIZE is 16383", H2ProtocolError},
		{"large frames", h2setting(h2MaxFrameSize, h2LargestFrame+1), "MAX_FRAME_SIZE is 16777216", H2ProtocolError},
		{"extended CONNECT", h2setting(h2EnableConnectProtocol, 2), "CONNECT_PROTOCOL is 2", H2ProtocolError},
		{"extended CONNECT taken back", h2setting(h2EnableConnectProtocol, 1) + h2setting(h2EnableConnectProtocol, 0), "CONNECT_PROTOCOL is 0", H2ProtocolError},

		{"frame cut short", h2hello + h2headers(0, ":status: 200")[:12], "i/o timeout", 0},
		{"frame too large", h2hello + "\x00\x40\x01" + h2headers(0, ":status: 200")[3:], "HEADERS of 16385 bytes", H2FrameSizeError},
		{"PING of 7 bytes", h2hello + h2frame(h2Ping, 0, 0, "1234567"), "PING of 7 bytes", H2FrameSizeError},
		{"GOAWAY of 7 bytes", h2hello + h2frame(h2GoAway, 0, 0, "1234567"), "GOAWAY of 7 bytes", H2FrameSizeError},
		{"PUSH_PROMISE", h2hello + h2frame(h2PushPromise, h2EndHeaders, 1, "\x00\x00\x00\x02"), "PUSH_PROMISE", H2ProtocolError},
		{"CONTINUATION of nothing", h2hello + h2frame(h2Continuation, h2EndHeaders, 1, ""), "CONTINUATION", H2ProtocolError},
		{"frame within a header block", h2hello + h2frame(h2Headers, 0, 1, "") + h2frame(h2Ping, 0, 0, "12345678"), "PING on stream 0 within the header block of stream 1", H2ProtocolError},
		{"block of two streams", h2hello + h2frame(h2Headers, 0, 1, "") + h2frame(h2Continuation, 0, 3, ""), "CONTINUATION on stream 3 within the header block of stream 1", H2ProtocolError},
		{"endless header block", h2hello + h2frame(h2Headers, 0, 1, "") + strings.Repeat(h2frame(h2Continuation, 0, 1, strings.Repeat("\x88", h2DefaultFrame)), 17), "header block of more than", H2EnhanceYourCalm},
		{"stream of nobody", h2hello + h2frame(h2Data, 0, 3, "x"), "DATA on stream 3, which nobody has opened", H2ProtocolError},
		{"stream of the server's", h2hello + h2frame(h2Headers, h2EndHeaders, 2, "\x88"), "HEADERS on stream 2, which nobody has opened", H2ProtocolError},
		{"DATA of the connection", h2hello + h2frame(h2Data, 0, 0, "x"), "DATA on stream 0", H2ProtocolError},

		{"window opened by 0", h2hello + h2frame32(h2WindowUpdate, 0, 0), "WINDOW_UPDATE of 0 on stream 0", H2ProtocolError},
		{"window of the connection", h2hello + h2frame32(h2WindowUpdate, 0, h2LargestWindow), "stream 0 too large", H2FlowControlError},
		{"window of the stream", h2hello + h2frame32(h2WindowUpdate, 1, h2LargestWindow), "stream 1 too large", H2FlowControlError},
	})
}

func TestH2ResponseFaults(t *testing.T) {
	goAway := func(last, code uint32, debug string) string {
		b := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, last), code)
		return h2frame(h2GoAway, 0, 0, string(b)+debug)
	}
	testFaults(t, []h2Fault{
		{"DATA first", h2hello + h2frame(h2Data, 0, 1, "x"), "DATA before HEADERS", H2ProtocolError},
		{"no fields", h2hello + h2headers(0), "do not begin with :status", H2ProtocolError},
		{":status after others", h2hello + h2headers(0, "a: b", ":status: 200"), "do not begin with :status", H2ProtocolError},
		{":status is no number", h2hello + h2headers(0, ":status: OK"), `is "OK"`, H2ProtocolError},
		{":status is small", h2hello + h2headers(0, ":status: 99"), `is "99"`, H2ProtocolError},
		{"two of :status", h2hello + h2headers(0, ":status: 200", ":status: 200"), `field ":status"`, H2ProtocolError},
		{"name in upper case", h2hello + h2headers(0, ":status: 200", "Date: x"), `field "Date"`, H2ProtocolError},
		{"end after an informational response", h2hello + h2headers(h2EndStream, ":status: 100"), "ends with status 100", H2ProtocolError},
		{"index of the dynamic table", h2hello + h2frame(h2Headers, h2EndHeaders, 1, "\xbe"), "index 62", H2CompressionError},
		{"second HEADERS", h2ok + h2headers(0, "a: b"), "second HEADERS", H2ProtocolError},
		{"padding of DATA", h2ok + h2frame(h2Data, h2Padded, 1, "\x03xx"), "more padding", H2ProtocolError},
		{"no padding at all", h2ok + h2frame(h2Data, h2Padded, 1, ""), "more padding", H2ProtocolError},
		{"padding of HEADERS", h2hello + h2frame(h2Headers, h2Padded|h2HasPriority|h2EndHeaders, 1, "\x0112345"), "more padding", H2ProtocolError},
		{"no room for the priority", h2hello + h2frame(h2Headers, h2HasPriority|h2EndHeaders, 1, "1234"), "more padding", H2ProtocolError},
		{"reset", h2ok + h2frame32(h2ResetStream, 1, uint32(H2RefusedStream)), "REFUSED_STREAM", 0},
		{"reset with an unknown code", h2ok + h2frame32(h2ResetStream, 1, 99), "error code 0x63", 0},
		{"GOAWAY", h2ok + goAway(0, uint32(H2EnhanceYourCalm), "too much"), `stream 0: ENHANCE_YOUR_CALM "too much"`, 0},
		{"GOAWAY, then something wrong", h2ok + goAway(1, uint32(H2InternalError), "") + h2frame32(h2WindowUpdate, 0, 0), "stream 1: INTERNAL_ERROR", 0},
	})
}

func testFaults(t *testing.T, faults []h2Fault) {
	for _, tt := range faults {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, client := Pipe(1 << 20)
				mustDo(t, client.SetReadDeadline(in(Patience)))
				code := play(t, server, tt.sent)
				_, err := exchange(client)
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got error %v, want one with %q", err, tt.want)
				}
				if got := <-code; got != tt.code {
					t.Errorf("client goes away with %v, want %v", got, tt.code)
				}
			})
		})
	}
}

// exchange asks for something, waits for the end of the response, and gives
// everything up.
func exchange(client net.Conn) (body []byte, err error) {
	h, err := HTTP2(client)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	s, err := h.Open(true, request("GET", "/")...)
	if err != nil {
		return nil, err
	}
	if _, _, err = s.Response(); err != nil {
		return nil, err
	}
	return io.ReadAll(s)
}

// play plays a server that sends its first frame at once, and the rest when there is
// a request. The channel gets the code of the GOAWAY with which the client ends.
func play(t *testing.T, server *PipeConn, sent string) <-chan H2Code {
	code := make(chan H2Code, 1)
	go func() {
		defer server.Close()
		r := bufio.NewReader(server)
		first := len(h2hello)
		if len(sent) >= first {
			first = min(len(sent), first+int(sent[0])<<16+int(sent[1])<<8+int(sent[2]))
		} else {
			first = len(sent)
		}
		io.WriteString(server, sent[:first])
		preface := make([]byte, len(h2Preface))
		if _, err := io.ReadFull(r, preface); err != nil || string(preface) != h2Preface {
			t.Errorf("client begins with %q, error %v", preface, err)
		}
		var f h2Frame
		for {
			next, err := nextFrame(r)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Errorf("client: %v", err)
			}
			if f = next; f.kind == h2Headers {
				io.WriteString(server, sent[first:])
			}
		}
		if f.kind != h2GoAway || len(f.payload) != 8 {
			t.Errorf("client ends with %v of %d bytes, want GOAWAY of 8", f.kind, len(f.payload))
			f.payload = make([]byte, 8)
		}
		code <- H2Code(binary.BigEndian.Uint32(f.payload[4:]))
	}()
	return code
}

// oneByte is a connection on which bytes come one at a time.
type oneByte struct{ net.Conn }

func (c oneByte) Read(p []byte) (int, error) { return c.Conn.Read(p[:min(len(p), 1)]) }

// TestH2StreamFaults is about a stream that the client has not ended, and does not
// read from.
func TestH2StreamFaults(t *testing.T) {
	for _, tt := range []struct {
		name, sent, want string
		code             H2Code
	}{
		{"DATA beyond the window", h2ok + strings.Repeat(h2frame(h2Data, 0, 1, strings.Repeat("x", h2DefaultFrame)), 4), "whose window has 16383", H2FlowControlError},
		{"DATA after the end", h2hello + h2headers(h2EndStream, ":status: 200") + h2frame(h2Data, 0, 1, "x"), "DATA on stream 1 after its end", H2StreamClosed},
		{"HEADERS after the end", h2hello + h2headers(h2EndStream, ":status: 200") + h2headers(0, "a: b"), "HEADERS on stream 1 after its end", H2StreamClosed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, client := Pipe(1 << 20)
				code := play(t, server, tt.sent)
				h, err := HTTP2(client)
				mustDo(t, err)
				defer h.Close()
				mustRespond(t, mustOpen(t, h, false), 200)
				if got := <-code; got != tt.code {
					t.Errorf("client goes away with %v, want %v", got, tt.code)
				}
				if _, err := h.Open(true); err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got error %v, want one with %q", err, tt.want)
				}
			})
		})
	}
}

// TestH2Harmless has the server send what is unusual, but right.
func TestH2Harmless(t *testing.T) {
	end := h2frame(h2Data, h2EndStream, 1, "")
	for _, tt := range []struct{ name, sent string }{
		{"a byte", h2frame(h2Data, 0, 1, "x") + end},
		{"padding", h2frame(h2Data, h2Padded, 1, "\x03x123") + end},
		{"nothing but padding", h2frame(h2Data, h2Padded, 1, "\x03123") + h2frame(h2Data, h2EndStream, 1, "x")},
		{"padding beyond the window", strings.Repeat(h2frame(h2Data, h2Padded, 1, "\xff"+strings.Repeat("p", 255)), 100) + h2frame(h2Data, h2EndStream, 1, "x")},
		{"trailers", h2frame(h2Data, 0, 1, "x") + h2headers(h2EndStream, "late: yes")},
		{"priority", h2frame(h2Priority, 0, 1, "12345") + h2frame(h2Data, h2EndStream, 1, "x")},
		{"unknown frame", h2frame(0xbe, 0xff, 7, "?") + h2frame(h2Data, h2EndStream, 1, "x")},
		{"unknown setting", h2setting(0xbeef, 1) + h2frame(h2Data, h2EndStream, 1, "x")},
		{"GOAWAY", h2frame(h2GoAway, 0, 0, "\x00\x00\x00\x01\x00\x00\x00\x00") + h2frame(h2Data, h2EndStream, 1, "x")},
		{"reset after the end", h2frame(h2Data, h2EndStream, 1, "x") + h2frame32(h2ResetStream, 1, 0)},
		{"late DATA", h2frame(h2Data, h2EndStream, 1, "x") + h2frame(h2Data, 0, 1, "late")},
	} {
		for _, headers := range []string{
			h2headers(0, ":status: 103", "link: x") + h2headers(0, ":status: 200"),
			h2frame(h2Headers, 0, 1, "") + h2frame(h2Continuation, 0, 1, "") + h2frame(h2Continuation, h2EndHeaders, 1, "\x88"),
			h2frame(h2Headers, h2Padded|h2HasPriority|h2EndHeaders, 1, "\x0212345\x88pp"),
		} {
			t.Run(tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					server, client := Pipe(1 << 20)
					code := play(t, server, h2hello+headers+tt.sent)
					body, err := exchange(oneByte{client})
					if err != nil || string(body) != "x" {
						t.Errorf("body %q, error %v", body, err)
					}
					if got := <-code; got != H2NoError {
						t.Errorf("client goes away with %v", got)
					}
				})
			})
		}
	}
}

// TestH2CutOff ends the connection after each byte.
func TestH2CutOff(t *testing.T) {
	rest := h2headers(0, ":status: 200") + h2frame(h2Data, 0, 1, "x") + h2frame(h2Data, h2EndStream, 1, "y")
	for n := range len(rest) {
		synctest.Test(t, func(t *testing.T) {
			server, client := Pipe(0)
			io.WriteString(server, h2hello)
			go func() {
				synctest.Wait() // for the request
				io.WriteString(server, rest[:n])
				server.Close()
			}()
			if body, err := exchange(client); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("first %d bytes: body %q, error %v", n, body, err)
			}
		})
	}
}

// TestH2DeafServer has the server ask, but not read the answers.
func TestH2DeafServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := Pipe(0)
		defer server.Close()
		go func() {
			_, err := io.WriteString(server, h2hello)
			for err == nil {
				_, err = io.WriteString(server, h2frame(h2Ping, 0, 0, "12345678"))
			}
		}()
		_, err := exchange(client)
		if err == nil || !strings.Contains(err.Error(), "does not read the answers") {
			t.Errorf("error %v", err)
		}
	})
}

// TestH2WriteError has writing fail.
func TestH2WriteError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, client := Pipe(0)
		mustDo(t, client.SetWriteDeadline(in(0)))
		if _, err := HTTP2(client); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("error %v, want that of Write", err)
		}
	})
}

// TestH2Windows checks that no more is sent than the server allows, and that its
// changes of mind count.
func TestH2Windows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := Pipe(1 << 20)
		defer server.Close()
		send := func(frames ...string) {
			io.WriteString(server, strings.Join(frames, ""))
			synctest.Wait()
		}
		send(h2setting(h2InitialWindowSize, 10))
		h, err := HTTP2(client)
		mustDo(t, err)
		defer h.Close()
		s, other := mustOpen(t, h, false), mustOpen(t, h, false)
		write := start(s.Write, make([]byte, h2LargestFrame))
		sent := func(s *H2Stream, want int) {
			t.Helper()
			h.mu.Lock()
			defer h.mu.Unlock()
			if got := h.initialWindow - s.window; got != want {
				t.Errorf("%d bytes sent on stream %d, want %d", got, s.id, want)
			}
		}
		sent(s, 10)
		send(h2setting(h2InitialWindowSize, 4)) // so the stream's window is -6
		sent(s, 10)
		send(h2frame32(h2WindowUpdate, 1, 6))
		blocked(t, write)
		send(h2frame32(h2WindowUpdate, 1, 1))
		blocked(t, write)
		send(h2setting(h2InitialWindowSize, 1<<20)) // now the connection's window is in the way
		blocked(t, write)
		check(t, <-start(other.Write, nil), result{})
		second := start(other.Write, []byte("x"))
		blocked(t, second)
		send(h2frame32(h2WindowUpdate, 0, 100000), h2frame32(h2WindowUpdate, 1, h2LargestFrame), h2frame32(h2WindowUpdate, 0, h2LargestFrame))
		blocked(t, write) // for nobody reads what is sent
		go io.Copy(io.Discard, server)
		check(t, <-write, result{h2LargestFrame, nil, 0})
		check(t, <-second, result{1, nil, 0})
	})
}

// FuzzH2 has the server answer with anything. The client must come to an end.
func FuzzH2(f *testing.F) {
	f.Add(h2headers(0, ":status: 200") + h2frame(h2Data, h2EndStream, 1, "x"))
	f.Add(h2headers(0, ":status: 200", "a: b") + h2frame(h2Data, h2Padded, 1, "\x03x123") + h2headers(h2EndStream, "late: yes"))
	f.Add(h2frame(h2Headers, 0, 1, "\x88") + h2frame(h2Continuation, h2EndHeaders, 1, "\x48\x82\x64\x02"))
	f.Add(h2setting(h2InitialWindowSize, 1) + h2frame(h2Ping, 0, 0, "12345678") + h2frame32(h2WindowUpdate, 1, 1) + h2frame32(h2ResetStream, 1, 8))
	f.Add(h2frame(h2GoAway, 0, 0, "\x00\x00\x00\x01\x00\x00\x00\x00why"))
	f.Fuzz(func(t *testing.T, answer string) {
		server, client := Pipe(len(answer) + 1<<17)
		mustDo(t, client.SetDeadline(in(Patience)))
		go func() {
			io.WriteString(server, h2hello)
			r := bufio.NewReader(server)
			io.ReadFull(r, make([]byte, len(h2Preface)))
			for f, err := nextFrame(r); err == nil && f.kind != h2Headers; {
				f, err = nextFrame(r)
			}
			io.WriteString(server, answer)
			server.CloseWrite()
		}()
		h, err := HTTP2(client)
		mustDo(t, err)
		defer h.Close()
		s := mustOpen(t, h, false, request("POST", "/")...)
		var write sync.WaitGroup
		write.Go(func() { s.Write(make([]byte, 1<<16)) })
		defer write.Wait()
		if status, _, err := s.Response(); err == nil && status < 200 {
			t.Errorf("status %d", status)
		}
		if _, err := io.ReadAll(s); err == net.ErrClosed || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestH2Continuation reads header blocks in several frames as they were.
func TestH2Continuation(t *testing.T) {
	const block = "0123456789"
	for maxFrame := 1; maxFrame <= len(block)+1; maxFrame++ {
		b := appendHeaders(nil, h2EndStream, 3, []byte(block), maxFrame)
		frames := (len(block) + maxFrame - 1) / maxFrame
		if want := len(block) + frames*len(h2hello); len(b) != want {
			t.Errorf("frames of %d take %d bytes, want %d", maxFrame, len(b), want)
		}
		f, err := nextFrame(bufio.NewReader(bytes.NewReader(b)))
		if err != nil || f.kind != h2Headers || f.flags != h2EndStream|h2EndHeaders || f.stream != 3 || string(f.payload) != block {
			t.Errorf("frames of %d: got %+v, error %v", maxFrame, f, err)
		}
	}
}

func TestH2Names(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{fmt.Sprint(H2NoError, H2FlowControlError, H2StreamClosed, H2FrameSizeError), "NO_ERROR FLOW_CONTROL_ERROR STREAM_CLOSED FRAME_SIZE_ERROR"},
		{fmt.Sprint(H2RefusedStream, H2Cancel, H2CompressionError, H2EnhanceYourCalm), "REFUSED_STREAM CANCEL COMPRESSION_ERROR ENHANCE_YOUR_CALM"},
		{fmt.Sprint(H2Code(14), h2Continuation, h2Kind(10)), "error code 0xe CONTINUATION frame of type 0xa"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}
