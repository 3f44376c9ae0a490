package main

import (
	"slices"
	"testing"
)

func TestCheckClient(t *testing.T) {
	if err := checkClient(); err != nil {
		t.Error(err)
	}
}

func TestChecks(t *testing.T) {
	for _, l := range libs {
		t.Run(l.Name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, c := range checks {
				cell, err := c.run(l)
				if err != nil {
					t.Errorf("%s: %v", c.name, err)
				}
				got = append(got, cell)
			}
			want := []string{"yes", "yes", "yes", "refused", "chat.v2", "no-takeover: permessage-deflate; server_no_context_takeover; client_no_context_takeover, " +
				"takeover: permessage-deflate; client_max_window_bits=15, takeover-4KiB: permessage-deflate; client_max_window_bits=12"}
			if l.Module == libAirlock.Module && !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// TestChecksFail: an entry that claims too much, or too little, is found out.
func TestChecksFail(t *testing.T) {
	noUTF8, utf8, fragments, deflate, framed := libAirlock, libGorilla, libXNet, libXNet, libHijackOnly
	noUTF8.UTF8 = false
	utf8.UTF8 = true
	fragments.Partial = false
	deflate.Deflate = []string{takeover}
	framed.Raw = false
	for _, tt := range []struct {
		name, check string
		lib         *Lib
	}{
		{"checks UTF-8 and does not say so", "bad UTF-8", &noUTF8},
		{"does not check UTF-8 and says so", "bad UTF-8", &utf8},
		{"does not put fragments together", "fragments", &fragments},
		{"does not compress", "answer to permessage-deflate", &deflate},
		{"does not unmask", "echo", &framed},
		{"does not negotiate", "subprotocol", &framed},
		{"does not answer pings", "ping", &framed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, c := range checks {
				if c.name != tt.check {
					continue
				}
				cell, err := c.run(tt.lib)
				if err == nil {
					t.Errorf("passed with %q", cell)
				}
				return
			}
			t.Fatalf("no check %q", tt.check)
		})
	}
}

func TestPickLibs(t *testing.T) {
	if ls, err := pickLibs(""); err != nil || len(ls) != len(libs) {
		t.Errorf("without names: %d libraries, %v", len(ls), err)
	}
	ls, err := pickLibs("raw-tcp,airlock")
	if err != nil || len(ls) != 2 || ls[0] != &libRawTCP || ls[1] != &libAirlock {
		t.Errorf("two names: %v, %v", ls, err)
	}
	if _, err := pickLibs("airlock,nonsense"); err == nil {
		t.Error("a name that there is not was found")
	}
}

func TestVersions(t *testing.T) {
	for _, l := range libs {
		if v := l.version(); v == "?" || (v == "-") != l.Raw {
			t.Errorf("%s has version %q", l.Name, v)
		}
	}
}
