package fallback

import (
	"sync"
	"time"

	"github.com/gozyre/zyre/fallback/internal/zre"
)

// sender is the way to one peer: a queue of encoded messages and the
// connection that takes them. Callers encode straight into the queue, where
// the sequence number is taken too. Who finds the connection quiet writes at
// once, from the caller's goroutine: that is where low latency comes from. In
// a burst a goroutine takes over that writes all that has gathered in one
// system call: that is where throughput comes from.
//
// Its lock is the innermost of the package: nothing is called under it that
// takes another.
type sender struct {
	limit int   // bytes in the queue above which callers wait
	pace  *pace // of the node

	mu       sync.Mutex
	changed  sync.Cond // a batch was written, or the sender was closed
	waiting  int       // how many wait for that
	queue    batch
	seq      uint16 // of the last message; 1 is kept for HELLO
	queued   uint64 // messages of the application, ever
	written  uint64 // of those, how many a connection has taken
	bytes    uint64 // in the frames of those that were taken
	conn     *link
	writing  bool      // somebody is in a write
	draining bool      // a goroutine writes, or will
	flying   int       // bytes that he writes
	stalled  time.Time // since when the connection or the queue has not moved; zero: it moves
	backlog  int       // of the kernel, when it was last asked while stalled
	closed   bool
	ending   bool // nothing of the application is taken any more

	wrap wrap // how the peer counts; may hold messages back

	// What is known to have arrived: see intact.
	wrote  uint64 // frames that a connection has taken, ever
	framed uint64 // frames queued, ever
	pingAt uint64 // of those, up to the last PING
	safe   uint64 // and up to the last PING that was answered
	lost   bool   // a batch failed
}

func newSender(limit int, p *pace) *sender {
	s := &sender{limit: limit, pace: p, seq: 1}
	s.changed.L = &s.mu
	return s
}

// send queues a message of the application, after waiting for room. If large
// frames are referred to it also waits until they are written. It reports
// false if the peer has gone.
func (s *sender) send(kind zre.Kind, group string, frames [][]byte) bool {
	s.mu.Lock()
	for s.full() && !s.refuses() {
		s.wait()
	}
	if s.refuses() {
		s.mu.Unlock()
		return false
	}
	ticket, referred := s.push(kind, group, frames)
	if !referred {
		s.kick()
		return true
	}
	if !s.writing && s.sendable() {
		s.writeAll() // the caller waits for it anyway
	} else {
		s.kick()
	}
	return s.await(ticket)
}

// offer is send without waiting. ok is false if the queue is full. With
// referred the frames are in use until await returns for the ticket.
func (s *sender) offer(kind zre.Kind, group string, frames [][]byte) (ticket uint64, referred, ok bool) {
	s.mu.Lock()
	if s.refuses() || s.full() {
		ok = s.refuses() // nobody waits for a peer that has gone
		s.stall()        // its time runs from now, not from when the caller comes to wait for it
		s.mu.Unlock()
		return 0, false, ok
	}
	ticket, referred = s.push(kind, group, frames)
	s.kick()
	return ticket, referred, true
}

// refuses tells whether it is too late for messages of the application; mu is
// held.
func (s *sender) refuses() bool { return s.closed || s.ending }

// push appends a message with the next sequence number; mu is held.
func (s *sender) push(kind zre.Kind, group string, frames [][]byte) (ticket uint64, referred bool) {
	if s.unreached() {
		s.stall()
	}
	seq := s.nextSeq()
	size, encoded := sizes(group, frames)
	tail := s.tail()
	tail.reserve(encoded)
	referred = tail.message(kind, seq, group, frames)
	tail.bytes += size
	s.queued++
	s.framed++
	return s.queued, referred
}

// await waits until the message with the ticket was written, or never will
// be, which is false.
func (s *sender) await(ticket uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.written < ticket {
		if s.closed && !s.writing { // a write that goes on may use the frames
			return false
		}
		s.wait()
	}
	return true
}

// unreached tells whether there never was a connection; mu is held.
func (s *sender) unreached() bool { return s.conn == nil && s.wrote == 0 }

// stall notes that the queue does not move; mu is held.
func (s *sender) stall() {
	if s.stalled.IsZero() {
		s.stalled = time.Now()
	}
}

// excuse takes from the time of a stall what passed while this node did not run.
func (s *sender) excuse(late time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stalled.IsZero() {
		return
	}
	s.stalled = s.stalled.Add(late)
	if now := time.Now(); s.stalled.After(now) {
		s.stalled = now
	}
}

func (s *sender) wait() {
	s.stall()
	s.waiting++
	s.changed.Wait()
	s.waiting--
}

// control queues a message of the protocol, whose frame has size bytes. It
// never waits, for its callers hold the lock of the presence. It reports
// false if so much piled up that the peer must be given up.
func (s *sender) control(size int, encode func(dst []byte, seq uint16) []byte) bool {
	s.mu.Lock()
	if s.closed || s.overfull() {
		ok := s.closed
		s.mu.Unlock()
		return ok
	}
	seq := s.nextSeq()
	s.tail().frame(size, func(dst []byte) []byte { return encode(dst, seq) })
	s.framed++
	s.kick()
	return true
}

// simple queues a message without fields.
func (s *sender) simple(kind zre.Kind) {
	s.control(zre.HeaderSize, func(dst []byte, seq uint16) []byte {
		return zre.AppendSimple(dst, kind, seq)
	})
}

