//go:build !race

package websocket_test

import "testing"

// TestAllocations: nothing in the table of costs allocates more than it says, and the
// table says no more than is true. The detector of races has pools lose what they
// have, at random.
func TestAllocations(t *testing.T) {
	for _, group := range costs {
		for _, c := range group.costs {
			t.Run(group.name+"/"+c.name, func(t *testing.T) {
				switch got := testing.AllocsPerRun(200, c.begin(t, c.size)); {
				case got > c.allocs:
					t.Errorf("got %v allocations, want %v", got, c.allocs)
				case got < c.allocs:
					t.Errorf("got %v allocations, fewer than %v: the number in the table can be lowered", got, c.allocs)
				}
			})
		}
	}
}
