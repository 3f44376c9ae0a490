package websocket

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

// TestTunnelLends: who waits on a tunnel holds no buffer, and gets one with what comes.
func TestTunnelLends(t *testing.T) {
	var s stream = new(tunnel)
	if !s.Lends() {
		t.Error("a tunnel does not lend")
	}
	in := &s.(*tunnel).in
	body, client := io.Pipe()
	in.init(body)
	go in.pump()
	defer in.close(io.ErrClosedPipe)

	in.setDeadline(past)
	if b, n, err := s.ReadBuffer(true); b != nil || n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("when its time is up: buffer %v, %d bytes, %v", b != nil, n, err)
	}
	in.setDeadline(time.Time{})
	for _, want := range []string{"a", "message"} {
		go client.Write([]byte(want))
		b, n, err := s.ReadBuffer(true)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(b[:n]); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		buffers.Put(b)
	}
	client.Close()
	if b, n, err := s.ReadBuffer(true); b != nil || n != 0 || err != io.EOF {
		t.Errorf("at the end: buffer %v, %d bytes, %v", b != nil, n, err)
	}
}
