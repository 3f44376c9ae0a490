package main

// A sequence checks that numbers come once each, and in order.
type sequence struct {
	begun      bool
	next       uint64              // the number that is expected
	missing    map[uint64]struct{} // numbers below next that have not come
	doubled    int
	misordered int
}

// startAt says which number has to be the first; without it, any may be.
func (s *sequence) startAt(n uint64) { s.begun, s.next = true, n }

// add takes the next number to come.
func (s *sequence) add(n uint64) {
	if !s.begun {
		s.startAt(n)
	}
	for ; s.next < n; s.next++ {
		if s.missing == nil {
			s.missing = make(map[uint64]struct{})
		}
		s.missing[s.next] = struct{}{}
	}
	_, late := s.missing[n]
	switch {
	case s.next == n:
		s.next++
	case late:
		delete(s.missing, n)
		s.misordered++
	default:
		s.doubled++
	}
}

// lost returns how many have not come of those from the first up to, and without,
// end.
func (s *sequence) lost(end uint64) int {
	n := len(s.missing)
	if s.next < end {
		n += int(end - s.next)
	}
	return n
}

// lostEven returns how many of the missing numbers are even.
func (s *sequence) lostEven() (n int) {
	for m := range s.missing {
		if m%2 == 0 {
			n++
		}
	}
	return n
}
