package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/airlock-go/websocket"
	"github.com/airlock-go/websocket/conformance"
	"github.com/airlock-go/websocket/internal/wstest"
)

func TestMain(m *testing.M) {
	wstest.WithExtendedConnect()
	wstest.Main(m)
}

// echo sends back what answer makes of every message.
func echo(answer func(string) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Upgrade(w, r, &websocket.Options{MaxMessageSize: -1})
		if err != nil {
			return
		}
		defer c.CloseNow()
		for m, err := range c.Messages(context.Background()) {
			if err != nil {
				return
			}
			c.Write(context.Background(), m.Type, []byte(answer(string(m.Data))))
		}
	}
}

func same(s string) string { return s }

// forgetful echoes the question whether anybody is there, and little else.
func forgetful(s string) string {
	if s == "is anybody there?" {
		return s
	}
	return s + "?"
}

// serve starts a server and returns its URL, as ws or wss.
func serve(t *testing.T, h http.Handler, secure bool) (url string) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.EnableHTTP2 = true
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http") + "/"
}

// some returns a pattern for the first n cases about frames, and
// their names.
func some(t *testing.T, n int) (pattern string, names []string) {
	t.Helper()
	var quoted []string
	for _, c := range conformance.Cases() {
		if len(names) < n && c.Group == "framing" {
			names = append(names, c.ID())
			quoted = append(quoted, regexp.QuoteMeta(c.ID()))
		}
	}
	if len(names) < n {
		t.Fatalf("there are only %d cases", len(names))
	}
	return "^(" + strings.Join(quoted, "|") + ")$", names
}

// A ran is what came of the command.
type ran struct {
	status         int
	stdout, stderr string
}

func command(ctx context.Context, args ...string) ran {
	var stdout, stderr bytes.Buffer
	status := run(ctx, args, &stdout, &stderr)
	return ran{status, stdout.String(), stderr.String()}
}

func (r *ran) check(t *testing.T, status int, stdout, stderr string) {
	t.Helper()
	if r.status != status || !strings.Contains(r.stdout, stdout) || !strings.Contains(r.stderr, stderr) {
		t.Errorf("status %d, want %d; stdout, which has to have %q:\n%sstderr, which has to have %q:\n%s",
			r.status, status, stdout, r.stdout, stderr, r.stderr)
	}
	if stderr == "" && r.stderr != "" {
		t.Errorf("stderr: %s", r.stderr)
	}
}

// TestStatus: the exit status is for CI.
func TestStatus(t *testing.T) {
	pattern, names := some(t, 3)
	right, wrong := serve(t, echo(same), false), serve(t, echo(forgetful), false)
	secure, forgetfulHTTP2 := serve(t, echo(same), true), serve(t, echo(forgetful), true)
	for _, tt := range []struct {
		name           string
		args           []string
		status         int
		stdout, stderr string
	}{
		{"right", []string{right}, exitFine, "3 cases in ", ""},
		{"wrong", []string{wrong}, exitFailed, names[0] + "\n", ""},
		{"wrong, and told more", []string{"-v", wrong}, exitFailed, "s > handshake: \"GET / HTTP/1.1", ""},
		{"one at a time", []string{"-parallel", "1", right}, exitFine, "3 cases in ", ""},
		{"tls", []string{"-insecure", secure}, exitFine, "3 cases in ", ""},
		{"http2", []string{"-insecure", "-http2", secure}, exitFine, "3 cases in ", ""},
		{"http2, and told more", []string{"-insecure", "-http2", "-v", forgetfulHTTP2}, exitFailed, "s > handshake: \":method: CONNECT", ""},
		{"a certificate that nobody knows", []string{secure}, exitNothing, "", "-insecure"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := command(t.Context(), append([]string{"-run", pattern}, tt.args...)...)
			got.check(t, tt.status, tt.stdout, tt.stderr)
			if strings.ContainsAny(got.stdout+got.stderr, "\x1b\r") {
				t.Errorf("what is read by no terminal has colours: %q", got.stdout+got.stderr)
			}
		})
	}
}

