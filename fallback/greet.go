package fallback

import (
	"time"

	"github.com/gozyre/zyre/fallback/internal/zre"

	"github.com/gozyre/zyre/internal/key"
)

// keyHeader is the header in which a node with CURVE says its public key.
const keyHeader = "X-PUBLICKEY"

// greet makes the peer that said HELLO enter. It may wait, to slow down one
// that says it again and again, or to see whether the place is taken.
func (pr *presence) greet(in *inbound, h *zre.Hello) (*peer, error) {
	at, err := target(h.Endpoint, in.from)
	if err != nil {
		return nil, err
	}
	if pr.cfg.Keys != nil && h.Headers[keyHeader] != key.Encode(in.key) {
		return nil, errKey
	}
	pr.supersede(in)
	for begun := time.Now(); ; {
		p, rival, pause, err := pr.tryGreet(in, h, at)
		switch {
		case p != nil || err != nil:
			return p, err
		case time.Since(begun) > helloTimeout:
			return nil, errTakenOver // many wait for the same place
		case rival != nil:
			if rival.verify(verifyTimeout) {
				return nil, errTakenOver
			}
			pr.leave(rival, "another node is where it was")
		default:
			if !pr.sleep(pause) {
				return nil, errRemoved
			}
		}
	}
}

// identified notes who is at the other end of a connection.
func (pr *presence) identified(in *inbound, id UUID, key [32]byte) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	in.id, in.key = id, key
}

// supersede sees to it that of connections of one node only the last counts.
// When its first one breaks at its end, what came over that may still be here
// unread: it must not come in behind what is said on the second.
func (pr *presence) supersede(in *inbound) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	in.greeting = true
	for other := range pr.waiting {
		switch {
		case in.follows(other):
			other.stale = true
			other.conn.Close()
		case other.greeting && other.follows(in):
			in.stale = true
		}
	}
}

// follows tells whether a connection is of the same node as another and came
// after it; mu is held.
func (in *inbound) follows(other *inbound) bool {
	return in.number > other.number && in.id == other.id && in.from == other.from && in.key == other.key
}

// tryGreet is one attempt. If it returns a rival that one must be shown to
// be dead before; if it returns a pause, that must pass before.
func (pr *presence) tryGreet(in *inbound, h *zre.Hello, at place) (p, rival *peer, pause time.Duration, err error) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	at = pr.zoned(at)
	p = pr.peers[in.id]
	switch {
	case pr.closing:
		return nil, nil, 0, errRemoved
	case in.stale || p != nil && p.in != nil && p.in.follows(in):
		return nil, nil, 0, errStale
	case pr.isOwn(at):
		return nil, nil, 0, errOwn
	case p == nil:
	case p.entered && p.key != in.key:
		return nil, nil, 0, errKey // whatever it claims, it is another
	case p.entered:
		if p.from != in.from && (p.in != nil && p.in != in || p.dialled) {
			return nil, p, 0, nil
		}
		if young := helloInterval - time.Since(p.born); young > 0 {
			return nil, nil, young, nil
		}
		if p.in == in {
			p.in = nil // it stays open
		}
		pr.remove(p, "it says HELLO anew")
		p = nil
	case p.key != in.key:
		// The key of a candidate is hearsay, this one is proved.
		pr.remove(p, "its key is another")
		p = nil
	case p.origin != fromUser && !p.dialled && p.at != at:
		// Hearsay, or an address that it had: nothing has come of it yet.
		pr.remove(p, "it says that it is elsewhere")
		p = nil
	}
	holder := pr.byEndpoint[at.endpoint]
	if p == nil && holder != nil && !holder.entered && holder.key == in.key {
		pr.rename(holder, in.id)
		p = holder
	}
	if holder != nil && holder.id != in.id && holder.claims() && in.from == at.addr.Addr() {
		pr.remove(holder, "another node is where it says that it is")
		holder = nil
	}
	if holder != nil && holder.id != in.id {
		if trial := holder.trial(); trial > 0 {
			return nil, nil, trial, nil
		}
		return nil, holder, 0, nil
	}
	if p == nil {
		if p = pr.candidate(in.id, at, in.key, fromHello, in.from); p == nil {
			return nil, nil, 0, errFull
		}
	}
	if pr.enter(p, in, h) {
		return p, nil, 0, nil
	}
	return nil, nil, 0, errGroups
}

