package fallback

import (
	"testing"
)

// A message of just the limit arrives; one byte more, in one frame or many, and
// the peer exits, and enters again with what it says then.
func TestMessageLimit(t *testing.T) {
	const limit = 100_000
	port := int(testPort.Add(1))
	cfg := testConfig("b", port)
	cfg.MessageLimit = limit
	a, b := startNode(t, testConfig("a", port)), startNode(t, cfg)
	for _, sizes := range [][]int{{limit + 1}, {limit / 2, limit / 2, 1}, {1, 2 << 20}} {
		expect(t, a, Enter)
		expect(t, b, Enter)
		if err := a.Whisper(b.UUID(), make([]byte, limit-1), []byte("x")); err != nil {
			t.Fatal(err)
		}
		if ev := expect(t, b, Whisper, Exit); ev.Kind != Whisper || len(ev.Msg) != 2 {
			t.Fatalf("of a message of the limit came %+v", ev.Kind)
		}
		var frames [][]byte
		for _, n := range sizes {
			frames = append(frames, make([]byte, n))
		}
		if err := a.Whisper(b.UUID(), frames...); err != nil {
			t.Fatal(err)
		}
		if ev := expect(t, b, Whisper, Exit); ev.Kind != Exit {
			t.Fatalf("frames of %d bytes arrived, where %d is the limit", sizes, limit)
		}
	}
}
