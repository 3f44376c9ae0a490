// Package netpoll tells which of many sockets have something to read, without a
// goroutine for each of them, and reads and writes without waiting.
//
// It lies beside the runtime's own poller, which knows the same sockets: the
// descriptors stay those of the net package, and everything else about them, such
// as deadlines, waiting and closing, is done there.
package netpoll

import "errors"

// ErrNotReady is the error of [Read] when there is nothing to read yet.
var ErrNotReady = errors.New("netpoll: nothing to read yet")

// Buffer is where ReadBuffer gets its buffers, and puts those it had no use for.
type Buffer interface {
	Get() []byte
	Put([]byte)
}

// maxEvents is how many sockets [Poll.Wait] reports at a time.
const maxEvents = 128