// TestNothing: where there is nothing to test, the command says what may help.
func TestNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "ws://" + l.Addr().String() + "/"
	l.Close()
	right, secure := serve(t, echo(same), false), serve(t, echo(same), true)
	refuses := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "members only", http.StatusForbidden)
	}), false)
	for _, tt := range []struct {
		name string
		args []string
		want []string // on stderr
	}{
		{"nobody there", []string{nobody}, []string{nobody, "refused", "is the server running"}},
		{"another path", []string{serve(t, http.NotFoundHandler(), false)}, []string{"404", "is this the path"}},
		{"a refusal", []string{refuses}, []string{"403", "members only", "-H adds"}},
		{"no echo", []string{serve(t, echo(strings.ToUpper), false)}, []string{"IS ANYBODY THERE?", "every message back"}},
		{"ws for wss", []string{strings.Replace(secure, "wss", "ws", 1)}, []string{"400", "wss://"}},
		{"wss for ws", []string{strings.Replace(right, "ws", "wss", 1)}, []string{"ws://"}},
		{"HTTP/2 without extended CONNECT", []string{"-http2", withoutConnect(t)}, []string{"does not offer", "GODEBUG=http2xconnect=1"}},
		{"HTTP/2 where there is none", []string{"-http2", right}, []string{"speaks HTTP/1"}},
		{"another scheme", []string{strings.Replace(right, "ws", "http", 1)}, []string{"http://", "ws://localhost:8080/"}},
		{"no URL at all", []string{":"}, []string{`":"`}},
		{"no host", []string{"ws:///"}, []string{"no host"}},
		{"no server", nil, []string{"URL of one server", "-h tells more"}},
		{"two servers", []string{right, right}, []string{"URL of one server"}},
		{"flags behind the URL", []string{right, "-v"}, []string{"before the URL"}},
		{"no such flag", []string{"-nonsense", right}, []string{"-nonsense"}},
		{"no pattern", []string{"-run", "(", right}, []string{"-run"}},
		{"no such case", []string{"-run", "no such case", right}, []string{`"no such case"`, "-list"}},
		{"no field", []string{"-H", "nonsense", right}, []string{"Name: value"}},
		{"a field without a name", []string{"-H", ": x", right}, []string{"Name: value"}},
		{"less than nothing", []string{"-patience", "-1s", right}, []string{"-patience"}},
		{"nothing at a time", []string{"-parallel", "0", right}, []string{"-parallel"}},
		{"a user", []string{strings.Replace(right, "//", "//me:secret@", 1)}, []string{"no user"}},
		{"another place", []string{serve(t, http.RedirectHandler("/elsewhere", http.StatusFound), false)}, []string{"302", "is followed"}},
		{"update what", []string{"-update", right}, []string{"-expect"}},
		{"update some", []string{"-update", "-expect", "x", "-run", "x", right}, []string{"-run"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := command(t.Context(), tt.args...)
			got.check(t, exitNothing, "", "wsconform: ")
			for _, want := range tt.want {
				if !strings.Contains(got.stderr, want) {
					t.Errorf("no word of %q in\n%s", want, got.stderr)
				}
			}
			if got.stdout != "" {
				t.Errorf("stdout: %s", got.stdout)
			}
		})
	}
}

// withoutConnect returns the URL of a server that speaks HTTP/2 as far as that it has
// no settings.
func withoutConnect(t *testing.T) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		io.WriteString(conn, "\x00\x00\x00\x04\x00\x00\x00\x00\x00")
		io.Copy(io.Discard, conn)
	})
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return "ws://" + l.Addr().String() + "/"
}

// TestNames: -list tells what -run would play, and -h how to call.
func TestNames(t *testing.T) {
	pattern, names := some(t, 2)
	got := command(t.Context(), "-list", "-run", pattern)
	got.check(t, exitFine, "", "")
	if want := strings.Join(names, "\n") + "\n"; got.stdout != want {
		t.Errorf("listed:\n%swant:\n%s", got.stdout, want)
	}
	got = command(t.Context(), "-list")
	if n := strings.Count(got.stdout, "\n"); n != len(conformance.Cases()) {
		t.Errorf("%d names of %d", n, len(conformance.Cases()))
	}
	got = command(t.Context(), "-h")
	got.check(t, exitFine, "", "usage: wsconform")
	for _, flag := range []string{"-run regexp", "-list", "-v\t", "-html file", "-json file", "-junit file", "-expect file", "-update", "-insecure", "-H field: value"} {
		if !strings.Contains(got.stderr, flag) {
			t.Errorf("no word of %q in\n%s", flag, got.stderr)
		}
	}
}

// TestHeader: -H goes into every handshake, that of the probe included.
func TestHeader(t *testing.T) {
	pattern, _ := some(t, 1)
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") != "session=1" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		echo(same)(w, r)
	}), false)
	got := command(t.Context(), "-run", pattern, "-H", "Cookie: session=1", url)
	got.check(t, exitFine, "1 case in ", "")
	got = command(t.Context(), "-run", pattern, url)
	got.check(t, exitNothing, "", "who are you?")
}

// TestFiles: all reports hold all cases, and - is standard output.
func TestFiles(t *testing.T) {
	pattern, names := some(t, 3)
	url := serve(t, echo(forgetful), false)
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	got := command(t.Context(), "-run", pattern, "-html", file("html"), "-json", file("json"), "-junit", file("junit"), url)
	got.check(t, exitFailed, "3 cases in ", "")
	for name, before := range map[string]string{"html": `data-id="`, "json": `"id": "`, "junit": `<testcase `} {
		text, err := os.ReadFile(file(name))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), before); n != len(names) {
			t.Errorf("%d cases in %s:\n%s", n, name, text)
		}
	}
	got = command(t.Context(), "-run", pattern, "-json", "-", url)
	got.check(t, exitFailed, "", "3 cases in ")
	var report conformance.Report
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil || len(report.Results) != len(names) {
		t.Errorf("standard output is no report: %v\n%s", err, got.stdout)
	}
	got = command(t.Context(), "-run", pattern, "-html", filepath.Join(dir, "no", "folder"), url)
	got.check(t, exitNothing, "", "folder")
}

