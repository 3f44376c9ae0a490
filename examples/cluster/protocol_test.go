package main

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/airlock-go/websocket"
)

func TestParse(t *testing.T) {
	seven := uint64(7)
	for _, tt := range []struct {
		name, data string
		want       request
	}{
		{"join", `{"type":"join","name":" Ann\n"}`, request{Type: "join", Name: "Ann"}},
		{"join again", `{"type":"join","name":"Ann","stream":"s","after":7}`, request{Type: "join", Name: "Ann", Stream: "s", After: &seven}},
		{"join, joined emoji", `{"type":"join","name":"👩‍💻"}`, request{Type: "join", Name: "👩‍💻"}},
		{"say, as it is", `{"type":"say","id":"0123456789abcdef","text":" two\n lines "}`, request{Type: "say", ID: id, Text: " two\n lines "}},
		{"what is not known", `{"type":"join","name":"Ann","colour":"red"}`, request{Type: "join", Name: "Ann"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parse(websocket.Message{Type: websocket.Text, Data: []byte(tt.data)})
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	say := `{"type":"say","id":"` + strings.Repeat("x", 64) + `","text":"`
	for _, character := range []string{"a", "ü", "😀", `\ud83d\ude00`} {
		for begin, limit := range map[string]int{`{"type":"join","name":"`: maxName, say: maxText} {
			for n, want := range map[int]bool{limit: true, limit + 1: false} {
				data := begin + strings.Repeat(character, n) + `"}`
				_, err := parse(websocket.Message{Type: websocket.Text, Data: []byte(data)})
				if (err == nil) != want || want && len(data) > maxMessageSize {
					t.Errorf("%d times %s: %d bytes, %v", n, character, len(data), err)
				}
			}
		}
	}
}

// violations are what ends a connection with 1008.
var violations = []struct{ name, data, reason string }{
	{"no JSON", `hello`, "bad JSON, or a field of the wrong type"},
	{"an array", `["join","Ann"]`, "bad JSON, or a field of the wrong type"},
	{"a number below 0", `{"type":"join","name":"Ann","after":-1}`, "bad JSON, or a field of the wrong type"},
	{"no type", `{"name":"Ann"}`, `unknown type, want "join" or "say"`},
	{"no name", `{"type":"join"}`, "the name is empty"},
	{"invisible name", `{"type":"join","name":"\u200b\u202e \u2060"}`, "the name is empty"},
	{"long name", `{"type":"join","name":"` + strings.Repeat("ü", 33) + `"}`, "the name has 33 characters, at most 32 are allowed"},
	{"control character", `{"type":"join","name":"A\u0007nn"}`, "a control character in the name"},
	{"no id", `{"type":"say","text":"x"}`, "the id is not 16 to 64 letters, digits, - and _"},
	{"short id", `{"type":"say","id":"7","text":"x"}`, "the id is not 16 to 64 letters, digits, - and _"},
	{"id with a line", `{"type":"say","id":"0123456789abcdef\n","text":"x"}`, "the id is not 16 to 64 letters, digits, - and _"},
	{"no text", `{"type":"say","id":"0123456789abcdef"}`, "the text is empty"},
	{"long text", `{"type":"say","id":"0123456789abcdef","text":"` + strings.Repeat("x", 2001) + `"}`, "the text has 2001 characters, at most 2000 are allowed"},
}

// TestPageLimits: the page lets nobody type more than a node takes, and promises what
// is so.
func TestPageLimits(t *testing.T) {
	for _, want := range []string{
		fmt.Sprintf(`id="name" maxlength="%d"`, maxName),
		fmt.Sprintf(`id="text" rows="1" maxlength="%d"`, maxText),
		fmt.Sprintf(`the last %d messages`, welcomeSize),
		fmt.Sprintf(`every %.0f seconds`, lifeSigns.Seconds()),
	} {
		if strings.Count(page, want) != 1 {
			t.Errorf("the page does not have %s", want)
		}
	}
}
