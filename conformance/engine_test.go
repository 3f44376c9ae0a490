package conformance

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

// scripted is a server that does what a test wants.
type scripted struct {
	conn net.Conn
	br   *bufio.Reader
	got  []string // the frames that the client sent
}

// playScript plays a case against a server that follows a script and then ends
// TCP, in a bubble where waiting takes no time.
func playScript(t *testing.T, text string, script func(*scripted)) (r Result) {
	t.Helper()
	r, _ = record(t, text, script)
	return r
}

// record is playScript, and returns what the client wrote behind its handshake,
// write by write, for each connection.
func record(t *testing.T, text string, script func(*scripted)) (r Result, written [][]string) {
	t.Helper()
	return recordWith(t, &Options{URL: "ws://server.example/chat"}, text, script)
}

func recordWith(t *testing.T, o *Options, text string, script func(*scripted)) (r Result, written [][]string) {
	t.Helper()
	c := parseOne(t, strings.Split(text, "\n")...)
	if !strings.Contains(text, "chop ") {
		c.chops = []chop{together}
	}
	synctest.Test(t, func(t *testing.T) {
		to, err := newTarget(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		to.giveUp = func(error) {}
		var servers sync.WaitGroup
		to.dialer = func(context.Context, string, string) (net.Conn, error) {
			client, server := wstest.Pipe(1 << 20)
			servers.Go(func() {
				defer server.Close()
				script(&scripted{conn: server, br: bufio.NewReader(server)})
			})
			recorder := &recorder{PipeConn: client}
			t.Cleanup(func() { written = append(written, recorder.writes) })
			return recorder, nil
		}
		r = c.run(to)
		servers.Wait()
	})
	slices.Reverse(written)
	return r, written
}

// recorder remembers what is written behind the handshake.
type recorder struct {
	*wstest.PipeConn
	switched bool
	writes   []string
}

func (r *recorder) Write(b []byte) (int, error) {
	_, rest, head := strings.Cut(string(b), "\r\n\r\n")
	switch {
	case r.switched:
		r.writes = append(r.writes, string(b))
	case head:
		r.switched = true
		r.writes = append(r.writes, rest)
	}
	return r.PipeConn.Write(b)
}

// request reads the head of a request.
func (s *scripted) request() {
	for {
		line, err := s.br.ReadString('\n')
		if err != nil || line == "\r\n" {
			return
		}
	}
}

const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

// accept answers the handshake, with more fields if there are some.
func (s *scripted) accept(fields ...string) {
	s.request()
	s.write(switching + strings.Join(append(fields, ""), "\r\n") + "\r\n")
}

func (s *scripted) write(text string) { io.WriteString(s.conn, text) }

func (s *scripted) send(h frame.Header, payload string) {
	h.Length = uint64(len(payload))
	s.write(string(frame.Append(nil, h)) + payload)
}

func (s *scripted) text(payload string) { s.send(frame.Header{Fin: true, Opcode: frame.Text}, payload) }
func (s *scripted) ping(payload string) { s.send(frame.Header{Fin: true, Opcode: frame.Ping}, payload) }
func (s *scripted) pong(payload string) { s.send(frame.Header{Fin: true, Opcode: frame.Pong}, payload) }
func (s *scripted) close(code int) {
	s.send(frame.Header{Fin: true, Opcode: frame.Close}, string([]byte{byte(code >> 8), byte(code)}))
}

// frame reads a frame from the client.
func (s *scripted) frame() (h frame.Header, payload string, ok bool) {
	for n := 2; ; n++ {
		b, err := s.br.Peek(n)
		if err != nil {
			return h, "", false
		}
		h, size, err := frame.Parse(b)
		if err != nil {
			return h, "", false
		}
		if size == 0 {
			continue
		}
		s.br.Discard(size)
		data := make([]byte, h.Length)
		if _, err := io.ReadFull(s.br, data); err != nil {
			return h, "", false
		}
		frame.Mask(data, h.Key, 0)
		s.got = append(s.got, fmt.Sprintf("%v %q", h.Opcode, data))
		return h, string(data), true
	}
}

// until reads up to the next frame with op.
func (s *scripted) until(op frame.Opcode) (payload string) {
	for {
		h, payload, ok := s.frame()
		if !ok || h.Opcode == op {
			return payload
		}
	}
}

// serve answers pings, and goes on until the client closes.
func (s *scripted) serve() {
	for {
		switch h, payload, ok := s.frame(); {
		case !ok:
			return
		case h.Opcode == frame.Ping:
			s.pong(payload)
		case h.Opcode == frame.Close:
			s.close(1000)
			return
		}
	}
}

// hang leaves the connection open until the client goes.
func (s *scripted) hang() { io.Copy(io.Discard, s.br) }

// A verdictRow is what a script makes of a case.
type verdictRow struct {
	name    string
	text    string // of the case
	script  func(*scripted)
	verdict Verdict
	note    string // a part of it; "" for no note
}

func testVerdicts(t *testing.T, rows []verdictRow) {
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			r := playScript(t, tt.text, tt.script)
			if r.Verdict != tt.verdict || !strings.Contains(r.Note, tt.note) || tt.note == "" && r.Note != "" {
				t.Errorf("%v: %q; want %v: %q\n%s", r.Verdict, r.Note, tt.verdict, tt.note, dialogueText(r.Dialogue))
			}
		})
	}
}

