//go:build linux

package faults

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gozyre/zyre/internal/history"
	"github.com/gozyre/zyre/internal/netlab"
)

var soakTime = flag.Duration("soak", 15*time.Second, "how long TestSoak lets nodes come and go")

// soak is nodes that come and go, and what has been counted of them.
type soak struct {
	*network
	fate     history.Fate // of those that are stopped
	end      time.Time
	over     atomic.Bool  // before its time, because something is wrong
	stopped  atomic.Int64 // nodes that were stopped, and started again or anew
	killed   atomic.Int64 // processes, with the nodes in them
	breaks   atomic.Int64 // faults of the network
	pastLock sync.Mutex
}

// TestSoak lets nodes come and go at random, in processes that live and in
// processes that are killed, while all send to all and the network drops
// packets, is partitioned and flaps. In the end all is well, and what the
// processes use that lived is what they used in the beginning.
func TestSoak(t *testing.T) {
	t.Parallel()
	spec := defaults()
	spec.Gap, spec.Large = 20*time.Millisecond, 20<<10
	n := build(t, 4)
	line(netlab.Line{})(n)
	n.populate(spec)
	stable := append([]*member(nil), n.alive...)
	before := figures(stable)
	s := &soak{network: n, fate: history.Died, end: time.Now().Add(*soakTime)}

	var all sync.WaitGroup
	s.churnAll(&all, stable)
	for _, h := range n.hosts[:2] {
		all.Go(func() { s.kill(h, spec) })
	}
	all.Go(s.breakNetwork)
	if lost := s.watch(&all, stable); lost != "" {
		t.Error(lost)
	}
	n.settle()
	t.Logf("%v: %d restarts, %d killed processes, %d network faults", *soakTime, s.stopped.Load(), s.killed.Load(), s.breaks.Load())
	s.flat(stable, before)
}

// TestRestarts stops and starts nodes on a good network, where nothing of what
// they have sent may be lost.
func TestRestarts(t *testing.T) {
	t.Parallel()
	spec := defaults()
	spec.Evasive, spec.Expired = 5*time.Second, 30*time.Second // what happens is not by timeouts
	n := build(t, 3)
	n.populate(spec)
	s := &soak{network: n, fate: history.Left, end: time.Now().Add(min(*soakTime, 10*time.Second))}
	var all sync.WaitGroup
	s.churnAll(&all, append([]*member(nil), n.alive...))
	all.Wait()
	n.settle()
	t.Logf("%d restarts", s.stopped.Load())
}

// churnAll lets two nodes come and go in each process.
func (s *soak) churnAll(all *sync.WaitGroup, stable []*member) {
	for _, m := range stable {
		for i := range 2 {
			all.Go(func() { s.churn(m, fmt.Sprint(m.spec.Name, "-", i)) })
		}
	}
}

// goesOn tells whether there is time left.
func (s *soak) goesOn() bool { return !s.over.Load() && time.Now().Before(s.end) }

// life is a random length of one.
func life() <-chan time.Time { return time.After(100*time.Millisecond + rand.N(1500*time.Millisecond)) }

// churn starts and stops a node in the process of another, over and over: the
// same node again, or a new one.
func (s *soak) churn(host *member, name string) {
	spec := host.spec
	spec.Name = name
	for s.goesOn() {
		if err := host.call("Begin", spec, &history.ID{}); err != nil {
			s.t.Errorf("start %s: %v", name, err)
			return
		}
		<-life()
		ended := &history.Life{}
		if err := host.call("End", name, ended); err != nil {
			s.t.Errorf("stop %s: %v", name, err)
			return
		}
		s.stopped.Add(1)
		s.ended(ended)
		if rand.IntN(2) == 0 {
			if err := host.call("Drop", name, &None{}); err != nil {
				s.t.Errorf("close %s: %v", name, err)
				return
			}
		}
	}
	host.call("Drop", name, &None{})
}

// ended keeps the history of a node that was stopped.
func (s *soak) ended(l *history.Life) {
	s.pastLock.Lock()
	defer s.pastLock.Unlock()
	s.past = append(s.past, history.Ended{Life: l, Fate: s.fate})
}

// kill starts processes with a node and kills them.
func (s *soak) kill(h *netlab.Host, spec Spec) {
	spec.Name = h.Name() + "-killed"
	for s.goesOn() {
		p, err := spawn(s.t, h)
		if err == nil {
			err = p.call("Begin", spec, &history.ID{})
		}
		if err != nil {
			s.t.Errorf("a process to kill: %v", err)
			return
		}
		<-life()
		p.kill()
		p.close()
		s.killed.Add(1)
	}
}

// breakNetwork makes one fault after the other, and ends all.
func (s *soak) breakNetwork() {
	for s.goesOn() {
		a := rand.IntN(len(s.hosts))
		b := (a + 1 + rand.IntN(len(s.hosts)-1)) % len(s.hosts)
		switch rand.IntN(7) {
		case 0:
			s.lab.Partition(s.hosts[a], s.hosts[b])
		case 1:
			s.lab.Block(s.hosts[a], s.hosts[b])
		case 2:
			s.hosts[a].LinkDown()
		case 3:
			s.hosts[a].Shape(netlab.Line{Reset: 20})
		case 4:
			s.hosts[a].Shape(netlab.Line{Delay: 20 * time.Millisecond, Jitter: 10 * time.Millisecond, Reorder: 10, Duplicate: 10})
		default:
			s.hosts[a].Loss(5 + rand.IntN(10))
		}
		s.breaks.Add(1)
		<-life()
		s.hosts[a].LinkUp()
		s.lab.Heal()
		s.hosts[a].Shape(netlab.Line{})
		if rand.IntN(3) == 0 {
			s.hosts[a].Loss(0)
		}
	}
	for _, h := range s.hosts {
		h.Loss(0)
	}
}

// watch waits for the end, or for a fault in a history: a long run is to fail
// at once.
func (s *soak) watch(all *sync.WaitGroup, stable []*member) string {
	done := make(chan struct{})
	go func() {
		all.Wait()
		close(done)
	}()
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return ""
		case <-tick.C:
		}
		for _, m := range stable {
			if l := m.life(); len(l.Faults) > 0 {
				s.over.Store(true)
				<-done
				return fmt.Sprintf("%s: %v", m.spec.Name, l.Faults)
			}
		}
	}
}

// figures are what the processes use.
func figures(members []*member) []Figures {
	all := make([]Figures, len(members))
	for i, m := range members {
		m.must("Figures", None{}, &all[i])
	}
	return all
}

// memoryLimit is how much more memory a process may use after a soak. What a
// life knows of all that ever were is in it.
const memoryLimit = 32 << 20

// flat checks that no process uses more than before.
func (s *soak) flat(stable []*member, before []Figures) {
	s.t.Helper()
	grown := func() string {
		for i, now := range figures(stable) {
			was := before[i]
			if now.Goroutines > was.Goroutines || now.Descriptors > was.Descriptors || now.Live > was.Live+memoryLimit {
				return fmt.Sprintf("%s uses %+v, and used %+v", stable[i].spec.Name, now, was)
			}
		}
		return ""
	}
	s.await("the processes are as they were", grown)
	for i, now := range figures(stable) {
		was := before[i]
		s.t.Logf("%s: goroutines %d → %d, descriptors %d → %d, memory %.1f → %.1f MiB", stable[i].spec.Name,
			was.Goroutines, now.Goroutines, was.Descriptors, now.Descriptors, mebibytes(was.Live), mebibytes(now.Live))
	}
}

func mebibytes(n int) float64 { return float64(n) / (1 << 20) }
