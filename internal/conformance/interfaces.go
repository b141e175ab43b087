package conformance

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/gozyre/zyre"
	"github.com/gozyre/zyre/internal/netlab"
)

// These are tests of one node with several interfaces, or with ones that
// change. Its neighbours have one each, and may be of the engine that cannot
// have more.
var interfaceTests = []test{
	{"EveryInterface", several.with(everyInterface)},
	{"NamedInterfaces", several.with(namedInterfaces)},
	{"InterfaceComesAndGoes", several.with(interfaceComesAndGoes)},
	{"AddressChanges", several.with(addressChanges)},
	{"SecondNetworkTakesOver", several.with(secondNetworkTakesOver)},
	{"LinkLocal", linkLocal},
	{"DualStack", dual.with(dualStack)},
	{"DualStackAddresses", dual.with(dualStackAddresses)},
	{"DualStackLater", dual.with(dualStackLater)},
	{"GossipOnEveryInterface", several.with(gossipOnEveryInterface)},
	{"GossipHubOnEveryInterface", several.with(gossipHubOnEveryInterface)},
	{"GossipAddressChanges", several.with(gossipAddressChanges)},
	{"GossipLinkLocal", several.with(gossipLinkLocal)},
}

var (
	several = Options{Interfaces: []string{"eth0", "eth1"}}
	dual    = Options{Interface: "eth0", DualStack: true}
	ipv6    = Options{Multicast: "ff02::1"}
)

// with returns a test that needs an engine that has what the options ask for,
// and gets the first of those. Where there is none it has nothing to test.
func (o Options) with(run func(*mesh, Factory)) func(*mesh) {
	return func(m *mesh) {
		if engines := m.enginesWith(o); len(engines) > 0 {
			run(m, engines[0])
		}
	}
}

// by starts a node of an engine on a host.
func (m *mesh) by(f Factory, h *netlab.Host, o Options) *node {
	m.Helper()
	n := m.adopt(f, Launch(m, h.Command, ServeTest, f, h.Name(), m.defaults(f, o)))
	m.ok(n.Start(m.ctx), "start")
	return n
}

// addrOf returns the address in an endpoint, which has none without a zone.
func (m *mesh) addrOf(endpoint string) netip.Addr {
	m.Helper()
	host, ok := strings.CutPrefix(endpoint, "tcp://")
	a, err := netip.ParseAddr(host[:max(0, strings.LastIndexByte(host, ':'))])
	if !ok || err != nil {
		m.Errorf("%q is not the endpoint of an address", endpoint)
	}
	return a.WithZone("")
}

// enters waits until a peer enters, which must say that it is at this address
// and be known to be there.
func (m *mesh) enters(n, peer *node, at netip.Addr) {
	m.Helper()
	ev := n.await(zyre.Enter, peer.UUID())
	p, ok := n.Peer(peer.UUID())
	if !ok || m.addrOf(ev.Addr) != at || m.addrOf(p.Endpoint) != at {
		m.Errorf("%s is at %q and says %q for %s, not %v", peer.Name(), p.Endpoint, ev.Addr, n.Name(), at)
	}
}

// stateOf returns the state of a node as it tells it.
func stateOf(n *node) string {
	var text strings.Builder
	if err := n.Dump(&text); err != nil {
		return err.Error()
	}
	return text.String()
}

// whereIs returns the address at which a node knows a peer.
func (m *mesh) whereIs(n, peer *node) (at netip.Addr) {
	m.Helper()
	if p, ok := n.Peer(peer.UUID()); ok {
		at = m.addrOf(p.Endpoint)
	}
	return at
}

// finds waits until a node knows a peer at this address, which it may have
// known at another before, and lets them talk.
func (m *mesh) finds(n, peer *node, at netip.Addr) {
	m.Helper()
	m.eventually(fmt.Sprintf("%s knows %s at %v", n.Name(), peer.Name(), at), func() bool { return m.whereIs(n, peer) == at })
	m.ok(n.Whisper(peer.UUID(), mark), "whisper")
	peer.await(zyre.Whisper, n.UUID())
	m.ok(peer.Whisper(n.UUID(), mark), "whisper")
	n.await(zyre.Whisper, peer.UUID())
}

// knows checks who the peers of a node are, no more and no less.
func (m *mesh) knows(n *node, peers ...*node) {
	m.Helper()
	ids := n.Peers()
	for _, p := range peers {
		if !slices.Contains(ids, p.UUID()) {
			m.Errorf("%s does not know %s", n.Name(), p.Name())
		}
	}
	if len(ids) != len(peers) {
		m.Errorf("%s knows %d peers, not %d", n.Name(), len(ids), len(peers))
	}
}

