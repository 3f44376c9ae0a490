package conformance

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/airlock-go/websocket/frame"
)

func TestAgreed(t *testing.T) {
	const bare = "permessage-deflate"
	for _, test := range []struct {
		name, offer, answer string
		want                agreement
	}{
		{"nothing", bare, bare, agreement{false, false, 15, 15}},
		{"the server resets", bare + "; server_no_context_takeover", bare + "; server_no_context_takeover", agreement{true, false, 15, 15}},
		{"the server resets of itself", bare, bare + "; server_no_context_takeover", agreement{true, false, 15, 15}},
		{"the client resets", bare + "; client_no_context_takeover", bare + "; client_no_context_takeover", agreement{false, true, 15, 15}},
		{"the client is told to reset", bare, bare + "; client_no_context_takeover", agreement{false, true, 15, 15}},
		{"the client resets, without confirmation", bare + "; client_no_context_takeover", bare, agreement{false, true, 15, 15}},
		{"the server's window", bare + "; server_max_window_bits=10", bare + "; server_max_window_bits=10", agreement{false, false, 10, 15}},
		{"a smaller one", bare + "; server_max_window_bits=10", bare + "; server_max_window_bits=8", agreement{false, false, 8, 15}},
		{"one that was not asked for", bare, bare + "; server_max_window_bits=9", agreement{false, false, 9, 15}},
		{"the client's window", bare + "; client_max_window_bits", bare + "; client_max_window_bits=11", agreement{false, false, 15, 11}},
		{"not larger than offered", bare + "; client_max_window_bits=12", bare + "; client_max_window_bits=12", agreement{false, false, 15, 12}},
		{"smaller than offered", bare + "; client_max_window_bits=12", bare + "; client_max_window_bits=9", agreement{false, false, 15, 9}},
		{"not confirmed", bare + "; client_max_window_bits=12", bare, agreement{false, false, 15, 12}},
		{"no size offered, none answered", bare + "; client_max_window_bits", bare, agreement{false, false, 15, 15}},
		{"quoted", bare + `; server_max_window_bits="10"`, bare + `; server_max_window_bits="9"`, agreement{false, false, 9, 15}},
		{"all of it, without spaces", bare + ";server_no_context_takeover;client_no_context_takeover;server_max_window_bits=14;client_max_window_bits=13",
			bare + ";client_max_window_bits=13;server_max_window_bits=14;client_no_context_takeover;server_no_context_takeover", agreement{true, true, 14, 13}},
		{"the second offer", bare + "; server_max_window_bits=9, " + bare, bare, agreement{false, false, 15, 15}},
		{"the offer behind a bad one", bare + "; server_max_window_bits=7, " + bare + "; server_max_window_bits=8", bare + "; server_max_window_bits=8", agreement{false, false, 8, 15}},
		{"the offer behind another extension", "x-webkit-deflate-frame, " + bare, bare, agreement{false, false, 15, 15}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, _, err := agreed(test.answer, test.offer)
			if err != nil || *got != test.want {
				t.Errorf("%v, %v, want %v", got, err, test.want)
			}
		})
	}
}

func TestNotAgreed(t *testing.T) {
	const bare = "permessage-deflate"
	const all = bare + "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; client_max_window_bits=10"
	for _, test := range []struct{ name, offer, answer, why string }{
		{"two extensions", bare + ", " + bare, bare + ", " + bare, "more than one"},
		{"another extension", bare, "x-webkit-deflate-frame", "no extension of RFC 7692"},
		{"an unknown parameter", bare, bare + "; level=9", "no parameter level"},
		{"a parameter without a name", bare, bare + ";", "no name"},
		{"a parameter twice", bare, bare + "; server_no_context_takeover; server_no_context_takeover", "twice"},
		{"a window twice", all, bare + "; server_no_context_takeover; server_max_window_bits=10; server_max_window_bits=10", "twice"},
		{"server_no_context_takeover with a value", bare, bare + "; server_no_context_takeover=1", "has a value"},
		{"client_no_context_takeover with a value", bare, bare + "; client_no_context_takeover=true", "has a value"},
		{"an empty value", bare, bare + "; server_max_window_bits=", "empty value"},
		{"an empty value, quoted", bare, bare + `; server_max_window_bits=""`, "empty value"},
		{"one quote", bare, bare + `; server_max_window_bits="10`, "one quote"},
		{"the server's window without a value", bare, bare + "; server_max_window_bits", "no size"},
		{"the client's window without a value", bare + "; client_max_window_bits", bare + "; client_max_window_bits", "no size"},
		{"7", bare, bare + "; server_max_window_bits=7", "no size"},
		{"16", bare, bare + "; server_max_window_bits=16", "no size"},
		{"a leading zero", bare, bare + "; server_max_window_bits=08", "no size"},
		{"a sign", bare, bare + "; server_max_window_bits=+9", "no size"},
		{"a word", bare, bare + "; server_max_window_bits=ten", "no size"},
		{"server_no_context_takeover left out", bare + "; server_no_context_takeover", bare, "not kept"},
		{"the server's window left out", bare + "; server_max_window_bits=10", bare, "not kept"},
		{"the server's window enlarged", bare + "; server_max_window_bits=10", bare + "; server_max_window_bits=11", "not kept"},
		{"the client's window not offered", bare, bare + "; client_max_window_bits=15", "not offered"},
		{"the client's window enlarged", bare + "; client_max_window_bits=10", bare + "; client_max_window_bits=11", "larger"},
		{"only bad offers", bare + "; server_max_window_bits=7, " + bare + "; level", bare, "nothing like it"},
		{"a window from another offer", bare + "; client_max_window_bits, x-other", bare + "; client_max_window_bits=16", "no size"},
		{"neither of two offers", bare + "; server_max_window_bits=9, " + bare + "; server_no_context_takeover", bare, "not kept"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, _, err := agreed(test.answer, test.offer)
			if err == nil || !strings.Contains(err.Error(), test.why) {
				t.Errorf("%v, %v, want an error with %q", a, err, test.why)
			}
		})
	}
}

