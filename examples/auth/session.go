package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

// Why a session ends while the server goes on. Its sockets are told the text.
var (
	errLoggedOut = errors.New("logged out")
	errExpired   = errors.New("session expired")
)

// session is somebody who has logged in.
type session struct {
	user string

	// ctx ends with the session: when the user logs out, when the time is up,
	// and with the server. Everything that is done in the name of the user uses
	// it, so nothing outlives the session.
	ctx context.Context
	end context.CancelCauseFunc
}

// sessions are all sessions. It has the hashes of their tokens instead of the
// tokens, so nobody can log in with what leaks from here, and how long a lookup
// takes says nothing about a token.
type sessions struct {
	mu     sync.Mutex
	byHash map[hash]*session
}

type hash = [sha256.Size]byte

// begin begins a session and returns its token, a new one each time: one that
// the browser had before the login could be known to somebody else.
func (s *sessions) begin(ctx context.Context, user string, lifetime time.Duration) string {
	token := rand.Text()
	key := sha256.Sum256([]byte(token))
	ctx, stop := context.WithTimeoutCause(ctx, lifetime, errExpired)
	ctx, end := context.WithCancelCause(ctx)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.byHash[key] = &session{user, ctx, end}
	context.AfterFunc(ctx, func() {
		stop()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.byHash, key)
	})
	return token
}

// find returns the session that token belongs to, or nil.
func (s *sessions) find(token string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.byHash[sha256.Sum256([]byte(token))]
	if found == nil || found.ctx.Err() != nil { // about to be deleted
		return nil
	}
	return found
}
