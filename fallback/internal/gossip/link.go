package gossip

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/gozyre/zyre/fallback/internal/zmtp"
)

const (
	handshakeTime = 10 * time.Second
	writeTime     = 10 * time.Second
	maxPending    = 1 << 20 // bytes that wait for a connection: more than the largest table
	keepBuffer    = 16 << 10
	maxMalformed  = 16 // messages and frames on a connection

	// pingEvery keeps a hub of czmq from forgetting us, which it does after
	// a second of silence. A hub that says nothing for silence is gone.
	pingEvery = 400 * time.Millisecond
	silence   = 10 * time.Second

	// Tuples that a connection may bring: so many at once, and so many a
	// second. Who brings more waits.
	tupleBurst, tupleRate = 2 * maxTuples, 500
)

var errAbuse = errors.New("gossip: too many malformed messages")

// link is a connection: of a client to this hub, or of this node to a hub.
type link struct {
	g     *Gossip
	conn  net.Conn
	hub   bool       // this side is the hub
	host  netip.Addr // of the other side; invalid for ipc and inproc
	local bool       // the other side is on this host
	since time.Time
	ready bool // the handshake is done; for others under g.mu

	// For the goroutine that reads.
	bad     int // malformed messages
	greeted bool
	tokens  float64
	at      time.Time

	mu      sync.Mutex
	sealer  *zmtp.Sealer // nil: no CURVE
	closed  bool
	unknown bool // the hub has forgotten us
	pings   int  // not yet answered
	stale   int  // of them, those from before the last HELLO
	pending []byte
	ponged  bool // pending has a PONG
	wake    sync.Cond
}

func newLink(g *Gossip, conn net.Conn, hub bool) *link {
	now := time.Now()
	l := &link{g: g, conn: conn, hub: hub, since: now, tokens: tupleBurst, at: now}
	l.host, l.local = hostOf(conn)
	l.wake.L = &l.mu
	return l
}

// run shakes hands and reads until the connection ends.
func (l *link) run(self *zmtp.Self) error {
	l.conn.SetDeadline(time.Now().Add(handshakeTime))
	rd, remote, err := zmtp.Handshake(l.conn, self, maxFrame)
	if err != nil {
		return err
	}
	l.conn.SetDeadline(time.Time{})
	l.begin(remote.Sealer)
	l.g.tasks.Go(l.write)
	if !l.hub {
		l.greet()
		stop := l.keepAlive()
		defer stop()
	} else if tcp, ok := l.conn.(*net.TCPConn); ok {
		// Clients of czmq never say a word without need.
		_ = tcp.SetKeepAlive(true)
	}
	return l.read(rd)
}

// begin lets tuples pass.
func (l *link) begin(sealer *zmtp.Sealer) {
	l.g.mu.Lock()
	defer l.g.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ready, l.sealer = true, sealer
}

// greet says HELLO to a hub, and all that we know.
func (l *link) greet() {
	l.g.mu.Lock()
	defer l.g.mu.Unlock()
	l.send(kindHello, tuple{})
	l.g.tellAll(l)
}

func (l *link) keepAlive() (stop func()) {
	done := make(chan struct{})
	l.g.tasks.Go(func() {
		t := time.NewTicker(pingEvery)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				l.ping()
			case <-done:
				return
			}
		}
	})
	return func() { close(done) }
}

// ping keeps a hub from forgetting us, and greets one anew that has. It does
// so now and then and not at once, for such a hub says INVALID to every tuple
// that was on its way.
func (l *link) ping() {
	l.mu.Lock()
	unknown := l.unknown
	l.unknown = false
	if l.pings++; unknown {
		l.stale = l.pings
	}
	l.mu.Unlock()
	l.send(kindPing, tuple{})
	if unknown {
		l.greet()
	}
}

// answered takes note of a PONG.
func (l *link) answered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pings, l.stale = max(0, l.pings-1), max(0, l.stale-1)
}

// invalid takes note that the hub does not know us. If it says so of what we
// sent before the last HELLO, it does by now: another HELLO would make it
// forget us.
func (l *link) invalid() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unknown = l.unknown || l.stale == 0
}

