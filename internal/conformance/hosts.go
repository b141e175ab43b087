package conformance

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/gozyre/zyre"
	"github.com/gozyre/zyre/internal/netlab"
)

var hostTests = []test{
	{"TwoHosts", twoHosts},
	{"LinkDownAndUp", linkDownAndUp},
	{"HostVanishes", hostVanishes},
	{"PartitionAndHeal", partitionAndHeal},
	{"LossyLink", lossyLink},
	{"NewAddress", newAddress},
}

// RunHosts runs nodes on several hosts of a network that is cut, bad or
// changed. It skips where no such network can be made.
func RunHosts(t *testing.T, a, b Factory) {
	for _, tt := range slices.Concat(hostTests, interfaceTests) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.run(newMesh(t, a, b))
		})
	}
}

// settled makes a network of hosts with a node on each, which have met.
func (m *mesh) settled(hosts int, o Options) (*netlab.Lab, []*netlab.Host, []*node) {
	m.Helper()
	lab := netlab.New(m)
	var machines []*netlab.Host
	var nodes []*node
	for i := range hosts {
		h := lab.Host(fmt.Sprint("h", i+1))
		machines = append(machines, h)
		nodes = append(nodes, m.on(h, o))
	}
	m.meet(nodes...)
	return lab, machines, nodes
}

// on starts a node on a host, named after it.
func (m *mesh) on(h *netlab.Host, o Options) *node {
	m.Helper()
	f := m.factory()
	o.Interface = h.Interface()
	n := m.adopt(f, Launch(m, h.Command, ServeTest, f, h.Name(), m.defaults(f, o)))
	m.ok(n.Start(m.ctx), "start")
	return n
}

// talk sends numbered messages both ways and expects them next.
func (m *mesh) talk(a, b *node, count int) {
	m.Helper()
	m.ok(sendNumbers(a, b.UUID(), 0, count), "whispers")
	m.ok(sendNumbers(b, a.UUID(), 0, count), "whispers")
	m.ok(checkNumbers(b, map[zyre.UUID]int{a.UUID(): 1}, count), "whispers to "+b.Name())
	m.ok(checkNumbers(a, map[zyre.UUID]int{b.UUID(): 1}, count), "whispers to "+a.Name())
}

func twoHosts(m *mesh) {
	_, hosts, nodes := m.settled(2, Options{})
	a, b := nodes[0], nodes[1]
	if p, ok := a.Peer(b.UUID()); !ok || netip.MustParseAddrPort(p.Endpoint[len("tcp://"):]).Addr() != hosts[1].Addr() {
		m.Errorf("the peer is %+v, not at its host's address %v", p, hosts[1].Addr())
	}
	m.joined("G", []*node{b}, a)
	m.deliver(a, b, frames("across", "", "hosts"))
	m.talk(a, b, 100)
}

// linkDownAndUp: a cable that is out for less than the timeouts costs nothing:
// what was sent meanwhile arrives, and nobody is mute afterwards.
func linkDownAndUp(m *mesh) {
	const outage = 5 * time.Second
	_, hosts, nodes := m.settled(2, Options{Evasive: time.Second, Silent: 2 * time.Second, Expired: long})
	a, b := nodes[0], nodes[1]
	hosts[1].LinkDown()
	plug := time.After(outage)
	a.await(zyre.Evasive, b.UUID())
	b.await(zyre.Evasive, a.UUID())
	const count = 50
	m.ok(sendNumbers(a, b.UUID(), 0, count), "whispers into the outage")
	<-plug
	hosts[1].LinkUp()
	m.ok(checkNumbers(b, map[zyre.UUID]int{a.UUID(): 1}, count), "whispers into the outage")
	m.talk(a, b, count)
}

func hostVanishes(m *mesh) {
	_, hosts, nodes := m.settled(3, soon)
	a, gone, c := nodes[0], nodes[1], nodes[2]
	life := gone.event(0, "")
	hosts[1].Vanish()
	a.seesFade(life)
	c.seesFade(life)
	m.talk(a, c, 10)
}

// partitionAndHeal: hosts that lose each other for longer than the timeouts
// find each other again, and the third one notices nothing.
func partitionAndHeal(m *mesh) {
	lab, hosts, nodes := m.settled(3, soon)
	a, b, c := nodes[0], nodes[1], nodes[2]
	lab.Partition(hosts[0], hosts[1])
	a.await(zyre.Exit, b.UUID())
	b.await(zyre.Exit, a.UUID())
	m.talk(a, c, 10)
	m.talk(b, c, 10)
	lab.Heal()
	m.meet(a, b)
	m.talk(a, b, 10)
	m.talk(a, c, 10)
}

// lossyLink: loss slows messages down, and that is all. With more of it the
// kernel's pauses, each twice the last, become longer than any test's patience
// now and then; package faults has that for the engine that does without them.
func lossyLink(m *mesh) {
	_, hosts, nodes := m.settled(2, Options{})
	hosts[1].Loss(10)
	m.talk(nodes[0], nodes[1], 200)
}

// newAddress: a node that is started again is found at its host's new address.
func newAddress(m *mesh) {
	_, hosts, nodes := m.settled(2, Options{})
	a, b := nodes[0], nodes[1]
	exit := b.event(zyre.Exit, "")
	m.ok(b.Stop(), "stop")
	a.expect(exit)
	hosts[1].SetAddr(netip.MustParseAddr("10.77.0.200"))
	m.startAgain(b)
	if ev := a.await(zyre.Enter, b.UUID()); netip.MustParseAddrPort(ev.Addr[len("tcp://"):]).Addr() != hosts[1].Addr() {
		m.Errorf("got %v", ev)
	}
	b.await(zyre.Enter, a.UUID())
	m.talk(a, b, 10)
}