// answering is for servers that accept, read a message and do something.
func answering(script func(s *scripted)) func(*scripted) {
	return func(s *scripted) {
		s.accept()
		s.frame()
		script(s)
	}
}

func TestMessages(t *testing.T) {
	const echo, nothing = "> text \"hello\"\n< echo", "< nothing"
	testVerdicts(t, []verdictRow{
		{"an echo", echo, answering(func(s *scripted) { s.text("hello"); s.serve() }), Pass, ""},
		{"in fragments, with pings", echo, answering(func(s *scripted) {
			s.send(frame.Header{Opcode: frame.Text}, "hel")
			s.ping("there?")
			s.send(frame.Header{Fin: true}, "lo")
			if got := s.until(frame.Pong); got != "there?" {
				s.text("the ping was answered with " + got)
			}
			s.serve()
		}), Pass, ""},
		{"with an unasked pong", echo, answering(func(s *scripted) { s.pong("!"); s.text("hello"); s.serve() }), Pass, ""},
		{"other text", echo, answering(func(s *scripted) { s.text("hallo"); s.hang() }), Fail, `text "hallo" (5 bytes) in place of the echo (text, 5 bytes)`},
		{"another type", echo, answering(func(s *scripted) { s.send(frame.Header{Fin: true, Opcode: frame.Binary}, "hello"); s.hang() }), Fail, "binary"},
		{"twice", echo, answering(func(s *scripted) { s.text("hello"); s.text("hello"); s.serve() }), Fail, "one message more"},
		{"no echo", echo, answering((*scripted).hang), Fail, "nothing for 5s in place of the echo"},
		{"no echo, but pings for ever", echo, answering(func(s *scripted) {
			for {
				s.ping("")
				if _, err := s.conn.Write(nil); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}), Fail, "nothing for 5s"},
		{"the end", echo, answering(func(*scripted) {}), Fail, "the end of TCP without a close frame in place of the echo"},
		{"a close frame", echo, answering(func(s *scripted) { s.close(1011); s.until(frame.Close) }), Fail, "a close frame with 1011 in place"},
		{"a message that takes its time", echo, answering(func(s *scripted) {
			s.write("\x81\x05")
			for _, c := range "hello" {
				time.Sleep(4 * time.Second)
				s.write(string(c))
			}
			s.serve()
		}), Pass, ""},
		{"a message that takes for ever", echo, answering(func(s *scripted) {
			s.write("\x81\x7e\x10\x00")
			for range 30 {
				time.Sleep(4 * time.Second)
				s.write("x")
			}
		}), Fail, "not done after 1m2s"},
		{"a message that was not sent", "> text \"a\"\n< text \"b\"", answering(func(s *scripted) { s.text("b"); s.serve() }), Pass, ""},
		{"an alternative", echo + "\nor non-strict text \"bye\"", answering(func(s *scripted) { s.text("bye"); s.serve() }), NonStrict, `text "bye" (3 bytes) where echo is best`},
		{"no answer to the close frame", echo, answering(func(s *scripted) { s.text("hello"); s.hang() }), Pass, ""},
		{"nothing", nothing, func(s *scripted) { s.accept(); s.serve() }, Pass, ""},
		{"a greeting", nothing, func(s *scripted) { s.accept(); s.text("welcome"); s.serve() }, Fail, `text "welcome" (7 bytes) in place of nothing but a pong`},
		{"the end in place of nothing", nothing, func(s *scripted) { s.accept() }, Fail, "the end of TCP"},
		{"the end, which is allowed", nothing + "\nor non-strict end", func(s *scripted) { s.accept() }, NonStrict, "the end of TCP"},
		{"silence, which is allowed", echo + "\nor non-strict nothing", answering((*scripted).serve), NonStrict, "nothing for 5s where echo is best"},
	})
}

func TestPongs(t *testing.T) {
	const one, two = "> ping \"1\"\n< pong \"1\"", "> ping \"1\"\n> ping \"2\"\n< pong \"1\"\n< pong \"2\""
	testVerdicts(t, []verdictRow{
		{"a pong", one, func(s *scripted) { s.accept(); s.serve() }, Pass, ""},
		{"behind an unasked one", one, answering(func(s *scripted) { s.pong("0"); s.pong("1"); s.serve() }), Pass, ""},
		{"another", one, answering(func(s *scripted) { s.pong("2"); s.hang() }), Fail, `nothing for 5s in place of pong "1"`},
		{"none", one, answering((*scripted).hang), Fail, "nothing for 5s"},
		{"the end", one, answering(func(*scripted) {}), Fail, "the end of TCP"},
		{"a message on the way", one, answering(func(s *scripted) { s.text("!"); s.pong("1"); s.serve() }), Fail, "one message more"},
		{"both", two, func(s *scripted) { s.accept(); s.serve() }, Pass, ""},
		{"the last", two, answering(func(s *scripted) { s.frame(); s.pong("2"); s.serve() }), Informational, "not all were answered"},
		{"the first", two, answering(func(s *scripted) { s.frame(); s.pong("1"); s.hang() }), Fail, `in place of pong "2"`},
		{"in the wrong order", two, answering(func(s *scripted) { s.frame(); s.pong("2"); s.pong("1"); s.serve() }), Informational, "not all were answered"},
		{"one or the other", one + "\nor non-strict pong \"0\"", answering(func(s *scripted) { s.pong("0"); s.pong("1"); s.serve() }), NonStrict, `pong "0" (1 byte) where pong "1" is best`},
		{"failing instead", "> ping len16 \"1\"\n< fail 1002\nor non-strict pong \"1\"", func(s *scripted) { s.accept(); s.close(1002); s.hang() }, Fail, "did not close TCP"},
	})
}

func TestClosing(t *testing.T) {
	const closes, fails = "> close 1000\n< close 1000", "> text rsv1 \"x\"\n< fail 1002"
	closing := func(code int) func(*scripted) { return answering(func(s *scripted) { s.close(code) }) }
	testVerdicts(t, []verdictRow{
		{"the same code", closes, closing(1000), Pass, ""},
		{"another code", closes, closing(1001), NonStrict, "a close frame with 1001 where close 1000 is best"},
		{"a reserved code", closes, closing(2000), NonStrict, "2000"},
		{"no code", closes, answering(func(s *scripted) { s.send(frame.Header{Fin: true, Opcode: frame.Close}, "") }), NonStrict, "a close frame without a code"},
		{"one of two codes", "> close\n< close 1005 1000", closing(1000), Pass, ""},
		{"no close frame", closes, answering(func(*scripted) {}), Fail, "the end of TCP without a close frame in place of close 1000"},
		{"no end", closes, answering(func(s *scripted) { s.close(1000); s.hang() }), Fail, "7.1.1: the server did not close TCP"},
		{"nothing at all", closes, answering((*scripted).hang), Fail, "nothing for 5s"},
		{"a message first", closes, answering(func(s *scripted) { s.text("x"); s.close(1000) }), Fail, `text "x"`},
		{"the failure it ought to be", fails, closing(1002), Pass, ""},
		{"a failure with another code", fails, closing(1007), NonStrict, "1007"},
		{"a failure without a close frame", fails, answering(func(*scripted) {}), NonStrict, "the end of TCP without a close frame"},
		{"an end is all", "> text rsv1 \"x\"\n< fail", answering(func(*scripted) {}), Pass, ""},
		{"no failure", fails, answering(func(s *scripted) { s.text("x"); s.serve() }), Fail, `text "x" (1 byte) in place of fail 1002`},
		{"a failure that waits for the client's close frame", fails, answering(func(s *scripted) { s.close(1002); s.until(frame.Close) }), Pass, ""},
		{"a failure that does not end", fails, answering(func(s *scripted) { s.close(1002); s.hang() }), Fail, "7.1.1"},
		{"the better of two", "> close 1012\n< close 1012\nor informational fail 1002", closing(1002), Informational, "a close frame with 1002 where close 1012 is best"},
		{"an end with a close frame", "> half-close\n< end", func(s *scripted) { s.accept(); s.hang(); s.close(1000) }, Pass, ""},
		{"an end without", "> half-close\n< end", func(s *scripted) { s.accept(); s.hang() }, Pass, ""},
		{"still open", "< idle", func(s *scripted) { s.accept(); s.hang() }, Informational, "still open after 2s"},
		{"a message of its own", "< idle", func(s *scripted) { s.accept(); s.text("still there?"); s.hang() }, Fail, "one message more"},
		{"closed at last", "< idle", func(s *scripted) { s.accept(); time.Sleep(time.Second); s.close(1001) }, Informational, "a close frame with 1001 after 1s"},
	})
}

func TestEarly(t *testing.T) {
	const early, informational = "> text <ff>-\n< early 1007\n> cont \"x\"\n< fail 1007", "> claim text 9 \"x\"\n< early 1009\nor informational nothing"
	testVerdicts(t, []verdictRow{
		{"at once", early, answering(func(s *scripted) { s.close(1007) }), Pass, ""},
		{"slowly, but before the pong", early, answering(func(s *scripted) { time.Sleep(2 * time.Second); s.close(1007) }), Pass, ""},
		{"at the end", early, answering(func(s *scripted) { s.pong(s.until(frame.Ping)); s.frame(); s.close(1007) }), NonStrict, "not noticed before more was sent"},
		{"at once, with another code", early, answering(func(s *scripted) { s.close(1002) }), NonStrict, "a close frame with 1002 where early 1007 is best"},
		{"never", early, answering((*scripted).serve), Fail, "nothing for 5s in place of fail 1007"},
		{"half a message", early, answering(func(s *scripted) { s.text("?"); s.hang() }), Fail, `text "?"`},
		{"in the middle of a frame", informational, func(s *scripted) { s.accept(); s.close(1009) }, Pass, ""},
		{"not in the middle of a frame", informational, func(s *scripted) { s.accept(); s.hang() }, Informational, "not noticed"},
	})
}

// TestLongIdle: whoever wants to wait longer than for anything else may do so.
func TestLongIdle(t *testing.T) {
	o := &Options{URL: "ws://server.example/", Idle: time.Hour}
	r, _ := recordWith(t, o, "< idle", func(s *scripted) { s.accept(); time.Sleep(50 * time.Minute); s.close(1001) })
	if r.Verdict != Informational || !strings.Contains(r.Note, "after 50m0s") {
		t.Errorf("%v: %s", r.Verdict, r.Note)
	}
}

// TestNothingInsideFrames: pongs and close frames wait while a frame is not
// complete.
func TestNothingInsideFrames(t *testing.T) {
	r := playScript(t, "> claim text 5 \"he\"\n< early 1000\nor pass nothing\n> raw \"llo\"\n< text \"fine\"", func(s *scripted) {
		s.accept()
		s.ping("!")
		h, payload, _ := s.frame()
		if h.Opcode == frame.Text && strings.HasPrefix(payload, "he") {
			s.text("fine")
		}
		s.serve()
	})
	if r.Verdict != Pass {
		t.Errorf("%v: %s\n%s", r.Verdict, r.Note, dialogueText(r.Dialogue))
	}
}

func TestAnswers(t *testing.T) {
	answer := func(text string) func(*scripted) {
		return func(s *scripted) { s.request(); s.write(text + "\r\n\r\n"); s.serve() }
	}
	const refused, accepted = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0", "> text \"x\"\n< echo"
	testVerdicts(t, []verdictRow{
		{"a refusal", "< http 400", answer(refused), Pass, ""},
		{"another refusal", "< http 426", answer(refused), Pass, "status 400 where http 426 is best"},
		{"acceptance", "< http 400", func(s *scripted) { s.accept(); s.serve() }, Fail, "status 101 in place of http 400"},
		{"acceptance, which is allowed", "< http 400\nor non-strict http 101\n< end", func(s *scripted) { s.accept(); s.serve() }, NonStrict, "status 101 where http 400 is best"},
		{"a page", "< http 426\nor informational http 200 204", answer("HTTP/1.1 200 OK\r\nContent-Length: 0"), Informational, "status 200"},
		{"a redirection", "< http 426\nor informational http 200 204", answer("HTTP/1.1 302 Found\r\nContent-Length: 0"), Fail, "status 302"},
		{"no answer", "< http 400", (*scripted).request, Fail, "the end of TCP without a close frame in place of http 400"},
		{"no answer, which is allowed", "< http 400\nor non-strict end", (*scripted).request, NonStrict, "the end of TCP"},
		{"silence", "< http 400", (*scripted).hang, Fail, "nothing for 5s in place of http 400"},
		{"no HTTP", "< http 400", answer("SSH-2.0"), Fail, "not HTTP"},
		{"a refusal with an end", "< http 400\n< end", func(s *scripted) { s.request(); s.write(refused + "\r\n\r\n") }, Pass, ""},
		{"a second answer", "< http 400\n> http \"GET / HTTP/1.1\\r\\n\\r\\n\"\n< end\nor informational http 404", func(s *scripted) {
			s.request()
			s.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 5\r\n\r\nhello")
			s.request()
			s.write("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
		}, Informational, "status 404 where end is best"},
		{"no second answer", "< http 400\n> http \"GET / HTTP/1.1\\r\\n\\r\\n\"\n< end\nor informational http 404", func(s *scripted) {
			s.request()
			s.write(refused + "\r\n\r\n")
		}, Pass, ""},
		{"refused where that is not the question", accepted, answer(refused), Fail, "the handshake was answered with 400"},
		{"interim answers first", accepted, func(s *scripted) {
			s.write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
			answering(func(s *scripted) { s.text("x"); s.serve() })(s)
		}, Pass, ""},
		{"lines that end with LF alone", accepted, func(s *scripted) {
			s.request()
			s.write(strings.ReplaceAll(switching, "\r", "") + "\n")
			s.serve()
		}, Fail, "end with LF alone"},
		{"another Accept", accepted, answer(strings.Replace(switching, "s3p", "S3P", 1)), Fail, "4.2.2: Sec-WebSocket-Accept"},
		{"no Upgrade", accepted, answer(strings.Replace(switching, "Upgrade: websocket\r\n", "", 1)), Fail, "4.2.2: Upgrade"},
		{"no Connection", accepted, answer(strings.Replace(switching, "Connection: Upgrade\r\n", "", 1)), Fail, "4.2.2: Connection"},
		{"101 in HTTP/1.0", accepted, answer(strings.Replace(switching, "1.1", "1.0", 1)), Fail, "15.2"},
		{"a subprotocol", "< http 101", func(s *scripted) { s.accept("Sec-WebSocket-Protocol: a"); s.serve() }, Fail, "none that was offered"},
		{"a subprotocol that was offered", "request Sec-WebSocket-Protocol: b, a\n< http 101", func(s *scripted) { s.accept("Sec-WebSocket-Protocol: a"); s.serve() }, Pass, ""},
		{"two that were offered", "request Sec-WebSocket-Protocol: b, a\n< http 101", func(s *scripted) { s.accept("Sec-WebSocket-Protocol: b, a"); s.serve() }, Fail, "none that was offered"},
		{"an extension", "< http 101", func(s *scripted) { s.accept("Sec-WebSocket-Extensions: x"); s.serve() }, Fail, "9.1"},
		{"early data", "joined\n> text \"x\"\n< echo", answering(func(s *scripted) { s.text("x"); s.serve() }), Pass, ""},
		{"early data refused", "joined\n> text \"x\"\n< echo", answer(refused), Informational, "refuses data"},
		{"early data ends it", "joined\n> text \"x\"\n< echo", (*scripted).request, Informational, "refuses data"},
		{"early data forbidden", "joined\n> text \"x\"\n< echo", answer("HTTP/1.1 403 Forbidden\r\nContent-Length: 0"), Fail, "403"},
		{"early data ignored", "joined\n> text \"x\"\n< echo", (*scripted).hang, Fail, "nothing for 5s"},
	})
}

func TestHeaders(t *testing.T) {
	answer := func(s *scripted) {
		s.request()
		s.write("HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\nConnection: Upgrade\r\nAllow: HEAD, GET\r\nContent-Length: 0\r\n\r\n")
	}
	testVerdicts(t, []verdictRow{
		{"an element", "< http 405\n< header allow: get", answer, Pass, ""},
		{"another line", "< http 405\n< header Connection: Upgrade", answer, Pass, ""},
		{"no such element", "< http 405\n< header Allow: POST", answer, Fail, "the answer has no Allow: POST"},
		{"no such field", "< http 405\n< header Server: x", answer, Fail, "the answer has no Server: x"},
		{"no such field, which is allowed", "< http 405\n< header Server: x\nor non-strict nothing", answer, NonStrict, "Server"},
		{"for this status", "< http 405\n< header 405 Server: x", answer, Fail, "Server"},
		{"for another status", "< http 405\n< header 426 Server: x", answer, Pass, ""},
		{"absent", "< http 405\n< header -Server", answer, Pass, ""},
		{"not absent", "< http 405\n< header -Allow", answer, Fail, "the answer has Allow: HEAD, GET"},
		{"not absent, which is allowed", "< http 405\n< header -Allow\nor informational nothing", answer, Informational, "Allow"},
	})
}

// TestViolations: what no server may send.
func TestViolations(t *testing.T) {
	for _, tt := range []struct{ name, frames, want string }{
		{"masked", "\x81\x81\x00\x00\x00\x00x", "5.1: a server must not mask"},
		{"a reserved opcode", "\x83\x00", "5.2: the server sent a reserved opcode"},
		{"rsv1", "\xc1\x01x", "5.2: the server sent a reserved bit"},
		{"rsv3", "\x91\x01x", "5.2: the server sent a reserved bit"},
		{"a length that is too long", "\x81\x7e\x00\x01x", "5.2: the server sent a frame whose header is wrong"},
		{"a fragmented ping", "\x09\x00", "5.5: control frames"},
		{"a long ping", "\x89\x7e\x00\x7e", "5.5: control frames"},
		{"a continuation of nothing", "\x80\x01x", "5.4: fragments out of turn"},
		{"a message in a message", "\x01\x01x\x81\x01x", "5.4: fragments out of turn"},
		{"text that is not UTF-8", "\x81\x01\xff", "5.6: the server sent text that is not UTF-8"},
		{"a frame behind the close frame", "\x88\x00\x81\x01x", "5.5.1: the server sent a frame behind its close frame"},
		{"half a code", "\x88\x01\x03", "5.5.1: the server sent a close frame with half a code"},
		{"a reason that is not UTF-8", "\x88\x03\x03\xe8\xff", "5.5.1: the reason"},
		{"code 999", "\x88\x02\x03\xe7", "7.4: the server sent a close frame with the code 999"},
		{"code 1005", "\x88\x02\x03\xed", "1005"},
		{"code 1006", "\x88\x02\x03\xee", "1006"},
		{"code 1015", "\x88\x02\x03\xf7", "1015"},
		{"code 5000", "\x88\x02\x13\x88", "5000"},
		{"more than anybody asked for", "\x82\x7f\x00\x00\x01\x00\x00\x00\x00\x00", "a payload that nobody asked for"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// It does not help that the case wants the connection to end.
			for _, want := range []string{"echo", "fail", "end", "close 1000"} {
				r := playScript(t, "> text \"x\"\n< "+want, answering(func(s *scripted) { s.write(tt.frames); s.hang() }))
				if r.Verdict != Fail || !strings.Contains(r.Note, tt.want) {
					t.Errorf("%s: %v: %q", want, r.Verdict, r.Note)
				}
			}
		})
	}
}

// TestChopping: what a client really writes.
func TestChopping(t *testing.T) {
	const a, b = "\x81\x81\x00\x00\x00\x00a", "\x81\x81\x00\x00\x00\x00b"
	both := "> text key=00000000 \"a\"\n> text key=00000000 \"b\"\n< echo\n< echo\n> ping key=00000000 \"\"\n< pong \"\""
	const ping, bye = "\x89\x80\x00\x00\x00\x00", "\x88"
	single := func(s string) []string { return strings.Split(s, "") }
	inTwo := func(s string) (pieces [][]string) {
		for i := 1; i < len(s); i++ {
			pieces = append(pieces, []string{"", s[:i], s[i:], ping, bye})
		}
		return pieces
	}
	for _, tt := range []struct {
		text string
		want [][]string // for each connection, the first write being the handshake
	}{
		{"chop together\n" + both, [][]string{{"", a + b, ping, bye}}},
		{"chop frames\n" + both, [][]string{{"", a, b, ping, bye}}},
		{"chop bytes\n" + both, [][]string{slices.Concat([]string{""}, single(a+b), single(ping), []string{bye})}},
		{"chop halves\n" + both, inTwo(a + b)},
		{"chop together frames\n" + both, [][]string{{"", a + b, ping, bye}, {"", a, b, ping, bye}}},
		{"joined\nchop together\n" + both, [][]string{{a + b, ping, bye}}},
		{"joined\nchop frames\n" + both, [][]string{{a, b, ping, bye}}},
		{"joined\nchop bytes\n" + both, [][]string{slices.Concat(single(a+b), single(ping), []string{bye})}},
	} {
		r, written := record(t, tt.text, func(s *scripted) {
			s.accept()
			s.frame()
			s.frame()
			s.text("a")
			s.text("b")
			s.serve()
		})
		got := make([][]string, len(written))
		for i, writes := range written {
			end := slices.IndexFunc(writes, func(w string) bool { return strings.HasPrefix(w, bye) })
			got[i] = append(slices.Clone(writes[:end]), bye) // the rest of the goodbye does not matter
		}
		if r.Verdict != Pass || !slices.EqualFunc(got, tt.want, slices.Equal) {
			t.Errorf("%s\n%v: %s\ngot  %q\nwant %q", tt.text, r.Verdict, r.Note, got, tt.want)
		}
		if r.Runs != len(tt.want) {
			t.Errorf("%s\n%d runs, want %d", tt.text, r.Runs, len(tt.want))
		}
	}
}

// TestWorstChop: of several chops the worst verdict is told, with the chop, and
// nothing is played behind a failure.
func TestWorstChop(t *testing.T) {
	n := 0
	r := playScript(t, "chop together halves\n> text \"x\"\n< echo\nor non-strict text \"y\"", func(s *scripted) {
		n++
		s.accept()
		s.frame()
		s.text(map[bool]string{true: "z", false: map[bool]string{true: "y", false: "x"}[n == 3]}[n == 5])
		s.serve()
	})
	if r.Verdict != Fail || r.Chop != "in two, at byte 4" || r.Runs != 5 {
		t.Errorf("%v with %q, %d runs", r.Verdict, r.Chop, r.Runs)
	}
}

// TestSentFrames: what a step sends, on the wire.
func TestSentFrames(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{`text key=00000000 "hi"`, "\x81\x82\x00\x00\x00\x00hi"},
		{`text key=01020304 "hello"`, "\x81\x85\x01\x02\x03\x04igohn"},
		{`text "hi"`, "\x81\x82\x37\xfa\x21\x3d" + string([]byte{'h' ^ 0x37, 'i' ^ 0xfa})},
		{`cont key=00000000 "hi"-`, "\x00\x82\x00\x00\x00\x00hi"},
		{`text unmasked "hi"`, "\x81\x02hi"},
		{`ping unmasked rsv1 rsv2 rsv3`, "\xf9\x00"},
		{`0xB unmasked "x"`, "\x8b\x01x"},
		{`text unmasked len16 "hi"`, "\x81\x7e\x00\x02hi"},
		{`text unmasked len64 "hi"`, "\x81\x7f\x00\x00\x00\x00\x00\x00\x00\x02hi"},
		{`binary unmasked "x"*126`, "\x82\x7e\x00\x7e" + strings.Repeat("x", 126)},
		{`close unmasked 1000 "bye"`, "\x88\x05\x03\xe8bye"},
		{`claim text 70000 unmasked "hi"`, "\x81\x7f\x00\x00\x00\x00\x00\x01\x11\x70hi"},
		{`raw 81 02 "hi"`, ""}, // no payload: a mix is none
		{`raw <81 02> "hi"`, "\x81\x02hi"},
		{`http "GET {path} {host} {origin}"`, "GET /chat server.example http://server.example"},
		{`repeat 3 ping unmasked`, "\x89\x00\x89\x00\x89\x00"},
	} {
		cases, err := parse("x.txt", "== 1 x\nchop together\n> "+tt.line+"\n< end\n")
		if tt.want == "" {
			if err == nil {
				t.Errorf("%s is accepted", tt.line)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.line, err)
			continue
		}
		_, written := record(t, strings.Join(strings.Split(cases[0].Source, "\n")[1:], "\n"), func(s *scripted) { s.accept(); s.frame() })
		if got := strings.Join(written[0], ""); got != tt.want {
			t.Errorf("%s\ngot  %q\nwant %q", tt.line, got, tt.want)
		}
	}
}

