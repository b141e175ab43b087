package beacon

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gozyre/zyre/internal/netif"
	"github.com/gozyre/zyre/internal/netlab"
	"github.com/gozyre/zyre/internal/testport"
)

// These tests run in network namespaces of their own. "alice" is a process in
// one host, so that all she does happens there. "bob" is in another host, but
// a node of the test process: only his sockets are there.

const netPort = 5670

// neighbours starts both of them on hosts that share a network.
func neighbours(t *testing.T, s netif.Selection, multicast ...string) (host *netlab.Host, alice *child, bob *node) {
	t.Helper()
	t.Parallel()
	netlab.Need(t)
	lab := netlab.New(t)
	host = lab.Host("alice")
	bob = startIn(t, lab.Host("bob"), "bob", s, multicast...)
	alice = startChild(t, host.Command(os.Args[0]), childSettings{UUID: uuidOf("alice"), Port: netPort, Selection: s, Multicast: multicast})
	return host, alice, bob
}

// startIn starts a node of this process with its sockets in the host. It will
// not follow the interfaces there, so it waits until the network is up. It is
// given an address that only the host has: should it ever follow interfaces
// outside, there would still be none that it could send on.
func startIn(t *testing.T, h *netlab.Host, name string, s netif.Selection, multicast ...string) (n *node) {
	t.Helper()
	h.Do(func() {
		var links []netif.Link
		eventually(t, "the host has a network", func() bool {
			links, _, _ = s.Choose()
			return len(links) > 0 && !links[0].Loopback
		})
		cfg := configure(name, netPort, 50*time.Millisecond)
		cfg.Selection, cfg.Multicast = s, multicast
		cfg.Selection.Names = []string{links[0].Addr.WithZone("").String()}
		n = startNode(t, cfg, links)
	})
	return n
}

// run runs "ip" with these words in the host.
func run(t *testing.T, h *netlab.Host, line string) {
	t.Helper()
	if out, err := h.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", line, err, out)
	}
}

// forget drops what was seen so far.
func (n *node) forget() {
	for len(n.seen) > 0 {
		<-n.seen
	}
}

func TestBroadcastOnANetwork(t *testing.T) {
	host, alice, bob := neighbours(t, netif.Selection{})
	if s := bob.seesNode("alice"); s.From != netip.AddrPortFrom(host.Addr(), netPort) {
		t.Errorf("alice is at %v", s.From)
	}
	alice.expect("saw bob 1")
	alice.stop()
	bob.sees("alice's goodbye", func(s Sighting) bool { return s.Beacon.Port == 0 })
}

func TestIPv6LinkLocalMulticast(t *testing.T) {
	_, alice, bob := neighbours(t, netif.Selection{IPv6: true})
	from := bob.seesNode("alice").From.Addr()
	if !from.IsLinkLocalUnicast() || from.Zone() == "" {
		t.Errorf("alice is at %v", from)
	}
	if rest := alice.expect("saw bob 1 "); !strings.HasPrefix(rest, "fe80::") || !strings.HasSuffix(rest, "%eth0") {
		t.Errorf("bob is at %s", rest)
	}
}

func TestIPv6WideMulticast(t *testing.T) {
	_, alice, bob := neighbours(t, netif.Selection{IPv6: true}, "ff05::5670")
	bob.seesNode("alice")
	alice.expect("saw bob 1")
}

// One node meets others of IPv4 and of IPv6 that do not meet each other.
func TestDualStack(t *testing.T) {
	for _, multicast := range [][]string{nil, {"ff05::5670", "239.255.56.70"}} {
		t.Run(fmt.Sprint("groups ", multicast), func(t *testing.T) {
			t.Parallel()
			netlab.Need(t)
			lab := netlab.New(t)
			host := lab.Host("alice")
			four := startIn(t, lab.Host("four"), "four", netif.Selection{}, multicast[len(multicast)/2:]...)
			six := startIn(t, lab.Host("six"), "six", netif.Selection{IPv6: true}, multicast[:len(multicast)/2]...)
			alice := startChild(t, host.Command(os.Args[0]), childSettings{
				UUID: uuidOf("alice"), Port: netPort, Selection: netif.Selection{DualStack: true}, Multicast: multicast,
			})
			if from := four.seesNode("alice").From.Addr(); from != host.Addr() {
				t.Errorf("alice is at %v for IPv4", from)
			}
			if from := six.seesNode("alice").From.Addr(); !from.IsLinkLocalUnicast() || from.Is4() {
				t.Errorf("alice is at %v for IPv6", from)
			}
			alice.expect("saw four 1 10.77.0.")
			alice.expect("saw six 1 fe80::")
			for _, node := range []*node{four, six} {
				node.forget()
			}
			alice.stop()
			for _, node := range []*node{four, six} {
				node.sees("alice's goodbye", func(s Sighting) bool { return s.Beacon.Port == 0 && name(s.Beacon.UUID) == "alice" })
			}
		})
	}
}

