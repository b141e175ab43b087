package fallback

import (
	"maps"
	"slices"
	"sync/atomic"

	"github.com/gozyre/zyre/fallback/internal/zre"
)

// group is one that peers are in. The list is what a shout goes to; it is made
// when it is asked for after a change.
type group struct {
	name    string
	members map[*peer]struct{} // guarded by the presence's lock
	list    atomic.Pointer[[]*peer]
}

// changed is called with the presence's lock held.
func (g *group) changed() { g.list.Store(nil) }

// all returns the members; the presence's lock is held.
func (g *group) all() []*peer {
	if list := g.list.Load(); list != nil {
		return *list
	}
	list := slices.Collect(maps.Keys(g.members))
	g.list.Store(&list)
	return list
}

// membersOf returns the members of a group, which may be nil; mu is not held.
func (pr *presence) membersOf(g *group) []*peer {
	if g == nil {
		return nil
	}
	if list := g.list.Load(); list != nil {
		return *list
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	return g.all()
}

// addMember puts a peer into a group; mu is held. It reports false if the
// peer is in too many.
func (pr *presence) addMember(p *peer, name string) bool {
	if _, ok := p.groups[name]; ok {
		return true
	}
	if len(p.groups) >= maxGroups || pr.memberships >= maxMemberships && len(p.groups) >= groupShare {
		return false
	}
	g := pr.groups.m[name]
	if g == nil {
		g = &group{name: name, members: map[*peer]struct{}{}}
		pr.groups.set(name, g)
	}
	g.members[p] = struct{}{}
	g.changed()
	pr.memberships++
	if p.groups == nil {
		p.groups = map[string]*group{}
	}
	p.groups[name] = g
	return true
}

// dropMember takes a peer out of a group, and forgets a group without
// members; mu is held.
func (pr *presence) dropMember(p *peer, name string) {
	g := p.groups[name]
	if g == nil {
		return
	}
	delete(p.groups, name)
	delete(g.members, p)
	pr.memberships--
	g.changed()
	if len(g.members) == 0 {
		pr.groups.drop(name)
	}
}

// setMembership announces that the node itself joined or left a group.
func (pr *presence) setMembership(kind zre.Kind, name string) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if kind == zre.KindJoin {
		pr.own = append(pr.own, name)
	} else if i := slices.Index(pr.own, name); i >= 0 {
		pr.own = slices.Delete(pr.own, i, i+1)
		delete(pr.elections, name)
	}
	pr.status++
	status := pr.status
	for _, p := range pr.peers {
		if !p.greeted {
			continue // its HELLO will say so
		}
		ok := p.out.control(zre.HeaderSize+2+len(name), func(dst []byte, seq uint16) []byte {
			return zre.AppendMember(dst, kind, seq, name, status)
		})
		if !ok {
			pr.giveUp(p)
		}
	}
	// libzyre waits for another to join; a candidate that comes last would
	// never be heard.
	if e := pr.votes(name); kind == zre.KindJoin && len(pr.others(name)) > 0 {
		pr.elect(name, e)
	}
}

// shout sends a message to all peers in a group: first to those that have
// room, so that a slow one keeps nobody waiting but the caller.
func (pr *presence) shout(name string, frames [][]byte) {
	type waiting struct {
		p      *peer
		ticket uint64 // 0: it had no room
	}
	var later []waiting
	for _, p := range pr.membersOf(pr.groups.get(name)) {
		ticket, referred, ok := p.out.offer(zre.KindShout, name, frames)
		switch {
		case !ok:
			later = append(later, waiting{p, 0})
		case referred:
			later = append(later, waiting{p, ticket})
		}
	}
	for _, w := range later {
		if w.ticket == 0 {
			w.p.out.send(zre.KindShout, name, frames)
		} else {
			w.p.out.await(w.ticket)
		}
	}
}
