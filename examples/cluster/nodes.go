package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	restartAfter = 5 * time.Second

	// killAfter is for a node that does not end: longer than one takes that does.
	killAfter = 4 * shutdownTimeout
)

// runNodes starts nodes as processes of their own, until ctx ends. One that ends before,
// or is killed, is started again.
func runNodes(ctx context.Context, cfg *config, stdout io.Writer) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	if cfg.dir == "" {
		if cfg.dir, err = os.MkdirTemp("", "airlock-cluster"); err != nil {
			return err
		}
		defer os.RemoveAll(cfg.dir)
	}
	commands, err := cfg.commands()
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	for _, args := range commands {
		all.Go(func() {
			for {
				err := runProcess(ctx, program, args, stdout, cfg.drain+killAfter)
				if ctx.Err() != nil {
					return
				}
				log.Printf("node %s has ended (%v); it starts again in %v", args[1], err, restartAfter)
				if !sleep(ctx, restartAfter) {
					return
				}
			}
		})
	}
	all.Wait()
	return nil
}

// runProcess runs a node until it ends. When ctx ends it is told so by the end of its
// input. A signal would be the second one for it, after the one of Ctrl-C in a
// terminal, and there are systems without.
func runProcess(ctx context.Context, program string, args []string, stdout io.Writer, grace time.Duration) error {
	process, kill := context.WithCancel(context.Background())
	defer kill()
	cmd := exec.CommandContext(process, program, args...)
	cmd.Stdout, cmd.Stderr = stdout, os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() {
		stdin.Close()
		time.AfterFunc(grace, kill)
	})()
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Wait()
}

// commands returns the command line of each node.
func (c *config) commands() ([][]string, error) {
	addrs, routes, err := c.addresses()
	if err != nil {
		return nil, err
	}
	var peers, local []string
	for _, addr := range addrs {
		_, port, _ := net.SplitHostPort(addr)
		peers = append(peers, "http://"+net.JoinHostPort(c.host(), port))
		local = append(local, "http://localhost:"+port) // who types that gets a page of this origin
	}
	replicas := c.replicas
	if c.nats == "" && c.nodes < 3 {
		replicas = 1 // of two copies, none may be lost
	}
	var commands [][]string
	for i, addr := range addrs {
		name := string(rune('a' + i))
		args := []string{
			"-name", name, "-addr", addr, "-peers", strings.Join(peers, ","), "-origins", strings.Join(local, ","), "-until-eof",
			"-replicas", strconv.Itoa(replicas), "-drain", c.drain.String(), "-people", strconv.Itoa(c.people),
		}
		if c.nats != "" {
			args = append(args, "-nats", c.nats)
		} else {
			args = append(args, "-dir", filepath.Join(c.dir, name))
		}
		if c.nats == "" && c.nodes > 1 {
			args = append(args, "-cluster", routes[i], "-routes", strings.Join(routes, ","))
		}
		commands = append(commands, args)
	}
	return commands, nil
}

// addresses returns where each node listens to pages, and where to the other nodes.
func (c *config) addresses() (addrs, routes []string, err error) {
	host, port, err := net.SplitHostPort(c.addr)
	if err != nil {
		return nil, nil, err
	}
	first, err := strconv.Atoi(port)
	if err != nil || first+c.nodes > 65536 {
		return nil, nil, fmt.Errorf("-addr %s has no number of a port, or there are not enough after it", c.addr)
	}
	free, err := freePorts(2 * c.nodes)
	for i := range free[:len(free)/2] {
		if port = strconv.Itoa(first + i); first == 0 {
			port = free[i]
		}
		addrs = append(addrs, net.JoinHostPort(host, port))
		routes = append(routes, "127.0.0.1:"+free[c.nodes+i])
	}
	return addrs, routes, err
}

// freePorts returns n different ports, which it does not hold: should somebody be
// quicker than a node, the node ends and tries again.
func freePorts(n int) (ports []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // when all have one
		_, port, _ := net.SplitHostPort(l.Addr().String())
		ports = append(ports, port)
	}
	return ports, nil
}
