package websocket_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

// The whole of an echo server: one call in a handler, one loop.
func echo(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Upgrade(w, r, nil)
	if err != nil {
		return // the client has been told why
	}
	defer c.CloseNow()
	for m, err := range c.Messages(context.Background()) {
		if err != nil {
			log.Print(err)
			return
		}
		// A write that fails ends the connection, and so the loop.
		c.Write(context.Background(), m.Type, m.Data)
	}
}

func Example() {
	http.HandleFunc("/echo", echo)
}

// A WebSocket beside the pages of an existing mux. What the middleware around
// them sets on w.Header() goes into the 101 as well.
func ExampleUpgrade_mux() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "a page")
	})
	mux.HandleFunc("/echo", echo)

	withRequestID := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Request-Id", "7f3a")
			next.ServeHTTP(w, r)
		})
	}
	server := httptest.NewServer(withRequestID(mux))
	defer server.Close()

	client := connect(server, "/echo")
	defer client.close()
	fmt.Println(client.Status, client.Header.Get("X-Request-Id"))
	client.send("hello")
	fmt.Println(client.receive())
	// Output:
	// 101 Switching Protocols 7f3a
	// hello
}

// A server whose WebSockets may come over HTTP/1.1 and HTTP/2 alike. For HTTP/2 the
// process has to be started with GODEBUG=http2xconnect=1 in its environment.
func ExampleUpgrade_http2() {
	subscribe := func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		go echoAll(c)
		<-c.Done() // over HTTP/2 the connection lasts no longer than its handler
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/subscribe", subscribe) // not "GET /subscribe": over HTTP/2 the method is CONNECT
	server := &http.Server{
		Handler: mux,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          250,       // requests and WebSockets of a connection, together
			MaxReceiveBufferPerConnection: 4 << 20,   // more than a stream has, so that one that nobody reads
			MaxReceiveBufferPerStream:     256 << 10, // does not stall those beside it
		},
	}
	server.ListenAndServeTLS("cert.pem", "key.pem")
}

// echoAll echoes until the end of c.
func echoAll(c *websocket.Conn) {
	defer c.CloseNow()
	for m, err := range c.Messages(context.Background()) {
		if err != nil || c.Write(context.Background(), m.Type, m.Data) != nil {
			return
		}
	}
}

// Two versions of a protocol, the newer by preference. A client that speaks
// neither is connected without a subprotocol, which this server does not want;
// RequireSubprotocol would refuse it with 501.
func ExampleOptions_subprotocols() {
	opts := &websocket.Options{Subprotocols: []string{"chat.v2", "chat.v1"}}
	chat := func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Upgrade(w, r, opts)
		if err != nil {
			return
		}
		defer c.CloseNow()
		ctx := context.Background()
		switch c.Subprotocol() {
		case "chat.v2":
			c.Write(ctx, websocket.Text, []byte(`{"say": "welcome"}`))
			c.Close(ctx, websocket.CloseNormal, "")
		case "chat.v1":
			c.Write(ctx, websocket.Text, []byte("welcome"))
			c.Close(ctx, websocket.CloseNormal, "")
		default:
			c.Close(ctx, websocket.ClosePolicyViolation, "speak chat.v2 or chat.v1")
		}
	}
	server := httptest.NewServer(http.HandlerFunc(chat))
	defer server.Close()

	for _, offer := range []string{"chat.v1", "chat.v1, chat.v2", "mqtt"} {
		client := connect(server, "/", "Sec-WebSocket-Protocol: "+offer)
		fmt.Printf("%s: %q, %s\n", offer, client.Header.Get("Sec-WebSocket-Protocol"), client.receive())
		client.close()
	}
	// Output:
	// chat.v1: "chat.v1", welcome
	// chat.v1, chat.v2: "chat.v2", {"say": "welcome"}
	// mqtt: "", closed with 1008 (policy violation): speak chat.v2 or chat.v1
}

