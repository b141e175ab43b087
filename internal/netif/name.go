package netif

import (
	"fmt"
	"net/netip"
	"slices"
)

// chooseNamed looks every name up. Two names of one link give it once.
func (s Selection) chooseNamed(ifaces []iface) (links []Link, errs []error) {
	for _, name := range s.Names {
		l, err := s.byName(ifaces, name)
		switch {
		case err != nil:
			errs = append(errs, err)
		case !slices.Contains(links, l):
			links = append(links, l)
		}
	}
	return links, errs
}

// byName returns the link that a name means. An interface called "3" goes
// before the third interface.
func (s Selection) byName(ifaces []iface, name string) (Link, error) {
	if i, ok := named(ifaces, name); ok {
		return s.onInterface(ifaces, i)
	}
	if a, err := netip.ParseAddr(name); err == nil {
		return s.withAddress(ifaces, a)
	}
	if len(name) == 1 && name[0] >= '0' && name[0] <= '9' {
		return s.numbered(ifaces, int(name[0]-'0'))
	}
	return Link{}, s.refuse(ifaces, fmt.Sprintf("%q", name), "does not exist")
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

// onInterface returns the best link of an interface.
func (s Selection) onInterface(ifaces []iface, i iface) (Link, error) {
	if why := i.useless(s.IPv6); why != "" {
		return Link{}, s.refuse(ifaces, fmt.Sprintf("%q", i.name), why)
	}
	links := i.links(s.IPv6, s.preferred())
	if len(links) == 0 {
		return Link{}, s.refuse(ifaces, fmt.Sprintf("%q", i.name), "has no "+s.family()+" address")
	}
	return links[0], nil
}

// withAddress returns the link with exactly this address.
func (s Selection) withAddress(ifaces []iface, wanted netip.Addr) (Link, error) {
	wanted = wanted.Unmap()
	if wanted.Is6() != s.IPv6 {
		return Link{}, s.refuse(ifaces, wanted.String(), "is not an "+s.family()+" address, which this node announces by")
	}
	for _, i := range ifaces {
		for _, a := range i.addrs {
			l := i.link(a)
			if !sameAddr(wanted, l.Addr) {
				continue
			}
			if why := i.useless(s.IPv6); why != "" {
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
	if all[n].Addr.Is6() != s.IPv6 {
		return Link{}, s.refuse(ifaces, fmt.Sprintf("interface number %d, %v,", n, all[n]), "has no "+s.family()+" address")
	}
	return all[n], nil
}
