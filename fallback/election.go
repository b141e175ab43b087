package fallback

import (
	"bytes"
	"slices"
	"time"

	"github.com/gozyre/zyre/fallback/internal/zre"
)

// Leader election as libzyre runs it, which is echo with extinction: every
// candidate floods the group with ELECT and its UUID; a node follows the
// lowest that it has seen, passes it on to all but the one it had it from,
// its father, and answers the father when all others have sent it too. The
// candidate that hears its own from everybody has won and says LEADER, which
// everybody repeats to everybody once.
//
// libzyre counts messages, so leftovers of an election that was started over
// can end the next one early or keep it from ending. Here it is remembered
// who has sent what, messages of another wave than the current one are
// ignored, newcomers are told what the others were told, and an election
// that takes too long starts over. Nodes of others that seem to have missed
// something hear it again. What is sent is the same.

// electionTimeout is when an election counts as hung. It takes milliseconds.
const electionTimeout = 2 * time.Second

// election is the state of one group; it is guarded by the presence's lock.
type election struct {
	contest bool // this node is a candidate
	leader  UUID // zero: none, or not known

	// While one runs.
	wave     UUID           // the lowest candidate seen; zero: none runs
	father   *peer          // from whom we have it; nil: it is ours
	echoed   map[*peer]bool // who has sent us the wave
	led      map[*peer]bool // who has sent us LEADER for it
	answered bool           // we told the father, or as the winner everybody
	said     bool           // we sent LEADER
	begun    time.Time

	remind bool // the one that has ended may hang at others
}

func (e *election) running() bool { return e.wave != UUID{} }

func (e *election) end() {
	*e = election{contest: e.contest, leader: e.leader}
}

// follow begins a wave.
func (e *election) follow(wave UUID, father *peer) {
	*e = election{
		contest: e.contest, wave: wave, father: father, begun: time.Now(),
		echoed: map[*peer]bool{}, led: map[*peer]bool{},
	}
}

// votes returns the state of a group that this node is in, or nil: who is not
// a member has no part in its elections; mu is held.
func (pr *presence) votes(group string) *election {
	if !slices.Contains(pr.own, group) {
		return nil
	}
	e := pr.elections[group]
	if e == nil {
		e = &election{contest: slices.Contains(pr.cfg.Contests, group)}
		if pr.elections == nil {
			pr.elections = map[string]*election{}
		}
		pr.elections[group] = e
	}
	return e
}

// others returns the peers in a group; mu is held.
func (pr *presence) others(group string) []*peer {
	if g := pr.groups.m[group]; g != nil {
		return g.all()
	}
	return nil
}

// elect starts an election anew if this node is a candidate, and otherwise
// forgets the one that runs; mu is held. It returns an event if there is
// nobody left to ask.
func (pr *presence) elect(group string, e *election) *Event {
	e.end()
	e.leader = UUID{}
	if !e.contest {
		return nil
	}
	others := pr.others(group)
	if len(others) == 0 {
		return pr.elected(e, group, pr.id)
	}
	e.follow(pr.id, nil)
	pr.vote(others, nil, zre.KindElect, group, e.wave)
	return nil
}

// vote sends an ELECT or LEADER to all of some peers but one; mu is held.
func (pr *presence) vote(to []*peer, but *peer, kind zre.Kind, group string, id UUID) {
	text := hexID(id)
	for _, p := range to {
		if p == but || p.gone {
			continue
		}
		ok := p.out.control(zre.HeaderSize+2+len(group)+len(text), func(dst []byte, seq uint16) []byte {
			return zre.AppendVote(dst, kind, seq, group, text)
		})
		if !ok {
			pr.giveUp(p)
		}
	}
}

// elected ends an election; mu is held.
func (pr *presence) elected(e *election, group string, id UUID) *Event {
	ev := Event{Kind: Leader, Peer: id, Group: group, Name: pr.node.nameOf(id)}
	if id != pr.id {
		p := pr.peers[id]
		if p == nil || p.groups[group] == nil {
			return pr.elect(group, e) // it has gone meanwhile
		}
		ev.Name = p.name
	}
	e.end()
	e.leader, e.remind = id, true
	return &ev
}

