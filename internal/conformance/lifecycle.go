package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/gozyre/zyre"
	"github.com/gozyre/zyre/internal/testport"
)

var lifecycleTests = []test{
	{"SilentUntilStart", silentUntilStart},
	{"NotStarted", notStarted},
	{"StartStopStart", startStopStart},
	{"StartContextBoundsTheCallOnly", startContext},
	{"Closed", closed},
	{"CloseOfRunningNode", closeRunning},
	{"RecvEnds", recvEnds},
	{"EventsOutliveStop", eventsOutliveStop},
	{"RestartManyTimes", restartManyTimes},
	{"RestartOnItsPort", restartOnItsPort},
}

// silentUntilStart: what New makes nobody sees. That others find each other
// meanwhile tells that there was time to see it.
func silentUntilStart(m *mesh) {
	quiet := m.open("quiet", Options{})
	m.ok(quiet.Join("G"), "join before start")
	a, b := m.pair()
	if peers := a.Peers(); !slices.Equal(peers, []zyre.UUID{b.UUID()}) {
		m.Errorf("peers before the start of the third node: %v", peers)
	}
	m.ok(quiet.Start(m.ctx), "start")
	if ev := a.next(); ev.Type != zyre.Enter || ev.Peer != quiet.UUID() {
		m.Errorf("got %v, not the third node's ENTER", ev)
	}
}

func notStarted(m *mesh) {
	n := m.open("n", Options{})
	peer := zyre.UUID{1}
	m.is(n.Stop(), zyre.ErrNotStarted, "Stop")
	m.is(n.Whisper(peer, []byte("x")), zyre.ErrNotStarted, "Whisper")
	m.is(n.Shout("G", []byte("x")), zyre.ErrNotStarted, "Shout")
	m.is(n.RequirePeer(peer, "tcp://127.0.0.1:9", ""), zyre.ErrNotStarted, "RequirePeer")
	for _, g := range []string{"G", "H", "G"} {
		m.ok(n.Join(g), "Join")
	}
	m.ok(n.Leave("H"), "Leave")
	if got := n.Groups(); !slices.Equal(got, []string{"G"}) {
		m.Errorf("Groups: %q", got)
	}
	if n.Name() != "n" || len(n.Peers()) != 0 || len(n.GroupPeers("G")) != 0 || len(n.PeerGroups()) != 0 {
		m.Error("a node that is not started has the wrong name, or peers")
	}
	if _, ok := n.Peer(peer); ok {
		m.Error("a node that is not started knows a peer")
	}
	_ = n.Stats()
	m.ok(n.Dump(io.Discard), "Dump")
}

func startStopStart(m *mesh) {
	a, b := m.start("a", Options{}), m.open("b", Options{})
	m.ok(b.Join("KEPT"), "join")
	m.ok(b.Start(m.ctx), "start")
	m.is(b.Start(m.ctx), zyre.ErrStarted, "second start")
	m.meet(a, b)
	first := b.event(zyre.Exit, "")
	a.expect(b.event(zyre.Join, "KEPT"))

	m.ok(b.Stop(), "stop")
	a.expect(first)
	stop := first
	stop.Type = zyre.Stop
	if got := b.find("STOP", 0, func(ev zyre.Event) bool { return ev.Type == zyre.Stop }); !same(got, stop) {
		m.Errorf("got %v, not %v", got, stop)
	}
	m.is(b.Stop(), zyre.ErrNotStarted, "second stop")
	m.is(b.Whisper(a.UUID(), []byte("x")), zyre.ErrNotStarted, "whisper of a stopped node")
	m.is(b.Shout("KEPT", []byte("x")), zyre.ErrNotStarted, "shout of a stopped node")
	if len(b.Peers()) != 0 {
		m.Error("a stopped node has peers")
	}

	m.startAgain(b)
	if b.UUID() == first.Peer {
		m.Error("started again with the same UUID")
	}
	a.expect(b.event(zyre.Enter, ""), b.event(zyre.Join, "KEPT"))
	if got := b.Groups(); !slices.Equal(got, []string{"KEPT"}) {
		m.Errorf("Groups after the second start: %q", got)
	}
	b.await(zyre.Enter, a.UUID())
	m.ok(a.Whisper(b.UUID(), []byte("again")), "whisper")
	b.expect(a.event(zyre.Whisper, "", []byte("again")))
}

func startContext(m *mesh) {
	ctx, cancel := context.WithCancel(m.ctx)
	a := m.open("a", Options{})
	m.ok(a.Start(ctx), "start")
	cancel()
	m.meet(a, m.start("b", Options{}))
}

