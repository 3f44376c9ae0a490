package interop

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// TestPage uses the page of the echo example, directly and through proxies.
func TestPage(t *testing.T) {
	t.Run("direct", func(t *testing.T) {
		t.Parallel()
		server := startExample(t, "echo", speaks...)
		usePage(t, server, pageURL(server.url.String()))
	})
	t.Run("direct TLS", func(t *testing.T) {
		t.Parallel()
		server := startExample(t, "echo", append(speaks, "-tls")...)
		usePage(t, server, pageURL(server.url.String()))
	})
	for _, proxy := range proxies {
		t.Run(proxy.name, func(t *testing.T) {
			t.Parallel()
			server := startExample(t, "echo", speaks...)
			front := proxy.start(t, server.url.Host)
			usePage(t, server, "http://"+front.ws, "https://"+front.wss)
		})
	}
}

// usePage sends messages from pages of a server, and ends the server.
func usePage(t *testing.T, server *example, origins ...string) {
	var pages []*page
	for _, origin := range origins {
		p := openPage(t, origin+"/?subprotocols=chat")
		pages = append(pages, p)
		p.until(`document.querySelector("#state.open")?.textContent.includes("subprotocol chat")`)
		p.typeInto("text", "Grüße, 世界\r")
		p.until(received(1, "text", "identical", "Grüße, 世界"))
		p.do(chromedp.SetValue(chromedp.ID("size"), "1000000"))
		p.click("random")
		p.until(received(2, "binary", "1,000,000 bytes", "identical"))
		p.click("close")
		p.until(state("closed", "1000"))
		p.click("reconnect")
		p.until(state("open"))
		p.picture("echo")
		p.fits("echo")
	}
	server.signal(syscall.SIGINT)
	for _, p := range pages {
		p.until(state("closed", "1001", "the server is shutting down"))
		p.quiet()
	}
}

// received is the condition that the log of the page of echo has n received
// messages, and the last is described by these words.
func received(n int, words ...string) string {
	return `document.querySelectorAll("#log .received").length === ` + strconv.Itoa(n) + ` && ` +
		includes(`[...document.querySelectorAll("#log .received")].at(-1).textContent`, words...)
}

// state is the condition that #state has a class and a text with these words.
func state(class string, words ...string) string {
	return `document.querySelector("#state").classList.contains(` + quote(class) + `) && ` +
		includes(`document.querySelector("#state").textContent`, words...)
}

// includes is the condition that a text has words in it.
func includes(text string, words ...string) string {
	conditions := []string{"true"}
	for _, word := range words {
		conditions = append(conditions, text+`.includes(`+quote(word)+`)`)
	}
	return strings.Join(conditions, " && ")
}

// TestForeignPage has pages of other sites connect.
func TestForeignPage(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
	}))
	defer other.Close()
	for _, test := range []struct{ name, path, subprotocol string }{
		{"echo", "/", ""},
		{"chat", "/ws", "chat.v1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := startExample(t, test.name)
			connect := `new Promise(resolve => {
				const socket = new WebSocket("ws://` + server.url.Host + test.path + `", [` + quote(test.subprotocol) + `].filter(s => s !== ""));
				socket.onopen = () => resolve("open");
				socket.onclose = event => resolve("closed with " + event.code);
			})`
			if got := evaluate[string](openPage(t, "http://"+server.url.Host), connect); got != "open" {
				t.Errorf("from its own page: %s", got)
			}
			if got := evaluate[string](openPage(t, other.URL), connect); got != "closed with 1006" {
				t.Errorf("from a foreign page: %s", got)
			}
			server.await(`refused with 403: Origin "` + other.URL + `"`)
		})
	}
}

// TestHTTP2: where HAProxy offers HTTP/2, the browser opens the WebSocket as a
// stream of it (RFC 8441), whose answer is 200 in place of 101.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	front := haproxy.start(t, startExample(t, "echo").url.Host)
	p := openPage(t, "https://"+front.wss+"/")
	p.until(state("open"))
	answers := chromedp.Events(p.ctx, network.WebSocketHandshakeResponseReceived)
	p.click("reconnect")
	for answer, err := range answers {
		if err != nil {
			t.Fatal(err)
		}
		if answer.Response.Status != http.StatusOK {
			t.Errorf("the answer is %d", answer.Response.Status)
		}
		break
	}
	p.until(state("open"))
}