// Looking at a session before the connection is made. Foreign pages, which a
// browser would send the cookie for, have been refused with 403 by then.
func ExampleOptions_authorize() {
	sessions := map[string]string{"q4xz": "Ada"}
	opts := &websocket.Options{
		Authorize: func(r *http.Request) error {
			cookie, err := r.Cookie("session")
			if err != nil || sessions[cookie.Value] == "" {
				return websocket.Reject(http.StatusUnauthorized, "log in first")
			}
			return nil
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Upgrade(w, r, opts)
		if err != nil {
			return
		}
		c.Close(context.Background(), websocket.CloseNormal, "")
	}))
	defer server.Close()

	for _, fields := range [][]string{
		{},
		{"Cookie: session=guess"},
		{"Cookie: session=q4xz"},
		{"Cookie: session=q4xz", "Origin: https://evil.example"},
	} {
		client := connect(server, "/", fields...)
		fmt.Println(client.StatusCode, fields)
		client.close()
	}
	// Output:
	// 401 []
	// 401 [Cookie: session=guess]
	// 101 [Cookie: session=q4xz]
	// 403 [Cookie: session=q4xz Origin: https://evil.example]
}

// Refusing a version of the protocol with 501 in place of 426, and every refusal
// in JSON.
func ExampleOptions_onReject() {
	opts := &websocket.Options{
		OnReject: func(w http.ResponseWriter, r *http.Request, err *websocket.HandshakeError) {
			status := err.Status
			if status == http.StatusUpgradeRequired && websocket.IsUpgrade(r) {
				status = http.StatusNotImplemented
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			json.NewEncoder(w).Encode(map[string]string{"error": err.Reason()})
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Upgrade(w, r, opts)
		if err != nil {
			return
		}
		c.Close(context.Background(), websocket.CloseNormal, "")
	}))
	defer server.Close()

	page, err := http.Get(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer page.Body.Close()
	fmt.Println(page.StatusCode, "not a handshake")

	for _, change := range []string{
		"POST",
		"Sec-WebSocket-Version: 8",
		"Sec-WebSocket-Key: short",
		"Origin: https://evil.example",
		"Origin: http://server.example.com", // the Host of the requests
	} {
		client := connect(server, "/", change)
		fmt.Println(client.StatusCode, change)
		client.close()
	}
	// Output:
	// 426 not a handshake
	// 405 POST
	// 501 Sec-WebSocket-Version: 8
	// 400 Sec-WebSocket-Key: short
	// 403 Origin: https://evil.example
	// 101 Origin: http://server.example.com
}

// Only the text given to Reject reaches the client. What another error says is
// for the log: Upgrade returns it.
func ExampleReject() {
	opts := &websocket.Options{
		Authorize: func(r *http.Request) error {
			if r.URL.Path == "/busy" {
				refusal := websocket.Reject(http.StatusServiceUnavailable, "come back in a minute")
				refusal.Header = http.Header{"Retry-After": {"60"}}
				return refusal
			}
			return errors.New("the database is down")
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := websocket.Upgrade(w, r, opts)
		log.Print(err)
	}))
	defer server.Close()

	for _, path := range []string{"/busy", "/other"} {
		client := connect(server, path)
		body, _ := io.ReadAll(client.Body)
		fmt.Printf("%s, Retry-After %q: %s", client.Status, client.Header.Get("Retry-After"), body)
		client.close()
	}
	// Output:
	// 503 Service Unavailable, Retry-After "60": come back in a minute
	// 403 Forbidden, Retry-After "": Forbidden
}

// The loop ends by itself when the peer closes, and with an error when the
// connection is lost.
func ExampleConn_Messages() {
	ended := make(chan bool)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for m, err := range c.Messages(context.Background()) {
			if err != nil {
				fmt.Println("lost with", websocket.CloseStatus(err))
				break
			}
			fmt.Printf("%v: %s\n", m.Type, m.Data)
		}
		fmt.Println(c.Err())
		ended <- true
	}))
	defer server.Close()

	client := connect(server, "/")
	client.send("one")
	client.send("two")
	client.close()
	<-ended

	client = connect(server, "/")
	client.send("three")
	client.vanish()
	<-ended
	// Output:
	// text: one
	// text: two
	// websocket: closed by peer with 1000 (normal closure)
	// text: three
	// lost with 1006 (abnormal closure)
	// websocket: closed by the network with 1006 (abnormal closure): unexpected EOF
}

