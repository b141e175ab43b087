package lab

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gozyre/zyre/fallback"
)

// Journal keeps what one node was told, in order, for a test to read. Each
// peer is read on its own, since only what one peer causes has an order.
type Journal struct {
	owner string

	mu      sync.Mutex
	events  []Event
	read    map[UUID]int // events before this one have been read, or are about others
	tallies map[UUID]*tally
	ended   error
	alive   time.Time     // when something but silence was told
	changed chan struct{} // closed at each change, and replaced
}

func newJournal(owner string) *Journal {
	return &Journal{
		owner:   owner,
		read:    map[UUID]int{},
		tallies: map[UUID]*tally{},
		changed: make(chan struct{}),
	}
}

// Next returns the next event that peer caused, which must be of that kind.
// Signs of silence between are passed over: they depend on the load.
func (j *Journal) Next(t testing.TB, peer UUID, kind fallback.Kind) Event {
	t.Helper()
	var found Event
	j.await(t, fmt.Sprintf("event %d of %X", kind, peer), func() bool {
		var ok bool
		found, ok = j.take(peer, kind)
		return ok
	})
	if found.Kind != kind {
		t.Fatalf("%s: event %d of %X instead of %d\n%s", j.owner, found.Kind, peer, kind, j.dump())
	}
	return found
}

// Until returns the next event of that kind that peer caused, whatever comes
// before it.
func (j *Journal) Until(t testing.TB, peer UUID, kind fallback.Kind) Event {
	t.Helper()
	var found Event
	j.await(t, fmt.Sprintf("event %d of %X", kind, peer), func() bool {
		for {
			ev, ok := j.take(peer, kind)
			if !ok || ev.Kind == kind {
				found = ev
				return ok
			}
		}
	})
	return found
}

// Someone waits for a node with that name to enter.
func (j *Journal) Someone(t testing.TB, name string) (id UUID) {
	t.Helper()
	j.await(t, "Enter of "+name, func() bool {
		i := slices.IndexFunc(j.events, func(ev Event) bool { return ev.Kind == fallback.Enter && ev.Name == name })
		if i >= 0 {
			id = j.events[i].Peer
		}
		return i >= 0
	})
	return id
}

// Met waits for a peer to enter, and takes nothing.
func (j *Journal) Met(t testing.TB, peer UUID) {
	t.Helper()
	j.await(t, fmt.Sprintf("Enter of %X", peer), func() bool {
		return slices.ContainsFunc(j.events, func(ev Event) bool { return ev.Kind == fallback.Enter && ev.Peer == peer })
	})
}

// Count returns how many events of a kind there have been.
func (j *Journal) Count(kind fallback.Kind) (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, ev := range j.events {
		if ev.Kind == kind {
			n++
		}
	}
	return n
}

// Leader returns who was elected last in a group, or zero.
func (j *Journal) Leader(group string) UUID {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, ev := range slices.Backward(j.events) {
		if ev.Kind == fallback.Leader && ev.Group == group {
			return ev.Peer
		}
	}
	return UUID{}
}

// Quiet checks that peer has caused nothing that was not read, but silence.
func (j *Journal) Quiet(t testing.TB, peer UUID) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if ev, ok := j.take(peer, 0); ok {
		t.Fatalf("%s: unexpected event %d of %X\n%s", j.owner, ev.Kind, peer, j.dump())
	}
}

// take reads on to the next event of peer that is of that kind or at least
// not about silence; mu is held.
func (j *Journal) take(peer UUID, kind fallback.Kind) (Event, bool) {
	for i := j.read[peer]; i < len(j.events); i++ {
		ev := j.events[i]
		j.read[peer] = i + 1
		if ev.Peer == peer && (!silence(ev) || ev.Kind == kind) {
			return ev, true
		}
	}
	return Event{}, false
}

// await waits until done, which it calls with mu held, or fails when nothing
// but silence was told for long.
func (j *Journal) await(t testing.TB, what string, done func() bool) {
	t.Helper()
	begun := time.Now()
	for {
		j.mu.Lock()
		ok, ended, changed, alive := done(), j.ended, j.changed, j.alive
		j.mu.Unlock()
		if alive.Before(begun) {
			alive = begun
		}
		switch {
		case ok:
			return
		case ended != nil:
			t.Fatalf("%s: ended while waiting for %s: %v\n%s", j.owner, what, ended, j.dump())
		}
		select {
		case <-changed:
		case <-time.After(time.Until(alive.Add(patience))):
			t.Fatalf("%s: no %s\n%s", j.owner, what, j.dump())
		}
	}
}

// change does something to the journal and wakes who waits for it.
func (j *Journal) change(do func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	do()
	close(j.changed)
	j.changed = make(chan struct{})
}

// add puts an event into the journal.
func (j *Journal) add(ev Event) {
	j.change(func() {
		j.events = append(j.events, ev)
		if !silence(ev) {
			j.alive = time.Now()
		}
	})
}

func (j *Journal) end(err error) { j.change(func() { j.ended = err }) }

// silence tells whether an event says that nothing was heard.
func silence(ev Event) bool { return ev.Kind == fallback.Evasive || ev.Kind == fallback.Silent }

func (j *Journal) dump() string {
	var b strings.Builder
	fmt.Fprintf(&b, "journal of %s:\n", j.owner)
	for _, ev := range j.events {
		fmt.Fprintf(&b, "  %2d %X %q addr %q group %q headers %q %d frames\n",
			ev.Kind, ev.Peer[:3], ev.Name, ev.Addr, ev.Group, ev.Headers, len(ev.Msg))
	}
	for peer, n := range j.tallies {
		fmt.Fprintf(&b, "  %d numbered messages of %X, fault %q\n", n.count, peer[:3], n.fault)
	}
	return b.String()
}
