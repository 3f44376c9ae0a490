package websocket

import (
	"net"
	"slices"
	"sync"
	"testing"
)

// newTestConn returns a connection that nobody talks to.
func newTestConn(t *testing.T) *Conn {
	t.Helper()
	client, conn := net.Pipe()
	t.Cleanup(func() { client.Close() })
	return newConn(newHijacked(conn, nil), decision{}, new(Options))
}

// TestMembershipAgrees: a group and its members know of each other, or both do
// not, however calls of Add and Remove meet.
func TestMembershipAgrees(t *testing.T) {
	var groups [3]Group
	c := newTestConn(t)
	defer c.CloseNow()
	for range 200 {
		var wg sync.WaitGroup
		for i := range groups {
			g := &groups[i]
			for _, act := range []func(){
				func() { _ = g.Add(c) },
				func() { g.Remove(c) },
				func() { g.Remove(c) },
			} {
				wg.Go(func() {
					for range 10 {
						act()
					}
				})
			}
		}
		wg.Wait()
		for i := range groups {
			want := groups[i].Len()
			if got := count(c.membership.groups, &groups[i]); got != want {
				t.Fatalf("the connection has the group %d times, the group has %d members", got, want)
			}
		}
	}
}

func count(groups []*Group, g *Group) (n int) {
	for _, have := range groups {
		if have == g {
			n++
		}
	}
	return n
}

// TestMembershipForgets: a group that a connection has left is not kept in memory
// by it, and neither is one when the connection has ended.
func TestMembershipForgets(t *testing.T) {
	var a, b Group
	c := newTestConn(t)
	for _, g := range []*Group{&a, &b} {
		if err := g.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	all := c.membership.groups
	b.Remove(c)
	if slices.Contains(all[:cap(all)], &b) {
		t.Error("the connection still knows the group that it has left")
	}
	if err := c.CloseNow(); err != nil {
		t.Fatal(err)
	}
	if c.membership.groups != nil || a.Len() != 0 {
		t.Error("the connection has ended and is still a member")
	}
}
