//go:build cgo && !purego

package zyre

import (
	"context"
	"sync"
)

// inbox holds the events that were taken from libzyre and wait for Recv. It
// has no limit: libzyre cannot hold its peers back, so leaving events in its
// socket would save nothing.
type inbox struct {
	mu     sync.Mutex
	events []Event
	next   int // in events; those before were read
	bytes  int
	shut   bool

	news   chan struct{} // holds a token while there may be something to do
	seat   chan struct{} // full while somebody waits at libzyre's socket
	closed chan struct{}

	started chan struct{} // closed at the next start; under mu
}

// keepEvents bounds the room that an emptied inbox keeps for later.
const keepEvents = 4096

func newInbox() *inbox {
	return &inbox{news: make(chan struct{}, 1), seat: make(chan struct{}, 1), closed: make(chan struct{}), started: make(chan struct{})}
}

func (in *inbox) push(events []Event) {
	if len(events) == 0 {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.shut {
		return
	}
	in.makeRoom(len(events))
	in.events = append(in.events, events...)
	for i := range events {
		in.bytes += events[i].bytes()
	}
	in.signal()
}

// makeRoom moves the unread events to the front instead of letting the slice
// grow, if that frees at least half of it. Holding mu.
func (in *inbox) makeRoom(n int) {
	if len(in.events)+n <= cap(in.events) || in.next < len(in.events)/2 {
		return
	}
	unread := copy(in.events, in.events[in.next:])
	clear(in.events[unread:])
	in.events, in.next = in.events[:unread], 0
}

// signal leaves a token for one receiver.
func (in *inbox) signal() {
	select {
	case in.news <- struct{}{}:
	default:
	}
}

// recv returns the next event. Where there is none, one of those who call it
// waits at the socket of the node that runs, if one does; running tells. The
// others wait for him to find more than he needs, or to leave his seat.
func (in *inbox) recv(ctx context.Context, running func() *presence) (ev Event, err error) {
	for {
		if err := ctx.Err(); err != nil {
			in.signal() // a token that was taken in vain belongs to another
			return Event{}, err
		}
		if ev, ok, err := in.pop(); ok || err != nil {
			return ev, err
		}
		started := in.nextStart()
		node := running()
		if node != nil && in.sit() {
			got := node.await(ctx, &ev)
			in.rise()
			if got {
				return ev, nil
			}
			continue
		}
		seat := in.seat
		if node == nil {
			seat = nil // not before started
		}
		select {
		case seat <- struct{}{}:
			in.rise() // to sit down first thing in the next round
		case <-started:
		case <-in.news:
		case <-in.closed:
		case <-ctx.Done():
		}
	}
}

// sit takes the seat if it is free.
func (in *inbox) sit() bool {
	select {
	case in.seat <- struct{}{}:
		return true
	default:
		return false
	}
}

func (in *inbox) rise() { <-in.seat }

// pop takes the next event. If more are left it passes the token on: several
// receivers may wait, and a push wakes one.
func (in *inbox) pop() (ev Event, ok bool, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.shut {
		return ev, false, ErrClosed
	}
	if in.next == len(in.events) {
		return ev, false, nil
	}
	ev, in.events[in.next] = in.events[in.next], Event{}
	in.next++
	in.bytes -= ev.bytes()
	if in.next == len(in.events) {
		in.reset()
	} else {
		in.signal()
	}
	return ev, true, nil
}

// reset begins an empty inbox anew. Holding mu.
func (in *inbox) reset() {
	in.events, in.next = in.events[:0], 0
	if cap(in.events) > keepEvents {
		in.events = nil
	}
}

// close drops what was not read and ends every recv with ErrClosed.
func (in *inbox) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.shut {
		return
	}
	in.shut = true
	in.events, in.next, in.bytes = nil, 0, 0
	close(in.closed)
}

// nextStart returns a channel that is closed when a node starts from now on.
func (in *inbox) nextStart() <-chan struct{} {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.started
}

// start tells all who wait that there is a node with a socket to wait at.
func (in *inbox) start() {
	in.mu.Lock()
	defer in.mu.Unlock()
	close(in.started)
	in.started = make(chan struct{})
}

// some reports whether Recv has something to return.
func (in *inbox) some() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.shut || in.next < len(in.events)
}

func (in *inbox) waiting() (events, bytes int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.events) - in.next, in.bytes
}
