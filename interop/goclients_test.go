package interop

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"
	xnet "golang.org/x/net/websocket"
)

// anyCertificate: those of the tests are signed by nobody.
var anyCertificate = &tls.Config{InsecureSkipVerify: true}

// transport connects to where rawURL leads, with patience for everything that
// is going to be done there.
func transport(rawURL string) (net.Conn, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(patience))
	if u.Scheme == "wss" {
		return tls.Client(conn, anyCertificate), nil
	}
	return conn, nil
}

// header returns the field of the handshake that says where a page is from.
func (to *target) header() http.Header {
	if to.Origin == "" {
		return nil
	}
	return http.Header{"Origin": {to.Origin}}
}

// inbox holds what a goroutine reads from a connection, so that pongs and close
// frames are seen whatever else the client does.
type inbox struct {
	messages chan message
	pongs    chan string
	err      error // why messages is closed
}

// newInbox calls read until it fails.
func newInbox(read func() (message, error)) *inbox {
	in := &inbox{messages: make(chan message, 1000), pongs: make(chan string, 10)}
	go func() {
		defer close(in.messages)
		for {
			m, err := read()
			if err != nil {
				in.err = err
				return
			}
			in.messages <- m
		}
	}()
	return in
}

func (in *inbox) receive() (message, error) {
	m, ok := <-in.messages
	if !ok {
		return m, in.err
	}
	return m, nil
}

func (in *inbox) expectPong(payload string) error {
	select {
	case got := <-in.pongs:
		if got != payload {
			return fmt.Errorf("the pong says %q", got)
		}
		return nil
	case <-time.After(patience):
		return errors.New("no pong")
	}
}

// end waits for the close frame of the server.
func (in *inbox) end() (*closed, error) {
	for {
		if _, err := in.receive(); err != nil {
			c, ok := errors.AsType[*closed](err)
			if !ok {
				return nil, err
			}
			return c, nil
		}
	}
}

type gorillaSocket struct {
	*inbox
	conn *gorilla.Conn
}

func dialGorilla(to target) (socket, error) {
	dial := func(context.Context, string, string) (net.Conn, error) { return transport(to.URL) }
	d := gorilla.Dialer{
		NetDialContext: dial, NetDialTLSContext: dial,
		Subprotocols:      to.Subprotocols,
		EnableCompression: to.Compression != nil,
	}
	conn, resp, err := d.Dial(to.URL, to.header())
	if errors.Is(err, gorilla.ErrBadHandshake) {
		return nil, &refused{resp.StatusCode}
	}
	if err != nil {
		return nil, err
	}
	s := &gorillaSocket{conn: conn}
	s.inbox = newInbox(func() (message, error) {
		typ, data, err := conn.ReadMessage()
		if c, ok := errors.AsType[*gorilla.CloseError](err); ok && c.Code != gorilla.CloseAbnormalClosure {
			err = &closed{c.Code, c.Text}
		}
		return message{typ == gorilla.BinaryMessage, string(data)}, err
	})
	conn.SetPongHandler(func(payload string) error {
		s.pongs <- payload
		return nil
	})
	return s, nil
}

func (s *gorillaSocket) subprotocol() string { return s.conn.Subprotocol() }

// send leaves it to the library to cut messages, as it does with all that are
// larger than its buffer.
func (s *gorillaSocket) send(m message, _ bool) error {
	typ := gorilla.TextMessage
	if m.binary {
		typ = gorilla.BinaryMessage
	}
	return s.conn.WriteMessage(typ, []byte(m.data))
}

func (s *gorillaSocket) ping(payload string) error {
	if err := s.conn.WriteControl(gorilla.PingMessage, []byte(payload), time.Time{}); err != nil {
		return err
	}
	return s.expectPong(payload)
}

func (s *gorillaSocket) close(code int, reason string) (*closed, error) {
	err := s.conn.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(code, reason), time.Time{})
	if err != nil {
		return nil, err
	}
	return s.end()
}

func (s *gorillaSocket) drop() { s.conn.Close() }

type coderSocket struct {
	*inbox
	conn *coder.Conn
}

