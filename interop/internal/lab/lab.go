// Package lab is what the tests against foreign nodes share: a node of ours
// and a foreign one, each with a journal of what it was told.
package lab

import (
	"os"
	"testing"
	"time"

	"github.com/gozyre/zyre/fallback"
	"github.com/gozyre/zyre/internal/netlab"
)

// UUID identifies a node.
type UUID = fallback.UUID

// Event is what a node was told, ours or foreign.
type Event = fallback.Event

// Interface is where the nodes meet, in the namespace that Main makes.
const Interface = netlab.IsolatedInterface

// patience is how long a test waits for something that takes milliseconds.
const patience = 20 * time.Second

// Never is longer than any test waits.
const Never = 10 * time.Minute

// Main is TestMain of a package with foreign nodes, which pick their
// interface by themselves: in a namespace that has only the right one.
func Main(m *testing.M) {
	code, reran := netlab.Isolate()
	if !reran {
		code = m.Run()
	}
	os.Exit(code)
}

// Missing skips the test because this machine lacks something, and says how
// to get it. In CI nothing may be missing.
func Missing(t testing.TB, what string, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("MISSING IN CI: %s: %v", what, err)
	}
	t.Skipf("SKIPPED, MISSING: %s: %v", what, err)
}