// twoNetworks makes a host that is on two networks with a neighbour on each,
// and has containers too.
func (m *mesh) twoNetworks() (one, middle, other *netlab.Host, near, far netlab.Port) {
	lab := netlab.New(m)
	one, middle, other = lab.Host("one"), lab.Host("middle"), lab.Host("other")
	near, far = lab.Connect(middle, other)
	other.IP("address flush dev eth0")
	middle.IP("link add docker0 type bridge")
	middle.IP("address add 172.17.0.1/16 dev docker0")
	middle.IP("link set docker0 up")
	return one, middle, other, near, far
}

func everyInterface(m *mesh, f Factory)  { m.severalNetworks(f, "*") }
func namedInterfaces(m *mesh, f Factory) { m.severalNetworks(f, "eth1", "eth0") }

// severalNetworks: a node on two networks has on each the address that is
// right there, and none that leads to the containers of its host.
func (m *mesh) severalNetworks(f Factory, names ...string) {
	one, middle, other, near, far := m.twoNetworks()
	a, b := m.on(one, Options{}), m.by(m.factory(), other, Options{Interface: far.Name})
	both := m.by(f, middle, Options{Interfaces: names})
	m.enters(a, both, middle.Addr())
	m.enters(b, both, near.Addr)
	m.enters(both, a, one.Addr())
	m.enters(both, b, far.Addr)
	m.talk(a, both, 10)
	m.talk(b, both, 10)
	m.knows(a, both)
	m.knows(b, both)
	if state := stateOf(both); strings.Contains(state, "172.17.") || strings.Contains(state, "docker") {
		m.Errorf("it is announced to containers: %s", state)
	}
}

// interfaceComesAndGoes: a node on every interface meets who is behind a new
// one, and takes leave of him when the interface is gone.
func interfaceComesAndGoes(m *mesh, f Factory) {
	lab := netlab.New(m)
	one, middle, other := lab.Host("one"), lab.Host("middle"), lab.Host("other")
	a, both := m.on(one, Options{}), m.by(f, middle, Options{Interfaces: []string{"*"}})
	m.meet(a, both)
	for range 2 {
		other.IP("link set eth0 down")
		near, far := lab.Connect(middle, other)
		b := m.by(m.factory(), other, Options{Interface: far.Name})
		m.enters(b, both, near.Addr)
		m.enters(both, b, far.Addr)
		m.talk(b, both, 10)
		m.eventually("announced on the new interface", func() bool { return strings.Contains(stateOf(both), near.Addr.String()) })
		middle.IP("link delete " + near.Name)
		both.await(zyre.Exit, b.UUID())
		m.ok(b.Close(), "close")
	}
	m.talk(a, both, 10)
}

// addressChanges: a node whose host gets another address while it runs is
// found there by those who know it, and by one who comes before the node has
// noticed.
func addressChanges(m *mesh, f Factory) {
	lab := netlab.New(m)
	still, moves := lab.Host("still"), lab.Host("moves")
	a, b := m.on(still, Options{}), m.by(f, moves, Options{Interface: "eth0"})
	m.meet(a, b)
	for i, addr := range newAddresses {
		h := lab.Host(fmt.Sprint("new ", i))
		moves.SetAddr(netip.MustParseAddr(addr))
		c := m.on(h, Options{})
		b.await(zyre.Enter, c.UUID())
		m.finds(c, b, moves.Addr())
		m.meetAnew(a, still, b, moves)
		m.meet(a, c)
		m.leaves(c, a, b)
		m.talk(a, b, 10)
	}
}

// newAddresses are those that a host gets while a node runs on it.
var newAddresses = []string{"10.77.0.200", "10.77.0.201"}

// meetAnew waits until two nodes have lost each other and met again where
// their hosts are now.
func (m *mesh) meetAnew(a *node, at *netlab.Host, b *node, bt *netlab.Host) {
	m.Helper()
	a.await(zyre.Exit, b.UUID())
	b.await(zyre.Exit, a.UUID())
	m.enters(a, b, bt.Addr())
	m.enters(b, a, at.Addr())
}

// leaves closes a node and waits until the others know.
func (m *mesh) leaves(n *node, others ...*node) {
	m.Helper()
	m.ok(n.Close(), "close")
	for _, other := range others {
		other.await(zyre.Exit, n.UUID())
	}
}

