package interop

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/airlock-go/websocket/frame"
)

// How much and how long is tried.
const (
	manyFragments = 200_000
	largest       = 32 << 20
	silence       = 30 * time.Second
	stall         = time.Minute
	clashes       = 1000 // messages
)

var questions = []question{
	{text: "pages of a foreign origin are refused", probe: refuses("Origin: https://elsewhere.example")},
	{text: "and so is a foreign origin in a second Origin line", probe: refuses("Origin: http://{host}", "Origin: https://elsewhere.example")},
	{text: "version 8 is answered with 426, Upgrade and Sec-WebSocket-Version", probe: explainsVersion},
	{text: "a request behind one that is refused is not served", probe: endsRefused},
	{text: "bytes that come with the handshake are kept", probe: keepsEarly},
	{text: "text that is not UTF-8 is refused", probe: refusesText},
	{text: "messages have a limit (" + size(largest) + " tried)", probe: limitsMessages},
	{text: "empty fragments without an end are refused (200,000 tried)", probe: limitsFragments},
	{text: "a silent client gets a ping within 30 seconds", probe: getsPing},
	{text: "a client that does not read is given up within a minute", probe: givesUp},
	{text: "two goroutines may write at once", probe: letsTwoWrite, clash: true},
	{text: "permessage-deflate", probe: compresses},
}

// A rawClient speaks to a server byte by byte.
type rawClient struct {
	net.Conn
	r *bufio.Reader
}

// request returns a handshake, with these lines in place of its own of the same
// names.
func request(host string, lines ...string) string {
	own := []string{
		"Host: {host}", "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	}
	var b strings.Builder
	b.WriteString("GET / HTTP/1.1\r\n")
	for _, line := range own {
		name, _, _ := strings.Cut(line, ":")
		if !strings.Contains("\n"+strings.Join(lines, "\n"), "\n"+name+":") {
			b.WriteString(line + "\r\n")
		}
	}
	b.WriteString(strings.Join(append(lines, "\r\n"), "\r\n"))
	return strings.ReplaceAll(strings.TrimSuffix(b.String(), "\r\n\r\n")+"\r\n\r\n", "{host}", host)
}

// shake connects, sends a handshake and what comes after it in one write, and
// reads the answer.
func shake(rawURL, after string, lines ...string) (*rawClient, *http.Response, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, nil, err
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		return nil, nil, err
	}
	c := &rawClient{conn, bufio.NewReader(conn)}
	c.SetDeadline(time.Now().Add(2 * stall))
	if _, err := io.WriteString(c, request(u.Host, lines...)+after); err != nil {
		return nil, nil, c.end(err)
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return nil, nil, c.end(err)
	}
	return c, resp, nil
}

// end closes the connection and returns err.
func (c *rawClient) end(err error) error {
	c.Close()
	return err
}

// open connects, with a handshake that has to be accepted.
func open(rawURL string) (*rawClient, error) {
	c, resp, err := shake(rawURL, "")
	if err == nil && resp.StatusCode != http.StatusSwitchingProtocols {
		err = c.end(fmt.Errorf("the handshake was answered with %s", resp.Status))
	}
	return c, err
}

// masked returns a frame.
func masked(op frame.Opcode, fin bool, payload []byte) []byte {
	h := frame.Header{Fin: fin, Opcode: op, Masked: true, Key: [4]byte{1, 2, 3, 4}, Length: uint64(len(payload))}
	b := append(frame.Append(nil, h), payload...)
	frame.Mask(b[len(b)-len(payload):], h.Key, 0)
	return b
}

// next reads a frame.
func (c *rawClient) next() (h frame.Header, payload []byte, err error) {
	head, n := []byte(nil), 0
	for n == 0 {
		b, err := c.r.ReadByte()
		if err != nil {
			return h, nil, err
		}
		head = append(head, b)
		if h, n, err = frame.Parse(head); err != nil {
			return h, nil, err
		}
	}
	if h.Length > largest {
		return h, nil, fmt.Errorf("a frame of %d bytes", h.Length)
	}
	payload = make([]byte, h.Length)
	_, err = io.ReadFull(c.r, payload)
	return h, payload, err
}

// message reads a message. What ends the connection before is an error.
func (c *rawClient) message() (message []byte, err error) {
	for {
		h, payload, err := c.next()
		if err != nil {
			return nil, err
		}
		switch {
		case h.Opcode == frame.Close:
			return nil, errClosed
		case h.Opcode.IsControl():
		default:
			if message = append(message, payload...); h.Fin {
				return message, nil
			}
		}
	}
}

var errClosed = errors.New("a close frame")

