//go:build linux

package faults

import (
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/gozyre/zyre/internal/history"
	"github.com/gozyre/zyre/internal/netlab"
)

// faults are what a network of talking nodes goes through. After each, all
// that live know each other again, and the histories are checked.
var faults = []struct {
	name   string
	hosts  int
	tune   func(s *Spec)    // nil: short timeouts
	before func(n *network) // before there are nodes
	happen func(n *network)
}{
	{"Loss", 3, patient, nil, loss},
	{"DelayAndJitter", 3, patient, line(netlab.Line{Delay: 25 * time.Millisecond, Jitter: 10 * time.Millisecond}), unharmed},
	{"Reordering", 3, patient, line(netlab.Line{Delay: 5 * time.Millisecond, Reorder: 25}), unharmed},
	{"Duplication", 3, patient, line(netlab.Line{Duplicate: 25}), unharmed},
	{"ShortPartition", 3, enduring, nil, shortPartition},
	{"Outage", 2, enduring, nil, outage},
	{"LongPartition", 4, tenacious, nil, longPartition},
	{"AsymmetricPartition", 3, nil, nil, asymmetricPartition},
	{"ResetConnections", 3, patient, line(netlab.Line{}), resetConnections},
	{"LinkFlaps", 3, nil, nil, linkFlaps},
	{"AddressChange", 3, nil, nil, addressChange},
	{"HostVanishes", 4, tenacious, nil, hostVanishes},
	{"StoppedProcess", 3, nil, nil, stoppedProcess},
	{"KilledProcess", 3, nil, nil, killedProcess},
	{"StuckApplication", 3, bulky, nil, stuckApplication},
	{"SlowApplication", 3, slack, nil, slowApplication},
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range faults {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := defaults()
			if tt.tune != nil {
				tt.tune(&s)
			}
			n := build(t, tt.hosts)
			if tt.before != nil {
				tt.before(n)
			}
			n.populate(s)
			tt.happen(n)
			n.settle()
		})
	}
}

// patient timeouts do not pass because packets are late.
func patient(s *Spec) {
	s.Evasive, s.Expired, s.Gap = 5*time.Second, 30*time.Second, 10*time.Millisecond
}

// tenacious nodes do not give up one that takes nothing before it has expired.
func tenacious(s *Spec) { s.SendTimeout = s.Expired }

// small queues are full soon.
func small(s *Spec) { s.InboxLimit, s.SendLimit, s.Large = 64<<10, 64<<10, 32<<10 }

// bulky messages fill what the kernels have between two nodes, which can be
// tens of megabytes, in seconds.
func bulky(s *Spec) {
	small(s)
	s.Large = 1 << 20
}

// slack queues are as small, and nodes bear with one that takes what it can.
func slack(s *Spec) {
	small(s)
	s.Expired, s.SendTimeout = 8*time.Second, time.Minute
}

// line makes the lines of all hosts as bad as that.
func line(l netlab.Line) func(n *network) {
	return func(n *network) {
		for _, h := range n.hosts {
			h.Shape(l)
		}
	}
}

// exchange waits until everybody has had so many more messages of everybody.
func exchange(count uint64) func(n *network) {
	return func(n *network) {
		n.t.Helper()
		received := func(a, b *member) uint64 {
			p := a.sees(b)
			return p.Got[history.Whisper].Last + p.Got[history.Shout].Last
		}
		before := map[[2]*member]uint64{}
		for _, a := range n.alive {
			for _, b := range n.alive {
				before[[2]*member{a, b}] = received(a, b)
			}
		}
		n.until("messages pass", func() bool {
			for pair, had := range before {
				if pair[0] != pair[1] && received(pair[0], pair[1]) < had+count {
					return false
				}
			}
			return true
		})
	}
}

// unharmed: what the network does is nothing to TCP, and nobody exits.
func unharmed(n *network) {
	n.t.Helper()
	exchange(300)(n)
	n.unbroken()
}

// loss of three packets in ten, both ways, on the line of one host.
func loss(n *network) {
	n.hosts[0].Loss(30)
	exchange(40)(n)
}

// loses waits until another exits for a node; it may be back already.
func (n *network) loses(a, b *member) {
	n.t.Helper()
	n.until(b.spec.Name+" exits for "+a.spec.Name, func() bool {
		p := a.sees(b)
		return p.Enters > 0 && !p.Present || p.Enters > 1
	})
}

// apart waits until two nodes have lost each other.
func (n *network) apart(a, b *member) {
	n.t.Helper()
	n.loses(a, b)
	n.loses(b, a)
}

// unbroken checks that no node has ever exited for any other.
func (n *network) unbroken() {
	n.t.Helper()
	for _, a := range n.alive {
		for _, b := range n.alive {
			if enters := a.sees(b).Enters; a != b && enters != 1 {
				n.t.Errorf("%s entered %d times for %s", b.spec.Name, enters, a.spec.Name)
			}
		}
	}
}

