//go:build race

package conformance

// largestCase is how many bytes a case may send to be played against the
// reference server: the detector of races makes the rest slow.
const largestCase = 6 << 20
