package suite

import "testing"

// flood is more than the numbers that a sequence of ZRE has, so that the
// sequence starts again on the way.
const flood = 100_000

// testFloods sends many messages in each way: none may be missing, none may
// come out of order, and nobody may leave.
func testFloods(t *testing.T, impl Implementation) {
	t.Run("WhispersToTheirs", func(t *testing.T) {
		p := newPair(t, impl)
		p.ours.Must(p.ours.Flood(p.their, flood))
		p.theirs.AwaitBulk(t, p.our, flood)
		p.exchange(t)
		p.quiet(t)
	})
	t.Run("ShoutsToOurs", func(t *testing.T) {
		p := newPair(t, impl, "G")
		p.theirs.Flood(p.our, "G", flood)
		p.ours.AwaitBulk(t, p.their, flood)
		p.exchange(t)
		p.quiet(t)
	})
	t.Run("WhispersBothWays", func(t *testing.T) {
		p := newPair(t, impl)
		done := make(chan error, 1)
		go func() { done <- p.ours.Flood(p.their, flood) }()
		p.theirs.Flood(p.our, "", flood)
		p.ours.Must(<-done)
		p.ours.AwaitBulk(t, p.their, flood)
		p.theirs.AwaitBulk(t, p.our, flood)
		p.exchange(t)
		p.quiet(t)
	})
}
