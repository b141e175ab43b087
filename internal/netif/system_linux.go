package netif

import (
	"encoding/binary"
	"net"
	"net/netip"
	"syscall"
)

// Flags of an IPv6 address that nobody can send from (linux/if_addr.h).
const (
	addrDuplicate = 0x08 // another host has it
	addrTentative = 0x40 // not yet known whether another host has it
)

// addresses asks the kernel once for all addresses, where package net would
// ask once for each interface and not tell their broadcast addresses.
func addresses(all []net.Interface) (map[int][]address, error) {
	reply, err := syscall.NetlinkRIB(syscall.RTM_GETADDR, syscall.AF_UNSPEC)
	if err != nil {
		return portableAddresses(all) // Android forbids it
	}
	messages, err := syscall.ParseNetlinkMessage(reply)
	if err != nil {
		return nil, err
	}
	byIndex := make(map[int][]address, len(all))
	for _, m := range messages {
		if index, a, ok := parseAddress(m); ok {
			byIndex[index] = append(byIndex[index], a)
		}
	}
	return byIndex, nil
}

// parseAddress reads a struct ifaddrmsg and its attributes, see rtnetlink(7).
func parseAddress(m syscall.NetlinkMessage) (index int, a address, ok bool) {
	if m.Header.Type != syscall.RTM_NEWADDR || len(m.Data) < syscall.SizeofIfAddrmsg {
		return 0, address{}, false
	}
	bits, flags := int(m.Data[1]), m.Data[2]
	index = int(binary.NativeEndian.Uint32(m.Data[4:]))
	attrs, err := syscall.ParseNetlinkRouteAttr(&m)
	if err != nil || flags&(addrDuplicate|addrTentative) != 0 {
		return 0, address{}, false
	}
	var local, remote netip.Addr
	for _, attr := range attrs {
		addr, _ := netip.AddrFromSlice(attr.Value)
		switch attr.Attr.Type {
		case syscall.IFA_LOCAL:
			local = addr
		case syscall.IFA_ADDRESS: // the other end's on point-to-point links
			remote = addr
		case syscall.IFA_BROADCAST:
			a.broadcast = addr
		}
	}
	if !local.IsValid() {
		local = remote
	}
	a.prefix = netip.PrefixFrom(local, bits)
	return index, a, a.prefix.IsValid()
}
