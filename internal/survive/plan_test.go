package main

import (
	"strings"
	"testing"
	"time"
)

// aPlan is one for tests.
func aPlan() *plan {
	return &plan{Mode: "serve", Connections: 100, For: 10 * time.Second, Rate: 1000, Patience: time.Second, Seed: 42}
}

func TestParsePlan(t *testing.T) {
	for _, tt := range []struct{ args, wrong string }{
		{"", ""},
		{"-connections 15000 -for 3m -mode serve -seed 7", ""},
		{"-mode fast", "no mode"},
		{"-connections 0", "too small"},
		{"-connections 2000000", "too large"},
		{"-for 0s", "too small"},
		{"-rate -1", "too small"},
		{"-patience 0s", "too small"},
		{"more", "unexpected argument"},
		{"-unknown", "not defined"},
	} {
		var out strings.Builder
		_, err := parsePlan(strings.Fields(tt.args), &out)
		if tt.wrong == "" && err != nil || tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong)) {
			t.Errorf("%q: got %v, want %q", tt.args, err, tt.wrong)
		}
	}
}
