package netif

import (
	"fmt"
	"net/netip"
	"slices"
)

// chooseNamed looks every name up. Two names of one link give it once.
func (s Selection) chooseNamed(ifaces []iface) (links []Link, errs []error) {
	for _, name := range s.Names {
		found, err := s.byName(ifaces, name)
		if err != nil {
			errs = append(errs, err)
		}
		for _, l := range found {
			if !slices.Contains(links, l) {
				links = append(links, l)
			}
		}
	}
	slices.SortStableFunc(links, func(a, b Link) int { return a.Addr.BitLen() - b.Addr.BitLen() })
	return links, errs
}

// byName returns the link that a name means, or two of different IP versions. An
// interface called "3" goes before the third interface.
func (s Selection) byName(ifaces []iface, name string) ([]Link, error) {
	if i, ok := named(ifaces, name); ok {
		return s.onInterface(ifaces, i)
	}
	if a, err := netip.ParseAddr(name); err == nil {
		return one(s.withAddress(ifaces, a))
	}
	if len(name) == 1 && name[0] >= '0' && name[0] <= '9' {
		return one(s.numbered(ifaces, int(name[0]-'0')))
	}
	return nil, s.refuse(ifaces, fmt.Sprintf("%q", name), "does not exist")
}

func one(l Link, err error) ([]Link, error) {
	if err != nil {
		return nil, err
	}
	return []Link{l}, nil
}

func named(ifaces []iface, name string) (iface, bool) {
	n := slices.IndexFunc(ifaces, func(i iface) bool { return i.name == name })
	if n < 0 && name == "lo" {
		n = slices.IndexFunc(ifaces, iface.loopback)
	}
	if n < 0 {
		return iface{}, false
	}
	return ifaces[n], true
}

// onInterface returns the best link of an interface, of each IP version.
func (s Selection) onInterface(ifaces []iface, i iface) (links []Link, err error) {
	why := "has no " + s.family() + " address"
	for _, ipv6 := range s.Versions() {
		if useless := i.useless(ipv6); useless != "" {
			why = useless
			continue
		}
		all := i.links(ipv6, s.preferred())
		links = append(links, all[:min(1, len(all))]...)
	}
	if len(links) == 0 {
		return nil, s.refuse(ifaces, fmt.Sprintf("%q", i.name), why)
	}
	return links, nil
}

// withAddress returns the link with exactly this address.
func (s Selection) withAddress(ifaces []iface, wanted netip.Addr) (Link, error) {
	wanted = wanted.Unmap()
	if !s.Wants(wanted) {
		return Link{}, s.refuse(ifaces, wanted.String(), "is not an "+s.family()+" address, which this node announces by")
	}
	for _, i := range ifaces {
		for _, a := range i.addrs {
			l := i.link(a)
			if !sameAddr(wanted, l.Addr) {
				continue
			}
			if why := i.useless(wanted.Is6()); why != "" {
				return Link{}, s.refuse(ifaces, fmt.Sprintf("%v, an address of %q, which", wanted, i.name), why)
			}
			return l, nil
		}
	}
	return Link{}, s.refuse(ifaces, wanted.String(), "is not an address of any interface")
}

// numbered returns the n-th address that can broadcast, from 0. As in libzyre
// all addresses count, those of IPv4 first, whichever family is wanted.
func (s Selection) numbered(ifaces []iface, n int) (Link, error) {
	var all []Link
	for _, ipv6 := range []bool{false, true} {
		for _, i := range ifaces {
			for _, a := range i.addrs {
				if a.prefix.Addr().Is6() == ipv6 && i.announces(ipv6) {
					all = append(all, i.link(a))
				}
			}
		}
	}
	if n >= len(all) {
		return Link{}, s.refuse(ifaces, fmt.Sprintf("interface number %d", n), fmt.Sprintf("does not exist, there are %d, counted from 0", len(all)))
	}
	if !s.Wants(all[n].Addr) {
		return Link{}, s.refuse(ifaces, fmt.Sprintf("interface number %d, %v,", n, all[n]), "has no "+s.family()+" address")
	}
	return all[n], nil
}
