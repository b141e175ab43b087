package fallback

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/gozyre/zyre/fallback/internal/transport"
	"github.com/gozyre/zyre/fallback/internal/zmtp"
)

// origin says how a peer became known.
type origin uint8

const (
	fromBeacon origin = iota
	fromHello
	fromGossip
	fromUser
)

// peer is one incarnation of another node: from the first sign of it to its
// Exit. If it comes back it is another peer with the same UUID. Until it has
// said HELLO it is a candidate, of which the application knows nothing.
//
// Fields without a note are set once. Those under "state" are guarded by the
// presence's lock.
type peer struct {
	pr     *presence
	id     UUID
	at     place    // where it is dialled
	key    [32]byte // with CURVE: its public key
	origin origin
	born   time.Time
	out    *sender
	done   chan struct{} // closed when the peer is gone
	poke   chan struct{} // dial again now

	src  source       // in the inbox
	seen atomic.Int64 // when its last message came, in nanoseconds after epoch

	waits atomic.Bool // its unfinished message waits for its turn

	// Set by its HELLO, before it is in the table of those that entered.
	name    string
	claimed string // the endpoint that it says it has
	headers map[string]string

	// Of the connection that it opened, for that connection's reader only.
	want uint16 // the next sequence number

	// State.
	entered   bool
	gone      bool
	givenUp   bool   // it will be gone in a moment
	interrupt func() // ends the dial or the connection that goes on
	greeted   bool   // our HELLO was given to a connection: it hears of our groups from now on
	status    uint8
	groups    map[string]*group
	in        *inbound
	from      netip.Addr // of the last connection that it opened
	dialled   bool       // our connection to it is up
	local     netip.Addr // of ours, on that connection or the last
	told      string     // where we are, by our HELLO
	beaconed  bool       // it was found by its beacon, or could be
	checked   bool       // somebody is waiting for a sign of life
	failures  int        // dials in a row that failed, over incarnations
	akin      bool       // it is a node of this package
}

// epoch is what signs of life are counted from. It has a reading of the
// monotonic clock: when somebody sets the clock on the wall, nobody expires.
var epoch = time.Now()

func (p *peer) touch() { p.seen.Store(int64(time.Since(epoch))) }

// quiet returns how long ago the peer gave a sign of life.
func (p *peer) quiet(now time.Time) time.Duration {
	return now.Sub(epoch) - time.Duration(p.seen.Load())
}

// run keeps a connection to the peer until the peer is gone. What needs more
// than a little stack is done by goroutines that end, for this one stays, and
// there is one for each peer.
func (p *peer) run() {
	for p.pause() {
		if c, rd := p.connect(); c != nil {
			p.listen(rd)
			c.Close()
			p.out.detach()
			p.pr.disconnected(p)
		}
	}
}

// connect dials the peer. It returns nil if that failed.
func (p *peer) connect() (c *link, rd *zmtp.Reader) {
	done := make(chan struct{})
	p.pr.tasks.Go(func() {
		defer close(done)
		var remote zmtp.Remote
		var err error
		if c, rd, remote, err = p.dial(); err != nil {
			p.pr.dialFailed(p, err)
		} else if !p.pr.connected(p, c, remote) {
			c.Close()
			c = nil
		}
	})
	<-done
	return c, rd
}

// pause waits before a dial: after failed ones, and for its turn where it is
// strangers that make this node dial.
func (p *peer) pause() bool {
	p.pr.mu.Lock()
	n, gone := p.failures, p.gone
	p.pr.mu.Unlock()
	if n > 0 && !gone {
		d := min(50*time.Millisecond<<min(n, 10), 2*time.Second)
		gone = !p.wait(d + rand.N(d/4))
	}
	if d := p.turn(); d > 0 && !gone {
		gone = !p.wait(d)
	}
	return !gone
}

// turn returns how long a dial to where no connection was made before must
// wait for those to other places.
func (p *peer) turn() time.Duration {
	p.pr.mu.Lock()
	defer p.pr.mu.Unlock()
	switch now := time.Now(); {
	case p.gone || p.greeted || p.origin == fromUser:
		return 0
	case p.entered:
		return p.pr.callers.reserve(now)
	default:
		return p.pr.hearsay.reserve(now)
	}
}

// wait waits, or until wake is called. It reports false if the peer is gone.
func (p *peer) wait(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.poke:
	case <-p.done:
		return false
	}
	return true
}

func (p *peer) wake() {
	select {
	case p.poke <- struct{}{}:
	default:
	}
}

