package fallback

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gozyre/zyre/fallback/internal/zre"
)

// This file explores elections exhaustively: a few nodes, of which some join,
// leave, die and lose each other, and every order in which what they say can
// arrive. The decisions are those of election.go itself; only the network is
// a model: a queue for each ordered pair of nodes.

// What is in a queue: one of these, or one of the last two with a node's index.
const (
	mJoin byte = iota
	mLeave
	mHello // of a node that takes the other for a new one
	mHelloIn
	mAnswer // the HELLO of the other, which has seen that
	mAnswerIn
	mExit // the connection of one that has died ends

	mElect  byte = 0x80
	mLeader byte = 0xc0
)

const maxModelNodes = 4

const nobody = -1

// voteState is a node between two messages.
type voteState struct {
	member, dead         bool
	members, known       uint8 // sets of others: in the group, and alive
	leader, wave, father int8
	echoed, led          uint8
	answered, said       bool
	told                 int8 // the last Leader of which the application knows since it joined
}

// modelState is all there is at a moment.
type modelState struct {
	nodes  [maxModelNodes]voteState
	queues [maxModelNodes][maxModelNodes]string
	deaf   [maxModelNodes]uint8 // of whom nothing counts before their answer to a HELLO
	left   changes
}

// changes is how many there may still be.
type changes struct{ joins, leaves, deaths, breaks, timers int8 }

// key encodes a state.
func (s *modelState) key(n int) string {
	var b strings.Builder
	for i, v := range s.nodes[:n] {
		flags := byte(0)
		for bit, set := range []bool{v.member, v.dead, v.answered, v.said} {
			if set {
				flags |= 1 << bit
			}
		}
		b.Write([]byte{flags, v.members<<4 | v.known, byte(v.leader), byte(v.wave), byte(v.father), v.echoed<<4 | v.led, byte(v.told), s.deaf[i]})
		for _, q := range s.queues[i][:n] {
			b.WriteByte(byte(len(q)))
			b.WriteString(q)
		}
	}
	b.Write([]byte{byte(s.left.joins), byte(s.left.leaves), byte(s.left.deaths), byte(s.left.breaks), byte(s.left.timers)})
	return b.String()
}

// modelNode is where the decisions are made.
type modelNode struct {
	pr    *presence
	peers []*peer // nil for itself
}

type model struct {
	t     *testing.T
	nodes []*modelNode
	seen  map[string]int32 // states by their encoding
	steps [][2]int32       // from which state to which
	ends  []int32          // states in which nothing more comes
	trace []func() string
	hung  int
}

func modelID(i int) UUID { return UUID{15: byte(i + 1)} }

func newModel(t *testing.T, n int, contests uint8) *model {
	m := &model{t: t, seen: map[string]int32{}}
	for i := range n {
		cfg := testConfig(fmt.Sprint(i), 0)
		if contests&(1<<i) != 0 {
			cfg.Contests = []string{"G"}
		}
		node, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { node.Close() })
		at := &modelNode{pr: newPresence(node, modelID(i)), peers: make([]*peer, n)}
		for j := range n {
			if j != i {
				at.peers[j] = &peer{pr: at.pr, id: modelID(j), out: newSender(1<<20, &at.pr.pace), greeted: true, entered: true, akin: true}
			}
		}
		m.nodes = append(m.nodes, at)
	}
	return m
}

func (m *model) start(left changes) *modelState {
	s := &modelState{left: left}
	all := uint8(1)<<len(m.nodes) - 1
	for i := range m.nodes {
		s.nodes[i] = voteState{known: all &^ (1 << i), leader: nobody, wave: nobody, father: nobody, told: nobody}
	}
	return s
}

// load makes a node what it is in a state.
func (m *model) load(s *modelState, i int) {
	at, v := m.nodes[i], &s.nodes[i]
	pr := at.pr
	clear(pr.peers)
	for j, p := range at.peers {
		if p == nil {
			continue
		}
		if p.gone = v.known&(1<<j) == 0; !p.gone {
			pr.peers[p.id] = p
			p.entered = !s.awaits(i, j)
		}
		if v.members&(1<<j) != 0 {
			pr.addMember(p, "G")
		} else {
			pr.dropMember(p, "G")
		}
	}
	pr.own, pr.elections = nil, nil
	if !v.member {
		return
	}
	pr.own = []string{"G"}
	e := pr.votes("G")
	e.leader = idAt(v.leader)
	if v.wave != nobody {
		var father *peer
		if v.father != nobody {
			father = at.peers[v.father]
		}
		leader := e.leader
		e.follow(idAt(v.wave), father)
		e.leader, e.answered, e.said = leader, v.answered, v.said
		for j, p := range at.peers {
			if v.echoed&(1<<j) != 0 {
				e.echoed[p] = true
			}
			if v.led&(1<<j) != 0 {
				e.led[p] = true
			}
		}
	}
}

