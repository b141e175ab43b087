//go:build cgo && !purego

package zyre

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gozyre/zyre/internal/netlab"
)

// TestMain runs the tests in a network of their own: libzyre cannot beacon on
// loopback.
func TestMain(m *testing.M) {
	if program := os.Getenv("ZYRE_TEST_PROGRAM"); program != "" {
		os.Exit(programs[program]())
	}
	if code, reran := netlab.Isolate(); reran {
		os.Exit(code)
	}
	if netlab.Isolated() {
		// For examples and other tests that do not say where.
		os.Setenv("ZSYS_INTERFACE", netlab.IsolatedInterface)
	}
	os.Exit(m.Run())
}

// patience is how long a test waits for what should come at once.
const patience = 30 * time.Second

// beaconPort gives every test a network of its own.
var beaconPort atomic.Int32

func init() { beaconPort.Store(20000) }

// beacons returns the options of a node on the network of a test.
func beacons(t testing.TB) []Option {
	t.Helper()
	netlab.Need(t)
	return []Option{
		WithInterface(netlab.IsolatedInterface),
		WithPort(int(beaconPort.Add(1))),
		WithInterval(100 * time.Millisecond),
	}
}

// newNode makes a node that is closed at the end of the test.
func newNode(t testing.TB, name string, opts ...Option) *Node {
	t.Helper()
	n, err := New(name, opts...)
	if err != nil {
		t.Fatalf("New(%q): %v", name, err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("Close of %q: %v", name, err)
		}
	})
	return n
}

func startNode(t testing.TB, name string, opts ...Option) *Node {
	t.Helper()
	n := newNode(t, name, opts...)
	start(t, n)
	return n
}

func start(t testing.TB, n *Node) {
	t.Helper()
	if err := n.Start(t.Context()); err != nil {
		t.Fatalf("Start of %q: %v", n.Name(), err)
	}
}

// startPair returns two nodes that know each other.
func startPair(t testing.TB, opts ...Option) (a, b *Node) {
	t.Helper()
	opts = append(beacons(t), opts...)
	a, b = startNode(t, "a", opts...), startNode(t, "b", opts...)
	meet(t, a, b)
	return a, b
}

// meet waits until all nodes know each other.
func meet(t testing.TB, nodes ...*Node) {
	t.Helper()
	for _, n := range nodes {
		for _, other := range nodes {
			if n != other {
				waitFor(t, fmt.Sprintf("%q knows %q", n.Name(), other.Name()), func() bool {
					_, ok := n.Peer(other.UUID())
					return ok
				})
			}
		}
	}
}

// waitFor waits for a condition.
func waitFor(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// next returns the next event of a node, of one of the types if any is given.
func next(t testing.TB, n *Node, types ...EventType) Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		ev, err := n.Recv(ctx)
		if err != nil {
			t.Fatalf("Recv of %q, waiting for %v: %v", n.Name(), types, err)
		}
		if len(types) == 0 || bytes.IndexByte(asBytes(types), byte(ev.Type)) >= 0 {
			return ev
		}
	}
}

func asBytes(types []EventType) (b []byte) {
	for _, t := range types {
		b = append(b, byte(t))
	}
	return b
}

// within fails the test if f does not return: what hangs in C cannot be
// stopped, so the test process ends with a message and not by a timeout.
func within(t testing.TB, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("hangs: %s", what)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
