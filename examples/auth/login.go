package main

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"fmt"
	"html/template"
	"log"
	"net/http"
	"strings"
	"unicode/utf8"
)

// password is everybody's, and the form says so.
const password = "sesame"

// challenge goes with every 401, as RFC 9110, section 15.5.2, wants it, though
// it knows no scheme for cookies. One that browsers do not know either does no
// harm, whereas Basic has them ask for a password that nobody has.
const challenge = `Cookie realm="auth example"`

func (s *server) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	name := strings.TrimSpace(r.PostFormValue("name"))
	switch {
	case name == "" || len(name) > 64 || !utf8.ValidString(name):
		showPage(w, http.StatusBadRequest, view{Name: name, Problem: "A name has 1 to 64 bytes."})
		return
	case !samePassword(r.PostFormValue("password"), password):
		log.Printf("%s: wrong password for %q", r.RemoteAddr, name)
		showPage(w, http.StatusForbidden, view{Name: name, Problem: "That is not the password."})
		return
	}
	if old := s.sessionOf(r); old != nil {
		old.end(errLoggedOut)
	}
	http.SetCookie(w, s.cookie(r, s.sessions.begin(s.ctx, name, s.lifetime)))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// samePassword takes equally long for every guess: ConstantTimeCompare does so
// for arguments of one length, which hashes are.
func samePassword(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// logout ends the session, and with it all its sockets, in whatever tab they are.
func (s *server) logout(w http.ResponseWriter, r *http.Request) {
	if session := s.sessionOf(r); session != nil {
		session.end(errLoggedOut)
	}
	cookie := s.cookie(r, "")
	cookie.MaxAge = -1
	http.SetCookie(w, cookie)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// status tells the page whether there is a session, because a browser does not
// tell it why a handshake has failed.
func (s *server) status(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if s.sessionOf(r) == nil {
		w.Header().Set("WWW-Authenticate", challenge)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// cookie returns the cookie with the token of a session. Scripts cannot read it
// (HttpOnly), and other sites cannot have it sent, except with a link that opens
// the page (SameSite=Lax). For a browser, though, all ports of a host and all
// subdomains of a domain are one site, so Origin is checked as well.
func (s *server) cookie(r *http.Request, token string) *http.Cookie {
	c := &http.Cookie{Name: "session", Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if s.secure || r.TLS != nil {
		c.Secure = true
		c.Name = "__Host-session" // so no subdomain can set it, nor anybody by http
	}
	return c
}

// sessionOf returns the session whose cookie came with r, or nil.
func (s *server) sessionOf(r *http.Request) *session {
	cookie, err := r.Cookie(s.cookie(r, "").Name)
	if err != nil {
		return nil
	}
	return s.sessions.find(cookie.Value)
}

// home shows the page, or the form to those who have to log in.
func (s *server) home(w http.ResponseWriter, r *http.Request) {
	var v view
	if session := s.sessionOf(r); session != nil {
		v.User = session.user
	}
	showPage(w, http.StatusOK, v)
}

// view is what differs from page to page.
type view struct {
	User            string // empty: show the form
	Name, Problem   string // the last attempt to log in, and what was wrong with it
	Password, Nonce string // showPage sets them
}

//go:embed page.html
var source string

var page = template.Must(template.New("page").Parse(source))

// Nothing runs on the page but what bears the nonce of this response, and it
// connects to nothing but this server: 'self' includes ws and wss. The only image
// is the icon that browsers ask for.
const policy = "default-src 'none'; script-src 'nonce-%[1]s'; style-src 'nonce-%[1]s'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

func showPage(w http.ResponseWriter, status int, v view) {
	v.Password, v.Nonce = password, rand.Text()
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", fmt.Sprintf(policy, v.Nonce))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store") // it is another page before and after the login
	w.WriteHeader(status)
	if err := page.Execute(w, v); err != nil {
		log.Print(err) // the browser has gone
	}
}