func idAt(i int8) UUID {
	if i == nobody {
		return UUID{}
	}
	return modelID(int(i))
}

func indexOf(id UUID) int8 { return int8(id[15]) - 1 }

// save is the inverse of load.
func (at *modelNode) save(v *voteState) {
	pr := at.pr
	v.members = 0
	for j, p := range at.peers {
		if p != nil && p.groups["G"] != nil {
			v.members |= 1 << j
		}
	}
	v.member = len(pr.own) > 0
	v.leader, v.wave, v.father, v.echoed, v.led, v.answered, v.said = nobody, nobody, nobody, 0, 0, false, false
	e := pr.elections["G"]
	if e == nil {
		v.told = nobody
		return
	}
	v.leader, v.wave, v.answered, v.said = indexOf(e.leader), indexOf(e.wave), e.answered, e.said
	if e.father != nil {
		v.father = indexOf(e.father.id)
	}
	for j, p := range at.peers {
		if p != nil && e.echoed[p] {
			v.echoed |= 1 << j
		}
		if p != nil && e.led[p] {
			v.led |= 1 << j
		}
	}
}

// act lets a node do something, and puts what it says into the queues.
func (m *model) act(s *modelState, i int, do func(pr *presence) *Event) {
	at, v := m.nodes[i], &s.nodes[i]
	m.load(s, i)
	ev := do(at.pr)
	at.save(v)
	if ev != nil {
		v.told = indexOf(ev.Peer)
	}
	for j, p := range at.peers {
		if p == nil {
			continue
		}
		for b := p.out.queue.buf; len(b) > 0; b = b[2+b[1]:] {
			msg, err := zre.Parse(b[2 : 2+b[1]])
			if err != nil {
				m.t.Fatal(err)
			}
			m.send(s, i, j, modelMessage(msg))
		}
		p.out.queue, p.out.seq = batch{buf: p.out.queue.buf[:0]}, 1
	}
}

func modelMessage(m zre.Message) byte {
	switch m.Kind {
	case zre.KindJoin:
		return mJoin
	case zre.KindLeave:
		return mLeave
	case zre.KindElect:
		return mElect | (m.ID[31] - '1')
	}
	return mLeader | (m.ID[31] - '1')
}

func (m *model) send(s *modelState, from, to int, what byte) {
	if s.nodes[to].dead || s.deaf[to]&(1<<from) != 0 {
		return
	}
	s.queues[from][to] += string([]byte{what})
}

// deliver lets a node have the next message of another.
func (m *model) deliver(s *modelState, from, to int) {
	q := &s.queues[from][to]
	what := (*q)[0]
	*q = (*q)[1:]
	p := m.nodes[to].peers[from]
	switch what {
	case mJoin, mLeave:
		m.act(s, to, func(pr *presence) *Event {
			p.status = 0
			_, ev, err := pr.memberChanged(p, map[byte]Kind{mJoin: Join, mLeave: Leave}[what], "G", 1)
			if err != nil {
				m.t.Fatal(err)
			}
			return ev
		})
	case mHello, mHelloIn:
		m.loses(s, to, p)
		s.deaf[from] &^= 1 << to
		s.queues[to][from] = hello(mAnswer, &s.nodes[to])
		if what == mHelloIn {
			m.enters(s, to, p)
		}
	case mAnswer:
	case mAnswerIn:
		m.enters(s, to, p)
	case mExit:
		s.nodes[to].known &^= 1 << from
		s.deaf[to] &^= 1 << from
		m.loses(s, to, p)
	default:
		msg := zre.Message{Kind: zre.KindElect, Group: []byte("G"), ID: []byte(hexID(modelID(int(what &^ mLeader))))}
		if what&mLeader == mLeader {
			msg.Kind = zre.KindLeader
		}
		m.act(s, to, func(pr *presence) *Event { return pr.voted(p, msg) })
	}
}

func hello(what byte, v *voteState) string {
	if v.member {
		what++
	}
	return string([]byte{what})
}

// loses: a peer exits.
func (m *model) loses(s *modelState, i int, p *peer) {
	m.act(s, i, func(pr *presence) *Event {
		if p.groups["G"] == nil {
			return nil
		}
		pr.dropMember(p, "G")
		return pr.memberLeft(p, "G")
	})
}

