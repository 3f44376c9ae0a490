package interop

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

var screenshots = flag.String("screenshots", "", "`directory` for pictures of the pages")

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// programs is the directory of the examples, built.
var programs string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "interop")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	programs = dir + "/"
	build := exec.Command("go", "build", "-o", programs, "./examples/echo", "./examples/chat")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %v\n%s", build, err, out)
		return 1
	}
	defer closeBrowser()
	return m.Run()
}
