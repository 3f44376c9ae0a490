package interop

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// deflateParams are the parameters of permessage-deflate (RFC 7692, section
// 7.1): of an offer, of an answer, or what a client makes of both.
type deflateParams struct {
	ServerAlone bool `json:"server_no_context_takeover"`
	ClientAlone bool `json:"client_no_context_takeover"`
	ServerBits  int  `json:"server_max_window_bits"` // 0: not spoken of
	ClientBits  int  `json:"client_max_window_bits"` // or anyBits
}

// anyBits is a client_max_window_bits that has no value.
const anyBits = -1

const maxBits = 15

func (p deflateParams) String() string {
	s := "permessage-deflate"
	if p.ServerAlone {
		s += "; server_no_context_takeover"
	}
	if p.ClientAlone {
		s += "; client_no_context_takeover"
	}
	if p.ServerBits != 0 {
		s += "; server_max_window_bits=" + strconv.Itoa(p.ServerBits)
	}
	switch p.ClientBits {
	case 0:
	case anyBits:
		s += "; client_max_window_bits"
	default:
		s += "; client_max_window_bits=" + strconv.Itoa(p.ClientBits)
	}
	return s
}

// parseDeflate is the opposite of String, in whatever order the parameters are.
func parseDeflate(s string) (p deflateParams, err error) {
	name, params, _ := strings.Cut(s, ";")
	if name != "permessage-deflate" {
		return p, fmt.Errorf("%q is not permessage-deflate", s)
	}
	for param := range strings.SplitSeq(params, ";") {
		name, value, valued := strings.Cut(strings.TrimSpace(param), "=")
		switch {
		case name == "" && params == "":
		case name == "server_no_context_takeover" && !valued:
			p.ServerAlone = true
		case name == "client_no_context_takeover" && !valued:
			p.ClientAlone = true
		case name == "server_max_window_bits":
			p.ServerBits, err = strconv.Atoi(value)
		case name == "client_max_window_bits" && !valued:
			p.ClientBits = anyBits
		case name == "client_max_window_bits":
			p.ClientBits, err = strconv.Atoi(value)
		default:
			err = fmt.Errorf("%q has a parameter %q", s, param)
		}
		if err != nil {
			return p, err
		}
	}
	return p, nil
}

// deflateOffers returns all combinations.
func deflateOffers(serverBits, clientBits []int) (offers []deflateParams) {
	for _, serverAlone := range []bool{false, true} {
		for _, clientAlone := range []bool{false, true} {
			for _, s := range serverBits {
				for _, c := range clientBits {
					offers = append(offers, deflateParams{serverAlone, clientAlone, s, c})
				}
			}
		}
	}
	return offers
}

// deflateWindows are those of the servers, as -window takes them.
var deflateWindows = []int{-1, 0, 8, 9, 12, 15}

// kept returns what a server with such a -window keeps, in bits, or 0.
func kept(window int) int {
	switch {
	case window < 0:
		return 0
	case window == 0:
		return 12
	}
	return window
}

// answer is what the server has to say to an offer.
func (p deflateParams) answer(window int) deflateParams {
	a := deflateParams{ServerAlone: p.ServerAlone, ServerBits: p.ServerBits}
	bits := kept(window)
	if window == 0 && p.ClientBits == 0 {
		bits = maxBits // unless told otherwise, it keeps whatever such a client uses
	}
	switch {
	case p.ClientAlone || bits == 0 || p.ClientBits == 0 && bits < maxBits:
		a.ClientAlone = true
		if 0 < p.ClientBits && p.ClientBits < maxBits {
			a.ClientBits = p.ClientBits
		}
	case p.ClientBits == anyBits:
		a.ClientBits = bits
	case p.ClientBits != 0:
		a.ClientBits = min(bits, p.ClientBits)
	}
	return a
}

// understood is what a client makes of p as an answer: a window that is not spoken
// of is the largest.
func (p deflateParams) understood() deflateParams {
	for _, bits := range []*int{&p.ServerBits, &p.ClientBits} {
		if *bits == 0 {
			*bits = maxBits
		}
	}
	return p
}

