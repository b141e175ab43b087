package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/gozyre/zyre"
)

var tableTests = []test{
	{"Peers", peersOfGroups},
	{"PeerDetails", peerDetails},
	{"JoinAndLeaveTwice", joinLeaveTwice},
	{"ManyGroups", manyGroups},
	{"TenNodes", tenNodes},
	{"Dump", dump},
}

// peersOfGroups: who is there, and in what.
func peersOfGroups(m *mesh) {
	a, b, c := m.start("a", Options{}), m.start("b", Options{}), m.start("c", Options{})
	m.meet(a, b, c)
	m.joined("BC", []*node{b, c}, a)
	m.joined("AB", []*node{a, b}, c)
	m.joined("OWN", []*node{a}, b, c)
	m.same("Peers", a.Peers(), b, c)
	m.same("GroupPeers of BC", a.GroupPeers("BC"), b, c)
	m.same("GroupPeers of AB", a.GroupPeers("AB"), b)
	m.same("GroupPeers of OWN", a.GroupPeers("OWN"))
	m.same("GroupPeers of a group that is none", a.GroupPeers("NONE"))
	if got, want := a.PeerGroups(), []string{"AB", "BC"}; !slices.Equal(got, want) {
		m.Errorf("PeerGroups are %q, not %q", got, want)
	}
	if got, want := a.Groups(), []string{"AB", "OWN"}; !slices.Equal(got, want) {
		m.Errorf("Groups are %q, not %q", got, want)
	}

	m.ok(b.Leave("BC"), "leave")
	a.awaitGroup(zyre.Leave, b.UUID(), "BC")
	m.same("GroupPeers of BC without b", a.GroupPeers("BC"), c)
	gone := c.UUID()
	m.ok(c.Stop(), "stop")
	a.await(zyre.Exit, gone)
	m.same("Peers without c", a.Peers(), b)
	m.same("GroupPeers of BC without c", a.GroupPeers("BC"))
	if got, want := a.PeerGroups(), []string{"AB"}; !slices.Equal(got, want) {
		m.Errorf("PeerGroups are %q, not %q", got, want)
	}
}

// same compares peers with nodes, in any order.
func (m *mesh) same(what string, got []zyre.UUID, want ...*node) {
	m.Helper()
	byBytes := func(a, b zyre.UUID) int { return bytes.Compare(a[:], b[:]) }
	var ids []zyre.UUID
	for _, n := range want {
		ids = append(ids, n.UUID())
	}
	if !slices.Equal(slices.SortedFunc(slices.Values(got), byBytes), slices.SortedFunc(slices.Values(ids), byBytes)) {
		m.Errorf("%s: %v, not %v", what, got, ids)
	}
}

func peerDetails(m *mesh) {
	headers := map[string]string{"X-ROLE": "sensor"}
	a, b := m.start("a", Options{}), m.start("b", Options{Headers: headers})
	enter := a.await(zyre.Enter, b.UUID())
	m.joined("Z", []*node{b}, a)
	m.joined("A", []*node{b}, a)
	p, ok := a.Peer(b.UUID())
	if !ok || p.UUID != b.UUID() || p.Name != "b" || p.Endpoint != enter.Addr ||
		!maps.Equal(p.Headers, headers) || !slices.Equal(p.Groups, []string{"A", "Z"}) {
		m.Errorf("Peer is %+v, %v; it entered as %v", p, ok, enter)
	}
	for _, id := range []zyre.UUID{{}, {1}, a.UUID()} {
		if p, ok := a.Peer(id); ok {
			m.Errorf("Peer(%v) is %+v", id, p)
		}
	}
	gone := b.UUID()
	m.ok(b.Stop(), "stop")
	a.await(zyre.Exit, gone)
	if p, ok := a.Peer(gone); ok {
		m.Errorf("Peer after its EXIT is %+v", p)
	}
}

// joinLeaveTwice: what changes nothing is no error, and no event.
func joinLeaveTwice(m *mesh) {
	a, b := m.pair()
	m.ok(b.Leave("NEVER"), "leave of a group not joined")
	m.ok(b.Join("G"), "join")
	m.ok(b.Join("G"), "second join")
	m.ok(b.Leave("G"), "leave")
	m.ok(b.Leave("G"), "second leave")
	m.ok(b.Join("END"), "join")
	a.expect(b.event(zyre.Join, "G"), b.event(zyre.Leave, "G"), b.event(zyre.Join, "END"))
	if got := b.Groups(); !slices.Equal(got, []string{"END"}) {
		m.Errorf("Groups are %q", got)
	}
}

// manyGroups: more changes than fit into the status byte of the protocol.
func manyGroups(m *mesh) {
	a, b := m.pair()
	const groups = 300
	want := make([]string, groups)
	for i := range want {
		want[i] = fmt.Sprintf("group %03d", i)
		m.ok(b.Join(want[i]), "join")
	}
	for _, g := range want {
		a.expect(b.event(zyre.Join, g))
	}
	if got := b.Groups(); !slices.Equal(got, want) {
		m.Errorf("the node has joined %d groups, not %d, or in another order", len(got), groups)
	}
	if got := a.PeerGroups(); !slices.Equal(got, want) {
		m.Errorf("the peers have joined %d groups, not %d, or they are not sorted", len(got), groups)
	}
	for _, g := range want {
		m.ok(b.Leave(g), "leave")
		a.expect(b.event(zyre.Leave, g))
	}
}

// tenNodes: all know all, and a shout reaches all but the one who shouts.
func tenNodes(m *mesh) {
	count := 10
	if testing.Short() {
		count = 5
	}
	var nodes []*node
	for i := range count {
		nodes = append(nodes, m.start(fmt.Sprint("node ", i), Options{}))
	}
	m.meet(nodes...)
	m.joined("ALL", nodes)
	for _, n := range nodes {
		if len(n.Peers()) != count-1 || len(n.GroupPeers("ALL")) != count-1 {
			m.Errorf("%s knows %d peers, %d of them in the group", n.Name(), len(n.Peers()), len(n.GroupPeers("ALL")))
		}
	}
	m.shoutAll("ALL", nodes)
}

// shoutAll lets all members of a group shout, and all others hear it next.
func (m *mesh) shoutAll(group string, nodes []*node) {
	m.Helper()
	for _, n := range nodes {
		m.ok(n.Shout(group, []byte(n.Name())), "shout")
	}
	for _, n := range nodes {
		heard := map[zyre.UUID]string{}
		for range len(nodes) - 1 {
			ev := n.next()
			if ev.Type != zyre.Shout || ev.Group != group || ev.Text() != ev.Name {
				m.Errorf("%s got %v, not a shout", n.Name(), ev)
			}
			heard[ev.Peer] = ev.Name
		}
		if len(heard) != len(nodes)-1 || heard[n.UUID()] != "" {
			m.Errorf("%s heard %v", n.Name(), heard)
		}
	}
}

func dump(m *mesh) {
	a, b := m.pair()
	m.joined("G", []*node{b}, a)
	var text bytes.Buffer
	m.ok(a.Dump(&text), "Dump")
	if text.Len() == 0 {
		m.Error("Dump wrote nothing")
	}
	m.is(a.Dump(brokenWriter{}), errBroken, "Dump to a writer that fails")
}

var errBroken = errors.New("broken writer")

// brokenWriter takes nothing.
type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }
