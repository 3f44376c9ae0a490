package interop

import (
	"debug/buildinfo"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "write the tables of documents in place of comparing them")

// A peer is a library that has an echo server in the folder peers.
type peer struct {
	name    string // in tables
	server  string // the command peers takes this, or it is a script
	module  string // of Go
	dial    string // what its clients connect with
	version func(*testing.T, *peer) string
}

var (
	airlockPeer = peer{"Airlock", "airlock", "github.com/airlock-go/websocket", "Dial", thisTree}
	goPeers     = []peer{
		{"gorilla", "gorilla", "github.com/gorilla/websocket", "Dialer.Dial", moduleVersion},
		{"coder", "coder", "github.com/coder/websocket", "Dial", moduleVersion},
		{"gobwas", "gobwas", "github.com/gobwas/ws", "Dial", moduleVersion},
		{"gws", "gws", "github.com/lxzan/gws", "NewClient", moduleVersion},
	}
	scriptPeers = []peer{
		{"ws (node)", "echo_ws.mjs", "", "", nodeVersion},
		{"websockets (Python)", "echo_websockets.py", "", "", pythonVersion},
	}
)

// buildPeers builds the command, once.
var buildPeers = sync.OnceValues(func() (string, error) {
	file := programs + "peers"
	build := exec.Command("go", "build", "-o", file, "./peers")
	build.Stderr = os.Stderr
	return file, build.Run()
})

func peersProgram(t *testing.T) string {
	t.Helper()
	file, err := buildPeers()
	if err != nil {
		t.Fatalf("./peers was not built: %v", err)
	}
	return file
}

// start starts the server, and returns its URL.
func (p *peer) start(t *testing.T, flags ...string) (url string) {
	t.Helper()
	var cmd *exec.Cmd
	switch {
	case strings.HasSuffix(p.server, ".mjs"):
		cmd = exec.Command("node", "peers/"+p.server)
	case strings.HasSuffix(p.server, ".py"):
		cmd = exec.Command(installed(t, "/usr/bin/python3"), "peers/"+p.server)
	default:
		cmd = exec.Command(peersProgram(t), append(flags, p.server)...)
	}
	return start(t, cmd).await(`listening on (\S+)\n`)[1]
}

func thisTree(*testing.T, *peer) string { return "this tree" }

// moduleVersion returns what is linked into the command.
func moduleVersion(t *testing.T, p *peer) string {
	t.Helper()
	info, err := buildinfo.ReadFile(peersProgram(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, dep := range info.Deps {
		if dep.Path == p.module {
			return dep.Version
		}
	}
	t.Fatalf("%s is not in ./peers", p.module)
	return ""
}

func nodeVersion(t *testing.T, _ *peer) string {
	t.Helper()
	text, err := os.ReadFile(installed(t, "node_modules/ws/package.json"))
	if err != nil {
		t.Fatal(err)
	}
	var about struct{ Version string }
	if err := json.Unmarshal(text, &about); err != nil {
		t.Fatal(err)
	}
	return about.Version
}

func pythonVersion(t *testing.T, _ *peer) string {
	t.Helper()
	out, err := exec.Command(installed(t, "/usr/bin/python3"), "-c", "import websockets.version as v; print(v.version)").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// markdown draws a table; all columns but the first are centred.
func markdown(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			b.WriteString("|---|" + strings.Repeat(":-:|", len(row)-1) + "\n")
		}
	}
	return b.String()
}

// compareBlock compares text with what stands in a file between two lines, or
// puts it there.
func compareBlock(t *testing.T, file, begin, end, text string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(content), begin+"\n")
	was, after, ok2 := strings.Cut(rest, end+"\n")
	if !ok || !ok2 {
		t.Fatalf("%s has no lines %s and %s", file, begin, end)
	}
	switch {
	case was == text:
	case !*update:
		t.Errorf("%s has\n%s\nwhere there ought to be\n%s\n-update writes it", file, was, text)
	default:
		if err := os.WriteFile(file, []byte(before+begin+"\n"+text+end+"\n"+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