// TestAgreeOn: what a case says of its offer, and what becomes of it.
func TestAgreeOn(t *testing.T) {
	for _, test := range []struct {
		name, head, offer, answer string
		declined                  bool
		why                       string // the beginning of the error; empty: there is none
	}{
		{"nothing offered, nothing answered", "", "", "", false, ""},
		{"nothing offered and something answered", "", "", deflateName, false, "9.1"},
		{"offered and accepted", "offer permessage-deflate", deflateName, deflateName, false, ""},
		{"offered and declined", "offer permessage-deflate", deflateName, "", true, "the server does not speak"},
		{"offered and answered badly", "offer permessage-deflate", deflateName, deflateName + "; level", false, "RFC 7692, 7.1"},
		{"offered by the way, and accepted", "", deflateName, deflateName, false, ""},
		{"offered by the way, and declined", "", deflateName, "", false, ""},
		{"offered by the way, and answered badly", "", deflateName, deflateName + "; level", false, "RFC 7692, 7.1"},
		{"to be declined, and declined", "offer x\nagree -permessage-deflate", "x", "", false, ""},
		{"to be declined, and accepted", "offer x\nagree -permessage-deflate", "x", "x", false, "RFC 7692, 7: "},
		{"wanted and agreed", "offer x\nagree client_no_context_takeover", deflateName, deflateName + "; client_no_context_takeover", false, ""},
		{"wanted and not agreed", "offer x\nagree client_no_context_takeover", deflateName, deflateName, true, "the server does not speak the extension as"},
		{"a value wanted and agreed", "offer x\nagree client_max_window_bits=9", deflateName + "; client_max_window_bits", deflateName + "; client_max_window_bits=9", false, ""},
		{"a value wanted and another agreed", "offer x\nagree client_max_window_bits=9", deflateName + "; client_max_window_bits", deflateName + "; client_max_window_bits=8", true, "the server does not speak the extension as"},
		{"not wanted and agreed", "offer x\nagree -client_no_context_takeover", deflateName, deflateName + "; client_no_context_takeover", true, "the server does not speak the extension as"},
		{"not wanted and not agreed", "offer x\nagree -client_no_context_takeover", deflateName, deflateName, false, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			cases, err := parse("test.txt", "== 1 test\n"+test.head+"\n> text \"\"\n< echo\n")
			if err != nil {
				t.Fatal(err)
			}
			p := &player{c: cases[0], rc: &receiver{}, answer: &http.Response{Header: make(http.Header)}}
			if test.answer != "" {
				p.answer.Header.Set("Sec-WebSocket-Extensions", test.answer)
			}
			err = p.agreeOn(test.offer)
			if !strings.HasPrefix(fmt.Sprint(err), test.why) || (err == nil) != (test.why == "") || errors.Is(err, errDeclined) != test.declined {
				t.Errorf("the error is %v", err)
			}
			if accepted := test.answer != "" && err == nil; accepted != (p.rc.agreed.Load() != nil) {
				t.Errorf("compression is %v", p.rc.agreed.Load())
			}
		})
	}
}

// agreements are all that the deflater has to tell apart.
func agreements() (all []*agreement) {
	for bits := 8; bits <= 15; bits++ {
		all = append(all, &agreement{clientBits: bits}, &agreement{clientBits: bits, clientNoTakeover: true})
	}
	return all
}

