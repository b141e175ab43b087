package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/gozyre/zyre"
	"github.com/gozyre/zyre/internal/testport"
)

var churnTests = []test{
	{"FortyNodesLeaveNothing", fortyNodes},
	{"EveryCallAtAnyTime", everyCall},
}

// expectedAnyTime are the errors of a call that comes before the start, after
// the end, to a peer that is gone, or when the ports are not free again yet.
var expectedAnyTime = []error{
	zyre.ErrStarted, zyre.ErrNotStarted, zyre.ErrClosed, zyre.ErrUnknownPeer, context.DeadlineExceeded, syscall.EADDRINUSE,
}

// anyTime lets an error pass that a call may have at a random time.
func anyTime(err error) error {
	if err == nil || slices.ContainsFunc(expectedAnyTime, func(e error) bool { return errors.Is(err, e) }) {
		return nil
	}
	return err
}

// calls are what a program can do with a node, but for Close.
var calls = []func(n Node, ctx context.Context) error{
	func(n Node, ctx context.Context) error { return n.Start(ctx) },
	func(n Node, _ context.Context) error { return n.Stop() },
	func(n Node, _ context.Context) error { return n.Join("G") },
	func(n Node, _ context.Context) error { return n.Leave("G") },
	func(n Node, _ context.Context) error { return n.Shout("G", mark) },
	func(n Node, _ context.Context) error { return n.Whisper(zyre.UUID{1}, mark) },
	func(n Node, _ context.Context) error { return n.Dump(io.Discard) },
	func(n Node, _ context.Context) error { return whisperToAll(n) },
	func(n Node, _ context.Context) error { look(n); return nil },
	receiveSome,
}

func whisperToAll(n Node) error {
	for _, id := range n.Peers() {
		if err := anyTime(n.Whisper(id, mark, nil, mark)); err != nil {
			return err
		}
	}
	return nil
}

func look(n Node) {
	for _, id := range n.GroupPeers("G") {
		n.Peer(id)
	}
	n.Groups()
	n.PeerGroups()
	n.UUID()
	n.Name()
	n.Stats()
}

func receiveSome(n Node, ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	for {
		if _, err := n.Recv(ctx); err != nil {
			return err
		}
	}
}

// everyCall makes every call from many goroutines while the node starts,
// stops and at last closes, with a peer that sends to it all the time.
func everyCall(m *mesh) {
	n, peer := m.start("n", Options{}), m.start("peer", Options{})
	m.ok(peer.Join("G"), "join")
	const goroutines, rounds = 16, 60
	var work []func() error
	for g := range goroutines {
		random := rand.New(rand.NewPCG(uint64(g), 0))
		work = append(work, m.within(func() error {
			for range rounds {
				i := random.IntN(len(calls))
				if err := anyTime(calls[i](n.Node, m.ctx)); err != nil {
					return fmt.Errorf("call %d: %w", i, err)
				}
				if err := anyTime(whisperToAll(peer.Node)); err != nil {
					return err
				}
			}
			return n.Close() // by the first that is done, in the midst of the others
		}))
	}
	m.together(work...)
	_, err := n.Recv(m.ctx)
	m.is(err, zyre.ErrClosed, "Recv in the end")
}

// fortyNodes are started, stopped and closed in random order from many
// goroutines. No goroutine and no descriptor may be left of them.
func fortyNodes(m *mesh) {
	count := 40
	if testing.Short() {
		count = 12
	}
	// The first node of an engine opens what the process then keeps.
	warm := m.start("warm", Options{})
	m.ok(warm.Close(), "close")
	goroutines, descriptors := runtime.NumGoroutine(), openDescriptors()

	nodes := make([]Node, count)
	ports := []int{testport.Next(), testport.Next(), testport.Next(), testport.Next()}
	for i := range nodes {
		nodes[i] = m.open(fmt.Sprint("node ", i), Options{Port: ports[i%len(ports)]}).Node
	}
	var work []func() error
	for g := range 8 {
		random := rand.New(rand.NewPCG(uint64(g), 1))
		work = append(work, m.within(func() error {
			for range count {
				n, call := nodes[random.IntN(count)], calls[random.IntN(len(calls))]
				if err := anyTime(n.Start(m.ctx)); err != nil {
					return err
				}
				if err := anyTime(call(n, m.ctx)); err != nil {
					return err
				}
				if random.IntN(8) == 0 {
					if err := n.Close(); err != nil {
						return err
					}
				}
			}
			return nil
		}))
	}
	m.together(work...)
	var closing []func() error
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(count) {
		closing = append(closing, m.within(nodes[i].Close))
	}
	m.together(closing...)

	m.settle("goroutines", goroutines, runtime.NumGoroutine)
	m.settle("descriptors", descriptors, openDescriptors)
}

// settle waits until no more of something is there than before.
func (m *mesh) settle(what string, before int, now func() int) {
	m.Helper()
	for end := time.Now().Add(20 * time.Second); now() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			m.Errorf("%d %s before, %d after all nodes were closed", before, what, now())
			return
		}
	}
}

// openDescriptors counts the process's open files and sockets, where it can.
func openDescriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}
