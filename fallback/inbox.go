package fallback

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// eventOverhead is what an event costs in the inbox beside its frames.
const eventOverhead = 128

// inbox holds the events that the application has not read. Readers of
// connections put whole batches in under one lock and wait while it is full,
// which is the back-pressure on their peers; the application takes all there
// is under one lock and reads from that.
type inbox struct {
	limit int // bytes, of the two halves together

	mu     sync.Mutex
	events []Event
	bytes  int
	taken  int // bytes that the reading half held when it was taken
	room   sync.Cond
	closed bool

	spare     [][]Event // for large batches, empty and cleared
	spareRoom int       // of them together

	// The half that is being read. Its lock is taken before mu.
	readMu sync.Mutex
	ready  []Event
	next   int

	loan   loan
	idle   atomic.Int32  // how many wait in get; it grows with mu held
	wake   chan struct{} // holds one token while there may be events for them
	closeC chan struct{}
	done   atomic.Bool // closed, for the reading half
}

// source is one incarnation of a peer as the inbox sees it. Its fields are
// guarded by inbox.mu: so no event of a peer comes before its Enter, and none
// after its Exit.
type source struct {
	entered bool
	exited  bool
	blocked bool // its reader waits for room
	awaited bool // its last events found a Recv that waited

	later []Event // of the node itself about it, until it has entered; the last of each group
}

func newInbox(limit int) *inbox {
	b := &inbox{limit: limit, wake: make(chan struct{}, 1), closeC: make(chan struct{})}
	b.room.L = &b.mu
	return b
}

// put adds the events of one peer and waits for room before. It reports false
// if the peer has exited, whose events are dropped then. It takes the slice and
// gives an empty one for it, in which all that is beyond its length is cleared,
// or none for a large one.
func (b *inbox) put(s *source, events []Event, bytes int) ([]Event, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.awaitRoom(s)
	b.stopReading()
	return b.fill(s, events, bytes)
}

// holdBack waits for room, for the events that a peer causes and that are not
// about it, which are posted.
func (b *inbox) holdBack(s *source) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.awaitRoom(s)
}

// awaitRoom is called with mu held.
func (b *inbox) awaitRoom(s *source) {
	for b.bytes+b.taken >= b.limit && !b.closed && !s.exited {
		s.blocked = true
		b.room.Wait()
		s.blocked = false
	}
}

// putNow is put for the application that reads the connection itself, and
// would make room.
func (b *inbox) putNow(s *source, events []Event, bytes int) ([]Event, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fill(s, events, bytes)
}

// fill is called with mu held.
func (b *inbox) fill(s *source, events []Event, bytes int) ([]Event, bool) {
	if b.closed || s.exited {
		// Of a node that closes nobody reads the events, but what it still
		// sends must be answered.
		return nil, !s.exited
	}
	if !s.entered && events[0].Kind == Enter {
		s.entered = true
	}
	s.awaited = b.idle.Load() > 0
	bytes += len(events) * eventOverhead
	if len(b.events) == 0 && cap(events) >= min(cap(b.events), largeBatch) {
		b.events, events = events, b.events
	} else {
		b.events = append(b.events, events...)
		clear(events)
		events = events[:0]
	}
	b.added(bytes)
	for _, ev := range s.later {
		b.add(ev)
	}
	s.later = nil
	return b.putAside(events), true
}

// putAside keeps a slice for the next large batch of any connection, if it is
// one for such a batch, and else returns it; mu is held.
func (b *inbox) putAside(events []Event) []Event {
	if cap(events) < largeBatch {
		return events
	}
	if b.spareRoom+cap(events) <= maxSpareRoom {
		b.spare = append(b.spare, events)
		b.spareRoom += cap(events)
	}
	return nil
}

// enlarge returns a slice with these events and room for more.
func (b *inbox) enlarge(events []Event) []Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	for n, larger := range slices.Backward(b.spare) {
		b.spare[n] = nil
		b.spare = b.spare[:n]
		b.spareRoom -= cap(larger)
		if cap(larger) > len(events) {
			return append(larger, events...)
		}
	}
	return slices.Grow(slices.Clip(events), 1)
}

// exit ends a source. The Exit event does not wait for room: there is at most
// one for each Enter, which did.
func (b *inbox) exit(s *source, ev Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.exited {
		return
	}
	b.finish(s)
	if s.entered && !b.closed {
		b.add(ev)
	}
}

