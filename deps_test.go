package websocket_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/airlock-go/websocket"

// ours is what each package may import of this module. Tests may import what
// they test, the public packages, and wstest.
var ours = map[string][]string{
	".":                         {"frame", "internal/deflate", "internal/field", "internal/netpoll", "internal/proto"},
	"frame":                     {},
	"internal/deflate":          {},
	"internal/field":            {},
	"internal/netpoll":          {},
	"internal/proto":            {"frame"},
	"internal/survive":          {".", "frame"},
	"internal/wstest":           {".", "frame"},
	"conformance":               {"frame", "internal/wstest"},
	"conformance/cmd/wsconform": {"conformance"},
	"examples/auth":             {"."},
	"examples/chat":             {"."},
	"examples/echo":             {"."},
}

// pure are the packages without I/O, clock and locks, and what that means.
var (
	pure  = []string{"frame", "internal/field", "internal/proto"}
	world = []string{"net", "net/http", "time", "sync", "sync/atomic", "context", "os", "io", "unsafe"}
)

// TestDependencies holds the architecture: who imports whom, and nothing but
// the standard library anywhere.
func TestDependencies(t *testing.T) {
	seen := make(map[string]bool)
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if _, err := os.Stat(filepath.Join(file, "go.mod")); err == nil && file != "." {
				return filepath.SkipDir // a module of its own
			}
			if strings.HasPrefix(d.Name(), ".") && file != "." || d.Name() == "testdata" {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(file) != ".go" {
			return nil
		}
		pkg := filepath.ToSlash(filepath.Dir(file))
		allowed, known := ours[pkg]
		if !known {
			t.Errorf("%s: package %s has no import rule", file, pkg)
		}
		seen[pkg] = true
		if strings.HasSuffix(file, "_test.go") {
			allowed = append(slices.Clone(allowed), pkg, ".", "frame", "internal/wstest")
		}
		checkImports(t, file, pkg, allowed)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range ours {
		if !seen[pkg] {
			t.Errorf("there is a rule for package %s, which does not exist", pkg)
		}
	}
}

func checkImports(t *testing.T, file, pkg string, allowed []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Error(err)
		return
	}
	for _, spec := range f.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Error(err)
			continue
		}
		test := strings.HasSuffix(file, "_test.go")
		rest, own := strings.CutPrefix(name, module)
		first, _, _ := strings.Cut(name, "/")
		switch {
		case own:
			if rest = path.Clean("./" + rest); !slices.Contains(allowed, rest) {
				t.Errorf("%s imports %s", file, name)
			}
		case strings.Contains(first, "."):
			t.Errorf("%s imports %s, which is not the standard library", file, name)
		case name == "unsafe" || name == "C" || name == "reflect" && !test:
			t.Errorf("%s imports %s", file, name)
		case slices.Contains(pure, pkg) && !test && slices.Contains(world, name):
			t.Errorf("%s imports %s, but package %s has no I/O, clock or locks", file, name, pkg)
		}
	}
}

// TestNothingRequired: "an empty require block, for ever".
func TestNothingRequired(t *testing.T) {
	b, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if word != "" && word != "module" && word != "go" {
			t.Errorf("go.mod has the line %q", strings.TrimSpace(line))
		}
	}
	if _, err := os.Stat("go.sum"); err == nil {
		t.Error("there is a go.sum, so something is required")
	}
}
