//go:build cgo && !purego

package zyre

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
)

// roster is who is there, as told by the events of the network: libzyre has
// no getter for names and headers, counts peers that have not entered, and
// keeps groups that nobody is in.
//
// Only collectors write it, one at a time, so only others need the lock to
// read it.
type roster struct {
	mu              sync.RWMutex
	byID            map[UUID]*member
	byGroup         map[string]*group // with at least one member
	entered, exited uint64

	recent *member // whom the last event was about, if that is in byID; collectors alone use it
}

type member struct {
	id      UUID
	text    string // of id
	name    string
	addr    string
	headers map[string]string
	groups  map[string]struct{}
}

type group struct {
	name    string
	members map[UUID]struct{}
}

func newRoster() *roster {
	return &roster{byID: map[UUID]*member{}, byGroup: map[string]*group{}}
}

// nameOr returns the text of a name, the same string each time if it is that
// of a known peer.
func (m *member) nameOr(name []byte) string {
	if m != nil && m.name == string(name) {
		return m.name
	}
	return string(name)
}

// groupOf is the same for groups. Only a collector calls it.
func (r *roster) groupOf(name []byte) string {
	if g := r.byGroup[string(name)]; g != nil {
		return g.name
	}
	return string(name)
}

// admit brings the roster up to an event and appends what the application
// gets to see of it: nothing of peers that have not entered, and an Exit
// before a second Enter, which libzyre leaves out. m is who it is about, nil if
// that is nobody who has entered. Only a collector calls it.
func (r *roster) admit(events []Event, ev Event, m *member, cutOff func(UUID) bool) []Event {
	switch ev.Type {
	case Enter:
		return r.enter(events, ev, cutOff)
	case Leader: // may be this node itself
		return append(events, ev)
	case Stop:
		r.clear()
		return append(events, ev)
	}
	if m == nil {
		return events
	}
	switch ev.Type {
	case Exit:
		return r.exit(events, m)
	case Join:
		r.join(m, ev.Group)
	case Leave:
		r.leave(m, ev.Group)
	}
	return append(events, ev)
}

// enter adds a peer. One that was at the same address before may be gone: then
// libzyre has cut it off already but would tell only after the expired timeout.
// If it has not, one of them gives an address that is not its own.
func (r *roster) enter(events []Event, ev Event, cutOff func(UUID) bool) []Event {
	for _, old := range r.byID {
		if old.id == ev.Peer || old.addr == ev.Addr && ev.Addr != "" && cutOff(old.id) {
			events = r.exit(events, old)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byID[ev.Peer] = &member{
		id: ev.Peer, text: ev.Peer.String(), name: ev.Name, addr: ev.Addr, headers: ev.Headers,
		groups: map[string]struct{}{},
	}
	r.entered++
	return append(events, ev)
}

func (r *roster) exit(events []Event, m *member) []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name := range m.groups {
		r.removeFrom(name, m)
	}
	delete(r.byID, m.id)
	r.recent = nil
	r.exited++
	return append(events, Event{Type: Exit, Peer: m.id, Name: m.name})
}

func (r *roster) join(m *member, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.byGroup[name]
	if g == nil {
		g = &group{name: name, members: map[UUID]struct{}{}}
		r.byGroup[name] = g
	}
	g.members[m.id] = struct{}{}
	m.groups[name] = struct{}{}
}

func (r *roster) leave(m *member, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(m.groups, name)
	r.removeFrom(name, m)
}

// removeFrom ends a membership, and a group that has no member left. Holding mu.
func (r *roster) removeFrom(name string, m *member) {
	g := r.byGroup[name]
	if g == nil {
		return
	}
	delete(g.members, m.id)
	if len(g.members) == 0 {
		delete(r.byGroup, name)
	}
}

// clear forgets everybody: the node has left them.
func (r *roster) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.byID)
	clear(r.byGroup)
	r.recent = nil
}

func (r *roster) has(id UUID) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byID[id] != nil
}

func (r *roster) groupSize(name string) int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if g := r.byGroup[name]; g != nil {
		return len(g.members)
	}
	return 0
}

func (r *roster) peers() []UUID {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return sortedIDs(r.byID)
}

func (r *roster) groupPeers(name string) []UUID {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if g := r.byGroup[name]; g != nil {
		return sortedIDs(g.members)
	}
	return nil
}

func sortedIDs[V any](m map[UUID]V) []UUID {
	return slices.SortedFunc(maps.Keys(m), func(a, b UUID) int { return bytes.Compare(a[:], b[:]) })
}

func (r *roster) groupNames() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Sorted(maps.Keys(r.byGroup))
}

func (r *roster) peer(id UUID) (Peer, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	m := r.byID[id]
	if m == nil {
		return Peer{}, false
	}
	return Peer{
		UUID: m.id, Name: m.name, Endpoint: m.addr, Headers: m.headers,
		Groups: slices.Sorted(maps.Keys(m.groups)),
	}, true
}

func (r *roster) totals() (peers int, entered, exited uint64) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.byID), r.entered, r.exited
}

func (r *roster) dump(w io.Writer) error {
	var text strings.Builder
	for _, id := range r.peers() {
		if p, ok := r.peer(id); ok {
			fmt.Fprintf(&text, "  peer %q %s at %s\n    headers %q\n    groups %q\n", p.Name, p.UUID, p.Endpoint, p.Headers, p.Groups)
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}
