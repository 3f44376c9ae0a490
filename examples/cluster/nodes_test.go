package main

import (
	"slices"
	"strings"
	"testing"
)

// TestCommands: the nodes of one command know each other.
func TestCommands(t *testing.T) {
	for _, tt := range []struct {
		name     string
		args     string
		nodes    int
		replicas int
		embedded bool
	}{
		{"default", "", 3, 3, true},
		{"five", "-nodes 5", 5, 3, true},
		{"two", "-nodes 2", 2, 1, true},
		{"one", "-nodes 1", 1, 1, true},
		{"free ports", "-addr 127.0.0.1:0", 3, 3, true},
		{"NATS", "-nats nats://127.0.0.1:4222", 3, 3, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := parseFlags(append([]string{"-dir", "data", "-people", "7", "-drain", "1s"}, strings.Fields(tt.args)...))
			if err != nil {
				t.Fatal(err)
			}
			commands, err := cfg.commands()
			if err != nil || len(commands) != tt.nodes {
				t.Fatalf("%d commands, %v", len(commands), err)
			}
			taken := make(map[string]bool)
			for _, args := range commands {
				node, err := parseFlags(args)
				if err != nil {
					t.Fatal(err)
				}
				checkNode(t, &cfg, &node, tt.nodes, tt.replicas, tt.embedded)
				for _, own := range []string{node.name, node.addr, node.dir, node.cluster} {
					if own != "" && taken[own] {
						t.Errorf("two nodes have %s", own)
					}
					taken[own] = true
				}
			}
		})
	}
}

func checkNode(t *testing.T, cfg, node *config, nodes, replicas int, embedded bool) {
	t.Helper()
	if len(node.peers) != nodes || !slices.Contains(node.peers, "http://"+node.addr) {
		t.Errorf("node %s at %s has the peers %q", node.name, node.addr, node.peers)
	}
	for _, peer := range node.peers {
		for _, origin := range []string{peer, strings.Replace(peer, "127.0.0.1", "localhost", 1)} {
			if !slices.Contains(node.options.TrustedOrigins, origin) {
				t.Errorf("node %s does not trust %s", node.name, origin)
			}
		}
	}
	if node.replicas != replicas || node.people != cfg.people || node.drain != cfg.drain || node.nats != cfg.nats || !node.untilEOF {
		t.Errorf("node %s is %+v", node.name, node)
	}
	if embedded != (node.dir != "") || (embedded && nodes > 1) != (node.cluster != "") {
		t.Errorf("node %s has -dir %q and -cluster %q", node.name, node.dir, node.cluster)
	}
	if node.cluster != "" && (len(node.routes) != nodes || !slices.Contains(node.routes, node.cluster)) {
		t.Errorf("node %s at %s has the routes %q", node.name, node.cluster, node.routes)
	}
}

// TestDefaults: the ports that the documentation of the command has.
func TestDefaults(t *testing.T) {
	cfg, err := parseFlags(nil)
	if err != nil || cfg.addr != "127.0.0.1:8081" || cfg.nodes != 3 {
		t.Errorf("%s, %d nodes, %v", cfg.addr, cfg.nodes, err)
	}
	for addr, want := range map[string]string{":0": "localhost", "[::]:0": "localhost", "127.0.0.1:1": "127.0.0.1"} {
		if got := (&config{addr: addr}).host(); got != want {
			t.Errorf("%s is reached at %s", addr, got)
		}
	}
}
