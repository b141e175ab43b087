package testport

import "testing"

// Each port comes once in a round, and none is one that the kernel of Linux
// gives out (32768 and up), that needs a privilege, or of another block.
func TestNext(t *testing.T) {
	seen := make(map[int]bool)
	for range block - 1 {
		port := Next()
		if port <= own().at || port >= own().at+block || port < 1024 || port >= 32768 {
			t.Fatalf("port %d of the block at %d", port, own().at)
		}
		if seen[port] {
			t.Fatalf("port %d twice in %d", port, len(seen))
		}
		seen[port] = true
	}
}

// Another process that asks finds this one's block taken.
func TestBlocksAreApart(t *testing.T) {
	mine := own().at
	other := claim()
	if other.lock == nil {
		t.Skip("all blocks are taken")
	}
	defer other.lock.Close()
	if other.at == mine {
		t.Errorf("both have the block at %d", mine)
	}
}
