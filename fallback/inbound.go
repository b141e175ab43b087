package fallback

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/gozyre/zyre/fallback/internal/zmtp"
)

// inbound is a connection that a peer has opened to this node, on which it
// says all that it has to say. One goroutine reads it: it cuts messages out
// of large reads and hands the events of a whole read to the inbox at once.
type inbound struct {
	pr     *presence
	conn   *line
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
	aliased bool     // its content is in the reader's buffer
	slab    [][]byte // room for the frames of many messages; slab[first:] are this one's
	first   int
	slabbed int    // bytes in it
	length  int    // bytes in its frames behind the head
	later   []byte // a command that the application has read

	// What the last read brought.
	events   []Event
	few      []Event // room for those of a small one, while this one is large
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
	in.release()
	in.rd, in.head, in.slab = nil, nil, nil // before another takes that much
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
	in.rd.SetThrift(strangerAhead)
	in.pr.identified(in, UUID(remote.Identity[1:]), remote.Key)
	switch in.id {
	case in.pr.id:
		return errOwn
	case UUID{}:
		return errIdentity
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
	if in.begun && in.aliased {
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
	in.conn.lent = false
	switch {
	case errors.Is(err, errWait):
		return nil
	case !errors.Is(err, errNotHere):
		return err
	case len(in.later) > 0:
		later := in.later
		in.later = nil // it may be large
		return in.command(later)
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

// release gives back what it has held as a stranger.
func (in *inbound) release() {
	in.pr.strangers.Add(-int64(in.held))
	in.held = 0
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
	in.rd.SetThrift(in.pr.unfinished.thrift(in))
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
		case in.conn.lent:
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
	if in.conn.lent {
		put = in.pr.node.inbox.putNow
	}
	events, bytes := in.events, in.bytes
	in.events, in.bytes = nil, 0
	in.pr.node.received.Add(uint64(in.messages))
	in.pr.node.receivedBytes.Add(uint64(bytes))
	in.messages = 0
	var ok bool
	if in.events, ok = put(&in.peer.src, events, bytes); in.events == nil {
		in.events, in.few = in.few, nil
	}
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
