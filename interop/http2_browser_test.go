package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
)

// talk is what a page says to a server, as converse.js has it, and outcome what it has
// seen then.
type (
	talkTo struct {
		URL          string   `json:"url"`
		Subprotocols []string `json:"subprotocols"`
		Sizes        []int    `json:"sizes"` // of messages
		Code         int      `json:"code"`
		Reason       string   `json:"reason"`
	}
	outcome struct {
		Subprotocol, Extensions string
		Echoes                  int
		Wrong                   string
		Code                    int
		Reason                  string
		Clean                   bool
	}
)

// browserRow is a conversation of a page.
type browserRow struct {
	name    string
	query   string // for the server
	talk    talkTo
	outcome outcome
	ended   int // code, as the server has it
}

var browserSizes = []int{0, 0, 1, 2, 125, 126, 65535, 65536, 1 << 20, 1 << 20}

var browserRows = []browserRow{
	{
		name: "page closes", query: "",
		talk:    talkTo{Sizes: browserSizes, Code: 4001, Reason: "schön war's"},
		outcome: outcome{Echoes: len(browserSizes), Code: 4001, Clean: true},
		ended:   4001,
	},
	{
		name: "subprotocol", query: "&strict",
		talk:    talkTo{Sizes: browserSizes, Subprotocols: []string{"soap", "chat"}, Code: 1000},
		outcome: outcome{Echoes: len(browserSizes), Subprotocol: "chat", Code: 1000, Clean: true},
		ended:   1000,
	},
	{
		name: "compressed", query: "&compress=12",
		talk:    talkTo{Sizes: browserSizes, Code: 1000},
		outcome: outcome{Echoes: len(browserSizes), Extensions: "permessage-deflate; client_max_window_bits=12", Code: 1000, Clean: true},
		ended:   1000,
	},
	{
		name: "server closes", query: "&close=4321&reason=bye",
		talk:    talkTo{Sizes: []int{1}},
		outcome: outcome{Code: 4321, Reason: "bye", Clean: true},
		ended:   4321,
	},
	{
		name: "server drops", query: "&drop",
		talk:    talkTo{Sizes: []int{1}},
		outcome: outcome{Code: 1006},
		ended:   1006,
	},
}

// TestTunnelBrowser has a page of the server talk to it, over the connection of HTTP/2
// that it came on.
func TestTunnelBrowser(t *testing.T) {
	t.Parallel()
	server := startVersions(t, withConnect)
	converseAll(t, server, startBrowser(t), "CONNECT over HTTP/2")
	// Chromium resets the stream in place of sending a close frame, as it does over the
	// other versions.
	leaveAll(t, server, startBrowser(t), "CONNECT over HTTP/2", "ended with (1001: |1006: .*CANCEL)")
}

// TestTunnelBrowserNotOffered: without the setting, the same page gets the same over
// HTTP/1.1.
func TestTunnelBrowserNotOffered(t *testing.T) {
	t.Parallel()
	server := startVersions(t, "http2xconnect=0")
	converseAll(t, server, startBrowser(t), "GET over HTTP/1")
	leaveAll(t, server, startBrowser(t), "GET over HTTP/1", "ended with 1001: ")
}

// converseAll goes through the rows in a page of a browser.
func converseAll(t *testing.T, server *versionsServer, browser context.Context, as string) {
	code, err := os.ReadFile("testdata/converse.js")
	if err != nil {
		t.Fatal(err)
	}
	p := openPageIn(t, browser, server.urls["https"]+"/page")
	for _, mode := range modes {
		for _, row := range browserRows {
			t.Run(mode+"/"+row.name, func(t *testing.T) {
				query := "/?mode=" + mode + row.query
				talk := row.talk
				talk.URL = server.urls["https"] + query
				if talk.Subprotocols == nil {
					talk.Subprotocols = []string{}
				}
				argument, err := json.Marshal(talk)
				if err != nil {
					t.Fatal(err)
				}
				here := *p
				here.T = t
				got := evaluate[outcome](&here, fmt.Sprintf("(() => { %s\nreturn converse(%s) })()", code, argument))
				if got != row.outcome {
					t.Errorf("%+v, want %+v", got, row.outcome)
				}
				server.loggedAs(t, as, query, "open")
				server.loggedAs(t, as, query, fmt.Sprintf("ended with %d: ", row.ended))
			})
		}
	}
}

// leaveAll closes pages that have a WebSocket open, which has to end in a way that
// matches a pattern.
func leaveAll(t *testing.T, server *versionsServer, browser context.Context, as, end string) {
	for _, mode := range modes {
		t.Run(mode+"/page is closed", func(t *testing.T) {
			query := "/?mode=" + mode + "&left"
			p := openPageIn(t, browser, server.urls["https"]+"/page")
			evaluate[bool](p, `new Promise(resolve => {
				window.socket = new WebSocket(`+quote(server.urls["https"]+query)+`);
				socket.onopen = () => resolve(true);
			})`)
			p.close()
			server.loggedAs(t, as, query, end)
		})
	}
}