// A handler that only pushes. CloseRead reads for it, and its context ends the
// loop when the client goes, or when the network does.
func ExampleConn_CloseRead() {
	ended := make(chan bool)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		c, err := websocket.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		ctx := c.CloseRead(context.Background())
		ticks := time.NewTicker(10 * time.Millisecond)
		defer ticks.Stop()
		for n := 1; ; n++ {
			select {
			case <-ticks.C:
				c.Write(ctx, websocket.Text, fmt.Append(nil, "tick ", n))
			case <-ctx.Done():
				fmt.Println(context.Cause(ctx))
				return
			}
		}
	}))
	defer server.Close()

	client := connect(server, "/")
	for range 3 {
		fmt.Println(client.receive())
	}
	client.close()
	<-ended
	// Output:
	// tick 1
	// tick 2
	// tick 3
	// websocket: closed by peer with 1000 (normal closure)
}

// A read that waits for a while and then does something else. Nothing is lost:
// the next read goes on, even in the middle of a message.
func ExampleConn_Read() {
	handle := func(c *websocket.Conn) error {
		for {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			typ, data, err := c.Read(ctx)
			cancel()
			switch {
			case err == nil:
				log.Printf("%v message: %q", typ, data)
			case websocket.CloseStatus(err) == -1 && errors.Is(err, context.DeadlineExceeded):
				log.Print("nothing came for a second")
			default:
				return err // the connection has ended
			}
		}
	}
	_ = handle
}

// onlyHosts keeps names away that somebody else has made to resolve to this
// server.
func onlyHosts(names []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(names, r.Host) {
			http.Error(w, "this server does not have that name", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func Example_onlyHosts() {
	server := httptest.NewServer(onlyHosts([]string{"chat.example"}, http.HandlerFunc(echo)))
	defer server.Close()

	for _, host := range []string{"chat.example", "evil.example"} {
		client := connect(server, "/", "Host: "+host, "Origin: http://"+host)
		fmt.Println(host, client.Status)
		client.close()
	}
	// Output:
	// chat.example 101 Switching Protocols
	// evil.example 421 Misdirected Request
}

// Messages are compressed for clients that offer it, as browsers do.
func ExampleCompression() {
	opts := &websocket.Options{
		Compression: &websocket.Compression{},
	}
	server := httptest.NewServer(greeter(opts))
	defer server.Close()

	browser := connect(server, "/", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
	defer browser.close()
	h, _, _ := browser.peer.ReadFrame()
	fmt.Println("compressed:", h.RSV1, "- to a tenth:", h.Length < greeting/10)
	// Output:
	// permessage-deflate; client_max_window_bits=12
	// compressed: true - to a tenth: true
}

// Another compressor takes the place of the library's own.
func ExampleCompression_compress() {
	server := httptest.NewServer(greeter(&websocket.Options{Compression: &websocket.Compression{Compress: compress}}))
	defer server.Close()

	client := connect(server, "/", "Sec-WebSocket-Extensions: permessage-deflate")
	defer client.close()
	h, _, _ := client.peer.ReadFrame()
	fmt.Println("compressed:", h.RSV1, "- to a tenth:", h.Length < greeting/10)
	// Output:
	// permessage-deflate
	// compressed: true - to a tenth: true
}

var writers = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.BestCompression)
	return w
}}

// compress makes no use of dict, for compress/flate cannot be given another one.
func compress(dst, dict, p []byte) ([]byte, error) {
	w, buf := writers.Get().(*flate.Writer), bytes.NewBuffer(dst)
	defer writers.Put(w)
	w.Reset(buf)
	w.Write(p) // an error comes again from Flush
	err := w.Flush()
	return buf.Bytes(), err
}

const greeting = 2100 // bytes

// greeter sends every client a message, and sees it off.
func greeter(opts *websocket.Options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Upgrade(w, r, opts)
		if err != nil {
			return
		}
		defer c.CloseNow()
		fmt.Println(c.Extensions())
		c.Write(context.Background(), websocket.Text, bytes.Repeat([]byte("all work and no play "), greeting/21))
		c.Read(context.Background())
	})
}

