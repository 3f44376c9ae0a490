package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/airlock-go/websocket/internal/wstest"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	wstest.Main(m)
}

// site is a run of the server, as its clients see it.
type site struct {
	t    *testing.T
	url  *url.URL
	dial func() (net.Conn, error)
}

// start runs the program until it has said where it listens. The function
// returned ends it as Ctrl-C does; otherwise it ends with the test.
func start(t *testing.T, args ...string) (site, func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), w)
		w.Close()
	}()
	t.Cleanup(func() {
		stop()
		if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
			t.Errorf("more on standard output: %q, %v", rest, err)
		}
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	b := make([]byte, 100)
	n, err := r.Read(b)
	m := regexp.MustCompile(`^listening on (http://127\.0\.0\.1:\d+/)\n$`).FindSubmatch(b[:n])
	if err != nil || m == nil {
		t.Fatalf("standard output begins with %q, %v", b[:n], err)
	}
	u, err := url.Parse(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return site{t, u, func() (net.Conn, error) { return net.Dial("tcp", u.Host) }}, stop
}

// do sends a request and reads the response, without following redirects.
func (s site) do(method, path string, form url.Values, fields ...string) *http.Response {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url.JoinPath(path).String(), strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		req.Header.Set(name, value)
	}
	resp, err := (&http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return s.dial() },
	}).RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		s.t.Fatal(err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp
}

// login returns the field that a browser sends from then on.
func (s site) login(name string) string {
	s.t.Helper()
	resp := s.do("POST", "login", url.Values{"name": {name}, "password": {password}})
	cookies := resp.Cookies()
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/" || len(cookies) != 1 {
		s.t.Fatalf("login: %s, %v", resp.Status, resp.Header)
	}
	return "Cookie: " + cookies[0].Name + "=" + cookies[0].Value
}

// handshake asks for a socket. Each edit is a field.
func (s site) handshake(edits ...string) (*wstest.Peer, *http.Response) {
	s.t.Helper()
	conn, err := s.dial()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(wstest.Patience))
	request := wstest.Handshake(append([]string{"/ws", "Host: " + s.url.Host}, edits...)...)
	if _, err := io.WriteString(conn, request); err != nil {
		s.t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return wstest.NewPeer(s.t, conn, r), resp
}

// connect is handshake with the expectation that the server lets name in.
func (s site) connect(name, cookie string) *wstest.Peer {
	s.t.Helper()
	p, resp := s.handshake(cookie)
	if resp.StatusCode != http.StatusSwitchingProtocols {
		s.t.Fatalf("handshake: %s", resp.Status)
	}
	if _, hello, err := p.ReadFrame(); err != nil || !strings.HasPrefix(string(hello), "Hello "+name+". ") {
		s.t.Fatalf("greeted with %q, %v", hello, err)
	}
	return p
}

// expectEnd reads the close frame of the server and answers it as a browser
// does.
func expectEnd(p *wstest.Peer, code int, reason string) {
	p.ExpectClose(code, reason)
	p.SendClose(code, "")
	p.ExpectEOF()
	p.Close()
}

func TestHandshake(t *testing.T) {
	s, _ := start(t, "-origins", "https://a.example")
	valid, ended := s.login("Ada"), s.login("Bob")
	s.do("POST", "logout", nil, ended)
	own, foreign := "Origin: http://"+s.url.Host, "Origin: https://b.example"
	for _, tt := range []struct {
		name   string
		fields []string
		status int
	}{
		{"no cookie", []string{own}, 401},
		{"wrong cookie", []string{own, "Cookie: session=ABCDEFGHIJKLMNOPQRSTUVWXYZ"}, 401},
		{"empty cookie", []string{own, "Cookie: session="}, 401},
		{"cookie of another name", []string{own, strings.Replace(valid, "session", "sessions", 1)}, 401},
		{"session that was logged out", []string{own, ended}, 401},
		{"foreign origin", []string{foreign, valid}, 403},
		{"foreign origin without a cookie", []string{foreign}, 403},
		{"own origin", []string{own, valid}, 101},
		{"trusted origin", []string{"Origin: https://a.example", valid}, 101},
		{"no origin", []string{valid}, 101},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, resp := s.handshake(tt.fields...)
			if resp.StatusCode != tt.status {
				t.Errorf("status %s, want %d", resp.Status, tt.status)
			}
			if got := resp.Header.Get("WWW-Authenticate"); (got == challenge) != (tt.status == 401) {
				t.Errorf("WWW-Authenticate is %q", got)
			}
		})
	}
}

func TestConversation(t *testing.T) {
	s, _ := start(t)
	p := s.connect("Ada", s.login(" Ada "))
	p.SendText("Grüße")
	p.ExpectText("Ada: Grüße")
	p.SendClose(1000, "")
	p.ExpectClose(1000, "")
	p.ExpectEOF()
}

