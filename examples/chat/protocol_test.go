package main

import (
	"strings"
	"testing"

	"github.com/airlock-go/websocket"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name, data string
		want       request
	}{
		{"join", `{"type":"join","name":"Ann"}`, request{Type: "join", Name: "Ann"}},
		{"join, trimmed", `{"type":"join","name":" \tAnn\n "}`, request{Type: "join", Name: "Ann"}},
		{"join, inner space", `{"type":"join","name":"Ann Lee"}`, request{Type: "join", Name: "Ann Lee"}},
		{"join, joined emoji", `{"type":"join","name":"👩‍💻"}`, request{Type: "join", Name: "👩‍💻"}},
		{"say", `{"type":"say","text":"hello"}`, request{Type: "say", Text: "hello"}},
		{"say, as it is", `{"type":"say","text":" two\n lines "}`, request{Type: "say", Text: " two\n lines "}},
		{"what is not known", `{"type":"say","text":"hello","colour":"red"}`, request{Type: "say", Text: "hello"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parse(websocket.Message{Type: websocket.Text, Data: []byte(tt.data)})
			if got != tt.want || err != nil {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

func TestParseLimits(t *testing.T) {
	for _, character := range []string{"a", "ü", "😀", `\ud83d\ude00`} {
		for kind, limit := range map[string]int{`{"type":"join","name":"`: maxName, `{"type":"say","text":"`: maxText} {
			longest := kind + strings.Repeat(character, limit) + `"}`
			if len(longest) > maxMessageSize {
				t.Errorf("%d times %s need %d bytes, more than a message may have", limit, character, len(longest))
			}
			if _, err := parse(websocket.Message{Type: websocket.Text, Data: []byte(longest)}); err != nil {
				t.Errorf("%d times %s: %v", limit, character, err)
			}
			tooLong := kind + strings.Repeat(character, limit+1) + `"}`
			if _, err := parse(websocket.Message{Type: websocket.Text, Data: []byte(tooLong)}); err == nil {
				t.Errorf("%d times %s: no error", limit+1, character)
			}
		}
	}
}

// violations are what parse refuses. The reasons are for people who write
// clients.
var violations = []struct{ name, data, reason string }{
	{"no JSON", `hello`, `bad JSON, want an object with "type", and "name" or "text"`},
	{"JSON cut off", `{"type":"join"`, `bad JSON, want an object with "type", and "name" or "text"`},
	{"two objects", `{"type":"join","name":"Ann"}{}`, `bad JSON, want an object with "type", and "name" or "text"`},
	{"an array", `["join","Ann"]`, `bad JSON, want an object with "type", and "name" or "text"`},
	{"a name that is a number", `{"type":"join","name":7}`, `bad JSON, want an object with "type", and "name" or "text"`},
	{"empty message", ``, `bad JSON, want an object with "type", and "name" or "text"`},
	{"null", `null`, `unknown type, want "join" or "say"`},
	{"no type", `{"name":"Ann"}`, `unknown type, want "join" or "say"`},
	{"unknown type", `{"type":"shout","text":"HELLO"}`, `unknown type, want "join" or "say"`},
	{"no name", `{"type":"join"}`, `the name is empty`},
	{"empty name", `{"type":"join","name":" \n "}`, `the name is empty`},
	{"invisible name", `{"type":"join","name":"\u200b\u202e \u2060"}`, `the name is empty`},
	{"long name", `{"type":"join","name":"` + strings.Repeat("ü", 33) + `"}`, `the name has 33 characters, at most 32 are allowed`},
	{"control character", `{"type":"join","name":"A\u0007nn"}`, `a control character in the name`},
	{"line in a name", `{"type":"join","name":"Ann\nBob"}`, `a control character in the name`},
	{"empty text", `{"type":"say","text":""}`, `the text is empty`},
	{"nothing but space", `{"type":"say","text":"\n\t "}`, `the text is empty`},
	{"long text", `{"type":"say","text":"` + strings.Repeat("x", 2001) + `"}`, `the text has 2001 characters, at most 2000 are allowed`},
}

func TestViolations(t *testing.T) {
	for _, tt := range violations {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(websocket.Message{Type: websocket.Text, Data: []byte(tt.data)})
			expectReason(t, err, tt.reason)
		})
	}
	_, err := parse(websocket.Message{Type: websocket.Binary, Data: []byte(`{"type":"join","name":"Ann"}`)})
	expectReason(t, err, "a binary message, want text")
}

func expectReason(t *testing.T, err error, reason string) {
	t.Helper()
	if err == nil || err.Error() != reason {
		t.Errorf("got %v, want %q", err, reason)
	}
}
