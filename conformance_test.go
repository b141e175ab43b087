package zyre_test

import (
	"testing"

	"github.com/gozyre/zyre/internal/conformance"
	"github.com/gozyre/zyre/internal/netlab"
)

// testInterface is where the nodes of the engine find each other in tests:
// libzyre does not beacon on the loopback interface.
func testInterface() string {
	if conformance.OnLibzyre() {
		return netlab.IsolatedInterface
	}
	return "lo"
}

// engine is the one that the tests were built with.
func engine() conformance.Factory { return conformance.Zyre(testInterface()) }

// needNetwork skips a test on libzyre that has no network of its own.
func needNetwork(t *testing.T) {
	t.Helper()
	if conformance.OnLibzyre() && !netlab.Isolated() {
		netlab.Need(t)
		t.Fatal("the test process is not isolated; TestMain must call netlab.Isolate")
	}
}

// factories are all that a process of a test can be asked for.
var factories = []conformance.Factory{engine()}

// TestServeNode is what conformance.Launch runs in a process of its own.
func TestServeNode(t *testing.T) { conformance.Serve(factories...) }

func TestConformance(t *testing.T) {
	needNetwork(t)
	conformance.Run(t, engine(), engine())
}
