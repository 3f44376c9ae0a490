package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/airlock-go/websocket/internal/wstest"
)

// TestDeflate: against the other one that there is.
func TestDeflate(t *testing.T) {
	for _, answer := range []string{"permessage-deflate", "permessage-deflate; server_no_context_takeover", "permessage-deflate; server_max_window_bits=12"} {
		t.Run(answer, func(t *testing.T) {
			ours := newDeflater(answer)
			// It compresses as a client, so its parameters are those of this client.
			theirs, err := wstest.NewDeflate(strings.Replace(answer, "server_", "client_", 1))
			if err != nil {
				t.Fatal(err)
			}
			for n := range uint64(20) {
				want := note{echo, 1, n}.bytes(int(n) * 900)
				if got, err := ours.decompress(theirs.Pack(want)); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("message %d: got %d bytes, %v, want %d", n, len(got), err, len(want))
				}
				packed, err := compress(want)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := wstest.Inflate(packed, nil); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("compressed message %d: got %d bytes, %v, want %d", n, len(got), err, len(want))
				}
			}
		})
	}
}