func dialCoder(to target) (socket, error) {
	dial := func(context.Context, string, string) (net.Conn, error) { return transport(to.URL) }
	mode := coder.CompressionDisabled
	switch {
	case to.Compression == nil:
	case to.Compression.ClientAlone:
		mode = coder.CompressionNoContextTakeover
	default:
		mode = coder.CompressionContextTakeover
	}
	conn, resp, err := coder.Dial(context.Background(), to.URL, &coder.DialOptions{
		HTTPClient:   &http.Client{Transport: &http.Transport{DialContext: dial, DialTLSContext: dial}},
		HTTPHeader:   to.header(),
		Subprotocols: to.Subprotocols,

		CompressionMode: mode,
	})
	if err != nil && resp != nil {
		return nil, &refused{resp.StatusCode}
	}
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(-1)
	s := &coderSocket{conn: conn}
	s.inbox = newInbox(func() (message, error) {
		typ, data, err := conn.Read(context.Background())
		if c, ok := errors.AsType[coder.CloseError](err); ok {
			err = &closed{int(c.Code), c.Reason}
		}
		return message{typ == coder.MessageBinary, string(data)}, err
	})
	return s, nil
}

func (s *coderSocket) subprotocol() string { return s.conn.Subprotocol() }

func (s *coderSocket) send(m message, fragmented bool) error {
	typ := coder.MessageText
	if m.binary {
		typ = coder.MessageBinary
	}
	if !fragmented {
		return s.conn.Write(context.Background(), typ, []byte(m.data))
	}
	w, err := s.conn.Writer(context.Background(), typ)
	if err != nil {
		return err
	}
	for _, part := range cut(m.data) { // each Write is a frame
		if _, err := io.WriteString(w, part); err != nil {
			return err
		}
	}
	return w.Close()
}

// ping has no payload of its own: the library chooses one and compares it.
func (s *coderSocket) ping(string) error { return s.conn.Ping(context.Background()) }

// close pings first: with the pong, the inbox is known to read. Were it not,
// Close would read the answer itself, and tell nobody what it says.
func (s *coderSocket) close(code int, reason string) (*closed, error) {
	if err := s.ping(""); err != nil {
		return nil, err
	}
	if err := s.conn.Close(coder.StatusCode(code), reason); err != nil {
		return nil, err
	}
	return s.end()
}

func (s *coderSocket) drop() { s.conn.CloseNow() }

type gobwasSocket struct {
	*inbox
	conn net.Conn
	name string // of the subprotocol
}

func dialGobwas(to target) (socket, error) {
	s, early, err := connectGobwas(to)
	if err != nil {
		return nil, err
	}
	s.inbox = newInbox(func() (message, error) { return s.read(early) })
	return s, nil
}

// connectGobwas goes through the handshake. What is read comes from the
// io.Reader.
func connectGobwas(to target, extensions ...httphead.Option) (*gobwasSocket, io.Reader, error) {
	u, err := url.Parse(to.URL)
	if err != nil {
		return nil, nil, err
	}
	conn, err := transport(to.URL)
	if err != nil {
		return nil, nil, err
	}
	d := ws.Dialer{Protocols: to.Subprotocols, Extensions: extensions, Header: ws.HandshakeHeaderHTTP(to.header())}
	early, hs, err := d.Upgrade(conn, u)
	if err != nil {
		conn.Close()
		if status, ok := errors.AsType[ws.StatusError](err); ok {
			err = &refused{int(status)}
		}
		return nil, nil, err
	}
	if early == nil {
		early = bufio.NewReader(conn)
	}
	return &gobwasSocket{conn: conn, name: hs.Protocol}, early, nil
}

// read returns the next message. What belongs to pings and closing is left to
// the user by this library.
func (s *gobwasSocket) read(r io.Reader) (message, error) {
	for {
		frames, err := wsutil.ReadServerMessage(r, nil)
		for _, f := range frames {
			switch f.OpCode {
			case ws.OpPing:
				wsutil.WriteClientMessage(s.conn, ws.OpPong, f.Payload)
			case ws.OpPong:
				s.pongs <- string(f.Payload)
			case ws.OpClose:
				code, reason := ws.ParseCloseFrameData(f.Payload)
				wsutil.WriteClientMessage(s.conn, ws.OpClose, ws.NewCloseFrameBody(code, ""))
				return message{}, &closed{int(code), reason}
			default:
				return message{f.OpCode == ws.OpBinary, string(f.Payload)}, nil
			}
		}
		if err != nil {
			return message{}, err
		}
	}
}

