package field

import (
	"fmt"
	"strings"
)

// Extension is one element of Sec-WebSocket-Extensions (RFC 6455, section 9.1).
type Extension struct {
	Name   string
	Params []Param
}

// Param is a parameter of an extension. A value that stood in quotes is given
// without them and with its escapes resolved.
type Param struct {
	Name, Value string
	HasValue    bool
}

// AppendExtensions appends the elements of the extension list in lines to dst.
// Empty elements are skipped; a list without an element is an error. Names are
// kept as they came, and whether anybody knows them is not asked.
func AppendExtensions(dst []Extension, lines []string) ([]Extension, error) {
	had := len(dst)
	for _, line := range lines {
		s := scanner{line}
		for {
			for s.skip(',') {
			}
			if s.rest == "" {
				break
			}
			e, err := s.extension()
			if err != nil {
				return dst, err
			}
			dst = append(dst, e)
			if s.rest != "" && !s.skip(',') {
				return dst, fmt.Errorf("%s follows extension %s where a comma or a semicolon was expected", Quote(s.rest), Quote(e.Name))
			}
		}
	}
	if len(dst) == had {
		return dst, errEmptyList
	}
	return dst, nil
}

// scanner takes a field value apart from its front. Between any two elements
// of the grammar white space may stand: RFC 6455 keeps the implied white space
// of RFC 2616, section 2.1.
type scanner struct{ rest string }

func (s *scanner) space() { s.rest = trimLeft(s.rest) }

// skip takes c and the white space around it, if c comes next.
func (s *scanner) skip(c byte) bool {
	s.space()
	if s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	s.space()
	return true
}

// token takes a token, or returns "" when none comes next.
func (s *scanner) token() string {
	n := tokenPrefix(s.rest)
	t := s.rest[:n]
	s.rest = s.rest[n:]
	return t
}

// extension takes extension-token *( ";" extension-param ).
func (s *scanner) extension() (Extension, error) {
	e := Extension{Name: s.token()}
	if e.Name == "" {
		return e, fmt.Errorf("%s where the name of an extension was expected", Quote(s.rest))
	}
	for s.skip(';') {
		p := Param{Name: s.token()}
		if p.Name == "" {
			return e, fmt.Errorf("%s where a parameter of %s was expected", Quote(s.rest), Quote(e.Name))
		}
		if s.skip('=') {
			p.HasValue = true
			if p.Value = s.value(); p.Value == "" {
				return e, fmt.Errorf("parameter %s of %s has a value that is neither a token nor a quoted token", Quote(p.Name), Quote(e.Name))
			}
		}
		e.Params = append(e.Params, p)
	}
	return e, nil
}

// value takes token / quoted-string, or returns "" when what comes next is
// neither. "When using the quoted-string syntax variant, the value after
// quoted-string unescaping MUST conform to the 'token' ABNF" (RFC 6455, section
// 9.1).
func (s *scanner) value() string {
	if s.rest == "" || s.rest[0] != '"' {
		return s.token()
	}
	var plain strings.Builder
	for i := 1; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '"':
			s.rest = s.rest[i+1:]
			return plain.String()
		case c == '\\' && i+1 < len(s.rest):
			i++
			c = s.rest[i]
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
