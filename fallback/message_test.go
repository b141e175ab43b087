package fallback

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/gozyre/zyre/fallback/internal/zre"
	"github.com/gozyre/zyre/internal/hostile"
	"github.com/gozyre/zyre/internal/testport"
)

// A message of just the limit arrives; one byte more, in one frame or many, and
// the peer exits.
func TestMessageLimit(t *testing.T) {
	const limit = 100_000
	for _, sizes := range [][]int{{limit + 1}, {limit / 2, limit / 2, 1}, {1, 2 << 20}} {
		port := testport.Next()
		cfg := testConfig("b", port)
		cfg.MessageLimit = limit
		a, b := startNode(t, testConfig("a", port)), startNode(t, cfg)
		expect(t, a, Enter)
		whisper := func(sizes ...int) {
			t.Helper()
			var frames [][]byte
			for _, n := range sizes {
				frames = append(frames, make([]byte, n))
			}
			err := a.Whisper(b.UUID(), frames...)
			if err != nil && !errors.Is(err, ErrUnknownPeer) { // it may be dropped before all is written
				t.Fatal(err)
			}
		}
		whisper(limit-1, 1)
		if ev := expect(t, b, Whisper, Exit); ev.Kind != Whisper || len(ev.Msg) != 2 {
			t.Fatalf("of a message of the limit came an event of %d", ev.Kind)
		}
		whisper(sizes...)
		if ev := expect(t, b, Whisper, Exit); ev.Kind != Exit {
			t.Fatalf("frames of %d bytes arrived, where %d is the limit", sizes, limit)
		}
	}
}

// What comes in one read with a GOODBYE, ahead of it, is delivered.
func TestMessageAheadOfGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node, pr := withoutNetwork(t)
		defer node.Close()
		c := &caller{t, pr, UUID{1}}
		w := c.call("first")
		defer w.end()
		w.say(slices.Concat(
			hostile.Frame(hostile.More, hostile.Plain(hostile.KindWhisper, 3)), hostile.Frame(0, []byte("last words")),
			hostile.Frame(0, hostile.Plain(byte(zre.KindGoodbye), 4))))
		synctest.Wait()
		for _, want := range []Kind{Enter, Whisper, Whisper, Exit} {
			if ev, err := node.Recv(t.Context()); err != nil || ev.Kind != want {
				t.Fatalf("event of kind %d, %v, not %d", ev.Kind, err, want)
			}
		}
	})
}
