package wstest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// onH2 runs a test against servers of net/http, in the clear and with TLS.
func onH2(t *testing.T, handler http.HandlerFunc, test func(t *testing.T, h *H2, s *http.Server)) {
	for _, secure := range []bool{false, true} {
		t.Run(map[bool]string{false: "clear", true: "tls"}[secure], func(t *testing.T) {
			s := httptest.NewUnstartedServer(handler)
			s.Config.ErrorLog = log.New(io.Discard, "", 0)
			if secure {
				s.EnableHTTP2 = true
				s.StartTLS()
			} else {
				s.Config.Protocols = new(http.Protocols)
				s.Config.Protocols.SetUnencryptedHTTP2(true)
				s.Start()
			}
			t.Cleanup(s.Close)
			h := dialH2(t, s)
			test(t, h, s.Config)
		})
	}
}

func dialH2(t *testing.T, s *httptest.Server) *H2 {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	mustDo(t, err)
	if s.TLS != nil {
		roots := x509.NewCertPool()
		roots.AddCert(s.Certificate())
		conn = tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: "example.com", NextProtos: []string{"h2"}})
	}
	mustDo(t, conn.SetDeadline(time.Now().Add(Patience)))
	h, err := HTTP2(conn)
	mustDo(t, err)
	t.Cleanup(h.Close)
	return h
}

// inBubble runs a test against a server of net/http over a Pipe, in a bubble.
func inBubble(t *testing.T, handler http.HandlerFunc, test func(t *testing.T, h *H2)) {
	synctest.Test(t, func(t *testing.T) {
		server, client := Pipe(0)
		l := &pipeListener{conns: make(chan net.Conn, 1)}
		l.conns <- server
		s := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0), Protocols: new(http.Protocols)}
		s.Protocols.SetUnencryptedHTTP2(true)
		go s.Serve(l)
		defer s.Close()
		h, err := HTTP2(client)
		mustDo(t, err)
		defer h.Close()
		test(t, h)
	})
}