// tellLeader tells the application who was elected; mu is held, so that the
// last it hears of is the one that leads.
func (pr *presence) tellLeader(ev *Event) {
	if ev == nil {
		return
	}
	var about *source
	if p := pr.peers[ev.Peer]; p != nil {
		about = &p.src
	}
	pr.node.inbox.post(about, *ev)
}

// voted acts on an ELECT or LEADER of a peer; mu is not held.
func (pr *presence) voted(p *peer, m zre.Message) *Event {
	id, ok := parseID(m.ID)
	if !ok {
		return nil
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	group := string(m.Group)
	e := pr.votes(group)
	if p.gone || e == nil || p.groups[group] == nil {
		return nil
	}
	if c := pr.peers[id]; id != pr.id && (c == nil || c.groups[group] == nil) {
		return nil // whom this is about has left, or will say JOIN and this itself
	}
	if m.Kind == zre.KindElect {
		return pr.electOf(p, e, group, id)
	}
	return pr.leaderOf(p, e, group, id)
}

func (pr *presence) electOf(p *peer, e *election, group string, id UUID) *Event {
	// A better candidate does not follow a worse one, and one that hears its
	// own name when it has ended its election has to hold it again.
	if e.contest && !e.running() && bytes.Compare(id[:], pr.id[:]) >= 0 {
		return pr.elect(group, e)
	}
	lower := !e.running() || bytes.Compare(id[:], e.wave[:]) < 0
	// A candidate sends its own once: if it comes again the wave is a new one.
	if again := id == e.wave && p.id == id && e.echoed[p]; lower || again {
		e.follow(id, p)
		pr.vote(pr.others(group), p, zre.KindElect, group, id)
	}
	if id == e.wave {
		e.echoed[p] = true
		return pr.complete(e, group) // it has ended if LEADER came first
	}
	return nil
}

func (pr *presence) leaderOf(p *peer, e *election, group string, id UUID) *Event {
	if !e.running() && e.leader == (UUID{}) {
		// It was decided without us, and some may wait for us to say so too.
		pr.vote(pr.others(group), nil, zre.KindLeader, group, id)
		return pr.elected(e, group, id)
	}
	if !e.running() || id != e.wave {
		return nil
	}
	if id != pr.id && !e.said {
		pr.answer(e, group) // now or never: nothing of a wave comes behind its LEADER
		e.said = true
		pr.vote(pr.others(group), nil, zre.KindLeader, group, id)
	}
	e.led[p] = true
	return pr.complete(e, group)
}

// complete goes on with an election when all others have sent what it waits
// for; mu is held.
func (pr *presence) complete(e *election, group string) *Event {
	others := pr.others(group)
	if !e.answered && all(others, e.echoed) {
		pr.answer(e, group)
		if e.wave == pr.id {
			e.said = true
			pr.vote(others, nil, zre.KindLeader, group, e.wave)
		}
	}
	if e.said && all(others, e.led) {
		return pr.elected(e, group, e.wave)
	}
	return nil
}

// answer tells the father, once, that all the others have sent the wave; mu is
// held.
func (pr *presence) answer(e *election, group string) {
	if !e.answered && e.father != nil {
		pr.vote([]*peer{e.father}, nil, zre.KindElect, group, e.wave)
	}
	e.answered = true
}

// all tells whether every peer has done it.
func all(peers []*peer, done map[*peer]bool) bool {
	return !slices.ContainsFunc(peers, func(p *peer) bool { return !done[p] })
}

// memberJoined is told of a new member of a group; mu is held. If an election
// runs the newcomer is told what the others were; else the leader, or every
// candidate if there is none, holds one.
func (pr *presence) memberJoined(p *peer, group string) *Event {
	e := pr.votes(group)
	switch {
	case e == nil:
	case !e.running():
		if e.leader == pr.id || e.leader == (UUID{}) {
			return pr.elect(group, e)
		}
	case e.contest && bytes.Compare(pr.id[:], e.wave[:]) < 0:
		return pr.elect(group, e)
	default:
		pr.vote([]*peer{p}, nil, zre.KindElect, group, e.wave)
		if e.said {
			pr.vote([]*peer{p}, nil, zre.KindLeader, group, e.wave)
		}
	}
	return nil
}

// memberLeft is told that a member has left, or has gone; mu is held. It
// returns an event if that decides an election.
func (pr *presence) memberLeft(p *peer, group string) *Event {
	e := pr.votes(group)
	switch {
	case e == nil:
	case p.id == e.wave, !e.running() && e.leader == p.id:
		return pr.elect(group, e)
	case e.running():
		if p == e.father {
			e.father = nil // nobody waits for the answer; the others go on
		}
		delete(e.echoed, p)
		delete(e.led, p)
		return pr.complete(e, group)
	}
	return nil
}

// checkElections helps those on that take long, and starts those over that do
// not end; mu is held.
func (pr *presence) checkElections(now time.Time) {
	for group, e := range pr.elections {
		var ev *Event
		others := pr.others(group)
		strangers := slices.DeleteFunc(slices.Clone(others), func(p *peer) bool { return p.akin })
		age := now.Sub(e.begun)
		switch {
		case !e.running():
			if e.remind && len(strangers) > 0 && pr.speaks(others) {
				pr.remindOfLeader(strangers, group, e.leader, len(others))
			}
			e.remind = false
		case e.said && age >= electionTimeout:
			ev = pr.elected(e, group, e.wave) // some have said so before we could hear it
		case len(strangers) == 0 && age >= electionTimeout, age >= strangersTimeout:
			ev = pr.startOver(group, e)
		case age >= electionTimeout/4:
			pr.repeat(strangers, group, e)
		}
		pr.tellLeader(ev)
	}
}

// startOver ends an election that hangs. Who is no candidate says to the one
// that it has followed, who may have won without it, that it has to begin
// again; mu is held.
func (pr *presence) startOver(group string, e *election) *Event {
	if candidate := pr.peers[e.wave]; !e.contest && candidate != nil {
		pr.vote([]*peer{candidate}, nil, zre.KindElect, group, e.wave)
	}
	return pr.elect(group, e)
}

// Nodes of others count what they are sent without asking by whom or in which
// election. One that counts up to the number of its peers goes on, once: one
// that waits for more than it will get is helped by hearing it again, and one
// that goes on already is not disturbed.

// strangersTimeout is when an election starts over that nodes of others take
// part in: they would not answer the same wave again.
const strangersTimeout = 5 * electionTimeout

// repeat says again what some have not reacted to; mu is held.
func (pr *presence) repeat(strangers []*peer, group string, e *election) {
	for _, p := range strangers {
		switch {
		case e.said && !e.led[p]:
			pr.vote([]*peer{p}, nil, zre.KindLeader, group, e.wave)
		case !e.said && (!e.echoed[p] || p.id == e.wave):
			pr.vote([]*peer{p}, nil, zre.KindElect, group, e.wave)
		}
	}
}

// remindOfLeader tells who leads as often as everybody together would have
// told it; who knows ignores it; mu is held.
func (pr *presence) remindOfLeader(strangers []*peer, group string, leader UUID, members int) {
	for range members {
		pr.vote(strangers, nil, zre.KindLeader, group, leader)
	}
}

// speaks tells whether this node is the one of its kind that speaks for all in
// a group: the one with the lowest UUID; mu is held.
func (pr *presence) speaks(others []*peer) bool {
	return !slices.ContainsFunc(others, func(p *peer) bool {
		return p.akin && bytes.Compare(p.id[:], pr.id[:]) < 0
	})
}
