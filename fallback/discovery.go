package fallback

import (
	"net/netip"
	"slices"
	"time"

	"github.com/gozyre/zyre/fallback/internal/beacon"
	"github.com/gozyre/zyre/fallback/internal/gossip"

	"github.com/gozyre/zyre/internal/key"
)

// This file is what beacons and gossip tell of other nodes. Whoever sends
// them proves nothing: they make the node dial, within limits, and never
// harm a peer that lives.

// sighted is told of every beacon. It never waits.
func (pr *presence) sighted(s beacon.Sighting) {
	if s.Beacon.HasKey != (pr.cfg.Keys != nil) {
		return // with CURVE and without it there is no talking
	}
	from := netip.AddrPortFrom(s.From.Addr().Unmap(), s.Beacon.Port)
	pr.mu.Lock()
	defer pr.mu.Unlock()
	p := pr.peers[s.Beacon.UUID]
	switch {
	case from.Port() == 0:
		if p != nil && p.host() == from.Addr() {
			pr.check(p, verifyTimeout, func() { pr.leave(p, "it said goodbye") })
		}
	case p != nil && p.at.addr == from:
		// Nearly every beacon: there is nothing new in it.
		if !p.beaconed {
			p.beaconed = true
			p.out.announced()
		}
	case from.Port() >= minPort:
		pr.told(s.Beacon.UUID, tcpPlace(from), s.Beacon.Key, fromBeacon)
	}
}

// gossiped is told of a tuple.
func (pr *presence) gossiped(name, value string) {
	id, ok := parseID([]byte(name))
	endpoint, publicKey := gossip.Split(value)
	at, err := parsePlace(endpoint)
	if err != nil || !ok || isPrivileged(endpoint) || (publicKey != "") != (pr.cfg.Keys != nil) {
		return
	}
	var k [32]byte
	if publicKey != "" {
		if k, err = key.Decode(publicKey); err != nil {
			return
		}
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	pr.told(id, pr.zoned(at), k, fromGossip)
}

// told is called for each sign of another node; mu is held.
func (pr *presence) told(id UUID, at place, key [32]byte, from origin) {
	holder := pr.byEndpoint[at.endpoint]
	switch p := pr.peers[id]; {
	case pr.closing || id == pr.id || id == (UUID{}) || pr.isOwn(at) || !pr.allows(key):
	case p != nil:
		pr.moved(p, at, key, from)
	case holder != nil:
		// Another process where a peer was, or a forgery.
		if holder.trial() <= 0 {
			pr.check(holder, verifyTimeout, func() { pr.succeed(holder, id, key, from) })
		}
	default:
		pr.candidate(id, at, key, from, at.addr.Addr())
	}
}

// moved is told that a known peer is somewhere else; mu is held. That counts
// only if the place that we have leads nowhere.
func (pr *presence) moved(p *peer, at place, key [32]byte, from origin) {
	if p.at == at || p.dialled || p.in != nil || pr.byEndpoint[at.endpoint] != nil || p.trial() > 0 {
		return
	}
	pr.remove(p, "it is somewhere else now")
	pr.candidate(p.id, at, key, from, at.addr.Addr())
}

// trial returns how long a peer is left alone yet where it cannot be reached,
// before another node may be looked for in its place: else forgeries could
// make this node dial there as often as they come; mu is held.
func (p *peer) trial() time.Duration {
	if p.dialled {
		return 0
	}
	return helloInterval - time.Since(p.born)
}

// succeed looks for another node where a peer was that is dead. Where even
// that one was never reached, the dials go on as slowly as they were.
func (pr *presence) succeed(holder *peer, id UUID, key [32]byte, from origin) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if holder.id == id {
		return // it has said meanwhile that it is this one
	}
	failures := 0
	if !holder.entered {
		failures = min(holder.failures, maxRefusals)
	}
	pr.remove(holder, "another node is where it was")
	if pr.closing || pr.peers[id] != nil || pr.byEndpoint[holder.at.endpoint] != nil {
		return
	}
	if p := pr.candidate(id, holder.at, key, from, holder.at.addr.Addr()); p != nil {
		p.failures = failures
	}
}

// check asks a peer for a sign of life and, if none comes in time, calls
// dead; mu is held, but not when dead is called. One check goes on at a time.
func (pr *presence) check(p *peer, d time.Duration, dead func()) {
	if p.checked || pr.closing {
		return
	}
	p.checked = true
	pr.tasks.Go(func() {
		alive := p.verify(d)
		pr.mu.Lock()
		p.checked = false
		pr.mu.Unlock()
		if !alive && pr.ctx.Err() == nil {
			dead()
		}
	})
}

// allows tells whether the owner of a public key may be a peer.
func (pr *presence) allows(key [32]byte) bool {
	if pr.cfg.Keys == nil || pr.cfg.Allowed == nil {
		return true
	}
	return slices.Contains(pr.cfg.Allowed, key)
}

// zoned puts the zone into an IPv6 link-local address that somebody wrote
// down: that of our first interface which has such an address; mu is held.
func (pr *presence) zoned(at place) place {
	addr := at.addr.Addr()
	if !addr.Is6() || !addr.IsLinkLocalUnicast() || addr.Zone() != "" {
		return at
	}
	for _, l := range pr.links {
		if zone := l.Addr.Zone(); zone != "" {
			return tcpPlace(netip.AddrPortFrom(addr.WithZone(zone), at.addr.Port()))
		}
	}
	return at
}

// isOwn tells whether a place is this node's; mu is held.
func (pr *presence) isOwn(at place) bool {
	if at.endpoint == pr.bound || at.endpoint == pr.cfg.Advertised {
		return true
	}
	if pr.listener != nil && !addrOf(pr.listener.Addr()).IsUnspecified() {
		return false // another node may listen on this port at another address
	}
	for _, l := range pr.links {
		if tcpPlace(netip.AddrPortFrom(l.Addr, pr.port)).endpoint == at.endpoint {
			return true
		}
	}
	return false
}
