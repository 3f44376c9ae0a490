// Package field reads the grammar of the HTTP header fields that an opening
// handshake consists of: tokens, lists, parameters and quoted strings (RFC
// 9110, section 5.6; RFC 6455, section 9.1).
//
// A field is given as its lines, in order: "a recipient MAY combine multiple
// field lines within a field section that have the same field name into one
// field line" (RFC 9110, section 5.3), so several lines are one list. Every
// function takes time linear in the size of the field.
package field

import (
	"errors"
	"fmt"
	"strings"
)

var errEmptyList = errors.New("the list has no element")

// tokenChars has a bit set for every tchar of RFC 9110, section 5.6.2.
var tokenChars = func() (set [256]bool) {
	for _, c := range "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" {
		set[c] = true
	}
	return set
}()

// IsToken reports whether s is a token (RFC 9110, section 5.6.2).
func IsToken(s string) bool { return s != "" && tokenPrefix(s) == len(s) }

// IsValue reports whether s may stand as the value of a field: RFC 9110,
// section 5.5, calls CR, LF and NUL "invalid and dangerous".
func IsValue(s string) bool {
	return strings.IndexByte(s, '\r') < 0 && strings.IndexByte(s, '\n') < 0 && strings.IndexByte(s, 0) < 0
}

// tokenPrefix returns the length of the token at the start of s.
func tokenPrefix(s string) int {
	for i := range len(s) {
		if !tokenChars[s[i]] {
			return i
		}
	}
	return len(s)
}

// Trim returns s without the optional white space around it (RFC 9110, section
// 5.6.3).
func Trim(s string) string {
	s = trimLeft(s)
	for s != "" && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func trimLeft(s string) string {
	for s != "" && isSpace(s[0]) {
		s = s[1:]
	}
	return s
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// HasToken reports whether the list in lines has token as one of its elements,
// in any case. Elements that are no tokens are passed over.
func HasToken(lines []string, token string) bool {
	for _, line := range lines {
		if EqualFold(line, token) { // as it mostly is
			return true
		}
		for more := true; more; {
			var element string
			element, line, more = cutElement(line)
			if EqualFold(element, token) {
				return true
			}
		}
	}
	return false
}

// EqualFold reports whether s is token, in any case. strings.EqualFold takes characters
// for ASCII letters that are none, such as U+212A for k. In UTF-8 they are longer.
func EqualFold(s, token string) bool {
	return len(s) == len(token) && strings.EqualFold(s, token)
}

// cutElement returns the first element of a list, which may be empty, and what follows
// behind its comma, if there is one.
func cutElement(line string) (element, rest string, more bool) {
	if i := strings.IndexByte(line, ','); i >= 0 {
		return Trim(line[:i]), line[i+1:], true
	}
	return Trim(line), "", false
}

// AppendTokens appends the elements of the list of tokens in lines to dst.
// Empty elements are skipped (RFC 9110, section 5.6.1.2); anything else that is
// no token is an error, and so is a list without an element.
func AppendTokens(dst []string, lines []string) ([]string, error) {
	had := len(dst)
	for _, line := range lines {
		for more := true; more; {
			var element string
			element, line, more = cutElement(line)
			switch {
			case element == "":
			case !IsToken(element):
				return dst, fmt.Errorf("%s is not a token", Quote(element))
			default:
				dst = append(dst, element)
			}
		}
	}
	if len(dst) == had {
		return dst, errEmptyList
	}
	return dst, nil
}
