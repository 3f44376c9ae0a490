package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/airlock-go/websocket/frame"
)

// patience is how long anything may take before the test fails.
const patience = 30 * time.Second

// running is a run of the program.
type running struct {
	addr  string
	trust *tls.Config // of its clients
	stop  context.CancelFunc
}

// start runs the program until the test ends, or somebody stops it.
func start(t *testing.T) running {
	t.Helper()
	lender := httptest.NewTLSServer(nil) // of a certificate
	cert := lender.TLS.Certificates[0]
	roots := x509.NewCertPool()
	roots.AddCert(lender.Certificate())
	lender.Close()

	ctx, stop := context.WithCancel(context.Background())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, "127.0.0.1:0", cert, w)
		w.Close()
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	addr, ok := strings.CutSuffix(strings.TrimPrefix(line, "listening on wss://"), "/, by TCP and UDP\n")
	if !ok {
		t.Fatalf("says %q", line)
	}
	return running{addr, &tls.Config{RootCAs: roots}, stop}
}

// client is the client's end of a WebSocket over HTTP/3.
type client struct {
	*http3.RequestStream
	t *testing.T
}

// connect opens a WebSocket by extended CONNECT.
func (p running) connect(t *testing.T) client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	conn, err := quic.DialAddr(ctx, p.addr, http3.ConfigureTLSConfig(p.trust), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseWithError(0, "") })
	over := new(http3.Transport).NewClientConn(conn)
	select {
	case <-over.ReceivedSettings():
	case <-ctx.Done():
		t.Fatal("no SETTINGS")
	}
	if !over.Settings().EnableExtendedConnect {
		t.Fatal("extended CONNECT is not offered")
	}
	s, err := over.OpenRequestStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s.SetDeadline(time.Now().Add(patience))
	r, err := http.NewRequest(http.MethodConnect, "https://"+p.addr+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Proto = "websocket" // which is how quic-go asks for :protocol
	r.Header.Set("Sec-WebSocket-Version", "13")
	if err := s.SendRequestHeader(r); err != nil {
		t.Fatal(err)
	}
	resp, err := s.ReadResponse()
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("answer %+v, %v", resp, err)
	}
	return client{s, t}
}

func (c client) send(op frame.Opcode, payload string) {
	c.t.Helper()
	h := frame.Header{Fin: true, Opcode: op, Masked: true, Key: [4]byte{1, 2, 3, 4}, Length: uint64(len(payload))}
	b := append(frame.Append(nil, h), payload...)
	frame.Mask(b[len(b)-len(payload):], h.Key, 0)
	if _, err := c.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

func (c client) expect(op frame.Opcode, payload string) {
	c.t.Helper()
	want := append(frame.Append(nil, frame.Header{Fin: true, Opcode: op, Length: uint64(len(payload))}), payload...)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
		c.t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}

func (c client) expectEnd() {
	c.t.Helper()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		c.t.Errorf("Read = %d, %v, want the end", n, err)
	}
}

// TestEcho has a message go there and back over HTTP/3.
func TestEcho(t *testing.T) {
	c := start(t).connect(t)
	c.send(frame.Text, "over HTTP/3")
	c.expect(frame.Text, "over HTTP/3")
	c.send(frame.Close, "\x03\xe8")
	c.expect(frame.Close, "\x03\xe8")
	c.expectEnd()
}

// TestShutdown: at the end of the program, clients are told.
func TestShutdown(t *testing.T) {
	p := start(t)
	c := p.connect(t)
	c.send(frame.Text, "here")
	c.expect(frame.Text, "here")
	p.stop()
	c.expect(frame.Close, "\x03\xe9the server is shutting down")
	c.send(frame.Close, "\x03\xe9")
	c.expectEnd()
}

// TestAnnounce: who comes over TCP learns of HTTP/3.
func TestAnnounce(t *testing.T) {
	p := start(t)
	_, port, _ := strings.Cut(p.addr, ":")
	for _, protocols := range [][]string{{"http/1.1"}, {"h2"}} {
		config := p.trust.Clone()
		config.NextProtos = protocols
		transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: protocols[0] == "h2"}
		web := &http.Client{Transport: transport, Timeout: patience}
		resp, err := web.Get("https://" + p.addr + "/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		transport.CloseIdleConnections()
		if got := resp.Header.Get("Alt-Svc"); !strings.HasPrefix(got, `h3=":`+port+`"`) {
			t.Errorf("%s: Alt-Svc is %q", resp.Proto, got)
		}
	}
}