// TestLogout: it ends all sockets of the session, and none of another.
func TestLogout(t *testing.T) {
	s, _ := start(t)
	ada, adaElsewhere := s.login("Ada"), s.login("Ada")
	tabs := []*wstest.Peer{s.connect("Ada", ada), s.connect("Ada", ada)}
	other := s.connect("Ada", adaElsewhere)

	resp := s.do("POST", "logout", nil, ada)
	c := resp.Cookies()
	if resp.StatusCode != http.StatusSeeOther || len(c) != 1 || c[0].Name != "session" || c[0].Path != "/" || c[0].MaxAge >= 0 {
		t.Errorf("logout: %s, %v", resp.Status, resp.Header)
	}
	for _, p := range tabs {
		expectEnd(p, 1008, "logged out")
	}
	other.SendText("still here")
	other.ExpectText("Ada: still here")
}

// TestLoginAgain: the session that the browser had is over, and its token is
// not used again.
func TestLoginAgain(t *testing.T) {
	s, _ := start(t)
	cookie := s.login("Ada")
	p := s.connect("Ada", cookie)
	resp := s.do("POST", "login", url.Values{"name": {"Bob"}, "password": {password}}, cookie)
	if c := resp.Cookies(); len(c) != 1 || strings.Contains(cookie, c[0].Value) {
		t.Errorf("login: %s, %v", resp.Status, resp.Header)
	}
	expectEnd(p, 1008, "logged out")
}

func TestShutdown(t *testing.T) {
	s, stop := start(t)
	peers := []*wstest.Peer{s.connect("Ada", s.login("Ada")), s.connect("Bob", s.login("Bob"))}
	stop()
	for _, p := range peers {
		expectEnd(p, 1001, "the server is shutting down")
	}
}

func TestRequests(t *testing.T) {
	s, _ := start(t)
	valid := s.login("Ada")
	form := func(name, password string) url.Values {
		return url.Values{"name": {name}, "password": {password}}
	}
	right := form("Ada", password)
	for _, tt := range []struct {
		name         string
		method, path string
		form         url.Values
		fields       []string
		status       int
		body         string
	}{
		{"form", "GET", "", nil, nil, 200, `action="/login"`},
		{"page", "GET", "", nil, []string{valid}, 200, "Logged in as Ada"},
		{"wrong password", "POST", "login", form("Ada", "barley"), nil, 403, "That is not the password."},
		{"no password", "POST", "login", form("Ada", ""), nil, 403, "That is not the password."},
		{"no name", "POST", "login", form(" ", password), nil, 400, "A name has"},
		{"long name", "POST", "login", form(strings.Repeat("a", 65), password), nil, 400, "A name has"},
		{"name in another encoding", "POST", "login", form("\xe9", password), nil, 400, "A name has"},
		{"large form", "POST", "login", url.Values{"x": {strings.Repeat("a", 5000)}, "name": {"Ada"}, "password": {password}}, nil, 400, "A name has"},
		{"login from another site", "POST", "login", right, []string{"Sec-Fetch-Site: cross-site"}, 403, "cross-origin"},
		{"login from another origin", "POST", "login", right, []string{"Origin: https://b.example"}, 403, "cross-origin"},
		{"logout from another site", "POST", "logout", nil, []string{valid, "Sec-Fetch-Site: cross-site"}, 403, "cross-origin"},
		{"logout by a link", "GET", "logout", nil, []string{valid}, 405, ""},
		{"session", "GET", "session", nil, []string{valid}, 204, ""}, // and so it has survived all of the above
		{"no session", "GET", "session", nil, nil, 401, ""},
		{"logout without a session", "POST", "logout", nil, nil, 303, ""},
		{"no handshake", "GET", "ws", nil, []string{valid}, 426, ""},
		{"icon", "GET", "favicon.ico", nil, nil, 204, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp := s.do(tt.method, tt.path, tt.form, tt.fields...)
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tt.status || !strings.Contains(string(body), tt.body) {
				t.Errorf("status %s, want %d with %q:\n%s", resp.Status, tt.status, tt.body, body)
			}
			if got := resp.Header.Get("WWW-Authenticate"); (got == challenge) != (tt.status == 401) {
				t.Errorf("WWW-Authenticate is %q", got)
			}
			if tt.path == "login" && len(resp.Cookies()) > 0 {
				t.Errorf("a cookie came: %v", resp.Cookies())
			}
		})
	}
}

func TestCookie(t *testing.T) {
	for _, tt := range []struct {
		name, url string
		secure    bool
		want      string
	}{
		{"http", "http://auth.example/", false, "session=TOKEN; Path=/; HttpOnly; SameSite=Lax"},
		{"https", "https://auth.example/", false, "__Host-session=TOKEN; Path=/; HttpOnly; Secure; SameSite=Lax"},
		{"proxy", "http://auth.example/", true, "__Host-session=TOKEN; Path=/; HttpOnly; Secure; SameSite=Lax"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			handler := newServer(t.Context(), config{secure: tt.secure, lifetime: time.Hour}).routes()
			login := httptest.NewRequest("POST", tt.url+"login", strings.NewReader("name=Ada&password="+url.QueryEscape(password)))
			login.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, login)
			cookie := w.Header().Get("Set-Cookie")
			token := regexp.MustCompile(`[A-Z2-7]{26,}`).FindString(cookie)
			if got := strings.Replace(cookie, token, "TOKEN", 1); got != tt.want {
				t.Errorf("Set-Cookie is %q, want %q", got, tt.want)
			}
			status := httptest.NewRequest("GET", tt.url+"session", nil)
			status.Header.Set("Cookie", cookie)
			w = httptest.NewRecorder()
			handler.ServeHTTP(w, status)
			if w.Code != http.StatusNoContent {
				t.Errorf("with this cookie, there is no session: %d", w.Code)
			}
		})
	}
}

