// Package history checks what nodes told their applications against what
// their applications did, whatever the network did in between.
//
// Each start of a node is a [Life]. The program that runs the node tells its
// Life of every message before it is sent, and of every event in the order in
// which it was read. What has to hold in one life is checked at once:
//
//   - The events of a peer are Enter, others, Exit, and so on anew.
//   - Messages of a peer come in order, and never twice.
//   - Between Enter and Exit of a peer no message of it is missing.
//
// [Check] then compares lives with each other:
//
//   - Nothing is received that was not sent.
//   - What was sent and not received was cut off by an Exit that the sender
//     was told of after it had sent it.
//   - Nodes that live know each other, and no others; and each has heard the
//     other since, so that nobody is muted.
//
// A life takes memory for each peer and each break, and none for messages: so
// it can go on for hours.
package history

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// ID is the UUID of a node.
type ID [16]byte

// String returns the first six digits, as nodes are called in logs.
func (id ID) String() string { return strings.ToUpper(hex.EncodeToString(id[:3])) }

// MarshalText lets a map with these keys be encoded.
func (id ID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText reads what MarshalText wrote.
func (id *ID) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(id)) {
		return fmt.Errorf("no ID: %q", text)
	}
	_, err := hex.Decode(id[:], text)
	return err
}

// Stream tells the two ways of sending apart. Each numbers its messages.
type Stream uint8

// The streams: whispers to one peer, and shouts to the group.
const (
	Whisper Stream = iota
	Shout
	streams
)

func (s Stream) String() string { return [...]string{"whisper", "shout"}[s] }

// Message says which message it is.
type Message struct {
	Stream Stream
	Number uint64 // from 1: whispers to this peer, or shouts
	Order  uint64 // of all that the sender has sent to anybody
}

// stampSize is the length of an encoded Message.
const stampSize = 1 + 8 + 8

// Append encodes the message as a frame, or the beginning of one.
func (m Message) Append(dst []byte) []byte {
	dst = append(dst, byte(m.Stream))
	dst = binary.BigEndian.AppendUint64(dst, m.Number)
	return binary.BigEndian.AppendUint64(dst, m.Order)
}

// Parse reads what Append wrote.
func Parse(frame []byte) (m Message, ok bool) {
	if len(frame) < stampSize || Stream(frame[0]) >= streams {
		return m, false
	}
	return Message{
		Stream: Stream(frame[0]),
		Number: binary.BigEndian.Uint64(frame[1:]),
		Order:  binary.BigEndian.Uint64(frame[9:]),
	}, true
}

// Span is a range of numbers, both ends included. Empty: To is below From.
type Span struct{ From, To uint64 }

// none is an empty span.
var none = Span{From: 1}

func (s Span) empty() bool { return s.To < s.From }

// cut returns what two spans share.
func (s Span) cut(other Span) Span {
	return Span{max(s.From, other.From), min(s.To, other.To)}
}

func (s Span) String() string {
	if s.From == s.To {
		return strconv.FormatUint(s.From, 10)
	}
	return fmt.Sprintf("%d to %d", s.From, s.To)
}

// Fate is how a life ended.
type Fate uint8

// The fates of a node. What a node has sent must arrive where it has lived on
// or left; of one that died nothing is demanded.
const (
	Lives Fate = iota
	Left       // it was stopped, and its network was good
	Died       // it was killed, or stopped on a bad network
)

// Life is the history of one start of a node. It is not safe for concurrent
// use. Its fields are exported so that it can be encoded; others only read them.
type Life struct {
	ID    ID
	Name  string
	Peers map[ID]*Peer

	Shouted uint64   // number of the last shout
	Order   uint64   // of the last message
	Faults  []string // what must not happen in any life; only the first few
}

// Peer is what a life knows of another.
type Peer struct {
	Present bool // it has entered and not exited
	Member  bool // and is in the group that is shouted to
	Enters  int
	Notes   map[string]int // how often what Other was told of

	Whispered uint64 // number of the last whisper to it
	// Due are the numbers that were sent to the peer since its last Exit: no
	// break excuses their loss.
	Due [streams]Span

	Got [streams]Got
	// Order is that of the last message received from it.
	Order uint64
}

// Got is what has been received of a stream of a peer.
type Got struct {
	Last    uint64 // number of the last message
	Count   uint64 // how many came
	Began   bool   // one came since the last Enter
	Fresh   uint64 // how many since then
	Missing []Span // numbers below Last that never came
}

// lacks returns the first part of a span that was not received.
func (g *Got) lacks(s Span) (Span, bool) {
	missing := append(slices.Clone(g.Missing), Span{g.Last + 1, s.To})
	for _, m := range missing {
		if both := m.cut(s); !both.empty() {
			return both, true
		}
	}
	return Span{}, false
}

