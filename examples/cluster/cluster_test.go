package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// world is what a test watches: everything that happens wakes who waits for it.
type world struct {
	t   *testing.T
	ctx context.Context

	mu      sync.Mutex
	changed chan struct{} // closed at the next change
	log     strings.Builder
	nodes   map[string]running
	guests  []*guest
}

// running is a node that has said where it is.
type running struct {
	host  string
	pid   string
	times int // that a node of this name has started
}

// change makes a change.
func (w *world) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	close(w.changed)
	w.changed = make(chan struct{})
}

// await waits until a condition holds.
func (w *world) await(what string, holds func() bool) {
	w.t.Helper()
	for {
		w.mu.Lock()
		ok, changed := holds(), w.changed
		w.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-w.ctx.Done():
			w.t.Fatalf("no longer waiting until %s", what)
		}
	}
}

var announcement = regexp.MustCompile(`^node (\w): http://(.*)/ \(process (\d+)\)$`)

// start builds the program and runs it, as a user does. The test ends it through the
// returned function, or its own end does.
func (w *world) start(args ...string) (stop func()) {
	w.t.Helper()
	program := filepath.Join(w.t.TempDir(), "cluster")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		w.t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(program, append([]string{"-until-eof"}, args...)...)
	// The nodes write to the same pipes, which end when all of them have.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	r, out, err := os.Pipe()
	if err != nil {
		w.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	out.Close()
	var reading sync.WaitGroup
	reading.Go(func() { w.read(r) })
	stop = sync.OnceFunc(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			w.t.Error(err)
		}
		reading.Wait() // so no node is left
		r.Close()
	})
	w.t.Cleanup(func() {
		stop()
		if w.t.Failed() {
			w.t.Logf("the program wrote:\n%s", w.log.String())
		}
	})
	return stop
}

// read reads what the nodes say.
func (w *world) read(r io.Reader) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		w.change(func() {
			fmt.Fprintln(&w.log, lines.Text())
			if m := announcement.FindStringSubmatch(lines.Text()); m != nil {
				w.nodes[m[1]] = running{m[2], m[3], w.nodes[m[1]].times + 1}
			}
		})
	}
}

// signal sends a signal to a node, by its process id.
func (w *world) signal(node string, sig syscall.Signal) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var pid int
	fmt.Sscan(w.nodes[node].pid, &pid)
	if err := syscall.Kill(pid, sig); err != nil {
		w.t.Fatal(err)
	}
}

// guest is a client that does what the page does: it goes on at another node where its
// own has left it, and sends again what was not acknowledged. The world's lock guards
// what it knows.
type guest struct {
	w        *world
	name     string
	node     string
	conn     *client // nil: it is on its way
	stream   string
	after    *uint64
	log      []anything        // its transcript
	unstored []request         // in the order in which they were said
	acked    map[string]uint64 // the numbers of what it has said, by id
	ends     []closed          // of its connections
}

func (w *world) enter(name, node string) *guest {
	g := &guest{w: w, name: name, node: node, acked: make(map[string]uint64)}
	w.guests = append(w.guests, g)
	return g
}

// run connects and reads until ctx ends.
func (g *guest) run(ctx context.Context) {
	for ctx.Err() == nil {
		end := &closed{}
		if err := g.visit(ctx); errors.As(err, &end) {
			g.w.change(func() { g.ends = append(g.ends, *end) })
		}
		g.w.change(func() {
			g.conn = nil
			g.node = string('a' + (g.node[0]-'a'+1)%3)
		})
		sleep(ctx, retryAfter)
	}
}

// visit is one connection.
func (g *guest) visit(ctx context.Context) error {
	g.w.mu.Lock()
	host := g.w.nodes[g.node].host
	g.w.mu.Unlock()
	conn, err := dial(ctx, host)
	if err != nil {
		return err
	}
	defer conn.conn.Close()
	defer context.AfterFunc(ctx, func() { conn.conn.Close() })()
	if err := conn.send(request{Type: "join", Name: g.name, Stream: g.stream, After: g.after}); err != nil {
		return err
	}
	for {
		m, err := conn.next()
		if err != nil {
			return err
		}
		g.w.change(func() { g.hear(conn, m) })
	}
}

// hear takes a message of the node; the world is locked.
func (g *guest) hear(conn *client, m anything) {
	switch m.Type {
	case "welcome":
		g.stream, g.after = m.Stream, &m.After
	case "message":
		g.log = append(g.log, m)
		g.after = &m.Seq
	case "ack":
		g.acked[m.ID] = m.Seq
		g.unstored = slices.DeleteFunc(g.unstored, func(r request) bool { return r.ID == m.ID })
	case "people":
		if g.conn == nil { // all that was said before has come
			g.conn = conn
			for _, r := range g.unstored {
				conn.send(r)
			}
		}
	}
}

