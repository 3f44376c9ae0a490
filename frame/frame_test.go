package frame

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"testing"
)

var key = [4]byte{0x37, 0xfa, 0x21, 0x3d} // of RFC 6455, section 5.7

// A headerTest is a header and its bytes. With err, Parse refuses the bytes,
// and header is what their first two say.
type headerTest struct {
	name   string
	wire   string
	header Header
	err    error
}

var headerTests = []headerTest{
	// RFC 6455, section 5.7.
	{"text", "\x81\x05", Header{Fin: true, Opcode: Text, Length: 5}, nil},
	{"masked text", "\x81\x85\x37\xfa\x21\x3d", Header{Fin: true, Opcode: Text, Masked: true, Key: key, Length: 5}, nil},
	{"first fragment", "\x01\x03", Header{Opcode: Text, Length: 3}, nil},
	{"last fragment", "\x80\x02", Header{Fin: true, Opcode: Continuation, Length: 2}, nil},
	{"ping", "\x89\x05", Header{Fin: true, Opcode: Ping, Length: 5}, nil},
	{"masked pong", "\x8a\x85\x37\xfa\x21\x3d", Header{Fin: true, Opcode: Pong, Masked: true, Key: key, Length: 5}, nil},
	{"256 bytes", "\x82\x7e\x01\x00", Header{Fin: true, Opcode: Binary, Length: 256}, nil},
	{"64 KiB", "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", Header{Fin: true, Opcode: Binary, Length: 65536}, nil},

	{"all zero", "\x00\x00", Header{}, nil},
	{"all flags", "\xff\x80\x00\x00\x00\x00", Header{Fin: true, RSV1: true, RSV2: true, RSV3: true, Opcode: 0xf, Masked: true}, nil},
	{"rsv1", "\xc1\x00", Header{Fin: true, RSV1: true, Opcode: Text}, nil},
	{"rsv2", "\xa1\x00", Header{Fin: true, RSV2: true, Opcode: Text}, nil},
	{"rsv3", "\x91\x00", Header{Fin: true, RSV3: true, Opcode: Text}, nil},
	{"reserved opcode", "\x03\x00", Header{Opcode: 3}, nil},

	{"length 1", "\x82\x01", Header{Fin: true, Opcode: Binary, Length: 1}, nil},
	{"length 125", "\x82\x7d", Header{Fin: true, Opcode: Binary, Length: 125}, nil},
	{"length 126", "\x82\x7e\x00\x7e", Header{Fin: true, Opcode: Binary, Length: 126}, nil},
	{"length 127", "\x82\x7e\x00\x7f", Header{Fin: true, Opcode: Binary, Length: 127}, nil},
	{"length 65535", "\x82\x7e\xff\xff", Header{Fin: true, Opcode: Binary, Length: 65535}, nil},
	{"length 65536", "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", Header{Fin: true, Opcode: Binary, Length: 65536}, nil},
	{"length 2^31", "\x82\x7f\x00\x00\x00\x00\x80\x00\x00\x00", Header{Fin: true, Opcode: Binary, Length: 1 << 31}, nil},
	{"length 2^32", "\x82\x7f\x00\x00\x00\x01\x00\x00\x00\x00", Header{Fin: true, Opcode: Binary, Length: 1 << 32}, nil},
	{"length of all digits", "\x82\x7f\x01\x23\x45\x67\x89\xab\xcd\xef", Header{Fin: true, Opcode: Binary, Length: 0x0123456789abcdef}, nil},
	{"length 2^63-1", "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", Header{Fin: true, Opcode: Binary, Length: math.MaxInt64}, nil},
	{"masked, length 125", "\x82\xfd\x37\xfa\x21\x3d", Header{Fin: true, Opcode: Binary, Masked: true, Key: key, Length: 125}, nil},
	{"masked, length 126", "\x82\xfe\x00\x7e\x37\xfa\x21\x3d", Header{Fin: true, Opcode: Binary, Masked: true, Key: key, Length: 126}, nil},
	{"masked, length 65536", "\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00\x37\xfa\x21\x3d", Header{Fin: true, Opcode: Binary, Masked: true, Key: key, Length: 65536}, nil},
	{"masked, length 2^63-1", "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x37\xfa\x21\x3d", Header{Fin: true, Opcode: Binary, Masked: true, Key: key, Length: math.MaxInt64}, nil},

	{"0 in 16 bits", "\x82\x7e\x00\x00", Header{Fin: true, Opcode: Binary, Length: 126}, ErrLengthNotMinimal},
	{"1 in 16 bits", "\x82\x7e\x00\x01", Header{Fin: true, Opcode: Binary, Length: 126}, ErrLengthNotMinimal},
	{"125 in 16 bits", "\x82\x7e\x00\x7d", Header{Fin: true, Opcode: Binary, Length: 126}, ErrLengthNotMinimal},
	{"masked, 125 in 16 bits", "\x82\xfe\x00\x7d\x37\xfa\x21\x3d", Header{Fin: true, Opcode: Binary, Masked: true, Length: 126}, ErrLengthNotMinimal},
	{"0 in 64 bits", "\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x00", Header{Fin: true, Opcode: Binary, Length: 127}, ErrLengthNotMinimal},
	{"125 in 64 bits", "\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x7d", Header{Fin: true, Opcode: Binary, Length: 127}, ErrLengthNotMinimal},
	{"126 in 64 bits", "\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x7e", Header{Fin: true, Opcode: Binary, Length: 127}, ErrLengthNotMinimal},
	{"65535 in 64 bits", "\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff", Header{Fin: true, Opcode: Binary, Length: 127}, ErrLengthNotMinimal},
	{"masked, 65535 in 64 bits", "\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff\x37\xfa\x21\x3d", Header{Fin: true, Opcode: Binary, Masked: true, Length: 127}, ErrLengthNotMinimal},
	{"length 2^63", "\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", Header{Fin: true, Opcode: Binary, Length: 127}, ErrLengthOverflow},
	{"length 2^64-1", "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", Header{Fin: true, Opcode: Binary, Length: 127}, ErrLengthOverflow},
	{"masked, length 2^63", "\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00\x37\xfa\x21\x3d", Header{Fin: true, Opcode: Binary, Masked: true, Length: 127}, ErrLengthOverflow},
}