func closed(m *mesh) {
	for _, started := range []bool{false, true} {
		n := m.open("n", Options{})
		if started {
			m.ok(n.Start(m.ctx), "start")
		}
		m.ok(n.Close(), "close")
		m.ok(n.Close(), "second close")
		calls := map[string]error{
			"Start":       n.Start(m.ctx),
			"Stop":        n.Stop(),
			"Join":        n.Join("G"),
			"Leave":       n.Leave("G"),
			"Whisper":     n.Whisper(zyre.UUID{1}, []byte("x")),
			"Shout":       n.Shout("G", []byte("x")),
			"RequirePeer": n.RequirePeer(zyre.UUID{1}, "tcp://127.0.0.1:9", ""),
		}
		_, calls["Recv"] = n.Recv(m.ctx)
		for name, err := range calls {
			m.is(err, zyre.ErrClosed, fmt.Sprintf("%s after Close (started: %v)", name, started))
		}
		if len(n.Peers()) != 0 || len(n.GroupPeers("G")) != 0 || len(n.PeerGroups()) != 0 || n.Name() != "n" {
			m.Error("a closed node has the wrong name, or peers")
		}
		if _, ok := n.Peer(zyre.UUID{1}); ok {
			m.Error("a closed node knows a peer")
		}
		// These may answer or not, as long as they return.
		_, _ = n.UUID(), n.Groups()
		_ = n.Stats()
		_ = n.Dump(io.Discard)
	}
}

func closeRunning(m *mesh) {
	a, b := m.pair()
	exit := b.event(zyre.Exit, "")
	m.ok(b.Close(), "close")
	a.expect(exit)
}

func recvEnds(m *mesh) {
	n := m.start("n", Options{})
	cancelled, cancel := context.WithCancel(m.ctx)
	cancel()
	_, err := n.Recv(cancelled)
	m.is(err, context.Canceled, "Recv with a cancelled context")
	short, cancel := context.WithTimeout(m.ctx, 20*time.Millisecond)
	defer cancel()
	_, err = n.Recv(short)
	m.is(err, context.DeadlineExceeded, "Recv with a deadline")

	waiting := func() error {
		if _, err := n.Recv(m.ctx); err != zyre.ErrClosed {
			return fmt.Errorf("Recv ended by Close: %v", err)
		}
		return nil
	}
	m.together(waiting, waiting, waiting, func() error { return n.Close() })
}

// eventsOutliveStop: what was received before Stop is there after it, with
// STOP at its end, and nothing behind.
func eventsOutliveStop(m *mesh) {
	a, b := m.pair()
	m.ok(a.Whisper(b.UUID(), []byte("1")), "whisper")
	m.ok(a.Join("MARK"), "join")
	m.eventually("the JOIN behind the whisper", func() bool { return slices.Contains(b.PeerGroups(), "MARK") })
	stop := b.event(zyre.Stop, "")
	m.ok(b.Stop(), "stop")
	b.expect(a.event(zyre.Whisper, "", []byte("1")), a.event(zyre.Join, "MARK"))
	for ev := b.next(); ; ev = b.next() {
		if ev.Type == zyre.Exit {
			continue // an engine may take leave of its peers
		}
		if !same(ev, stop) {
			m.Errorf("got %v, not %v", ev, stop)
		}
		break
	}
	ctx, cancel := context.WithTimeout(m.ctx, 100*time.Millisecond)
	defer cancel()
	if ev, err := b.Recv(ctx); err == nil {
		m.Errorf("%v came after STOP", ev)
	}
}

func restartManyTimes(m *mesh) {
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	a, b := m.pair()
	m.restart(a, b, rounds)
}

// restartOnItsPort: a new presence at the endpoint of the one before.
func restartOnItsPort(m *mesh) {
	a, b := m.start("a", Options{}), m.start("b", Options{PeerPort: testport.Next()})
	m.meet(a, b)
	m.restart(a, b, 5)
}

// restart stops and starts b, and a sees it leave and come back.
func (m *mesh) restart(a, b *node, rounds int) {
	m.Helper()
	for i := range rounds {
		exit := b.event(zyre.Exit, "")
		m.ok(b.Stop(), "stop")
		a.expect(exit)
		m.startAgain(b)
		a.expect(b.event(zyre.Enter, ""))
		b.await(zyre.Enter, a.UUID())
		text := fmt.Append(nil, "round ", i)
		m.ok(b.Whisper(a.UUID(), text), "whisper")
		a.expect(b.event(zyre.Whisper, "", text))
	}
}

// startAgain starts a node on the ports that it had. A process of another test
// that is just being forked has them too, until it becomes its program.
func (m *mesh) startAgain(n *node) {
	m.Helper()
	var err error
	m.eventually("the ports are free", func() bool {
		err = n.Start(m.ctx)
		return !errors.Is(err, syscall.EADDRINUSE)
	})
	m.ok(err, "start again")
}
