package wstest

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

func TestWithExtendedConnect(t *testing.T) {
	for _, tt := range []struct {
		name, before, after string
		code                int
	}{
		{"no setting", "", "http2xconnect=1", 0},
		{"another setting", "netdns=go", "netdns=go,http2xconnect=1", 0},
		{"the other value", "http2xconnect=0", "http2xconnect=0,http2xconnect=1", 0},
		{"set already", "http2xconnect=1,netdns=go", "http2xconnect=1,netdns=go", 0},
		{"failure", "", "http2xconnect=1", 1},
		{"failure when set already", "http2xconnect=1", "http2xconnect=1", 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(name, "-test.run=^x y$", "-test.v")
			cmd.Env = append(os.Environ(), "GODEBUG="+tt.before, exitVariable+"="+strconv.Itoa(tt.code),
				"GORACE=atexit_sleep_ms=0") // a second for each process, with -race
			cmd.Stdin = strings.NewReader("input")
			var out, errs strings.Builder
			cmd.Stdout, cmd.Stderr = &out, &errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			cmd.Wait()
			if got := cmd.ProcessState.ExitCode(); got != tt.code {
				t.Errorf("exit code %d, want %d", got, tt.code)
			}
			if want := fmt.Sprintf("%q with %q and %q", cmd.Args[1:], tt.after, "input"); out.String() != want {
				t.Errorf("ran %s\nwant %s", out.String(), want)
			}
			if got := errs.String(); got != "exits" {
				t.Errorf("standard error %q, want what the program writes there, once", got)
			}
		})
	}
}
