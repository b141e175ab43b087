package fallback

import (
	"sync"
	"unsafe"
)

// Senders borrow the buffers that they encode into, for no longer than
// something is queued or written: an idle connection has none, and a burst
// does not leave one behind for the collector each time it outgrows its room.

// borrowed are the sizes of those buffers. The largest holds a queue of the
// default limit, and the message that filled it.
var borrowed = [...]int{1 << 10, 8 << 10, 32 << 10, 128 << 10, 1<<20 + 64<<10}

// spares has the free ones by size, as pointers to their first byte.
var spares [len(borrowed)]sync.Pool

// borrow returns an empty buffer with room for size bytes.
func borrow(size int) []byte {
	for i, room := range borrowed {
		if size > room {
			continue
		}
		if p, ok := spares[i].Get().(*byte); ok {
			return unsafe.Slice(p, room)[:0]
		}
		return make([]byte, 0, room)
	}
	return make([]byte, 0, 2*size)
}

// giveBack ends the use of a buffer, which need not be a borrowed one.
func giveBack(buf []byte) {
	for i, room := range borrowed {
		if cap(buf) == room {
			spares[i].Put(unsafe.SliceData(buf))
		}
	}
}
