package fallback

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/gozyre/zyre/fallback/internal/zmtp"
	"github.com/gozyre/zyre/fallback/internal/zre"
	"github.com/gozyre/zyre/internal/rule"
)

// inbound is a connection that a peer has opened to this node, on which it
// says all that it has to say. One goroutine reads it: it cuts messages out
// of large reads and hands the events of a whole read to the inbox at once.
type inbound struct {
	pr     *presence
	conn   net.Conn
	from   netip.Addr // invalid for ipc and inproc
	key    [32]byte   // with CURVE: that the peer proved
	sealer *zmtp.Sealer
	rd     *zmtp.Reader
	id     UUID
	done   chan struct{} // closed when the reader has ended
	back   chan error    // sends it back when it was lent
	number uint64        // of the connection, in the order in which they came

	// Guarded by the presence's lock.
	greeting bool // it has said HELLO
	stale    bool // its peer has said HELLO on a later one

	peer    *peer // nil before HELLO
	foreign int
	held    int  // bytes of the presence's allowance for strangers
	part    part // of that for messages that are not whole

	// The message that is being read.
	head    []byte // a copy, so that it can be read over many reads
	begun   bool
	lent    bool     // content aliases the reader's buffer
	slab    [][]byte // room for the frames of many messages; slab[first:] are this one's
	first   int
	slabbed int    // bytes in it
	length  int    // bytes in its frames behind the head
	onLoan  bool   // the application reads
	later   []byte // a command that it has read

	// What the last read brought.
	events   []Event
	bytes    int
	messages int
	heard    bool

	lastGroup string // that a SHOUT named
}

var (
	errHello     = errors.New("HELLO out of place")
	errIdentity  = errors.New("no ZRE identity")
	errExtra     = errors.New("frames behind a message that has no content")
	errForeign   = errors.New("too many messages of a foreign version")
	errStatus    = errors.New("wrong status")
	errGroups    = errors.New("too many groups")
	errSequence  = errors.New("messages are missing")
	errOwn       = errors.New("it is this node itself")
	errRemoved   = errors.New("the peer was removed")
	errFull      = errors.New("too many peers")
	errCrowd     = errors.New("too much memory for HELLOs that are not whole")
	errKey       = errors.New("its key is not the one that it proved, or not that of the peer")
	errStale     = fmt.Errorf("%w: it has a later connection", errRemoved)
	errTakenOver = errors.New("the identity or endpoint of a live peer")
)

// A slab has room for so many frames, and is left when they have so many bytes.
const (
	slabSize  = 256
	slabBytes = 64 << 10
)

// run makes a peer of who has connected. The peer's messages are then read by
// another goroutine: shaking hands takes more stack than reading, which this
// one would keep.
func (in *inbound) run() {
	err := in.shakeHands()
	if err == nil {
		err = in.read(true)
	}
	if err == nil {
		in.pr.tasks.Go(func() { in.end(in.read(false)) })
	} else {
		in.end(err)
	}
}

func (in *inbound) end(err error) {
	in.conn.Close()
	in.holdAsStranger(0)
	in.pr.unfinished.take(in, 0, 0)
	if in.part.stalled.Load() {
		err = errStalled
	}
	in.pr.inboundEnded(in, err)
	close(in.done)
}

func (in *inbound) shakeHands() error {
	in.conn.SetDeadline(time.Now().Add(helloTimeout))
	rd, remote, err := zmtp.Handshake(in.conn, in.pr.router, maxHello)
	if err != nil {
		return err
	}
	if len(remote.Identity) != 17 || remote.Identity[0] != 1 {
		return errIdentity
	}
	in.rd, in.sealer = rd, remote.Sealer
	in.pr.identified(in, UUID(remote.Identity[1:]), remote.Key)
	if in.id == in.pr.id {
		return errOwn
	}
	return nil
}

// read reads the connection to its end, or until the peer has entered.
func (in *inbound) read(untilEntered bool) error {
	for {
		err := in.cut()
		delivered := len(in.events) > 0
		if !in.deliver() {
			return errRemoved
		}
		if err != nil || untilEntered && in.peer != nil {
			return err
		}
		if delivered && in.pr.node.inbox.lend(in) {
			if err := in.wait(); err != nil {
				return err
			}
			continue
		}
		if err := in.hold(); err != nil {
			return err
		}
		if err := in.fill(); err != nil {
			return err
		}
	}
}

// fill reads once.
func (in *inbound) fill() error {
	if in.begun && in.lent {
		in.rd.Keep()
	}
	err := in.rd.Fill()
	// Who sends a large message over a slow link can say nothing else meanwhile.
	in.heard = in.heard || err == nil && in.partial()
	return err
}

// readLent reads once for the application.
func (in *inbound) readLent() error {
	if err := in.fill(); err != nil {
		return err
	}
	err := in.cut()
	switch {
	case !in.deliver():
		return errRemoved
	case err == nil && !in.takeRoom():
		return errWait
	}
	return err
}

// wait sleeps while the connection is lent, and takes what came for it then.
func (in *inbound) wait() error {
	err := <-in.back
	in.onLoan = false
	switch {
	case errors.Is(err, errWait):
		return nil
	case !errors.Is(err, errNotHere):
		return err
	case len(in.later) > 0:
		err = in.command(in.later)
		in.later = in.later[:0]
		return err
	}
	return in.whole()
}