func TestHeader(t *testing.T) {
	for _, tt := range headerTests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.err != nil {
				testRefused(t, tt)
				return
			}
			testHeader(t, tt.header, []byte(tt.wire))
		})
	}
}

// testHeader checks Parse and Append of one header and its bytes.
func testHeader(t *testing.T, h Header, wire []byte) {
	t.Helper()
	for _, before := range [][]byte{nil, []byte("before"), make([]byte, 3, 3+len(wire))} {
		want := append(append([]byte{}, before...), wire...)
		if got := Append(before, h); !bytes.Equal(got, want) {
			t.Errorf("Append(%q, %+v) = % x, want % x", before, h, got, want)
		}
	}
	for _, behind := range []string{"", "\x00", "\xff\xff payload"} {
		b := append(append([]byte{}, wire...), behind...)
		got, n, err := Parse(b)
		if got != h || n != len(wire) || err != nil {
			t.Errorf("Parse(% x) = %+v, %d, %v, want %+v, %d, nil", b, got, n, err, h, len(wire))
		}
	}
	for i := range wire {
		want := firstTwo(wire[:i])
		if got, n, err := Parse(wire[:i]); got != want || n != 0 || err != nil {
			t.Errorf("Parse(% x) = %+v, %d, %v, want %+v, 0, nil", wire[:i], got, n, err, want)
		}
	}
}

// testRefused checks that the bytes are refused as soon as their length is
// there, and that Append does not make them.
func testRefused(t *testing.T, tt headerTest) {
	wire := []byte(tt.wire)
	end := 4 // of the length
	if tt.header.Length == 127 {
		end = 10
	}
	for i := range len(wire) + 1 {
		var want Header
		var wantErr error
		if i >= 2 {
			want = tt.header
		}
		if i >= end {
			wantErr = tt.err
		}
		if got, n, err := Parse(wire[:i]); got != want || n != 0 || err != wantErr {
			t.Errorf("Parse(% x) = %+v, %d, %v, want %+v, 0, %v", wire[:i], got, n, err, want, wantErr)
		}
	}

	h := tt.header
	h.Length = bigEndian(wire[2:end])
	if h.Masked {
		h.Key = key
	}
	made := Append(nil, h)
	got, n, err := Parse(made)
	if tt.err == ErrLengthOverflow {
		// Such a Length is not for Append, which must not make another of it.
		if err != tt.err {
			t.Errorf("Parse(Append(%+v)) = %+v, %d, %v, want error %v", h, got, n, err, tt.err)
		}
		return
	}
	if bytes.Equal(made, wire) || got != h || n != len(made) || err != nil {
		t.Errorf("Append(%+v) = % x, which Parse takes for %+v, %d, %v", h, made, got, n, err)
	}
}

