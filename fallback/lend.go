package fallback

import (
	"context"
	"errors"
	"os"
	"time"
)

// This file lets the application read a connection itself. Where one peer
// does all the talking, its reader would wake the application for every
// message, and on a quiet machine waking takes longer than all the rest. So
// the reader lends its connection to the inbox; a Recv that finds nothing then
// reads from it, on its own goroutine, and the reader sleeps. What an
// application must not be kept waiting for, or that must not wait for an
// application, sends the connection back.

const (
	// lendAfter is how many batches in a row of one peer make it the only one
	// that talks. As many of others, more than it says itself, undo that.
	lendAfter = 8

	// lendTime is how long a lent connection may be left unread.
	lendTime = 5 * time.Millisecond
)

// These end a read on a connection that was lent.
var (
	errNotHere = errors.New("for the reader") // the message that came
	errWait    = errors.New("must wait")      // for room for the rest of a message
)

// loan is the connection that is lent, if there is one. It is guarded by
// inbox.mu; the connection is in the hands of who reads it.
type loan struct {
	in      *inbound
	reading bool // a Recv reads it
	revoked bool // and is to send it back
	stopped bool // and was told to stop, by a deadline in the past

	last  *inbound // whose batch came last
	run   int      // batches that it has brought in a row
	other int      // batches of others since it was lent, less its own

	// While it is lent and nobody reads it, the clock runs.
	clock   *time.Timer
	running bool
	reads   uint64 // ever
	seen    uint64 // of those, when the clock was last looked at

	watched <-chan struct{} // the context whose end stops a read
	unwatch func() bool
}

// lend takes note of a batch that a connection's reader has put into the
// inbox, and tells whether the connection is lent from now on.
func (b *inbox) lend(in *inbound) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := &b.loan
	if l.in != nil {
		if l.other++; l.other >= lendAfter {
			b.recall()
		}
		return false
	}
	if l.last != in {
		l.last, l.run = in, 0
	}
	l.run++
	if l.run < lendAfter || !in.peer.src.awaited || b.closed {
		return false
	}
	l.in, l.other = in, 0
	in.conn.lent = true
	b.startClock()
	return true
}

// stopReading makes a Recv that reads the lent connection look at the inbox;
// mu is held.
func (b *inbox) stopReading() {
	if b.loan.reading && !b.loan.stopped {
		b.loan.stopped = true
		b.loan.in.conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// recall sends the lent connection back to its reader; mu is held.
func (b *inbox) recall() {
	l := &b.loan
	switch {
	case l.in == nil:
	case l.reading:
		l.revoked = true
		b.stopReading()
	default:
		l.in.back <- nil
		l.in, l.last = nil, nil
	}
}

// borrow takes the lent connection to read it; mu is held.
func (b *inbox) borrow() *inbound {
	l := &b.loan
	if l.in == nil || l.reading {
		return nil
	}
	l.reading = true
	l.reads++
	return l.in
}

// readLent reads a borrowed connection once.
func (b *inbox) readLent(ctx context.Context, in *inbound) {
	b.watch(ctx)
	var err error
	if ctx.Err() == nil { // else nothing might stop the read
		err = in.readLent()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l := &b.loan
	l.reading = false
	if l.stopped {
		l.stopped = false
		in.conn.SetReadDeadline(time.Time{})
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = nil
		}
	}
	if err != nil || l.revoked {
		l.revoked = false
		l.in, l.last = nil, nil
		in.back <- err
		return
	}
	l.other = max(l.other-1, 0)
	b.startClock()
}

// watch sees to it that the end of the context stops a read. Mostly it is
// that of the read before.
func (b *inbox) watch(ctx context.Context) {
	done := ctx.Done()
	b.mu.Lock()
	defer b.mu.Unlock()
	l := &b.loan
	if done == l.watched {
		return
	}
	if l.unwatch != nil {
		l.unwatch()
	}
	l.watched, l.unwatch = done, nil
	if done != nil {
		l.unwatch = context.AfterFunc(ctx, func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.stopReading()
		})
	}
}

// startClock is called with mu held.
func (b *inbox) startClock() {
	l := &b.loan
	if l.running {
		return
	}
	l.running, l.seen = true, l.reads
	if l.clock == nil {
		l.clock = time.AfterFunc(lendTime, b.tick)
	} else {
		l.clock.Reset(lendTime)
	}
}

// tick recalls a connection that nobody has read of late.
func (b *inbox) tick() {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := &b.loan
	l.running = false
	switch {
	case l.in == nil || l.reading:
	case l.reads == l.seen:
		b.recall()
	default:
		b.startClock()
	}
}