type pipeListener struct {
	conns chan net.Conn
	close sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	if c, ok := <-l.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l *pipeListener) Close() error {
	l.close.Do(func() { close(l.conns) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr("pipe-a") }

// request returns the fields of a request.
func request(method, path string, fields ...string) []string {
	return append([]string{":method: " + method, ":scheme: https", ":authority: " + HandshakeHost, ":path: " + path}, fields...)
}

// websocketRequest returns the fields of an extended CONNECT.
func websocketRequest() []string {
	return request("CONNECT", "/chat", ":protocol: websocket", "sec-websocket-version: 13")
}

func mustOpen(t *testing.T, h *H2, end bool, fields ...string) *H2Stream {
	t.Helper()
	s, err := h.Open(end, fields...)
	mustDo(t, err)
	return s
}

// mustRespond checks the status of the response and returns its header.
func mustRespond(t *testing.T, s *H2Stream, want int) http.Header {
	t.Helper()
	status, header, err := s.Response()
	if err != nil || status != want {
		t.Fatalf("status %d, error %v, want %d", status, err, want)
	}
	return header
}

// mustEcho writes something and reads it back.
func mustEcho(t *testing.T, s *H2Stream, want string) {
	t.Helper()
	if n, err := io.WriteString(s, want); n != len(want) || err != nil {
		t.Fatalf("Write(%q) = %d, %v", want, n, err)
	}
	p := make([]byte, len(want))
	if n, err := io.ReadFull(s, p); err != nil || string(p) != want {
		t.Fatalf("read %q, %v, want %q", p[:n], err, want)
	}
}

// mustReset checks the error of a stream that the server has reset.
func mustReset(t *testing.T, err error, want H2Code) {
	t.Helper()
	reset, ok := errors.AsType[*H2ResetError](err)
	if !ok || reset.Code != want || !strings.Contains(err.Error(), want.String()) {
		t.Fatalf("error %v, want a reset with %v", err, want)
	}
}

// echo answers with what it reads, while it reads.
func echo(w http.ResponseWriter, r *http.Request) {
	c := http.NewResponseController(w)
	c.Flush()
	for b := make([]byte, 1<<15); ; {
		n, err := r.Body.Read(b)
		w.Write(b[:n])
		c.Flush()
		if err != nil {
			return
		}
	}
}

func TestH2Request(t *testing.T) {
	onH2(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		w.Header().Set("Got", fmt.Sprintf("%s %s of %s with %q and %q, %v", r.Method, r.URL, r.Host, r.Header.Get("X"), body, err))
		w.WriteHeader(http.StatusEarlyHints)
		w.Header()["Set-Cookie"] = []string{"a=\"\x80ÿ\"", "b"}
		w.Header().Set("Trailer", "Late")
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, "short and stout")
		w.Header().Set("Late", "yes")
	}, func(t *testing.T, h *H2, _ *http.Server) {
		s := mustOpen(t, h, false, request("GET", "/a?b", "x: "+strings.Repeat("y", 3*h2DefaultFrame))...)
		if _, err := io.WriteString(s, "tea"); err != nil {
			t.Fatal(err)
		}
		mustDo(t, s.CloseWrite())
		if err := s.CloseWrite(); err != errEnded {
			t.Errorf("second CloseWrite: error %v, want %v", err, errEnded)
		}
		if _, err := s.Write(nil); err != errEnded {
			t.Errorf("Write after CloseWrite: error %v, want %v", err, errEnded)
		}
		if s.LocalAddr() != h.conn.LocalAddr() || s.RemoteAddr() != h.conn.RemoteAddr() {
			t.Errorf("from %v to %v, which is not where the connection goes", s.LocalAddr(), s.RemoteAddr())
		}
		header := mustRespond(t, s, http.StatusTeapot)
		if n, err := s.Read(nil); n != 0 || err != nil {
			t.Errorf("Read of nothing: %d, %v", n, err)
		}
		want := fmt.Sprintf("GET /a?b of %s with %q and %q, <nil>", HandshakeHost, strings.Repeat("y", 3*h2DefaultFrame), "tea")
		if got := header.Get("Got"); got != want {
			t.Errorf("server got %s\nwant %s", brief([]byte(got)), brief([]byte(want)))
		}
		if got, want := header["Set-Cookie"], []string{"a=\"\x80ÿ\"", "b"}; !slices.Equal(got, want) {
			t.Errorf("Set-Cookie is %q, want %q", got, want)
		}
		body, err := io.ReadAll(s)
		if err != nil || string(body) != "short and stout" {
			t.Errorf("body %q, error %v", body, err)
		}
		if n, err := s.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("Read after the end: %d, %v, want exactly io.EOF", n, err)
		}
		mustDo(t, s.Close())
	})
}

// TestH2Flow has several streams send more than windows hold, both ways at once.
func TestH2Flow(t *testing.T) {
	onH2(t, echo, func(t *testing.T, h *H2, _ *http.Server) {
		const streams, size = 4, 3 << 20
		var wg sync.WaitGroup
		for i := range streams {
			want := bytes.Repeat([]byte{byte(i), 'x', byte(i >> 8)}, size/3)
			s := mustOpen(t, h, false, request("POST", "/")...)
			wg.Go(func() {
				if n, err := s.Write(want); n != len(want) || err != nil {
					t.Errorf("stream %d: Write = %d, %v", i, n, err)
				}
				if err := s.CloseWrite(); err != nil {
					t.Errorf("stream %d: %v", i, err)
				}
			})
			wg.Go(func() {
				if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, want) {
					t.Errorf("stream %d: got %s, error %v", i, brief(got), err)
				}
			})
		}
		wg.Wait()
	})
}