// NewLife begins the history of a node that was just started.
func NewLife(id ID, name string) *Life {
	return &Life{ID: id, Name: name, Peers: map[ID]*Peer{}}
}

// Peer returns what the life knows of another.
func (l *Life) Peer(id ID) Peer {
	if p := l.Peers[id]; p != nil {
		return *p
	}
	return *newPeer()
}

func (l *Life) peer(id ID) *Peer {
	p := l.Peers[id]
	if p == nil {
		p = newPeer()
		l.Peers[id] = p
	}
	return p
}

func newPeer() *Peer { return &Peer{Due: [streams]Span{none, none}} }

// maxFaults is how many faults a life keeps: the first ones say most.
const maxFaults = 20

// Fault takes note of what must not happen.
func (l *Life) Fault(format string, args ...any) {
	if len(l.Faults) < maxFaults {
		l.Faults = append(l.Faults, fmt.Sprintf(format, args...))
	}
}

// Whispering is told that a whisper to a peer is about to be sent, and says
// which one it is. Whether the call fails does not matter: then the peer has
// exited, or is about to.
func (l *Life) Whispering(to ID) Message {
	p := l.peer(to)
	l.Order++
	p.Whispered++
	p.owe(Whisper, p.Whispered)
	return Message{Whisper, p.Whispered, l.Order}
}

// Shouting is told that a shout is about to be sent. It is owed to those who
// are in the group as far as the application knows.
func (l *Life) Shouting() Message {
	l.Order++
	l.Shouted++
	for _, p := range l.Peers {
		if p.Present && p.Member {
			p.owe(Shout, l.Shouted)
		}
	}
	return Message{Shout, l.Shouted, l.Order}
}

// owe takes note of a number that the peer must get.
func (p *Peer) owe(s Stream, n uint64) {
	if p.Due[s].empty() {
		p.Due[s].From = n
	}
	p.Due[s].To = n
}

// Entered is told of an Enter event.
func (l *Life) Entered(id ID) {
	p := l.peer(id)
	if p.Present {
		l.Fault("%v enters, and has not exited", id)
	}
	if id == l.ID {
		l.Fault("the node itself enters")
	}
	p.Present = true
	p.Enters++
	for s := range p.Got {
		p.Got[s].Began, p.Got[s].Fresh = false, 0
	}
}

// Joined is told that a peer is in the group that is shouted to. It stays
// there, and so do all nodes, from before they are started.
func (l *Life) Joined(id ID) { l.present(id, "joins the group").Member = true }

// Other is told of any other event about a peer.
func (l *Life) Other(id ID, what string) {
	p := l.present(id, what)
	if p.Notes == nil {
		p.Notes = map[string]int{}
	}
	p.Notes[what]++
}

// Exited is told of an Exit event.
func (l *Life) Exited(id ID) {
	p := l.present(id, "exits")
	p.Present, p.Member = false, false
	for s := range p.Due {
		p.Due[s] = none
	}
}

// present returns a peer that must have entered.
func (l *Life) present(id ID, what string) *Peer {
	p := l.peer(id)
	if !p.Present {
		l.Fault("%v %s, and has not entered", id, what)
	}
	return p
}

// Received is told of a message.
func (l *Life) Received(from ID, m Message) {
	p := l.present(from, "sends a "+m.Stream.String())
	g := &p.Got[m.Stream]
	switch {
	case m.Number <= g.Last:
		l.Fault("%v %d of %v comes after %d: twice or out of order", m.Stream, m.Number, from, g.Last)
		return
	case m.Order <= p.Order:
		l.Fault("%v %d of %v comes after a message that was sent later", m.Stream, m.Number, from)
	case m.Number > g.Last+1:
		lost := Span{g.Last + 1, m.Number - 1}
		if g.Began {
			l.Fault("%v %v of %v is missing, and it has not exited", m.Stream, lost, from)
		}
		g.Missing = append(g.Missing, lost)
	}
	g.Last, p.Order, g.Began = m.Number, m.Order, true
	g.Count++
	g.Fresh++
}

// View returns the peers that are there, as far as the application knows.
func (l *Life) View() []ID {
	var ids []ID
	for id, p := range l.Peers {
		if p.Present {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b ID) int { return slices.Compare(a[:], b[:]) })
	return ids
}

// Clone returns a copy that shares nothing with the life.
func (l *Life) Clone() *Life {
	c := *l
	c.Faults = slices.Clone(l.Faults)
	c.Peers = maps.Clone(l.Peers)
	for id, p := range c.Peers {
		q := *p
		q.Notes = maps.Clone(q.Notes)
		for s := range q.Got {
			q.Got[s].Missing = slices.Clone(q.Got[s].Missing)
		}
		c.Peers[id] = &q
	}
	return &c
}