// TestDeflate reads what the deflater makes as a server would: with the window
// that was agreed, kept or not from one message to the next.
func TestDeflate(t *testing.T) {
	for _, a := range agreements() {
		t.Run(fmt.Sprintf("%d bits, reset %v", a.clientBits, a.clientNoTakeover), func(t *testing.T) {
			size := 1 << a.clientBits
			repeated := bytes.Repeat(appendRandom(nil, size+100), 3)
			d := &deflater{agreement: a}
			server := &inflater{}
			theirs := &agreement{serverBits: a.clientBits, serverNoTakeover: a.clientNoTakeover}
			for _, plain := range [][]byte{nil, {'x'}, []byte("Hello"), []byte("Hello"), appendWords(nil, size), repeated, repeated, make([]byte, 3*size), nil} {
				packed := d.message(plain)
				got, err := server.message(theirs, packed)
				if err != nil || !bytes.Equal(got, plain) {
					t.Fatalf("%d bytes became %d, %v", len(plain), len(got), err)
				}
			}
		})
	}
}

// TestDeflateReadByFlate: compress/flate has nothing in common with the
// inflater here.
func TestDeflateReadByFlate(t *testing.T) {
	for _, a := range agreements() {
		d := &deflater{agreement: a}
		var stream, want []byte
		for _, plain := range [][]byte{nil, []byte("Hello"), appendWords(nil, 5000), appendRandom(nil, 5000)} {
			packed := d.message(plain)
			stream = append(append(stream, packed...), 0, 0, 0xff, 0xff)
			want = append(want, plain...)
		}
		stream = append(stream, 1, 0, 0, 0xff, 0xff)
		if got, err := io.ReadAll(flate.NewReader(bytes.NewReader(stream))); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bits, reset %v: %d bytes of %d, %v", a.clientBits, a.clientNoTakeover, len(got), len(want), err)
		}
	}
}

// TestDeflateTakeover: a message that was there before is shorter, unless the
// context is not taken over.
func TestDeflateTakeover(t *testing.T) {
	plain := []byte("a message that is sent again")
	for _, test := range []struct {
		name    string
		a       *agreement
		shorter bool
	}{
		{"kept", &agreement{clientBits: 15}, true},
		{"reset", &agreement{clientBits: 15, clientNoTakeover: true}, false},
		{"a small window", &agreement{clientBits: 9}, true},
		{"a small window, reset", &agreement{clientBits: 9, clientNoTakeover: true}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := &deflater{agreement: test.a}
			first, second := d.message(plain), d.message(plain)
			if (len(second) < len(first)) != test.shorter {
				t.Errorf("%d bytes after %d", len(second), len(first))
			}
		})
	}
}

// TestCompressedSendings: what a line that begins with z may be.
func TestCompressedSendings(t *testing.T) {
	for _, test := range []struct {
		line   string
		frames int
		why    string // empty: it is right
	}{
		{`z text "hello"`, 1, ""},
		{`z/3 binary "hello"*9`, 3, ""},
		{`z/0 text "hello"`, 0, "no number of frames"},
		{`z/-1 text "hello"`, 0, "no number of frames"},
		{`z/x text "hello"`, 0, "no number of frames"},
		{`z text "hello"-`, 0, "only whole messages"},
		{`z cont "hello"`, 0, "only whole messages"},
		{`z ping "hello"`, 0, "only whole messages"},
	} {
		t.Run(test.line, func(t *testing.T) {
			s, err := parseSending(test.line)
			switch {
			case test.why != "":
				if err == nil || !strings.Contains(err.Error(), test.why) {
					t.Errorf("the error is %v", err)
				}
			case err != nil || s.compress != test.frames:
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}

// TestSendCompressed looks at the frames of a compressed message.
func TestSendCompressed(t *testing.T) {
	for _, frames := range []int{1, 2, 7, 10} {
		t.Run(fmt.Sprintf("%d frames", frames), func(t *testing.T) {
			p := &player{log: &dialogue{}, deflater: deflater{agreement: whole}}
			s, err := parseSending(fmt.Sprintf(`z/%d text "Hello"`, frames))
			if err == nil {
				err = p.sendCompressed(s)
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(p.ends) != frames || len(p.sent) != 1 || string(p.sent[0].data) != "Hello" {
				t.Errorf("%d frames, %v is to be echoed", len(p.ends), p.sent)
			}
			var packed []byte
			for i, b := 0, p.out; len(b) > 0; i++ {
				h, n, err := frame.Parse(b)
				if err != nil || n == 0 {
					t.Fatal(n, err)
				}
				op := frame.Continuation
				if i == 0 {
					op = frame.Text
				}
				if h.Opcode != op || h.RSV1 != (i == 0) || h.Fin != (i == frames-1) || !h.Masked {
					t.Errorf("frame %d: %+v", i, h)
				}
				data := b[n : n+int(h.Length)]
				frame.Mask(data, h.Key, 0)
				packed, b = append(packed, data...), b[n+int(h.Length):]
			}
			if got, err := new(inflater).message(whole, packed); string(got) != "Hello" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	if err := (&player{}).sendCompressed(&sending{compress: 1}); !errors.Is(err, errDeclined) {
		t.Errorf("without agreement the error is %v", err)
	}
}
