package conformance

import (
	"fmt"
	"os/exec"
	"slices"
	"time"

	"github.com/gozyre/zyre"
	"github.com/gozyre/zyre/internal/testport"
)

var processTests = append([]test{
	{"NodesOfTwoProcesses", twoProcesses},
	{"KilledProcess", killedProcess},
	{"KilledProcessReplaced", replaced},
}, pauseTests...)

// ServeTest is the test in the packages that call Run which calls [Serve].
const ServeTest = "TestServeNode"

// soon are timeouts that a test can wait for.
var soon = Options{Evasive: time.Second, Silent: 2 * time.Second, Expired: 10 * time.Second}

// process makes a node in a process of its own and starts it. The node lives
// in the test of this process, so what it calls is the same.
func (m *mesh) process(name string, o Options) (*node, *Remote) {
	m.Helper()
	n, r := m.launch(m.factory(), name, o)
	m.ok(n.Start(m.ctx), "start")
	return n, r
}

// launch makes such a node of one engine and does not start it.
func (m *mesh) launch(f Factory, name string, o Options) (*node, *Remote) {
	m.Helper()
	r := Launch(m, exec.Command, ServeTest, f, name, m.defaults(f, o))
	return m.adopt(f, r), r
}

func twoProcesses(m *mesh) {
	a := m.start("a", Options{})
	b, _ := m.process("b", Options{Headers: map[string]string{"X": "1"}})
	if ev := a.await(zyre.Enter, b.UUID()); ev.Name != "b" || ev.Header("X") != "1" {
		m.Errorf("got %v", ev)
	}
	b.await(zyre.Enter, a.UUID())
	m.joined("G", []*node{b}, a)
	m.deliver(a, b, frames("one", "", "\x00\xff"))
	m.joined("G", []*node{a}, b)
	m.deliver(b, a, frames("", "two"))
	exit := b.event(zyre.Exit, "")
	m.ok(b.Stop(), "stop")
	a.expect(exit)
}

// killedProcess: who is killed exits by the timeout, and the one who takes
// its place is found.
func killedProcess(m *mesh) {
	a := m.start("a", soon)
	for round := range 2 {
		b, process := m.process(fmt.Sprint("b", round), soon)
		m.meet(a, b)
		exit := b.event(zyre.Exit, "")
		process.Kill()
		if ev := a.await(zyre.Exit, exit.Peer); !same(ev, exit) {
			m.Errorf("got %v, not %v", ev, exit)
		}
		m.is(a.Whisper(exit.Peer, mark), zyre.ErrUnknownPeer, "whisper to the killed")
	}
}

// replaced: when another listens where a killed node did, nobody waits for the
// timeout any more.
func replaced(m *mesh) {
	a, port := m.start("a", Options{}), testport.Next()
	b, process := m.process("b", Options{PeerPort: port})
	m.meet(a, b)
	exit := b.event(zyre.Exit, "")
	process.Kill()
	c, _ := m.process("c", Options{PeerPort: port})
	a.expect(exit, c.event(zyre.Enter, ""))
}

// seesFade waits until a peer has become evasive, then silent, and has
// exited. The first two are repeated while they last.
func (n *node) seesFade(life zyre.Event) {
	n.m.Helper()
	for _, t := range []zyre.EventType{zyre.Evasive, zyre.Silent, zyre.Exit} {
		life.Type = t
		if ev := n.await(t, life.Peer); !same(ev, life) {
			n.m.Fatalf("got %v, not %v", ev, life)
		}
	}
	if i := slices.IndexFunc(n.backlog, func(ev zyre.Event) bool {
		return ev.Peer == life.Peer && ev.Type != zyre.Evasive && ev.Type != zyre.Silent
	}); i >= 0 {
		n.m.Errorf("a fading peer caused %v", n.backlog[i])
	}
}
