package interop

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/gobwas/ws"
)

// modes are how the server serves its connections.
var modes = []string{"loop", "serve", "poller"}

// TestTunnelExchanges runs every exchange over every version of HTTP that has the
// extended CONNECT.
func TestTunnelExchanges(t *testing.T) {
	t.Parallel()
	server := startVersions(t, withConnect)
	for _, w := range ways {
		for _, mode := range modes {
			t.Run(w.name+"/"+mode, func(t *testing.T) {
				for _, x := range exchanges {
					t.Run(x.name, func(t *testing.T) {
						rawURL := server.urls[w.scheme]
						x.run(&session{t, w.tunnelDialer, &client{name: w.name}, rawURL + "/?mode=" + mode, rawURL})
					})
				}
			})
		}
	}
}

// handshakeRow is an opening handshake that differs from the plain one.
type handshakeRow struct {
	name   string
	change func(*http.Request)
	status int
	header http.Header // what the answer has; an empty value: it has not
	text   string      // the answer says this
}

func setField(name string, values ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(name)] = values }
}

var handshakeRows = []handshakeRow{
	{
		name: "plain", change: func(*http.Request) {}, status: 200,
		header: http.Header{"Sec-Websocket-Protocol": {""}, "Sec-Websocket-Extensions": {""}},
	},
	{
		name: "key", change: setField("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), status: 200,
	},
	{
		name: "subprotocol", change: setField("Sec-WebSocket-Protocol", "soap, chat", "chat.v2"), status: 200,
		header: http.Header{"Sec-Websocket-Protocol": {"chat.v2"}},
	},
	{
		name: "extension", status: 200,
		change: func(r *http.Request) {
			r.URL.RawQuery = "compress=9"
			setField("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")(r)
		},
		header: http.Header{"Sec-Websocket-Extensions": {"permessage-deflate; client_max_window_bits=9"}},
	},
	{name: "no version", change: setField("Sec-WebSocket-Version"), status: 400, text: "Sec-WebSocket-Version is missing"},
	{name: "empty version", change: setField("Sec-WebSocket-Version", ""), status: 400, text: "Sec-WebSocket-Version is missing"},
	{name: "two versions", change: setField("Sec-WebSocket-Version", "13", "13"), status: 400, text: "more than once"},
	{
		name: "other version", change: setField("Sec-WebSocket-Version", "8"), status: 400, text: "is not spoken here",
		header: http.Header{"Sec-Websocket-Version": {"13"}, "Upgrade": {""}},
	},
	{name: "foreign origin", change: setField("Origin", "https://evil.example"), status: 403, text: "evil.example"},
	{name: "malformed subprotocol", change: setField("Sec-WebSocket-Protocol", "chat,,,(chat)"), status: 400, text: "Sec-WebSocket-Protocol"},
	{name: "malformed extension", change: setField("Sec-WebSocket-Extensions", "permessage-deflate; ="), status: 400, text: "Sec-WebSocket-Extensions"},
	{name: "demanded subprotocol", change: func(r *http.Request) { r.URL.RawQuery = "strict=1" }, status: 501, text: "subprotocol"},
	{name: "other protocol", change: func(r *http.Request) { r.Proto = "connect-udp" }, status: 501, text: "connect-udp"},
	{name: "CONNECT alone", change: func(r *http.Request) { r.Proto = "" }, status: 400, text: "http2xconnect=1"},
	{name: "GET", change: func(r *http.Request) { r.Method, r.Proto = http.MethodGet, "" }, status: 400, text: "extended CONNECT"},
}

func TestTunnelHandshake(t *testing.T) {
	t.Parallel()
	server := startVersions(t, withConnect)
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			c := w.open(t, server.urls[w.scheme])
			if !c.offersConnect() {
				t.Fatal("the server does not offer the extended CONNECT")
			}
			for _, row := range handshakeRows {
				t.Run(row.name, func(t *testing.T) { row.run(t, c, server.urls[w.scheme]) })
			}
		})
	}
}

func (row *handshakeRow) run(t *testing.T, c carrier, rawURL string) {
	r, err := connectRequest(rawURL + "/")
	if err != nil {
		t.Fatal(err)
	}
	row.change(r)
	status, header, conn, err := c.request(r)
	if err != nil {
		t.Fatal(err)
	}
	if status != row.status {
		t.Errorf("status %d, want %d", status, row.status)
	}
	for _, name := range []string{"Sec-Websocket-Accept", "Sec-Websocket-Key", "Connection", "Upgrade"} {
		if values, ok := header[name]; ok {
			t.Errorf("the answer has %s: %q", name, values)
		}
	}
	for name, values := range row.header {
		if got := strings.Join(header[name], ", "); got != values[0] {
			t.Errorf("%s is %q, want %q", name, got, values[0])
		}
	}
	if status == http.StatusOK {
		conn.reset()
		return
	}
	text, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(text), row.text) {
		t.Errorf("the answer is %q (%v), want it to say %q", text, err, row.text)
	}
}

