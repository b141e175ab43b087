package conformance

import (
	"fmt"
	"maps"
	"net/netip"
	"strings"

	"github.com/gozyre/zyre"
	"github.com/gozyre/zyre/internal/testport"
)

var eventTests = []test{
	{"Enter", enter},
	{"NameOfUnnamedNode", unnamed},
	{"EventsOfOneLife", oneLife},
	{"EventsTellWhatIsSo", eventsAreSo},
	{"GroupsJoinedBeforeStart", groupsBeforeStart},
	{"OtherPortOtherNetwork", otherPort},
	{"PeerPort", peerPort},
	{"RequirePeer", requirePeer},
	{"AnyText", anyText},
}

// enter: ENTER has all that a peer says of itself.
func enter(m *mesh) {
	headers := map[string]string{"X-ROLE": "sensor", "empty": ""}
	a, b := m.start("a", Options{}), m.start("b", Options{Headers: headers})
	ev := a.await(zyre.Enter, b.UUID())
	if ev.Name != "b" || !maps.Equal(ev.Headers, headers) || ev.Group != "" || ev.Msg != nil {
		m.Errorf("ENTER is %v", ev)
	}
	if ev.Header("X-ROLE") != "sensor" || ev.Header("none") != "" {
		m.Errorf("headers are %v", ev.Headers)
	}
	address, found := strings.CutPrefix(ev.Addr, "tcp://")
	if ap, err := netip.ParseAddrPort(address); !found || err != nil || ap.Port() == 0 || ap.Addr().IsUnspecified() {
		m.Errorf("ENTER says that the peer is at %q", ev.Addr)
	}
	if ev := b.await(zyre.Enter, a.UUID()); len(ev.Headers) != 0 {
		m.Errorf("headers of a peer without any: %v", ev.Headers)
	}
}

func unnamed(m *mesh) {
	a, b := m.start("a", Options{}), m.start("", Options{})
	want := b.UUID().Short()
	if ev := a.await(zyre.Enter, b.UUID()); ev.Name != want || b.Name() != want {
		m.Errorf("the node is called %q by itself and %q by its peer, not %q", b.Name(), ev.Name, want)
	}
}

// oneLife: every event of a peer, in the order in which it caused them.
func oneLife(m *mesh) {
	a := m.start("a", Options{})
	m.ok(a.Join("G"), "join")
	b := m.start("b", Options{})
	m.meet(a, b)
	b.expect(a.event(zyre.Join, "G"))
	hello, bye := []byte("hello"), []byte("bye")
	m.ok(b.Join("G"), "join")
	m.ok(b.Shout("G", hello), "shout")
	m.ok(b.Whisper(a.UUID(), bye), "whisper")
	m.ok(b.Leave("G"), "leave")
	m.ok(b.Join("H"), "join")
	a.expect(
		b.event(zyre.Join, "G"), b.event(zyre.Shout, "G", hello),
		b.event(zyre.Whisper, "", bye), b.event(zyre.Leave, "G"), b.event(zyre.Join, "H"),
	)
	// The groups of one who exits are not left one by one, and it exits at
	// once: the timeouts are too long to cause it.
	exit := b.event(zyre.Exit, "")
	m.ok(b.Stop(), "stop")
	a.expect(exit)
	if len(a.Peers()) != 0 || len(a.PeerGroups()) != 0 {
		m.Error("the peer is still known after its EXIT")
	}
}

// eventsAreSo: who has an event and asks finds what it says, at once.
func eventsAreSo(m *mesh) {
	a, b := m.start("a", Options{}), m.open("b", Options{})
	for range 10 {
		m.startAgain(b)
		id := b.UUID()
		a.await(zyre.Enter, id)
		if _, known := a.Peer(id); !known {
			m.Error("a peer is not known behind its ENTER")
		}
		m.same("the peers behind an ENTER", a.Peers(), b)
		m.ok(b.Join("G"), "join")
		a.awaitGroup(zyre.Join, id, "G")
		m.same("the members behind a JOIN", a.GroupPeers("G"), b)
		m.ok(b.Leave("G"), "leave")
		a.awaitGroup(zyre.Leave, id, "G")
		m.same("the members behind a LEAVE", a.GroupPeers("G"))
		m.ok(b.Join("G"), "join")
		a.awaitGroup(zyre.Join, id, "G")
		b.await(zyre.Enter, a.UUID())
		m.ok(b.Stop(), "stop")
		a.await(zyre.Exit, id)
		m.is(a.Whisper(id, []byte("x")), zyre.ErrUnknownPeer, "whisper behind an EXIT")
		m.same("the members behind an EXIT", a.GroupPeers("G"))
		m.same("the peers behind an EXIT", a.Peers())
		if _, known := a.Peer(id); known || len(a.PeerGroups()) != 0 {
			m.Errorf("behind an EXIT the peer is known: %t; groups of peers: %q", known, a.PeerGroups())
		}
		m.ok(b.Leave("G"), "leave")
	}
}