func TestIPv4Multicast(t *testing.T) {
	host, alice, bob := neighbours(t, netif.Selection{Names: []string{"eth0"}}, "239.255.56.70")
	if s := bob.seesNode("alice"); s.From.Addr() != host.Addr() {
		t.Errorf("alice is at %v", s.From)
	}
	alice.expect("saw bob 1")
}

func TestInterfaceDownAndUp(t *testing.T) {
	host, alice, bob := neighbours(t, netif.Selection{Names: []string{"eth0"}})
	bob.seesNode("alice")
	run(t, host, "link set eth0 down")
	alice.expect("log cannot send beacons, trying again link=eth0 " + host.Addr().String())
	bob.forget()
	run(t, host, "link set eth0 up")
	alice.expect("log beacons are sent again link=eth0 " + host.Addr().String())
	bob.seesNode("alice")
	alice.expect("saw bob 1")
}

// An IPv6 address is gone while the interface is down, and so is what is
// bound to it.
func TestInterfaceDownAndUpIPv6(t *testing.T) {
	host, alice, bob := neighbours(t, netif.Selection{Names: []string{"eth0"}, IPv6: true})
	bob.seesNode("alice")
	run(t, host, "link set eth0 down")
	alice.expect("log cannot send beacons, trying again link=eth0 fe80::")
	bob.forget()
	run(t, host, "link set eth0 up")
	alice.expect("log beacons are sent again link=eth0 fe80::")
	bob.seesNode("alice")
	alice.expect("saw bob 1")
}

// The socket cannot even be opened at first.
func TestNoRouteAtStart(t *testing.T) {
	t.Parallel()
	netlab.Need(t)
	lab := netlab.New(t)
	host, s := lab.Host("alice"), netif.Selection{Names: []string{"eth0"}}
	bob := startIn(t, lab.Host("bob"), "bob", s)
	run(t, host, "route del 10.77.0.0/24 dev eth0")
	run(t, host, "route del broadcast 10.77.0.255 dev eth0 table local")
	alice := startChild(t, host.Command(os.Args[0]), childSettings{UUID: uuidOf("alice"), Port: netPort, Selection: s})
	alice.expect("log cannot send beacons, trying again link=eth0 " + host.Addr().String())
	run(t, host, "route add broadcast 10.77.0.255 dev eth0 table local src "+host.Addr().String())
	alice.expect("log beacons are sent again")
	bob.seesNode("alice")
}

func TestCableOutAndIn(t *testing.T) {
	host, alice, bob := neighbours(t, netif.Selection{})
	bob.seesNode("alice")
	host.LinkDown()
	bob.forget()
	host.LinkUp()
	bob.seesNode("alice")
	alice.expect("saw bob 1")
}

func TestNewAddress(t *testing.T) {
	host, alice, bob := neighbours(t, netif.Selection{Names: []string{"eth0"}})
	bob.seesNode("alice")
	host.SetAddr(netip.MustParseAddr("10.77.0.99"))
	alice.expect("relinked [eth0 10.77.0.99]")
	bob.sees("alice at her new address", func(s Sighting) bool { return s.From.Addr() == host.Addr() })
	alice.expect("saw bob 1")
}