// TestH2ConcurrentWrites has Writes larger than a frame compete.
func TestH2ConcurrentWrites(t *testing.T) {
	onH2(t, echo, func(t *testing.T, h *H2, _ *http.Server) {
		const writers, size = 4, 1 << 19
		s := mustOpen(t, h, false, request("POST", "/")...)
		var wg sync.WaitGroup
		defer wg.Wait()
		for i := range writers {
			wg.Go(func() {
				if _, err := s.Write(bytes.Repeat([]byte{byte('a' + i)}, size)); err != nil {
					t.Error(err)
				}
			})
		}
		for range writers {
			got := make([]byte, size)
			if _, err := io.ReadFull(s, got); err != nil || bytes.Count(got, got[:1]) != size {
				t.Errorf("interleaved Writes: %s, error %v", brief(got), err)
			}
		}
	})
}

func TestH2ExtendedConnect(t *testing.T) {
	onH2(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Got", r.Method+" "+r.Header.Get(":protocol"))
		echo(w, r)
	}, func(t *testing.T, h *H2, _ *http.Server) {
		if !ExtendedConnect() || !h.ExtendedConnect() {
			t.Fatalf("extended CONNECT is set: %t, offered: %t", ExtendedConnect(), h.ExtendedConnect())
		}
		s := mustOpen(t, h, false, websocketRequest()...)
		if got := mustRespond(t, s, http.StatusOK).Get("Got"); got != "CONNECT websocket" {
			t.Errorf("server got %q", got)
		}
		mustEcho(t, s, "one")
		mustEcho(t, s, "two")
		mustDo(t, s.CloseWrite())
		if n, err := s.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("Read = %d, %v, want the end", n, err)
		}
	})
}

// TestH2WrongRequest checks that requests go out as they are, by what servers say.
func TestH2WrongRequest(t *testing.T) {
	onH2(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Got", r.Method+" "+r.Header.Get(":protocol")+" "+r.URL.Path)
	}, func(t *testing.T, h *H2, _ *http.Server) {
		for _, tt := range []struct {
			name   string
			fields []string
			want   string // what the handler got; nothing: the server resets the stream
		}{
			{"CONNECT without :protocol", []string{":method: CONNECT", ":authority: h:1"}, "CONNECT  "},
			{"another :protocol", request("CONNECT", "/", ":protocol: tcp"), "CONNECT tcp /"},
			{"GET with :protocol", request("GET", "/", ":protocol: websocket"), "GET websocket /"},
			{"no :path", websocketRequest()[:3], ""},
			{"name in upper case", request("GET", "/", "Origin: null"), ""},
			{"pseudo-header field at the end", append(request("GET", "/", "x: y"), ":protocol: websocket"), ""},
		} {
			t.Run(tt.name, func(t *testing.T) {
				s := mustOpen(t, h, true, tt.fields...)
				if tt.want == "" {
					_, _, err := s.Response()
					mustReset(t, err, H2ProtocolError)
				} else if got := mustRespond(t, s, http.StatusOK).Get("Got"); got != tt.want {
					t.Errorf("handler got %q, want %q", got, tt.want)
				}
			})
		}
	})
}

func TestH2ResetByServer(t *testing.T) {
	onH2(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "part")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}, func(t *testing.T, h *H2, _ *http.Server) {
		s := mustOpen(t, h, false, request("POST", "/")...)
		mustRespond(t, s, http.StatusOK)
		body, err := io.ReadAll(s)
		if string(body) != "part" {
			t.Errorf("body %q, want what came before the reset", body)
		}
		mustReset(t, err, H2InternalError)
		_, err = s.Write([]byte("x"))
		mustReset(t, err, H2InternalError)
		mustReset(t, s.CloseWrite(), H2InternalError)
		mustDo(t, s.Close())
	})
}