func groupsBeforeStart(m *mesh) {
	a, b := m.start("a", Options{}), m.open("b", Options{})
	for _, g := range []string{"Z", "A", "M"} {
		m.ok(b.Join(g), "join")
	}
	m.ok(b.Leave("A"), "leave")
	m.ok(b.Start(m.ctx), "start")
	a.expect(b.event(zyre.Enter, ""))
	// libzyre keeps groups in a hash table, so their order on the wire is
	// that of the table.
	a.awaitGroup(zyre.Join, b.UUID(), "M")
	a.awaitGroup(zyre.Join, b.UUID(), "Z")
	m.ok(b.Join("LAST"), "join")
	a.expect(b.event(zyre.Join, "LAST"))
}

// otherPort: nodes on another UDP port are another network.
func otherPort(m *mesh) {
	other := m.start("other", Options{Port: testport.Next()})
	a, b := m.pair()
	for _, n := range []*node{a, b} {
		if len(n.Peers()) != 1 {
			m.Errorf("%s has peers %v", n.Name(), n.Peers())
		}
	}
	if len(other.Peers()) != 0 {
		m.Errorf("the node on the other port has peers %v", other.Peers())
	}
}

func peerPort(m *mesh) {
	port := testport.Next()
	a, b := m.start("a", Options{}), m.start("b", Options{PeerPort: port})
	if ev := a.await(zyre.Enter, b.UUID()); !strings.HasSuffix(ev.Addr, fmt.Sprintf(":%d", port)) {
		m.Errorf("the peer with port %d is at %q", port, ev.Addr)
	}
}

// requirePeer connects two networks by hand. A guide in the second one tells
// where its node is.
func requirePeer(m *mesh) {
	second := testport.Next()
	target, guide := m.start("target", Options{Port: second}), m.start("guide", Options{Port: second})
	addr := guide.await(zyre.Enter, target.UUID()).Addr
	n := m.start("n", Options{})
	m.ok(n.RequirePeer(target.UUID(), addr, ""), "RequirePeer")
	m.ok(n.RequirePeer(target.UUID(), addr, ""), "RequirePeer again")
	m.meet(n, target)
	m.ok(n.Whisper(target.UUID(), []byte("found")), "whisper")
	if ev := target.await(zyre.Whisper, n.UUID()); ev.Text() != "found" {
		m.Errorf("got %v", ev)
	}
	if len(n.Peers()) != 1 {
		m.Errorf("peers: %v", n.Peers())
	}
}

// anyText: names, groups and headers are bytes, up to the limits.
func anyText(m *mesh) {
	const name = "дом 家 🏠 100%s\n"
	group := strings.Repeat("г", 127) + "!" // 255 bytes
	headers := map[string]string{
		"ключ": "значение", "percent": "%s%n%d", strings.Repeat("k", 255): "long name",
		"long": strings.Repeat("v", 64<<10), "latin": "\xe9\xff",
	}
	a, b := m.start(name, Options{Headers: headers}), m.start(strings.Repeat("n", 255), Options{})
	ev := b.await(zyre.Enter, a.UUID())
	if ev.Name != name || !maps.Equal(ev.Headers, headers) {
		m.Errorf("name is %q, and %d of %d headers arrived", ev.Name, len(ev.Headers), len(headers))
	}
	if ev := a.await(zyre.Enter, b.UUID()); len(ev.Name) != 255 {
		m.Errorf("name of 255 bytes is %q", ev.Name)
	}
	m.joined(group, []*node{a, b})
	m.ok(a.Shout(group, []byte("%s")), "shout")
	b.expect(a.event(zyre.Shout, group, []byte("%s")))
}
