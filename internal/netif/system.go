package netif

import (
	"fmt"
	"net"
	"net/netip"
)

// system describes the interfaces of this machine, in the order of the kernel.
func system() ([]iface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	addrs, err := addresses(all)
	if err != nil {
		return nil, fmt.Errorf("list network addresses: %w", err)
	}
	ifaces := make([]iface, len(all))
	for n, i := range all {
		ifaces[n] = iface{name: i.Name, index: i.Index, flags: i.Flags, addrs: addrs[i.Index]}
	}
	return ifaces, nil
}

// portableAddresses returns the addresses of the interfaces by their index.
// Package net does not give their broadcast addresses.
func portableAddresses(all []net.Interface) (map[int][]address, error) {
	byIndex := make(map[int][]address, len(all))
	var failed error
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil {
			failed = err // likely it has gone since; what matters is whether any is left
			continue
		}
		for _, a := range addrs {
			if prefix, ok := prefixOf(a); ok {
				byIndex[i.Index] = append(byIndex[i.Index], address{prefix: prefix})
			}
		}
	}
	if len(byIndex) == 0 {
		return nil, failed
	}
	return byIndex, nil
}

func prefixOf(a net.Addr) (netip.Prefix, bool) {
	n, ok := a.(*net.IPNet)
	if !ok {
		return netip.Prefix{}, false
	}
	addr, ok := netip.AddrFromSlice(n.IP)
	if !ok {
		return netip.Prefix{}, false
	}
	addr = addr.Unmap()
	ones, bits := n.Mask.Size()
	if bits == 0 { // not a mask of ones and then zeros
		return netip.Prefix{}, false
	}
	if addr.Is4() && bits == 128 {
		ones -= 96
	}
	prefix := netip.PrefixFrom(addr, ones)
	return prefix, prefix.IsValid()
}
