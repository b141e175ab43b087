package testport

import "testing"

// Each port comes once in a round, and none is one that the kernel of Linux
// gives out (32768 and up) or that needs a privilege.
func TestNext(t *testing.T) {
	seen := make(map[int]bool)
	for range count {
		port := Next()
		if port < 1024 || port >= 32768 {
			t.Fatalf("port %d", port)
		}
		if seen[port] {
			t.Fatalf("port %d twice in %d", port, len(seen))
		}
		seen[port] = true
	}
}
