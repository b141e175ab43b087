//go:build cgo && !purego

package zyre

import (
	"runtime"
	"strings"
	"testing"
	"unsafe"
)

// A query finds a node that runs, is held up, and goes on when the node has
// ended and its memory in C is somebody else's.
func TestQueryHeldUpUntilTheEnd(t *testing.T) {
	runtime.LockOSThread() // for malloc gives again first what this thread has freed
	defer runtime.UnlockOSThread()
	n := startNode(t, "n", WithEndpoint(anyLocal))
	held := n.engine.live.Load()
	size := int(unsafe.Sizeof(*held.c))
	must(t, n.Stop())
	var others cStrings
	defer others.all()
	for range 64 {
		others.string(strings.Repeat("A", size-1)) // and a NUL
	}
	held.update()
}
