package websocket

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// waitFor waits for the turn in a goroutine, which tells whether it got it.
func waitFor(ctx context.Context, t *turn, done <-chan struct{}) <-chan bool {
	got := make(chan bool, 1)
	go func() { got <- t.lock(ctx, done) }()
	synctest.Wait()
	return got
}

func TestTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turn turn
		if !turn.tryLock() {
			t.Fatal("a new turn is taken")
		}
		if turn.tryLock() {
			t.Fatal("taken twice")
		}
		turn.unlock()
		if !turn.lock(t.Context(), nil) {
			t.Fatal("a free turn was not to be had")
		}
		// Who comes first has it first, and who left has left.
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		first := waitFor(t.Context(), &turn, nil)
		left := waitFor(ctx, &turn, nil)
		second := waitFor(t.Context(), &turn, nil)
		ended := waitFor(t.Context(), &turn, done)
		third := waitFor(t.Context(), &turn, nil)
		cancel()
		close(done)
		if <-left || <-ended {
			t.Fatal("who gave up has the turn")
		}
		for i, got := range []<-chan bool{first, second, third} {
			synctest.Wait()
			if len(got) != 0 {
				t.Fatalf("number %d has a turn that is taken", i)
			}
			turn.unlock()
			if turn.tryLock() {
				t.Fatalf("somebody came before number %d", i)
			}
			if !<-got {
				t.Fatalf("number %d gave up", i)
			}
		}
		turn.unlock()
		if turn.state.Load() != turnFree || !turn.tryLock() {
			t.Fatal("the turn is not free in the end")
		}
	})
}

// TestTurnGiven: who gives up just when the turn is given has it all the same, or it
// would be nobody's.
func TestTurnGiven(t *testing.T) {
	var turn turn
	turn.tryLock()
	mine := turn.queueUp()
	turn.unlock()
	<-mine
	if turn.line.Load().leave(mine) {
		t.Error("left with the turn")
	}
	turn.unlock()
	if turn.queueUp() != *given {
		t.Error("waits for a turn that is free")
	}
}

// TestTurnRush has many take the turn at once, who may give up at any moment.
func TestTurnRush(t *testing.T) {
	var turn turn
	var wg sync.WaitGroup
	inside, had := 0, 0
	for range 16 {
		wg.Go(func() {
			for range 500 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(50))*time.Microsecond)
				if turn.lock(ctx, nil) {
					if inside++; inside != 1 {
						t.Error("two have the turn")
					}
					had++
					inside--
					turn.unlock()
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if had == 0 || turn.state.Load() != turnFree {
		t.Errorf("%d had the turn, which is %d now", had, turn.state.Load())
	}
	if l := turn.line.Load(); l != nil && slices.ContainsFunc(l.waiting, func(c chan struct{}) bool { return c != nil }) {
		t.Error("somebody still waits")
	}
}

// TestSignal: who asks for the channel before the signal or after it, once or often,
// gets one that tells of it.
func TestSignal(t *testing.T) {
	closed := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	for _, asked := range []int{0, 1, 2} {
		var s signal
		var before []<-chan struct{}
		for range asked {
			before = append(before, s.channel())
		}
		if s.given() {
			t.Errorf("asked %d times: given before it was", asked)
		}
		for i, c := range before {
			if closed(c) || c != before[0] {
				t.Errorf("asked %d times: channel %d is closed, or another", asked, i)
			}
		}
		s.give()
		if !s.given() || !closed(s.channel()) {
			t.Errorf("asked %d times: not given after it was", asked)
		}
		for i, c := range before {
			if !closed(c) || c != s.channel() {
				t.Errorf("asked %d times: channel %d is open, or another", asked, i)
			}
		}
	}
}
