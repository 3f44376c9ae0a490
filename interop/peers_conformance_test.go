package interop

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/airlock-go/websocket/conformance"
)

// TestConformance plays the suite against every peer, and holds the tables of
// docs/conformance.md against what came of it.
func TestConformance(t *testing.T) {
	const document = "../docs/conformance.md"
	tables := conformanceTables(t, "together")
	if text, err := os.ReadFile(document); err == nil && !*update && !strings.Contains(string(text), tables) {
		// A server that was late because the others kept the machine busy is
		// not late when it has the machine to itself.
		tables = conformanceTables(t, "one by one")
	}
	compareBlock(t, document, "<!-- verdicts of the peers -->", "<!-- end of the verdicts -->", tables)
}

// conformanceTables plays everything, together or one by one.
func conformanceTables(t *testing.T, how string) string {
	servers := slices.Concat([]peer{airlockPeer}, goPeers, scriptPeers)
	reports := make([]*conformance.Report, len(servers))
	ok := t.Run(how, func(t *testing.T) {
		for i, p := range servers {
			t.Run(p.name, func(t *testing.T) {
				if how == "together" {
					t.Parallel()
				}
				// What keeps a server busy, or the suite, must not make it late in
				// another case, and a script has one thread.
				o := conformance.Options{URL: p.start(t, "-full"), Parallel: 4}
				if p.module == "" {
					o.Parallel = 2
				}
				report, err := conformance.Run(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				reports[i] = report
			})
		}
	})
	if !ok {
		t.FailNow()
	}
	return verdictTable(t, servers, reports) + "\nOf these failures each group has so many:\n\n" + groupTable(servers, reports)
}

// verdictTable has a row for each server.
func verdictTable(t *testing.T, servers []peer, reports []*conformance.Report) string {
	head := []string{"server", "version"}
	for _, v := range conformance.Verdicts {
		head = append(head, v.String())
	}
	rows := [][]string{head}
	for i, p := range servers {
		row := []string{p.name, p.version(t, &p)}
		counts := reports[i].Count()
		for _, v := range conformance.Verdicts {
			row = append(row, number(counts[v]))
		}
		rows = append(rows, row)
	}
	return markdown(rows)
}

// groupTable has a row for each group, with failures.
func groupTable(servers []peer, reports []*conformance.Report) string {
	head := []string{"group", "cases"}
	for _, p := range servers {
		head = append(head, p.name)
	}
	rows := [][]string{head}
	names, parts := reports[0].Groups()
	for _, name := range names {
		row := []string{name, number(len(parts[name].Results))}
		for _, report := range reports {
			_, parts := report.Groups()
			row = append(row, number(parts[name].Count()[conformance.Fail]))
		}
		rows = append(rows, row)
	}
	return markdown(rows)
}

func number(n int) string {
	if n == 0 {
		return "·"
	}
	return strconv.Itoa(n)
}
