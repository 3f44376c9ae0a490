//go:build !race

package conformance

const largestCase = 1 << 30

// servers are all that the library can do.
var servers = []server{
	{"tcp", "Messages", false},
	{"tls", "Messages", true},
	{"tcp, with Serve", "Serve", false},
	{"tcp, with a Poller", "Poller", false},
	{"tls, with a Poller", "Poller", true}, // which is Serve as well
}