// TestHeaderFields takes every value of the first byte with every length class,
// masked and not.
func TestHeaderFields(t *testing.T) {
	lengths := []uint64{0, 1, 124, 125, 126, 127, 255, 256, 65535, 65536, 1 << 31, 1<<32 - 1, 1 << 32, math.MaxInt64}
	for b0 := range 256 {
		for _, masked := range []bool{false, true} {
			for _, length := range lengths {
				h := Header{
					Fin:    b0>>7 == 1,
					RSV1:   b0>>6%2 == 1,
					RSV2:   b0>>5%2 == 1,
					RSV3:   b0>>4%2 == 1,
					Opcode: Opcode(b0 % 16),
					Masked: masked,
					Length: length,
				}
				if masked {
					h.Key = key
				}
				testHeader(t, h, drawn(h))
			}
		}
		if t.Failed() {
			t.Fatalf("first byte %#x", b0)
		}
	}
}

// TestParseFirstTwo takes all values of the first two bytes; Parse's answer to
// them alone is the one that it keeps to whatever follows.
func TestParseFirstTwo(t *testing.T) {
	rests := []string{"", "\x00", "\x00\x00", "\x00\x00\x00\x00\x00\x00\x00\x00", "\xff\xff\xff\xff\xff\xff\xff\xff",
		"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67"}
	for i := range 1 << 16 {
		two := []byte{byte(i >> 8), byte(i)}
		for _, rest := range rests {
			b := append(two[:2:2], rest...)
			checkParse(t, b)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
}

// checkParse holds Parse(b) against an oracle that goes by the picture of
// section 5.2.
func checkParse(t *testing.T, b []byte) {
	t.Helper()
	h, n, err := Parse(b)
	want := firstTwo(b)
	wantN, wantErr := 2, error(nil)
	var length uint64
	switch size := len(b); {
	case size < 2:
		wantN = 0
	case want.Length == 126 && size >= 4:
		length, wantN = bigEndian(b[2:4]), 4
		if length < 126 {
			wantN, wantErr = 0, ErrLengthNotMinimal
		}
	case want.Length == 127 && size >= 10:
		length, wantN = bigEndian(b[2:10]), 10
		if length > math.MaxInt64 {
			wantN, wantErr = 0, ErrLengthOverflow
		} else if length < 1<<16 {
			wantN, wantErr = 0, ErrLengthNotMinimal
		}
	case want.Length >= 126:
		wantN = 0
	default:
		length = want.Length
	}
	if wantN > 0 && want.Masked {
		if len(b) >= wantN+4 {
			want.Key = [4]byte{b[wantN], b[wantN+1], b[wantN+2], b[wantN+3]}
			wantN += 4
		} else {
			wantN = 0
		}
	}
	if wantN > 0 {
		want.Length = length
	}
	if h != want || n != wantN || err != wantErr {
		t.Errorf("Parse(% x) = %+v, %d, %v, want %+v, %d, %v", b, h, n, err, want, wantN, wantErr)
	}
	if n > 0 && !bytes.Equal(Append(nil, h), b[:n]) {
		t.Errorf("Append(Parse(% x)) = % x", b, Append(nil, h))
	}
}

// firstTwo is what the first two bytes of b say, if b has them.
func firstTwo(b []byte) Header {
	if len(b) < 2 {
		return Header{}
	}
	bits := fmt.Sprintf("%08b%08b", b[0], b[1])
	number := func(s string) uint64 {
		v, _ := strconv.ParseUint(s, 2, 8)
		return v
	}
	return Header{
		Fin:    bits[0] == '1',
		RSV1:   bits[1] == '1',
		RSV2:   bits[2] == '1',
		RSV3:   bits[3] == '1',
		Opcode: Opcode(number(bits[4:8])),
		Masked: bits[8] == '1',
		Length: number(bits[9:]),
	}
}

// drawn makes the bytes of h from the picture of section 5.2, bit by bit.
func drawn(h Header) []byte {
	bit := func(b bool) string {
		if b {
			return "1"
		}
		return "0"
	}
	bits := bit(h.Fin) + bit(h.RSV1) + bit(h.RSV2) + bit(h.RSV3) + fmt.Sprintf("%04b", uint8(h.Opcode)) + bit(h.Masked)
	switch {
	case h.Length <= 125:
		bits += fmt.Sprintf("%07b", h.Length)
	case h.Length < 1<<16:
		bits += fmt.Sprintf("%07b%016b", 126, h.Length)
	default:
		bits += fmt.Sprintf("%07b%064b", 127, h.Length)
	}
	var b []byte
	for ; bits != ""; bits = bits[8:] {
		v, _ := strconv.ParseUint(bits[:8], 2, 8)
		b = append(b, byte(v))
	}
	if h.Masked {
		b = append(b, h.Key[:]...)
	}
	return b
}

func bigEndian(b []byte) (v uint64) {
	for _, c := range b {
		v = v*256 + uint64(c)
	}
	return v
}

func TestAppendLeavesOut(t *testing.T) {
	for _, tt := range []struct {
		name string
		h    Header
		want string
	}{
		{"opcode bits beyond four", Header{Opcode: 0xf1}, "\x01\x00"},
		{"key without masked", Header{Opcode: Text, Key: key}, "\x01\x00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Append(nil, tt.h); string(got) != tt.want {
				t.Errorf("Append(%+v) = % x, want % x", tt.h, got, tt.want)
			}
		})
	}
}

