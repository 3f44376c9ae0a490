// Package interop tries the library with software of other people: clients of
// WebSocket in Go, JavaScript and Python, a browser, and the proxies of
// docs/proxies.md. It has nothing but tests; README.md says how to run them.
package interop