// claims tells whether a peer says that it is where it does not come from, and
// this is no more than its word: with CURVE a listener proves its key; the
// presence's lock is held.
func (p *peer) claims() bool {
	return p.entered && p.from != p.host() && (p.pr.cfg.Keys == nil || !p.dialled)
}

// rename gives a candidate the UUID that who listens there says it has; mu is
// held. The one that we knew was that of a process before it, or hearsay. A
// second HELLO on a connection of its own would be one too many: what our
// dial has told that process counts.
func (pr *presence) rename(p *peer, id UUID) {
	delete(pr.peers, p.id)
	p.id = id
	pr.peers[id] = p
}

// enter makes a candidate a peer; mu is held.
func (pr *presence) enter(p *peer, in *inbound, h *zre.Hello) bool {
	p.name, p.claimed, p.headers = h.Name, h.Endpoint, h.Headers
	p.status, p.want = h.Status, 2
	p.join(in)
	p.touch()
	for _, g := range h.Groups {
		if !pr.addMember(p, g) {
			pr.remove(p, "it is in too many groups")
			return false
		}
	}
	p.entered = true
	if !p.greeted {
		p.wake() // it need not wait with those that are hearsay
	}
	pr.entered.set(p.id, p)
	pr.node.enters.Add(1)
	if pr.gossip != nil {
		pr.gossip.Found(hexID(p.id))
	}
	for _, g := range h.Groups {
		pr.memberJoined(p, g)
	}
	return true
}

// memberChanged takes note of a JOIN or a LEAVE. The status that comes with
// it counts them; zyre.js lets 254 be followed by 0.
func (pr *presence) memberChanged(p *peer, k Kind, name string, status uint8) (changed bool, leader *Event, err error) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if p.gone {
		return false, nil, errRemoved
	}
	if status != p.status+1 && !(p.status == 254 && status == 0) {
		return false, nil, errStatus
	}
	p.status = status
	_, member := p.groups[name]
	if k == Leave {
		pr.dropMember(p, name)
	} else if !pr.addMember(p, name) {
		return false, nil, errGroups
	}
	switch {
	case member && k == Leave:
		return true, pr.memberLeft(p, name), nil
	case !member && k == Join:
		return true, pr.memberJoined(p, name), nil
	}
	return false, nil, nil
}

// resumable returns the peer whose messages go on with seq on a new
// connection, after its last one has ended.
func (pr *presence) resumable(in *inbound, seq uint16) *peer {
	pr.mu.Lock()
	p := pr.peers[in.id]
	if p == nil || !p.entered || p.key != in.key || in.stale || p.from != in.from || p.in != nil && p.in.follows(in) {
		pr.mu.Unlock()
		return nil
	}
	old := p.in
	pr.mu.Unlock()
	if old != nil {
		// Both sides of a broken connection do not learn of it at once; but
		// who still answers on the old one is not the one who speaks here.
		if p.verify(verifyTimeout) {
			return nil
		}
		old.conn.Close()
		<-old.done
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if p.gone || p.in != nil || !p.expects(seq) {
		return nil
	}
	p.join(in)
	return p
}

// join makes a connection that of the peer; the presence's lock is held.
func (p *peer) join(in *inbound) { p.in, p.from = in, in.from }

// strayed is told of a message from a node that is not a peer: it thinks that
// it is one. If we know where it is, it gets a HELLO. From another address than
// before that may be a stranger: then the peer must be shown not to be there.
func (pr *presence) strayed(in *inbound) {
	const why = "messages of it are missing"
	pr.mu.Lock()
	defer pr.mu.Unlock()
	p := pr.peers[in.id]
	switch {
	case p == nil || !p.entered || p.in != nil || p.key != in.key || in.stale:
	case p.from == in.from || !p.dialled:
		pr.again(p, why)
	default:
		pr.check(p, verifyTimeout, func() {
			pr.mu.Lock()
			defer pr.mu.Unlock()
			pr.again(p, why)
		})
	}
}