func (p *peer) host() netip.Addr { return p.at.addr.Addr() }

// dial connects to the peer's listener and shakes hands.
func (p *peer) dial() (*link, *zmtp.Reader, zmtp.Remote, error) {
	done, ok := p.takeTurn()
	if !ok {
		return nil, nil, zmtp.Remote{}, errRemoved
	}
	defer done()
	ctx, cancel := context.WithCancel(p.pr.ctx)
	defer cancel()
	p.pr.interruptBy(p, cancel)
	conn, err := transport.Dial(ctx, p.at.endpoint)
	if err != nil {
		return nil, nil, zmtp.Remote{}, err
	}
	c := newLink(conn)
	c.retransmitOften()
	p.pr.interruptBy(p, func() { c.Close() })
	c.SetDeadline(time.Now().Add(helloTimeout))
	rd, remote, err := zmtp.Handshake(c, p.pr.dealer(p.key), maxBackTalk)
	if err != nil {
		c.Close()
		return nil, nil, remote, err
	}
	c.SetDeadline(time.Time{})
	c.sealer = remote.Sealer
	return c, rd, remote, nil
}

// takeTurn waits until there are few enough other dials, and returns what ends
// this one. It reports false if the peer has gone.
func (p *peer) takeTurn() (done func(), ok bool) {
	for {
		dials := p.pr.dialsTo(p)
		select {
		case dials <- struct{}{}:
			return func() { <-dials }, true
		case <-p.poke: // it has said HELLO, and need not wait with the others
		case <-p.done:
			return nil, false
		}
	}
}

// dialsTo returns the tokens of those dials that one to a peer is one of.
// Addresses that accept and say nothing must not take those of peers that do.
func (pr *presence) dialsTo(p *peer) chan struct{} {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if p.entered || p.origin == fromUser {
		return pr.callbacks
	}
	return pr.dials
}

// maxBackTalk is the largest frame that a listener may send to us: nothing
// but commands of ZMTP is expected.
const maxBackTalk = 4 << 10

// listen reads what the peer's listener sends, which is hardly anything, and
// so learns when the connection breaks.
func (p *peer) listen(rd *zmtp.Reader) {
	for messages := 0; messages < maxForeign; {
		flags, body, ok, err := rd.Next()
		switch {
		case err != nil:
			p.pr.refuse("connection to a peer", p.at.endpoint, err)
			return
		case !ok:
			if rd.Fill() != nil {
				return
			}
		case flags&zmtp.Command == 0:
			messages++ // a node never speaks on this connection
		default:
			if pong, err := zmtp.Pong(body); err == nil && pong != nil {
				p.out.answer(pong)
			}
		}
	}
}

// verify waits for a sign of life from the peer, for so long or a little more
// at most, and longer where the question may wait behind what the peer is slow
// to take. It returns false at once when both connections are down.
func (p *peer) verify(d time.Duration) (alive bool) {
	const every = 5 * time.Millisecond
	asked := int64(time.Since(epoch))
	p.out.ping()
	t := time.NewTicker(every)
	defer t.Stop()
	// Counted are looks and not the time, in which this node may not have run.
	looks, longer := d/every, busyTimeout/every
	for ; p.seen.Load() <= asked; looks-- {
		switch {
		case p.pr.isDown(p):
			return false
		case looks > 0:
		case longer > 0 && !p.out.stuckSince().IsZero():
			looks, longer = longer, 0
		default:
			return p.heldBack()
		}
		select {
		case <-t.C:
		case <-p.done:
			return false
		}
	}
	return true
}

// heldBack tells whether this node does not listen to the peer now, which then
// only seems to be silent.
func (p *peer) heldBack() bool {
	return p.waits.Load() || p.pr.node.inbox.isBlocked(&p.src)
}

// expects tells whether a message with this number can come next, in either
// way of counting.
func (p *peer) expects(seq uint16) bool {
	return seq == p.want || p.want == probeSeq+1 && seq == 0
}

// nextIs checks and counts the sequence number of a message, and tells the
// sender what it shows.
func (p *peer) nextIs(seq uint16) bool {
	switch {
	case !p.expects(seq):
		return false
	case p.want != probeSeq+1:
	case seq == 0:
		p.out.learn(wrapShort)
	default:
		p.out.learn(wrapFull)
	}
	p.want = seq + 1
	return true
}

// event returns an event about the peer.
func (p *peer) event(k Kind) Event { return Event{Kind: k, Peer: p.id, Name: p.name} }
