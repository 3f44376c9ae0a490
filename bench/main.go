// Command bench measures WebSocket servers for Go side by side. See README.md.
package main

import (
	"fmt"
	"os"
)

var commands = []struct {
	name, help string
	run        func(args []string) error
}{
	{"check", "check that every server does what its entry says, and that Airlock keeps its rules", cmdCheck},
	{"all", "measure, and print tables in Markdown (-quick: in about 10 minutes)", cmdAll},
	{"serve", "one server; all starts it", cmdServe},
	{"load", "one load on a server; all starts it", cmdLoad},
	{"micro", "the benchmarks in process; all starts them", cmdMicro},
}

func main() {
	if len(os.Args) > 1 {
		for _, c := range commands {
			if c.name == os.Args[1] {
				if err := c.run(os.Args[2:]); err != nil {
					fmt.Fprintf(os.Stderr, "bench %s: %v\n", c.name, err)
					os.Exit(1)
				}
				return
			}
		}
	}
	fmt.Fprintln(os.Stderr, "usage: bench COMMAND [flags]; COMMAND -h lists its flags")
	for _, c := range commands {
		fmt.Fprintf(os.Stderr, "  %-6s %s\n", c.name, c.help)
	}
	os.Exit(2)
}