// A file that is streamed is not held in memory.
func ExampleConn_SetWriteCompression() {
	http.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Upgrade(w, r, &websocket.Options{Compression: &websocket.Compression{}})
		if err != nil {
			return
		}
		defer c.CloseNow()
		ctx := c.CloseRead(context.Background())
		if err := sendFile(ctx, c, "large.bin"); err != nil {
			log.Print(err)
		}
		c.Close(ctx, websocket.CloseNormal, "")
	})
}

func sendFile(ctx context.Context, c *websocket.Conn, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()

	c.SetWriteCompression(false)
	w, err := c.Writer(ctx, websocket.Binary)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, f); err != nil {
		return err // and the message stays unfinished
	}
	return w.Close()
}

// The same message for everybody who watches. It is encoded once, and nobody waits
// for those who are slow to take it.
func ExampleGroup_Broadcast() {
	watchers := new(websocket.Group)
	opts := &websocket.Options{Group: watchers} // each connection joins and leaves by itself
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Upgrade(w, r, opts)
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.TrySend(websocket.Text, []byte("watching"))
		<-c.CloseRead(context.Background()).Done()
	}))
	defer server.Close()

	ann, ben := connect(server, "/"), connect(server, "/")
	defer ann.close()
	defer ben.close()
	fmt.Println(ann.receive(), ben.receive())

	m, err := websocket.NewPreparedMessage(websocket.Text, []byte(`{"price": 42}`))
	if err != nil {
		log.Fatal(err)
	}
	skipped := watchers.Broadcast(m)
	fmt.Println(ann.receive(), ben.receive())
	fmt.Println(skipped, "of", watchers.Len(), "skipped")
	// Output:
	// watching watching
	// {"price": 42} {"price": 42}
	// 0 of 2 skipped
}

// The end of a server. http.Server.Shutdown knows nothing of WebSockets, and the
// group knows nothing else.
func ExampleGroup_Shutdown() {
	opts := &websocket.Options{Group: new(websocket.Group)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Upgrade(w, r, opts)
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.TrySend(websocket.Text, []byte("welcome"))
		<-c.CloseRead(context.Background()).Done()
	}))
	defer server.Close()

	client := connect(server, "/")
	fmt.Println(client.receive())

	over := make(chan bool)
	go func() {
		defer close(over)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		cut, err := shutDown(ctx, server.Config, opts.Group)
		fmt.Println(cut, "cut off,", err)
	}()
	fmt.Println(client.receive())
	client.close()
	<-over
	// Output:
	// welcome
	// closed with 1001 (going away): the server is shutting down
	// 0 cut off, <nil>
}

// shutDown ends both halves of a server at the same time.
func shutDown(ctx context.Context, web *http.Server, group *websocket.Group) (cut int, err error) {
	pages := make(chan error, 1)
	go func() { pages <- web.Shutdown(ctx) }()
	cut, err = group.Shutdown(ctx)
	return cut, errors.Join(err, <-pages)
}

// follower is who follows a market: the callbacks of a connection, and what is known
// about it, in place of the local variables of a loop.
type follower struct{ topics []string }

func (f *follower) OnMessage(c *websocket.Conn, m websocket.Message) error {
	f.topics = append(f.topics, string(m.Data)) // m.Data is the library's again afterwards
	return c.Write(context.Background(), websocket.Text, []byte("following "+string(m.Data)))
}

func (f *follower) OnClose(_ *websocket.Conn, err error) {
	fmt.Println("gone:", f.topics, websocket.CloseStatus(err))
}

