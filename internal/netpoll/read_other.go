//go:build !unix

package netpoll

import (
	"errors"
	"syscall"
)

// CanRead reports whether there are Read and ReadBuffer on this system.
const CanRead = false

// Read returns errors.ErrUnsupported.
func Read(syscall.RawConn, []byte) (int, error) { return 0, errors.ErrUnsupported }

// ReadBuffer returns errors.ErrUnsupported.
func ReadBuffer(syscall.RawConn, Buffer, bool) ([]byte, int, error) {
	return nil, 0, errors.ErrUnsupported
}