// shortPartition: it heals before anybody has expired, so nobody exits and
// nothing is lost.
func shortPartition(n *network) {
	a, b := n.alive[0], n.alive[1]
	n.lab.Partition(n.hosts[0], n.hosts[1])
	n.until("both are evasive", func() bool { return a.sees(b).Notes[evasive] > 0 && b.sees(a).Notes[evasive] > 0 })
	n.lab.Heal()
	exchange(50)(n)
	n.unbroken()
}

// enduring nodes do not give up anybody.
func enduring(s *Spec) {
	s.Expired = time.Hour
	tenacious(s)
}

// outage: that a connection is dead is for the nodes to say, and not for the
// kernel after so many retransmissions.
func outage(n *network) {
	n.lab.Partition(n.hosts[0], n.hosts[1])
	time.Sleep(20 * time.Second) // more than sixteen of them, once a second
	n.lab.Heal()
	exchange(50)(n)
	n.unbroken()
}

// longPartition: two halves of two hosts each, for longer than the timeout.
func longPartition(n *network) {
	for _, left := range n.hosts[:2] {
		for _, right := range n.hosts[2:] {
			n.lab.Partition(left, right)
		}
	}
	for _, left := range n.alive[:2] {
		for _, right := range n.alive[2:] {
			n.apart(left, right)
		}
	}
	n.lab.Heal()
}

// asymmetricPartition: one hears the other, who does not hear it.
func asymmetricPartition(n *network) {
	n.lab.Block(n.hosts[0], n.hosts[1])
	n.apart(n.alive[0], n.alive[1])
	n.lab.Heal()
}

// resetConnections ends single connections in the midst of talk.
func resetConnections(n *network) {
	line(netlab.Line{Reset: 10})(n)
	exchange(150)(n)
	line(netlab.Line{})(n)
}

func linkFlaps(n *network) {
	flap := time.NewTicker(300 * time.Millisecond)
	defer flap.Stop()
	for range 12 {
		n.hosts[0].LinkDown()
		<-flap.C
		n.hosts[0].LinkUp()
		<-flap.C
	}
}

// addressChange: the host has another address from now on, and its node goes
// on as it is.
func addressChange(n *network) {
	moved, other := n.alive[0], n.alive[1]
	n.hosts[0].SetAddr(netip.MustParseAddr("10.77.0.200"))
	n.apart(moved, other)
}

// hostVanishes: no FIN, no answer. The others see the peer fade; so does it
// see them.
func hostVanishes(n *network) {
	gone := n.alive[0]
	n.hosts[0].Vanish()
	n.lose(gone, nil, history.Died)
	for _, m := range n.alive {
		n.loses(m, gone)
		if p := m.sees(gone); p.Notes[evasive] == 0 || p.Notes[silent] == 0 || p.Enters != 1 {
			n.t.Errorf("%s saw %+v", m.spec.Name, p)
		}
	}
	n.until("the lonely node knows nobody", func() bool { return len(gone.life().View()) == 0 })
	n.lose(gone, gone.life(), history.Died)
}

// stoppedProcess: it does not run for longer than the timeout, then goes on
// as if nothing had been.
func stoppedProcess(n *network) {
	stopped := n.alive[0]
	stopped.signal(syscall.SIGSTOP)
	for _, m := range n.alive[1:] {
		n.loses(m, stopped)
	}
	stopped.signal(syscall.SIGCONT)
}

// killedProcess: the others are told, and know its successor on the same host.
func killedProcess(n *network) {
	killed := n.alive[0]
	killed.kill()
	n.lose(killed, nil, history.Died)
	for _, m := range n.alive {
		n.loses(m, killed)
	}
	n.alive = append(n.alive, launch(n.t, killed.host).start(killed.host, killed.spec))
}

// stuckApplication: it reads nothing for so long that the others give up its
// node. Its memory stays within its limit, and the others go on.
func stuckApplication(n *network) {
	stuck := n.alive[0]
	stuck.behave(Mode{Stuck: true})
	for _, m := range n.alive[1:] {
		n.loses(m, stuck)
	}
	// What each of two peers has sent at last may come on top of the limit.
	if s := stuck.stats(); s.InboxBytes > 3*stuck.spec.InboxLimit+2*stuck.spec.Large {
		n.t.Errorf("the inbox of a stuck application holds %d bytes", s.InboxBytes)
	}
	stuck.behave(Mode{})
}

// slowApplication reads for longer than the expired timeout what others send
// faster, and says nothing: back-pressure makes them as slow, and nobody exits.
func slowApplication(n *network) {
	slow := n.alive[0]
	slow.behave(Mode{Quiet: true, Slow: 20 * time.Millisecond})
	begin, before := time.Now(), slow.messages()
	n.until("the slow application has worked for long", func() bool {
		return time.Since(begin) > 2*slow.spec.Expired && slow.messages() > before+100
	})
	n.unbroken()
	slow.behave(Mode{})
}

// messages counts those that were received since their senders entered.
func (m *member) messages() (count uint64) {
	m.t.Helper()
	for _, p := range m.life().Peers {
		for _, g := range p.Got {
			count += g.Fresh
		}
	}
	return count
}