// The interface itself is taken away and comes back under its old name.
func TestInterfaceReplaced(t *testing.T) {
	for _, multicast := range [][]string{nil, {"239.255.56.70"}} {
		t.Run(fmt.Sprint("groups ", multicast), func(t *testing.T) {
			host, alice, bob := neighbours(t, netif.Selection{Names: []string{"eth0"}}, multicast...)
			bob.seesNode("alice")
			run(t, host, "link set eth0 down name gone")
			alice.expect("log cannot")
			// A bridge over the old card, as administrators do.
			run(t, host, "address flush dev gone")
			run(t, host, "link add eth0 type bridge")
			run(t, host, "link set gone master eth0 up")
			run(t, host, "address add 10.77.0.98/24 brd + dev eth0")
			run(t, host, "link set eth0 up")
			alice.expect("relinked [eth0 10.77.0.98]")
			bob.sees("alice on her new interface", func(s Sighting) bool { return s.From.Addr().String() == "10.77.0.98" })
			alice.expect("saw bob 1")
		})
	}
}

func TestNewInterfaceForAll(t *testing.T) {
	host, alice, bob := neighbours(t, netif.Selection{Names: []string{"*"}})
	bob.seesNode("alice")
	run(t, host, "link add z0 type veth peer name z1")
	run(t, host, "address add 10.88.0.1/24 brd + dev z0")
	run(t, host, "link set z1 up")
	run(t, host, "link set z0 up")
	alice.expect(fmt.Sprintf("relinked [eth0 %v z0 10.88.0.1]", host.Addr()))
	run(t, host, "link delete z0")
	alice.expect(fmt.Sprintf("relinked [eth0 %v]", host.Addr()))
	bob.forget()
	bob.seesNode("alice")
}

// A node that was started without a network finds it when it comes.
func TestNetworkComesLater(t *testing.T) {
	for _, s := range []netif.Selection{{}, {IPv6: true}} {
		t.Run(fmt.Sprintf("IPv6 %v", s.IPv6), func(t *testing.T) {
			t.Parallel()
			netlab.Need(t)
			lab := netlab.New(t)
			host := lab.Host("alice")
			bob := startIn(t, lab.Host("bob"), "bob", s)
			run(t, host, "link set eth0 down")
			alice := startChild(t, host.Command(os.Args[0]), childSettings{UUID: uuidOf("alice"), Port: netPort, Selection: s})
			alice.expect("started [lo ")
			run(t, host, "link set eth0 up")
			alice.expect("relinked [eth0")
			bob.seesNode("alice")
			alice.expect("saw bob 1")
		})
	}
}

// Two nodes of one process on the same port in two namespaces have sockets of
// their own, and look for interfaces in neither by mistake.
func TestNamespacesAreApart(t *testing.T) {
	t.Parallel()
	netlab.Need(t)
	one, two := netlab.New(t).Host("one"), netlab.New(t).Host("two")
	alice := startIn(t, one, "alice", netif.Selection{})
	mallory := startIn(t, two, "mallory", netif.Selection{})
	startIn(t, one, "bob", netif.Selection{})
	startIn(t, two, "eve", netif.Selection{})
	for range 10 {
		if s := alice.sees("anybody", func(Sighting) bool { return true }); name(s.Beacon.UUID) != "bob" {
			t.Fatalf("saw %s of another network", name(s.Beacon.UUID))
		}
		if s := mallory.sees("anybody", func(Sighting) bool { return true }); name(s.Beacon.UUID) != "eve" {
			t.Fatalf("saw %s of another network", name(s.Beacon.UUID))
		}
	}

	idle := configure("idle", netPort, never) // on lo, which is there outside too
	idle.Relinked = func(links []netif.Link) { t.Errorf("moved to %v", links) }
	one.Do(func() { alice = startNode(t, idle, nil) })
	alice.follow()
	if links := alice.links(); len(links) != 0 {
		t.Errorf("a node of another namespace took %v", links)
	}
}

// What arrives goes to the receiver; nothing collects in a sending socket.
func TestSendersReceiveNothing(t *testing.T) {
	links, port := loopback(t), testport.Next()
	alice := startNode(t, configure("alice", port, never), links)
	startNode(t, configure("bob", port, 5*time.Millisecond), links)
	unicast, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	defer unicast.Close()
	if _, err := unicast.Write([]byte("garbage")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the unicast datagram is received", func() bool { return alice.Refused() == 1 })
	for range 10 {
		alice.seesNode("bob")
	}
	raw, err := alice.senders[0].conn.(*net.UDPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Read(func(fd uintptr) bool {
		if n, err := syscall.Read(int(fd), make([]byte, 100)); err != syscall.EAGAIN {
			t.Errorf("the sending socket holds %d bytes, %v", n, err)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
}
