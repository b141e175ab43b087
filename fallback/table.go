package fallback

import (
	"maps"
	"sync"
	"sync/atomic"
)

// table is a map that is changed rarely, under the lock of its owner, and
// read by every send without one: readers use a snapshot. After a change a new
// one is made when there were as many looks as it costs: so who changes a large
// table again and again does not have it copied each time.
type table[K comparable, V any] struct {
	mu    *sync.Mutex // the owner's
	m     map[K]V
	looks int // with the lock, since the last snapshot
	snap  atomic.Pointer[map[K]V]
}

// set and drop change the table; mu is held.
func (t *table[K, V]) set(k K, v V) {
	if t.m == nil {
		t.m = map[K]V{}
	}
	t.m[k] = v
	t.snap.Store(nil)
}

func (t *table[K, V]) drop(k K) {
	if _, ok := t.m[k]; ok {
		delete(t.m, k)
		t.snap.Store(nil)
	}
}

// look returns the table, which must not be changed, and what is to be called
// when the caller has looked; mu is not held, but may be meanwhile.
func (t *table[K, V]) look() (m map[K]V, done func()) {
	if m := t.snap.Load(); m != nil {
		return *m, nothing
	}
	t.mu.Lock()
	if t.looks++; t.looks > len(t.m)/tableCost {
		defer t.mu.Unlock()
		return t.snapshot(), nothing
	}
	return t.m, t.mu.Unlock
}

// tableCost is how many entries are copied in the time of one look.
const tableCost = 8

func nothing() {}

// snapshot makes one; mu is held.
func (t *table[K, V]) snapshot() map[K]V {
	t.looks = 0
	m := maps.Clone(t.m)
	t.snap.Store(&m)
	return m
}

// all returns a snapshot, which must not be changed; mu is not held.
func (t *table[K, V]) all() map[K]V {
	if m := t.snap.Load(); m != nil {
		return *m
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.snapshot()
}

// get looks up one entry; mu is not held.
func (t *table[K, V]) get(k K) V {
	if m := t.snap.Load(); m != nil {
		return (*m)[k]
	}
	m, done := t.look()
	defer done()
	return m[k]
}
