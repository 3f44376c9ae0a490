//go:build race

package conformance

// largestCase is how many bytes a case may send to be played against the
// reference server: the detector of races makes the rest slow.
const largestCase = 6 << 20

// servers are some, for the same reason.
var servers = []server{
	{"tls", "Messages", "tls"},
	{"tcp, with a Poller", "Poller", "tcp"},
}