// Connections that wait most of the time, and are many. The HTTP handler returns, so
// neither it nor a goroutine of its own is there for one that says nothing.
func ExamplePoller() {
	poller, err := websocket.NewPoller(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer poller.Close() // behind http.Server.Shutdown and Group.Shutdown
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		// r and its context are for this handler only.
		poller.Serve(c, new(follower))
	}))
	defer server.Close()

	client := connect(server, "/")
	client.send("tea")
	fmt.Println(client.receive())
	client.send("coffee")
	fmt.Println(client.receive())
	client.close()
	// Output:
	// following tea
	// following coffee
	// gone: [tea coffee] 1000 (normal closure)
}

// Behind a proxy every request comes from the proxy. Who is behind it says a field
// that the proxy sets, whatever the client had put there: nginx does that with
// "proxy_set_header X-Real-IP $remote_addr".
func ExampleLimiter() {
	opts := &websocket.Options{
		Limiter: &websocket.Limiter{
			Max:           10_000,
			MaxPerAddress: 2,
			Address:       func(r *http.Request) string { return r.Header.Get("X-Real-Ip") },
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Upgrade(w, r, opts)
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.Read(context.Background())
	}))
	defer server.Close()

	for _, address := range []string{"192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"} {
		client := connect(server, "/", "X-Real-IP: "+address)
		defer client.close()
		fmt.Println(address, client.Status)
	}
	// Output:
	// 192.0.2.1 101 Switching Protocols
	// 192.0.2.1 101 Switching Protocols
	// 192.0.2.1 429 Too Many Requests
	// 192.0.2.2 101 Switching Protocols
}

// A feed of which nobody may miss a part. Who falls behind has to begin anew; what
// fitted the queue is still sent.
func ExampleConn_TrySend() {
	full := make(chan bool)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Upgrade(w, r, &websocket.Options{SendQueue: 1 << 20})
		if err != nil {
			return
		}
		defer c.CloseNow()
		ctx := c.CloseRead(context.Background())
		for ctx.Err() == nil {
			err := c.TrySend(websocket.Binary, make([]byte, 32<<10))
			if errors.Is(err, websocket.ErrBackpressure) {
				close(full)
				c.Close(context.Background(), websocket.CloseTryAgainLater, "too slow")
			}
		}
	}))
	defer server.Close()

	client := connect(server, "/")
	<-full // it has not read a thing
	received := client.receive()
	for len(received) == 32<<10 {
		received = client.receive()
	}
	fmt.Println(received)
	client.close()
	// Output:
	// closed with 1013 (try again later): too slow
}

// client is the other end of the examples, by hand.
type client struct {
	*http.Response
	peer *wstest.Peer
}

// connect sends an opening handshake with these changes, as wstest.Handshake
// takes them, and reads the answer.
func connect(server *httptest.Server, path string, changes ...string) *client {
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(wstest.Patience))
	io.WriteString(conn, wstest.Handshake(append(changes, path)...))
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		log.Fatal(err)
	}
	return &client{resp, wstest.NewPeer(nil, conn, r)}
}

func (c *client) send(text string) {
	c.peer.Write(wstest.Frame(frame.Text, true, []byte(text)))
}

// receive returns the next message, or how the connection ends.
func (c *client) receive() string {
	h, payload, err := c.peer.ReadFrame()
	switch {
	case err != nil:
		return err.Error()
	case h.Opcode == frame.Close:
		return fmt.Sprintf("closed with %v: %s", websocket.CloseCode(binary.BigEndian.Uint16(payload)), payload[2:])
	}
	return string(payload)
}

// close says goodbye, if there was a connection, and waits for the server's.
func (c *client) close() {
	if c.StatusCode == http.StatusSwitchingProtocols {
		c.peer.Write(wstest.CloseFrame(1000, ""))
		for err := error(nil); err == nil; {
			_, _, err = c.peer.ReadFrame()
		}
	}
	c.vanish()
}

func (c *client) vanish() { c.peer.Close() }
