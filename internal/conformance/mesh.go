package conformance

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/gozyre/zyre"
	"github.com/gozyre/zyre/internal/testport"
)

// patience bounds each test. It is no figure to be met, only longer than
// anything takes on the slowest machine that still works.
const patience = 3 * time.Minute

// long is a timeout that does not happen in a test. What happens all the same
// was caused by something else.
const long = 15 * time.Minute

// mesh is the network of one test.
type mesh struct {
	*testing.T
	ctx       context.Context
	factories []Factory
	port      int
	made      int
}

func newMesh(t *testing.T, a, b Factory) *mesh {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return &mesh{T: t, ctx: ctx, factories: []Factory{a, b}, port: testport.Next()}
}

// defaults fills in what the test did not say: its network, short intervals
// between beacons and timeouts that do not happen.
func (m *mesh) defaults(f Factory, o Options) Options {
	if o.Interface == "" && o.Interfaces == nil {
		o.Interface = f.Interface
	}
	if o.Port == 0 {
		o.Port = m.port
	}
	if o.PeerPort == 0 && f.ReusesPorts && !o.gossips() {
		o.PeerPort = testport.Next()
	}
	if o.Interval == 0 {
		o.Interval = 100 * time.Millisecond
	}
	if o.Evasive == 0 && o.Expired == 0 {
		o.Evasive, o.Expired = long, 2*long
	}
	return o
}

// factory returns the factories in turn.
func (m *mesh) factory() Factory {
	f := m.factories[m.made%len(m.factories)]
	m.made++
	return f
}

// enginesWith returns the engines that have what the options ask for. One that
// has it not must say so.
func (m *mesh) enginesWith(o Options) (able []Factory) {
	m.Helper()
	for _, f := range m.factories {
		n, err := f.New("able", m.defaults(f, o))
		if err != nil {
			m.lacks(f, err)
			continue
		}
		m.ok(n.Close(), "close")
		able = append(able, f)
	}
	return able
}

// lacks checks the error of what an engine does not have.
func (m *mesh) lacks(f Factory, err error) {
	m.Helper()
	if !f.Partial || !errors.Is(err, errors.ErrUnsupported) {
		m.Errorf("%s: %v", f.Name, err)
	}
}

// open makes a node that is closed when the test ends.
func (m *mesh) open(name string, o Options) *node {
	m.Helper()
	f := m.factory()
	n, err := f.New(name, m.defaults(f, o))
	if err != nil {
		m.Fatalf("new node %q: %v", name, err)
	}
	return m.adopt(f, n)
}

// adopt lets the test use a node of an engine and closes it in the end.
func (m *mesh) adopt(f Factory, n Node) *node {
	m.Cleanup(func() {
		if err := n.Close(); err != nil {
			m.Errorf("close: %v", err)
		}
	})
	return &node{Node: n, engine: f, m: m}
}

// start makes a node and starts it.
func (m *mesh) start(name string, o Options) *node {
	m.Helper()
	n := m.open(name, o)
	m.ok(n.Start(m.ctx), "start")
	return n
}

// pair starts two nodes, which have entered for each other.
func (m *mesh) pair() (a, b *node) {
	m.Helper()
	a, b = m.start("a", Options{}), m.start("b", Options{})
	m.meet(a, b)
	return a, b
}

// meet waits until every node has entered for every other.
func (m *mesh) meet(nodes ...*node) {
	m.Helper()
	for _, n := range nodes {
		for _, peer := range nodes {
			if peer != n {
				n.await(zyre.Enter, peer.UUID())
			}
		}
	}
}

// joined makes the nodes members of a group that all the others know of.
func (m *mesh) joined(group string, members []*node, others ...*node) {
	m.Helper()
	for _, n := range members {
		m.ok(n.Join(group), "join")
	}
	for _, n := range append(others, members...) {
		for _, member := range members {
			if member != n {
				n.awaitGroup(zyre.Join, member.UUID(), group)
			}
		}
	}
}

// ok fails the test on an error.
func (m *mesh) ok(err error, what string) {
	m.Helper()
	if err != nil {
		m.Fatalf("%s: %v", what, err)
	}
}

// is reports an error that is not the one expected.
func (m *mesh) is(err, want error, what string) {
	m.Helper()
	if !errors.Is(err, want) {
		m.Errorf("%s: error is %v, not %v", what, err, want)
	}
}

// together runs functions at once, waits for all, and reports their errors.
func (m *mesh) together(functions ...func() error) {
	m.Helper()
	var group sync.WaitGroup
	for _, f := range functions {
		group.Go(func() {
			if err := f(); err != nil {
				m.Error(err)
			}
		})
	}
	group.Wait()
}

// eventually waits until a condition holds for which there is no event.
func (m *mesh) eventually(what string, holds func() bool) {
	m.Helper()
	for !holds() {
		select {
		case <-m.ctx.Done():
			m.Fatalf("never happened: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

// within lets a function fail, with the stacks of all goroutines, instead of
// hang.
func (m *mesh) within(f func() error) func() error {
	return func() error {
		done := make(chan error, 1)
		go func() { done <- f() }()
		select {
		case err := <-done:
			return err
		case <-m.ctx.Done():
			stacks := make([]byte, 1<<20)
			return fmt.Errorf("a call hangs:\n%s", stacks[:runtime.Stack(stacks, true)])
		}
	}
}
