package netif

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"
)

// FollowEvery is how often a node looks at the interfaces while all is well.
const FollowEvery = 3 * time.Second

// Follower keeps the links of a node what they should be while interfaces
// come, go and change.
type Follower struct {
	selection Selection
	log       *slog.Logger
	space     Namespace
	failure   string // what was logged last
}

// NewFollower returns one for a node that is where the caller is.
func NewFollower(s Selection, log *slog.Logger) *Follower {
	return &Follower{selection: s, log: log, space: CurrentNamespace()}
}

// Elsewhere reports that the calling thread is not in the network namespace
// of the node, as may be if that was started on a thread with a namespace of
// its own. Interfaces of the same name there are none of ours.
func (f *Follower) Elsewhere() bool { return CurrentNamespace() != f.space }

// Look looks at the interfaces again, and returns the links that the node
// should have now and whether these are not the current ones.
func (f *Follower) Look(current []Link) (links []Link, changed bool) {
	if f.Elsewhere() {
		return current, false
	}
	links, err := f.selection.Rechoose(current)
	f.note(err)
	if err != nil || slices.Equal(current, links) {
		return current, false
	}
	f.log.Info("network interfaces have changed", "before", fmt.Sprint(current), "now", fmt.Sprint(links))
	return links, true
}

// note logs what went wrong, once.
func (f *Follower) note(err error) {
	failure := ""
	if err != nil {
		failure = err.Error()
	}
	if failure != "" && failure != f.failure {
		f.log.Warn("cannot announce on another interface", "error", err)
	}
	f.failure = failure
}

// Gone returns the addresses of links, without zones, that no interface of
// this host has any more. One that is down keeps those of IPv4.
func Gone(links []Link) (gone []netip.Addr) {
	ifaces, err := system()
	if err != nil {
		return nil
	}
	for _, l := range links {
		addr := l.Addr.WithZone("")
		if !slices.ContainsFunc(ifaces, func(i iface) bool { return i.hasAddr(addr) }) {
			gone = append(gone, addr)
		}
	}
	return gone
}

// Toward returns the address that this host has on the way to another, as the
// kernel would choose it; it is invalid if there is no way. It sends nothing.
func Toward(to netip.Addr) netip.Addr {
	const discard = 9 // any port will do
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, discard)))
	if err != nil {
		return netip.Addr{}
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}
