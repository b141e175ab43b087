package conformance

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/gozyre/zyre"
)

var electionTests = []test{
	{"ElectionOfTwo", electionOfTwo},
	{"ElectionWithoutCandidate", electionWithoutCandidate},
	{"DeadLeader", deadLeader},
	{"ElectionsInAnyOrder", electionsInAnyOrder},
}

// contested is the group whose members elect a leader.
const contested = "CONTESTED"

// candidate are the options of who stands for election.
func candidate(o Options) Options {
	o.Contests = []string{contested}
	return o
}

// electorate is the members of the group, each with who it was told leads.
type electorate struct {
	m       *mesh
	members []*node
	told    map[*node]zyre.UUID
}

func newElectorate(m *mesh, members ...*node) *electorate {
	return &electorate{m, members, map[*node]zyre.UUID{}}
}

// agree waits until all follow the candidate with the lowest UUID, and
// returns it.
func (e *electorate) agree() (leader *node) {
	e.m.Helper()
	leader = slices.MinFunc(e.members, func(a, b *node) int {
		x, y := a.UUID(), b.UUID()
		return bytes.Compare(x[:], y[:])
	})
	id := leader.UUID()
	for _, n := range e.members {
		for e.told[n] != id {
			ev := n.find("the leader "+id.Short(), zyre.Leader, func(ev zyre.Event) bool {
				return ev.Type == zyre.Leader && ev.Group == contested
			})
			e.told[n] = ev.Peer
			if want := leader.event(zyre.Leader, contested); ev.Peer == id && !same(ev, want) {
				e.m.Errorf("%s got %v, not %v", n.Name(), ev, want)
			}
		}
	}
	return leader
}

func (e *electorate) add(n *node) { e.members = append(e.members, n) }

// remove takes a member out, who is told anew if it comes back.
func (e *electorate) remove(n *node) {
	e.members = slices.DeleteFunc(e.members, func(other *node) bool { return other == n })
	delete(e.told, n)
}

// electionOfTwo: when the leader goes the other one leads, until it is back.
func electionOfTwo(m *mesh) {
	a, b := m.open("a", candidate(Options{})), m.open("b", candidate(Options{}))
	e := newElectorate(m, a, b)
	for _, n := range e.members {
		m.ok(n.Join(contested), "join")
		m.ok(n.Start(m.ctx), "start")
	}
	leader := e.agree()
	e.remove(leader)
	m.ok(leader.Stop(), "the leader stops")
	e.agree()
	m.startAgain(leader)
	e.add(leader)
	e.told = map[*node]zyre.UUID{} // the election is held anew, whoever wins
	leader = e.agree()
	e.remove(leader)
	m.ok(leader.Leave(contested), "the leader leaves")
	e.agree()
}

// electionWithoutCandidate: nobody leads a group in which nobody stands. Who
// does not stand votes, and is told who leads.
func electionWithoutCandidate(m *mesh) {
	a, b := m.pair()
	m.joined(contested, []*node{a, b})
	m.talk(a, b, 10) // and there was no Leader before
	exit := b.event(zyre.Exit, "")
	m.ok(b.Close(), "close")
	a.expect(exit)
	c := m.open("c", candidate(Options{}))
	m.ok(c.Join(contested), "join")
	m.ok(c.Start(m.ctx), "start")
	for _, n := range []*node{a, c} {
		n.find("the leader c", zyre.Leader, func(ev zyre.Event) bool {
			return same(ev, c.event(zyre.Leader, contested))
		})
	}
}

// deadLeader: a leader that is killed is missed when it has expired.
func deadLeader(m *mesh) {
	e, processes := newElectorate(m), map[*node]*Remote{}
	for i := range 2 {
		n, process := m.launch(m.factory(), fmt.Sprint("voter ", i), candidate(soon))
		m.ok(n.Join(contested), "join")
		m.ok(n.Start(m.ctx), "start")
		e.add(n)
		processes[n] = process
	}
	leader := e.agree()
	e.remove(leader)
	processes[leader].Kill()
	e.agree()
}

// electionsInAnyOrder: after any order of joins, leaves and stops all members
// follow one of them. Elections of libzyre among three or more may hang.
func electionsInAnyOrder(m *mesh) {
	if slices.ContainsFunc(m.factories, func(f Factory) bool { return f.Partial }) {
		return
	}
	random := rand.New(rand.NewPCG(4, 2))
	e, outside := newElectorate(m), []*node{}
	enter := func() {
		n := m.start(fmt.Sprint("voter ", m.made), candidate(Options{}))
		m.ok(n.Join(contested), "join")
		e.add(n)
	}
	leave := func(how func(*node) error) (n *node) {
		n = e.members[random.IntN(len(e.members))]
		e.remove(n)
		m.ok(how(n), "leave")
		return n
	}
	enter()
	for range 40 {
		switch way := random.IntN(5); {
		case len(e.members) == 1 || way == 0 && len(e.members) < 6:
			enter()
		case way == 1:
			leave(func(n *node) error { return n.Close() })
		case way == 2:
			outside = append(outside, leave(func(n *node) error { return n.Leave(contested) }))
		case len(outside) > 0:
			n := outside[0]
			outside = outside[1:]
			m.ok(n.Join(contested), "join again")
			e.add(n)
		}
		if random.IntN(2) == 0 && len(e.members) > 1 {
			e.agree()
		}
	}
	enter()
	e.agree()
}
