package proto

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/airlock-go/websocket/frame"
)

// A dialogue is what a peer sends and what that amounts to. Of an event, the
// mark says what it ends: "/" a frame, "." a message, "…" nothing. What belongs
// to a compressed message is packed.
type dialogue struct {
	name   string
	frames []fr
	want   []string
	err    *Violation

	only  []Role // nil: both
	max   uint64
	start Recv // but for the Role and Max
}

func (d dialogue) roles() []Role {
	if d.only != nil {
		return d.only
	}
	return []Role{Server, Client}
}

func (d dialogue) recv(role Role) Recv {
	r := d.start
	r.Role, r.Max = role, d.max
	return r
}

var (
	server = []Role{Server}
	client = []Role{Client}
)

// almost is a message with one frame less than it may have.
var (
	almost       = Recv{open: frame.Text, frames: MaxFrames - 1}
	almostPacked = Recv{Deflate: true, open: frame.Text, packed: true, frames: MaxFrames - 1}
)

// deflate is where messages may be compressed.
var deflate = Recv{Deflate: true}

var dialogues = []dialogue{
	{name: "nothing"},
	{name: "text", frames: []fr{f(0x81, "Hello")}, want: []string{`text "Hello".`}},
	{name: "binary", frames: []fr{f(0x82, "\x00\xff\xc0")}, want: []string{`binary "\x00\xff\xc0".`}},
	{name: "empty text", frames: []fr{f(0x81, "")}, want: []string{`text "".`}},
	{name: "empty binary", frames: []fr{f(0x82, "")}, want: []string{`binary "".`}},
	{name: "two messages", frames: []fr{f(0x81, "a"), f(0x82, "b")}, want: []string{`text "a".`, `binary "b".`}},
	{name: "two fragments", frames: []fr{f(0x01, "Hel"), f(0x80, "lo")}, want: []string{`text "Hel"/`, `text "lo".`}},
	{name: "binary fragments", frames: []fr{f(0x02, "\xff"), f(0x00, "\xfe"), f(0x80, "\xfd")}, want: []string{`binary "\xff"/`, `binary "\xfe"/`, `binary "\xfd".`}},
	{name: "empty fragments", frames: []fr{f(0x01, ""), f(0x00, ""), f(0x80, "")}, want: []string{`text ""/`, `text ""/`, `text "".`}},
	{name: "empty fragment between", frames: []fr{f(0x01, "a"), f(0x00, ""), f(0x80, "b")}, want: []string{`text "a"/`, `text ""/`, `text "b".`}},
	{name: "message after fragments", frames: []fr{f(0x01, "a"), f(0x80, "b"), f(0x82, "c"), f(0x01, "d"), f(0x80, "")},
		want: []string{`text "a"/`, `text "b".`, `binary "c".`, `text "d"/`, `text "".`}},
	{name: "126 bytes", frames: []fr{f(0x82, strings.Repeat("x", 126))}, want: []string{`binary "` + strings.Repeat("x", 126) + `".`}},
	{name: "unfinished frame", frames: []fr{{head: "\x81\x05", body: "Hel"}}, want: []string{`text "Hel"…`}},
	{name: "frame without a byte of its payload", frames: []fr{{head: "\x82\x05"}}, want: []string{`binary ""…`}},
	{name: "longest frame", frames: []fr{{head: "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", body: "ab"}}, want: []string{`binary "ab"…`}},

	{name: "ping", frames: []fr{f(0x89, "hi")}, want: []string{`ping "hi"`}},
	{name: "pong", frames: []fr{f(0x8a, "\xff")}, want: []string{`pong "\xff"`}},
	{name: "empty ping", frames: []fr{f(0x89, "")}, want: []string{`ping ""`}},
	{name: "largest ping", frames: []fr{f(0x89, strings.Repeat("p", 125))}, want: []string{`ping "` + strings.Repeat("p", 125) + `"`}},
	{name: "unfinished ping", frames: []fr{{head: "\x89\x05", body: "Hell"}}},
	{name: "control between fragments", frames: []fr{f(0x01, "a"), f(0x89, "b"), f(0x00, "c"), f(0x8a, ""), f(0x8a, "d"), f(0x80, "e")},
		want: []string{`text "a"/`, `ping "b"`, `text "c"/`, `pong ""`, `pong "d"`, `text "e".`}},
	{name: "control between halves of a character", frames: []fr{f(0x01, "\xe2"), f(0x89, "\xff"), f(0x80, "\x82\xac")},
		want: []string{`text "\xe2"/`, `ping "\xff"`, `text "\x82\xac".`}},

	{name: "close", frames: []fr{f(0x88, "")}, want: []string{`close 1005 ""`}},
	{name: "close with a code", frames: []fr{f(0x88, "\x03\xe8")}, want: []string{`close 1000 ""`}},
	{name: "close with a reason", frames: []fr{f(0x88, "\x0f\xa0bye €")}, want: []string{`close 4000 "bye €"`}},
	{name: "largest close", frames: []fr{f(0x88, "\x03\xe9"+strings.Repeat("r", 123))}, want: []string{`close 1001 "` + strings.Repeat("r", 123) + `"`}},
	{name: "close in a message", frames: []fr{f(0x01, "a"), f(0x88, "\x03\xe9")}, want: []string{`text "a"/`, `close 1001 ""`}},
	{name: "close in a character", frames: []fr{f(0x01, "\xf0"), f(0x88, "")}, want: []string{`text "\xf0"/`, `close 1005 ""`}},
	{name: "data behind a close", frames: []fr{f(0x88, ""), f(0x81, "a"), f(0x88, "\x03\xe8")}, want: []string{`close 1005 ""`}},
	{name: "violations behind a close", frames: []fr{f(0x88, "\x03\xe8"), f(0xff, "a"), {"\x80\x05", "a", true}, f(0x88, "x")}, want: []string{`close 1000 ""`}},

	{name: "reserved bit 1", frames: []fr{f(0xc1, "a")}, err: ErrReservedBit},
	{name: "reserved bit 2", frames: []fr{f(0xa1, "a")}, err: ErrReservedBit},
	{name: "reserved bit 3", frames: []fr{f(0x91, "a")}, err: ErrReservedBit},
	{name: "reserved bit of a ping", frames: []fr{f(0xc9, "a")}, err: ErrReservedBit},
	{name: "reserved bit of a fragment", frames: []fr{f(0x01, "a"), f(0xc0, "b")}, want: []string{`text "a"/`}, err: ErrReservedBit},
	{name: "reserved opcode 3", frames: []fr{f(0x83, "")}, err: ErrReservedOpcode},
	{name: "reserved opcode 7", frames: []fr{f(0x07, "a")}, err: ErrReservedOpcode},
	{name: "reserved opcode 11", frames: []fr{f(0x8b, "")}, err: ErrReservedOpcode},
	{name: "reserved opcode 15", frames: []fr{f(0x8f, "a")}, err: ErrReservedOpcode},
	{name: "not masked", frames: []fr{{"\x81\x01", "a", true}}, err: ErrNotMasked, only: server},
	{name: "ping not masked", frames: []fr{{"\x89\x00", "", true}}, err: ErrNotMasked, only: server},
	{name: "second fragment not masked", frames: []fr{f(0x01, "a"), {"\x80\x01", "b", true}}, want: []string{`text "a"/`}, err: ErrNotMasked, only: server},
	{name: "masked", frames: []fr{{"\x81\x01", "a", true}}, err: ErrMasked, only: client},
	{name: "close masked", frames: []fr{{"\x88\x00", "", true}}, err: ErrMasked, only: client},
	{name: "second fragment masked", frames: []fr{f(0x01, "a"), {"\x80\x01", "b", true}}, want: []string{`text "a"/`}, err: ErrMasked, only: client},
	{name: "ping fragmented", frames: []fr{f(0x09, "a")}, err: ErrControlFragmented},
	{name: "close fragmented", frames: []fr{f(0x08, "")}, err: ErrControlFragmented},
	{name: "pong fragmented between fragments", frames: []fr{f(0x01, "a"), f(0x0a, "")}, want: []string{`text "a"/`}, err: ErrControlFragmented},
	{name: "ping of 126 bytes", frames: []fr{f(0x89, strings.Repeat("p", 126))}, err: ErrControlTooLong},
	{name: "ping of 65536 bytes", frames: []fr{{head: "\x89\x7f\x00\x00\x00\x00\x00\x01\x00\x00", body: "p"}}, err: ErrControlTooLong},
	{name: "close of 126 bytes", frames: []fr{f(0x88, "\x03\xe8"+strings.Repeat("r", 124))}, err: ErrControlTooLong},
	{name: "continuation first", frames: []fr{f(0x00, "a")}, err: ErrNothingToContinue},
	{name: "last continuation first", frames: []fr{f(0x80, "a")}, err: ErrNothingToContinue},
	{name: "continuation of a whole message", frames: []fr{f(0x81, "a"), f(0x80, "b")}, want: []string{`text "a".`}, err: ErrNothingToContinue},
	{name: "continuation of a finished message", frames: []fr{f(0x01, ""), f(0x80, ""), f(0x00, "")}, want: []string{`text ""/`, `text "".`}, err: ErrNothingToContinue},
	{name: "text in a text", frames: []fr{f(0x01, "a"), f(0x81, "b")}, want: []string{`text "a"/`}, err: ErrMessageUnfinished},
	{name: "binary in a text", frames: []fr{f(0x01, "a"), f(0x02, "b")}, want: []string{`text "a"/`}, err: ErrMessageUnfinished},
	{name: "text in a binary", frames: []fr{f(0x02, "a"), f(0x00, "b"), f(0x81, "c")}, want: []string{`binary "a"/`, `binary "b"/`}, err: ErrMessageUnfinished},
	{name: "0 in 16 bits", frames: []fr{{head: "\x82\x7e\x00\x00"}}, err: ErrLengthNotMinimal},
	{name: "125 in 16 bits", frames: []fr{{head: "\x82\x7e\x00\x7d", body: strings.Repeat("x", 125)}}, err: ErrLengthNotMinimal},
	{name: "65535 in 64 bits", frames: []fr{{head: "\x81\x7f\x00\x00\x00\x00\x00\x00\xff\xff", body: "x"}}, err: ErrLengthNotMinimal},
	{name: "the first two bytes are wrong, the length too", frames: []fr{{head: "\x80\x7e\x00\x01"}}, err: ErrNothingToContinue},
	{name: "a ping is too long, the length not minimal", frames: []fr{{head: "\x89\x7e\x00\x01", body: "p"}}, err: ErrControlTooLong},
	{name: "length 2^63", frames: []fr{{head: "\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", body: "x"}}, err: ErrLengthOverflow},
	{name: "length 2^64-1 with a limit", frames: []fr{{head: "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", body: "x"}}, err: ErrLengthOverflow, max: 1},

	{name: "half a close code", frames: []fr{f(0x88, "\x03")}, err: ErrCloseTruncated},
	{name: "close code 999", frames: []fr{f(0x88, "\x03\xe7")}, err: ErrCloseCode},
	{name: "close code 1005", frames: []fr{f(0x88, "\x03\xed")}, err: ErrCloseCode},
	{name: "wrong close code with a wrong reason", frames: []fr{f(0x88, "\x03\xee\xff")}, err: ErrCloseCode},
	{name: "close reason not UTF-8", frames: []fr{f(0x88, "\x03\xe8a\xff")}, err: ErrCloseReason},
	{name: "close reason cut", frames: []fr{f(0x82, "a"), f(0x88, "\x03\xe8\xe2\x82")}, want: []string{`binary "a".`}, err: ErrCloseReason},

	{name: "characters of all lengths", frames: []fr{f(0x81, "a¢€𝄞\x00\U0010ffff\ufeff\ufffe")}, want: []string{`text "a¢€𝄞\x00\U0010ffff\ufeff\ufffe".`}},
	{name: "character in four fragments", frames: []fr{f(0x01, "a\xf0"), f(0x00, "\x9d"), f(0x00, "\x84"), f(0x80, "\x9eb")},
		want: []string{`text "a\xf0"/`, `text "\x9d"/`, `text "\x84"/`, `text "\x9eb".`}},
	{name: "empty fragment in a character", frames: []fr{f(0x01, "\xc2"), f(0x00, ""), f(0x80, "\xa2")}, want: []string{`text "\xc2"/`, `text ""/`, `text "\xa2".`}},
	{name: "not UTF-8", frames: []fr{f(0x81, "a\xffb")}, err: ErrText},
	{name: "overlong", frames: []fr{f(0x81, "\xc0\x80")}, err: ErrText},
	{name: "surrogate", frames: []fr{f(0x81, "\xed\xa0\x80")}, err: ErrText},
	{name: "above U+10FFFF", frames: []fr{f(0x81, "\xf4\x90\x80\x80")}, err: ErrText},
	{name: "not UTF-8 in the second message", frames: []fr{f(0x81, "a"), f(0x81, "b\x80")}, want: []string{`text "a".`}, err: ErrText},
	{name: "not UTF-8 in the second fragment", frames: []fr{f(0x01, "a"), f(0x00, "\xffb"), f(0x80, "")}, want: []string{`text "a"/`}, err: ErrText},
	{name: "wrong second half", frames: []fr{f(0x01, "\xe2\x82"), f(0x80, "a")}, want: []string{`text "\xe2\x82"/`}, err: ErrText},
	{name: "not UTF-8 in a frame that does not end", frames: []fr{{head: "\x01\x7e\xff\xff", body: "a\xff"}}, err: ErrText},
	{name: "text ends in a character", frames: []fr{f(0x81, "a\xe2\x82")}, err: ErrText},
	{name: "last fragment ends in a character", frames: []fr{f(0x01, "a"), f(0x80, "\xc2")}, want: []string{`text "a"/`}, err: ErrText},
	{name: "empty last fragment in a character", frames: []fr{f(0x01, "\xc2"), f(0x80, "")}, want: []string{`text "\xc2"/`}, err: ErrText},
	{name: "binary is not checked", frames: []fr{f(0x02, "\xff"), f(0x80, "\xc2"), f(0x81, "a")}, want: []string{`binary "\xff"/`, `binary "\xc2".`, `text "a".`}},

	{name: "as large as the limit", frames: []fr{f(0x82, "12345")}, want: []string{`binary "12345".`}, max: 5},
	{name: "one larger than the limit", frames: []fr{f(0x82, "123456")}, err: ErrTooBig, max: 5},
	{name: "fragments as large as the limit", frames: []fr{f(0x02, "12"), f(0x00, ""), f(0x80, "345"), f(0x82, "12345")},
		want: []string{`binary "12"/`, `binary ""/`, `binary "345".`, `binary "12345".`}, max: 5},
	{name: "fragments one larger than the limit", frames: []fr{f(0x02, "12"), f(0x00, "345"), f(0x80, "6")}, want: []string{`binary "12"/`, `binary "345"/`}, err: ErrTooBig, max: 5},
	{name: "control is not counted", frames: []fr{f(0x02, "12"), f(0x89, "123456"), f(0x80, "345")}, want: []string{`binary "12"/`, `ping "123456"`, `binary "345".`}, max: 5},
	{name: "longest frame with a limit", frames: []fr{{head: "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", body: "a"}}, err: ErrTooBig, max: 1 << 32},
	{name: "limit before text", frames: []fr{f(0x81, "\xff\xff")}, err: ErrTooBig, max: 1},

	{name: "as many frames as may be", frames: []fr{f(0x89, ""), f(0x80, "a"), f(0x81, "b")}, want: []string{`ping ""`, `text "a".`, `text "b".`}, start: almost},
	{name: "one frame too many", frames: []fr{f(0x00, ""), f(0x89, ""), f(0x80, "")}, want: []string{`text ""/`, `ping ""`}, err: ErrTooManyFrames, start: almost},

	{name: "packed text", frames: []fr{f(0xc1, "\xf2H\xcd\xc9\xc9\x07\x00")}, want: []string{`packed text "\xf2H\xcd\xc9\xc9\a\x00".`}, start: deflate},
	{name: "packed binary", frames: []fr{f(0xc2, "a")}, want: []string{`packed binary "a".`}, start: deflate},
	{name: "packed, without a byte", frames: []fr{f(0xc1, ""), f(0xc2, "")}, want: []string{`packed text "".`, `packed binary "".`}, start: deflate},
	{name: "packed, unfinished frame", frames: []fr{{head: "\xc1\x05", body: "\xff"}}, want: []string{`packed text "\xff"…`}, start: deflate},
	{name: "packed fragments", frames: []fr{f(0x41, "a"), f(0x00, "b"), f(0x80, "c")}, want: []string{`packed text "a"/`, `packed text "b"/`, `packed text "c".`}, start: deflate},
	{name: "packed fragments of a binary, empty", frames: []fr{f(0x42, ""), f(0x00, ""), f(0x80, "")},
		want: []string{`packed binary ""/`, `packed binary ""/`, `packed binary "".`}, start: deflate},
	{name: "control between packed fragments", frames: []fr{f(0x41, "a"), f(0x89, "p"), f(0x00, "b"), f(0x8a, "\xff"), f(0x80, "c"), f(0x89, "")},
		want: []string{`packed text "a"/`, `ping "p"`, `packed text "b"/`, `pong "\xff"`, `packed text "c".`, `ping ""`}, start: deflate},
	{name: "close in a packed message", frames: []fr{f(0x42, "a"), f(0x88, "\x03\xe8"), f(0xc0, "b")}, want: []string{`packed binary "a"/`, `close 1000 ""`}, start: deflate},
	{name: "not packed where it may be", frames: []fr{f(0x81, "a"), f(0x01, "b"), f(0x80, "c"), f(0x82, "\xff")},
		want: []string{`text "a".`, `text "b"/`, `text "c".`, `binary "\xff".`}, start: deflate},
	{name: "packed, then not, then packed", frames: []fr{f(0xc1, "a"), f(0x81, "b"), f(0xc2, "c"), f(0x82, "d"), f(0xc2, "e")},
		want: []string{`packed text "a".`, `text "b".`, `packed binary "c".`, `binary "d".`, `packed binary "e".`}, start: deflate},
	{name: "packed fragments, then others", frames: []fr{f(0x42, "a"), f(0x80, "b"), f(0x02, "c"), f(0x80, "d"), f(0x41, "e"), f(0x80, "f")},
		want: []string{`packed binary "a"/`, `packed binary "b".`, `binary "c"/`, `binary "d".`, `packed text "e"/`, `packed text "f".`}, start: deflate},
	{name: "packed text is not UTF-8 on its way", frames: []fr{f(0xc1, "\xff"), f(0x41, "\xc2"), f(0x00, "a"), f(0x80, "\xe2\x82"), f(0x81, "€")},
		want: []string{`packed text "\xff".`, `packed text "\xc2"/`, `packed text "a"/`, `packed text "\xe2\x82".`, `text "€".`}, start: deflate},
	{name: "not packed, not UTF-8", frames: []fr{f(0xc1, "\xff"), f(0x81, "a\xff")}, want: []string{`packed text "\xff".`}, err: ErrText, start: deflate},
	{name: "not packed, ends in a character", frames: []fr{f(0xc1, "\xe2"), f(0x01, "\xe2\x82"), f(0x80, "")},
		want: []string{`packed text "\xe2".`, `text "\xe2\x82"/`}, err: ErrText, start: deflate},
	{name: "not packed, begins in a character", frames: []fr{f(0xc1, "\xc2"), f(0x81, "\xa2")}, want: []string{`packed text "\xc2".`}, err: ErrText, start: deflate},

	{name: "packed bit of a continuation", frames: []fr{f(0x41, "a"), f(0xc0, "b")}, want: []string{`packed text "a"/`}, err: ErrCompressedBit, start: deflate},
	{name: "packed bit of a continuation of a message not packed", frames: []fr{f(0x01, "a"), f(0x40, "b")}, want: []string{`text "a"/`}, err: ErrCompressedBit, start: deflate},
	{name: "packed bit of nothing to continue", frames: []fr{f(0xc0, "a")}, err: ErrCompressedBit, start: deflate},
	{name: "packed bit of a ping", frames: []fr{f(0xc9, "a")}, err: ErrCompressedBit, start: deflate},
	{name: "packed bit of a pong in a packed message", frames: []fr{f(0x41, "a"), f(0xca, "")}, want: []string{`packed text "a"/`}, err: ErrCompressedBit, start: deflate},
	{name: "packed bit of a close", frames: []fr{f(0xc8, "\x03\xe8")}, err: ErrCompressedBit, start: deflate},
	{name: "packed bit of a reserved opcode", frames: []fr{f(0xc3, "")}, err: ErrCompressedBit, start: deflate},
	{name: "packed bit of a reserved control opcode", frames: []fr{f(0x4f, "")}, err: ErrCompressedBit, start: deflate},
	{name: "packed bit of a fragmented ping", frames: []fr{f(0x49, "")}, err: ErrCompressedBit, start: deflate},
	{name: "packed message in another", frames: []fr{f(0x01, "a"), f(0xc1, "b")}, want: []string{`text "a"/`}, err: ErrMessageUnfinished, start: deflate},
	{name: "packed message in a packed one", frames: []fr{f(0x41, "a"), f(0x42, "b")}, want: []string{`packed text "a"/`}, err: ErrMessageUnfinished, start: deflate},
	{name: "message in a packed one", frames: []fr{f(0x42, "a"), f(0x80, "b"), f(0x42, "c"), f(0x82, "d")},
		want: []string{`packed binary "a"/`, `packed binary "b".`, `packed binary "c"/`}, err: ErrMessageUnfinished, start: deflate},
	{name: "packed bit and reserved bit 2", frames: []fr{f(0xe1, "a")}, err: ErrReservedBit, start: deflate},
	{name: "packed bit and reserved bit 3", frames: []fr{f(0xd2, "a")}, err: ErrReservedBit, start: deflate},
	{name: "packed bit and reserved bit 3 of a ping", frames: []fr{f(0xd9, "a")}, err: ErrReservedBit, start: deflate},
	{name: "reserved bit 2 where messages may be packed", frames: []fr{f(0xa1, "a")}, err: ErrReservedBit, start: deflate},
	{name: "reserved bit 3 of a packed fragment", frames: []fr{f(0x41, "a"), f(0x90, "b")}, want: []string{`packed text "a"/`}, err: ErrReservedBit, start: deflate},
	{name: "packed, not masked", frames: []fr{{"\xc1\x01", "a", true}}, err: ErrNotMasked, only: server, start: deflate},
	{name: "packed, masked", frames: []fr{{"\xc1\x01", "a", true}}, err: ErrMasked, only: client, start: deflate},
	{name: "packed, length not minimal", frames: []fr{{head: "\xc2\x7e\x00\x7d", body: "x"}}, err: ErrLengthNotMinimal, start: deflate},
	{name: "packed, length 2^63", frames: []fr{{head: "\xc2\x7f\x80\x00\x00\x00\x00\x00\x00\x00", body: "x"}}, err: ErrLengthOverflow, start: deflate},

	{name: "packed, as large as the limit", frames: []fr{f(0xc2, strings.Repeat("x", 8+1+16))}, want: []string{`packed binary "` + strings.Repeat("x", 8+1+16) + `".`}, max: 8, start: deflate},
	{name: "packed, one larger than the limit", frames: []fr{f(0xc2, strings.Repeat("x", 8+1+16+1))}, err: ErrTooBig, max: 8, start: deflate},
	{name: "packed fragments one larger than the limit", frames: []fr{f(0x41, "a"), f(0x80, strings.Repeat("x", 33))}, want: []string{`packed text "a"/`}, err: ErrTooBig, max: 1, start: deflate},
	{name: "not packed, one larger than the limit", frames: []fr{f(0xc1, "12"), f(0x81, "34")}, want: []string{`packed text "12".`}, err: ErrTooBig, max: 1, start: deflate},
	{name: "as many packed frames as may be", frames: []fr{f(0x80, "\xff"), f(0xc1, "\xff")}, want: []string{`packed text "\xff".`, `packed text "\xff".`}, start: almostPacked},
	{name: "one packed frame too many", frames: []fr{f(0x00, ""), f(0x80, "")}, want: []string{`packed text ""/`}, err: ErrTooManyFrames, start: almostPacked},
}

