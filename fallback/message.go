package fallback

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gozyre/zyre/fallback/internal/zmtp"
	"github.com/gozyre/zyre/fallback/internal/zre"
	"github.com/gozyre/zyre/internal/rule"
)

// This file is what a connection that a peer has opened does with the frames
// that come over it: of frames it makes messages, and of messages events.

// A slab has room for so many frames, and is left when they have so many bytes.
const (
	slabSize  = 256
	slabBytes = 64 << 10
)

// keepHead is how much room for a first frame a connection keeps: more than any
// but that of a HELLO has.
const keepHead = 1 << 10

// frame takes one frame, and the message if it is the last.
func (in *inbound) frame(flags byte, body []byte) error {
	if !in.begun {
		in.begin(flags, body)
	} else {
		in.aliased = in.aliased || flags&zmtp.Own == 0
		in.addContent(body)
	}
	if in.tooLarge() {
		return zmtp.ErrTooLarge
	}
	if flags&zmtp.More != 0 {
		return nil
	}
	if in.conn.lent && !zre.IsContent(in.head) {
		return errNotHere
	}
	return in.whole()
}

// tooLarge tells whether the message has more than it may. Its first frame is
// large only if it is a HELLO, by which a peer may begin anew.
func (in *inbound) tooLarge() bool {
	switch {
	case len(in.slab)-in.first > rule.MaxFrames || len(in.head) > maxHello:
		return true
	case in.peer == nil:
		return len(in.head)+in.length > maxHello
	}
	return in.length > in.pr.cfg.MessageLimit
}

// begin takes the first frame of a message.
func (in *inbound) begin(flags byte, body []byte) {
	in.begun, in.aliased, in.length = true, false, 0
	if flags&zmtp.Own != 0 {
		in.head = body
	} else {
		in.head = append(in.head[:0], body...)
	}
}

// whole acts on a message that has arrived whole.
func (in *inbound) whole() error {
	content := in.slab[in.first:len(in.slab):len(in.slab)]
	in.first = len(in.slab)
	in.begun = false
	err := in.message(in.head, content)
	if cap(in.head) > keepHead {
		in.head = nil
	}
	return err
}

// addContent adds a frame to the message. Who keeps a message keeps all frames
// in its slab: so these are few where they are large.
func (in *inbound) addContent(body []byte) {
	begins := len(in.slab) == in.first
	if in.slabbed >= slabBytes && begins || len(in.slab) == cap(in.slab) {
		in.newSlab()
	}
	in.slab = append(in.slab, body)
	in.slabbed += len(body)
	in.length += len(body)
}

// newSlab begins another slab, with room for as many frames as the last one
// held when it was left for their size, or twice as many as that had room for.
func (in *inbound) newSlab() {
	part := in.slab[in.first:]
	room := len(in.slab)
	if in.slabbed < slabBytes {
		room = min(2*room, slabSize)
	}
	in.slab = append(make([][]byte, 0, max(room, 2*len(part), 1)), part...)
	in.first, in.slabbed = 0, 0
}

// message acts on one message of the peer.
func (in *inbound) message(head []byte, content [][]byte) error {
	if seq, ok := zre.Whisper(head); ok && in.peer != nil {
		return in.whisper(seq, content)
	}
	m, err := zre.Parse(head)
	if err != nil {
		return in.unread(err)
	}
	if m.Kind == zre.KindHello {
		return in.hello(head, m.Seq, len(content))
	}
	if in.peer == nil && !in.resume(m.Seq) {
		in.pr.strayed(in)
		return nil
	}
	if m.Kind == zre.KindWhisper {
		return in.whisper(m.Seq, content)
	}
	if !in.peer.nextIs(m.Seq) {
		return errSequence
	}
	in.heard = true
	switch {
	case m.Kind == zre.KindShout:
		ev := in.event(Shout)
		ev.Group = in.groupName(m.Group)
		in.content(ev, content)
		return nil
	case len(content) > 0:
		return errExtra
	}
	return in.protocol(in.peer, m)
}

func (in *inbound) whisper(seq uint16, content [][]byte) error {
	if !in.peer.nextIs(seq) {
		return errSequence
	}
	in.heard = true
	in.content(in.event(Whisper), content)
	return nil
}