// TestDeflate has clients exchange compressed messages with the echo example, in
// every combination of parameters that each can be made to offer.
func TestDeflate(t *testing.T) {
	// The browser needs a page to do it from.
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
	}))
	t.Cleanup(page.Close)
	var servers []*example
	for _, window := range deflateWindows {
		servers = append(servers, startExample(t, "echo", "-compress", "-window", strconv.Itoa(window), "-origins", page.URL))
	}
	for _, c := range deflateClients {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var taps []*tap
			for _, server := range servers {
				taps = append(taps, startTap(t, server.url.Host))
			}
			d := &deflateRun{&c, c.open(t, page.URL)}
			for i, offer := range c.offers {
				for j, window := range deflateWindows {
					n := c.share(i, j)
					if n == 0 {
						continue
					}
					if _, err := d.exchange(taps[j].addr, taps[j], offer, window, n); err != nil {
						t.Errorf("%v to -window %d: %v", offer, window, err)
					}
				}
			}
		})
	}
}

// share returns how many messages are exchanged after an offer with a server.
// Clients that have many offers make each to two servers, and exchange few with
// the second. These are others from offer to offer, so that every value of every
// parameter meets every server.
func (c *deflateClient) share(offer, server int) int {
	turn := (offer + offer/7 + server) % len(deflateWindows)
	switch {
	case len(c.offers) <= len(deflateWindows) || turn == 0:
		return len(deflateMessages)
	case turn == 1:
		return fewMessages
	}
	return 0
}

// deflateRun is a client at work.
type deflateRun struct {
	client *deflateClient
	run    exchanger
}

// exchange has the client exchange the first n messages with a server, and
// compares what it says about that, and what has gone through the tap, with what
// ought to be.
func (d *deflateRun) exchange(addr string, x *tap, offer deflateParams, window, n int) (wire, error) {
	agreed, err := d.run(target{URL: "ws://" + addr + "/", Compression: &offer}, n)
	w, wireErr := x.next().read()
	answer := offer.answer(window)
	understood := answer.understood()
	why := d.client.refuses(understood)
	switch {
	case why != "" && (err == nil || !strings.Contains(err.Error(), why)):
		return w, fmt.Errorf("the client says %v in place of %q", err, why)
	case why != "":
		return w, nil
	case err != nil:
		return w, err
	case wireErr != nil:
		return w, wireErr
	case agreed != nil && agreed.understood() != understood:
		return w, fmt.Errorf("the client has understood %v in place of %v", agreed, understood)
	case w.closes != [2]int{1000, 1000}:
		return w, fmt.Errorf("closed with %v", w.closes)
	}
	return w, d.check(&w, offer, answer, window, n)
}

// check compares the answer and the messages with what ought to be.
func (d *deflateRun) check(w *wire, offer, answer deflateParams, window, n int) error {
	for _, said := range []struct {
		is     string
		oughts deflateParams
	}{{w.offer, offer}, {w.answer, answer}} {
		if is, err := parseDeflate(said.is); err != nil || is != said.oughts {
			return fmt.Errorf("%q was said in place of %v (%v)", said.is, said.oughts, err)
		}
	}
	understood := answer.understood()
	serverKeeps := min(kept(window), understood.ServerBits)
	if understood.ServerAlone {
		serverKeeps = 0
	}
	clientKeeps := understood.ClientBits
	if understood.ClientAlone {
		clientKeeps = 0
	}
	if err := checkServer(w.down, n, serverKeeps); err != nil {
		return fmt.Errorf("from the server: %w", err)
	}
	if err := checkClient(w.up, n, clientKeeps); err != nil {
		return fmt.Errorf("from the client: %w", err)
	}
	return nil
}

// TestDeflateProxies: what is compressed goes through proxies as it is.
func TestDeflateProxies(t *testing.T) {
	t.Parallel()
	d := &deflateRun{&nodeDeflate, nodeDeflate.open(t, "")}
	server := startExample(t, "echo", "-compress")
	for _, proxy := range proxies {
		t.Run(proxy.name, func(t *testing.T) {
			behind := startTap(t, server.url.Host)
			before := startTap(t, proxy.start(t, behind.addr).ws)
			inside, err := d.exchange(before.addr, behind, deflateParams{ClientBits: anyBits}, 0, len(deflateMessages))
			if err != nil {
				t.Fatal(err)
			}
			outside, err := before.next().read()
			if err != nil {
				t.Fatal(err)
			}
			if outside.offer != inside.offer || outside.answer != inside.answer {
				t.Errorf("the handshake was changed: %q and %q are %q and %q behind the proxy",
					outside.offer, outside.answer, inside.offer, inside.answer)
			}
			for i, from := range []string{"client", "server"} {
				if !bytes.Equal(outside.frames[i], inside.frames[i]) {
					t.Errorf("what the %s sends was changed", from)
				}
			}
		})
	}
}
