package websocket

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/airlock-go/websocket/internal/proto"
)

// TestLimitsTable: the limits in docs/security.md are those of the code.
func TestLimitsTable(t *testing.T) {
	text, err := os.ReadFile("docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ limit, value string }{
		{"size of a message from the peer, decompressed", fmt.Sprintf("%d MiB", defaultMaxMessageSize>>20)},
		{"frames in such a message", fmt.Sprintf("%d,%03d", proto.MaxFrames/1000, proto.MaxFrames%1000)},
		{"time for such a message, of waiting", fmt.Sprintf("%.0f s and 1 s for each %d bytes", 2*defaultKeepAlive.Seconds(), slowestRate)},
		{"silence before a ping, and after it", fmt.Sprintf("%.0f s each", defaultKeepAlive.Seconds())},
		{"a write without progress", fmt.Sprintf("%.0f s", defaultWriteTimeout.Seconds())},
		{"the closing handshake", fmt.Sprintf("%.0f s", closeTimeout.Seconds())},
		{"replies owed to a peer that does not read", fmt.Sprintf("%d KiB", maxOwed>>10)},
		{"messages of `TrySend` that a peer has not taken", fmt.Sprintf("%d KiB", defaultSendQueue>>10)},
		{"a handshake that waits for a place, if it may", fmt.Sprintf("%.0f s", defaultWait.Seconds())},
		{"windows kept by a connection that compresses", fmt.Sprintf("%d KiB each", 1<<defaultWindowBits>>10)},
	} {
		if line := "| " + row.limit + " | " + row.value + " |"; !strings.Contains(string(text), line) {
			t.Errorf("docs/security.md does not have %q", line)
		}
	}
}
