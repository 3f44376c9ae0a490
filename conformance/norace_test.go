//go:build !race

package conformance

const largestCase = 1 << 30

// servers are all that the library can do.
var servers = []server{
	{"tcp", "Messages", "tcp"},
	{"tls", "Messages", "tls"},
	{"http2", "Messages", "http2"},
	{"tcp, with Serve", "Serve", "tcp"},
	{"tcp, with a Poller", "Poller", "tcp"},
	{"tls, with a Poller", "Poller", "tls"}, // which is Serve as well
	{"http2 in the clear, with a Poller", "Poller", "h2c"},
}
