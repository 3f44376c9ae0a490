package main

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

func TestMemConnRead(t *testing.T) {
	var c memConn
	c.reset([]byte("head"), []byte("frame"), 2)
	for i, tt := range []struct {
		room int
		want string
		err  error
	}{
		{3, "hea", nil},
		{100, "d", nil}, // nothing of the frame along with it
		{2, "fr", nil},
		{100, "ame", nil}, // nothing of the next
		{100, "frame", nil},
		{100, "", io.EOF},
		{100, "", io.EOF},
	} {
		p := make([]byte, tt.room)
		n, err := c.Read(p)
		if got := string(p[:n]); got != tt.want || err != tt.err {
			t.Errorf("read %d: %q, %v; want %q, %v", i, got, err, tt.want, tt.err)
		}
	}
	if c.reads != 7 {
		t.Errorf("counted %d reads", c.reads)
	}
	c.reset(nil, []byte("x"), 1)
	if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil || c.reads != 1 {
		t.Errorf("after a reset: %d, %v, %d reads", n, err, c.reads)
	}
}

func TestMemConnWrite(t *testing.T) {
	var c memConn
	var kept bytes.Buffer
	var total atomic.Int64
	c.keep, c.total = &kept, &total
	large := bytes.Repeat([]byte("0123456789"), 10_000)
	for _, p := range [][]byte{[]byte("small"), large, nil} {
		if n, err := c.Write(p); n != len(p) || err != nil {
			t.Errorf("wrote %d of %d, %v", n, len(p), err)
		}
	}
	if want := "small" + string(large); kept.String() != want || total.Load() != int64(len(want)) || c.writes != 3 {
		t.Errorf("kept %d bytes, counted %d in %d writes", kept.Len(), total.Load(), c.writes)
	}
	if !bytes.Equal(c.sink[:10], large[len(large)/len(c.sink)*len(c.sink):][:10]) {
		t.Error("what was written has not been copied")
	}
}

// TestMemUpgrade: both ways to answer a handshake lead to the memConn.
func TestMemUpgrade(t *testing.T) {
	u := newMemUpgrade(upgradeRequest(noDeflate, false))
	for range 2 { // it can be used again
		var kept bytes.Buffer
		u.reset([]byte("frame"), 1)
		u.conn.keep = &kept
		if len(u.Header()) != 0 || u.req.Header.Get("Sec-WebSocket-Key") != clientKey {
			t.Errorf("header %v, request %v", u.Header(), u.req.Header)
		}
		u.Header().Set("X-Test", "yes")
		u.WriteHeader(http.StatusSwitchingProtocols)
		if got := kept.String(); !strings.HasPrefix(got, "HTTP/1.1 101 ") || !strings.Contains(got, "X-Test: yes\r\n\r\n") {
			t.Errorf("response %q", got)
		}
		nc, brw, err := u.Hijack()
		if err != nil || nc != &u.conn {
			t.Fatalf("hijacked %v, %v", nc, err)
		}
		if got, err := io.ReadAll(brw); string(got) != "frame" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
	}
}
