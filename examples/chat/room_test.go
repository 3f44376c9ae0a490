package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/airlock-go/websocket"
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

// newMember returns somebody who has not joined. What ends the visit is put into
// ended.
func newMember() (m *member, ended *error) {
	ended = new(error)
	return &member{queue: make(chan []byte, queueSize), end: func(err error) { *ended = err }}, ended
}

// joined returns somebody in r whose queue is empty.
func joined(t *testing.T, r *room, name string) *member {
	t.Helper()
	m, _ := newMember()
	r.join(m, name)
	queued(t, m)
	return m
}

// queued takes all that is in the queue of m.
func queued(t *testing.T, m *member) (all []anything) {
	t.Helper()
	for {
		select {
		case b := <-m.queue:
			all = append(all, decode(t, b))
		default:
			return all
		}
	}
}

func expectPeople(t *testing.T, m *member, names ...string) {
	t.Helper()
	got := queued(t, m)
	if len(got) != 1 || got[0].Type != "people" || !slices.Equal(got[0].People, names) {
		t.Errorf("%s got %+v, want people %q", m.name, got, names)
	}
}

func TestWelcome(t *testing.T) {
	var r room
	ann, _ := newMember()
	r.join(ann, "Ann")
	if b := string(<-ann.queue); b != `{"type":"welcome","name":"Ann","people":["Ann"],"messages":[]}` {
		t.Errorf("got %s", b)
	}
	r.say(ann, "<hello>")
	said := <-ann.queue

	bob, _ := newMember()
	r.join(bob, "Bob")
	if b := string(<-bob.queue); b != `{"type":"welcome","name":"Bob","people":["Ann","Bob"],"messages":[`+string(said)+`]}` {
		t.Errorf("got %s", b)
	}
	expectPeople(t, ann, "Ann", "Bob")
	if rest := queued(t, bob); rest != nil {
		t.Errorf("Bob got %+v after the welcome", rest)
	}
	r.leave(ann)
	expectPeople(t, bob, "Bob")
	if rest := queued(t, ann); rest != nil {
		t.Errorf("Ann got %+v after leaving", rest)
	}
}

func TestLeaveBeforeJoin(t *testing.T) {
	var r room
	ann := joined(t, &r, "Ann")
	stranger, _ := newMember()
	r.leave(stranger)
	if got := queued(t, ann); got != nil {
		t.Errorf("Ann got %+v", got)
	}
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
		if m := joined(t, &r, tt.name); m.name != tt.want {
			t.Errorf("%s became %s, want %s", tt.name, m.name, tt.want)
		}
	}
	r.leave(r.members[1])
	if m := joined(t, &r, "Ann"); m.name != "Ann 2" {
		t.Errorf("after Ann 2 had left, Ann became %s", m.name)
	}
}

func TestHistory(t *testing.T) {
	var r room
	ann := joined(t, &r, "Ann")
	for i := range historySize + 7 {
		r.say(ann, fmt.Sprint(i))
	}
	bob, _ := newMember()
	r.join(bob, "Bob")
	messages := queued(t, bob)[0].Messages
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
	members := make(chan *member, 2*talkers)
	for i := range talkers {
		all.Go(func() {
			m, _ := newMember()
			r.join(m, fmt.Sprint("talker ", i))
			for n := range texts {
				r.say(m, fmt.Sprint(n))
			}
			members <- m
			listener, _ := newMember()
			r.join(listener, fmt.Sprint("listener ", i))
			members <- listener
		})
	}
	all.Wait()
	close(members)
	for m := range members {
		got := queued(t, m)
		if got[0].Type != "welcome" {
			t.Fatalf("%s got %+v first", m.name, got[0])
		}
		messages := got[0].Messages
		for _, g := range got[1:] {
			if g.Type == "message" {
				messages = append(messages, g)
			}
		}
		last := messages[len(messages)-1].ID
		for i, g := range messages {
			if want := last - len(messages) + 1 + i; g.ID != want {
				t.Errorf("%s got message %d in place of %d", m.name, g.ID, want)
			}
		}
		if last != talkers*texts {
			t.Errorf("the last message that %s got is %d", m.name, last)
		}
	}
}

func TestFullQueue(t *testing.T) {
	var r room
	ann := joined(t, &r, "Ann")
	slow, ended := newMember()
	r.join(slow, "Slow")
	queued(t, ann)
	for i := range queueSize - 1 { // the welcome is in the queue, too
		r.say(ann, fmt.Sprint(i))
		queued(t, ann)
	}
	if *ended != nil {
		t.Fatalf("ended with %v while the queue had room", *ended)
	}
	r.say(ann, "one too many")
	expectVerdict(t, *ended, websocket.CloseTryAgainLater, "too slow: the messages for you do not fit the queue any more")
	if got := queued(t, ann); len(got) != 1 || got[0].Text != "one too many" {
		t.Errorf("Ann got %+v", got)
	}
	queued(t, slow)
	r.say(ann, "for those who are here")
	if got := queued(t, slow); got != nil {
		t.Errorf("who was let go got %+v", got)
	}
	queued(t, ann)
	r.leave(slow)
	expectPeople(t, ann, "Ann")
}
