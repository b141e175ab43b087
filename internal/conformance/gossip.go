package conformance

import (
	"fmt"

	"github.com/gozyre/zyre"
	"github.com/gozyre/zyre/internal/testport"
)

var gossipTests = []test{
	{"Gossip", gossip},
	{"GossipThroughSeveralHubs", severalHubs},
	{"GossipStopAndStart", gossipStopStart},
	{"GossipHubKilled", hubKilled},
	{"GossipUnpublish", gossipUnpublish},
	{"Endpoint", fixedEndpoint},
	{"AdvertisedEndpoint", advertisedEndpoint},
	{"BeaconBesideGossip", beaconBesideGossip},
	{"GossipCurve", gossipCurve},
}

// binds are the options of a hub, connects those of who is found through hubs.
func binds(endpoints ...string) Options { return Options{Interface: "lo", GossipBind: endpoints} }

func connects(endpoints ...string) Options {
	o := Options{Interface: "lo"}
	for _, e := range endpoints {
		o.GossipConnect = append(o.GossipConnect, Hub{Endpoint: e})
	}
	return o
}

// gossip: nodes that know a hub find each other, and the hub is one of them.
func gossip(m *mesh) {
	hub := testport.Endpoint()
	nodes := []*node{m.start("hub", binds(hub))}
	for _, name := range []string{"a", "b", "c"} {
		nodes = append(nodes, m.start(name, connects(hub)))
	}
	m.meet(nodes...)
	m.joined("G", nodes)
	m.shoutAll("G", nodes)
}

// severalHubs: a hub may listen at several places, and who knows two hubs
// makes those known to each other that know one.
func severalHubs(m *mesh) {
	one, other, second := testport.Endpoint(), testport.Endpoint(), testport.Endpoint()
	nodes := []*node{
		m.start("hub", binds(one, other)),
		m.start("second hub", binds(second)),
		m.start("both", connects(one, second)),
		m.start("a", connects(other)),
		m.start("b", connects(second)),
	}
	m.meet(nodes[0], nodes[2], nodes[3])
	m.meet(nodes[1], nodes[2], nodes[4])
	m.joined("G", nodes[2:3], nodes[0], nodes[1], nodes[3], nodes[4])
}

// gossipStopStart: who stops exits at once, though nobody would miss it for
// long, and who starts again is found again, the hub too.
func gossipStopStart(m *mesh) {
	endpoint := testport.Endpoint()
	hub, a, b := m.start("hub", binds(endpoint)), m.start("a", connects(endpoint)), m.start("b", connects(endpoint))
	m.meet(hub, a, b)
	m.again(b, hub, a)
	m.again(hub, a, b)
	m.again(a, b, hub)
}

// again stops and starts a node, which the others see.
func (m *mesh) again(n *node, others ...*node) {
	m.Helper()
	exit := n.event(zyre.Exit, "")
	m.ok(n.Stop(), "stop")
	for _, o := range others {
		o.await(zyre.Exit, exit.Peer)
	}
	m.startAgain(n)
	for _, o := range others {
		o.await(zyre.Enter, n.UUID())
		n.await(zyre.Enter, o.UUID())
		m.hear(n, o)
	}
}

// hear lets each of two nodes whisper to the other, whatever else they are told.
func (m *mesh) hear(a, b *node) {
	m.Helper()
	m.ok(a.Whisper(b.UUID(), mark), "whisper")
	m.ok(b.Whisper(a.UUID(), mark), "whisper")
	a.await(zyre.Whisper, b.UUID())
	b.await(zyre.Whisper, a.UUID())
}

// hubKilled: those who have met stay together without their hub, and when
// another is where it was they and its newcomers find each other.
func hubKilled(m *mesh) {
	endpoint := testport.Endpoint()
	f := m.factory()
	hub, process := m.launch(f, "hub", binds(endpoint))
	m.ok(hub.Start(m.ctx), "start")
	a, b := m.start("a", connects(endpoint)), m.start("b", connects(endpoint))
	m.meet(hub, a, b)
	process.Kill()
	m.hear(a, b)
	hub, _ = m.launch(f, "new hub", binds(endpoint))
	m.ok(hub.Start(m.ctx), "start")
	newcomer := m.start("newcomer", connects(endpoint))
	for _, old := range []*node{a, b} {
		m.meet(old, hub)
		m.meet(old, newcomer)
	}
	m.hear(a, b)
	m.hear(b, newcomer)
}

// gossipUnpublish: only who has gossip can take somebody out of it.
func gossipUnpublish(m *mesh) {
	hub, gone := m.open("hub", binds(testport.Endpoint())), zyre.UUID{1}
	m.is(hub.GossipUnpublish(gone), zyre.ErrNotStarted, "GossipUnpublish before Start")
	m.ok(hub.Start(m.ctx), "start")
	if err := hub.GossipUnpublish(gone); err != nil {
		m.lacks(m.factories[0], err)
	}
	m.ok(hub.Close(), "close")
	m.is(hub.GossipUnpublish(gone), zyre.ErrClosed, "GossipUnpublish after Close")
	m.made = 0
	alone := m.start("alone", Options{})
	m.is(alone.GossipUnpublish(gone), zyre.ErrInvalid, "GossipUnpublish without gossip")
}

