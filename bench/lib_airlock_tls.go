package main

// These two have the same server. It is the client who picks a version of HTTP.

var libAirlockTLS = Lib{
	Name: "airlock-tls", Module: libAirlock.Module,
	How:     "airlock, over TLS: each WebSocket is a connection with HTTP/1.1",
	New:     airlockTLSServer,
	UTF8:    true,
	Deflate: deflateModes,
	Detach:  true,
	Over:    overTLS,
}

var libAirlockHTTP2 = Lib{
	Name: "airlock-http2", Module: libAirlock.Module,
	How:     "airlock, over TLS: WebSockets are streams of HTTP/2, and share connections",
	New:     airlockTLSServer,
	UTF8:    true,
	Deflate: deflateModes,
	Over:    overHTTP2,
}

func airlockTLSServer(cfg Config) Server {
	s := libAirlock.New(cfg)
	s.TLS = true
	return s
}
