//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package netpoll

import (
	"errors"
	"syscall"
)

// Poll is a set of sockets, which there is not on this system.
type Poll struct{}

// Open returns errors.ErrUnsupported.
func Open() (*Poll, error) { return nil, errors.ErrUnsupported }

// Add returns errors.ErrUnsupported.
func (*Poll) Add(syscall.RawConn, uint64) error { return errors.ErrUnsupported }

// Wait returns errors.ErrUnsupported.
func (*Poll) Wait(tokens []uint64) ([]uint64, error) { return tokens, errors.ErrUnsupported }

// Close returns errors.ErrUnsupported.
func (*Poll) Close() error { return errors.ErrUnsupported }
