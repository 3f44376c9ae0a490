package interop

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// deflateMessage is a message that clients send to be compressed.
type deflateMessage struct {
	message
	fragmented bool
	dense      bool // nothing makes it smaller
}

// deflateMessages are what is exchanged: the first fewMessages with everybody,
// the others not every time, as they are large.
var deflateMessages, fewMessages = func() (all []deflateMessage, few int) {
	r := rand.New(rand.NewPCG(7, 6))
	random := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return string(b)
	}
	add := func(m deflateMessage) { all = append(all, m) }
	text := func(s string) { add(deflateMessage{message: message{false, s}}) }
	binary := func(s string) { add(deflateMessage{message: message{true, s}}) }

	twice := events(r, 1300)
	text(twice)
	text(twice)
	for n := range 8 {
		text(events(r, 100+200*n))
	}
	text("")
	binary("")
	text("é")
	binary(strings.Repeat("x", 127))
	binary(strings.Repeat("x", 128))
	add(deflateMessage{message: message{true, random(500)}, dense: true})
	add(deflateMessage{message: message{false, events(r, 9000)}, fragmented: true})
	few = len(all)

	for range 20 {
		text(events(r, 100+r.IntN(2000)))
		binary(events(r, 100+r.IntN(2000)))
	}
	add(deflateMessage{message: message{true, random(64 << 10)}, dense: true})
	add(deflateMessage{message: message{true, random(16 << 10)}, dense: true, fragmented: true})
	text(strings.Repeat(events(r, 30_000), 10))
	binary(strings.Repeat(random(100), 300))
	add(deflateMessage{message: message{true, events(r, 30_000)}, fragmented: true})
	text("")
	text(twice)
	return all, few
}()

// events returns what an application may send: JSON of at least n bytes, with
// much in common with any other.
func events(r *rand.Rand, n int) string {
	people := []string{"Ann", "Ben", "Søren", "Ольга", "美咲"}
	var b strings.Builder
	b.WriteByte('[')
	for b.Len() < n {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"type":"moved","id":%d,"by":%q,"at":"2026-03-%02dT%02d:%02d:00Z","position":[%d,%d]}`,
			r.IntN(1e6), people[r.IntN(len(people))], 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(2000), r.IntN(2000))
	}
	return b.String() + "]"
}

// checkServer looks at how the server has sent the messages. keeps is the window
// that it may refer to in the next, in bits.
func checkServer(got []wireMessage, n, keeps int) error {
	const threshold = 128
	if len(got) != n {
		return fmt.Errorf("%d messages, want %d", len(got), n)
	}
	for i, m := range deflateMessages[:n] {
		w, want := got[i], !m.dense && len(m.data) >= threshold
		switch {
		case w.frames != 1:
			return fmt.Errorf("message %d, %v, is in %d frames", i, m, w.frames)
		case w.compressed != want:
			return fmt.Errorf("message %d, %v: compressed: %t", i, m, w.compressed)
		case w.compressed && w.size >= len(m.data):
			return fmt.Errorf("message %d, %v, is %d bytes when compressed", i, m, w.size)
		}
	}
	return checkTwice(got, keeps)
}

// checkClient does so with those of the client. Clients differ in when they
// compress, but not with these.
func checkClient(got []wireMessage, n, keeps int) error {
	const threshold = 1024
	if len(got) != n {
		return fmt.Errorf("%d messages, want %d", len(got), n)
	}
	for i, m := range deflateMessages[:n] {
		if w := got[i]; !m.dense && len(m.data) >= threshold && (!w.compressed || w.size >= len(m.data)) {
			return fmt.Errorf("message %d, %v, is %d bytes; compressed: %t", i, m, w.size, w.compressed)
		}
	}
	return checkTwice(got, keeps)
}

// checkTwice: the first two messages are the same. The second is almost nothing
// where it refers to the first, and has the same size where it must not. With
// small windows it can refer to a part.
func checkTwice(got []wireMessage, keeps int) error {
	first, second := got[0].size, got[1].size
	switch {
	case keeps == 0 && first != second:
		return fmt.Errorf("the same message has %d bytes, and the next time %d, without context takeover", first, second)
	case keeps > 10 && second > first/4:
		return fmt.Errorf("the same message has %d bytes, and the next time %d, with context takeover", first, second)
	}
	return nil
}
