package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocument: docs/scaling.md shows what the page does, and has the numbers that are
// so.
func TestDocument(t *testing.T) {
	b, err := os.ReadFile("../../docs/scaling.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b)
	snippets := regexp.MustCompile("(?s)```js\n(.*?)```").FindAllStringSubmatch(doc, -1)
	if len(snippets) != 1 || !strings.Contains(page, snippets[0][1]) {
		t.Errorf("the document has %d snippets, or one that is not the page's", len(snippets))
	}
	text := strings.Join(strings.Fields(doc), " ")
	for _, want := range []string{
		fmt.Sprintf("the ids of the last %.0f minutes", duplicates.Minutes()),
		fmt.Sprintf("the last %d,%03d messages", historySize/1000, historySize%1000),
		fmt.Sprintf("Nodes try for %.0f seconds", publishTimeout.Seconds()),
		fmt.Sprintf("every %.0f seconds anyway", beat.Seconds()),
		fmt.Sprintf("not heard for %.0f seconds", silence.Seconds()),
		fmt.Sprintf("every %.0f seconds, and the page gives up after 30.", lifeSigns.Seconds()),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the document does not have %q", want)
		}
	}
}
