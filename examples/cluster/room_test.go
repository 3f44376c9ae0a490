package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/airlock-go/websocket"
)

// newMember returns somebody who has not joined, and the client that gets what is sent
// to it.
func newMember(t *testing.T) (*member, *client) {
	t.Helper()
	conns := make(chan *websocket.Conn, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Upgrade(w, r, &websocket.Options{SendQueue: queueSize})
		if err != nil {
			t.Error(err)
		}
		conns <- conn
	}))
	t.Cleanup(s.Close)
	c := connectTo(t, s.Listener.Addr().String())
	conn := <-conns
	t.Cleanup(func() { conn.CloseNow() })
	conn.CloseRead(t.Context())
	return &member{conn: conn}, c
}

// fill adds messages, and returns the number of the next.
func fill(r *room, from uint64, n int) uint64 {
	for range n {
		r.add(from, said{Text: fmt.Sprint(from)})
		from++
	}
	return from
}

// expectSeq reads the messages from one number to another.
func (c *client) expectSeq(t *testing.T, from, to uint64) {
	t.Helper()
	for ; from <= to; from++ {
		if m := c.expect(t, "message"); m.Seq != from || m.Text != fmt.Sprint(from) {
			t.Fatalf("got %+v in place of message %d", m, from)
		}
	}
}

// TestCatchUp: whoever comes while others talk gets everything once, in order.
func TestCatchUp(t *testing.T) {
	const before, during = 300, 300
	var r room
	next := fill(&r, 1, before)
	var all sync.WaitGroup
	for i := range 4 {
		m, c := newMember(t)
		m.seen = uint64(i * 100)
		all.Go(func() {
			if err := r.catchUp(t.Context(), m); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() { c.expectSeq(t, uint64(i*100)+1, before+during) })
	}
	all.Go(func() { fill(&r, next, during) })
	all.Wait()
}

// TestAhead: a member that has seen more than this node gets none of it again.
func TestAhead(t *testing.T) {
	var r room
	fill(&r, 1, 10)
	m, c := newMember(t)
	after := uint64(15)
	m.seen = r.begin(&after)
	r.catchUp(t.Context(), m)
	fill(&r, 11, 10)
	c.expectSeq(t, 16, 20)
}

// TestHistory: the room keeps the end of the stream, however much of it this node has
// seen.
func TestHistory(t *testing.T) {
	zero, old := uint64(0), uint64(100)
	for _, tt := range []struct {
		name        string
		from        uint64
		n           int
		after       *uint64
		begin       uint64
		first, last uint64
	}{
		{"empty", 1, 0, nil, 0, 1, 0},
		{"a few", 1, 3, nil, 0, 1, 3},
		{"many", 1, 100, nil, 100 - welcomeSize, 101 - welcomeSize, 100},
		{"many, all of them", 1, 100, &zero, 0, 1, 100},
		{"too many, all of them", 1, historySize + 30, &zero, 30, 31, historySize + 30},
		{"the end of a stream", 501, 3, nil, 500, 501, 503},
		{"the end of a stream, away for long", 501, 3, &old, 500, 501, 503},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r room
			fill(&r, tt.from, tt.n)
			m, c := newMember(t)
			if m.seen = r.begin(tt.after); m.seen != tt.begin {
				t.Errorf("begins after %d, want %d", m.seen, tt.begin)
			}
			go r.catchUp(t.Context(), m)
			c.expectSeq(t, tt.first, tt.last)
		})
	}
}

// TestTooSlow: the others do not wait for somebody who does not read. It is let go, and
// comes back for the rest.
func TestTooSlow(t *testing.T) {
	text := strings.Repeat("x", maxText)
	var r room
	slow, c := newMember(t)
	r.catchUp(t.Context(), slow)
	sent := uint64(0)
	for ctx := bounded(t); len(r.names()) > 0; {
		if ctx.Err() != nil {
			t.Fatal("it may be behind for ever")
		}
		sent++
		r.add(sent, said{Text: text})
	}
	got := uint64(0)
	for {
		m, err := c.next()
		if err != nil {
			if want := (&closed{1013, errTooSlow.Error()}); err.Error() != want.Error() {
				t.Errorf("%v, want %v", err, want)
			}
			break
		}
		if got++; m.Seq != got {
			t.Fatalf("got %d in place of %d", m.Seq, got)
		}
	}
	if got >= sent {
		t.Errorf("got %d messages of %d", got, sent)
	}

	// One whose place in the stream is not kept any more cannot catch up.
	fill(&r, sent+1, historySize+1)
	if err := r.catchUp(t.Context(), slow); err != errTooSlow {
		t.Errorf("catchUp: %v", err)
	}
}

func TestPeople(t *testing.T) {
	var p presence
	now := time.Now()
	expect := func(at time.Duration, want ...person) {
		t.Helper()
		if got := p.list(now.Add(at)); !slices.Equal(got, want) {
			t.Errorf("after %v: %v, want %v", at, got, want)
		}
	}
	expect(0)
	p.hear(report{"b", []string{"Eve", "Ann"}}, now)
	p.hear(report{"a", []string{"Bob", "Ann"}}, now.Add(beat))
	expect(beat, person{"Ann", "a"}, person{"Ann", "b"}, person{"Bob", "a"}, person{"Eve", "b"})
	expect(silence+beat/2, person{"Ann", "a"}, person{"Bob", "a"})
	p.hear(report{"a", nil}, now.Add(silence+beat/2))
	expect(silence + beat/2)
}