func TestSizes(t *testing.T) {
	longest := Append(nil, Header{Masked: true, Length: math.MaxInt64})
	if len(longest) != MaxHeaderSize {
		t.Errorf("longest header has %d bytes, want %d", len(longest), MaxHeaderSize)
	}
	if MaxControlPayload != 125 {
		t.Errorf("MaxControlPayload = %d, want 125", MaxControlPayload)
	}
}

func TestOpcode(t *testing.T) {
	names := map[Opcode]string{0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong"}
	for i := range 16 {
		o := Opcode(i)
		name, known := names[o]
		if !known {
			name = fmt.Sprintf("reserved %d", i)
		}
		if got := o.String(); got != name {
			t.Errorf("Opcode(%d).String() = %q, want %q", i, got, name)
		}
		if got := o.IsReserved(); got != !known {
			t.Errorf("Opcode(%d).IsReserved() = %v, want %v", i, got, !known)
		}
		if got := o.IsControl(); got != (i >= 8) {
			t.Errorf("Opcode(%d).IsControl() = %v, want %v", i, got, i >= 8)
		}
	}
	for i := 16; i < 256; i++ {
		if o := Opcode(i); !o.IsReserved() {
			t.Errorf("Opcode(%d).IsReserved() = false; it has no place on the wire", i)
		}
	}
}

func TestHeaderString(t *testing.T) {
	for _, tt := range []struct {
		h    Header
		want string
	}{
		{Header{}, "continuation 0 bytes"},
		{Header{Fin: true, Opcode: Text, Length: 5}, "text fin 5 bytes"},
		{Header{RSV1: true, Opcode: Binary, Length: math.MaxInt64}, "binary rsv1 9223372036854775807 bytes"},
		{Header{RSV2: true, Opcode: Close}, "close rsv2 0 bytes"},
		{Header{RSV3: true, Opcode: 3}, "reserved 3 rsv3 0 bytes"},
		{Header{Fin: true, RSV1: true, RSV2: true, RSV3: true, Opcode: Ping, Masked: true, Key: key, Length: 125},
			"ping fin rsv1 rsv2 rsv3 masked 125 bytes"},
	} {
		if got := tt.h.String(); got != tt.want {
			t.Errorf("%#v.String() = %q, want %q", tt.h, got, tt.want)
		}
	}
}

func TestHeaderAllocs(t *testing.T) {
	for _, tt := range headerTests {
		wire, dst := []byte(tt.wire), make([]byte, 0, MaxHeaderSize)
		if n := testing.AllocsPerRun(10, func() { Parse(wire) }); n != 0 {
			t.Errorf("%s: Parse allocates %v times", tt.name, n)
		}
		if n := testing.AllocsPerRun(10, func() { Append(dst, tt.header) }); n != 0 {
			t.Errorf("%s: Append allocates %v times", tt.name, n)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, tt := range headerTests {
		f.Add([]byte(tt.wire))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		given := bytes.Clone(b)
		for i := range min(len(b), MaxHeaderSize) + 1 {
			checkParse(t, b[:i])
		}
		checkParse(t, b)
		if !bytes.Equal(b, given) {
			t.Errorf("Parse changed % x to % x", given, b)
		}
	})
}