// TestRequests: the handshake and its edits.
func TestRequests(t *testing.T) {
	to, err := newTarget(t.Context(), &Options{URL: "wss://server.example:8443/chat?a", Header: http.Header{"Cookie": {"c=1"}}})
	if err != nil {
		t.Fatal(err)
	}
	const plain = "GET /chat?a HTTP/1.1|Host: server.example:8443|Upgrade: websocket|Connection: Upgrade|" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==|Sec-WebSocket-Version: 13|Cookie: c=1||"
	for _, tt := range []struct{ edit, from, to string }{
		{"Upgrade: h2c", "Upgrade: websocket", "Upgrade: h2c"},
		{"upgrade: h2c", "Upgrade: websocket", "upgrade: h2c"},
		{"-Host", "Host: server.example:8443|", ""},
		{"-cookie", "|Cookie: c=1", ""},
		{"+Upgrade: h2c", "||", "|Upgrade: h2c||"},
		{"X-New: 1", "||", "|X-New: 1||"},
		{"+Origin: {origin}", "||", "|Origin: https://server.example:8443||"},
		{"POST", "GET", "POST"},
		{"get", "GET", "get"},
		{"HTTP/1.0", "HTTP/1.1", "HTTP/1.0"},
		{"/other", "/chat?a", "/other"},
		{"{path}&b", "/chat?a", "/chat?a&b"},
		{"{origin}{path}", "/chat?a", "https://server.example:8443/chat?a"},
		{`"Upgrade: \t websocket "`, "Upgrade: websocket", "Upgrade: \t websocket "},
		{`"+X-New: \x00"`, "||", "|X-New: \x00||"},
	} {
		c := &Case{request: []string{tt.edit}}
		want := strings.Replace(plain, tt.from, tt.to, 1)
		if got := strings.ReplaceAll(c.handshake(to).String(), "\r\n", "|"); got != want {
			t.Errorf("%s\ngot  %q\nwant %q", tt.edit, got, want)
		}
	}
	to, err = newTarget(t.Context(), &Options{URL: "ws://127.0.0.1/", Header: http.Header{"Host": {"a.example"}, "X-B": {"1", "2"}, "X-A": {"3"}}})
	if err != nil {
		t.Fatal(err)
	}
	wantFields := "|Host: a.example|Upgrade: websocket|Connection: Upgrade|" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==|Sec-WebSocket-Version: 13|X-A: 3|X-B: 1|X-B: 2||"
	if got := strings.ReplaceAll(new(Case).handshake(to).String(), "\r\n", "|"); got != "GET / HTTP/1.1"+wantFields {
		t.Errorf("with fields of its own: %q", got)
	}
	if got := to.fill("{origin} {fields}."); got != "http://a.example X-A: 3\r\nX-B: 1\r\nX-B: 2\r\n." {
		t.Errorf("filled in: %q", got)
	}
	offer := &Case{offer: "x; y"}
	if got := offer.handshake(to).String(); !strings.Contains(got, "\r\nSec-WebSocket-Extensions: x; y\r\n") {
		t.Errorf("the offer is not in %q", got)
	}
}