// hold keeps count of the memory that messages take which are not whole.
func (in *inbound) hold() error {
	switch {
	case in.peer == nil:
		return in.holdAsStranger(in.rd.Held() + in.length)
	case in.takeRoom():
		return nil
	}
	return in.pr.unfinished.await(in)
}

// holdAsStranger keeps count of what those that are no peers yet take
// together, and refuses this one if it is too much and it has a part in that.
func (in *inbound) holdAsStranger(held int) error {
	if held == in.held {
		return nil
	}
	all := in.pr.strangers.Add(int64(held - in.held))
	in.held = held
	if held > strangerShare && all > maxStrangers {
		return errCrowd
	}
	return nil
}

// partial tells whether a message has begun and is not whole yet.
func (in *inbound) partial() bool {
	_, room := in.rd.Partial()
	return in.begun || room > 0
}

// takeRoom keeps count of what a peer's message takes until it is whole, and
// reports whether there is room for more of it.
func (in *inbound) takeRoom() bool {
	there, room := in.rd.Partial()
	if in.begun {
		before := in.length + len(in.slab[in.first:])*frameOverhead
		there, room = there+before, room+before
	}
	ok := in.pr.unfinished.take(in, there, room)
	in.rd.SetThrifty(in.pr.unfinished.tight())
	return ok
}

// frameOverhead is what a frame costs in a slab.
const frameOverhead = 24

// cut handles every frame that has arrived whole.
func (in *inbound) cut() error {
	for {
		flags, body, ok, err := in.rd.Next()
		if !ok || err != nil {
			return err
		}
		switch {
		case flags&zmtp.Command == 0:
			err = in.frame(flags, body)
		case in.onLoan:
			in.later = append(in.later[:0], body...)
			err = errNotHere
		default:
			err = in.command(body)
		}
		if err != nil {
			return err
		}
	}
}

// deliver puts what was read into the inbox. It reports false if the peer is gone.
func (in *inbound) deliver() bool {
	if in.heard {
		in.heard = false
		if in.peer != nil {
			in.peer.touch()
		}
	}
	if len(in.events) == 0 {
		return true
	}
	put := in.pr.node.inbox.put
	if in.onLoan {
		put = in.pr.node.inbox.putNow
	}
	events, bytes := in.events, in.bytes
	in.events, in.bytes = nil, 0
	in.pr.node.received.Add(uint64(in.messages))
	in.pr.node.receivedBytes.Add(uint64(bytes))
	in.messages = 0
	var ok bool
	in.events, ok = put(&in.peer.src, events, bytes)
	in.peer.touch() // it may have waited for us, and not we for it
	return ok
}

// command answers a PING of ZMTP and ignores what else there may be.
func (in *inbound) command(body []byte) error {
	pong, err := zmtp.Pong(body)
	if err != nil || pong == nil {
		return err
	}
	if in.sealer != nil {
		pong = in.sealer.Append(nil, zmtp.Command, pong[zmtp.HeaderSize(len(pong)-2):])
	}
	in.conn.SetWriteDeadline(time.Now().Add(helloTimeout))
	_, err = in.conn.Write(pong)
	return err
}

// frame takes one frame, and the message if it is the last.
func (in *inbound) frame(flags byte, body []byte) error {
	if !in.begun {
		in.begun, in.lent, in.length = true, false, 0
		in.head = append(in.head[:0], body...)
	} else {
		in.lent = in.lent || flags&zmtp.Own == 0
		in.addContent(body)
	}
	limit := rule.MaxMessage + maxHello
	if in.peer == nil {
		limit = maxHello
	}
	if len(in.head)+in.length > limit || len(in.slab)-in.first > rule.MaxFrames {
		return zmtp.ErrTooLarge
	}
	if flags&zmtp.More != 0 {
		return nil
	}
	if in.onLoan && !zre.IsContent(in.head) {
		return errNotHere
	}
	return in.whole()
}

// whole acts on a message that has arrived whole.
func (in *inbound) whole() error {
	content := in.slab[in.first:len(in.slab):len(in.slab)]
	in.first = len(in.slab)
	in.begun = false
	return in.message(in.head, content)
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
		in.events = slices.Grow(in.events, 1)
	}
	in.events = in.events[:len(in.events)+1]
	ev := &in.events[len(in.events)-1] // cleared, as the inbox leaves them
	ev.Kind, ev.Peer, ev.Name = k, in.peer.id, in.peer.name
	return ev
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
	if in.lent {
		in.rd.Keep()
	}
}

// protocol acts on a message without content.
func (in *inbound) protocol(p *peer, m zre.Message) error {
	switch m.Kind {
	case zre.KindPing:
		p.out.simple(zre.KindPingOK)
	case zre.KindPingOK:
		p.out.pong()
	case zre.KindGoodbye:
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
		in.add(leader)
	case zre.KindElect, zre.KindLeader:
		in.add(in.pr.voted(p, m))
	}
	return nil
}

func (in *inbound) add(ev *Event) {
	if ev != nil {
		in.events = append(in.events, *ev)
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
	in.holdAsStranger(0)
	in.conn.SetDeadline(time.Time{})
	in.rd.SetLimit(rule.MaxMessage)
	in.heard = true
	in.pr.settled(in)
}
