package main

import (
	"net"

	"github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"
)

var libFastHTTP = Lib{
	Name: "fasthttp", Module: "github.com/fasthttp/websocket",
	How:     "fasthttp.Server, default FastHTTPUpgrader, ReadMessage/WriteMessage (a fork of gorilla)",
	New:     fasthttpServer,
	Deflate: []string{noTakeover},
}

func fasthttpServer(cfg Config) Server {
	up := websocket.FastHTTPUpgrader{EnableCompression: cfg.Deflate != noDeflate}
	if cfg.Subprotocols {
		up.Subprotocols = serverProtocols
	}
	return Server{
		Serve: func(ln net.Listener) error {
			s := fasthttp.Server{
				Handler: func(ctx *fasthttp.RequestCtx) {
					up.Upgrade(ctx, func(c *websocket.Conn) {
						c.SetReadLimit(readLimit)
						for {
							t, p, err := c.ReadMessage()
							if err != nil || c.WriteMessage(t, p) != nil {
								return
							}
						}
					})
				},
			}
			return s.Serve(ln)
		},
	}
}
