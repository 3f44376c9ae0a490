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

// visit joins r over a connection that holds size bytes each way, in the bubble of
// the test, and does not read the welcome. over is closed when the visit has
// ended.
func visit(server context.Context, t *testing.T, r *room, name string, size int) (conn *websocket.Conn, c *client, over chan struct{}) {
	t.Helper()
	conn, peer := wstest.MemorySize(t, &websocket.Options{SendQueue: queueSize}, size)
	over = make(chan struct{})
	go func() {
		defer close(over)
		r.visit(server, conn)
	}()
	t.Cleanup(func() {
		peer.Close()
		<-over
	})
	c = &client{peer, t}
	c.SendText(fmt.Sprintf(`{"type":"join","name":%q}`, name))
	synctest.Wait()
	return conn, c, over
}

// enter is visit for somebody who reads the welcome.
func enter(t *testing.T, r *room, name string) *client {
	t.Helper()
	_, c, _ := visit(t.Context(), t, r, name, 64<<10)
	c.next("welcome")
	return c
}

// TestSlowMember: somebody who does not read costs the others no time, and is
// let go when the queue is full. One who reads at last hears why.
func TestSlowMember(t *testing.T) {
	t.Run("reads at last", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := new(room)
			_, slow, over := visit(t.Context(), t, r, "Slow", 4<<10)
			talkers, said := overfill(t, r)
			expectBacklog(t, slow, said)
			<-over
			talkers[0].say("good riddance")
			talkers[0].expectSaid("good riddance") // and not once more that Slow has left
		})
	})
	t.Run("never reads", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := new(room)
			_, _, over := visit(t.Context(), t, r, "Slow", 4<<10)
			overfill(t, r)
			begin := time.Now()
			<-over
			if spent := time.Since(begin); spent > 10*time.Second {
				t.Errorf("the connection ended %v later", spent)
			}
		})
	})
}

// longest is the longest text: JSON has six bytes for each of these.
var longest = strings.Repeat("<", maxText)

// overfill has three people talk until Slow has been let go, with no time
// passing. It returns them, and how much they said.
func overfill(t *testing.T, r *room) (talkers []*client, said int) {
	t.Helper()
	begin := time.Now()
	for _, name := range []string{"Ann", "Bob", "Cleo"} {
		c := enter(t, r, name)
		for _, talker := range talkers {
			talker.next("people")
		}
		talkers = append(talkers, c)
	}
	for gone := false; !gone; {
		if said == len(talkers)*(burst-1) {
			t.Fatalf("after %d messages, Slow is still here", said)
		}
		talkers[said%len(talkers)].say(longest)
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
		talker.expectPeople("Ann", "Bob", "Cleo")
	}
	if spent := time.Since(begin); spent != 0 {
		t.Errorf("the others were delayed by %v", spent)
	}
	return talkers, said
}

// expectBacklog reads all messages but the last, for which the queue had no room,
// and the reason for the end.
func expectBacklog(t *testing.T, slow *client, said int) {
	t.Helper()
	for id := 1; ; {
		h, payload, err := slow.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if h.Opcode.String() == "text" {
			m := decode(t, payload)
			if m.Type == "message" && m.ID != id {
				t.Fatalf("got message %d in place of %d, of %d", m.ID, id, said)
			}
			if m.Type == "message" {
				id++
			}
			continue
		}
		if want := wstest.ClosePayload(1013, "too slow: the messages for you do not fit the queue any more"); !bytes.Equal(payload, want) || id != said {
			t.Errorf("after %d messages of %d, got %v %q", id-1, said, h, payload)
		}
		slow.SendClose(1013, "")
		slow.ExpectEOF()
		return
	}
}

// TestSlowWelcome: somebody to whom the longest welcome is still on its way is not
// let go over what is said meanwhile.
func TestSlowWelcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const meanwhile = 25
		r := new(room)
		ann := enter(t, r, "Ann")
		for range historySize {
			ann.say(longest)
			ann.expectSaid(longest)
		}
		_, slow, _ := visit(t.Context(), t, r, "Slow", 4<<10)
		ann.expectPeople("Ann", "Slow")
		for range meanwhile {
			ann.say(longest)
			ann.expectSaid(longest)
		}
		if m := slow.next("welcome"); len(m.Messages) != historySize {
			t.Errorf("the welcome has %d messages", len(m.Messages))
		}
		for range meanwhile {
			slow.expectSaid(longest)
		}
	})
}

// TestPace: who says a lot at once is heard at once, and who goes on is slowed
// down.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const more = 25
		ann := enter(t, new(room), "Ann")
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

// TestServerEnds: those whose turn to be closed comes last are not told one after
// the other that all the others are leaving.
func TestServerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(room)
		bob := enter(t, r, "Bob")
		server, end := context.WithCancel(t.Context())
		conn, ann, over := visit(server, t, r, "Ann", 64<<10)
		ann.next("welcome")
		bob.expectPeople("Bob", "Ann")
		end()
		go conn.Close(t.Context(), websocket.CloseGoingAway, "enough for today")
		ann.expectEnd(1001, "enough for today")
		<-over
		bob.say("anybody here?")
		bob.expectSaid("anybody here?")
	})
}
