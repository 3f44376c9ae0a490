package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/lxzan/gws"
)

// deflateClient is a client that offers permessage-deflate.
type deflateClient struct {
	name   string
	offers []deflateParams
	// open makes it ready, a browser from a page.
	open func(t *testing.T, page string) exchanger
	// noWindowOf8 is what a client says that has to compress with a window of 8
	// bits, which its zlib cannot do. Others take 9 in place of 8, where zlib
	// refers back 250 bytes at most.
	noWindowOf8 string
}

// refuses returns a part of what the client says when it cannot keep to p, or "".
func (c *deflateClient) refuses(p deflateParams) string {
	if p.ClientBits == 8 {
		return c.noWindowOf8
	}
	return ""
}

// exchanger connects, exchanges the first n of deflateMessages, and closes with
// 1000. It returns what the client has understood of the answer, or nil when it
// does not tell.
type exchanger func(to target, n int) (*deflateParams, error)

var (
	deflateBits = []int{0, 8, 9, 10, 11, 12, 13, 14, 15}
	allOffers   = deflateOffers(deflateBits, append([]int{anyBits}, deflateBits...))
	together    = deflateParams{}
	separated   = deflateParams{ServerAlone: true, ClientAlone: true}
)

var nodeDeflate = deflateClient{name: "node", open: scriptExchanger(openNode), offers: allOffers}

// deflateClients offer all that their options can say. x-net has no compression.
var deflateClients = []deflateClient{
	{name: "chromium", open: openDeflatePage, offers: []deflateParams{{ClientBits: anyBits}}},
	nodeDeflate,
	{
		name: "python", open: scriptExchanger(openPython), offers: allOffers,
		noWindowOf8: "ValueError: Invalid initialization option",
	},
	{name: "gorilla", open: socketExchanger(dialGorilla), offers: []deflateParams{separated}},
	{name: "coder", open: socketExchanger(dialCoder), offers: []deflateParams{together, separated}},
	{name: "gobwas", open: socketExchanger(dialGobwasDeflate), offers: []deflateParams{separated}},
	{name: "gws", open: socketExchanger(dialGWS), offers: gwsOffers()},
}

// openDeflatePage opens a page whose script has the messages.
func openDeflatePage(t *testing.T, url string) exchanger {
	p := openPage(t, url)
	code, err := os.ReadFile("testdata/exchange.js")
	if err != nil {
		t.Fatal(err)
	}
	load := fmt.Sprintf("%s\nload(%s)", code, deflateJSON(t))
	if loaded := evaluate[int](p, load); loaded != len(deflateMessages) {
		t.Fatalf("the page has %d messages", loaded)
	}
	return func(to target, n int) (*deflateParams, error) {
		type outcome struct {
			Extensions string
			Failed     string
		}
		o := evaluate[outcome](p, fmt.Sprintf("exchange(%s, %d)", quote(to.URL), n))
		if o.Failed != "" {
			return nil, errors.New(o.Failed)
		}
		agreed, err := parseDeflate(o.Extensions)
		return &agreed, err
	}
}

