package fallback

import (
	"slices"
	"testing/synctest"
)

// This file is what must hold in a conversation.

// readAll reads events until no more come.
func (c *conversation) readAll() {
	for {
		var ev Event
		if c.node.inbox.pop(&ev) {
			c.event(ev)
			continue
		}
		synctest.Wait() // a reader may have waited for room
		if n, _ := c.node.inbox.size(); n == 0 {
			return
		}
	}
}

// event checks that an event can follow those before it.
func (c *conversation) event(ev Event) {
	who := c.known[ev.Peer]
	if ev.Kind == Leader {
		return // it names the winner, which may be gone, or this node
	}
	if (who == nil) != (ev.Kind == Enter) || ev.Peer == c.pr.id {
		c.t.Fatalf("%+v from a peer that has entered: %t", ev, who != nil)
	}
	if who != nil && who.name != ev.Name {
		c.t.Fatalf("%+v names the peer %q", ev, who.name)
	}
	switch ev.Kind {
	case Enter:
		c.known[ev.Peer] = &acquaintance{ev.Name, map[string]bool{}}
	case Exit:
		delete(c.known, ev.Peer)
	case Join, Leave:
		if who.groups[ev.Group] == (ev.Kind == Join) || ev.Group == "" {
			c.t.Fatalf("%+v of a peer whose groups are %v", ev, who.groups)
		}
		if ev.Kind == Join {
			who.groups[ev.Group] = true
		} else {
			delete(who.groups, ev.Group)
		}
	case Whisper, Shout, Evasive, Silent:
	default:
		c.t.Fatalf("%+v", ev)
	}
}

// checkKnown checks that the application knows what the node knows, when it
// has read all events.
func (c *conversation) checkKnown() {
	ids := c.node.Peers()
	if len(ids) != len(c.known) {
		c.t.Fatalf("%d peers have entered, by the events %d", len(ids), len(c.known))
	}
	for _, id := range ids {
		p, ok := c.node.Peer(id)
		who := c.known[id]
		if !ok || who == nil || p.Name != who.name || len(p.Groups) != len(who.groups) {
			c.t.Fatalf("the node knows %+v, the application %+v", p, who)
		}
		for _, g := range p.Groups {
			if !who.groups[g] || !slices.Contains(c.node.GroupPeers(g), id) {
				c.t.Fatalf("the node has %q in group %q, the application knows of %v", p.Name, g, who.groups)
			}
		}
	}
}

// checkTables checks that the tables of the node agree with each other.
func (c *conversation) checkTables() {
	pr := c.pr
	pr.mu.Lock()
	defer pr.mu.Unlock()
	for id, p := range pr.peers {
		c.hold(p.id == id && !p.gone, "a peer under its own id", p)
		c.hold(p.id != pr.id, "a peer that is not the node itself", p)
		c.hold(pr.byEndpoint[p.at.endpoint] == p, "a peer in the table by endpoint", p)
		c.hold((pr.entered.m[id] == p) == p.entered, "a peer that has entered in the table of those", p)
		c.hold(p.in == nil || p.entered && p.in.peer == p, "a connection for a peer that has entered", p)
		c.hold(p.entered || len(p.groups) == 0, "no groups before HELLO", p)
		c.hold(len(p.groups) <= maxGroups, "groups within the limit", p)
		for name, g := range p.groups {
			_, member := g.members[p]
			c.hold(member && pr.groups.m[name] == g, "a peer among the members of its group", p)
		}
		if p.in != nil {
			_, open := pr.inbounds[p.in]
			c.hold(open, "a connection that is open", p)
		}
	}
	c.hold(len(pr.byEndpoint) == len(pr.peers), "as many endpoints as peers", nil)
	c.hold(len(pr.entered.m) <= len(pr.peers), "only peers among those that entered", nil)
	for name, g := range pr.groups.m {
		c.hold(g.name == name && len(g.members) > 0, "no group without members", nil)
		c.hold(len(g.all()) == len(g.members), "a list of all members", nil)
		for p := range g.members {
			c.hold(pr.peers[p.id] == p, "no member that is gone", p)
		}
	}
	c.hold(pr.halfOpen.Len() == len(pr.waiting), "one list of half-open connections", nil)
	for in := range pr.waiting {
		_, open := pr.inbounds[in]
		c.hold(open, "half-open connections among all", nil)
	}
}

func (c *conversation) hold(ok bool, what string, p *peer) {
	if !ok {
		c.t.Helper()
		c.t.Fatalf("there should be %s: %+v", what, p)
	}
}
