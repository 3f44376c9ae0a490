package wstest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
)

// extendedConnect is the setting by which net/http's servers offer extended CONNECT.
// They look for it in the environment that the process was started with, and there
// alone: neither a //go:debug line nor T.Setenv is of use.
const extendedConnect = "http2xconnect=1"

// ExtendedConnect reports whether the servers of this process offer extended CONNECT.
// After [WithExtendedConnect] they do on every system that can start processes.
func ExtendedConnect() bool { return strings.Contains(os.Getenv("GODEBUG"), extendedConnect) }

// WithExtendedConnect is for TestMain, before [Main]. It lets the servers of net/http
// offer extended CONNECT: unless GODEBUG says so already, it runs the test again with
// that, and exits with its exit code. Set it yourself where a debugger has to see the
// tests.
func WithExtendedConnect() {
	if ExtendedConnect() || runtime.GOARCH == "wasm" { // which cannot start processes
		return
	}
	code, err := again("GODEBUG=" + strings.TrimPrefix(os.Getenv("GODEBUG")+","+extendedConnect, ","))
	if err != nil {
		fmt.Fprintln(os.Stderr, "run the test again for extended CONNECT:", err)
		code = 2
	}
	os.Exit(code)
}

// again runs this program with another setting in its environment, and the signals
// passed on by which go test and terminals end it.
func again(setting string) (code int, err error) {
	name, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(name)
	cmd.Args = os.Args
	cmd.Env = append(os.Environ(), setting)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGQUIT, syscall.SIGTERM)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	go func() {
		for s := range signals {
			cmd.Process.Signal(s)
		}
	}()
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		return exit.ExitCode(), nil
	}
	return 0, err
}