// secondNetworkTakesOver: nodes that share two networks are one peer for each
// other, and lose each other for no longer than the timeouts when the network
// fails over which they are connected.
func secondNetworkTakesOver(m *mesh, f Factory) {
	lab := netlab.New(m)
	h1, h2 := lab.Host("h1"), lab.Host("h2")
	p1, p2 := lab.Connect(h1, h2)
	o := soon
	o.Interfaces = []string{"*"}
	a, b := m.by(f, h1, o), m.by(f, h2, o)
	m.meet(a, b)
	m.talk(a, b, 10)
	m.knows(a, b)
	m.knows(b, a)
	// Each may have found the other on another network, so one has to go
	// over which they are connected at least one way.
	at, failing, left := m.whereIs(a, b), p2.Name, [2]netip.Addr{h1.Addr(), h2.Addr()}
	if at == h2.Addr() {
		failing, left = "eth0", [2]netip.Addr{p1.Addr, p2.Addr}
	}
	h2.IP("link set down dev " + failing)
	a.await(zyre.Exit, b.UUID())
	b.await(zyre.Exit, a.UUID())
	m.enters(a, b, left[1])
	m.enters(b, a, left[0])
	m.talk(a, b, 10)
}

// linkLocal: nodes meet that have IPv6 link-local addresses and no other.
func linkLocal(m *mesh) {
	lab := netlab.New(m)
	var nodes []*node
	for _, name := range []string{"h1", "h2", "h3"} {
		h := lab.Host(name)
		h.IP("-4 address flush dev eth0")
		nodes = append(nodes, m.on(h, ipv6))
	}
	for _, n := range nodes {
		for _, peer := range nodes {
			if n != peer {
				if ev := n.await(zyre.Enter, peer.UUID()); !m.addrOf(ev.Addr).IsLinkLocalUnicast() {
					m.Errorf("%v", ev)
				}
			}
		}
	}
	m.talk(nodes[0], nodes[1], 10)
	m.talk(nodes[1], nodes[2], 10)
	m.talk(nodes[2], nodes[0], 10)
}

// dualStack: a node of both IP versions meets those of one, who do not meet
// each other, and another like itself once and not twice.
func dualStack(m *mesh, f Factory) {
	m.bothVersions(f, Options{Interface: "eth0"}, Options{Interfaces: []string{"*"}})
}

// dualStackAddresses: the same with an address of each version.
func dualStackAddresses(m *mesh, f Factory) {
	first := []string{"10.77.0.1", "fe80::77:ff:fe00:1"} // of the lab's first host
	m.bothVersions(f, Options{Interfaces: first}, Options{Interface: "eth0"})
}

// dualStackLater: a node of both IP versions starts where there is only one.
func dualStackLater(m *mesh, f Factory) {
	lab := netlab.New(m)
	h1, h4, h6 := lab.Host("both"), lab.Host("four"), lab.Host("six")
	h1.IP("-6 address flush dev eth0")
	h6.IP("-4 address flush dev eth0")
	both, four, six := m.by(f, h1, dual), m.on(h4, Options{}), m.on(h6, ipv6)
	m.meet(both, four)
	m.talk(both, four, 10)
	h1.IP("address add fe80::77/64 dev eth0 nodad")
	both.await(zyre.Enter, six.UUID())
	m.finds(six, both, netip.MustParseAddr("fe80::77"))
	m.talk(both, four, 10)
}

func (m *mesh) bothVersions(f Factory, first, second Options) {
	first.DualStack, second.DualStack = true, true
	lab := netlab.New(m)
	h1, h2, h4, h6 := lab.Host("both"), lab.Host("both too"), lab.Host("four"), lab.Host("six")
	both, twin := m.by(f, h1, first), m.by(f, h2, second)
	// With IPv6 libzyre hears broadcasts of IPv4 too.
	four, six := m.on(h4, Options{}), m.by(f, h6, ipv6.on("eth0"))
	m.meet(both, twin)
	for _, n := range []*node{both, twin} {
		m.enters(n, four, h4.Addr())
		four.await(zyre.Enter, n.UUID())
		n.await(zyre.Enter, six.UUID())
		if ev := six.await(zyre.Enter, n.UUID()); !m.addrOf(ev.Addr).IsLinkLocalUnicast() {
			m.Errorf("%v", ev)
		}
	}
	for _, n := range []*node{both, twin} {
		m.talk(n, four, 10)
		m.talk(n, six, 10)
	}
	m.talk(both, twin, 10)
	m.knows(both, twin, four, six)
	m.knows(twin, both, four, six)
	m.knows(four, both, twin)
	m.knows(six, both, twin)
	exit := twin.event(zyre.Exit, "")
	m.ok(twin.Stop(), "stop")
	for _, n := range []*node{both, four, six} {
		n.expect(exit)
	}
}

