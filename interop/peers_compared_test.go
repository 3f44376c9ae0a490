package interop

import (
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestCompared asks every library in Go the same questions, and holds the table
// of README.md against the answers.
func TestCompared(t *testing.T) {
	columns := slices.Concat([]peer{airlockPeer}, goPeers)
	head := []string{""}
	table := make([][]string, len(questions))
	for i, q := range questions {
		table[i] = make([]string, 1+len(columns))
		table[i][0] = q.text
	}
	var wg sync.WaitGroup
	for i, p := range columns {
		title := p.name
		if i > 0 { // ours has no version: it is this tree
			title += " " + p.version(t, &p)
		}
		head = append(head, title)
		s := newServers(t, &p)
		for j, q := range questions {
			wg.Go(func() {
				answer, err := q.ask(s)
				if err != nil {
					t.Errorf("%s: %s: %v", p.name, q.text, err)
				}
				table[j][1+i] = answer
			})
		}
	}
	wg.Wait()
	facts := []struct {
		text string
		find func(*testing.T, *peer) string
	}{
		{"there is a client, too", hasClient},
		{"modules to install besides", modules},
	}
	for _, fact := range facts {
		row := []string{fact.text}
		for _, p := range columns {
			row = append(row, fact.find(t, &p))
		}
		table = append(table, row)
	}
	if t.Failed() {
		return
	}
	compareBlock(t, "../README.md", "<!-- compared -->", "<!-- end of what was compared -->", markdown(append([][]string{head}, table...)))
}

// servers are those of a peer.
type servers struct {
	plain, full, clash string // URLs
}

func newServers(t *testing.T, p *peer) *servers {
	return &servers{p.start(t), p.start(t, "-full"), p.start(t, "-clash")}
}

// A question is a row of the table. Its probe says whether the answer is yes;
// and, if that tells more, what stands in the table for yes or no.
type question struct {
	text  string
	probe func(url string) (yes bool, more string, err error)
	clash bool // it is for that server
}

// ask asks the server with default options, and if the answer is no the one with
// those that would help.
func (q *question) ask(s *servers) (string, error) {
	if q.clash {
		yes, more, err := q.probe(s.clash)
		return cell(yes, more), err
	}
	type answer struct {
		yes  bool
		more string
		err  error
	}
	both := make([]answer, 2)
	var wg sync.WaitGroup
	for i, url := range []string{s.plain, s.full} {
		wg.Go(func() {
			a := &both[i]
			a.yes, a.more, a.err = q.probe(url)
		})
	}
	wg.Wait()
	for _, a := range both {
		if a.err != nil {
			return "", a.err
		}
	}
	if !both[0].yes && both[1].yes {
		return "option", nil
	}
	return cell(both[0].yes, both[0].more), nil
}

func cell(yes bool, more string) string {
	switch {
	case more != "":
		return more
	case yes:
		return "yes"
	}
	return "no"
}

// hasClient looks for what its clients connect with.
func hasClient(t *testing.T, p *peer) string {
	out, err := exec.Command("go", "doc", p.module, p.dial).CombinedOutput()
	switch {
	case err == nil:
		return "yes"
	case !strings.Contains(string(out), "no symbol "+p.dial):
		t.Errorf("go doc: %v: %s", err, out)
	}
	return "no"
}

// modules counts those that come with the library.
func modules(t *testing.T, p *peer) string {
	const format = "{{with .Module}}{{.Path}}{{end}}"
	out, err := exec.Command("go", "list", "-deps", "-f", format, p.module).Output()
	if err != nil {
		t.Fatal(err)
	}
	paths := strings.Fields(string(out))
	slices.Sort(paths)
	paths = slices.Compact(paths)
	if !slices.Contains(paths, p.module) {
		t.Fatalf("%s does not need itself: %q", p.module, paths)
	}
	return strconv.Itoa(len(paths) - 1)
}

// size writes a number of bytes for people.
func size(n int) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
