package main

import (
	"fmt"
	"os"
	"strings"
)

// What is measured stands between these lines of a document.
const (
	blockBegin = "<!-- measured -->\n"
	blockEnd   = "<!-- end of what was measured -->\n"
)

// rewrite replaces what stands between the lines of a document by what measure
// returns. A document that has no such lines is found before it measures.
func rewrite(file string, measure func() (string, error)) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if _, err := replaceBlock(string(b), ""); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	block, err := measure()
	if err != nil {
		return err
	}
	text, err := replaceBlock(string(b), block)
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text), 0o644)
}

func replaceBlock(text, block string) (string, error) {
	head, rest, begins := strings.Cut(text, blockBegin)
	old, tail, ends := strings.Cut(rest, blockEnd)
	if !begins || !ends || strings.Contains(old+tail, blockBegin) || strings.Contains(tail, blockEnd) {
		return "", fmt.Errorf("want the lines %q and %q once, in this order", strings.TrimSpace(blockBegin), strings.TrimSpace(blockEnd))
	}
	return head + blockBegin + "\n" + block + "\n" + blockEnd + tail, nil
}
