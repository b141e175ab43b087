package netif

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// iface is what the system says of one interface.
type iface struct {
	name  string
	index int
	flags net.Flags
	addrs []address
}

// address is one address of an interface.
type address struct {
	prefix    netip.Prefix // the address itself, and how long its network prefix is
	broadcast netip.Addr   // as the kernel has it; invalid: not known
}

func (i iface) has(f net.Flags) bool { return i.flags&f == f }
func (i iface) up() bool             { return i.has(net.FlagUp) }
func (i iface) loopback() bool       { return i.has(net.FlagLoopback) }

func (i iface) hasAddr(addr netip.Addr) bool {
	return slices.ContainsFunc(i.addrs, func(a address) bool { return a.prefix.Addr() == addr })
}

// announces reports whether a beacon sent here reaches others by itself: the
// rule of libzyre for what it picks unasked.
func (i iface) announces(ipv6 bool) bool {
	reach := net.FlagBroadcast
	if ipv6 {
		reach = net.FlagMulticast
	}
	return i.has(net.FlagUp|reach) && !i.has(net.FlagPointToPoint) && !i.loopback()
}

// useless says why not even a user who names the interface can announce on it.
func (i iface) useless(ipv6 bool) string {
	switch {
	case !i.up():
		return "is down"
	case ipv6 && i.loopback() && !i.has(net.FlagMulticast):
		return "cannot multicast, which IPv6 needs"
	}
	return ""
}

// bridges are the names that container engines, hypervisors and their networks
// give to interfaces which lead nowhere but into the machine itself.
var bridges = []string{
	"docker", "podman", "cni", "nerdctl", "flannel", "cali", "cilium_", "weave", "kube-",
	"virbr", "lxcbr", "lxdbr", "incusbr", "vboxnet", "vmnet", "veth",
	"vEthernet (WSL", "vEthernet (Default Switch", "vEthernet (nat",
}

// containerBridge reports whether the interface is one of those, by its name:
// nothing else tells it from a bridge with a network card in it.
func (i iface) containerBridge() bool {
	if id, ok := strings.CutPrefix(i.name, "br-"); ok && len(id) == 12 && isHex(id) {
		return true // a network of docker, after its identifier
	}
	return slices.ContainsFunc(bridges, func(b string) bool { return strings.HasPrefix(i.name, b) })
}

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdef") == ""
}

// links returns the links of an interface for one family, the best first. An
// IPv6 beacon reaches everyone on the interface from any of its addresses, so
// one is enough. An IPv4 beacon reaches one network, so there is one for each.
func (i iface) links(ipv6 bool, preferred netip.Addr) []Link {
	var links []Link
	for _, a := range i.addrs {
		if a.prefix.Addr().Is6() == ipv6 {
			links = append(links, i.link(a))
		}
	}
	slices.SortStableFunc(links, func(a, b Link) int { return a.rank(preferred) - b.rank(preferred) })
	if ipv6 {
		return links[:min(1, len(links))]
	}
	return onePerNetwork(links)
}

// rank orders the addresses of one interface. IPv6: the preferred one, then
// link-local ones, which every host has. IPv4: single addresses come last,
// for they are virtual ones that move from host to host.
func (l Link) rank(preferred netip.Addr) int {
	switch {
	case sameAddr(preferred, l.Addr):
		return 0
	case l.Addr.IsLinkLocalUnicast() == l.Addr.Is6() && !l.Prefix.IsSingleIP():
		return 1
	default:
		return 2
	}
}

// onePerNetwork drops addresses in a network that an earlier one covers, and
// single addresses beside one in a real network.
func onePerNetwork(links []Link) []Link {
	seen := map[netip.Prefix]bool{}
	return slices.DeleteFunc(links, func(l Link) bool {
		drop := seen[l.Prefix] || l.Prefix.IsSingleIP() && len(seen) > 0
		seen[l.Prefix] = true
		return drop
	})
}

func (i iface) link(a address) Link {
	addr := a.prefix.Addr()
	l := Link{Name: i.name, Index: i.index, Addr: addr, Prefix: a.prefix.Masked(), Loopback: i.loopback()}
	switch {
	case addr.Is4():
		l.Broadcast = i.broadcast(a)
	case addr.IsLinkLocalUnicast():
		l.Addr = addr.WithZone(i.name)
	}
	return l
}

var (
	loopbackBroadcast = netip.AddrFrom4([4]byte{127, 255, 255, 255})
	limitedBroadcast  = netip.AddrFrom4([4]byte{255, 255, 255, 255})
)

// broadcast returns where an IPv4 beacon from a goes. Some systems give the
// address itself as its broadcast address where none was configured.
func (i iface) broadcast(a address) netip.Addr {
	switch own := a.prefix.Addr(); {
	case i.loopback():
		return loopbackBroadcast
	case a.prefix.Bits() >= 31:
		return limitedBroadcast
	case a.broadcast.Is4() && !a.broadcast.IsUnspecified() && a.broadcast != own:
		return a.broadcast
	default:
		return lastOf(a.prefix)
	}
}

// lastOf returns the highest address of an IPv4 network: address OR NOT mask.
func lastOf(p netip.Prefix) netip.Addr {
	a := p.Addr().As4()
	host := uint32(1)<<(32-p.Bits()) - 1
	binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(a[:])|host)
	return netip.AddrFrom4(a)
}

// sameAddr compares a wanted address with one of ours; a wanted one without
// zone means any interface.
func sameAddr(wanted, ours netip.Addr) bool {
	return wanted.IsValid() && (wanted == ours || wanted == ours.WithZone(""))
}