// ended reports whether err is the end of the connection, which may come as a
// reset. Anything else the questions do not expect.
func ended(err error) bool {
	return errors.Is(err, errClosed) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// echoes reports whether a message comes back rather than the end.
func (c *rawClient) echoes(want []byte) (bool, error) {
	got, err := c.message()
	switch {
	case err == nil && !bytes.Equal(got, want):
		return false, fmt.Errorf("%d bytes came back as %d others", len(want), len(got))
	case err == nil:
		return true, nil
	case ended(err):
		return false, nil
	}
	return false, err
}

func refuses(lines ...string) func(string) (bool, string, error) {
	return func(url string) (bool, string, error) {
		c, resp, err := shake(url, "", lines...)
		if err != nil {
			return false, "", err
		}
		return resp.StatusCode >= 400, "", c.Close()
	}
}

func explainsVersion(url string) (bool, string, error) {
	c, resp, err := shake(url, "", "Sec-WebSocket-Version: 8")
	if err != nil {
		return false, "", err
	}
	defer c.Close()
	if resp.StatusCode != http.StatusUpgradeRequired {
		return false, fmt.Sprint(resp.StatusCode), nil
	}
	for _, name := range []string{"Sec-WebSocket-Version", "Upgrade"} {
		if resp.Header.Get(name) == "" {
			return false, "426 without " + name, nil
		}
	}
	return true, "", nil
}

// endsRefused sends a good handshake right behind one that is not.
func endsRefused(url string) (bool, string, error) {
	host := strings.Trim(strings.TrimPrefix(url, "ws:"), "/")
	c, resp, err := shake(url, request(host), "Sec-WebSocket-Version: 8")
	if err != nil {
		return false, "", err
	}
	defer c.Close()
	if resp.StatusCode < 400 {
		return false, "", fmt.Errorf("the handshake was answered with %s", resp.Status)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return false, "", err
	}
	_, err = http.ReadResponse(c.r, nil)
	if err != nil && !ended(err) {
		return false, "", err
	}
	return err != nil, "", nil
}

func keepsEarly(url string) (bool, string, error) {
	hello := []byte("hello")
	c, resp, err := shake(url, string(masked(frame.Text, true, hello)))
	if err != nil {
		if ended(err) {
			return false, "", nil
		}
		return false, "", err
	}
	defer c.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return false, "", nil
	}
	// The next message would come back alone.
	if _, err := c.Write(masked(frame.Text, true, []byte("again"))); err != nil {
		return false, "", err
	}
	got, err := c.message()
	if err != nil && !ended(err) {
		return false, "", err
	}
	return bytes.Equal(got, hello), "", nil
}

func refusesText(url string) (bool, string, error) {
	c, err := open(url)
	if err != nil {
		return false, "", err
	}
	defer c.Close()
	if _, err := c.Write(masked(frame.Text, true, []byte("a\xff"))); err != nil {
		return false, "", err
	}
	yes, err := c.echoes([]byte("a\xff"))
	return !yes, "", err
}

// limitsMessages looks for the largest power of two that comes back.
func limitsMessages(url string) (bool, string, error) {
	for n := 1 << 10; n <= largest; n *= 2 {
		c, err := open(url)
		if err != nil {
			return false, "", err
		}
		payload := make([]byte, n)
		go c.Write(masked(frame.Binary, true, payload)) // while it comes back; an error is seen there
		yes, err := c.echoes(payload)
		c.Close()
		if err != nil {
			return false, "", err
		}
		if !yes {
			return true, size(n / 2), nil
		}
	}
	return false, "", nil
}

func limitsFragments(url string) (bool, string, error) {
	c, err := open(url)
	if err != nil {
		return false, "", err
	}
	defer c.Close()
	go func() {
		c.Write(masked(frame.Text, false, nil))
		c.Write(bytes.Repeat(masked(frame.Continuation, false, nil), manyFragments))
		c.Write(masked(frame.Continuation, true, []byte("end")))
	}()
	yes, err := c.echoes([]byte("end"))
	return !yes, "", err
}

func getsPing(url string) (bool, string, error) {
	c, err := open(url)
	if err != nil {
		return false, "", err
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(silence))
	h, _, err := c.next()
	switch {
	case err == nil && h.Opcode == frame.Ping:
		return true, "", nil
	case err == nil && h.Opcode == frame.Close || ended(err):
		return false, "closed instead", nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, "", nil
	}
	return false, "", fmt.Errorf("%v and %v where only a ping can come", h, err)
}

// givesUp sends messages and reads no echo, until the server, which waits for
// that, reads none of them either. That it closes the connection ends the write
// that waits.
func givesUp(url string) (bool, string, error) {
	c, err := open(url)
	if err != nil {
		return false, "", err
	}
	defer c.Close()
	b := masked(frame.Binary, true, make([]byte, 16<<10))
	for err == nil {
		c.SetWriteDeadline(time.Now().Add(stall))
		_, err = c.Write(b)
	}
	switch {
	case ended(err):
		return true, "", nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, "", nil
	}
	return false, "", err
}

// letsTwoWrite reads what two goroutines write, each messages of its letter.
func letsTwoWrite(url string) (bool, string, error) {
	c, err := open(url)
	if err != nil {
		return false, "", err
	}
	defer c.Close()
	seen := make(map[byte]bool)
	for range clashes {
		h, payload, err := c.next()
		whole := err == nil && h.Opcode == frame.Text && h.Fin && !h.Masked && len(payload) == 64<<10
		if !whole || bytes.Count(payload, payload[:1]) != len(payload) {
			return false, "", nil
		}
		seen[payload[0]] = true
	}
	if len(seen) != 2 {
		return false, "", errors.New("one of the goroutines has written nothing")
	}
	return true, "", nil
}

func compresses(url string) (bool, string, error) {
	c, resp, err := shake(url, "", "Sec-WebSocket-Extensions: permessage-deflate")
	if err != nil {
		return false, "", err
	}
	return strings.HasPrefix(resp.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate"), "", c.Close()
}
