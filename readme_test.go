package websocket_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSnippets: Go code in the documents stands in the examples too, where the
// compiler sees it.
func TestSnippets(t *testing.T) {
	examples := squeeze(readDoc(t, "example_test.go"))
	n := 0
	for _, file := range documents(t) {
		for _, m := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(readDoc(t, file), -1) {
			n++
			if !strings.Contains(examples, squeeze(m[1])) {
				t.Errorf("%s has a snippet that is not in example_test.go:\n%s", file, m[1])
			}
		}
	}
	// The package documentation shows the same handler.
	var code strings.Builder
	for line := range strings.Lines(readDoc(t, "doc.go")) {
		if line, ok := strings.CutPrefix(line, "//\t"); ok {
			code.WriteString(line)
		}
	}
	if !strings.Contains(examples, squeeze(code.String())) {
		t.Error("the handler in doc.go is not in example_test.go")
	}
	if n == 0 {
		t.Error("no snippets were found")
	}
}

// squeeze makes white space the same everywhere.
func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// TestLinks: what the documents link to in the repository exists.
func TestLinks(t *testing.T) {
	for _, file := range documents(t) {
		for _, m := range regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`).FindAllStringSubmatch(readDoc(t, file), -1) {
			target := m[1]
			if strings.Contains(target, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), target)); err != nil {
				t.Errorf("%s links to %s, which does not exist", file, target)
			}
		}
	}
}

// TestCommands: the two commands of the README are those that CI runs.
func TestCommands(t *testing.T) {
	readme := readDoc(t, "README.md")
	for _, command := range []string{"go run ./examples/chat", "go test ./..."} {
		if !strings.Contains(readme, "\n    "+command+"\n") {
			t.Errorf("README.md does not have the command %q", command)
		}
	}
	first := regexp.MustCompile(`(?m)^go .*$`).FindString(readDoc(t, ".ci/run"))
	if first != "go test ./..." {
		t.Errorf(".ci/run first calls %q", first)
	}
}

func documents(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"*.md", "docs/*.md", "*/README.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	return files
}
