//go:build linux

package faults

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gozyre/zyre/fallback"
	"github.com/gozyre/zyre/internal/history"
	"github.com/gozyre/zyre/internal/netlab"
	"github.com/gozyre/zyre/internal/remote"
)

// patience bounds each wait. It is no figure to be met.
const patience = 2 * time.Minute

// process is an agent on a host.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	client *remote.Client
	killed atomic.Bool
}

// launch starts an agent on a host. It ends with the test.
func launch(t testing.TB, h *netlab.Host) *process {
	t.Helper()
	p, err := spawn(t, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p
}

// spawn starts an agent that the caller ends.
func spawn(t testing.TB, h *netlab.Host) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{t: t, cmd: h.Command(self)}
	p.cmd.Env = append(os.Environ(), agentEnv+"=1")
	p.client, err = remote.Start(p.cmd)
	return p, err
}

// close ends the process, which must end by itself when it is told to: the
// race detector speaks up by the exit code.
func (p *process) close() {
	p.client.Close()
	stuck := time.AfterFunc(patience, func() { p.cmd.Process.Kill() })
	defer stuck.Stop()
	if err := p.cmd.Wait(); err != nil && !p.killed.Load() {
		p.t.Errorf("an agent ends: %v", err)
	}
}

// kill ends the process as kill -9 does.
func (p *process) kill() {
	p.killed.Store(true)
	p.cmd.Process.Kill()
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// call calls the agent.
func (p *process) call(method string, arg, result any) error {
	return p.client.Call(method, arg, result)
}

// must is call where nothing excuses a failure.
func (p *process) must(method string, arg, result any) {
	p.t.Helper()
	if err := p.call(method, arg, result); err != nil {
		p.t.Fatalf("%s: %v", method, err)
	}
}

// member is a node of the network under test.
type member struct {
	*process
	host *netlab.Host
	spec Spec
	id   history.ID
}

// start begins a life of a node.
func (p *process) start(h *netlab.Host, s Spec) *member {
	p.t.Helper()
	m := &member{process: p, host: h, spec: s}
	p.must("Begin", s, &m.id)
	return m
}

func (m *member) life() *history.Life {
	m.t.Helper()
	life := &history.Life{}
	m.must("Life", m.spec.Name, life)
	return life
}

func (m *member) behave(mode Mode) {
	m.t.Helper()
	m.must("Behave", Behavior{m.spec.Name, mode}, &None{})
}

func (m *member) stats() (s fallback.Stats) {
	m.t.Helper()
	m.must("Stats", m.spec.Name, &s)
	return s
}

// sees returns what the node knows of another.
func (m *member) sees(other *member) history.Peer { return m.life().Peer(other.id) }

// network is the nodes of a test that live, and the lives that have ended.
type network struct {
	t     testing.TB
	lab   *netlab.Lab
	hosts []*netlab.Host
	alive []*member
	past  []history.Ended
}

// defaults are those of a test that waits for timeouts.
func defaults() Spec {
	return Spec{
		Port: 5670, Interval: 200 * time.Millisecond, Interface: "eth0",
		Evasive: time.Second, Expired: 4 * time.Second,
		InboxLimit: 16 << 20, SendLimit: 1 << 20,
		Gap: 5 * time.Millisecond, Large: 20 << 10,
	}
}

// build makes a network of hosts with a node on each, which know each other
// and talk.
func build(t testing.TB, hosts int) *network {
	t.Helper()
	n := &network{t: t, lab: netlab.New(t)}
	for i := range hosts {
		n.hosts = append(n.hosts, n.lab.Host(fmt.Sprint("h", i+1)))
	}
	return n
}

// populate starts a node on each host.
func (n *network) populate(s Spec) {
	n.t.Helper()
	for _, h := range n.hosts {
		s.Name = h.Name()
		n.alive = append(n.alive, launch(n.t, h).start(h, s))
	}
	n.meet()
}

// lives returns the histories of the nodes that live.
func (n *network) lives() (lives []*history.Life) {
	n.t.Helper()
	for _, m := range n.alive {
		lives = append(lives, m.life())
	}
	return lives
}

// meet waits until all that live know each other and nobody else.
func (n *network) meet() {
	n.t.Helper()
	n.await("all know each other", func() string {
		for _, l := range n.lives() {
			if got := len(l.View()); got != len(n.alive)-1 {
				return fmt.Sprintf("%s knows %d peers of %d", l.Name, got, len(n.alive)-1)
			}
		}
		return ""
	})
}

// settle waits until all know each other and have got what was sent, and
// checks the histories.
func (n *network) settle() {
	n.t.Helper()
	n.meet()
	for _, m := range n.alive {
		m.behave(Mode{Quiet: true})
	}
	nudged := time.Time{}
	var lives []*history.Life
	n.await("all is received", func() string {
		lives = n.lives()
		why := history.Pending(lives...)
		if why != "" && time.Since(nudged) > 2*time.Second {
			nudged = time.Now()
			for _, m := range n.alive {
				m.must("Nudge", m.spec.Name, &None{})
			}
		}
		return why
	})
	// What comes after that is another story: an end of a connection that was
	// reset may learn of it late, when it has something to say.
	n.check(lives)
}

// check compares the histories of those that live and of those that ended.
func (n *network) check(alive []*history.Life) {
	n.t.Helper()
	lives := n.past
	for _, l := range alive {
		lives = append(lives, history.Ended{Life: l, Fate: history.Lives})
	}
	for _, f := range history.Check(lives...) {
		n.t.Error(f)
	}
	var sent, received, lost uint64
	for _, l := range lives {
		sent += l.Order
		for _, p := range l.Peers {
			whispers := p.Got[history.Whisper]
			lost += whispers.Last - whispers.Count
			received += whispers.Count + p.Got[history.Shout].Count
		}
	}
	n.t.Logf("%d lives sent %d messages and received %d; %d whispers were lost where somebody exited", len(lives), sent, received, lost)
}

// lose takes a node out of those that live. Its history counts no further.
func (n *network) lose(m *member, life *history.Life, fate history.Fate) {
	for i, other := range n.alive {
		if other == m {
			n.alive = append(n.alive[:i:i], n.alive[i+1:]...)
		}
	}
	if life != nil {
		n.past = append(n.past, history.Ended{Life: life, Fate: fate})
	}
}

// await waits until a condition says nothing any more.
func (n *network) await(what string, missing func() string) {
	n.t.Helper()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(patience); ; <-poll.C {
		why := missing()
		if why == "" {
			return
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("never came true: %s: %s\n%s", what, why, n.dump())
		}
	}
}

// until waits until a condition holds.
func (n *network) until(what string, holds func() bool) {
	n.t.Helper()
	n.await(what, func() string {
		if holds() {
			return ""
		}
		return "not yet"
	})
}

func (n *network) dump() string {
	var b strings.Builder
	for _, m := range n.alive {
		var text string
		m.must("Dump", None{}, &text)
		fmt.Fprintf(&b, "%s\n", text)
		l := m.life()
		for _, other := range n.alive {
			if other != m {
				fmt.Fprintf(&b, "%s of %s: %+v\n", m.spec.Name, other.spec.Name, l.Peer(other.id))
			}
		}
	}
	return b.String()
}