func TestTargets(t *testing.T) {
	for _, tt := range []struct{ url, addr, path, wrong string }{
		{"ws://server.example", "server.example:80", "/", ""},
		{"ws://server.example:81/a?b", "server.example:81", "/a?b", ""},
		{"wss://server.example/", "server.example:443", "/", ""},
		{"ws://[::1]:80/", "[::1]:80", "/", ""},
		{"http://server.example/", "", "", "no URL of a WebSocket server"},
		{"server.example", "", "", "no URL of a WebSocket server"},
		{"127.0.0.1:8080", "", "", "no URL of a WebSocket server"},
		{"ws:///", "", "", "names no host"},
		{"ws://user:secret@server.example/", "", "", `"ws://user:xxxxx@server.example/"`},
		{"ws://%/", "", "", "%"},
	} {
		to, err := newTarget(t.Context(), &Options{URL: tt.url})
		if tt.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), tt.wrong) {
				t.Errorf("%s: error %v, want %q", tt.url, err, tt.wrong)
			}
		} else if err != nil || to.addr != tt.addr || to.path != tt.path {
			t.Errorf("%s: %+v, error %v", tt.url, to, err)
		}
	}
}

// TestFloods: what a server sends without an end is not waited for, and not kept.
func TestFloods(t *testing.T) {
	endless := func(text string) func(*scripted) {
		return func(s *scripted) {
			for text := strings.Repeat(text, 1+64<<10/len(text)); ; {
				if _, err := io.WriteString(s.conn, text); err != nil {
					return
				}
			}
		}
	}
	for _, tt := range []struct {
		name, text, start, endless, want string
	}{
		{"pings", "> text \"x\"\n< echo", switching + "\r\n", "\x89\x00", "far more than anybody asked for"},
		{"pongs", "> text \"x\"\n< echo", switching + "\r\n", "\x8a\x01x", "far more than anybody asked for"},
		{"fragments", "> text \"x\"\n< echo", switching + "\r\n\x01\x00", "\x00\x7e\x04\x00" + strings.Repeat("x", 1<<10), "far more than anybody asked for"},
		{"empty fragments", "> text \"x\"\n< echo", switching + "\r\n\x01\x00", "\x00\x00", "far more than anybody asked for"},
		{"a line of the answer", "< http 101", switching + "X: ", "x", "has no end"},
		{"lines of the answer", "< http 101", switching, "X: x\r\n", "has no end"},
		{"answers before the last", "< http 101", "", "HTTP/1.1 100 Continue\r\n\r\n", "far more than anybody asked for"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := playScript(t, tt.text, func(s *scripted) {
				s.request()
				s.write(tt.start)
				endless(tt.endless)(s)
			})
			if r.Verdict != Fail || !strings.Contains(r.Note, tt.want) {
				t.Errorf("%v: %q\n%s", r.Verdict, r.Note, dialogueText(r.Dialogue))
			}
		})
	}
}

// TestBomb: a message that grows without an end is not inflated to its end.
func TestBomb(t *testing.T) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(make([]byte, 2*maxVolume))
	w.Flush()
	if got, err := new(inflater).message(&agreement{serverBits: 15}, packed.Bytes()); !errors.Is(err, errFlood) {
		t.Errorf("%d bytes, error %v", len(got), err)
	}
}

// TestDeaf: a server that does not read does not hold a case up again and again.
func TestDeaf(t *testing.T) {
	r := playScript(t, "> text \"x\"\n< echo", answering(func(s *scripted) {
		for range 20_000 { // more than the pipe holds
			s.ping(strings.Repeat("x", frame.MaxControlPayload))
		}
		time.Sleep(time.Hour)
	}))
	if r.Seconds > 60 {
		t.Errorf("the case took %v s", r.Seconds)
	}
}
