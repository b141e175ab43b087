//go:build cgo && !purego

package zyre

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/gozyre/zyre/internal/testport"
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

// What was sent right before Stop arrives, and the GOODBYE behind it.
func TestStopOfGossipDelivers(t *testing.T) {
	if _, _, ok := sockets(0); !ok {
		t.Skip("here it cannot")
	}
	promised := farewell
	defer func() { farewell = promised }()
	farewell = patience
	const messages = 20_000
	hub := testport.Endpoint()
	a := startNode(t, "a", WithEndpoint(anyLocal), WithGossipBind(hub), WithExpiredTimeout(2*patience))
	b := startNode(t, "b", WithEndpoint(anyLocal), WithGossipConnect(hub))
	meet(t, a, b)
	for i := range messages {
		must(t, b.Whisper(a.UUID(), fmt.Append(nil, i), make([]byte, 1000)))
	}
	must(t, b.Stop())
	for i := range messages {
		if ev := next(t, a, Whisper, Exit); ev.Text() != fmt.Sprint(i) {
			t.Fatalf("instead of message %d: %v", i, ev)
		}
	}
	next(t, a, Exit)
}