// say has everybody say n things more, at once.
func (w *world) say(n int) {
	w.change(func() {
		for _, g := range w.guests {
			for range n {
				r := request{Type: "say", ID: rand.Text(), Text: fmt.Sprintf("%s %d", g.name, len(g.acked)+len(g.unstored)+1)}
				g.unstored = append(g.unstored, r)
				if g.conn != nil {
					g.conn.send(r)
				}
			}
		}
	})
}

// awaitSaid waits until everybody has as many acks, and is somewhere.
func (w *world) awaitSaid(n int) {
	w.t.Helper()
	w.await(fmt.Sprintf("everybody has %d acks", n), func() bool {
		return !slices.ContainsFunc(w.guests, func(g *guest) bool { return len(g.acked) < n || g.conn == nil })
	})
}

// check compares the transcripts with each other and with the acks.
func (w *world) check() {
	w.t.Helper()
	total := 0
	for _, g := range w.guests {
		total += len(g.acked)
	}
	w.await("everybody has everything", func() bool {
		return !slices.ContainsFunc(w.guests, func(g *guest) bool { return len(g.log) < total })
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, g := range w.guests {
		if len(g.log) != total {
			w.t.Errorf("%s has %d messages, of %d that were acknowledged", g.name, len(g.log), total)
		}
		for i, m := range g.log {
			if m.Seq != uint64(i+1) {
				w.t.Fatalf("message %d of %s has the number %d", i+1, g.name, m.Seq)
			}
			if first := w.guests[0].log[i]; m.ID != first.ID || m.Text != first.Text {
				w.t.Fatalf("message %d is %+v for %s, and %+v for %s", i+1, m, g.name, first, w.guests[0].name)
			}
		}
		g.checkAcks()
	}
}

// checkAcks: what the guest has said is in its transcript under the number that was
// acknowledged, in the order in which it was said.
func (g *guest) checkAcks() {
	said := 0
	for _, m := range g.log {
		if m.Name != g.name {
			continue
		}
		said++
		if want := fmt.Sprintf("%s %d", g.name, said); m.Text != want {
			g.w.t.Errorf("%s said %q in place of %q", g.name, m.Text, want)
		}
		if g.acked[m.ID] != m.Seq {
			g.w.t.Errorf("message %d has the ack %d", m.Seq, g.acked[m.ID])
		}
	}
	if said != len(g.acked) {
		g.w.t.Errorf("%s has %d acks and said %d messages", g.name, len(g.acked), said)
	}
}

// ended counts how often connections to which guests ended with a code.
func (w *world) ended(code int) (n int) {
	for _, g := range w.guests {
		for _, end := range g.ends {
			if end.code == code {
				n++
			}
		}
	}
	return n
}

// TestCluster: three nodes and six people. One node is killed while they talk, comes
// back, and another is shut down, also while they talk. In the end everybody has every
// message that was acknowledged, once and in the same order.
func TestCluster(t *testing.T) {
	t.Parallel()
	const burst = 15
	w := &world{t: t, ctx: bounded(t), changed: make(chan struct{}), nodes: make(map[string]running)}
	stop := w.start("-addr", "127.0.0.1:0", "-dir", t.TempDir())
	w.await("three nodes listen", func() bool { return len(w.nodes) == 3 })
	var guests sync.WaitGroup
	defer guests.Wait()
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	for _, name := range []string{"Ann", "Bob", "Cleo", "Dai", "Eve", "Flo"} {
		g := w.enter(name, string("abc"[len(w.guests)%3]))
		guests.Go(func() { g.run(ctx) })
	}
	w.awaitSaid(0)
	w.say(burst)
	w.awaitSaid(burst)

	w.say(burst)
	w.awaitSaid(burst + 1) // so that the rest of it is under way
	w.signal("b", syscall.SIGKILL)
	w.await("those of node b have noticed", func() bool { return w.ended(1006) >= 2 })
	w.say(burst)
	w.awaitSaid(3 * burst)
	w.await("node b is there again", func() bool { return w.nodes["b"].times == 2 })

	w.say(burst)
	w.awaitSaid(3*burst + 1)
	w.mu.Lock()
	here := 0
	for _, g := range w.guests {
		if g.node == "a" {
			here++
		}
	}
	w.mu.Unlock()
	w.signal("a", syscall.SIGTERM)
	w.await("those of node a were told", func() bool { return w.ended(1001) >= here })
	w.say(burst)
	w.awaitSaid(5 * burst)
	w.check()
	if here < 2 {
		t.Errorf("only %d were on node a", here)
	}

	cancel()
	stop()
}