// enters: a peer says HELLO, and that it is in the group.
func (m *model) enters(s *modelState, i int, p *peer) {
	m.act(s, i, func(pr *presence) *Event {
		pr.addMember(p, "G")
		return pr.memberJoined(p, "G")
	})
}

// change is what may happen at any time.
type change struct {
	what   string
	budget func(*changes) *int8
	may    func(s *modelState, i, j int) bool
	do     func(m *model, s *modelState, i, j int)
}

var modelChanges = []change{
	{"joins", func(c *changes) *int8 { return &c.joins },
		func(s *modelState, i, j int) bool { return i == j && !s.nodes[i].member },
		func(m *model, s *modelState, i, _ int) { m.setMember(s, i, zre.KindJoin) }},
	{"leaves", func(c *changes) *int8 { return &c.leaves },
		func(s *modelState, i, j int) bool { return i == j && s.nodes[i].member },
		func(m *model, s *modelState, i, _ int) { m.setMember(s, i, zre.KindLeave) }},
	{"dies", func(c *changes) *int8 { return &c.deaths },
		func(s *modelState, i, j int) bool { return i == j },
		func(m *model, s *modelState, i, _ int) { m.die(s, i, false) }},
	{"dies, and what it said last is lost,", func(c *changes) *int8 { return &c.deaths },
		func(s *modelState, i, j int) bool { return i == j },
		func(m *model, s *modelState, i, _ int) { m.die(s, i, true) }},
	{"begins anew with", func(c *changes) *int8 { return &c.breaks },
		func(s *modelState, i, j int) bool {
			return i != j && s.nodes[i].known&(1<<j) != 0 && !s.nodes[j].dead && !s.awaits(i, j) && !s.awaits(j, i)
		},
		func(m *model, s *modelState, i, j int) {
			m.loses(s, i, m.nodes[i].peers[j])
			s.deaf[i] |= 1 << j
			s.queues[j][i] = ""
			s.queues[i][j] = hello(mHello, &s.nodes[i])
		}},
}

func (m *model) setMember(s *modelState, i int, kind zre.Kind) {
	m.act(s, i, func(pr *presence) *Event {
		pr.setMembership(kind, "G")
		return nil
	})
}

func (m *model) die(s *modelState, i int, silently bool) {
	for j := range m.nodes {
		if s.nodes[j].known&(1<<i) == 0 {
			continue
		}
		if silently {
			s.queues[i][j] = ""
		}
		s.queues[i][j] += string([]byte{mExit})
		s.queues[j][i] = ""
	}
	s.nodes[i], s.deaf[i] = voteState{dead: true, leader: nobody, wave: nobody, father: nobody, told: nobody}, 0
}

// awaits tells whether a node awaits the HELLO of another.
func (s *modelState) awaits(i, j int) bool {
	q := s.queues[j][i]
	return s.deaf[i]&(1<<j) != 0 || q != "" && (q[0] == mAnswer || q[0] == mAnswerIn)
}

// explore goes on from a state in every way, and returns its number.
func (m *model) explore(s *modelState) int32 {
	key := s.key(len(m.nodes))
	if id, seen := m.seen[key]; seen {
		return id
	}
	id := int32(len(m.seen))
	m.seen[key] = id
	quiet := true
	for from := range m.nodes {
		for to := range m.nodes {
			if q := s.queues[from][to]; q != "" {
				quiet = false
				next := *s
				m.deliver(&next, from, to)
				m.step(id, &next, "%d hears of %d %#x", to, from, q[0])
			}
		}
	}
	if quiet {
		m.ends = append(m.ends, id)
		m.judge(s)
		m.timers(id, s)
	}
	for _, c := range modelChanges {
		for i := range m.nodes {
			for j := range m.nodes {
				if *c.budget(&s.left) == 0 || s.nodes[i].dead || !c.may(s, i, j) {
					continue
				}
				next := *s
				*c.budget(&next.left)--
				c.do(m, &next, i, j)
				m.step(id, &next, "%d "+c.what+" %d", i, j)
			}
		}
	}
	return id
}

