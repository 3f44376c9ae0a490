//go:build !unix

package netpoll

import (
	"errors"
	"syscall"
)

// Read returns errors.ErrUnsupported: without a Poll, nobody reads so.
func Read(syscall.RawConn, []byte) (int, error) { return 0, errors.ErrUnsupported }
