package netif

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/gozyre/zyre/internal/rule"
)

// Refuse says that the wanted interface cannot be used, why, and what there
// is instead.
func Refuse(wanted, why string, usable []Link) error {
	names := make([]string, len(usable))
	for i, l := range usable {
		names[i] = l.String()
	}
	there := "none is usable"
	if len(names) > 0 {
		there = "usable: " + strings.Join(names, ", ")
	}
	return fmt.Errorf("%w: %s %s; %s", rule.ErrNoInterface, wanted, why, there)
}

// choose is Choose over a description of the system.
func (s Selection) choose(ifaces []iface) ([]Link, string, error) {
	if err := s.checkIPv6Addr(ifaces); err != nil {
		return nil, "", err
	}
	switch {
	case len(s.Names) == 0:
		return s.chooseUnnamed(ifaces)
	case slices.Contains(s.Names, "*"):
		return s.chooseAll(ifaces)
	}
	links, errs := s.chooseNamed(ifaces)
	if len(errs) > 0 {
		return nil, "", errs[0]
	}
	return links, "named " + strings.Join(s.Names, ", "), nil
}

// rechoose is Rechoose over a description of the system.
func (s Selection) rechoose(ifaces []iface, current []Link) ([]Link, error) {
	switch {
	case len(s.Names) == 0:
		return s.stay(ifaces, current)
	case slices.Contains(s.Names, "*"):
		links, _, err := s.chooseAll(ifaces)
		return links, err
	}
	links, errs := s.chooseNamed(ifaces)
	if len(links) == 0 {
		return nil, errs[0]
	}
	return links, nil
}

// stay keeps the unnamed choice as steady as the network allows.
func (s Selection) stay(ifaces []iface, current []Link) ([]Link, error) {
	links, _, err := s.chooseUnnamed(ifaces)
	if err != nil {
		return nil, err
	}
	onNetwork := slices.ContainsFunc(current, func(l Link) bool { return !l.Loopback })
	if onNetwork && links[0].Loopback {
		return nil, s.refuse(ifaces, "a network", "is not there any more")
	}
	there := s.usable(ifaces)
	for i, l := range links {
		kept := slices.IndexFunc(current, func(c Link) bool { return !c.Loopback && c.Addr.Is6() == l.Addr.Is6() })
		if kept >= 0 && slices.Contains(there, current[kept]) {
			links[i] = current[kept]
		}
	}
	return links, nil
}

func (s Selection) chooseUnnamed(ifaces []iface) ([]Link, string, error) {
	networks, _, loopbacks := s.sorted(ifaces)
	why := "the first that is up, can " + s.verb() + " and is neither loopback nor a container bridge"
	if s.IPv6Addr != "" {
		links, err := s.byName(ifaces, s.IPv6Addr)
		if err != nil {
			return nil, "", err
		}
		networks = slices.Concat(links, networks)
		why = "it has the address " + s.IPv6Addr
	}
	// A container bridge is passed over even for loopback: other processes of
	// the machine are likelier to be there.
	switch {
	case len(networks) > 0:
		return s.firstOfEach(networks), why, nil
	case len(loopbacks) > 0:
		return loopbacks[:1], "loopback, because no network interface is up and can " + s.verb(), nil
	}
	return nil, "", s.refuse(ifaces, "a network or loopback interface", "that is up is not there")
}

// firstOfEach returns the first link of each IP version.
func (s Selection) firstOfEach(links []Link) (first []Link) {
	for _, ipv6 := range s.Versions() {
		if i := slices.IndexFunc(links, func(l Link) bool { return l.Addr.Is6() == ipv6 }); i >= 0 {
			first = append(first, links[i])
		}
	}
	return first
}

func (s Selection) chooseAll(ifaces []iface) ([]Link, string, error) {
	networks, bridges, loopbacks := s.sorted(ifaces)
	switch {
	case len(networks) > 0:
		return networks, "all that are up, can " + s.verb() + " and are neither loopback nor container bridges", nil
	case len(bridges) > 0:
		return bridges, "all container bridges, because nothing else is up and can " + s.verb(), nil
	case len(loopbacks) > 0:
		return loopbacks[:1], "loopback, because nothing else is up and can " + s.verb(), nil
	}
	return nil, "", s.refuse(ifaces, `"*"`, "finds no interface that is up")
}

// checkIPv6Addr refuses a preferred address that no interface has: with it
// the node would silently use another.
func (s Selection) checkIPv6Addr(ifaces []iface) error {
	if s.IPv6Addr == "" {
		return nil
	}
	if !s.preferred().Is6() {
		return s.refuse(ifaces, fmt.Sprintf("%q", s.IPv6Addr), "is not an IPv6 address")
	}
	_, err := s.byName(ifaces, s.IPv6Addr)
	return err
}

// preferred returns IPv6Addr, invalid if there is none.
func (s Selection) preferred() netip.Addr {
	a, _ := netip.ParseAddr(s.IPv6Addr)
	return a
}

// usable is Usable over a description of the system.
func (s Selection) usable(ifaces []iface) []Link {
	networks, bridges, loopbacks := s.sorted(ifaces)
	return slices.Concat(networks, bridges, loopbacks)
}

// sorted returns the links that need no naming, by what they lead to.
func (s Selection) sorted(ifaces []iface) (networks, bridges, loopbacks []Link) {
	for _, ipv6 := range s.Versions() {
		for _, i := range ifaces {
			links := i.links(ipv6, s.preferred())
			switch {
			case i.up() && i.loopback():
				loopbacks = append(loopbacks, links...)
			case !i.announces(ipv6):
			case i.containerBridge():
				bridges = append(bridges, links...)
			default:
				networks = append(networks, links...)
			}
		}
	}
	return networks, bridges, loopbacks
}

func (s Selection) refuse(ifaces []iface, wanted, why string) error {
	return Refuse(wanted, why, s.usable(ifaces))
}

// Versions returns the IP versions that are asked for: whether it is IPv6.
func (s Selection) Versions() []bool {
	if s.DualStack {
		return []bool{false, true}
	}
	return []bool{s.IPv6}
}

// Wants tells whether addresses like this one are asked for.
func (s Selection) Wants(a netip.Addr) bool { return s.DualStack || a.Is6() == s.IPv6 }

// verb is what an interface must be able to do.
func (s Selection) verb() string {
	switch {
	case s.DualStack:
		return "broadcast or multicast"
	case s.IPv6:
		return "multicast"
	}
	return "broadcast"
}

// family is what the node's addresses are.
func (s Selection) family() string {
	switch {
	case s.DualStack:
		return "IP"
	case s.IPv6:
		return "IPv6"
	}
	return "IPv4"
}