// ping asks the peer for a sign of life.
func (s *sender) ping() {
	s.control(zre.HeaderSize, func(dst []byte, seq uint16) []byte {
		s.wrap.pings++ // of those that there is no room for no answer comes
		s.pingAt = s.framed + 1
		return zre.AppendSimple(dst, zre.KindPing, seq)
	})
}

// pong takes note of an answer. Answers come in order, so with as many of
// them as there were PINGs all before the last PING has arrived.
func (s *sender) pong() {
	s.mu.Lock()
	if s.answersQuestion() {
		s.decide(wrapShort)
		s.kick()
		return
	}
	s.wrap.pongs++
	if s.wrap.pongs >= s.wrap.pings {
		s.safe = s.pingAt
		s.changed.Broadcast()
	}
	s.answered()
	s.kick()
}

// intact tells whether all that was handed to the connection is known to
// have arrived, so that nothing can be missing after it broke.
func (s *sender) intact() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.lost && !s.writing && s.wrote == s.safe
}

// waits returns the bytes that wait; mu is held.
func (s *sender) waits() int { return s.queue.size() + s.wrap.later.size() }

// full tells whether messages of the application must wait; mu is held.
func (s *sender) full() bool { return s.exceeds(s.waits(), s.limit, unreachedLimit, maxHeld) }

// overfull tells whether there is no room even for the protocol, of whose
// messages alone so much waits; mu is held.
func (s *sender) overfull() bool {
	return s.exceeds(s.queue.own+s.wrap.later.own, 2*s.limit, unreachedControl, 2*maxHeld)
}

// exceeds tells whether more waits than may. What is held back must stay
// shorter than a round of sequence numbers.
func (s *sender) exceeds(waits, limit, unreached, held int) bool {
	if s.unreached() {
		limit = min(limit, unreached)
	}
	return waits >= limit || s.wrap.later.frames >= held
}

// tail is where the next message goes; mu is held.
func (s *sender) tail() *batch {
	if s.wrap.held {
		return &s.wrap.later
	}
	return &s.queue
}

// answer queues a frame of ZMTP itself, such as PONG, unless something waits
// already: so a flood of PINGs gets few of them.
func (s *sender) answer(frame []byte) {
	s.mu.Lock()
	if s.closed || s.conn == nil || s.queue.size() > 0 {
		s.mu.Unlock()
		return
	}
	s.queue.reserve(len(frame))
	s.queue.buf = append(s.queue.buf, frame...)
	s.kick()
}

// attach gives the sender a connection. hello, if not empty, goes first.
func (s *sender) attach(c *link, hello []byte) {
	s.mu.Lock()
	if len(hello) > 0 {
		s.queue.prepend(hello)
		s.framed++
	}
	s.conn = c
	if !s.stalled.IsZero() {
		s.stalled = time.Now() // for want of a connection
	}
	s.kick()
}

// detach takes the connection away when it broke. What waits is kept.
func (s *sender) detach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn = nil
	s.changed.Broadcast()
}

// close ends the sender and every wait. It returns how many messages of the
// application were accepted and never written.
func (s *sender) close() (dropped uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0
	}
	s.closed = true
	s.wrap.stop()
	s.queue.release()
	s.wrap.later.release()
	s.changed.Broadcast()
	return s.queued - s.written
}

// flush waits until everything is written, for so long at most, and as long as
// there is a connection.
func (s *sender) flush(d time.Duration) {
	s.within(d, func() bool { return s.conn == nil || !s.writing && s.waits() == 0 })
}

// end refuses messages of the application from now on, also those that wait for
// room: what comes behind the last PING would be lost and nobody hear of it.
func (s *sender) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ending = true
	s.changed.Broadcast()
}

// settle waits until the peer has shown that all has arrived which was sent,
// for so long at most. Messages of the application wait for a connection too.
func (s *sender) settle(d time.Duration) {
	cutOff := func() bool { return s.conn == nil && s.queued == s.written }
	s.mu.Lock()
	settled := !s.lost && s.framed == s.safe || cutOff()
	s.mu.Unlock()
	if settled {
		return
	}
	s.ping()
	s.within(d, func() bool { return s.wrap.pongs >= s.wrap.pings || cutOff() })
}

// isAwaited tells whether somebody waits for room, or for a write.
func (s *sender) isAwaited() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting > 0
}

// within waits for a condition, which is looked at with mu held.
func (s *sender) within(d time.Duration, done func() bool) {
	late := false
	t := time.AfterFunc(d, func() {
		s.mu.Lock()
		late = true
		s.changed.Broadcast()
		s.mu.Unlock()
	})
	defer t.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.closed && !late && !done() {
		s.wait()
	}
}

// stuckSince returns since when the peer takes nothing of what waits for it,
// or zero if it does. A kernel that is full lets nothing be written before a
// third of it has gone, megabytes; so of one who reads slowly it shows by
// what the kernel holds that he does. One that was never reached may take its
// time until its queue is full, and no longer: else a crowd of such peers could
// hold back those who shout for one send timeout after the other.
func (s *sender) stuckSince() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wrap.held || s.unreached() && !s.full() {
		return time.Time{}
	}
	if !s.stalled.IsZero() && s.conn != nil {
		if n := s.conn.backlog(); n >= 0 && n != s.backlog {
			s.backlog, s.stalled = n, time.Now()
		}
	}
	return s.stalled
}

// counts returns messages and bytes sent, and the bytes that wait.
func (s *sender) counts() (messages, bytes uint64, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written, s.bytes, s.waits() + s.flying
}
