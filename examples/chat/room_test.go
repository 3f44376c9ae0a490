package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/airlock-go/websocket/internal/wstest"
)

// anything is a message of the server, of whichever type.
type anything struct {
	Type, Name, Text, Time string
	ID                     int
	People                 []string
	Messages               []anything
}

func decode(t *testing.T, b []byte) anything {
	t.Helper()
	var m anything
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return m
}

// newMember returns somebody who has not joined, and the client that gets what is
// sent to him.
func newMember(t *testing.T) (*member, *client) {
	t.Helper()
	conn, peer := wstest.Memory(t, nil)
	return &member{conn: conn}, &client{peer, t}
}

// joined returns somebody in r who has been welcomed.
func joined(t *testing.T, r *room, name string) (*member, *client) {
	t.Helper()
	m, c := newMember(t)
	r.join(m, name)
	c.next("welcome")
	return m, c
}

// expectPeople reads who is here.
func (c *client) expectPeople(names ...string) {
	c.t.Helper()
	if m := c.next("people"); !slices.Equal(m.People, names) {
		c.t.Errorf("got %+v, want people %q", m, names)
	}
}

// expectSaid reads a message.
func (c *client) expectSaid(text string) {
	c.t.Helper()
	if m := c.next("message"); m.Text != text {
		c.t.Errorf("got %+v, want %q", m, text)
	}
}

// TestWelcome: who joins gets the welcome and nothing before it, the others are told.
func TestWelcome(t *testing.T) {
	var r room
	ann, annSees := newMember(t)
	r.join(ann, "Ann")
	annSees.ExpectText(`{"type":"welcome","name":"Ann","people":["Ann"],"messages":[]}`)
	r.say(ann, "<hello>")
	_, said, err := annSees.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}

	bob, bobSees := newMember(t)
	r.join(bob, "Bob")
	bobSees.ExpectText(`{"type":"welcome","name":"Bob","people":["Ann","Bob"],"messages":[` + string(said) + `]}`)
	annSees.expectPeople("Ann", "Bob")

	r.leave(ann)
	bobSees.expectPeople("Bob")
	r.say(bob, "alone")
	bobSees.expectSaid("alone")
	r.join(ann, "Ann")
	if m := annSees.next("welcome"); len(m.Messages) != 2 {
		t.Errorf("back again, Ann got %+v", m)
	}
}

func TestLeaveBeforeJoin(t *testing.T) {
	var r room
	ann, annSees := joined(t, &r, "Ann")
	stranger, _ := newMember(t)
	r.leave(stranger)
	r.say(ann, "alone")
	annSees.expectSaid("alone")
}

func TestUniqueNames(t *testing.T) {
	long := strings.Repeat("ü", maxName)
	var r room
	for _, tt := range []struct{ name, want string }{
		{"Ann", "Ann"},
		{"Ann", "Ann 2"},
		{"Ann", "Ann 3"},
		{"Bob", "Bob"},
		{"Ann 2", "Ann 2 2"},
		{long, long},
		{long, long[:2*(maxName-2)] + " 2"},
	} {
		if m, _ := joined(t, &r, tt.name); m.name != tt.want {
			t.Errorf("%s became %s, want %s", tt.name, m.name, tt.want)
		}
	}
	r.leave(r.members[1])
	if m, _ := joined(t, &r, "Ann"); m.name != "Ann 2" {
		t.Errorf("after Ann 2 had left, Ann became %s", m.name)
	}
}

func TestHistory(t *testing.T) {
	var r room
	ann, _ := joined(t, &r, "Ann")
	for i := range historySize + 7 {
		r.say(ann, fmt.Sprint(i))
	}
	bob, bobSees := newMember(t)
	r.join(bob, "Bob")
	messages := bobSees.next("welcome").Messages
	if len(messages) != historySize {
		t.Fatalf("%d messages", len(messages))
	}
	for i, m := range messages {
		if m.Type != "message" || m.Name != "Ann" || m.Text != fmt.Sprint(i+7) || m.ID != i+8 {
			t.Errorf("message %d is %+v", i, m)
		}
	}
}

// TestOrder: whoever joins in the middle has everything from some message of
// the history on, in the order of the ids.
func TestOrder(t *testing.T) {
	const talkers, texts = 4, 20
	var r room
	var all sync.WaitGroup
	var clients []*client
	for i := range talkers {
		talker, talkerSees := newMember(t)
		listener, listenerSees := newMember(t)
		clients = append(clients, talkerSees, listenerSees)
		all.Go(func() {
			r.join(talker, fmt.Sprint("talker ", i))
			for n := range texts {
				r.say(talker, fmt.Sprint(n))
			}
			r.join(listener, fmt.Sprint("listener ", i))
		})
	}
	all.Wait()
	for _, c := range clients {
		welcome := c.next("welcome")
		last := 0
		if len(welcome.Messages) > 0 {
			last = welcome.Messages[0].ID - 1
		}
		follow := func(m anything) {
			if m.ID != last+1 {
				t.Errorf("%s got message %d after %d", welcome.Name, m.ID, last)
			}
			last = m.ID
		}
		for _, m := range welcome.Messages {
			follow(m)
		}
		for last < talkers*texts {
			if m := c.next("message", "people"); m.Type == "message" {
				follow(m)
			}
		}
	}
}
