package websocket

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// stalled is a transport to the kernel whose peer takes a byte now and then, and
// in the end none.
type stalled struct {
	stream
	deadline time.Time
	taken    int // bytes that are still taken, each as soon as a Write begins
}

func (s *stalled) Direct() bool { return true }

func (s *stalled) SetWriteDeadline(t time.Time) error {
	s.deadline = t
	return nil
}

func (s *stalled) Write([]byte) (n int, err error) {
	time.Sleep(time.Until(s.deadline))
	if s.taken > 0 {
		s.taken--
		n = 1
	}
	return n, os.ErrDeadlineExceeded
}

func (s *stalled) WriteBuffers(b *net.Buffers) (int64, error) {
	n, err := s.Write(nil)
	(*b)[0] = (*b)[0][n:]
	return int64(n), err
}

// TestWriteStalled: who stops taking anything is given up after WriteTimeout,
// and a part of it at most, though nobody knows when the last byte was taken.
func TestWriteStalled(t *testing.T) {
	const limit = 8 * time.Second
	for _, tt := range []struct {
		name string
		size int
	}{{"in one piece", 1000}, {"in several slices", 1 << 20}} {
		for _, taken := range []int{0, 1, 5} {
			t.Run(tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					client, conn := net.Pipe()
					defer client.Close()
					s := &stalled{stream: newHijacked(conn, nil), taken: taken}
					c := newConn(s, decision{}, &Options{WriteTimeout: limit, KeepAlive: -1})
					begun := time.Now()
					err := c.Write(t.Context(), Binary, make([]byte, tt.size))
					if !errors.Is(err, ErrWriteTimeout) {
						t.Errorf("got %v", err)
					}
					most := limit + limit/writeSlices*time.Duration(taken)
					most += most / 4
					if took := time.Since(begun); took < limit || took > most {
						t.Errorf("took %v with %d bytes taken, want %v to %v", took, taken, limit, most)
					}
				})
			})
		}
	}
}
