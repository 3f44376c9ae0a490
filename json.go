package websocket

import (
	"context"
	"encoding/json"
	"fmt"
)

// ReadJSON reads the next message, of either type, and decodes it as JSON. When
// it is none, or does not fit T, the error wraps that of encoding/json; the
// message is gone then and the connection as it was.
func ReadJSON[T any](ctx context.Context, c *Conn) (T, error) {
	var v T
	_, data, err := c.Read(ctx)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(data, &v); err != nil {
		var zero T
		return zero, fmt.Errorf("websocket: message is not the JSON expected: %w", err)
	}
	return v, nil
}

// WriteJSON sends v in JSON as a text message. When v has no JSON, the error
// wraps that of encoding/json and nothing is sent.
func WriteJSON(ctx context.Context, c *Conn, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("websocket: message has no JSON: %w", err)
	}
	return c.Write(ctx, Text, data)
}
