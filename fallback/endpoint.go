package fallback

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/gozyre/zyre/fallback/internal/transport"
	"github.com/gozyre/zyre/internal/rule"
)

// place is where a node is reached: an endpoint in the one form that this
// package compares, and its address, which is invalid for ipc and inproc.
type place struct {
	endpoint string
	addr     netip.AddrPort
}

// tcpPlace is the place of an address. Unlike what ZRE writes it keeps the
// zone, without which a link-local address cannot be dialled.
func tcpPlace(a netip.AddrPort) place {
	a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	return place{"tcp://" + a.Addr().String() + ":" + strconv.Itoa(int(a.Port())), a}
}

// parsePlace reads an endpoint that the user or the gossip names.
func parsePlace(s string) (place, error) {
	if err := transport.Check(s); err != nil {
		return place{}, rule.Invalid("endpoint", s, "is none of tcp://address:port, ipc://path and inproc://name")
	}
	if !strings.HasPrefix(s, "tcp://") {
		return place{endpoint: s}, nil
	}
	host, port, err := transport.SplitTCP(s)
	if err != nil || port == 0 {
		return place{}, rule.Invalid("endpoint", s, "has no port of 1 to 65535")
	}
	addr, err := parseAddr(host)
	if err != nil {
		// A name, which is looked up when it is dialled.
		return place{endpoint: s}, nil
	}
	if addr.IsUnspecified() || addr.IsMulticast() {
		return place{}, rule.Invalid("endpoint", s, "has no address that one can connect to")
	}
	return tcpPlace(netip.AddrPortFrom(addr, port)), nil
}

// parseAddr reads an address. A zone has a meaning with a link-local one only;
// with others it would hide that they are unspecified.
func parseAddr(host string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(host)
	if err == nil && !addr.IsLinkLocalUnicast() {
		addr = addr.WithZone("")
	}
	return addr, err
}

// target is where a peer is to be reached that says in its HELLO, which came
// from the address from, that it listens on endpoint. A host name, which
// libzyre gives when it listens on every interface, and a link-local address,
// which needs our zone, are replaced by the address that it came from. Only
// who came by ipc or inproc himself may name such an endpoint.
func target(endpoint string, from netip.Addr) (place, error) {
	at, err := parsePlace(endpoint)
	if err != nil {
		return place{}, err
	}
	if !strings.HasPrefix(endpoint, "tcp://") {
		if from.IsValid() {
			return place{}, fmt.Errorf("a peer from the network cannot be at %q", endpoint)
		}
		return at, nil
	}
	host, port, err := transport.SplitTCP(endpoint)
	if err != nil {
		return place{}, err
	}
	addr, err := parseAddr(host)
	if err != nil || addr.IsLinkLocalUnicast() && addr.WithZone("") == from.WithZone("") {
		addr = from
	}
	switch addr = addr.Unmap(); {
	case !addr.IsValid() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return place{}, rule.Invalid("endpoint", endpoint, "is no address of a host")
	case port < minPort:
		return place{}, fmt.Errorf("port %d of a peer is below %d", port, minPort)
	}
	return tcpPlace(netip.AddrPortFrom(addr, port)), nil
}

// isPrivileged tells of an endpoint whether its port is one that no stranger's
// word makes a node connect to.
func isPrivileged(endpoint string) bool {
	_, port, err := transport.SplitTCP(endpoint)
	return err == nil && port < minPort
}

// addrOf returns the address of the other end of a connection; it is invalid
// for ipc and inproc.
func addrOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
