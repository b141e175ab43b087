package fallback

import (
	"runtime"
	"sync/atomic"
	"time"
)

// This file is how a sender writes: who does it, when, and how much at a time.

const (
	// burst is the time after a write of the node, to any peer, in which the
	// next message counts as one of a burst: a write to loopback takes about
	// as long.
	burst = 5 * time.Microsecond

	// writeChunk is how much is written between two looks at the progress:
	// one large write costs half the processor time of eight. blindChunk is
	// the same where the kernel does not tell what the peer has taken, so that
	// progress shows only when a write is done.
	writeChunk = 1 << 20
	blindChunk = 128 << 10

	// sealChunk is how much is sealed before it is written.
	sealChunk = 128 << 10

	// unreachedLimit is the limit for a peer to which there never was a
	// connection: hundreds of them can be made up. What the protocol itself
	// has to say to it may be more.
	unreachedLimit   = 4 << 10
	unreachedControl = 32 << 10

	// eager is how much makes a caller write although a goroutine will: it
	// may not run soon, and the other side could already be reading.
	eager      = 32 << 10
	eagerCount = 256 // messages

	// lookAgain is how often a drain that has written everything lets the
	// callers run and looks again before it ends.
	lookAgain = 3
)

// pace is shared by the senders of a node: who shouts to many, or whispers
// to one after the other, is as busy as who whispers to one alone.
type pace struct{ last atomic.Int64 }

// start is what times are measured from, by the monotonic clock.
var start = time.Now()

func (p *pace) wrote() { p.last.Store(int64(time.Since(start))) }

func (p *pace) busy() bool { return int64(time.Since(start))-p.last.Load() < int64(burst) }

// sendable tells whether something can be written now; mu is held.
func (s *sender) sendable() bool {
	return s.conn != nil && !s.closed && s.queue.size() > 0
}

// take hands the queue to a writer; mu is held.
func (s *sender) take() (*link, batch) {
	out := s.queue
	s.flying, s.writing = out.size(), true
	s.queue = batch{}
	return s.conn, out
}

// done takes note of a batch that was written, or else lost; mu is held.
func (s *sender) done(out *batch, ok bool) {
	if ok {
		s.written += uint64(out.messages)
		s.bytes += uint64(out.bytes)
		s.wrote += uint64(out.frames)
		s.stalled = time.Time{}
	} else {
		s.lost = true
		if s.waiting == 0 {
			s.stalled = time.Time{}
		}
	}
	out.release()
	s.flying, s.writing = 0, false
	s.pace.wrote()
	if s.waiting > 0 {
		s.changed.Broadcast()
	}
}

// kick sees to it that what is queued is written. It is called with mu held
// and releases it.
func (s *sender) kick() {
	switch {
	case s.writing || !s.sendable():
		s.mu.Unlock()
	case s.queue.plenty() && canTryWrite && len(s.queue.refs) == 0:
		s.writeHere()
	case s.draining:
		s.mu.Unlock()
	case len(s.queue.refs) > 0 || !canTryWrite || s.pace.busy():
		s.draining = true
		s.mu.Unlock()
		go s.drain()
	default:
		s.writeHere()
	}
}

// writeHere writes what the connection takes without waiting, in the caller's
// goroutine. It is called with mu held and releases it.
func (s *sender) writeHere() {
	c, out := s.take()
	s.mu.Unlock()
	wire := c.encode(&out)
	if n := c.tryWrite(wire); n < len(wire) {
		go s.writeRest(c, out, wire[n:])
		return
	}
	s.mu.Lock()
	s.done(&out, true)
	s.goOn()
}

// writeAll writes what is queued, and waits for it. It is called with mu held
// and releases it.
func (s *sender) writeAll() {
	c, out := s.take()
	s.mu.Unlock()
	ok := s.write(c, &out)
	s.mu.Lock()
	s.done(&out, ok)
	s.goOn()
}

// writeRest writes what the connection did not take from writeHere.
func (s *sender) writeRest(c *link, out batch, rest []byte) {
	ok := s.transmit(c, &batch{buf: rest})
	s.mu.Lock()
	s.done(&out, ok)
	s.goOn()
}

// goOn has a goroutine write what was queued during a write, unless there is
// one. It is called with mu held and releases it.
func (s *sender) goOn() {
	start := s.sendable() && !s.draining
	s.draining = s.draining || start
	s.mu.Unlock()
	if start {
		go s.drain()
	}
}

// drain writes all that is queued until there is nothing left. Its caller has
// set draining.
func (s *sender) drain() {
	for idle := 0; idle < lookAgain; idle++ {
		runtime.Gosched() // the callers may have more
		s.mu.Lock()
		for !s.writing && s.sendable() {
			s.writeAll()
			s.mu.Lock()
			idle = 0
		}
		if idle == lookAgain-1 {
			s.rest()
		}
		s.mu.Unlock()
	}
}

// rest ends a drain; mu is held.
func (s *sender) rest() {
	s.draining = false
	if s.waiting > 0 {
		s.changed.Broadcast()
	}
}

// write writes a batch. With CURVE it is sealed a stretch at a time, so that
// the other side opens one while the next is sealed.
func (s *sender) write(c *link, out *batch) bool {
	if c.sealer == nil {
		return s.transmit(c, out)
	}
	ok := true
	out.each(func(flags byte, body []byte) {
		if ok && c.seal(flags, body) >= sealChunk {
			ok = s.transmit(c, &batch{buf: c.takeSealed()})
		}
	})
	return ok && s.transmit(c, &batch{buf: c.takeSealed()})
}

// transmit writes what goes over the wire and says in between that it goes
// on. If it fails the connection is closed, which its reader notices: the
// batch is lost, and the peer starts anew.
func (s *sender) transmit(c *link, out *batch) bool {
	pieces := out.pieces(c.pieces[:0], c.chunk)
	defer func() { clear(c.pieces[:cap(c.pieces)]) }()
	c.pieces = pieces
	for len(pieces) > 0 {
		n, size := 0, 0
		for n < len(pieces) && size < c.chunk {
			size += len(pieces[n])
			n++
		}
		s.mark()
		if err := c.writev(pieces[:n]); err != nil {
			c.Close()
			return false
		}
		pieces = pieces[n:]
	}
	return true
}

// mark notes that the connection took something and is asked to take more.
func (s *sender) mark() {
	s.mu.Lock()
	s.stalled = time.Now()
	s.mu.Unlock()
}