// TestTunnelNotOffered: without the setting, net/http does not offer it.
func TestTunnelNotOffered(t *testing.T) {
	t.Parallel()
	server := startVersions(t, "http2xconnect=0")
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			c := w.open(t, server.urls[w.scheme])
			if got, want := c.offersConnect(), w.name == "HTTP3"; got != want {
				t.Errorf("offered: %v, want %v", got, want)
			}
		})
	}
}

// TestTunnelSizes: messages of sizes around those of all the frames on the way.
func TestTunnelSizes(t *testing.T) {
	t.Parallel()
	server := startVersions(t, withConnect)
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			s, err := connectOver(w.open(t, server.urls[w.scheme]), server.urls[w.scheme]+"/")
			if err != nil {
				t.Fatal(err)
			}
			for _, middle := range []int{1, 126, 512, 4096, 1 << 14, 1 << 16, 1<<20 - 1} {
				for size := middle - 1; size <= middle+1; size++ {
					if err := s.echoOnce(message{true, strings.Repeat(allBytes, size/256+1)[:size]}); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := s.sayGoodbye(1000); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestTunnelMany has many WebSockets on one connection at the same time.
func TestTunnelMany(t *testing.T) {
	t.Parallel()
	server := startVersions(t, withConnect)
	for _, w := range ways {
		for _, mode := range modes {
			t.Run(w.name+"/"+mode, func(t *testing.T) {
				c := w.open(t, server.urls[w.scheme])
				var all sync.WaitGroup
				var open sync.WaitGroup // nobody closes before all are open
				open.Add(50)
				for i := range 50 {
					all.Go(func() {
						if err := oneOfMany(c, server.urls[w.scheme]+"/?mode="+mode, i, &open); err != nil {
							t.Errorf("number %d: %v", i, err)
						}
					})
				}
				all.Wait()
			})
		}
	}
}

func oneOfMany(c carrier, rawURL string, i int, open *sync.WaitGroup) error {
	s, err := connectOver(c, rawURL)
	open.Done()
	if err != nil {
		return err
	}
	open.Wait()
	for j := range 20 {
		if err := s.echoOnce(message{true, strings.Repeat(fmt.Sprint(i, j), j*i*3)}); err != nil {
			return err
		}
	}
	return s.sayGoodbye(3000 + i)
}

// TestTunnelDeflate: messages are compressed, and some of them in fragments.
func TestTunnelDeflate(t *testing.T) {
	t.Parallel()
	server := startVersions(t, withConnect)
	offer := separated.String()
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			rawURL := server.urls[w.scheme] + "/?compress=12"
			s, err := connectOver(w.open(t, rawURL), rawURL, "Sec-WebSocket-Extensions", offer)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.header.Get("Sec-WebSocket-Extensions"); got != offer {
				t.Fatalf("the server answers with %q", got)
			}
			for _, m := range deflateMessages {
				if err := s.echoOnce(m.message); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.sayGoodbye(1000); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestTunnelServerCloses: the server begins with the closing handshake, and then ends
// the stream.
func TestTunnelServerCloses(t *testing.T) {
	t.Parallel()
	server := startVersions(t, withConnect)
	for _, w := range ways {
		for _, mode := range modes {
			t.Run(w.name+"/"+mode, func(t *testing.T) {
				rawURL := fmt.Sprintf("%s/?mode=%s&close=4321&reason=bye&by=%s", server.urls[w.scheme], mode, strings.ReplaceAll(w.name, " ", "+"))
				s, err := connectOver(w.open(t, rawURL), rawURL)
				if err != nil {
					t.Fatal(err)
				}
				if err := s.send(message{false, "please"}, false); err != nil {
					t.Fatal(err)
				}
				_, err = s.receive()
				if c, ok := errors.AsType[*closed](err); !ok || *c != (closed{4321, "bye"}) {
					t.Fatal(err)
				}
				if err := s.ended(); err != nil {
					t.Errorf("the stream ended with: %v", err)
				}
				server.logged(t, rawURL, "Close returned <nil>")
				server.logged(t, rawURL, "ended with 4321: ")
			})
		}
	}
}

// TestTunnelReset: a stream that is reset by one end has ended for the other, with
// 1006, and those beside it go on.
func TestTunnelReset(t *testing.T) {
	t.Parallel()
	server := startVersions(t, withConnect)
	for _, w := range ways {
		for _, mode := range modes {
			t.Run(w.name+"/"+mode, func(t *testing.T) {
				query := "/?mode=" + mode + "&by=" + strings.ReplaceAll(w.name, " ", "+")
				rawURL := server.urls[w.scheme] + query
				c := w.open(t, rawURL)
				stays, err := connectOver(c, rawURL+"&stays")
				if err != nil {
					t.Fatal(err)
				}
				goes, err := connectOver(c, rawURL)
				if err != nil {
					t.Fatal(err)
				}
				if err := goes.echoOnce(message{false, "last words"}); err != nil {
					t.Fatal(err)
				}
				goes.tunnel.reset()
				server.logged(t, rawURL, "ended with 1006: ")

				dropped, err := connectOver(c, rawURL+"&drop")
				if err != nil {
					t.Fatal(err)
				}
				if err := dropped.send(message{false, "please"}, false); err != nil {
					t.Fatal(err)
				}
				if m, err := dropped.receive(); err == nil {
					t.Errorf("received %v", m)
				} else if _, ok := errors.AsType[*closed](err); ok {
					t.Errorf("received a close frame: %v", err)
				}
				server.logged(t, rawURL+"&drop", "ended with 1006: ")

				if err := errors.Join(stays.echoOnce(message{false, "still here"}), stays.sayGoodbye(1000)); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestTunnelLeave: who sends a close frame and then goes has closed, and was not lost.
func TestTunnelLeave(t *testing.T) {
	t.Parallel()
	server := startVersions(t, withConnect)
	for _, w := range ways {
		for _, mode := range modes {
			t.Run(w.name+"/"+mode, func(t *testing.T) {
				rawURL := server.urls[w.scheme] + "/?mode=" + mode + "&by=" + strings.ReplaceAll(w.name, " ", "+")
				c := w.open(t, rawURL)
				for i := range 10 {
					s, err := connectOver(c, rawURL+fmt.Sprint("&n=", i))
					if err != nil {
						t.Fatal(err)
					}
					last := ws.MaskFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusGoingAway, "")))
					if err := errors.Join(s.echoOnce(message{false, "here"}), ws.WriteFrame(s.tunnel, last), s.tunnel.leave()); err != nil {
						t.Fatal(err)
					}
					server.logged(t, rawURL+fmt.Sprint("&n=", i), "ended with 1001: ")
				}
			})
		}
	}
}

// TestTunnelDeaf: who does not read a stream loses it, and no other.
func TestTunnelDeaf(t *testing.T) {
	t.Parallel()
	server := startVersions(t, withConnect)
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			rawURL := server.urls[w.scheme] + "/?by=" + strings.ReplaceAll(w.name, " ", "+")
			c := w.open(t, rawURL)
			stays, err := connectOver(c, rawURL)
			if err != nil {
				t.Fatal(err)
			}
			r, err := connectRequest(rawURL + "&flood")
			if err != nil {
				t.Fatal(err)
			}
			_, _, deaf, err := c.request(r)
			if err != nil {
				t.Fatal(err)
			}
			if err := (&gobwasSocket{conn: deaf}).send(message{false, "please"}, false); err != nil {
				t.Fatal(err)
			}
			server.logged(t, rawURL+"&flood", "ended with 1006: .*the peer did not read")
			if _, err := io.ReadAll(deaf); err == nil {
				t.Error("a stream that was cut off in the middle of a frame ends as if all were well")
			}
			if err := errors.Join(stays.echoOnce(message{false, "still here"}), stays.sayGoodbye(1000)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestTunnelGoAway: after GOAWAY of the client, its streams go on, and the connection
// ends with the last.
func TestTunnelGoAway(t *testing.T) {
	t.Parallel()
	server := startVersions(t, withConnect)
	rawURL := server.urls["https"] + "/"
	c := ways[0].open(t, rawURL).(*http2Conn)
	s, err := connectOver(c, rawURL)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.goAway(); err != nil {
		t.Fatal(err)
	}
	if err := c.await(func() bool { return c.away }); err != nil { // the server says so, too
		t.Fatal(err)
	}
	if err := errors.Join(s.echoOnce(message{false, "still here"}), s.sayGoodbye(1000), s.tunnel.Close()); err != nil {
		t.Error(err)
	}
	if err := c.gone(); err != nil {
		t.Error(err)
	}
}

// TestTunnelShutdown: a server that ends tells all WebSockets on all connections.
func TestTunnelShutdown(t *testing.T) {
	t.Parallel()
	server := startVersions(t, withConnect)
	var waiting []func()
	for _, w := range ways {
		c := w.open(t, server.urls[w.scheme])
		for _, mode := range modes {
			s, err := connectOver(c, server.urls[w.scheme]+"/?mode="+mode)
			if err != nil {
				t.Fatal(err)
			}
			waiting = append(waiting, func() {
				_, err := s.receive()
				if c, ok := errors.AsType[*closed](err); !ok || c.Code != 1001 {
					t.Errorf("%s, %s: %v", w.name, mode, err)
				} else if err := s.ended(); err != nil {
					t.Errorf("%s, %s: the stream ended with: %v", w.name, mode, err)
				}
			})
		}
		waiting = append(waiting, func() {
			if c, ok := c.(*http2Conn); ok {
				if err := c.gone(); err != nil {
					t.Errorf("%s: %v", w.name, err)
				}
			}
		})
	}
	server.signal(syscall.SIGINT)
	for _, wait := range waiting {
		wait()
	}
	if err := server.wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}