// mustEnd checks that from every state there is a way to one in which nothing
// more comes: no messages go around for ever.
func (m *model) mustEnd() {
	before := make([][]int32, len(m.seen))
	for _, s := range m.steps {
		before[s[1]] = append(before[s[1]], s[0])
	}
	ends := make([]bool, len(m.seen))
	found := 0
	for next := m.ends; len(next) > 0; {
		id := next[len(next)-1]
		next = next[:len(next)-1]
		if !ends[id] {
			ends[id] = true
			found++
			next = append(next, before[id]...)
		}
	}
	if found != len(m.seen) {
		m.t.Errorf("from %d of %d states there is no end", len(m.seen)-found, len(m.seen))
	}
}

// timers lets those start over whose election hangs.
func (m *model) timers(id int32, s *modelState) {
	for i, v := range s.nodes[:len(m.nodes)] {
		if v.wave == nobody {
			continue
		}
		m.hung++
		if s.left.timers == 0 {
			continue
		}
		next := *s
		next.left.timers--
		m.act(&next, i, func(pr *presence) *Event {
			pr.mu.Lock()
			defer pr.mu.Unlock()
			pr.checkElections(time.Now().Add(time.Hour))
			return nil
		})
		if at := &next.nodes[i]; at.leader != nobody {
			at.told = at.leader // by an event that went straight to the application
		}
		m.step(id, &next, "%d starts over", i)
	}
}

// step goes on from what a step has led to.
func (m *model) step(from int32, s *modelState, format string, args ...any) {
	m.trace = append(m.trace, func() string { return fmt.Sprintf(format, args...) })
	for i := range m.nodes {
		for j := range m.nodes {
			if len(s.queues[i][j]) > 20 {
				m.fail(s, "there are ever more messages")
			}
		}
	}
	m.steps = append(m.steps, [2]int32{from, m.explore(s)})
	m.trace = m.trace[:len(m.trace)-1]
}

// judge looks at a state in which nothing more comes.
func (m *model) judge(s *modelState) {
	var members []int
	leader, stands := int8(nobody), false
	for i, v := range s.nodes[:len(m.nodes)] {
		if v.wave != nobody {
			return // its timer will help
		}
		if v.member {
			members = append(members, i)
			leader = v.leader
			stands = stands || m.stands(i)
		}
	}
	for _, i := range members {
		v := s.nodes[i]
		switch {
		case v.leader != leader || leader != nobody && v.told != leader: // there is no event for nobody
			m.fail(s, "they do not agree")
		}
	}
	if leader == nobody && stands && len(members) > 1 {
		m.fail(s, "nobody leads")
	}
	if leader != nobody && !slices.Contains(members, int(leader)) {
		m.fail(s, "the leader is no member")
	}
}

func (m *model) stands(i int) bool { return len(m.nodes[i].pr.cfg.Contests) > 0 }

func (m *model) fail(s *modelState, why string) {
	m.t.Helper()
	for _, step := range m.trace {
		m.t.Log(step())
	}
	for i, v := range s.nodes[:len(m.nodes)] {
		m.t.Logf("%d: %+v; queues %q", i, v, s.queues[i][:len(m.nodes)])
	}
	m.t.Fatalf("%s, after %d states", why, len(m.seen))
}

// TestElectionModel: whatever the order in which messages arrive, there comes
// an end to them; and then all members follow the same one of them, of which
// their applications were told, or one of them has an election that hangs, and
// a timer for it.
func TestElectionModel(t *testing.T) {
	for _, tt := range []struct {
		name     string
		nodes    int
		contests uint8 // the set of the candidates
		may      changes
	}{
		{"two", 2, 0b11, changes{joins: 4, leaves: 2, breaks: 1}},
		{"two, and one dies", 2, 0b11, changes{joins: 3, leaves: 1, deaths: 1, breaks: 1}},
		{"two, one a candidate", 2, 0b10, changes{joins: 4, leaves: 2, breaks: 1}},
		{"three", 3, 0b111, changes{joins: 3, timers: 2}},
		{"three, one a candidate", 3, 0b010, changes{joins: 3, timers: 2}},
		{"three, and one dies", 3, 0b111, changes{joins: 3, deaths: 1}},
		{"three, and one leaves", 3, 0b111, changes{joins: 3, leaves: 1}},
		{"three, and the candidate leaves", 3, 0b010, changes{joins: 3, leaves: 1, timers: 1}},
	} {
		if raceEnabled && tt.nodes > 2 {
			continue // all is done by one goroutine
		}
		t.Run(tt.name, func(t *testing.T) {
			m := newModel(t, tt.nodes, tt.contests)
			m.explore(m.start(tt.may))
			m.mustEnd()
			t.Logf("%d states, %d ends, %d elections that hang in them", len(m.seen), len(m.ends), m.hung)
		})
	}
}