// fixedEndpoint: a node listens where it was told to, each time it starts.
func fixedEndpoint(m *mesh) {
	hub, at := testport.Endpoint(), testport.Endpoint()
	a := m.start("a", binds(hub))
	o := connects(hub)
	o.Endpoint = at
	b := m.start("b", o)
	for range 3 {
		if ev := a.await(zyre.Enter, b.UUID()); ev.Addr != at {
			m.Errorf("the node at %s is said to be at %s", at, ev.Addr)
		}
		b.await(zyre.Enter, a.UUID())
		m.talk(a, b, 10)
		exit := b.event(zyre.Exit, "")
		m.ok(b.Stop(), "stop")
		a.expect(exit)
		m.startAgain(b)
	}
}

// advertisedEndpoint: peers go where they are told to, as if through a NAT.
func advertisedEndpoint(m *mesh) {
	hub, port := testport.Endpoint(), testport.Next()
	a := m.start("a", binds(hub))
	o := connects(hub)
	o.Endpoint = fmt.Sprintf("tcp://*:%d", port)
	o.Advertised = fmt.Sprintf("tcp://127.0.0.2:%d", port)
	b := m.start("b", o)
	ev := a.await(zyre.Enter, b.UUID())
	if p, _ := a.Peer(b.UUID()); ev.Addr != o.Advertised || p.Endpoint != o.Advertised {
		m.Errorf("the peer advertises %s, says %s, and is sought at %s", o.Advertised, ev.Addr, p.Endpoint)
	}
	b.await(zyre.Enter, a.UUID())
	m.talk(a, b, 10)
}

// beaconBesideGossip: who has both knows those who have one of them.
func beaconBesideGossip(m *mesh) {
	hub := testport.Endpoint()
	both := Options{GossipConnect: connects(hub).GossipConnect, Beacon: true}
	engines, able := m.factories, m.enginesWith(both)
	if len(able) == 0 {
		return
	}
	m.factories = able
	b := m.start("both", both)
	m.factories = engines
	g, a := m.start("gossip", binds(hub)), m.start("beacon", Options{})
	m.meet(b, g)
	m.meet(b, a)
	m.joined("G", []*node{b}, g, a)
	m.same("those whom the hub knows", g.Peers(), b)
	m.same("those whom the beacon reached", a.Peers(), b)
}

// gossipCurve: nobody learns of a node from a hub whose key he does not know,
// or without a certificate, and no node learns of him. A node of libzyre
// without one may hang in its talk with such a hub, and is left out.
func gossipCurve(m *mesh) {
	hubCert, hub := newCert(m), testport.Endpoint()
	bind := binds(hub)
	bind.SecretKey = hubCert.SecretKey()
	if m.factories = m.enginesWith(bind); len(m.factories) == 0 {
		return
	}
	connect := func(name, hubKey, secretKey string) *node {
		return m.start(name, Options{Interface: "lo", GossipConnect: []Hub{{hub, hubKey}}, SecretKey: secretKey})
	}
	nodes := []*node{m.start("hub", bind)}
	var strangers []*node
	for _, f := range m.factories {
		strangers = append(strangers, connect("mistaken", newCert(m).PublicKey(), newCert(m).SecretKey()))
		if !f.Partial {
			plain, err := f.New("plain", m.defaults(f, connects(hub)))
			m.ok(err, "new node")
			strangers = append(strangers, m.adopt(f, plain))
			m.ok(plain.Start(m.ctx), "start")
		}
	}
	for _, name := range []string{"a", "b", "c"} {
		nodes = append(nodes, connect(name, hubCert.PublicKey(), newCert(m).SecretKey()))
	}
	m.meet(nodes...)
	m.joined("G", nodes)
	m.shoutAll("G", nodes)
	m.apart(nodes, strangers...)
}

// apart checks that strangers know nobody, and nobody them.
func (m *mesh) apart(nodes []*node, strangers ...*node) {
	m.Helper()
	for _, n := range nodes {
		if len(n.Peers()) != len(nodes)-1 {
			m.Errorf("%s knows %d peers, not %d", n.Name(), len(n.Peers()), len(nodes)-1)
		}
	}
	for _, s := range strangers {
		if stats := s.Stats(); len(s.Peers()) != 0 || stats.Entered != 0 || stats.Received != 0 {
			m.Errorf("the stranger %s has met %d nodes, and got %d messages", s.Name(), stats.Entered, stats.Received)
		}
	}
}
