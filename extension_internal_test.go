package websocket

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestAgreementKept: a connection keeps to what the client was told, for every
// offer that may be accepted and every pair of windows.
func TestAgreementKept(t *testing.T) {
	windows := map[int]int{-1: 0, 0: 4096, 8: 256, 9: 512, 10: 1024, 11: 2048, 12: 4096, 13: 8192, 14: 16384, 15: 32768}
	for _, offer := range everyOffer() {
		r := &http.Request{Header: http.Header{headerExtensions: {offer}}}
		for send := range windows {
			for receive := range windows {
				with := &Compression{SendWindowBits: send, ReceiveWindowBits: receive}
				a, refusal := chooseExtension(r, with)
				if a == nil {
					t.Fatalf("%q was declined (%v)", offer, refusal)
				}
				c := new(Conn)
				c.enableCompression(a, with)
				keeps := windows[receive]
				if receive == 0 && !strings.Contains(offer, "client_max_window_bits") {
					keeps = 32768
				}
				if wrong := keepsTo(c, windows[send], keeps); wrong != "" {
					t.Fatalf("offer %q, answer %q, windows %d and %d: %s", offer, c.Extensions(), send, receive, wrong)
				}
			}
		}
	}
}

// everyOffer returns all combinations of parameters that may be accepted.
func everyOffer() []string {
	sizes := []string{"8", "9", "10", "11", "12", "13", "14", "15"}
	offers := []string{"permessage-deflate"}
	add := func(param string, values ...string) {
		for _, offer := range slices.Clone(offers) {
			for _, v := range values {
				offers = append(offers, offer+"; "+param+v)
			}
		}
	}
	for i, size := range sizes {
		sizes[i] = "=" + size
	}
	add("server_no_context_takeover", "")
	add("client_no_context_takeover", "")
	add("server_max_window_bits", sizes...)
	add("client_max_window_bits", append(sizes, "")...)
	return offers
}

// keepsTo says where the connection departs from its Extensions, given the bytes
// that it may keep, or returns "".
func keepsTo(c *Conn, send, receive int) string {
	told := make(map[string]int)
	for _, param := range strings.Split(c.Extensions(), "; ")[1:] {
		name, value, _ := strings.Cut(param, "=")
		told[name], _ = strconv.Atoi(value)
	}
	// window returns the bits of the window and how much of it outlives a message.
	window := func(side string, most int) (bits, keeps int) {
		bits, limited := told[side+"_max_window_bits"]
		if !limited {
			bits = 15
		}
		if _, alone := told[side+"_no_context_takeover"]; alone {
			return bits, 0
		}
		return bits, min(most, 1<<bits)
	}
	d, in := c.wr.deflation, c.rd.inflation
	if bits, keeps := window("server", send); d.bits != bits || d.keeps != keeps {
		return fmt.Sprintf("sends with %d bits and keeps %d bytes, want %d and %d", d.bits, d.keeps, bits, keeps)
	}
	bits, keeps := window("client", receive)
	if in.bits != bits || in.keeps != keeps {
		return fmt.Sprintf("receives with %d bits and keeps %d bytes, want %d and %d", in.bits, in.keeps, bits, keeps)
	}
	if keeps > 0 && keeps < 1<<bits {
		return fmt.Sprintf("the client may refer to %d bytes, of which %d are kept", 1<<bits, keeps)
	}
	return ""
}

// TestAnswersTable: the answers in docs/compression.md are those that are given.
func TestAnswersTable(t *testing.T) {
	text, err := os.ReadFile("docs/compression.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), "| offered, besides the name | answered by default | with `ReceiveWindowBits: 10` | and with a negative one |\n")
	if !ok {
		t.Fatal("the table is not there")
	}
	rows := 0
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, "|---") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		if len(cells) != 4 {
			break
		}
		for i := range cells {
			cells[i] = strings.Trim(strings.Replace(cells[i], "nothing", "", 1), "`")
		}
		if cells[1] == "declined" {
			continue // it has tests of its own
		}
		rows++
		for i, bits := range []int{0, 10, -1} {
			r := &http.Request{Header: http.Header{headerExtensions: {extensionWith(cells[0])}}}
			a, _ := chooseExtension(r, &Compression{ReceiveWindowBits: bits})
			if want := extensionWith(cells[i+1]); a == nil || string(a.answer.append(nil)) != want {
				t.Errorf("offer %q, ReceiveWindowBits %d: got %+v, the table says %q", cells[0], bits, a, want)
			}
		}
	}
	if rows < 5 {
		t.Errorf("%d rows were found", rows)
	}
}

// extensionWith returns the extension with parameters, if there are any.
func extensionWith(params string) string {
	return strings.TrimSuffix("permessage-deflate; "+params, "; ")
}
