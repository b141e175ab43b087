package netlab

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
)

// Lab is a network: hosts on one bridge.
type Lab struct {
	t      testing.TB
	ctx    context.Context // ends after the cleanups of the test's own
	bridge *space
	hosts  []*Host
	cables int // between two hosts
}

// subnet is the network of the hosts. It exists in their namespaces only.
var subnet = netip.MustParsePrefix("10.77.0.0/24")

// New makes an empty network, or skips the test as [Need] does. It is gone
// when the test ends.
func New(t testing.TB) *Lab {
	t.Helper()
	Need(t)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	l := &Lab{t: t, ctx: ctx}
	l.bridge = l.newSpace()
	l.check(l.bridge.set("ipv6/conf/default/disable_ipv6", "1"))
	l.check(l.bridge.runAll(
		"ip link add br0 type bridge forward_delay 0 mcast_snooping 0",
		"ip link set br0 up",
	))
	return l
}

// Host adds a host to the network, with an address in 10.77.0.0/24 and an
// IPv6 link-local one on its [Host.Interface].
func (l *Lab) Host(name string) *Host {
	l.t.Helper()
	n := len(l.hosts) + 1
	if n > 250 {
		l.t.Fatalf("netlab: host %s is one too many", name)
	}
	h := &Host{
		lab: l, name: name, number: n, space: l.newSpace(),
		addr: netip.AddrFrom4([4]byte{10, 77, 0, byte(n)}),
	}
	l.hosts = append(l.hosts, h)
	l.check(h.attach())
	return h
}

// Partition makes two hosts unreachable for each other, by any protocol, in
// both directions. All others go on reaching both.
func (l *Lab) Partition(a, b *Host) {
	l.t.Helper()
	a.refuse(b)
	b.refuse(a)
}

// Block keeps what one host sends from another, which it still hears.
func (l *Lab) Block(from, to *Host) {
	l.t.Helper()
	to.refuse(from)
}

// Heal ends all partitions and blocks. Losses stay.
func (l *Lab) Heal() {
	l.t.Helper()
	for _, h := range l.hosts {
		h.refused = nil
		l.check(h.filter())
	}
}

// Connect lays a cable between two hosts, beside the network that they share:
// a second one, which has an interface on each and addresses of its own.
func (l *Lab) Connect(a, b *Host) (onA, onB Port) {
	l.t.Helper()
	l.cables++
	ports := [2]Port{}
	hosts := [2]*Host{a, b}
	for i, h := range hosts {
		h.ports++
		ports[i] = Port{fmt.Sprint("eth", h.ports), netip.AddrFrom4([4]byte{10, 78, byte(l.cables), byte(i + 1)})}
	}
	l.check(l.bridge.run("ip link add %s netns %d type veth peer name %s netns %d", ports[0].Name, a.space.tid, ports[1].Name, b.space.tid))
	for i, h := range hosts {
		l.check(h.space.runAll(
			fmt.Sprintf("ip address add %s/%d brd + dev %s", ports[i].Addr, subnet.Bits(), ports[i].Name),
			fmt.Sprintf("ip link set %s up", ports[i].Name),
		))
	}
	for i, h := range hosts {
		l.check(h.awaitLinkLocal(ports[i].Name))
	}
	return ports[0], ports[1]
}

// newSpace makes a namespace that ends with the test.
func (l *Lab) newSpace() *space {
	l.t.Helper()
	s, err := newSpace()
	l.check(err)
	l.t.Cleanup(s.close)
	return s
}

func (l *Lab) check(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(fmt.Errorf("netlab: %w", err))
	}
}
