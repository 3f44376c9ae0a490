package interop

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestChat has two windows talk to each other, directly and through proxies.
func TestChat(t *testing.T) {
	t.Run("direct", func(t *testing.T) {
		t.Parallel()
		talk(t, startExample(t, "chat").url.String())
	})
	for _, proxy := range proxies {
		t.Run(proxy.name, func(t *testing.T) {
			t.Parallel()
			front := proxy.start(t, startExample(t, "chat").url.Host)
			talk(t, "http://"+front.ws+"/")
			talk(t, "https://"+front.wss+"/")
		})
	}
}

func talk(t *testing.T, rawURL string) {
	ann, ben := joinChat(t, rawURL, "Ann"), joinChat(t, rawURL, "Ben")
	people := []string{"Ann", "Ben"}
	ann.until(areHere(people...))
	ben.until(areHere(people...))
	say(ann, "hello", ann, ben)
	say(ben, "<b>Grüße</b> & 世界", ann, ben)
	ann.picture("chat")
	ann.fits("chat")
	ann.quiet()

	ben.close() // his people are told
	ann.until(areHere("Ann"))
	ann.close()
}

// TestChatHTTP2: pages that came over HTTP/2 chat over it, and over HTTP/1.1 if that is
// all that is offered to them.
func TestChatHTTP2(t *testing.T) {
	for godebug, protocol := range map[string]string{
		withConnect:       "HTTP/2.0",
		"http2xconnect=0": "HTTP/1.1",
	} {
		t.Run(godebug, func(t *testing.T) {
			t.Parallel()
			server := startExampleWith(t, []string{"GODEBUG=" + godebug}, "chat", "-tls")
			talk(t, server.url.String())
			server.signal(syscall.SIGINT)
			if err := server.wait(); err != nil {
				t.Errorf("the server ended with %v", err)
			}
			ended := regexp.MustCompile(`: (HTTP/\S+): `).FindAllStringSubmatch(server.output.String(), -1)
			if len(ended) != 2 || ended[0][1] != protocol || ended[1][1] != protocol {
				t.Errorf("connections have ended over %q, want two over %s", ended, protocol)
			}
		})
	}
}

// joinChat opens the page in a new tab and joins.
func joinChat(t *testing.T, rawURL, name string) *page {
	t.Helper()
	p := openPage(t, rawURL+"?name="+name)
	p.until(state("open"))
	p.picture("join")
	p.fits("join")
	p.typeInto("name", "\r")
	p.until(`document.querySelector("#join").hidden`)
	return p
}

// say has a page say something, and waits until others show it as its words.
func say(from *page, text string, to ...*page) {
	from.Helper()
	from.typeInto("text", text)
	from.click("send")
	for _, p := range to {
		p.until(`[...document.querySelectorAll("#messages .message .text")].at(-1)?.textContent === ` + quote(text))
	}
}

// areHere is the condition that the list of people has these names.
func areHere(names ...string) string {
	slices.Sort(names)
	want, _ := json.Marshal(names) // never fails for strings
	return `JSON.stringify([...document.querySelectorAll("#people li")].map(li => li.textContent).sort()) === ` + quote(string(want))
}

// TestChatRestart: the pages are told that the server ends, come back by
// themselves, and lose nothing that is being typed.
func TestChatRestart(t *testing.T) {
	t.Parallel()
	addr := freeAddr(t)
	server := startExample(t, "chat", "-addr", addr)
	ann, ben := joinChat(t, "http://"+addr+"/", "Ann"), joinChat(t, "http://"+addr+"/", "Ben")
	say(ann, "before", ann, ben)
	ann.typeInto("text", "half a sent")
	server.signal(syscall.SIGINT)
	for _, p := range []*page{ann, ben} {
		p.until(state("waiting", "1001", "the server is shutting down"))
		p.picture("away")
		p.fits("away")
	}
	server.wait()
	startExample(t, "chat", "-addr", addr)
	for _, p := range []*page{ann, ben} {
		p.until(state("open"))
		p.until(areHere("Ann", "Ben"))
	}
	ann.typeInto("text", "ence\r")
	ben.until(includes(`[...document.querySelectorAll("#messages .message .text")].at(-1).textContent`, "half a sentence"))
	say(ben, "after", ann, ben)
	for _, p := range []*page{ann, ben} {
		p.quiet("WebSocket connection to ") // failed, while there was no server
	}
}

// TestChatImpatient: who sends the form twice before the answer comes has joined
// once, and is not thrown out.
func TestChatImpatient(t *testing.T) {
	t.Parallel()
	ann := openPage(t, startExample(t, "chat").url.String()+"?name=Ann")
	ann.until(state("open"))
	evaluate[bool](ann, `(() => {
		document.querySelector("#join").requestSubmit();
		document.querySelector("#join").requestSubmit();
		return true;
	})()`)
	ann.until(areHere("Ann"))
	say(ann, "hello", ann)
	ann.quiet()
}

// TestChatClient has a client that is no browser join beside one that is, over
// the subprotocol as it is documented.
func TestChatClient(t *testing.T) {
	t.Parallel()
	server := startExample(t, "chat")
	ann := joinChat(t, server.url.String(), "Ann")
	say(ann, "is anybody there?", ann)

	s := &session{T: t, dialer: dialGorilla, client: &clients[0], url: "ws://" + server.url.Host + "/ws"}
	s.expectRefusal(target{}, 501)
	c := &chatter{s, s.dial(target{Subprotocols: []string{"chat.v1"}})}
	c.send(`{"type":"join","name":"Gorilla"}`)
	welcome := c.receive("welcome")
	slices.Sort(welcome.People)
	if welcome.Name != "Gorilla" || !slices.Equal(welcome.People, []string{"Ann", "Gorilla"}) {
		t.Errorf("welcome: %+v", welcome)
	}
	if n := len(welcome.Messages); n != 1 || welcome.Messages[0].Text != "is anybody there?" || welcome.Messages[0].Name != "Ann" {
		t.Errorf("welcome: messages %+v", welcome.Messages)
	}
	ann.until(areHere("Ann", "Gorilla"))

	c.send(`{"type":"say","text":"me"}`)
	ann.until(includes(`[...document.querySelectorAll("#messages .message")].at(-1).textContent`, "Gorilla", "me"))
	if m := c.receive("message"); m.Name != "Gorilla" || m.Text != "me" {
		t.Errorf("its own message: %+v", m)
	}
	say(ann, "oh", ann)
	if m := c.receive("message"); m.Name != "Ann" || m.Text != "oh" {
		t.Errorf("Ann's message: %+v", m)
	}
	ann.close()
	if m := c.receive("people"); !slices.Equal(m.People, []string{"Gorilla"}) {
		t.Errorf("after Ann has left: %+v", m)
	}
}

// chatter is a client of chat.v1.
type chatter struct {
	*session
	conn socket
}

// chatMessage is whatever the server of chat.v1 sends.
type chatMessage struct {
	Type, Name, Text string
	People           []string
	Messages         []chatMessage
}

func (c *chatter) send(json string) {
	c.Helper()
	c.session.send(c.conn, message{false, json}, false)
}

// receive returns the next message and expects it to be of a type.
func (c *chatter) receive(typ string) (m chatMessage) {
	c.Helper()
	got, err := c.conn.receive()
	if err != nil {
		c.Fatal(err)
	}
	if err := json.Unmarshal([]byte(got.data), &m); err != nil || m.Type != typ {
		c.Fatalf("received %v, want a message of type %s", strings.TrimSpace(got.data), typ)
	}
	return m
}
