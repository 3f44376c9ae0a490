//go:build !unix

package netpoll

import (
	"errors"
	"syscall"
)

// Direct reports whether there are Read, ReadBuffer and Write on this system.
const Direct = false

// Read returns errors.ErrUnsupported.
func Read(syscall.RawConn, []byte) (int, error) { return 0, errors.ErrUnsupported }

// ReadBuffer returns errors.ErrUnsupported.
func ReadBuffer(syscall.RawConn, Buffer, bool) ([]byte, int, error) {
	return nil, 0, errors.ErrUnsupported
}

// Write writes nothing.
func Write(syscall.RawConn, []byte) int { return 0 }
