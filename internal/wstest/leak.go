package wstest

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Main runs the tests of a package and then looks for what they have left
// behind: goroutines, and open descriptors where the system can list them. It
// is for TestMain.
func Main(m *testing.M) {
	before := descriptors()
	code := m.Run()
	if code == 0 {
		if leak := findLeak(before); leak != "" {
			fmt.Fprintln(os.Stderr, leak)
			code = 1
		}
	}
	os.Exit(code)
}

// findLeak waits a moment for what is still ending.
func findLeak(before map[string]bool) string {
	var leak string
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		leak = goroutines()
		if leak == "" {
			leak = newDescriptors(before)
		}
		if leak == "" {
			return ""
		}
	}
	return leak
}

// goroutines returns the stacks of all goroutines but this one and those that
// the standard library keeps.
func goroutines() string {
	buf := make([]byte, 4<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var leaked []string
	for i, g := range strings.Split(string(buf), "\n\n") {
		switch {
		case i == 0:
		case strings.Contains(g, "os/signal.loop"), strings.Contains(g, "runtime.ensureSigM"), strings.Contains(g, "runtime.handleEvent"):
		case strings.Contains(g, "testing.runFuzzing"), strings.Contains(g, "internal/fuzz."):
		default:
			leaked = append(leaked, g)
		}
	}
	if leaked == nil {
		return ""
	}
	return fmt.Sprintf("%d goroutines were left behind:\n\n%s", len(leaked), strings.Join(leaked, "\n\n"))
}

const descriptorDir = "/proc/self/fd"

// descriptors returns what the open descriptors stand for.
func descriptors() map[string]bool {
	set := make(map[string]bool)
	entries, err := os.ReadDir(descriptorDir)
	if err != nil {
		return set // this system does not list them
	}
	for _, e := range entries {
		if target, err := os.Readlink(descriptorDir + "/" + e.Name()); err == nil {
			set[target] = true
		}
	}
	return set
}

func newDescriptors(before map[string]bool) string {
	var leaked []string
	for target := range descriptors() {
		if strings.HasPrefix(target, "socket:") && !before[target] {
			leaked = append(leaked, target)
		}
	}
	if leaked == nil {
		return ""
	}
	return fmt.Sprintf("%d descriptors were left open: %s", len(leaked), strings.Join(leaked, ", "))
}
