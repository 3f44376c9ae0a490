package main

import (
	"reflect"
	"testing"
)

// TestLifeRepeats: the seed is all that a life comes from.
func TestLifeRepeats(t *testing.T) {
	script := func(p *plan, id lifeID) (steps []step) {
		l := newLife(p, id, false)
		steps = append(steps, step{pause: l.length, cuts: int(l.exit)})
		for range 50 {
			steps = append(steps, l.next())
		}
		return steps
	}
	other := aPlan()
	other.Seed++
	first := script(aPlan(), lifeID{1, 2, 3})
	for _, tt := range []struct {
		name string
		plan *plan
		id   lifeID
		same bool
	}{
		{"the same", aPlan(), lifeID{1, 2, 3}, true},
		{"another seed", other, lifeID{1, 2, 3}, false},
		{"another round", aPlan(), lifeID{2, 2, 3}, false},
		{"another slot", aPlan(), lifeID{1, 3, 3}, false},
		{"another generation", aPlan(), lifeID{1, 2, 4}, false},
	} {
		if got := reflect.DeepEqual(script(tt.plan, tt.id), first); got != tt.same {
			t.Errorf("%s: equal is %v, want %v", tt.name, got, tt.same)
		}
	}
}

// TestLives: everything happens, within bounds, and to nobody who should be spared.
func TestLives(t *testing.T) {
	p := aPlan()
	seen := make(map[any]int)
	for slot := range 2000 {
		l := newLife(p, lifeID{1, slot, 0}, false)
		seen[l.entry]++
		seen[l.exit]++
		seen[l.offer]++
		if l.length < p.lifetime()/10 || l.length > 2*p.lifetime() {
			t.Fatalf("life %v has %v, the average is %v", l.id, l.length, p.lifetime())
		}
		for range 20 {
			s := l.next()
			seen[s.deed]++
			checkStep(t, l, s)
		}
		if good := newLife(p, l.id, true); good.entry > enterEager || good.exit != farewell {
			t.Fatalf("a lasting life has entry %v, exit %v", good.entry, good.exit)
		}
	}
	want := []any{idle, talk, stall, ping}
	for _, w := range entries {
		want = append(want, w.value)
	}
	for _, w := range exits {
		want = append(want, w.value)
	}
	for _, w := range offers {
		want = append(want, w.value)
	}
	for _, what := range want {
		if seen[what] == 0 {
			t.Errorf("%T %v never happens", what, what)
		}
	}
}

func checkStep(t *testing.T, l *life, s step) {
	t.Helper()
	switch {
	case s.deed == stall && (!l.tight || s.pause > l.plan.writeTimeout()/2):
		t.Fatalf("life %v stalls for %v, tight is %v", l.id, s.pause, l.tight)
	case (s.deed == talk || s.deed == stall) != (len(s.says) > 0):
		t.Fatalf("life %v: step %v says %d things", l.id, s.deed, len(s.says))
	}
	for _, u := range s.says {
		if u.fragments < 1 || u.size+64 > maxMessageSize {
			t.Fatalf("life %v says %+v", l.id, u)
		}
	}
}
