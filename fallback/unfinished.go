package fallback

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// What the messages of peers may take together that are only partly there.
// Each peer has a share beside that, so that small ones never wait.
const (
	freeUnfinished  = 4 << 20     // bytes, up to which every message goes on
	freeMessage     = 1 << 20     // that has no more than this
	slowUnfinished  = 2 << 20     // and up to which those that wait for their turn get on a little
	together        = 16          // of more that wait one goes on at a time
	unfinishedShare = 16 << 10    // of each peer, not counted
	turnTime        = time.Second // to show that a message gets on
	leastProgress   = 64 << 10    // bytes in that time
	firstAhead      = 64 << 10    // bytes allocated before they come for the one that goes on,
	tightAhead      = 16 << 10    // and for any other where memory is scarce
)

var errStalled = errors.New("its message does not get on, and others wait")

// unfinished bounds what messages take that are only partly there, however
// many peers begin one: up to freeUnfinished bytes all of them go on that are
// not large. Beyond, one goes on to its end, of the peer that is known longest,
// and the others wait for their turn. They get on a little meanwhile, so that who sends them
// sees that they are taken. While anybody waits, a message that does not get
// on is given up, and its peer with it.
type unfinished struct {
	pr      *presence
	sum     atomic.Int64 // bytes of all, with the first
	crowded atomic.Bool  // somebody waits or is first

	mu      sync.Mutex
	first   *inbound // goes on whatever the sum is
	waiting map[*inbound]chan struct{}
	judged  time.Time
}

// part is what a connection has of its unfinished message.
type part struct {
	room  atomic.Int64 // that it takes
	there atomic.Int64 // bytes that have come

	stalled atomic.Bool // it was given up

	// Guarded by unfinished.mu.
	mark   int64 // what was there when it was last judged
	waited bool  // at that time
}

// take notes what a connection has of its message now, and reports whether it
// may go on at once.
func (u *unfinished) take(in *inbound, there, room int) bool {
	if room <= unfinishedShare {
		there, room = 0, 0
	}
	had := int(in.part.room.Load())
	if room == 0 && had == 0 {
		return true
	}
	in.part.room.Store(int64(room))
	done := int64(there) < in.part.there.Swap(int64(there)) || room == 0
	sum := u.sum.Add(int64(room - had))
	if (done || room < had) && u.crowded.Load() {
		u.pass(in, done)
	}
	return room == 0 || sum <= freeUnfinished && room <= freeMessage || u.isFirst(in)
}

// fits tells whether one that waits may go on beside the first; mu is held.
func (u *unfinished) fits(in *inbound) bool {
	return len(u.waiting) <= together && u.sum.Load() <= freeUnfinished && in.part.room.Load() <= freeMessage
}

func (u *unfinished) isFirst(in *inbound) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.first == in
}

// pass lets others go on, after a connection has made room.
func (u *unfinished) pass(in *inbound, done bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.first == in && done {
		u.first = nil
	}
	u.choose()
	for in, wake := range u.waiting {
		if u.fits(in) {
			notify(wake)
		}
	}
	u.crowded.Store(u.first != nil || len(u.waiting) > 0)
}

// choose makes the one first that waits and is known longest, if none is;
// mu is held.
func (u *unfinished) choose() {
	if u.first != nil {
		return
	}
	for in := range u.waiting {
		if u.first == nil || in.peer.born.Before(u.first.peer.born) {
			u.first = in
		}
	}
	if u.first != nil {
		notify(u.waiting[u.first])
	}
}

// thrift tells how sparing with memory the reader of a connection must be.
func (u *unfinished) thrift(in *inbound) int {
	switch {
	case u.sum.Load() <= freeUnfinished*3/4:
		return 0
	case u.isFirst(in):
		return firstAhead
	}
	return tightAhead
}

// await waits until a connection may read on.
func (u *unfinished) await(in *inbound) error {
	p := in.peer
	p.waits.Store(true)
	wake := u.enqueue(in)
	turn := time.NewTicker(turnTime)
	defer func() {
		turn.Stop()
		u.dequeue(in)
		p.touch() // it has waited for us
		p.waits.Store(false)
	}()
	for {
		select {
		case <-wake:
			return nil
		case <-p.done:
			return errRemoved
		case <-u.pr.ctx.Done():
			return errRemoved
		case <-turn.C:
			if u.judge(); u.slowly() {
				return nil
			}
		}
	}
}

// enqueue returns a channel that says when the connection may go on.
func (u *unfinished) enqueue(in *inbound) <-chan struct{} {
	wake := make(chan struct{}, 1)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.waiting[in] = wake
	u.crowded.Store(true)
	u.choose()
	if u.fits(in) {
		notify(wake)
	}
	return wake
}

func (u *unfinished) dequeue(in *inbound) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.waiting, in)
}

// slowly tells whether those that wait may get on a little.
func (u *unfinished) slowly() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	sum := u.sum.Load()
	if u.first != nil {
		sum -= u.first.part.room.Load()
	}
	return sum < slowUnfinished
}

// judge gives up the messages that do not get on. It is called by those that
// wait, and looks once in a turn.
func (u *unfinished) judge() {
	u.pr.mu.Lock()
	defer u.pr.mu.Unlock()
	u.mu.Lock()
	defer u.mu.Unlock()
	since := time.Since(u.judged)
	if since < turnTime*3/4 {
		return
	}
	u.judged = time.Now()
	for _, p := range u.pr.peers {
		in := p.in
		if in == nil {
			continue
		}
		there, waits := in.part.there.Load(), p.heldBack()
		got := there - in.part.mark
		watched := since < 2*turnTime && in.part.mark > 0 && !in.part.waited && !waits
		if watched && got >= 0 && got < leastProgress {
			in.part.stalled.Store(true)
			in.conn.Close()
		}
		in.part.mark, in.part.waited = there, waits
	}
}

func notify(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}
