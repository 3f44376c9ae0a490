// Package conformance is a test suite for WebSocket servers, in whatever
// language they are written. The server needs to do no more than to send every
// message back, if it has at most 128 KiB; what has to come of each thing that a
// client may do is said by RFC 6455, RFC 7692 and RFC 9110, section by section.
//
// The command is in cmd/wsconform:
//
//	go run ./conformance/cmd/wsconform ws://127.0.0.1:8080/
//
// # Cases
//
// The cases are text, in the folder cases, a file for each group, with a number
// in front that puts them in order. A case begins with the section that it
// holds, of RFC 6455 unless another RFC stands before it, and its name, and is
// played from top to bottom:
//
//	== 5.4 a ping between two fragments
//	why Control frames MAY be injected in the middle of a fragmented message.
//	> text "he"-
//	> ping "now"
//	> cont "llo"
//	< pong "now"
//	< echo
//
// Lines with > are sent, in one write up to the next line with <, and in other
// chops as well (see below); lines with < must come back; a line with "or" says
// what may come back in place of the one above it, and with which verdict.
// Lines that begin with # are comments; the first line of a file says what the
// group is about. What may be sent:
//
//	> text "hel"-           a masked frame: text, binary, cont, close, ping, pong or
//	                        an opcode as 0x3; the - at the end leaves the fin bit out
//	> close 1000 "bye"      a close frame; also close alone, and close 1000
//	> text rsv1 len64 "x"   flags before the payload: rsv1, rsv2, rsv3; unmasked;
//	                        key=01020304; len16 and len64, longer forms of the length
//	> claim binary 70000 "" a frame that announces another length than it has
//	> z text "hello"        a message compressed as agreed; z/3 in three frames
//	> raw 81 05 68          bytes as they are: hexadecimal digits, or a payload
//	> http "GET / HT"       a payload as it is, with {host}, {path}, {origin} and {fields},
//	                        those that every handshake needs, filled in
//	> half-close            the end of what the client sends
//	> repeat 10 text "x"    the same so many times; also < repeat 10 echo
//
// A payload is a sequence of Go strings, <hex>, random:SIZE and words:SIZE (bytes
// and text made up, always the same), each with *N for a repetition. Sizes may
// end in K or M. And what may come back:
//
//	< echo                  the next complete message that was sent and not yet echoed
//	< text "hello"          this message, in any number of frames; binary likewise
//	< pong "now"            a pong; pongs and messages are two orders of their own
//	< close 1000            the peer's close frame, and then the end of TCP; 1005
//	                        is a close frame without a code
//	< fail 1002             the connection fails: a close frame with this code,
//	                        or one of several, and the end; without a number, any
//	< early 1007            as fail, but before anything more is sent; otherwise
//	                        non-strict, or what stands in "or VERDICT nothing"
//	< nothing               no message, no end; behind "or" that nothing came
//	< end                   the end of TCP, with or without a close frame
//	< http 101              the answer to the handshake; another status stands for
//	                        any refusal, 4xx or 5xx, and for the one recommended
//	< header Allow: GET     a field of that answer, with this element; after 405,
//	                        as in "header 405 Allow: GET", only if that is the
//	                        status; "header -Name" for a field that must not be
//	< idle                  waits for the server to lose patience, and tells
//
// Before its first step a case may have:
//
//	why TEXT                what is demanded, or why it matters; may stand again
//	request EDIT            changes the handshake: "-Name" leaves a field out, "Name:
//	                        value" sets it, "+Name: value" adds a line, and a method,
//	                        a target or a version stands in place of the usual one;
//	                        an EDIT may be a Go string, for blanks and the like
//	connect                 sends no handshake; > http does
//	joined                  sends the first frames together with the handshake, which
//	                        a server may refuse
//	offer EXTENSIONS        offers them; a server that declines is "unimplemented"
//	agree PARAMETERS        what the case needs in the answer, with its value or without,
//	                        or cannot have there, with -; a server that answers otherwise
//	                        is "unimplemented". -permessage-deflate: it MUST decline
//	chop together frames    how the bytes are cut: together, frames (a write each),
//	                        bytes (one at a time), halves (in two, at every place);
//	                        otherwise together and, if the case is short, bytes
//
// # HTTP/2
//
// With [Options.HTTP2] a WebSocket is a stream of an HTTP/2 connection (RFC 8441), and
// a write one or more DATA frames; what is said of TCP is said of the stream. Cases that
// look at the handshake of HTTP/1.1, or have none, are not played.
//
// # Verdicts
//
// [Pass] is what the RFC demands and recommends, [NonStrict] what it allows
// though something else is better, [Informational] where it says nothing and a
// reader may want to know, [Unimplemented] an extension that the server does not
// have, or a case that does not exist over HTTP/2, [Fail] the rest. A case that is played in several chops has the worst of
// its verdicts.
package conformance
