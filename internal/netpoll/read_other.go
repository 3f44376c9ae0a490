//go:build !unix

package netpoll

import (
	"errors"
	"syscall"
)

// Read returns errors.ErrUnsupported: without a Poll, nobody reads so.
func Read(syscall.RawConn, []byte) (int, error) { return 0, errors.ErrUnsupported }

// ReadBuffer returns errors.ErrUnsupported.
func ReadBuffer(syscall.RawConn, Buffer, bool) ([]byte, int, error) {
	return nil, 0, errors.ErrUnsupported
}