// TestH2ResetAfterResponse has the server stop a request that it has answered.
func TestH2ResetAfterResponse(t *testing.T) {
	onH2(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "all")
	}, func(t *testing.T, h *H2, _ *http.Server) {
		s := mustOpen(t, h, false, request("POST", "/")...)
		var err error
		for err == nil {
			_, err = s.Write(make([]byte, 1<<16))
		}
		mustReset(t, err, H2NoError)
		mustRespond(t, s, http.StatusOK)
		if body, err := io.ReadAll(s); string(body) != "all" || err != nil {
			t.Errorf("body %q, error %v, want all", body, err)
		}
	})
}

func TestH2ResetByClient(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(*H2Stream) error
		want H2Code
	}{
		{"Close", (*H2Stream).Close, H2Cancel},
		{"Reset", func(s *H2Stream) error { return s.Reset(H2EnhanceYourCalm) }, H2EnhanceYourCalm},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ended := make(chan error, 1)
			onH2(t, func(w http.ResponseWriter, r *http.Request) {
				http.NewResponseController(w).Flush()
				_, err := io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
				ended <- err
			}, func(t *testing.T, h *H2, _ *http.Server) {
				s := mustOpen(t, h, false, request("POST", "/")...)
				mustRespond(t, s, http.StatusOK)
				mustDo(t, tt.end(s))
				if err := <-ended; err == nil || !strings.Contains(err.Error(), tt.want.String()) {
					t.Errorf("handler reads error %v, want %v", err, tt.want)
				}
				_, readErr := s.Read(make([]byte, 1))
				_, writeErr := s.Write([]byte("x"))
				for name, err := range map[string]error{
					"Read": readErr, "Write": writeErr, "CloseWrite": s.CloseWrite(), "Close": s.Close(), "SetDeadline": s.SetDeadline(in(0)),
				} {
					if err != net.ErrClosed {
						t.Errorf("%s after that: error %v, want %v", name, err, net.ErrClosed)
					}
				}
			})
		})
	}
}

func TestH2GoAway(t *testing.T) {
	onH2(t, echo, func(t *testing.T, h *H2, server *http.Server) {
		s := mustOpen(t, h, false, request("POST", "/")...)
		mustEcho(t, s, "before")
		ended := make(chan error, 1)
		go func() { ended <- server.Shutdown(context.Background()) }()
		<-h.GoneAway()
		_, err := h.Open(true, request("GET", "/")...)
		if away, ok := errors.AsType[*H2GoAwayError](err); !ok || away.Code != H2NoError {
			t.Errorf("Open: error %v, want a GOAWAY with %v", err, H2NoError)
		}
		mustEcho(t, s, "after")
		mustDo(t, s.CloseWrite())
		if rest, err := io.ReadAll(s); err != nil || len(rest) > 0 {
			t.Errorf("rest %q, error %v", rest, err)
		}
		h.Close()
		mustDo(t, <-ended)
	})
}

func TestH2ServerCloses(t *testing.T) {
	onH2(t, echo, func(t *testing.T, h *H2, server *http.Server) {
		s := mustOpen(t, h, false, request("POST", "/")...)
		mustEcho(t, s, "before")
		mustDo(t, server.Close())
		if n, err := s.Read(make([]byte, 1)); n != 0 || err == nil || err == io.EOF {
			t.Errorf("Read = %d, %v, want an error that is not the end of the stream", n, err)
		}
		if _, err := h.Open(true, request("GET", "/")...); err == nil {
			t.Error("Open succeeded")
		}
	})
}

