//go:build cgo && !purego

package zyre

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
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

func init() { programs["unread"] = programUnread }

// programUnread stops a node whose inbox nobody reads.
func programUnread() int {
	if err := stopUnread(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func stopUnread() error {
	const hub = "inproc://hub"
	a, err := gossipNode(WithGossipBind(hub))
	if err != nil {
		return err
	}
	b, err := gossipNode(WithGossipConnect(hub))
	if err != nil {
		return err
	}
	for len(a.Peers()) == 0 {
		time.Sleep(time.Millisecond)
	}
	for range 3000 {
		if err := a.Whisper(b.UUID(), []byte("unread")); err != nil {
			return err
		}
	}
	stopped := make(chan error)
	go func() { stopped <- b.Stop() }()
	select {
	case err := <-stopped:
		return err
	case <-time.After(patience / 2):
		return errors.New("Stop hangs")
	}
}

// A limit in the environment would make the node's actor wait for the
// application, and Stop for the actor.
func TestPipeLimitOfTheEnvironment(t *testing.T) {
	t.Setenv("ZSYS_PIPEHWM", "100")
	if _, stderr, state := runProgram(t, "unread"); !state.Success() {
		t.Errorf("%v: %s", state, stderr)
	}
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
