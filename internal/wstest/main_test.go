package wstest

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"
)

func TestMain(m *testing.M) {
	WithExtendedConnect()
	if code := os.Getenv(exitVariable); code != "" {
		tell(code)
	}
	Main(m)
}

// exitVariable makes this test a program that tells of itself and exits with the code
// in that variable.
const exitVariable = "WSTEST_EXIT"

func tell(code string) {
	n, err := strconv.Atoi(code)
	if err != nil {
		panic(err)
	}
	in, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%q with %q and %q", os.Args[1:], os.Getenv("GODEBUG"), in)
	fmt.Fprint(os.Stderr, "exits")
	os.Exit(n)
}