func TestPage(t *testing.T) {
	s, _ := start(t)
	nonces := make(map[string]bool)
	for _, cookie := range []string{"Cookie: none=", s.login("<b>Ada</b>")} {
		resp := s.do("GET", "", nil, cookie)
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		body := string(b)
		for name, want := range map[string]string{
			"Content-Type":           "text/html; charset=utf-8",
			"X-Content-Type-Options": "nosniff",
			"Cache-Control":          "no-store",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s is %q", name, got)
			}
		}
		csp := resp.Header.Get("Content-Security-Policy")
		m := regexp.MustCompile(`^default-src 'none'; script-src 'nonce-(\w+)'; style-src 'nonce-(\w+)'; connect-src 'self'; `).FindStringSubmatch(csp)
		if m == nil || m[1] != m[2] || nonces[m[1]] {
			t.Fatalf("Content-Security-Policy is %q", csp)
		}
		nonces[m[1]] = true
		if n := strings.Count(body, ` nonce="`+m[1]+`">`); n == 0 || n != strings.Count(body, "<style")+strings.Count(body, "<script") {
			t.Errorf("%d elements have the nonce:\n%s", n, body)
		}
		if strings.Contains(body, "<b>") {
			t.Error("the name of the user is HTML")
		}
	}
}

// TestExpiry runs the server on fake time.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lifetime = 10 * time.Second
		l := &listener{make(chan net.Conn), make(chan struct{})}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- serve(ctx, config{lifetime: lifetime}, l) }()
		s := site{t, &url.URL{Scheme: "http", Host: "auth.example", Path: "/"}, l.dial}

		began := time.Now()
		cookie := s.login("Ada")
		expectEnd(s.connect("Ada", cookie), 1008, "session expired")
		if lasted := time.Since(began); lasted != lifetime {
			t.Errorf("the session lasted %v, want %v", lasted, lifetime)
		}
		if _, resp := s.handshake(cookie); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("handshake: %s", resp.Status)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// listener gives out connections in memory.
type listener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *listener) dial() (net.Conn, error) {
	server, client := wstest.Pipe(0)
	l.conns <- server
	return client, nil
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	close(l.closed)
	return nil
}

func (l *listener) Addr() net.Addr { return &net.TCPAddr{} }

// TestSessions: nothing is kept of a session that has ended.
func TestSessions(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(s *session, stop context.CancelFunc)
		want error
	}{
		{"expired", func(s *session, _ context.CancelFunc) { <-s.ctx.Done() }, errExpired},
		{"logged out", func(s *session, _ context.CancelFunc) { s.end(errLoggedOut) }, errLoggedOut},
		{"server ended", func(_ *session, stop context.CancelFunc) { stop() }, context.Canceled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				s := &newServer(ctx, config{}).sessions
				token := s.begin(ctx, "Ada", time.Hour)
				ada := s.find(token)
				if ada == nil || ada.user != "Ada" || s.find(token[1:]) != nil {
					t.Fatalf("found %v", ada)
				}
				tt.end(ada, stop)
				if s.find(token) != nil || !errors.Is(context.Cause(ada.ctx), tt.want) {
					t.Errorf("found %v, which ended by %v", s.find(token), context.Cause(ada.ctx))
				}
				synctest.Wait()
				if len(s.byHash) > 0 {
					t.Errorf("%d sessions are left", len(s.byHash))
				}
			})
		})
	}
}

// TestHost: the URL that is printed leads here.
func TestHost(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:8080":    "127.0.0.1",
		"[::1]:8080":        "::1",
		"auth.example:8080": "auth.example",
		":8080":             "localhost",
		"0.0.0.0:8080":      "localhost",
		"[::]:8080":         "localhost",
	} {
		cfg, err := parseFlags([]string{"-addr", addr})
		if got := cfg.host(); got != want || err != nil {
			t.Errorf("host of %s is %q, %v; want %q", addr, got, err, want)
		}
	}
}

func TestBadFlags(t *testing.T) {
	s, _ := start(t)
	for _, args := range [][]string{
		{"-nonsense"},
		{"-lifetime", "0s"},
		{"-lifetime", "long"},
		{"-origins", "nowhere"},
		{"argument"},
		{"-addr", "nowhere"},
		{"-addr", s.url.Host}, // taken
	} {
		var stdout bytes.Buffer
		if err := run(t.Context(), args, &stdout); err == nil || errors.Is(err, flag.ErrHelp) || stdout.Len() > 0 {
			t.Errorf("%q: error %v, standard output %q", args, err, stdout.String())
		}
	}
}
