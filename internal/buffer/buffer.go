// Package buffer has the large buffers that messages are received in, and
// uses them again.
//
// They go to the application with the messages in them, which may give them
// back and may not. Fresh ones cost more than all else that is done for a
// message: the kernel clears the pages, Go clears them again, and soon collects
// them. So the collector gives back the buffers that nobody refers to any more:
// they have a finalizer, which keeps them for the next message.
package buffer

import (
	"bytes"
	"math/bits"
	"runtime"
	"sync"
	"time"
	"unsafe"
)

const (
	minPooled = 64 << 10
	maxPooled = 1 << 20

	// poolLimit bounds the buffers that are out and those that are free
	// together, in bytes. What is needed beyond is for the collector.
	poolLimit = 8 << 20

	// poolIdle is how long free buffers are kept that nobody needs.
	poolIdle = time.Second
)

// pool has the free buffers of the process by class: those of class c have
// minPooled<<c bytes.
var pool struct {
	mu    sync.Mutex
	free  [classes][]*byte
	out   map[uintptr]int // class of each that is in use, by its address, which keeps nothing alive
	owned int             // bytes in buffers that have come from here, free or not
	last  time.Time       // that one was needed
	timed bool            // trim will run
}

const classes = 5

// classOf returns the class of buffers that suit a size, or -1.
func classOf(size int) int {
	if size > maxPooled || size <= minPooled*3/4 {
		return -1
	}
	c := max(bits.Len(uint(size-1))-bits.Len(minPooled-1), 0)
	if size <= minPooled<<c*3/4 {
		return -1
	}
	return c
}

// Get returns a buffer of that length, with any content.
func Get(size int) []byte {
	if b := Pooled(size, true); b != nil {
		return b
	}
	return make([]byte, size)
}

// Pooled returns a buffer of that length that is free or, with fresh, a new
// one that will be used again. It is nil if there is none, because the size
// does not suit or the pool is full.
func Pooled(size int, fresh bool) []byte {
	c := classOf(size)
	if c < 0 {
		return nil
	}
	b := take(c, fresh)
	if b == nil {
		return nil
	}
	lend(b, c)
	return unsafe.Slice(b, minPooled<<c)[:size:size]
}

// GiveBack ends the use of a buffer that has come from here, before the
// collector would find out. Nobody may have a part of it any more. Memory that
// is none of the pool's, or was given back already, is left alone.
func GiveBack(b []byte) {
	c := classOf(cap(b))
	if c < 0 {
		return // also a slice of no capacity, whose address may be any
	}
	if first := unsafe.SliceData(b); claim(first, c) {
		runtime.SetFinalizer(first, nil)
		keep(first, c)
	}
}

// Clone returns a copy.
func Clone(b []byte) []byte {
	if c := Pooled(len(b), true); c != nil {
		copy(c, b)
		return c
	}
	return bytes.Clone(b) // which does not clear what it copies to
}

func take(c int, fresh bool) *byte {
	full := minPooled << c
	pool.mu.Lock()
	pool.last = time.Now()
	if len(pool.free[c]) > 0 {
		defer pool.mu.Unlock()
		return pop(c)
	}
	fresh = fresh && makeRoom(full)
	if fresh {
		pool.owned += full
	}
	pool.mu.Unlock()
	if !fresh {
		return nil
	}
	return unsafe.SliceData(make([]byte, full))
}

// pop takes the last free buffer of a class that has one. Holding mu.
func pop(c int) *byte {
	last := len(pool.free[c]) - 1
	b := pool.free[c][last]
	pool.free[c][last] = nil
	pool.free[c] = pool.free[c][:last]
	return b
}

// makeRoom lets go of free buffers, of the largest first, until the pool may
// have so many bytes more, and reports whether it may. Else those of sizes that
// nobody needs any more would keep out the others. Holding mu.
func makeRoom(need int) bool {
	for c := classes - 1; c >= 0; c-- {
		for len(pool.free[c]) > 0 && pool.owned+need > poolLimit {
			pop(c)
			pool.owned -= minPooled << c
		}
	}
	return pool.owned+need <= poolLimit
}

// lend marks a buffer as in use, until claim.
func lend(b *byte, c int) {
	runtime.SetFinalizer(b, collected[c])
	pool.mu.Lock()
	defer pool.mu.Unlock()
	pool.out[address(b)] = c
}

// claim reports whether a buffer of that class was in use at this address. It
// is not any more, and the caller must keep it.
func claim(b *byte, c int) bool {
	pool.mu.Lock()
	defer pool.mu.Unlock()
	class, out := pool.out[address(b)]
	if !out || class != c {
		return false
	}
	delete(pool.out, address(b))
	return true
}

func address(b *byte) uintptr { return uintptr(unsafe.Pointer(b)) }

// keep makes a buffer a free one.
func keep(b *byte, c int) {
	pool.mu.Lock()
	defer pool.mu.Unlock()
	pool.free[c] = append(pool.free[c], b)
	if !pool.timed {
		pool.timed = true
		time.AfterFunc(poolIdle, trim)
	}
}

// collected has the finalizer of each class.
var collected [classes]func(*byte)

func init() {
	pool.out = make(map[uintptr]int)
	for c := range collected {
		collected[c] = func(b *byte) {
			claim(b, c)
			keep(b, c)
		}
	}
}

// trim lets go of the free buffers once none was needed for a while.
func trim() {
	pool.mu.Lock()
	defer pool.mu.Unlock()
	if time.Since(pool.last) < poolIdle {
		time.AfterFunc(poolIdle, trim)
		return
	}
	pool.timed = false
	for c := range pool.free {
		pool.owned -= len(pool.free[c]) * (minPooled << c)
		pool.free[c] = nil
	}
}
