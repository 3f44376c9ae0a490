package main

import (
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Who is in a workload.
const (
	waits    = entered + " fasthttp"
	framed   = waits + polled
	everyone = framed + floors
	entered  = "airlock airlock-serve gorilla gorilla-tuned coder gobwas gobwas-raw gws gws-server xnet"
	detached = "airlock airlock-serve gorilla gorilla-tuned coder gobwas gws hijack-only" + polled
	paged    = detached + " xnet"
	queues   = "airlock airlock-serve gws gws-server" + polled
	prepared = "airlock airlock-serve gorilla gorilla-tuned gobwas gobwas-raw gws gws-server"
	inflates = "airlock airlock-serve gorilla gorilla-tuned coder gobwas gws gws-server"
	deflates = inflates + " fasthttp" + polled
	keeps    = "airlock airlock-serve coder gws gws-server"
	limits   = "airlock airlock-serve gws gws-server" + polled
	polled   = " airlock-poller"
	plugged  = " airlock-klauspost"
	floors   = " hijack-only raw-tcp"
	carried  = "airlock airlock-tls airlock-http2"
)

// tiny settings show that everything works, and nothing else.
var tiny = settings{Rounds: 2, WeighIns: 1, Slice: 10 * time.Millisecond, MicroSlice: time.Millisecond, Idle: 10, Busy: 10}

// TestWorkloads runs a case or two of each workload, with servers and loads in
// processes of their own, and looks for all figures in the tables.
func TestWorkloads(t *testing.T) {
	workloads := []struct{ workload, name, libs string }{
		{"handshake", "plain", everyone},
		{"handshake", "offers", framed},
		{"echo", "64B", everyone},
		{"echo", "1MiB", everyone},
		{"echo", "64B pipelined 64", everyone},
		{"upgrade", "plain", entered + " hijack-only"},
		{"upgrade", "offers", entered + " hijack-only"},
		{"upgrade", "then-eof", entered + " hijack-only"},
		{"read", "binary/128B", entered + " (conn.Read) (sum-of-parts) (xor)"},
		{"read", "text/64KiB", entered + " (conn.Read) (sum-of-parts) (utf8.Valid) (xor)"},
		{"read", "utf8/1MiB", entered + " (conn.Read) (sum-of-parts) (utf8.Valid) (xor)"},
		{"write", "binary/1MiB", entered + " (conn.Write) (sum-of-parts)"},
		{"write", "text/1KiB", entered + " (conn.Write) (sum-of-parts)"},
		{"broadcast", "512B to 1000", prepared + " (sum-of-parts)"},
		{"neighbour", "1 of 64", paged},
		{"neighbour", "8 of 64", paged},
		{"stalled", "1KiB to 200", queues},
		{"idle", "blocking", waits + floors},
		{"idle", "detached", detached},
		{"inflate", "no-takeover/1KiB", inflates + plugged},
		{"inflate", "takeover/16KiB", keeps + plugged},
		{"compress", "no-takeover/16KiB", inflates + plugged},
		{"compress", "takeover/1KiB", keeps + plugged},
		{"deflate", "no-takeover/64B", deflates + plugged},
		{"deflate", "takeover/64B by default", keeps + polled + plugged},
		{"deflate", "takeover/512B", keeps + polled + plugged},
		{"deflate", "takeover-4KiB/16KiB", limits + plugged},
		{"deflate-memory", "off", deflates},
		{"deflate-memory", "no-takeover", deflates},
		{"deflate-memory", "takeover", keeps + polled},
		{"deflate-memory", "takeover-4KiB", limits},
		{"http2", "echo/64B", carried},
		{"http2", "echo/16KiB", carried},
		{"http2", "handshake/full", carried},
		{"http2", "handshake/resumed", carried},
		{"http2", "idle/100 a connection", carried},
		{"http2", "idle/detached", "airlock airlock-tls"},
	}
	var names []string
	for _, w := range workloads {
		names = append(names, regexp.QuoteMeta(w.workload+"/"+w.name))
	}
	r := &runner{settings: tiny, libs: libs, match: regexp.MustCompile("^(" + strings.Join(names, "|") + ")$")}
	text, err := r.all()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, w := range workloads {
		for lib := range strings.FieldsSeq(w.libs) {
			n++
			checkFigures(t, r, key{w.workload, w.name, lib})
		}
	}
	if n != len(r.rep.keys) {
		t.Errorf("there are figures for %d libraries in cases, want %d", len(r.rep.keys), n)
	}
	for _, s := range sections {
		if !strings.Contains(text, "\n### "+s.title+"\n") {
			t.Errorf("there is no table %q", s.title)
		}
	}
	for _, title := range []string{"Airlock at a glance", "HTTP/2 at a glance"} {
		if !strings.Contains(text, "\n### "+title+"\n") {
			t.Errorf("there is no table %q", title)
		}
	}
	if strings.Contains(text, "NaN") {
		t.Errorf("something is wrong with\n%s", text)
	}
}

// checkFigures looks for the figures that the tables show.
func checkFigures(t *testing.T, r *runner, k key) {
	t.Helper()
	floor := strings.HasPrefix(k.lib, "(")
	for _, s := range sections {
		if s.workload != k.workload || !strings.HasPrefix(k.name, s.prefix) {
			continue
		}
		for _, c := range s.columns {
			rounds := r.rep.rounds[k][c.metric]
			want := r.Rounds
			switch {
			case k.workload == "idle" || k.workload == "deflate-memory" || strings.HasPrefix(k.name, "idle/"):
				want = r.WeighIns
			case c.metric == "io" && floor:
				want = 0
			}
			if len(rounds) != want {
				t.Errorf("%v: %d rounds of %s, want %d", k, len(rounds), c.metric, want)
			}
			for _, v := range rounds {
				if math.IsNaN(v) || math.IsInf(v, 0) || v <= 0 && (c.metric == "ns" || c.metric == "per_s" || c.metric == "slowdown") {
					t.Errorf("%v: %s is %v", k, c.metric, v)
				}
			}
		}
	}
}

// TestCommand runs the command itself, for a few libraries, with profiles.
func TestCommand(t *testing.T) {
	dir := t.TempDir()
	document := filepath.Join(dir, "document.md")
	if err := os.WriteFile(document, []byte(blockBegin+blockEnd), 0o644); err != nil {
		t.Fatal(err)
	}
	err := cmdAll([]string{"-quick", "-pin=false", "-libs", "airlock,gorilla,gws", "-run", "^echo/1KiB$|^read/text/128B$", "-rounds", "1",
		"-profile", dir, "-write", document})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\n| airlock ", "\n| gorilla ", "\n| echo, 1KiB ", "\n| read, text/128B "} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %q in\n%s", want, b)
		}
	}
	for _, name := range []string{"echo-1KiB-airlock", "echo-1KiB-gorilla", "read-text-128B-airlock", "read-text-128B-gorilla"} {
		if info, err := os.Stat(filepath.Join(dir, name+".pprof")); err != nil || info.Size() == 0 {
			t.Errorf("no profile: %v", err)
		}
	}
	for _, args := range [][]string{
		{"-libs", "nonsense"},
		{"-run", "("},
		{"argument"},
		{"-write", filepath.Join(dir, "nowhere")},
	} {
		if err := cmdAll(args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
