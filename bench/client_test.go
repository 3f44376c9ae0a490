package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// TestLoopbackOnly: no load leaves this machine, whichever address is another's.
func TestLoopbackOnly(t *testing.T) {
	const here = "127.0.0.1:1"
	for name := range loads {
		for _, tt := range []struct{ addr, ctl, foreign string }{
			{"192.0.2.1:80", here, "192.0.2.1:80"},
			{"[2001:db8::1]:80", here, "[2001:db8::1]:80"},
			{"0.0.0.0:80", here, "0.0.0.0:80"},
			{":80", here, ":80"},
			{here, "192.0.2.1:80", "192.0.2.1:80"},
		} {
			spec := loadSpec{Load: name, Lib: "hijack-only", Addr: tt.addr, Ctl: tt.ctl, Conns: 1, Size: 1, Depth: 1, Echoes: 1, For: time.Millisecond}
			if tt.ctl != here {
				spec.Addr = echoServer(t)
			}
			_, err := runLoad(spec)
			if err == nil || !strings.Contains(err.Error(), tt.foreign+" is not on the loopback") {
				t.Errorf("%s to %s, control %s: %v", name, tt.addr, tt.ctl, err)
			}
		}
	}
	for _, addr := range []string{here, "127.1.2.3:1", "[::1]:1"} {
		if err := checkLoopback(addr); err != nil {
			t.Error(err)
		}
	}
}

// echoServer is a hijack-only server, which has a handshake and a page, too.
func echoServer(t *testing.T) string {
	t.Helper()
	ln, err := listenLoopback()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go listenAndEcho(libHijackOnly.New(Config{}), ln)
	return ln.Addr().String()
}

func TestUnknownLoad(t *testing.T) {
	for _, spec := range []loadSpec{{Load: "nonsense", Lib: "airlock"}, {Load: "echo", Lib: "nonsense"}} {
		if _, err := runLoad(spec); err == nil || !strings.Contains(err.Error(), `"nonsense"`) {
			t.Errorf("%+v: %v", spec, err)
		}
	}
}

func TestMessages(t *testing.T) {
	for _, kind := range []string{kindBinary, kindText, kindUTF8} {
		for _, size := range []int{0, 1, 2, 3, 125, 126, 1000, 65535, 65536} {
			msgs := newMessages(2, size, kind, noDeflate)
			for _, m := range msgs {
				if len(m.payload) != size || kind != kindBinary && !utf8.Valid(m.payload) {
					t.Errorf("%s of %d: %d bytes, %.100q", kind, size, len(m.payload), m.payload)
				}
				head := len(m.frame) - size
				unmasked := bytes.Clone(m.frame[head:])
				for i := range unmasked {
					unmasked[i] ^= m.frame[head-4+i%4]
				}
				if !bytes.Equal(unmasked, m.payload) {
					t.Errorf("%s of %d: the frame has another payload", kind, size)
				}
			}
			if size > 100 && bytes.Equal(msgs[0].payload, msgs[1].payload) {
				t.Errorf("%s of %d: the messages are alike", kind, size)
			}
		}
	}
}
