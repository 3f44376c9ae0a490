package websocket

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/airlock-go/websocket/internal/netpoll"
)

func TestHijackedRead(t *testing.T) {
	client, conn := net.Pipe()
	defer conn.Close()
	go func() {
		io.WriteString(client, "later")
		client.Close()
	}()
	s := newHijacked(conn, []byte("early"))
	var got []byte
	p := make([]byte, 3)
	for {
		n, err := s.Read(p)
		got = append(got, p[:n]...)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if string(got) != "earlylater" {
		t.Errorf("read %q, want what came early and then the rest", got)
	}
	if s.early != nil {
		t.Errorf("%d bytes that came early are kept for ever", cap(s.early))
	}
}

func TestHijackedWriteBuffers(t *testing.T) {
	client, conn := net.Pipe()
	defer conn.Close()
	read := make(chan string)
	go func() {
		b, _ := io.ReadAll(client)
		read <- string(b)
	}()
	s := newHijacked(conn, nil)
	n, err := s.WriteBuffers(&net.Buffers{[]byte("ab"), nil, []byte("cde")})
	if n != 5 || err != nil {
		t.Errorf("WriteBuffers = %d, %v, want 5, nil", n, err)
	}
	conn.Close()
	if got := <-read; got != "abcde" {
		t.Errorf("wrote %q, want abcde", got)
	}
}

// halfCloser is a connection that can be half-closed.
type halfCloser struct {
	net.Conn
	err error
}

func (c halfCloser) CloseWrite() error { return c.err }

func TestHijackedCloseWrite(t *testing.T) {
	closed := errors.New("closed")
	if err := newHijacked(halfCloser{err: closed}, nil).CloseWrite(); err != closed {
		t.Errorf("CloseWrite of a connection that has it = %v, want its result", err)
	}
	if err := newHijacked(struct{ net.Conn }{}, nil).CloseWrite(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("CloseWrite of another connection = %v, want %v", err, errors.ErrUnsupported)
	}
}

// Over TLS, what is below is half-closed behind it, if that succeeds.
func TestHijackedCloseWriteTLS(t *testing.T) {
	below := errors.New("below")
	a, b := net.Pipe()
	defer b.Close()
	server, client := tlsPair(t, halfCloser{a, below}, b)
	read := make(chan error)
	go func() {
		_, err := client.Read(make([]byte, 1))
		read <- err
	}()
	if err := newHijacked(server, nil).CloseWrite(); err != below {
		t.Errorf("CloseWrite = %v, want %v", err, below)
	}
	if err := <-read; err != io.EOF {
		t.Errorf("the client read %v, want %v from TLS", err, io.EOF)
	}
	a.Close()
	if err := newHijacked(tls.Server(halfCloser{a, below}, nil), nil).CloseWrite(); err == nil || err == below {
		t.Errorf("CloseWrite before the handshake of TLS = %v, want its own error", err)
	}
}

var testCertificates = sync.OnceValue(func() []tls.Certificate {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	return s.TLS.Certificates
})

// tlsPair makes a connection over TLS of the two ends of another.
func tlsPair(t *testing.T, a, b net.Conn) (server, client *tls.Conn) {
	t.Helper()
	server = tls.Server(a, &tls.Config{Certificates: testCertificates(), SessionTicketsDisabled: true})
	client = tls.Client(b, &tls.Config{InsecureSkipVerify: true})
	shaken := make(chan error)
	go func() { shaken <- client.Handshake() }()
	if err := errors.Join(server.Handshake(), <-shaken); err != nil {
		t.Fatal(err)
	}
	return server, client
}

func TestHijackedDirect(t *testing.T) {
	for _, tt := range []struct {
		name string
		conn net.Conn
		want bool
	}{
		{"TCP", new(net.TCPConn), true},
		{"Unix", new(net.UnixConn), true},
		{"TLS", new(tls.Conn), false},
		{"wrapped", struct{ *net.TCPConn }{}, false},
	} {
		if got := newHijacked(tt.conn, nil).Direct(); got != tt.want {
			t.Errorf("%s: Direct() = %t, want %t", tt.name, got, tt.want)
		}
	}
}

// TestHijackedEarly: what came with the handshake is read before anything else, by
// every way of reading.
func TestHijackedEarly(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, wait := range []bool{false, true} {
		s := newHijacked(conn, []byte("early"))
		two := make([]byte, 2)
		if n, err := s.TryRead(two); string(two[:n]) != "ea" || err != nil {
			t.Errorf("TryRead: %q, %v", two[:n], err)
		}
		buf, n, err := s.ReadBuffer(wait)
		if err != nil || string(buf[:n]) != "rly" {
			t.Fatalf("ReadBuffer: %d bytes, %v", n, err)
		}
		buffers.Put(buf)
		if n, err := s.TryRead(two); n != 0 || err != netpoll.ErrNotReady {
			t.Errorf("TryRead with nothing more: %d, %v", n, err)
		}
	}
}

// TestHijackedAbort: over TLS, Close says goodbye and waits five seconds for a
// peer that does not listen. Abort closes all the same, and at once.
func TestHijackedAbort(t *testing.T) {
	testCertificates() // from a server, which is not for a bubble
	synctest.Test(t, func(t *testing.T) {
		// took opens a connection over TLS and tells how long it took to end it.
		took := func(end func(*hijacked) error) time.Duration {
			a, b := net.Pipe()
			defer b.Close()
			conn, _ := tlsPair(t, a, b)
			start := time.Now()
			_ = end(newHijacked(conn, nil))
			took := time.Since(start)
			if _, err := a.Write([]byte("x")); err != io.ErrClosedPipe {
				t.Errorf("the connection underneath is open: write = %v", err)
			}
			if _, err := conn.Write([]byte("x")); err != net.ErrClosed {
				t.Errorf("TLS is open: write = %v", err)
			}
			return took
		}
		if d := took((*hijacked).Close); d == 0 {
			t.Fatal("Close waits for nobody, so this proves nothing")
		}
		if d := took((*hijacked).Abort); d != 0 {
			t.Errorf("Abort took %v", d)
		}
	})
	plain, other := net.Pipe()
	defer other.Close()
	if err := newHijacked(plain, nil).Abort(); err != nil {
		t.Errorf("Abort = %v", err)
	}
	if _, err := plain.Write([]byte("x")); err != io.ErrClosedPipe {
		t.Errorf("write after Abort = %v, want %v", err, io.ErrClosedPipe)
	}
}