func (l *link) read(rd *zmtp.Reader) error {
	rest := false // of a message in several frames, which zgossip has not
	for {
		flags, body, ok, err := rd.Next()
		switch {
		case err != nil:
			return err
		case !ok:
			if err := l.fill(rd); err != nil {
				return err
			}
			continue
		case flags&zmtp.Command != 0:
			err = l.command(body)
		case flags&zmtp.More != 0:
			rest, err = true, l.malformed()
		case rest:
			rest = false
		default:
			err = l.message(body)
		}
		if err != nil {
			return err
		}
	}
}

func (l *link) fill(rd *zmtp.Reader) error {
	if !l.hub {
		l.conn.SetReadDeadline(time.Now().Add(silence))
	}
	return rd.Fill()
}

// command answers a PING of ZMTP.
func (l *link) command(body []byte) error {
	pong, err := zmtp.Pong(body)
	if err != nil || pong == nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) == 0 {
		l.put(zmtp.Command, pong[2:])
	}
	return nil
}

// message acts on one message.
func (l *link) message(body []byte) error {
	k, t, err := parse(body)
	switch {
	case errors.Is(err, errForeign), k == kindPublish && !l.carries(t):
		l.g.refused.Add(1)
	case err != nil:
		return l.malformed()
	case k == kindPublish:
		l.throttle()
		l.g.learn(t, l)
	case k == kindHello && l.hub:
		l.welcome()
	case k == kindPing && l.hub:
		l.pong()
	case k == kindPong && !l.hub:
		l.answered()
	case k == kindInvalid && !l.hub:
		l.invalid()
	}
	return nil
}

// welcome answers a HELLO, and those that follow only to who has read the
// answer to the last.
func (l *link) welcome() {
	if l.greeted && !l.idle() {
		return
	}
	l.greeted = true
	l.g.mu.Lock()
	defer l.g.mu.Unlock()
	l.g.tellAll(l)
}

// pong answers a PING, and those that follow only after what waits is written.
func (l *link) pong() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ponged && !l.closed {
		l.ponged = true
		l.put(0, appendMessage(nil, kindPong, tuple{}))
	}
}

// malformed takes note of a message that is none. czmq would stop at it.
func (l *link) malformed() error {
	l.g.refused.Add(1)
	if l.bad++; l.bad > maxMalformed {
		return errAbuse
	}
	return nil
}

// throttle waits until the connection may bring one more tuple.
func (l *link) throttle() {
	for {
		now := time.Now()
		l.tokens = min(tupleBurst, l.tokens+now.Sub(l.at).Seconds()*tupleRate)
		l.at = now
		if l.tokens >= 1 || !l.g.sleep(time.Second/tupleRate) {
			l.tokens--
			return
		}
	}
}

// carries tells whether a tuple has a meaning on this connection: an endpoint
// of ipc or inproc only inside the host, and one without a public key not
// among nodes that use CURVE.
func (l *link) carries(t tuple) bool {
	return (l.local || !t.inHost()) && (l.sealer == nil || t.keyed())
}

// idle tells whether the other side has taken everything.
func (l *link) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pending) == 0
}

// publish queues a tuple.
func (l *link) publish(t tuple) {
	if l.ready && l.carries(t) {
		l.send(kindPublish, t)
	}
}

// send queues a message. A connection that does not take what waits for it
// is closed.
func (l *link) send(k kind, t tuple) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.put(0, appendMessage(nil, k, t))
	}
}

// put queues a frame; mu is held.
func (l *link) put(flags byte, body []byte) {
	if l.sealer != nil {
		l.pending = l.sealer.Append(l.pending, flags, body)
	} else {
		l.pending = zmtp.AppendFrame(l.pending, flags, body)
	}
	if len(l.pending) > maxPending {
		l.closed = true
		l.conn.Close()
	}
	l.wake.Signal()
}

// write writes what is queued until the connection is closed.
func (l *link) write() {
	var out []byte
	for {
		l.mu.Lock()
		for len(l.pending) == 0 && !l.closed {
			l.wake.Wait()
		}
		if l.closed {
			l.mu.Unlock()
			return
		}
		out, l.pending, l.ponged = l.pending, out[:0], false
		l.mu.Unlock()
		l.conn.SetWriteDeadline(time.Now().Add(writeTime))
		if _, err := l.conn.Write(out); err != nil {
			l.close()
			return
		}
		if cap(out) > keepBuffer {
			out = nil
		}
	}
}

func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.conn.Close()
	l.wake.Signal()
}
