package fallback

import (
	"errors"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gozyre/zyre/fallback/internal/transport"
	"github.com/gozyre/zyre/fallback/internal/zmtp"
	"github.com/gozyre/zyre/fallback/internal/zre"
	"github.com/gozyre/zyre/internal/rule"
)

// This file is the life of a peer, from the first sign of it over lost
// connections to its Exit. How it enters is in greet.go.

// candidate makes a peer of a node that we have not heard of, at the expense of
// the address that tells of it, and dials it; mu is held. It returns nil if
// there are too many.
func (pr *presence) candidate(id UUID, at place, key [32]byte, from origin, source netip.Addr) *peer {
	if from != fromUser && (pr.isFull(from) || !pr.sources.take(source, time.Now())) {
		pr.node.refused.Add(1)
		if pr.gossip != nil {
			pr.gossip.Lost(hexID(id)) // and told again
		}
		return nil
	}
	return pr.add(id, at, key, from)
}

// isFull tells whether there are too many peers. Those that nobody but a beacon
// or the gossip tells of do not take the room of those that say HELLO; mu is
// held.
func (pr *presence) isFull(from origin) bool {
	entered := len(pr.entered.m)
	if from == fromHello {
		return entered >= maxPeers
	}
	return len(pr.peers)-entered >= maxCandidates
}

// add makes a peer and dials it; mu is held.
func (pr *presence) add(id UUID, at place, key [32]byte, from origin) *peer {
	p := &peer{
		pr: pr, id: id, at: at, key: key, origin: from, born: time.Now(),
		out: newSender(pr.cfg.SendLimit, &pr.pace), poke: make(chan struct{}, 1), done: make(chan struct{}), beaconed: from == fromBeacon,
	}
	p.touch()
	if from == fromBeacon || from == fromHello && pr.gossip == nil {
		p.out.announced()
	}
	pr.peers[id] = p
	pr.byEndpoint[at.endpoint] = p
	pr.tasks.Go(p.run)
	return p
}

// remove ends a peer: its connections are closed, and the application gets
// an Exit if it knows the peer; mu is held.
func (pr *presence) remove(p *peer, why string) {
	if p.gone {
		return
	}
	groups := slices.Collect(maps.Keys(p.groups))
	pr.forget(p)
	// Not before: most calls look at the tables without mu, and who has seen
	// the Exit must not find the peer there.
	pr.node.inbox.exit(&p.src, p.event(Exit))
	if p.entered {
		pr.node.exited.Add(1)
	}
	if pr.gossip != nil {
		pr.gossip.Lost(hexID(p.id))
	}
	for _, g := range groups {
		pr.tellLeader(pr.memberLeft(p, g))
	}
	pr.log.Debug("peer removed", "peer", p.name, "endpoint", p.at.endpoint, "because", why)
}

// forget takes a peer out of every table and closes its connections; mu is
// held. Who calls it ends the peer's events behind it.
func (pr *presence) forget(p *peer) {
	if p.gone {
		return
	}
	p.gone = true
	close(p.done)
	if p.interrupt != nil {
		p.interrupt()
	}
	pr.node.lost(p.out)
	delete(pr.peers, p.id)
	if pr.byEndpoint[p.at.endpoint] == p {
		delete(pr.byEndpoint, p.at.endpoint)
	}
	pr.entered.drop(p.id)
	for name := range p.groups {
		pr.dropMember(p, name)
	}
	if p.in != nil {
		p.in.conn.Close()
		p.in = nil
	}
}

// interruptBy says what ends the dial or the connection that now goes on.
func (pr *presence) interruptBy(p *peer, interrupt func()) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	p.interrupt = interrupt
	if p.gone {
		interrupt()
	}
}

// leave is remove for those who do not hold mu.
func (pr *presence) leave(p *peer, why string) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	pr.remove(p, why)
}

// giveUp removes a peer that takes nothing, a moment later: who calls it may be
// in the middle of what that would change, an election; mu is held.
func (pr *presence) giveUp(p *peer) {
	if p.givenUp || pr.closing {
		return
	}
	p.givenUp = true
	pr.tasks.Go(func() { pr.leave(p, "it takes nothing") })
}

// goodbye acts on a GOODBYE of the peer itself, which nodes send that use
// gossip. The number 65535 is that of no goodbye: see wrap.go.
func (pr *presence) goodbye(p *peer) error {
	pr.leave(p, "it said goodbye")
	pr.unpublish(p.id)
	return errRemoved
}

// unpublish withdraws a node from the gossip. It reports false if there is none.
func (pr *presence) unpublish(id UUID) bool {
	pr.mu.Lock()
	g := pr.gossip
	pr.mu.Unlock()
	if g != nil {
		g.Unpublish(hexID(id))
	}
	return g != nil
}

// again removes a peer and at once looks for it anew, with a HELLO: what was
// on its way may be lost, and so both sides see an Exit and an Enter and not
// a gap; mu is held.
func (pr *presence) again(p *peer, why string) {
	if p.gone || pr.closing {
		return
	}
	failures := 0
	if time.Since(p.born) < helloInterval {
		failures = p.failures + 1
	}
	pr.remove(p, why)
	if pr.byEndpoint[p.at.endpoint] == nil {
		pr.add(p.id, p.at, p.key, p.origin).failures = failures
	}
}

