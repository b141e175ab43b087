// Package netif chooses the network interfaces on which a node announces
// itself. The decision is a pure function over a description of the
// interfaces (choose.go, name.go); reading that description from the system
// is a thin layer apart (system.go).
package netif

import (
	"net/netip"
)

// Link is one address of one interface on which a node can announce itself.
// Links are comparable: two are equal if nothing about them has changed.
type Link struct {
	Name  string
	Index int
	Addr  netip.Addr // an IPv6 link-local address has the interface as its zone

	// Broadcast is where an IPv4 beacon goes: the directed broadcast address
	// of the network, as the kernel has it or else computed; 127.255.255.255
	// on loopback; 255.255.255.255 in a network of one or two addresses,
	// which has no directed one (RFC 3021). It is invalid for IPv6.
	Broadcast netip.Addr

	Prefix   netip.Prefix // the network of Addr
	Loopback bool
}

// String returns the interface and the address: "eth0 192.168.1.7".
func (l Link) String() string { return l.Name + " " + l.Addr.WithZone("").String() }

// Selection is what the user says about interfaces. The zero Selection leaves
// the choice to [Selection.Choose].
type Selection struct {
	// Names are interface names ("eth0"), addresses of interfaces, one digit
	// 0 to 9 for the n-th that can broadcast, as libzyre counts them, or "*"
	// for all. "lo" is the loopback interface also where it has another name.
	Names []string

	// IPv6 asks for IPv6 links, which announce by multicast, instead of IPv4.
	IPv6 bool

	// DualStack asks for links of both, those of IPv4 first. What has an
	// address of one version only gives that.
	DualStack bool

	// IPv6Addr picks one address where an interface has several; by default
	// it is the link-local one. Without Names it also picks the interface.
	IPv6Addr string
}

// Choose returns the links to announce on, at least one, and in a few words
// for the log why it was these. Without names it takes the first interface
// that is up, can broadcast (IPv6: multicast) and is neither point-to-point
// nor loopback nor a container bridge, else loopback. An interface that is
// named need only be up. "*" takes all that can broadcast, and loopback or
// container bridges only where there is nothing else.
//
// With DualStack what is not named is chosen for each IP version, but
// loopback only if neither has a network.
//
// Linux has no IPv6 multicast on loopback. Naming it with IPv6 is refused
// there; as the last resort it is taken all the same, to wait for a network.
//
// An error wraps rule.ErrNoInterface, names what was wanted and lists what
// is usable.
func (s Selection) Choose() (links []Link, why string, err error) {
	ifaces, err := system()
	if err != nil {
		return nil, "", err
	}
	return s.choose(ifaces)
}

// Rechoose is Choose for a node that has links: it returns those that the
// node should have now. It differs in what it tolerates. Of several names
// those that are gone are left out. Without names the node stays where it is
// as long as that works, and moves from a network to loopback never, since
// the network is likely to return; but from loopback to a network at once.
// An error means that there is nothing better than what the node has.
func (s Selection) Rechoose(current []Link) ([]Link, error) {
	ifaces, err := system()
	if err != nil {
		return nil, err
	}
	return s.rechoose(ifaces, current)
}

// Usable returns the links that a node can have without naming them, the best
// first: container bridges come late, loopback last.
func Usable(ipv6 bool) ([]Link, error) {
	ifaces, err := system()
	if err != nil {
		return nil, err
	}
	return Selection{IPv6: ipv6}.usable(ifaces), nil
}