// deflateJSON returns the messages for scripts.
func deflateJSON(t *testing.T) []byte {
	t.Helper()
	var all []command
	for _, m := range deflateMessages {
		all = append(all, command{Do: "send", data: m.forScript(), Fragmented: m.fragmented})
	}
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// scriptExchanger has a script do it by itself, for each command takes its time.
func scriptExchanger(open func(*testing.T) *script) func(*testing.T, string) exchanger {
	return func(t *testing.T, _ string) exchanger {
		s := open(t)
		file := filepath.Join(t.TempDir(), "messages.json")
		writeFile(t, file, string(deflateJSON(t)))
		if _, err := s.call(command{Do: "load", File: file}); err != nil {
			t.Fatal(err)
		}
		return func(to target, n int) (*deflateParams, error) {
			a, err := s.call(command{Do: "exchange", target: to, Count: n})
			return a.Agreed, err
		}
	}
}

func socketExchanger(dial dialer) func(*testing.T, string) exchanger {
	return func(*testing.T, string) exchanger {
		return func(to target, n int) (*deflateParams, error) { return nil, exchangeMessages(dial, to, n) }
	}
}

func exchangeMessages(dial dialer, to target, n int) error {
	conn, err := dial(to)
	if err != nil {
		return err
	}
	defer conn.drop()
	for i, m := range deflateMessages[:n] {
		if err := conn.send(m.message, m.fragmented); err != nil {
			return fmt.Errorf("sending message %d: %w", i, err)
		}
	}
	for i, m := range deflateMessages[:n] {
		if got, err := conn.receive(); err != nil || got != m.message {
			return fmt.Errorf("message %d, %v, came back as %v (%w)", i, m, got, err)
		}
	}
	if c, err := conn.close(1000, ""); err != nil || c.Code != 1000 {
		return fmt.Errorf("closed with %v (%w)", c, err)
	}
	return nil
}

// gobwasDeflateSocket is a gobwasSocket that compresses, with the helpers that
// the library has for that. They are for messages of one frame.
type gobwasDeflateSocket struct{ *gobwasSocket }

func dialGobwasDeflate(to target) (socket, error) {
	s, early, err := connectGobwas(to, wsflate.DefaultParameters.Option())
	if err != nil {
		return nil, err
	}
	s.inbox = newInbox(func() (message, error) { return readGobwasDeflate(early) })
	return &gobwasDeflateSocket{s}, nil
}

func readGobwasDeflate(r io.Reader) (message, error) {
	h, err := ws.ReadHeader(r)
	if err != nil {
		return message{}, err
	}
	f := ws.Frame{Header: h, Payload: make([]byte, h.Length)}
	if _, err := io.ReadFull(r, f.Payload); err != nil {
		return message{}, err
	}
	if f.Header.OpCode == ws.OpClose {
		code, reason := ws.ParseCloseFrameData(f.Payload)
		return message{}, &closed{int(code), reason}
	}
	f, err = wsflate.DecompressFrame(f)
	return message{f.Header.OpCode == ws.OpBinary, string(f.Payload)}, err
}

func (s *gobwasDeflateSocket) send(m message, _ bool) error {
	op := ws.OpText
	if m.binary {
		op = ws.OpBinary
	}
	f, err := wsflate.CompressFrame(ws.NewFrame(op, true, []byte(m.data)))
	if err != nil {
		return err
	}
	return ws.WriteFrame(s.conn, ws.MaskFrame(f))
}

// gwsSocket is a client of gws, which calls its methods.
type gwsSocket struct {
	gws.BuiltinEventHandler
	*inbox
	conn *gws.Conn
}

// gwsOffers are those that its options make: 15 bits of the server go without
// saying, and 15 of the client where it does not need them.
func gwsOffers() (offers []deflateParams) {
	for _, o := range deflateOffers([]int{0, 8, 9, 10, 11, 12, 13, 14}, []int{0, anyBits, 8, 9, 10, 11, 12, 13, 14}) {
		if o.ClientBits > 0 || o.ClientAlone == (o.ClientBits == 0) {
			offers = append(offers, o)
		}
	}
	return offers
}

func dialGWS(to target) (socket, error) {
	offer := to.Compression
	s := &gwsSocket{inbox: &inbox{messages: make(chan message, 1000)}}
	conn, _, err := gws.NewClient(s, &gws.ClientOption{
		Addr: to.URL,
		PermessageDeflate: gws.PermessageDeflate{
			Enabled:               true,
			ServerContextTakeover: !offer.ServerAlone, ClientContextTakeover: !offer.ClientAlone,
			ServerMaxWindowBits: offer.ServerBits, ClientMaxWindowBits: offer.ClientBits, // 15 where it is none
		},
	})
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(patience))
	s.conn = conn
	go conn.ReadLoop()
	return s, nil
}

func (s *gwsSocket) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer m.Close()
	s.messages <- message{m.Opcode == gws.OpcodeBinary, string(m.Bytes())}
}

func (s *gwsSocket) OnClose(_ *gws.Conn, err error) {
	s.err = err
	close(s.messages)
}

func (s *gwsSocket) subprotocol() string { return s.conn.SubProtocol() }

func (s *gwsSocket) send(m message, _ bool) error {
	op := gws.OpcodeText
	if m.binary {
		op = gws.OpcodeBinary
	}
	return s.conn.WriteMessage(op, []byte(m.data))
}

func (s *gwsSocket) ping(payload string) error { return s.conn.WritePing([]byte(payload)) }

// close does not see the answer: this library closes TCP as soon as it has sent
// its own close frame.
func (s *gwsSocket) close(code int, reason string) (*closed, error) {
	return &closed{Code: code}, s.conn.WriteClose(uint16(code), []byte(reason))
}

func (s *gwsSocket) drop() { s.conn.NetConn().Close() }
