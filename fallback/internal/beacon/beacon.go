// Package beacon announces a node by UDP and tells it of the announcements of
// others: the discovery of ZRE (RFC 36).
//
// An [Announcer] has one sending socket for each link (sender.go), which it
// rebuilds as interfaces come, go and change (follow.go), and for each IP
// version a part in a receiving socket that all announcers of the process
// share (receiver.go).
//
// Beacons are heard from every interface, as by libzyre; only sending is tied
// to links. The exception is a node that announces only on loopback: it hears
// only loopback, so that a program which asked for nothing but its own machine
// is not drawn into a network.
//
// Platforms: SO_REUSEADDR and SO_REUSEPORT let other programs use the port at
// the same time; on Linux and the BSDs all of them hear a broadcast. That
// 127.255.255.255 reaches all sockets of the port on loopback is known of
// Linux only. On the BSDs a second node of the same address sends from an
// ephemeral port, which no known implementation minds.
package beacon

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/gozyre/zyre/fallback/internal/zre"
	"github.com/gozyre/zyre/internal/netif"
	"github.com/gozyre/zyre/internal/rule"
)

// Sighting is one beacon of another node.
type Sighting struct {
	Beacon zre.Beacon
	From   netip.AddrPort // where it came from; a link-local IPv6 address has its zone
}

// Config says what to announce and how.
type Config struct {
	Port      int             // UDP port
	Interval  time.Duration   // between two beacons
	Selection netif.Selection // which the links follow while the node runs
	Multicast []string        // groups, one of each IP version; else broadcast, and ff02::1 for IPv6
	Logger    *slog.Logger    // nil: none
	Self      [16]byte        // the node's own UUID, whose beacons are not told

	// Payload returns the datagram for a link, nil for none. It is called
	// for each beacon and must not call the Announcer.
	Payload func(l netif.Link) []byte

	// Relinked, if set, is told the links after they have changed. Beacons
	// from the new ones have then been sent. It must not call Close.
	Relinked func([]netif.Link)
}

// ipv6Group is all nodes of a link: what libzyre announces to by default.
const ipv6Group = "ff02::1"

// groups returns the multicast group of each IP version, whether it is IPv6;
// it is invalid for broadcast.
func (c *Config) groups() (map[bool]netip.Addr, error) {
	groups := map[bool]netip.Addr{true: netip.MustParseAddr(ipv6Group)}
	for _, text := range c.Multicast {
		g, err := netip.ParseAddr(text)
		if err != nil || !g.IsMulticast() {
			return nil, rule.Invalid("multicast group", text, "is not a multicast address")
		}
		if !c.Selection.Wants(g) {
			return nil, rule.Invalid("multicast group", text, "is not of the same IP version as the node's addresses")
		}
		groups[g.Is6()] = g.WithZone("")
	}
	return groups, nil
}

// Announcer sends the beacons of one node and receives those of others.
type Announcer struct {
	cfg      Config
	groups   map[bool]netip.Addr
	ears     []ear // one for each IP version
	follower *netif.Follower

	stop    chan struct{} // closed to end run
	halt    func()        // closes stop, once
	done    chan struct{} // closed when run has ended
	closing sync.Once

	joining string // what went wrong last in joining groups; run's own

	mu      sync.Mutex // orders what is sent: nothing after a goodbye
	senders []*sender
	silent  bool
}

// ear is the part of an announcer in a shared receiver.
type ear struct {
	subscription *subscription
	refused      uint64 // count of the receiver when the announcer came
}

// Start opens the sockets, sends the first beacon at once, and calls seen
// from one goroutine for each valid beacon of other nodes. seen must neither
// block nor call the Announcer.
//
// That nothing can be sent at the moment is no error: it is logged and tried
// again. An error is that of the receiving socket, or a bad multicast group.
func Start(cfg Config, links []netif.Link, seen func(Sighting)) (*Announcer, error) {
	groups, err := cfg.groups()
	if err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	stop := make(chan struct{})
	a := &Announcer{
		cfg:      cfg,
		groups:   groups,
		follower: netif.NewFollower(cfg.Selection, cfg.Logger),
		stop:     stop,
		halt:     sync.OnceFunc(func() { close(stop) }),
		done:     make(chan struct{}),
	}
	if err := a.listen(seen); err != nil {
		return nil, err
	}
	a.adopt(links)
	go a.run()
	return a, nil
}

// listen opens the receiving sockets. A machine on which one of two IP versions
// is switched off has the other.
func (a *Announcer) listen(seen func(Sighting)) error {
	var errs []error
	for _, ipv6 := range a.cfg.Selection.Versions() {
		s, err := subscribe(endpoint{netif.CurrentNamespace(), ipv6, a.cfg.Port, a.groups[ipv6]}, a.cfg.Self, seen)
		if err != nil {
			errs = append(errs, fmt.Errorf("receive beacons on UDP port %d: %w", a.cfg.Port, err))
			continue
		}
		a.ears = append(a.ears, ear{s, s.receiver.refused.Load()})
	}
	if len(a.ears) == 0 {
		return errors.Join(errs...)
	}
	for _, err := range errs {
		a.cfg.Logger.Warn("beacons of one IP version only", "error", err)
	}
	return nil
}

// Goodbye sends the datagram once on each link, now, and ends announcing.
// Beacons are still received until Close.
func (a *Announcer) Goodbye(datagram []byte) {
	a.halt()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.silent {
		return
	}
	a.silent = true
	for _, s := range a.senders {
		_ = s.send(datagram) // whom it does not reach, silence will tell
	}
}

// Close ends announcing and receiving and waits for both: seen is not called
// after it returned. It sends nothing. Closing again does nothing.
func (a *Announcer) Close() error {
	a.closing.Do(func() {
		a.halt()
		<-a.done
		for _, e := range a.ears {
			e.subscription.cancel()
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.silent = true
		for _, s := range a.senders {
			s.close()
		}
	})
	return nil
}

// Refused counts the datagrams on the port that were no beacons, since Start.
func (a *Announcer) Refused() (n uint64) {
	for _, e := range a.ears {
		n += e.subscription.receiver.refused.Load() - e.refused
	}
	return n
}
