package main

import (
	"os"
	"strings"
	"testing"
)

// TestMain lets the test program stand in for this one, which runs itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		main()
		return
	}
	// Otherwise each of these processes would wait a second at its end for
	// races to be reported.
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	os.Exit(m.Run())
}
