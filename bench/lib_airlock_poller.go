package main

import (
	"net"
	"net/http"

	"github.com/airlock-go/websocket"
)

var libAirlockPoller = Lib{
	Name: "airlock-poller", Module: libAirlock.Module,
	How:     "net/http handler that returns, Upgrade, Poller.Serve, Write in OnMessage",
	New:     airlockPollerServer,
	UTF8:    true,
	Deflate: deflateModes,
	Detach:  true, Returns: true, Polls: true,
	Skips: true,
}

// airlockPollerServer has nothing for the benchmarks in process: without a socket,
// a Poller has nothing to poll, and is like Serve.
func airlockPollerServer(cfg Config) Server {
	opts := airlockOptions(cfg, nil)
	return Server{
		Serve: func(ln net.Listener) error {
			p, err := websocket.NewPoller(nil)
			if err != nil {
				return err
			}
			return serveHTTP(ln, func(w http.ResponseWriter, r *http.Request) {
				if c, err := websocket.Upgrade(w, r, opts); err == nil {
					p.Serve(c, new(airlockHandler))
				}
			})
		},
		Broadcast: airlockBroadcast(opts.Group),
	}
}