// end ends a source without an event.
func (b *inbox) end(s *source) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.finish(s)
}

func (b *inbox) finish(s *source) {
	s.exited = true
	if s.blocked {
		b.room.Broadcast()
	}
}

// hint adds an event that may be left out when the inbox is full.
func (b *inbox) hint(s *source, ev Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.entered && !s.exited && !b.closed && b.bytes+b.taken < b.limit {
		b.add(ev)
	}
}

// post adds an event of the node itself, without waiting. If it is about a peer
// it comes behind that one's Enter, and not at all behind its Exit.
func (b *inbox) post(about *source, ev Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed || about != nil && about.exited:
	case about != nil && !about.entered:
		about.later = append(slices.DeleteFunc(about.later, func(old Event) bool { return old.Group == ev.Group }), ev)
	default:
		b.add(ev)
	}
}

// isBlocked tells whether the source's reader waits for room.
func (b *inbox) isBlocked(s *source) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return s.blocked
}

// add is called with mu held.
func (b *inbox) add(ev Event) {
	b.events = append(b.events, ev)
	b.added(eventOverhead)
	b.stopReading()
}

// added is called with mu held.
func (b *inbox) added(bytes int) {
	b.bytes += bytes
	b.signal()
}

// signal wakes one who waits in get, if there is one.
func (b *inbox) signal() {
	if b.idle.Load() == 0 {
		return
	}
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// get returns the next event and waits for it.
func (b *inbox) get(ctx context.Context) (ev Event, err error) {
	for {
		if err := ctx.Err(); err != nil {
			b.signal() // if this one was woken another must be
			return Event{}, err
		}
		if b.pop(&ev) {
			return ev, nil
		}
		switch in, wait := b.sitDown(); {
		case in != nil:
			b.readLent(ctx, in)
		case wait:
			if err := b.await(ctx); err != nil {
				return Event{}, err
			}
		}
	}
}

// sitDown is for a Recv that found nothing: it has borrowed a connection to
// read, or is one who waits, or there is something by now.
func (b *inbox) sitDown() (in *inbound, wait bool) {
	b.readMu.Lock()
	defer b.readMu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed && len(b.events)+len(b.ready)-b.next > 0 {
		return nil, false
	}
	if in := b.borrow(); in != nil {
		return in, false
	}
	b.idle.Add(1)
	return nil, true
}

// await waits until there may be an event.
func (b *inbox) await(ctx context.Context) error {
	defer b.idle.Add(-1)
	select {
	case <-b.wake:
		return nil
	case <-b.closeC:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pop takes the next event, if there is one.
func (b *inbox) pop(ev *Event) bool {
	b.readMu.Lock()
	if b.next == len(b.ready) && !b.take() || b.done.Load() {
		b.readMu.Unlock()
		return false
	}
	*ev = b.ready[b.next]
	b.next++
	more := b.next < len(b.ready)
	b.readMu.Unlock()
	if more {
		b.signal() // for another goroutine in get
	}
	return true
}

// take swaps the halves. It is called with readMu held.
func (b *inbox) take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	full := b.bytes+b.taken >= b.limit
	b.taken = 0
	if full {
		b.room.Broadcast()
	}
	clear(b.ready) // their frames are the application's now
	b.ready, b.next = b.ready[:0], 0
	if b.closed || len(b.events) == 0 {
		return false
	}
	empty := b.ready
	if cap(empty) > maxIdleEvents && len(b.events) < maxIdleEvents/4 {
		empty = nil
	}
	b.ready = b.events
	b.taken = b.bytes
	b.events, b.bytes = empty, 0
	return true
}

const (
	// maxIdleEvents is how much room of past bursts each half keeps.
	maxIdleEvents = 4096

	// largeBatch is for how many events a connection has no room of its own:
	// it would keep that until it ends, and what comes in one read can be
	// more than ten thousand.
	largeBatch   = 64
	maxSpareRoom = 16384 // of slices for such batches, in events
)

// close ends every wait. What was not read is dropped.
func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.closed = true
	b.done.Store(true)
	b.events = nil
	b.recall()
	if b.loan.unwatch != nil {
		b.loan.unwatch()
	}
	close(b.closeC)
	b.room.Broadcast()
}

func (b *inbox) size() (events, bytes int) {
	b.readMu.Lock()
	defer b.readMu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.events) + len(b.ready) - b.next, b.bytes + b.taken
}
