package main

import (
	"cmp"
	"context"
	"encoding/json"
	"log"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	tick      = 500 * time.Millisecond // changes are told together, so often at the most
	beat      = 2 * time.Second        // a node tells its people so often at the least
	silence   = 3 * beat               // a node that was not heard so long is gone
	lifeSigns = 10 * time.Second       // pages are told so often at the least
)

// report is what a node tells the others: who is there.
type report struct {
	Node   string   `json:"node"`
	People []string `json:"people"`
}

// presence is who is where, by what the nodes told last. Nothing of it is kept: it is
// true for some seconds, and then told anew or forgotten, as after the death of a
// node.
type presence struct {
	mu    sync.Mutex
	nodes map[string]heard // by name
}

type heard struct {
	people []string
	at     time.Time
}

func (p *presence) hear(r report, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.nodes == nil {
		p.nodes = make(map[string]heard)
	}
	p.nodes[r.Node] = heard{r.People, now}
}

// list returns who is here, by name.
func (p *presence) list(now time.Time) []person {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := []person{} // not nil, which would be null
	for node, h := range p.nodes {
		if now.Sub(h.at) > silence {
			delete(p.nodes, node)
			continue
		}
		for _, name := range h.people {
			list = append(list, person{name, node})
		}
	}
	slices.SortFunc(list, func(a, b person) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Node, b.Node))
	})
	return list
}

// hearPeople is called with what a node tells, this one included.
func (n *node) hearPeople(msg *nats.Msg) {
	var r report
	if err := json.Unmarshal(msg.Data, &r); err != nil {
		log.Printf("on %s: %v", msg.Subject, err)
		return
	}
	n.presence.hear(r, time.Now())
}

// tellPeople tells the other nodes who is here, and those here who is anywhere, until
// ctx ends. Then nobody is here.
func (n *node) tellPeople(ctx context.Context) {
	var (
		names        []string
		list         []person
		told, showed time.Time
	)
	for sleep(ctx, tick) {
		now := time.Now()
		if here := n.room.names(); now.Sub(told) >= beat || !slices.Equal(here, names) {
			names, told = here, now
			n.broker.conn.Publish(peopleSubject, encode(report{n.name, names}))
		}
		if all := n.presence.list(now); now.Sub(showed) >= lifeSigns || !slices.Equal(all, list) {
			list, showed = all, now
			n.room.tell(list)
		}
	}
	n.broker.conn.Publish(peopleSubject, encode(report{Node: n.name}))
}