// down removes a peer of which both connections are down: its process has
// ended, most likely. If it has not its next beacon tells; where there is
// none it is dialled; mu is held.
func (pr *presence) down(p *peer) {
	if p.beaconed {
		pr.remove(p, "its connections broke")
	} else {
		pr.again(p, "its connections broke")
	}
}

// connected is told that a dial succeeded. It gives the connection to the
// sender, with a HELLO if the peer has not had one.
func (pr *presence) connected(p *peer, c *link, remote zmtp.Remote) bool {
	akin := strings.Contains(remote.Properties, ownProperty+" ")
	if akin {
		p.out.learn(wrapFull)
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if p.gone {
		return false
	}
	p.dialled, p.failures, p.local, p.akin = true, 0, addrOf(c.LocalAddr()), akin
	var hello []byte
	if p.greeted {
		pr.node.reconnects.Add(1)
	} else {
		p.greeted = true
		p.told = pr.endpointFor(p.local)
		hello = pr.hello(p.told)
	}
	p.out.attach(c, hello)
	return true
}

// hello encodes a HELLO that says that we are at an endpoint; mu is held.
func (pr *presence) hello(endpoint string) []byte {
	h := zre.Hello{Endpoint: endpoint, Groups: pr.own, Status: pr.status, Name: pr.node.nameOf(pr.id), Headers: pr.headers}
	frame := zmtp.AppendHeader(nil, 0, zre.HelloSize(&h))
	return zre.AppendHello(frame, 1, &h)
}

// disconnected is told that our connection to a peer broke. If the other one
// is up, nothing may be lost: then we connect again and go on.
func (pr *presence) disconnected(p *peer) {
	pr.mu.Lock()
	p.dialled = false
	both := p.in == nil
	pr.mu.Unlock()
	if !both {
		// When a process ends both connections do, one a little earlier.
		p.wait(breakTimeout)
	}
	if !p.out.intact() {
		p.letSpeak()
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	switch {
	case p.gone:
	case p.in == nil && p.entered:
		pr.down(p)
	case !p.out.intact():
		pr.again(p, "the connection broke")
	}
}

// letSpeak waits, before a peer is removed that has ended, until the application
// has taken what it said; but not for long, and not if the application waits
// for the peer itself.
func (p *peer) letSpeak() {
	for n := lingerTimeout / breakTimeout; n > 0 && p.heldBack() && !p.out.isAwaited(); n-- {
		if !p.wait(breakTimeout) {
			return
		}
	}
}

// maxRefusals is how often a candidate is dialled where nobody listens,
// before the next sign of it.
const maxRefusals = 3

// slowDials is a number of failures with which dials are as rare as they get.
const slowDials = 6

// dialFailed decides whether to go on dialling.
func (pr *presence) dialFailed(p *peer, err error) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	p.failures++
	stranger := !p.entered && p.origin != fromUser
	switch {
	case p.gone:
	case errors.Is(err, zmtp.ErrProtocol), errors.Is(err, zmtp.ErrDenied):
		// It is kept for now: forgotten, it would be dialled at its next beacon.
		pr.refuse("handshake", p.at.endpoint, err)
		p.failures = max(p.failures, slowDials)
	case !transport.Refused(err):
	case p.entered && p.in == nil:
		pr.remove(p, "its process has ended")
	case stranger && p.failures >= maxRefusals:
		pr.remove(p, "nobody listens there")
	}
}

// isDown tells whether no connection with the peer is up.
func (pr *presence) isDown(p *peer) bool {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	return p.gone || p.in == nil && !p.dialled
}

// inboundEnded is told when a connection that was accepted has ended.
func (pr *presence) inboundEnded(in *inbound, err error) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	pr.unwait(in)
	delete(pr.inbounds, in)
	p := in.peer
	current := p != nil && p.in == in
	if current {
		p.in = nil
	}
	switch {
	case pr.closing || errors.Is(err, errRemoved):
	case isNetwork(err):
		if current {
			p.wake()
		}
	default:
		pr.refuse("connection", in.conn.RemoteAddr(), err)
		if current {
			pr.again(p, err.Error())
		}
	}
}

// isNetwork tells errors of the connection from those of what came over it.
func isNetwork(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, net.ErrClosed) || errors.As(err, &op)
}

// require adds a peer that the user named.
func (pr *presence) require(id UUID, endpoint string, key [32]byte) error {
	at, err := parsePlace(endpoint)
	if err != nil {
		return err
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	at = pr.zoned(at)
	switch {
	case pr.closing:
		return ErrNotStarted
	case !pr.allows(key):
		return rule.Invalid("peer", hexID(id), "has a key that WithAllowedKeys does not name")
	case id == pr.id || pr.isOwn(at):
		return rule.Invalid("endpoint", endpoint, "is that of this node")
	case pr.peers[id] != nil:
		return nil
	case pr.byEndpoint[at.endpoint] != nil:
		return rule.Invalid("endpoint", endpoint, "is that of another peer")
	}
	pr.candidate(id, at, key, fromUser, at.addr.Addr())
	return nil
}

// groupName returns the name of a group as a string, without allocating for
// a group that is known.
func (pr *presence) groupName(b []byte) string {
	groups, done := pr.groups.look()
	defer done()
	if g := groups[string(b)]; g != nil {
		return g.name
	}
	return string(b)
}

// sleep waits, and reports false if the presence ends meanwhile.
func (pr *presence) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-pr.ctx.Done():
		return false
	}
}
