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
	there := s.usable(ifaces)
	onNetwork := slices.ContainsFunc(current, func(l Link) bool { return !l.Loopback })
	if onNetwork && !slices.ContainsFunc(current, func(l Link) bool { return !slices.Contains(there, l) }) {
		return current, nil
	}
	links, _, err := s.chooseUnnamed(ifaces)
	if err == nil && onNetwork && links[0].Loopback {
		return nil, s.refuse(ifaces, "a network", "is not there any more")
	}
	return links, err
}

func (s Selection) chooseUnnamed(ifaces []iface) ([]Link, string, error) {
	networks, _, loopbacks := s.sorted(ifaces)
	// A container bridge is passed over even for loopback: other processes of
	// the machine are likelier to be there.
	switch {
	case s.IPv6Addr != "":
		return s.chooseIPv6Addr(ifaces)
	case len(networks) > 0:
		return networks[:1], "the first that is up, can " + s.verb() + " and is neither loopback nor a container bridge", nil
	case len(loopbacks) > 0:
		return loopbacks[:1], "loopback, because no network interface is up and can " + s.verb(), nil
	}
	return nil, "", s.refuse(ifaces, "a network or loopback interface", "that is up is not there")
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

// chooseIPv6Addr takes the interface that has the preferred address.
func (s Selection) chooseIPv6Addr(ifaces []iface) ([]Link, string, error) {
	l, err := s.byName(ifaces, s.IPv6Addr)
	if err != nil {
		return nil, "", err
	}
	return []Link{l}, "it has the address " + s.IPv6Addr, nil
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
	for _, i := range ifaces {
		links := i.links(s.IPv6, s.preferred())
		switch {
		case i.up() && i.loopback():
			loopbacks = append(loopbacks, links...)
		case !i.announces(s.IPv6):
		case i.containerBridge():
			bridges = append(bridges, links...)
		default:
			networks = append(networks, links...)
		}
	}
	return networks, bridges, loopbacks
}

func (s Selection) refuse(ifaces []iface, wanted, why string) error {
	return Refuse(wanted, why, s.usable(ifaces))
}

// verb is what an interface must be able to do.
func (s Selection) verb() string {
	if s.IPv6 {
		return "multicast"
	}
	return "broadcast"
}

// family is what the node's addresses are.
func (s Selection) family() string {
	if s.IPv6 {
		return "IPv6"
	}
	return "IPv4"
}
