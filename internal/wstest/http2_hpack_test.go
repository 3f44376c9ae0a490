package wstest

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"
)

// unhex returns bytes written as in RFC 7541: in groups.
func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDecodeFields decodes the examples of RFC 7541, appendix C, that need no
// dynamic table.
func TestDecodeFields(t *testing.T) {
	for _, tt := range []struct {
		name, block string
		want        []h2Field
	}{
		{"C.2.1", "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", []h2Field{{"custom-key", "custom-header"}}},
		{"C.2.2", "040c 2f73 616d 706c 652f 7061 7468", []h2Field{{":path", "/sample/path"}}},
		{"C.2.3", "1008 7061 7373 776f 7264 0673 6563 7265 74", []h2Field{{"password", "secret"}}},
		{"C.2.4", "82", []h2Field{{":method", "GET"}}},
		{"C.4.1", "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", []h2Field{
			{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "www.example.com"},
		}},
		{"C.6.1", "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3", []h2Field{
			{":status", "302"}, {"cache-control", "private"}, {"date", "Mon, 21 Oct 2013 20:13:21 GMT"}, {"location", "https://www.example.com"},
		}},
		{"no dynamic table", "2088", []h2Field{{":status", "200"}}},
		{"nothing", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			block := unhex(t, tt.block)
			got, err := decodeFields(block)
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("got %q, error %v, want %q", got, err, tt.want)
			}
			for n := range block { // some of these end between fields
				if got, err := decodeFields(block[:n]); err == nil && len(got) == len(tt.want) {
					t.Errorf("first %d bytes: got all of %q", n, got)
				}
			}
		})
	}
}

func TestDecodeFieldsErrors(t *testing.T) {
	for _, tt := range []struct{ name, block, want string }{
		{"index 0", "80", "the index 0"},
		{"index of the dynamic table", "be", "the index 62"},
		{"name of the dynamic table", "7e01 61", "the index 62"},
		{"size of the dynamic table", "3f01", "size of 32"},
		{"late size of the dynamic table", "8820", "after 1 fields"},
		{"large integer", "ff80 8080 8080 01", "too large"},
		{"endless integer", "ff80 80", "cut short"},
		{"name cut short", "0003 6161", "cut short"},
		{"no value", "0001 61", "cut short"},
		{"end of string", "0084 ffff ffff 00", "end of string"},
		{"padding with a 0", "0001 6181 18", "wrong end"},
		{"padding of 8 bits", "0001 6182 1fff", "wrong end"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := decodeFields(unhex(t, tt.block))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, error %v, want one with %q", got, err, tt.want)
			}
		})
	}
}

// TestHuffmanSymbols checks that every symbol is there once, and that the codes,
// with that for the end of a string, are all that there can be.
func TestHuffmanSymbols(t *testing.T) {
	var seen [256]int
	codes := 1 // of 30 bits: the end of a string
	for size, symbols := range huffmanSymbols {
		for _, c := range []byte(symbols) {
			seen[c]++
			codes += 1 << (30 - size)
		}
	}
	for c, n := range seen {
		if n != 1 {
			t.Errorf("symbol %#x is there %d times", c, n)
		}
	}
	if codes != 1<<30 {
		t.Errorf("codes cover %#x of %#x", codes, 1<<30)
	}
}

func TestAppendField(t *testing.T) {
	var want []h2Field
	var block []byte
	for _, n := range []int{0, 1, 126, 127, 128, 254, 255, 256, 20000} {
		f := h2Field{strings.Repeat("n", n), strings.Repeat("v", n)}
		want, block = append(want, f), appendField(block, f)
	}
	got, err := decodeFields(block)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %d fields, error %v, want %d as they were", len(got), err, len(want))
	}
	if got, want := appendInt(nil, 5, 1337), unhex(t, "1f9a 0a"); !slices.Equal(got, want) { // C.1.2
		t.Errorf("1337 is % x, want % x", got, want)
	}
}
