package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestReplaceBlock(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       string // "" for an error
	}{
		{"empty block", "a\n" + blockBegin + blockEnd + "b\n", "a\n" + blockBegin + "\nnew\n\n" + blockEnd + "b\n"},
		{"old block", blockBegin + "old\nlines\n" + blockEnd, blockBegin + "\nnew\n\n" + blockEnd},
		{"no lines", "a\n", ""},
		{"no end", blockBegin + "old\n", ""},
		{"no begin", "old\n" + blockEnd, ""},
		{"wrong order", blockEnd + blockBegin, ""},
		{"two begins", blockBegin + blockBegin + blockEnd, ""},
		{"two ends", blockBegin + blockEnd + blockEnd, ""},
		{"two blocks", blockBegin + blockEnd + blockBegin + blockEnd, ""},
	} {
		got, err := replaceBlock(tt.text, "new\n")
		if got != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("%s: got %q, %v; want %q", tt.name, got, err, tt.want)
		}
		if err == nil {
			if again, err := replaceBlock(got, "new\n"); again != got || err != nil {
				t.Errorf("%s: done again, it is %q, %v", tt.name, again, err)
			}
		}
	}
}

func TestRewrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "document.md")
	read := func() string {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	measure := func() (string, error) { return "new\n", nil }
	if err := rewrite(file, measure); err == nil {
		t.Error("a file that does not exist was rewritten")
	}

	const without = "no block\n"
	if err := os.WriteFile(file, []byte(without), 0o644); err != nil {
		t.Fatal(err)
	}
	err := rewrite(file, func() (string, error) {
		t.Error("measured for a document without a block")
		return "", nil
	})
	if err == nil || read() != without {
		t.Errorf("error %v, document %q", err, read())
	}

	old := "a\n" + blockBegin + "old\n" + blockEnd
	if err := os.WriteFile(file, []byte(old), 0o644); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("failed")
	if err := rewrite(file, func() (string, error) { return "", failed }); !errors.Is(err, failed) || read() != old {
		t.Errorf("after a failure: error %v, document %q", err, read())
	}
	if err := rewrite(file, measure); err != nil {
		t.Error(err)
	}
	if got, want := read(), "a\n"+blockBegin+"\nnew\n\n"+blockEnd; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestPerformanceDocument: the document that the README tells to rewrite can be.
func TestPerformanceDocument(t *testing.T) {
	b, err := os.ReadFile("../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := replaceBlock(string(b), ""); err != nil {
		t.Error(err)
	}
}
