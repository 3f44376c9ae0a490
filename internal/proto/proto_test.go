package proto

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/airlock-go/websocket/frame"
)

// TestViolation holds the table of close codes against RFC 6455, section 7.4.1:
// 1002 for breaches of the protocol, 1007 for a payload that is not what its frame
// says, 1009 for size,// 1008 where "there is no other more suitable status code".
func TestViolation(t *testing.T) {
	codes := map[*Violation]uint16{
		ErrReservedBit:       1002,
		ErrCompressedBit:     1002,
		ErrReservedOpcode:    1002,
		ErrNotMasked:         1002,
		ErrMasked:            1002,
		ErrControlFragmented: 1002,
		ErrControlTooLong:    1002,
		ErrNothingToContinue: 1002,
		ErrMessageUnfinished: 1002,
		ErrLengthNotMinimal:  1002,
		ErrLengthOverflow:    1002,
		ErrCloseTruncated:    1002,
		ErrCloseCode:         1002,
		ErrCloseReason:       1007,
		ErrText:              1007,
		ErrDeflate:           1007,
		ErrTooBig:            1009,
		ErrTooManyFrames:     1008,
	}
	texts := make(map[string]bool)
	for v, code := range codes {
		if v.Code != code || !ValidCode(v.Code) {
			t.Errorf("%v: code %d, want %d", v, v.Code, code)
		}
		// The text goes out as the reason of a close frame.
		if v.Error() != v.Text || len(v.Text) > 123 {
			t.Errorf("%v: text %q of %d bytes", v, v.Text, len(v.Text))
		}
		texts[v.Text] = true
	}
	for name, text := range declared(t, "proto.go") {
		if !texts[text] {
			t.Errorf("%s is not in the table", name)
		}
	}
}

// sendable are the codes that may be on the wire: the registry of IANA in 2026
// without 1004, 1005, 1006 and 1015, which are reserved, and the ranges of
// RFC 6455, section 7.4.2.
var sendable = []struct{ first, last int }{
	{1000, 1000}, {1001, 1001}, {1002, 1002}, {1003, 1003}, {1007, 1007}, {1008, 1008}, {1009, 1009}, {1010, 1010},
	{1011, 1011}, {1012, 1012}, {1013, 1013}, {1014, 1014}, {3000, 3999}, {4000, 4999},
}

func isSendable(code int) bool {
	for _, r := range sendable {
		if r.first <= code && code <= r.last {
			return true
		}
	}
	return false
}

func TestValidCode(t *testing.T) {
	for code := range 1 << 16 {
		want := isSendable(code)
		if got := ValidCode(uint16(code)); got != want {
			t.Errorf("ValidCode(%d) = %v, want %v", code, got, want)
		}
	}
}

// TestCloseCodes takes all codes through ParseClose, Recv and Send.
func TestCloseCodes(t *testing.T) {
	for code := range 1 << 16 {
		if code > 5100 && code != 65535 {
			continue
		}
		for _, reason := range []string{"", "why €"} {
			var want *Violation
			if !isSendable(code) {
				want = ErrCloseCode
			}
			payload := AppendClose(nil, uint16(code), reason)
			got, text, v := ParseClose(payload)
			if int(got) != code || v != want || v == nil && string(text) != reason || v != nil && text != nil {
				t.Errorf("ParseClose(% x) = %d, %q, %v, want %d, %q, %v", payload, got, text, v, code, reason, want)
			}
			if err := new(Send).Frame(&frame.Header{Opcode: frame.Close, Fin: true}, payload); (err == nil) != (want == nil) {
				t.Errorf("Send of close code %d: %v", code, err)
			}
			ev, _, v := next(new(Recv), wire(Server, []fr{f(0x88, string(payload))}))
			if v != want || v == nil && (int(ev.Code) != code || string(ev.Reason) != reason) {
				t.Errorf("Recv of close code %d: %d, %q, %v, want violation %v", code, ev.Code, ev.Reason, v, want)
			}
		}
	}
}

func TestClose(t *testing.T) {
	for _, tt := range []struct {
		name    string
		payload string
		code    uint16
		reason  string
		err     *Violation
	}{
		{"nothing", "", 1005, "", nil},
		{"half a code", "\x03", 0, "", ErrCloseTruncated},
		{"half a code, zero", "\x00", 0, "", ErrCloseTruncated},
		{"code", "\x03\xe8", 1000, "", nil},
		{"code and reason", "\x0b\xb8why €", 3000, "why €", nil},
		{"longest reason", "\x13\x87" + strings.Repeat("r", 123), 4999, strings.Repeat("r", 123), nil},
		{"code 0", "\x00\x00", 0, "", ErrCloseCode},
		{"code that is not for the wire", "\x03\xed", 1005, "", ErrCloseCode},
		{"reason not UTF-8", "\x03\xe8\xc3\x28", 1000, "", ErrCloseReason},
		{"reason cut in a character", "\x03\xe8\xe2\x82", 1000, "", ErrCloseReason},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := []byte(tt.payload)
			code, reason, v := ParseClose(p)
			if code != tt.code || string(reason) != tt.reason || v != tt.err {
				t.Errorf("ParseClose(% x) = %d, %q, %v, want %d, %q, %v", p, code, reason, v, tt.code, tt.reason, tt.err)
			}
			if len(reason) > 0 && &reason[0] != &p[2] {
				t.Error("the reason is a copy")
			}
			if tt.err == nil && tt.payload != "" {
				got := AppendClose([]byte("before"), code, tt.reason)
				if want := []byte("before" + tt.payload); !bytes.Equal(got, want) {
					t.Errorf("AppendClose(%d, %q) = % x, want % x", code, tt.reason, got, want)
				}
			}
			// What is cut off is a shorter reason or a violation.
			for i := range p {
				_, reason, v := ParseClose(p[:i])
				if v == nil && i >= 2 && string(reason) != tt.payload[2:i] || v == nil && i == 1 {
					t.Errorf("ParseClose(% x) = %q, %v", p[:i], reason, v)
				}
			}
		})
	}
}

// TestBehindClose: whatever comes behind a close frame is taken and dropped.
func TestBehindClose(t *testing.T) {
	for _, role := range []Role{Server, Client} {
		for _, behind := range []string{"", "\x00", "\xff", "\x81\x01a", "\x88\x00", strings.Repeat("\xff", 1000)} {
			r := Recv{Role: role}
			b := wire(role, []fr{f(0x88, "\x03\xe8")})
			closing := fmt.Sprintf("% x", b)
			if ev := feed(t, &r, b); ev.Code != 1000 {
				t.Fatalf("Next(%s) = %+v", closing, ev)
			}
			for range 2 {
				b := []byte(behind)
				ev, n, v := next(&r, b)
				if ev.Kind != None || n != len(b) || v != nil || string(b) != behind {
					t.Errorf("%s, behind a close: Next(% x) = %+v, %d, %v", to[role], behind, ev, n, v)
				}
			}
		}
	}
}

// next is Recv.Next with everything as a result.
func next(r *Recv, b []byte) (Event, int, *Violation) {
	ev := Event{Kind: Control, Payload: b} // of another call
	n, v := r.Next(b, &ev)
	return ev, n, v
}