// gossipOnEveryInterface: a node on two networks gives a hub the address that
// it has on the network of the hub.
func gossipOnEveryInterface(m *mesh, f Factory) {
	_, middle, other, near, far := m.twoNetworks()
	hub := hubAt(far.Addr)
	b := m.by(m.factory(), other, Options{Interface: far.Name, GossipBind: []string{hub}})
	both := m.by(f, middle, Options{Interfaces: []string{"*"}, GossipConnect: []Hub{{Endpoint: hub}}})
	m.enters(b, both, near.Addr)
	m.enters(both, b, far.Addr)
	m.tells(both, near.Addr)
	m.talk(b, both, 10)
}

// gossipHubOnEveryInterface: of a hub on two networks the gossip has one
// address, and its neighbours on the other find it all the same.
func gossipHubOnEveryInterface(m *mesh, f Factory) {
	one, middle, other, near, far := m.twoNetworks()
	both := m.by(f, middle, Options{Interfaces: []string{"*"}, GossipBind: []string{"tcp://*:5680"}})
	m.tells(both, middle.Addr())
	a := m.on(one, Options{GossipConnect: []Hub{{Endpoint: hubAt(middle.Addr())}}})
	b := m.by(f, other, Options{Interface: far.Name, GossipConnect: []Hub{{Endpoint: hubAt(near.Addr)}}})
	m.enters(a, both, middle.Addr())
	m.enters(b, both, near.Addr)
	m.enters(both, a, one.Addr())
	m.enters(both, b, far.Addr)
	m.talk(a, both, 10)
	m.talk(b, both, 10)
}

// gossipAddressChanges: a node without beacons whose host gets another address
// tells the gossip, and those who come later find it there. A newcomer that
// comes before the hub knows it is told the former address, with which libzyre
// would be content.
func gossipAddressChanges(m *mesh, f Factory) {
	lab := netlab.New(m)
	still, moves := lab.Host("still"), lab.Host("moves")
	hub := hubAt(still.Addr())
	o := Options{GossipConnect: []Hub{{Endpoint: hub}}}
	a, b := m.on(still, Options{GossipBind: []string{hub}}), m.by(f, moves, o.on("eth0"))
	m.meet(a, b)
	for i, addr := range newAddresses {
		h := lab.Host(fmt.Sprint("new ", i))
		moves.SetAddr(netip.MustParseAddr(addr))
		m.meetAnew(a, still, b, moves)
		m.tells(b, moves.Addr())
		c := m.by(f, h, o.on("eth0"))
		m.enters(c, b, moves.Addr())
		m.enters(b, c, h.Addr())
		m.meet(a, c)
		m.talk(b, c, 10)
		m.talk(a, b, 10)
		m.leaves(c, a, b)
	}
}

// gossipLinkLocal: the gossip cannot tell zones, so each node adds its own.
func gossipLinkLocal(m *mesh, f Factory) {
	lab := netlab.New(m)
	var hub Hub
	var nodes []*node
	for i, name := range []string{"hub", "h2", "h3"} {
		h, o := lab.Host(name), ipv6.on("eth0")
		h.IP("-4 address flush dev eth0")
		if i == 0 {
			hub.Endpoint = hubAt(netip.MustParseAddr("fe80::77:ff:fe00:1%eth0"))
			o.GossipBind = []string{hub.Endpoint}
		} else {
			o.GossipConnect = []Hub{hub}
		}
		nodes = append(nodes, m.by(f, h, o))
	}
	m.meet(nodes...)
	m.talk(nodes[0], nodes[1], 10)
	m.talk(nodes[1], nodes[2], 10)
	m.talk(nodes[2], nodes[0], 10)
}

// on names the interface.
func (o Options) on(name string) Options {
	o.Interface = name
	return o
}

// hubAt returns the endpoint of a gossip hub at an address.
func hubAt(addr netip.Addr) string { return "tcp://" + netip.AddrPortFrom(addr, 5680).String() }

// tells waits until a node has told the gossip that it is at this address.
func (m *mesh) tells(n *node, at netip.Addr) {
	m.Helper()
	m.eventually(fmt.Sprint("the gossip is told ", at), func() bool {
		return strings.Contains(stateOf(n), "told the gossip tcp://"+at.String()+":")
	})
}
