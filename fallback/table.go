package fallback

import (
	"maps"
	"sync"
	"sync/atomic"
)

// table is a map that is changed rarely, under the lock of its owner, and
// read by every send without one: readers use a snapshot, which is made when
// it is asked for after a change.
type table[K comparable, V any] struct {
	mu   *sync.Mutex // the owner's
	m    map[K]V
	snap atomic.Pointer[map[K]V]
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

// all returns a snapshot, which must not be changed; mu is not held.
func (t *table[K, V]) all() map[K]V {
	if m := t.snap.Load(); m != nil {
		return *m
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	m := maps.Clone(t.m)
	t.snap.Store(&m)
	return m
}
