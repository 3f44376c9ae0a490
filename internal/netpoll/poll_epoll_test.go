//go:build linux

package netpoll

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
)

// TestNoEpoll: where the kernel refuses, its error is that of Wait and Add.
func TestNoEpoll(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	raw, err := r.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	p := &Poll{file: r, raw: raw}
	p.look = p.wait
	if tokens, err := p.Wait(nil); len(tokens) > 0 || !errors.Is(err, syscall.EINVAL) {
		t.Errorf("Wait: got %v, error %v", tokens, err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Add(socket, 1); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("Add: got %v", err)
	}
}
