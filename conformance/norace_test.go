//go:build !race

package conformance

const largestCase = 1 << 30
