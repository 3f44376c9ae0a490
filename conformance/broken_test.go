package conformance

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var update = flag.Bool("update", false, "write the files in testdata")

const (
	brokenFile    = "testdata/broken.txt"
	brokenIntro   = "# What each wrong server spoils, and how badly. Each line has to make sense.\n# Written by: go test ./conformance -run TestServers -update\n"
	unfailedFile  = "testdata/unfailed.txt"
	unfailedIntro = "# The cases that come out no worse with any wrong server, but for those that spoil nearly everything.\n# Written by: go test ./conformance -run TestServers -update\n"
)

// TestServers: the reference server passes, others that are right fail nothing,
// and each that is wrong is found, by just the cases that ought to.
func TestServers(t *testing.T) {
	good, asked := playRight(t)
	want := readSections(t)
	found := make(map[*quirk]finding)
	var mu sync.Mutex
	t.Run("quirk", func(t *testing.T) {
		for _, q := range allQuirks {
			t.Run(q.text, func(t *testing.T) {
				t.Parallel()
				cases := worthwhile(q, asked[q])
				spoilt := make(map[string]Verdict)
				for _, r := range play(t, cases, func(*Case) reference { return reference{quirk: q} }) {
					if q.allowed && r.Verdict == Fail {
						complain(t, r)
					}
					if r.Verdict > good[r.ID] {
						spoilt[r.ID] = r.Verdict
					}
				}
				if q.allowed {
					return
				}
				if len(spoilt) == 0 {
					t.Errorf("no case notices")
				}
				lines := describeSpoilt(cases, spoilt, good)
				if lines != want[q.text] && !*update {
					t.Errorf("got\n%swant\n%s", lines, want[q.text])
				}
				mu.Lock()
				defer mu.Unlock()
				found[q] = finding{spoilt, lines}
			})
		}
	})
	compareAll(t, found, want)
}

// worthwhile leaves out cases that would say nothing new: if a mistake makes a
// difference nearly everywhere, those with compression.
func worthwhile(q *quirk, asked []*Case) []*Case {
	if q.allowed || len(asked) < len(Cases())/2 {
		return asked
	}
	return slices.DeleteFunc(slices.Clone(asked), func(c *Case) bool { return c.offer != "" })
}

// play plays cases, each against a server of its own, in a bubble: the patience
// that a mistake costs is no time.
func play(t *testing.T, cases []*Case, server func(*Case) reference) []Result {
	results := make([]Result, len(cases))
	synctest.Test(t, func(t *testing.T) {
		for i, c := range cases {
			to, err := newTarget(t.Context(), &Options{URL: "ws://reference/"})
			if err != nil {
				t.Fatal(err)
			}
			to.dialer, to.giveUp = server(c).dial, func(error) {}
			results[i] = c.run(to)
		}
		time.Sleep(2 * goneAfter) // the clock stands still when this function returns
	})
	return results
}

func complain(t *testing.T, r Result) {
	t.Errorf("%v: %s (%s): %s\n%s\n%s", r.Verdict, r.ID, r.Chop, r.Note, r.Source, dialogueText(r.Dialogue))
}

// limit is how many bytes a case may send to be played against servers with the
// quirk: not many, if the mistake has nothing to do with the size of messages.
func (q *quirk) limit() int {
	if q.size {
		return 6 << 20
	}
	return 160 << 10
}

func (c *Case) sends() (n int) {
	for _, s := range c.steps {
		if s.send != nil {
			n += s.times * (s.send.payload.size() + s.send.raw.size())
		}
	}
	return n
}

// playRight returns what the reference server achieves, and the cases in which
// it came to a point where a quirk makes a difference.
func playRight(t *testing.T) (good map[string]Verdict, asked map[*quirk][]*Case) {
	good = make(map[string]Verdict)
	asked = make(map[*quirk][]*Case)
	var mu sync.Mutex
	server := func(c *Case) reference {
		return reference{asked: func(q *quirk) {
			mu.Lock()
			defer mu.Unlock()
			if !slices.Contains(asked[q], c) && c.sends() <= q.limit() {
				asked[q] = append(asked[q], c)
			}
		}}
	}
	names, _ := Groups()
	t.Run("right", func(t *testing.T) {
		for _, name := range names {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				group := slices.DeleteFunc(slices.Clone(Cases()), func(c *Case) bool { return c.Group != name || c.sends() > largestCase })
				for _, r := range play(t, group, server) {
					if r.Verdict > Informational {
						complain(t, r)
					}
					mu.Lock()
					good[r.ID] = r.Verdict
					mu.Unlock()
				}
			})
		}
	})
	return good, asked
}