// TestEveryViolation: none that proto.go declares is left out of the dialogues,
// but what comes to light only where messages are decompressed, which is not here.
func TestEveryViolation(t *testing.T) {
	elsewhere := []string{ErrDeflate.Text}
	var reached []string
	for _, d := range dialogues {
		if d.err != nil {
			reached = append(reached, d.err.Text)
		}
	}
	for name, text := range declared(t, "proto.go") {
		here, there := slices.Contains(reached, text), slices.Contains(elsewhere, text)
		if here == there {
			t.Errorf("%s: in a dialogue: %v, for callers to find: %v", name, here, there)
		}
	}
}

// declared returns the variables Err… of a file with the text that each has.
// No two may have the same, or it could not be told which of them was reached.
func declared(t *testing.T, file string) map[string]string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	texts := make(map[string]string)
	owner := make(map[string]string)
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Err") {
			return true
		}
		name := spec.Names[0].Name
		ast.Inspect(spec.Values[0], func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				texts[name], _ = strconv.Unquote(lit.Value)
			}
			return true
		})
		text := texts[name]
		if text == "" || owner[text] != "" {
			t.Fatalf("%s: %s has the text %q, and so has %q", file, name, text, owner[text])
		}
		owner[text] = name
		return true
	})
	if len(texts) == 0 {
		t.Fatalf("%s declares no errors", file)
	}
	return texts
}