func (s *gobwasSocket) subprotocol() string { return s.name }

func (s *gobwasSocket) send(m message, fragmented bool) error {
	op := ws.OpText
	if m.binary {
		op = ws.OpBinary
	}
	if !fragmented {
		return wsutil.WriteClientMessage(s.conn, op, []byte(m.data))
	}
	parts := cut(m.data)
	for i, part := range parts {
		f := ws.NewFrame(op, i == len(parts)-1, []byte(part))
		if err := ws.WriteFrame(s.conn, ws.MaskFrame(f)); err != nil {
			return err
		}
		op = ws.OpContinuation
	}
	return nil
}

func (s *gobwasSocket) ping(payload string) error {
	if err := wsutil.WriteClientMessage(s.conn, ws.OpPing, []byte(payload)); err != nil {
		return err
	}
	return s.expectPong(payload)
}

func (s *gobwasSocket) close(code int, reason string) (*closed, error) {
	body := ws.NewCloseFrameBody(ws.StatusCode(code), reason)
	if err := wsutil.WriteClientMessage(s.conn, ws.OpClose, body); err != nil {
		return nil, err
	}
	return s.end()
}

func (s *gobwasSocket) drop() { s.conn.Close() }

type xnetSocket struct {
	*inbox
	conn *xnet.Conn
}

// dialXNet names the own origin where none is given: this library always sends
// one.
func dialXNet(to target) (socket, error) {
	if to.Origin == "" {
		to.Origin = pageURL(to.URL)
	}
	config, err := xnet.NewConfig(to.URL, to.Origin)
	if err != nil {
		return nil, err
	}
	config.Protocol = to.Subprotocols
	tcp, err := transport(to.URL)
	if err != nil {
		return nil, err
	}
	conn, err := xnet.NewClient(config, tcp)
	if err != nil {
		tcp.Close()
		if errors.Is(err, xnet.ErrBadStatus) {
			err = &refused{}
		}
		return nil, err
	}
	s := &xnetSocket{conn: conn}
	s.inbox = newInbox(func() (m message, err error) { return m, xnetMessage.Receive(conn, &m) })
	return s, nil
}

// xnetMessage tells text from binary, which the library's own does not.
var xnetMessage = xnet.Codec{
	Marshal: func(v any) ([]byte, byte, error) {
		m := v.(message)
		if m.binary {
			return []byte(m.data), xnet.BinaryFrame, nil
		}
		return []byte(m.data), xnet.TextFrame, nil
	},
	Unmarshal: func(data []byte, typ byte, v any) error {
		*v.(*message) = message{typ == xnet.BinaryFrame, string(data)}
		return nil
	},
}

// subprotocol is what the library makes of the answer: it replaces what was
// offered.
func (s *xnetSocket) subprotocol() string {
	return strings.Join(s.conn.Config().Protocol, ", ")
}

func (s *xnetSocket) send(m message, _ bool) error { return xnetMessage.Send(s.conn, m) }
func (s *xnetSocket) ping(string) error            { return errors.ErrUnsupported }
func (s *xnetSocket) close(int, string) (*closed, error) {
	return nil, errors.ErrUnsupported
}
func (s *xnetSocket) drop() { s.conn.Close() }

// cut takes a message apart.
func cut(s string) (parts []string) {
	const size = 4093 // a prime, so that the pieces begin anywhere
	for len(s) > size {
		parts, s = append(parts, s[:size]), s[size:]
	}
	return append(parts, s)
}

// pageURL returns the origin of pages from where a WebSocket URL leads.
func pageURL(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return ""
	}
	return strings.Replace(u.Scheme, "ws", "http", 1) + "://" + u.Host
}