// unread decides what follows from a message that cannot be read.
func (in *inbound) unread(err error) error {
	if !errors.Is(err, zre.ErrForeign) {
		return err
	}
	if in.foreign++; in.foreign > maxForeign {
		return errForeign
	}
	return nil // it uses up no number
}

// event adds an event of the peer. It is valid until the next is added.
func (in *inbound) event(k Kind) *Event {
	if len(in.events) == cap(in.events) {
		in.moreRoom()
	}
	in.events = in.events[:len(in.events)+1]
	ev := &in.events[len(in.events)-1] // cleared, as the inbox leaves them
	ev.Kind, ev.Peer, ev.Name = k, in.peer.id, in.peer.name
	return ev
}

// moreRoom makes room for another event.
func (in *inbound) moreRoom() {
	few := in.events
	if cap(few) < largeBatch/2 {
		in.events = slices.Grow(few, 1)
		return
	}
	in.events = in.pr.node.inbox.enlarge(few)
	if cap(few) < largeBatch {
		clear(few)
		in.few = few[:0]
	}
}

// groupName returns the name of a group as a string, mostly without
// allocating.
func (in *inbound) groupName(b []byte) string {
	if string(b) != in.lastGroup {
		in.lastGroup = in.pr.groupName(b)
	}
	return in.lastGroup
}

// content gives an event the frames of the message that was read.
func (in *inbound) content(ev *Event, frames [][]byte) {
	ev.Msg = frames
	in.bytes += in.length
	in.messages++
	if in.aliased {
		in.rd.Keep()
	}
}

// protocol acts on a message without content.
func (in *inbound) protocol(p *peer, m zre.Message) error {
	switch m.Kind {
	case zre.KindPing:
		// The answer says that all before the PING has arrived.
		if !in.deliver() {
			return errRemoved
		}
		p.out.simple(zre.KindPingOK)
	case zre.KindPingOK:
		p.out.pong()
	case zre.KindGoodbye:
		in.deliver()
		return in.pr.goodbye(p)
	case zre.KindJoin, zre.KindLeave:
		kind, group := Join, string(m.Group)
		if m.Kind == zre.KindLeave {
			kind = Leave
		}
		changed, leader, err := in.pr.memberChanged(p, kind, group, m.Status)
		if err != nil {
			return err
		}
		if changed {
			in.event(kind).Group = group
			in.bytes += len(group)
		}
		in.tellLeader(leader)
	case zre.KindElect, zre.KindLeader:
		in.tellLeader(in.pr.voted(p, m))
	}
	return nil
}

// tellLeader tells the application who was elected, behind what came before.
// While that waits for room others may tell of another leader: then this one is
// none any more.
func (in *inbound) tellLeader(ev *Event) {
	if ev == nil {
		return
	}
	in.deliver()
	in.pr.node.inbox.holdBack(&in.peer.src)
	in.pr.mu.Lock()
	defer in.pr.mu.Unlock()
	if e := in.pr.votes(ev.Group); e != nil && !e.running() && e.leader == ev.Peer {
		in.pr.tellLeader(ev)
	}
}

// hello makes the peer enter.
func (in *inbound) hello(head []byte, seq uint16, extra int) error {
	h, err := zre.ParseHello(head)
	switch {
	case err != nil:
		return err
	case seq != 1 || extra > 0:
		return errHello
	}
	// What the peer said before comes before the Exit that this brings.
	in.deliver()
	p, err := in.pr.greet(in, &h)
	if err != nil {
		return fmt.Errorf("HELLO of %q at %q: %w", h.Name, h.Endpoint, err)
	}
	in.accept(p)
	ev := in.event(Enter)
	ev.Addr, ev.Headers = p.claimed, p.headers
	for _, g := range h.Groups {
		in.event(Join).Group = g
		in.bytes += len(g)
	}
	return nil
}

// resume goes on with a peer that lost its connection and nothing else. It
// shows by its number that it is the one.
func (in *inbound) resume(seq uint16) bool {
	p := in.pr.resumable(in, seq)
	if p == nil {
		return false
	}
	in.accept(p)
	return true
}

// accept makes this the connection of the peer.
func (in *inbound) accept(p *peer) {
	in.peer = p
	in.release()
	in.conn.SetDeadline(time.Time{})
	in.rd.SetLimit(max(in.pr.cfg.MessageLimit, maxHello))
	in.rd.SetThrift(0)
	in.heard = true
	in.pr.settled(in)
}
