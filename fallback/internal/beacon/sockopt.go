//go:build unix || windows

package beacon

import (
	"net/netip"
	"syscall"

	"github.com/gozyre/zyre/internal/netif"
)

// multicastFrom makes the link the one that multicast leaves by.
func multicastFrom(fd handle, l netif.Link) error {
	if l.Addr.Is6() {
		return syscall.SetsockoptInt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_MULTICAST_IF, l.Index)
	}
	return syscall.SetsockoptInet4Addr(fd, syscall.IPPROTO_IP, syscall.IP_MULTICAST_IF, l.Addr.As4())
}

// joinGroup makes the socket a member of the group on the link.
func joinGroup(fd handle, group netip.Addr, l netif.Link) error {
	if group.Is6() {
		return joinGroup6(fd, &syscall.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(l.Index)})
	}
	mreq := &syscall.IPMreq{Multiaddr: group.As4(), Interface: l.Addr.As4()}
	return syscall.SetsockoptIPMreq(fd, syscall.IPPROTO_IP, syscall.IP_ADD_MEMBERSHIP, mreq)
}
