//go:build cgo && !purego && linux

package zyre

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// watched reports whether the descriptor that wakes Go's netpoller speaks for
// libzyre's inbox at the moment.
func watched(t *testing.T, n *Node) bool {
	t.Helper()
	var info []byte
	var err error
	must(t, n.engine.live.Load().watch.wait.Control(func(bell uintptr) {
		info, err = os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", bell))
	}))
	must(t, err)
	return strings.Contains(string(info), "tfd:")
}

// Events that nobody waits for in Go's netpoller must not wake its threads:
// they would, one for each, while somebody reads without a pause.
func TestNetpollerIsWokenOnlyForWhoWaits(t *testing.T) {
	a, b := startPair(t)
	const rounds = 20
	for i := range rounds {
		got := make(chan Event)
		go func() { got <- next(t, b, Whisper) }()
		waitFor(t, "somebody waits in the netpoller", func() bool { return watched(t, b) })
		must(t, a.Whisper(b.UUID(), []byte{byte(i)}))
		if ev := <-got; ev.Msg[0][0] != byte(i) {
			t.Fatalf("round %d: got %v %q", i, ev, ev.Msg)
		}
		if watched(t, b) {
			t.Fatalf("round %d: the inbox is watched still when nobody waits", i)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := b.Recv(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Recv until a deadline: %v", err)
	}
	if watched(t, b) {
		t.Fatal("the inbox is watched still when a wait was interrupted")
	}
}

// Who stays at the socket after an event hears what else can end a wait.
func TestWaitRightAfterAnEvent(t *testing.T) {
	a, b := startPair(t)
	for range 50 {
		must(t, a.Whisper(b.UUID(), []byte("x")))
		next(t, b, Whisper)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Microsecond)
		if _, err := b.Recv(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Recv until a deadline: %v", err)
		}
		cancel()
	}
	must(t, a.Whisper(b.UUID(), []byte("x")))
	next(t, b, Whisper)
	go func() { _ = b.Close() }()
	for {
		_, err := b.Recv(t.Context())
		if errors.Is(err, ErrClosed) {
			return
		}
		must(t, err)
	}
}
