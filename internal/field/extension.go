package field

import (
	"fmt"
	"strings"
)

// Extensions walks over the extension list in the lines of Sec-WebSocket-Extensions
// (RFC 6455, section 9.1):
//
//	for x.Next() {
//		// x.Name
//		for x.NextParam() {
//			// x.Param
//		}
//	}
//	err := x.Err()
//
// Empty elements are skipped; a list without an element is an error. Names are kept
// as they came, and whether anybody knows them is not asked.
type Extensions struct {
	Name  string
	Param Param

	lines []string // to come
	rest  string   // of the line under way
	err   error
}

// Param is a parameter of an extension. A value that stood in quotes is given
// without them and with its escapes resolved.
type Param struct {
	Name, Value string
	HasValue    bool
}

// NewExtensions returns a walk over lines.
func NewExtensions(lines []string) Extensions { return Extensions{lines: lines} }

// Next goes to the next extension. It reports whether there is one: if not, Err tells
// whether the list is at its end.
func (x *Extensions) Next() bool {
	for x.NextParam() {
	}
	if x.err != nil {
		return false
	}
	if x.rest != "" && !x.skip(',') {
		x.err = fmt.Errorf("%s follows extension %s where a comma or a semicolon was expected", Quote(x.rest), Quote(x.Name))
		return false
	}
	for x.skip(',') || x.rest == "" {
		if x.rest == "" {
			if len(x.lines) == 0 {
				return false
			}
			x.rest, x.lines = x.lines[0], x.lines[1:]
		}
	}
	name := x.token()
	if name == "" {
		x.err = fmt.Errorf("%s where the name of an extension was expected", Quote(x.rest))
		return false
	}
	x.Name = name
	return true
}

// NextParam goes to the next parameter of the extension.
func (x *Extensions) NextParam() bool {
	if x.err != nil || !x.skip(';') {
		return false
	}
	x.Param = Param{Name: x.token()}
	if x.Param.Name == "" {
		x.err = fmt.Errorf("%s where a parameter of %s was expected", Quote(x.rest), Quote(x.Name))
		return false
	}
	if x.skip('=') {
		x.Param.HasValue = true
		if x.Param.Value = x.value(); x.Param.Value == "" {
			x.err = fmt.Errorf("parameter %s of %s has a value that is neither a token nor a quoted token", Quote(x.Param.Name), Quote(x.Name))
			return false
		}
	}
	return true
}

// Err returns what is wrong with the list, for a walk that has come to its end.
func (x *Extensions) Err() error {
	if x.err == nil && x.Name == "" {
		return errEmptyList
	}
	return x.err
}

// skip takes c and the white space around it, if c comes next. Between any two
// elements of the grammar white space may stand: RFC 6455 keeps the implied white
// space of RFC 2616, section 2.1.
func (x *Extensions) skip(c byte) bool {
	x.rest = trimLeft(x.rest)
	if x.rest == "" || x.rest[0] != c {
		return false
	}
	x.rest = trimLeft(x.rest[1:])
	return true
}

// token takes a token, or returns "" when none comes next.
func (x *Extensions) token() string {
	n := tokenPrefix(x.rest)
	t := x.rest[:n]
	x.rest = x.rest[n:]
	return t
}

// value takes token / quoted-string, or returns "" when what comes next is
// neither. "When using the quoted-string syntax variant, the value after
// quoted-string unescaping MUST conform to the 'token' ABNF" (RFC 6455, section
// 9.1).
func (x *Extensions) value() string {
	if x.rest == "" || x.rest[0] != '"' {
		return x.token()
	}
	var plain strings.Builder
	for i := 1; i < len(x.rest); i++ {
		switch c := x.rest[i]; {
		case c == '"':
			x.rest = x.rest[i+1:]
			return plain.String()
		case c == '\\' && i+1 < len(x.rest):
			i++
			c = x.rest[i]
			fallthrough
		default:
			if !tokenChars[c] {
				return ""
			}
			plain.WriteByte(c)
		}
	}
	return ""
}