// TestH2Hold has a handler write more than the window takes.
func TestH2Hold(t *testing.T) {
	const size = 3 * h2DefaultWindow
	written := 0 // -1 at the end
	inBubble(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			return
		}
		for range size / 5 {
			n, err := io.WriteString(w, "12345")
			if err != nil {
				t.Error(err)
			}
			written += n
		}
		written = -1
	}, func(t *testing.T, h *H2) {
		s := mustOpen(t, h, true, request("GET", "/")...)
		s.Hold(true)
		if _, err := io.ReadFull(s, make([]byte, h2DefaultWindow)); err != nil {
			t.Fatal(err)
		}
		mustDo(t, s.SetReadDeadline(in(time.Hour)))
		if n, err := s.Read(make([]byte, 1)); n != 0 || err != os.ErrDeadlineExceeded {
			t.Errorf("Read = %d, %v, but the window is used up", n, err)
		}
		synctest.Wait()
		if written == -1 {
			t.Error("the handler has not been stalled")
		}
		mustRespond(t, mustOpen(t, h, true, request("HEAD", "/")...), http.StatusOK) // others go on
		mustDo(t, s.SetReadDeadline(time.Time{}))
		s.Hold(false)
		if rest, err := io.ReadAll(s); err != nil || len(rest) != size-h2DefaultWindow {
			t.Errorf("got %d bytes more, error %v, want %d", len(rest), err, size-h2DefaultWindow)
		}
		synctest.Wait()
		if written != -1 {
			t.Error("the handler is still at it")
		}
	})
}

func TestH2Deadlines(t *testing.T) {
	inBubble(t, func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
	}, func(t *testing.T, h *H2) {
		s := mustOpen(t, h, false, request("POST", "/")...)
		response := func([]byte) (int, error) {
			_, _, err := s.Response()
			return 0, err
		}
		for name, call := range map[string]func([]byte) (int, error){"Response": response, "Read": s.Read} {
			mustDo(t, s.SetReadDeadline(time.Time{}))
			done := start(call, make([]byte, 1))
			blocked(t, done)
			mustDo(t, s.SetReadDeadline(in(time.Second)))
			time.Sleep(time.Second / 2)
			mustDo(t, s.SetReadDeadline(time.Time{}))
			time.Sleep(time.Hour)
			blocked(t, done)
			mustDo(t, s.SetReadDeadline(in(time.Second)))
			if r := <-done; r.err != os.ErrDeadlineExceeded || r.took != time.Hour+3*time.Second/2 {
				t.Errorf("%s: %+v", name, r)
			}
		}
		large := make([]byte, 4<<20) // more than the server buffers
		mustDo(t, s.SetWriteDeadline(in(time.Second)))
		r := <-start(s.Write, large)
		if r.err != os.ErrDeadlineExceeded || r.took != time.Second || r.n == 0 || r.n >= len(large) {
			t.Errorf("Write: %+v", r)
		}
		check(t, <-start(s.Write, large), result{0, os.ErrDeadlineExceeded, 0})
		mustDo(t, s.SetDeadline(time.Time{}))
		write, second := start(s.Write, large), start(s.Write, large)
		blocked(t, write)
		blocked(t, second)
		mustDo(t, s.SetDeadline(in(0)))
		check(t, <-write, result{0, os.ErrDeadlineExceeded, 0})
		check(t, <-second, result{0, os.ErrDeadlineExceeded, 0})
	})
}

// TestH2Close has everything wait that can.
func TestH2Close(t *testing.T) {
	inBubble(t, func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
	}, func(t *testing.T, h *H2) {
		var done []<-chan result
		for range 3 {
			s := mustOpen(t, h, false, request("POST", "/")...)
			done = append(done, start(s.Read, make([]byte, 1)), start(s.Write, make([]byte, 4<<20)))
			done = append(done, start(func([]byte) (int, error) {
				_, _, err := s.Response()
				return 0, err
			}, nil))
		}
		for _, d := range done {
			blocked(t, d)
		}
		h.Close()
		for _, d := range done {
			if r := <-d; r.err != net.ErrClosed {
				t.Errorf("error %v, want %v", r.err, net.ErrClosed)
			}
		}
		if _, err := h.Open(true, request("GET", "/")...); err != net.ErrClosed {
			t.Errorf("Open: error %v, want %v", err, net.ErrClosed)
		}
		h.Close()
	})
}
