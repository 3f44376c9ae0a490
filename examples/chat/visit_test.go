package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/internal/wstest"
)

// enter joins r over a connection that holds size bytes each way, in the bubble
// of the test. over is closed when the visit has ended, at the latest with
// server.
func enter(server context.Context, t *testing.T, r *room, name string, size int) (c *client, over chan struct{}) {
	t.Helper()
	conn, peer := wstest.MemorySize(t, nil, size)
	over = make(chan struct{})
	go func() {
		defer close(over)
		r.visit(server, conn)
	}()
	c = &client{peer, t}
	c.SendText(fmt.Sprintf(`{"type":"join","name":%q}`, name))
	c.next("welcome")
	return c, over
}

// TestSlowMember: somebody who does not read costs the others no time, and is
// let go when the queue is full. One who reads at last hears why.
func TestSlowMember(t *testing.T) {
	t.Run("reads at last", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := new(room)
			slow, over := enter(t.Context(), t, r, "Slow", 4<<10)
			said := overfill(t, r)
			expectBacklog(t, slow, said)
			<-over
		})
	})
	t.Run("never reads", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := new(room)
			_, over := enter(t.Context(), t, r, "Slow", 4<<10)
			overfill(t, r)
			begin := time.Now()
			<-over
			if spent := time.Since(begin); spent > 10*time.Second {
				t.Errorf("the connection ended %v later", spent)
			}
		})
	})
}

// overfill has three people talk until Slow has been let go, with no time
// passing. It returns how much they said.
func overfill(t *testing.T, r *room) (said int) {
	t.Helper()
	begin := time.Now()
	var talkers []*client
	for _, name := range []string{"Ann", "Bob", "Cleo"} {
		c, _ := enter(t.Context(), t, r, name, 64<<10)
		for _, talker := range talkers {
			talker.next("people")
		}
		talkers = append(talkers, c)
	}
	text := strings.Repeat("x", maxText)
	for gone := false; !gone; {
		if said == len(talkers)*(burst-1) {
			t.Fatalf("after %d messages, Slow is still here", said)
		}
		talkers[said%len(talkers)].say(text)
		said++
		for _, talker := range talkers {
			if m := talker.next("message"); m.ID != said {
				t.Fatalf("got message %d in place of %d", m.ID, said)
			}
		}
		synctest.Wait()
		r.mu.Lock()
		gone = len(r.members) == len(talkers)
		r.mu.Unlock()
	}
	for _, talker := range talkers {
		if m := talker.next("people"); fmt.Sprint(m.People) != "[Ann Bob Cleo]" {
			t.Errorf("got %+v", m)
		}
	}
	if spent := time.Since(begin); spent != 0 {
		t.Errorf("the others were delayed by %v", spent)
	}
	return said
}

// expectBacklog reads the messages that were sent before slow was let go, and
// the reason for it.
func expectBacklog(t *testing.T, slow *client, said int) {
	t.Helper()
	for id := 1; ; {
		h, payload, err := slow.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if h.Opcode.String() == "text" {
			m := decode(t, payload)
			if m.Type == "message" && (m.ID != id || id >= said) {
				t.Fatalf("got message %d in place of %d, of %d", m.ID, id, said)
			}
			if m.Type == "message" {
				id++
			}
			continue
		}
		if want := wstest.ClosePayload(1013, "too slow: the messages for you do not fit the queue any more"); !bytes.Equal(payload, want) {
			t.Errorf("got %v %q", h, payload)
		}
		slow.SendClose(1013, "")
		slow.ExpectEOF()
		return
	}
}

// TestPace: who says a lot at once is heard at once, and who goes on is slowed
// down.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const more = 25
		ann, _ := enter(t.Context(), t, new(room), "Ann", 64<<10)
		begin := time.Now()
		for n := range burst + more {
			ann.say(fmt.Sprint(n))
		}
		for n := range burst + more {
			if m := ann.next("message"); m.Text != fmt.Sprint(n) {
				t.Fatalf("got %q in place of %d", m.Text, n)
			}
			want := time.Duration(max(0, n+1-burst)) * interval // joining counts, too
			if spent := time.Since(begin); spent != want {
				t.Errorf("message %d came after %v, want %v", n, spent, want)
			}
		}
	})
}

// TestServerEnds: the clients are told what the server gives as the cause, and
// not one after the other that all the others are leaving.
func TestServerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(room)
		bob := joined(t, r, "Bob")
		server, end := context.WithCancelCause(t.Context())
		ann, over := enter(server, t, r, "Ann", 64<<10)
		expectPeople(t, bob, "Bob", "Ann")
		end(verdict(websocket.CloseGoingAway, "enough for today"))
		ann.expectEnd(1001, "enough for today")
		<-over
		if got := queued(t, bob); got != nil {
			t.Errorf("Bob got %+v", got)
		}
	})
}