// compareAll looks at what all servers together have found.
func compareAll(t *testing.T, found map[*quirk]finding, want map[string]string) {
	text := brokenIntro
	for _, q := range allQuirks {
		if q.allowed {
			continue
		}
		f, ok := found[q]
		if !ok {
			return // -run has chosen some
		}
		delete(want, q.text)
		text += "\n== " + q.text + "\n" + f.lines
	}
	unfailed := unfailedIntro + strings.Join(neverFailed(t, found), "")
	if *update {
		writeFile(t, brokenFile, text)
		writeFile(t, unfailedFile, unfailed)
		return
	}
	for text := range want {
		t.Errorf("%s has %q, and there is no such server", brokenFile, text)
	}
	if want := readFile(t, unfailedFile); unfailed != want {
		t.Errorf("no server fails\n%swant\n%s", unfailed, want)
	}
}

// A finding is what a wrong server has spoilt, as verdicts by ID and as text.
type finding struct {
	spoilt map[string]Verdict
	lines  string
}

// nearlyAll reports whether a server spoils so much that it says nothing about
// any one case.
func nearlyAll(spoilt map[string]Verdict) bool { return len(spoilt) > len(Cases())/3 }

// describeSpoilt has a line for each case that came out worse than it does with
// the right server. When those are more than the others, it has the others.
func describeSpoilt(played []*Case, spoilt, good map[string]Verdict) string {
	count := make(map[Verdict]int)
	for _, v := range spoilt {
		count[v]++
	}
	var b strings.Builder
	usual := Verdict(-1)
	if len(spoilt) > 20 && len(spoilt) > len(played)/2 {
		usual = slices.MaxFunc(Verdicts, func(v, w Verdict) int { return cmp.Compare(count[v], count[w]) })
		fmt.Fprintf(&b, "%v all the %d cases but\n", usual, len(played))
	}
	for _, c := range Cases() {
		v, ok := spoilt[c.ID()]
		if !ok && usual >= 0 && slices.Contains(played, c) {
			v, ok = good[c.ID()], true
		}
		if ok && v != usual {
			fmt.Fprintf(&b, "%v %s\n", v, c.ID())
		}
	}
	return b.String()
}

// neverFailed returns lines for the cases that come out the same with all
// servers. Servers that spoil most of them do not count, since they say nothing
// about any one case. Of every group some case has to fail.
func neverFailed(t *testing.T, found map[*quirk]finding) (lines []string) {
	noticed, failed := make(map[string]bool), make(map[string]bool)
	group := make(map[string]string)
	for _, c := range Cases() {
		group[c.ID()] = c.Group
	}
	for _, f := range found {
		if nearlyAll(f.spoilt) {
			continue
		}
		for id, v := range f.spoilt {
			noticed[id] = true
			failed[group[id]] = failed[group[id]] || v == Fail
		}
	}
	for _, c := range Cases() {
		if !noticed[c.ID()] {
			lines = append(lines, c.ID()+"\n")
		}
	}
	names, _ := Groups()
	for _, name := range names {
		if !failed[name] {
			t.Errorf("no server fails a case of the group %s", name)
		}
	}
	return lines
}

// readSections returns what brokenFile has, by the text of the defect.
func readSections(t *testing.T) map[string]string {
	sections := make(map[string]string)
	if *update {
		return sections
	}
	for i, section := range strings.Split(readFile(t, brokenFile), "\n== ") {
		if text, lines, _ := strings.Cut(section, "\n"); i > 0 {
			sections[text] = strings.TrimSuffix(lines, "\n") + "\n"
		}
	}
	return sections
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("%v; -update writes it", err)
	}
	return string(b)
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}
