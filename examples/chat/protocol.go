package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/airlock-go/websocket"
)

// The limits of the subprotocol chat.v1, in characters.
const (
	maxName = 32
	maxText = 2000
)

// maxMessageSize has room for the longest text, every character of it escaped
// as JSON may do: \ud83d\ude00.
const maxMessageSize = 32 << 10

// request is what a client sends: {"type":"join","name":"Ann"} first, and then
// any number of {"type":"say","text":"hello"}.
type request struct {
	Type string `json:"type"`
	Name string `json:"name"`
	Text string `json:"text"`
}

// The messages of the server: welcome to who has joined, people to the others
// whenever somebody comes or goes, and message to everybody.
type (
	welcome struct {
		Type     string            `json:"type"`
		Name     string            `json:"name"` // as others see it
		People   []string          `json:"people"`
		Messages []json.RawMessage `json:"messages"` // the last of them, oldest first
	}
	people struct {
		Type   string   `json:"type"`
		People []string `json:"people"`
	}
	message struct {
		Type string    `json:"type"`
		ID   int       `json:"id"`
		Name string    `json:"name"`
		Text string    `json:"text"`
		Time time.Time `json:"time"`
	}
)

// encode turns one of the above into JSON. Nothing in them could fail to have
// any.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// parse returns the request in m, with the name trimmed. The errors are for the
// people who write clients: each is the reason of a close.
func parse(m websocket.Message) (request, error) {
	var req request
	if m.Type != websocket.Text {
		return req, errors.New("a binary message, want text")
	}
	if err := json.Unmarshal(m.Data, &req); err != nil {
		return req, errors.New(`bad JSON, want an object with "type", and "name" or "text"`)
	}
	switch req.Type {
	case "join":
		req.Name = strings.TrimSpace(req.Name)
		if strings.ContainsFunc(req.Name, unicode.IsControl) {
			return req, errors.New("a control character in the name")
		}
		if strings.TrimFunc(req.Name, unseen) == "" {
			req.Name = ""
		}
		return req, checkLength("name", req.Name, maxName)
	case "say":
		return req, checkLength("text", req.Text, maxText)
	}
	return req, errors.New(`unknown type, want "join" or "say"`)
}

func checkLength(what, s string, limit int) error {
	if strings.TrimSpace(s) == "" {
		return fmt.Errorf("the %s is empty", what)
	}
	if n := utf8.RuneCountInString(s); n > limit {
		return fmt.Errorf("the %s has %d characters, at most %d are allowed", what, n, limit)
	}
	return nil
}

// unseen reports whether r takes no room, as a zero width space. A name of
// nothing else is none, whereas between others it may belong there, as in an
// emoji that is made of several.
func unseen(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) }
