package wstest

import (
	"errors"
	"fmt"
	"strings"
)

// HPACK (RFC 7541) without the dynamic table, which an H2 does not let the server
// use, and does not use itself.

// h2Field is a field of a header block. The names of pseudo-header fields begin
// with a colon.
type h2Field struct{ name, value string }

var errTruncated = errors.New("header block is cut short")

// appendField appends a literal field that is not to be indexed (section 6.2.2).
func appendField(b []byte, f h2Field) []byte {
	b = append(b, 0)
	for _, s := range []string{f.name, f.value} {
		b = appendInt(b, 7, len(s))
		b = append(b, s...)
	}
	return b
}

// appendInt appends an integer with a prefix of some bits, where the bits before
// those are 0 (section 5.1).
func appendInt(b []byte, bits, n int) []byte {
	limit := 1<<bits - 1
	if n < limit {
		return append(b, byte(n))
	}
	b = append(b, byte(limit))
	for n -= limit; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// noDynamicTable is the update of the dynamic table's size to 0 (section 6.3).
const noDynamicTable = 0x20

// decodeFields returns the fields of a header block.
func decodeFields(b []byte) ([]h2Field, error) {
	var fields []h2Field
	for len(b) > 0 {
		var f h2Field
		var n int
		var err error
		switch first := b[0]; {
		case first&0x80 != 0: // indexed (section 6.1)
			if n, b, err = cutInt(b, 7); err == nil {
				f, err = staticField(n)
			}
		case first&0xe0 == noDynamicTable:
			if n, b, err = cutInt(b, 5); err == nil && (n != 0 || len(fields) > 0) {
				err = fmt.Errorf("dynamic table gets a size of %d after %d fields", n, len(fields))
			}
			if err == nil {
				continue
			}
		case first&0x40 != 0: // literal, to be indexed (section 6.2.1)
			f, b, err = cutLiteral(b, 6)
		default: // literal, not to be indexed
			f, b, err = cutLiteral(b, 4)
		}
		if err != nil {
			return nil, err
		}
		fields = append(fields, f)
	}
	return fields, nil
}

// cutLiteral cuts a field whose name's index has a prefix of some bits.
func cutLiteral(b []byte, bits int) (f h2Field, rest []byte, err error) {
	n, b, err := cutInt(b, bits)
	switch {
	case err != nil:
	case n > 0:
		f, err = staticField(n)
	default:
		f.name, b, err = cutString(b)
	}
	if err == nil {
		f.value, b, err = cutString(b)
	}
	return f, b, err
}

func cutString(b []byte) (s string, rest []byte, err error) {
	if len(b) == 0 {
		return "", nil, errTruncated
	}
	coded := b[0]&0x80 != 0
	n, b, err := cutInt(b, 7)
	if err != nil {
		return "", nil, err
	}
	if n > len(b) {
		return "", nil, errTruncated
	}
	if coded {
		s, err = huffman(b[:n])
	} else {
		s = string(b[:n])
	}
	return s, b[n:], err
}

func cutInt(b []byte, bits int) (n int, rest []byte, err error) {
	limit := 1<<bits - 1
	if n = int(b[0]) & limit; n < limit {
		return n, b[1:], nil
	}
	for i, c := range b[1:] {
		if i == 4 {
			return 0, nil, errors.New("integer of a header block is too large")
		}
		n += int(c&0x7f) << (7 * i)
		if c < 0x80 {
			return n, b[i+2:], nil
		}
	}
	return 0, nil, errTruncated
}

// huffman decodes a string literal (section 5.2).
func huffman(b []byte) (string, error) {
	var s []byte
	code, size := 0, 0 // of what has been read of a symbol
	first := 0         // code of that size
	for _, c := range b {
		for bit := 7; bit >= 0; bit-- {
			code = code<<1 | int(c)>>bit&1
			size++
			if size == len(huffmanSymbols) {
				return "", errors.New("end of string within a string in Huffman code")
			}
			first <<= 1
			symbols := huffmanSymbols[size]
			if i := code - first; i < len(symbols) {
				s = append(s, symbols[i])
				code, size, first = 0, 0, 0
			} else {
				first += len(symbols)
			}
		}
	}
	if size > 7 || code != 1<<size-1 {
		return "", errors.New("string in Huffman code has a wrong end")
	}
	return string(s), nil
}

// huffmanSymbols are the symbols with a code of each size in bits. As the code is
// canonical, their sizes and order say it all (appendix B). The last code of 30
// bits, nothing but ones, is the end of a string, which strings must not contain.
var huffmanSymbols = [31]string{
	5:  "012aceiost",
	6:  " %-./3456789=A_bdfghlmnpru",
	7:  ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
	8:  "&*,;XZ",
	10: "!\"()?",
	11: "'+|",
	12: "#>",
	13: "\x00$@[]~",
	14: "^}",
	15: "<`{",
	19: "\\\xc3\xd0",
	20: "\x80\x82\x83\xa2\xb8\xc2\xe0\xe2",
	21: "\x99\xa1\xa7\xac\xb0\xb1\xb3\xd1\xd8\xd9\xe3\xe5\xe6",
	22: "\x81\x84\x85\x86\x88\x92\x9a\x9c\xa0\xa3\xa4\xa9\xaa\xad\xb2\xb5\xb9\xba\xbb\xbd\xbe\xc4\xc6\xe4\xe8\xe9",
	23: "\x01\x87\x89\x8a\x8b\x8c\x8d\x8f\x93\x95\x96\x97\x98\x9b\x9d\x9e\xa5\xa6\xa8\xae\xaf\xb4\xb6\xb7\xbc\xbf\xc5\xe7\xef",
	24: "\x09\x8e\x90\x91\x94\x9f\xab\xce\xd7\xe1\xec\xed",
	25: "\xc7\xcf\xea\xeb",
	26: "\xc0\xc1\xc8\xc9\xca\xcd\xd2\xd5\xda\xdb\xee\xf0\xf2\xf3\xff",
	27: "\xcb\xcc\xd3\xd4\xd6\xdd\xde\xdf\xf1\xf4\xf5\xf6\xf7\xf8\xfa\xfb\xfc\xfd\xfe",
	28: "\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12\x13\x14\x15\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f\xdc\xf9",
	30: "\x0a\x0d\x16",
}

func staticField(i int) (h2Field, error) {
	if i < 1 || i > len(staticTable) {
		return h2Field{}, fmt.Errorf("header block has the index %d, which no field has", i)
	}
	name, value, _ := strings.Cut(staticTable[i-1], " ")
	return h2Field{name, value}, nil
}

// staticTable are names, some with a value after a space (appendix A).
var staticTable = [...]string{
	":authority", ":method GET", ":method POST", ":path /", ":path /index.html",
	":scheme http", ":scheme https", ":status 200", ":status 204", ":status 206",
	":status 304", ":status 400", ":status 404", ":status 500", "accept-charset",
	"accept-encoding gzip, deflate", "accept-language", "accept-ranges", "accept",
	"access-control-allow-origin", "age", "allow", "authorization", "cache-control",
	"content-disposition", "content-encoding", "content-language", "content-length",
	"content-location", "content-range", "content-type", "cookie", "date", "etag",
	"expect", "expires", "from", "host", "if-match", "if-modified-since",
	"if-none-match", "if-range", "if-unmodified-since", "last-modified", "link",
	"location", "max-forwards", "proxy-authenticate", "proxy-authorization", "range",
	"referer", "refresh", "retry-after", "server", "set-cookie",
	"strict-transport-security", "transfer-encoding", "user-agent", "vary", "via",
	"www-authenticate",
}
