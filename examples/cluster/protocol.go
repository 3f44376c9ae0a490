package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/airlock-go/websocket"
)

// The limits of the subprotocol cluster.v1, in characters, and what they come to in
// bytes where JSON escapes every one: \ud83d\ude00.
const (
	maxName        = 32
	maxText        = 2000
	maxMessageSize = 32 << 10
)

// request is what a client sends.
//
//	{"type":"join","name":"Ann"}
//
// comes first; who was here before adds how far it got, "stream" from the welcome and
// as "after" the last number it has seen, and goes on from there. Then come any
// number of
//
//	{"type":"say","id":"kX2…","text":"hello"}
//
// with a new random id for each. A say without an ack may be sent again, over any
// node and any number of times: it is said once.
type request struct {
	Type   string  `json:"type"`
	Name   string  `json:"name"`
	Stream string  `json:"stream"`
	After  *uint64 `json:"after"`
	ID     string  `json:"id"`
	Text   string  `json:"text"`
}

// said is a message in the stream. Its id is random and known to nobody before it is
// there, so that nobody can take it from its owner.
type said struct {
	ID   string    `json:"id"`
	Name string    `json:"name"`
	Text string    `json:"text"`
	Time time.Time `json:"time"`
}

// The messages of a node: welcome to who joins, then the messages since, in order,
// each once; people when somebody comes or goes, and now and then as a sign of life;
// and ack to who has said something, when it is safe.
type (
	welcome struct {
		Type   string `json:"type"`
		Node   string `json:"node"`
		Stream string `json:"stream"` // tells this stream from one before it
		After  uint64 `json:"after"`  // the number after which the messages begin
	}
	message struct {
		Type string `json:"type"`
		Seq  uint64 `json:"seq"`
		said
	}
	people struct {
		Type   string   `json:"type"`
		People []person `json:"people"`
	}
	person struct {
		Name string `json:"name"`
		Node string `json:"node"`
	}
	ack struct {
		Type string `json:"type"`
		ID   string `json:"id"`
		Seq  uint64 `json:"seq"`
	}
)

// encode turns one of the above into JSON. Nothing in them could fail to have any.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// prepare is encode for what many get.
func prepare(v any) *websocket.PreparedMessage {
	msg, err := websocket.NewPreparedMessage(websocket.Text, encode(v))
	if err != nil {
		panic(err) // JSON is UTF-8
	}
	return msg
}

var validID = regexp.MustCompile(`^[0-9A-Za-z_-]{16,64}$`)

// parse returns the request in m. The errors are for the people who write clients:
// each is the reason of a close.
func parse(m websocket.Message) (request, error) {
	var req request
	if m.Type != websocket.Text {
		return req, errors.New("a binary message, want text")
	}
	if err := json.Unmarshal(m.Data, &req); err != nil {
		return req, errors.New("bad JSON, or a field of the wrong type")
	}
	req.Name = strings.TrimSpace(req.Name)
	switch {
	case req.Type == "join" && strings.ContainsFunc(req.Name, unicode.IsControl):
		return req, errors.New("a control character in the name")
	case req.Type == "join":
		return req, checkLength("name", req.Name, maxName)
	case req.Type == "say" && !validID.MatchString(req.ID):
		return req, errors.New("the id is not 16 to 64 letters, digits, - and _")
	case req.Type == "say":
		return req, checkLength("text", req.Text, maxText)
	}
	return req, errors.New(`unknown type, want "join" or "say"`)
}

func checkLength(what, s string, limit int) error {
	// What cannot be seen makes no name, and no text.
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsSpace(r) && !unicode.Is(unicode.Cf, r) }) {
		return fmt.Errorf("the %s is empty", what)
	}
	if n := utf8.RuneCountInString(s); n > limit {
		return fmt.Errorf("the %s has %d characters, at most %d are allowed", what, n, limit)
	}
	return nil
}
