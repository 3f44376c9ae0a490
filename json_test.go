package websocket_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/frame"
	"github.com/airlock-go/websocket/internal/wstest"
)

func TestJSON(t *testing.T) {
	type point struct{ X, Y int }
	c, p := wstest.Memory(t, nil)
	ctx := t.Context()

	p.SendText(`{"X":1,"Y":2}`)
	if got, err := websocket.ReadJSON[point](ctx, c); err != nil || got != (point{1, 2}) {
		t.Errorf("got %v, error %v", got, err)
	}
	p.SendFrame(frame.Binary, true, `[1]`)
	if got, err := websocket.ReadJSON[[]int](ctx, c); err != nil || len(got) != 1 {
		t.Errorf("a binary message: got %v, error %v", got, err)
	}
	p.SendText(`{"X":1,"Y":"two"}`)
	got, err := websocket.ReadJSON[point](ctx, c)
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); !ok || got != (point{}) {
		t.Errorf("what does not fit: got %v, error %v", got, err)
	}
	p.SendText(`{"X":1} trailing`)
	_, err = websocket.ReadJSON[point](ctx, c)
	if _, ok := errors.AsType[*json.SyntaxError](err); !ok {
		t.Errorf("what is no JSON: got error %v", err)
	}
	p.SendText(`null`)
	if got, err := websocket.ReadJSON[*point](ctx, c); err != nil || got != nil {
		t.Errorf("after bad messages: got %v, error %v", got, err)
	}

	if err := websocket.WriteJSON(ctx, c, point{3, 4}); err != nil {
		t.Fatal(err)
	}
	p.ExpectText(`{"X":3,"Y":4}`)
	err = websocket.WriteJSON(ctx, c, func() {})
	if _, ok := errors.AsType[*json.UnsupportedTypeError](err); !ok {
		t.Errorf("what has no JSON: got error %v", err)
	}
	c.CloseNow()
	if _, err := websocket.ReadJSON[point](ctx, c); err != c.Err() {
		t.Errorf("after the end: got %v", err)
	}
}
