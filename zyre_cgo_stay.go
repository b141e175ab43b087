//go:build cgo && !purego

package zyre

/*
#cgo nocallback zg_hurry
#include "zyre_cgo.h"
*/
import "C"

import (
	"sync"
	"time"
)

// stay is what one who waits spends in a call of C, where an event wakes him
// alone. The call has no end of its own: a timer in the kernel for each would
// cost a round trip a twentieth. Instead there is a patrol now and then, which
// sends away who has been there too long.
type stay struct {
	mu      sync.Mutex
	node    *C.zg_node // whose call somebody is in, or nil
	since   time.Time  // when the last one went in
	patrol  *time.Timer
	patrols bool // it will come
}

const (
	stayLimit  = time.Millisecond
	stayPatrol = 4 * time.Millisecond
)

func (s *stay) begin(node *C.zg_node, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.node, s.since = node, now
	if s.patrols {
		return
	}
	s.patrols = true
	if s.patrol == nil {
		s.patrol = time.AfterFunc(stayPatrol, s.inspect)
	} else {
		s.patrol.Reset(stayPatrol)
	}
}

func (s *stay) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.node = nil
}

// hurry ends a stay. One that has only just begun the next patrol will end.
func (s *stay) hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.node != nil {
		C.zg_hurry(s.node)
	}
}

// inspect is the patrol, which comes again until nobody has stayed for a while.
func (s *stay) inspect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := time.Since(s.since)
	switch {
	case s.node != nil && since >= stayLimit:
		C.zg_hurry(s.node)
		s.patrol.Reset(stayLimit) // to see whether he has gone
	case since < stayPatrol:
		s.patrol.Reset(stayPatrol)
	default:
		s.patrols = false
	}
}