// TestExpect: with -expect the verdicts have to be those, good or bad.
func TestExpect(t *testing.T) {
	pattern, names := some(t, 3)
	right, wrong := serve(t, echo(same), false), serve(t, echo(forgetful), false)
	dir := t.TempDir()
	expected := filepath.Join(dir, "expected")
	write := func(t *testing.T, text string) {
		t.Helper()
		if err := os.WriteFile(expected, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	verdicts := func(t *testing.T, url string) string {
		t.Helper()
		var report conformance.Report
		if err := json.Unmarshal([]byte(command(t.Context(), "-run", pattern, "-json", "-", url).stdout), &report); err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		if err := report.Expected(&text); err != nil {
			t.Fatal(err)
		}
		return text.String()
	}
	good, bad := verdicts(t, right), verdicts(t, wrong)
	for _, tt := range []struct {
		name     string
		expected string
		url      string
		status   int
		stdout   string
	}{
		{"good, as expected", good, right, exitFine, "all as expected"},
		{"bad, as expected", bad, wrong, exitFine, "all as expected"},
		{"worse", good, wrong, exitFailed, names[0] + ": fail where pass is expected: "},
		{"better", bad, right, exitFailed, names[0] + ": pass where fail is expected"},
		{"new", strings.SplitAfterN(good, "\n", 2)[1], right, exitFailed, "  " + names[0] + ": pass, and nothing is expected"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			write(t, tt.expected)
			got := command(t.Context(), "-run", pattern, "-expect", expected, tt.url)
			got.check(t, tt.status, tt.stdout, "")
		})
	}
	t.Run("no verdicts", func(t *testing.T) {
		write(t, "splendid "+names[0]+"\n")
		got := command(t.Context(), "-run", pattern, "-expect", expected, right)
		got.check(t, exitNothing, "", "splendid")
	})
	t.Run("no file", func(t *testing.T) {
		got := command(t.Context(), "-run", pattern, "-expect", filepath.Join(dir, "none"), right)
		got.check(t, exitNothing, "", "-update writes it")
	})
	t.Run("updated", func(t *testing.T) {
		cfg := &config{expect: expected, update: true}
		report := &conformance.Report{Results: []conformance.Result{{ID: names[0], Verdict: conformance.NonStrict}}}
		for _, ended := range []string{"", "early"} { // which must not lose what is there
			if report.Ended = ended; ended != "" {
				report.Results = nil
			}
			if err := cfg.write(io.Discard, report); err != nil {
				t.Fatal(err)
			}
			if text, err := os.ReadFile(expected); err != nil || string(text) != "non-strict "+names[0]+"\n" {
				t.Errorf("ended %q: the file is %q (%v)", ended, text, err)
			}
		}
	})
}

// TestEnded: a run that ends early tells so, and what it has found.
func TestEnded(t *testing.T) {
	for _, tt := range []struct {
		name  string
		limit string
		end   func(cancel func(), l net.Listener)
		want  string
	}{
		{"by Ctrl-C", "0", func(cancel func(), _ net.Listener) { cancel() }, "context canceled"},
		{"by a server that died", "0", func(_ func(), l net.Listener) { l.Close() }, "the server is not there any more"},
		// The 16 MiB of some cases alone take longer, one after the other.
		{"by its limit", "1s", func(func(), net.Listener) {}, "the 1s that it may take are over"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var s *httptest.Server
			var handshakes atomic.Int32
			s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if handshakes.Add(1) == 60 {
					tt.end(cancel, s.Listener)
				}
				echo(same)(w, r)
			}))
			defer s.Close()
			file := filepath.Join(t.TempDir(), "json")
			got := command(ctx, "-limit", tt.limit, "-parallel", "1", "-idle", "1ms", "-json", file, "ws"+strings.TrimPrefix(s.URL, "http")+"/")
			got.check(t, exitNothing, " cases in ", tt.want)
			var report conformance.Report
			text, err := os.ReadFile(file)
			if err == nil {
				err = json.Unmarshal(text, &report)
			}
			if n := len(report.Results); err != nil || n == 0 || n == len(conformance.Cases()) || !strings.Contains(report.Ended, tt.want) {
				t.Errorf("%d of %d cases, ended %q (%v)", n, len(conformance.Cases()), report.Ended, err)
			}
			for _, r := range report.Results {
				if r.ID == "" {
					t.Errorf("a case that was not played is reported")
				}
			}
		})
	}
}
