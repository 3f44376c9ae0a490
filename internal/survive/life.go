package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// A lifeID names a life: its round, its slot, and the lives in that slot before it.
type lifeID struct {
	round, slot, generation int
}

const maxSlots = 1 << 20

// number is for the notes of the life.
func (id lifeID) number() uint64 {
	return uint64(id.round)<<56 | uint64(id.slot)<<32 | uint64(id.generation)
}

func (id lifeID) String() string {
	return fmt.Sprintf("%d.%d.%d", id.round, id.slot, id.generation)
}

// A life is what a client does, from a seed: how it enters, what it does next, and
// how it leaves. Nothing in it depends on what the server does.
type life struct {
	id      lifeID
	entry   entry
	offer   string        // of Sec-WebSocket-Extensions
	tight   bool          // has small buffers, and stalls now and then
	lasting bool          // stays until the end
	length  time.Duration // unless lasting
	exit    exit
	broken  int // which handshake or violation

	plan   *plan
	rng    *rand.Rand
	talked bool
}

type entry int

const (
	enter      entry = iota
	enterEager       // with a message right behind the request
	malformed        // a handshake that has to be refused
	unfinished       // a handshake without an end
	abrupt           // a reset right behind the request
)

type exit int

const (
	farewell     exit = iota // the closing handshake, after all echoes have come
	reset                    // in the middle of a frame
	hangUp                   // no closing handshake
	halfClose                // nothing more to say, but reading on
	vanish                   // silence
	stallForEver             // talks on, and does not read
	violate
)

func (e exit) String() string {
	return [...]string{"a farewell", "a reset", "hanging up", "half a close", "vanishing", "a stall", "a violation"}[e]
}

type weighted[T any] struct {
	weight int
	value  T
}

func pick[T any](rng *rand.Rand, from []weighted[T]) T {
	sum := 0
	for _, w := range from {
		sum += w.weight
	}
	n := rng.IntN(sum)
	for _, w := range from {
		if n -= w.weight; n < 0 {
			return w.value
		}
	}
	panic("unreachable")
}

var (
	entries = []weighted[entry]{{78, enter}, {10, enterEager}, {5, malformed}, {4, unfinished}, {3, abrupt}}
	exits   = []weighted[exit]{{40, farewell}, {15, reset}, {8, hangUp}, {10, halfClose}, {8, vanish}, {7, stallForEver}, {12, violate}}
	offers  = []weighted[string]{
		{70, ""},
		{10, "permessage-deflate"},
		{10, "permessage-deflate; client_no_context_takeover"},
		{10, "permessage-deflate; client_no_context_takeover; server_no_context_takeover"},
	}
)

// newLife returns the life of this name. One that lasts does nothing wrong.
func newLife(p *plan, id lifeID, lasting bool) *life {
	rng := rand.New(rand.NewPCG(p.Seed, id.number()))
	l := &life{
		id:      id,
		entry:   pick(rng, entries),
		offer:   pick(rng, offers),
		tight:   rng.IntN(4) == 0,
		lasting: lasting,
		length:  around(rng, p.lifetime()),
		exit:    pick(rng, exits),
		broken:  rng.IntN(1000),
		plan:    p,
		rng:     rng,
	}
	if lasting || p.gentle {
		l.entry, l.exit = min(l.entry, enterEager), farewell
	}
	if l.exit == stallForEver {
		l.tight = true
	}
	return l
}

// around returns a duration between d/10 and 19d/10.
func around(rng *rand.Rand, d time.Duration) time.Duration {
	return d/10 + random(rng, d*9/5)
}

// random returns a duration from 0 to d.
func random(rng *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(rng.Int64N(int64(d) + 1))
}

// A step is one thing that a client does.
type step struct {
	deed  deed
	pause time.Duration // of idle and stall
	says  []utterance   // of talk and stall
	cuts  int           // the bytes go out in so many pieces more than one
}

type deed int

const (
	idle deed = iota
	talk
	stall
	ping
)

// An utterance is one echo that is asked for.
type utterance struct {
	size       int
	fragments  int
	compressed bool // if that was agreed on
	ping       bool // between the first two fragments
}

// next returns what the client does next: idle and something else by turns.
func (l *life) next() step {
	l.talked = !l.talked
	if !l.talked {
		return step{deed: idle, pause: around(l.rng, l.plan.pause())}
	}
	switch n := l.rng.IntN(100); {
	case n < 20 && l.tight:
		// More than fits the buffers between, so that the server has to wait.
		d := l.plan.Patience/4 + random(l.rng, l.plan.Patience/2)
		return step{deed: stall, pause: d, says: l.flood()}
	case n < 30:
		return step{deed: ping}
	default:
		return l.talk()
	}
}

const meanBurst = 3

func (l *life) talk() step {
	s := step{deed: talk}
	if l.rng.IntN(5) == 0 {
		s.cuts = 1 + l.rng.IntN(7)
	}
	for range 1 + l.rng.IntN(2*meanBurst-1) {
		u := utterance{size: l.size(), fragments: 1, compressed: l.rng.IntN(2) == 0}
		if l.rng.IntN(4) == 0 {
			u.fragments += l.rng.IntN(4)
			u.ping = l.rng.IntN(2) == 0
		}
		s.says = append(s.says, u)
	}
	return s
}

func (l *life) size() int {
	switch n := l.rng.IntN(100); {
	case n < 70:
		return 30 + l.rng.IntN(300)
	case n < 97:
		return 300 + l.rng.IntN(4000)
	default:
		return 4000 + l.rng.IntN(28000)
	}
}

// flood returns what a client says that does not read.
func (l *life) flood() []utterance {
	says := make([]utterance, 40)
	for i := range says {
		says[i] = utterance{size: 4000 + l.rng.IntN(4000), fragments: 1}
	}
	return says
}
