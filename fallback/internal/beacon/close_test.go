package beacon

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gozyre/zyre/internal/netif"
	"github.com/gozyre/zyre/internal/testport"
)

func TestGoodbyeIsTheLast(t *testing.T) {
	links, port := loopback(t), testport.Next()
	alice := startNode(t, configure("alice", port, never), links)
	bob := startNode(t, configure("bob", port, 10*time.Millisecond), links)
	alice.seesNode("bob")
	bob.Goodbye(payload(uuidOf("bob"), 0)(links[0]))
	bob.Goodbye(payload(uuidOf("bob"), 0)(links[0]))
	alice.sees("bob's goodbye", func(s Sighting) bool { return s.Beacon.Port == 0 })
	// While Carol sends many, Bob sends nothing: neither a beacon nor a
	// second goodbye.
	startNode(t, configure("carol", port, 10*time.Millisecond), links)
	for range 10 {
		alice.sees("carol", func(s Sighting) bool {
			if name(s.Beacon.UUID) == "bob" {
				t.Errorf("after its goodbye bob sent %+v", s)
			}
			return name(s.Beacon.UUID) == "carol"
		})
	}
	bob.seesNode("carol")
}

// A beacon that falls due while the goodbye is sent must not follow it.
func TestGoodbyeWinsAgainstBeacon(t *testing.T) {
	links, port := loopback(t), testport.Next()
	cfg := configure("alice", port, never)
	sent, datagram := 0, cfg.Payload(links[0])
	cfg.Payload = func(netif.Link) []byte { sent++; return datagram }
	alice := startNode(t, cfg, links)
	alice.Goodbye(datagram)
	<-alice.done
	before := sent
	alice.announce()
	alice.adopt(nil)
	alice.adopt(links)
	if sent != before {
		t.Error("a beacon was sent after the goodbye")
	}
}

// The reader may be at work on a list that has the cancelled one in it.
func TestNothingIsToldAfterCancel(t *testing.T) {
	told := 0
	e := endpoint{port: testport.Next()}
	s, err := subscribe(e, uuidOf("alice"), func(Sighting) { told++ })
	if err != nil {
		t.Fatal(err)
	}
	sighting := &Sighting{}
	sighting.Beacon.UUID = uuidOf("bob")
	s.deliver(sighting)
	s.cancel()
	s.deliver(sighting)
	if told != 1 {
		t.Errorf("told %d times, want once before cancel", told)
	}
}

// Nothing is told after Close, in a storm of beacons and closings.
func TestCloseWhileReceiving(t *testing.T) {
	links, port := loopback(t), testport.Next()
	storm, err := Start(configure("storm", port, time.Millisecond), links, func(Sighting) {})
	if err != nil {
		t.Fatal(err)
	}
	defer storm.Close()
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for range 25 {
				var closed atomic.Bool
				heard := make(chan struct{}, 1)
				a, err := Start(configure(fmt.Sprintf("node %d", i), port, time.Millisecond), links, func(Sighting) {
					if closed.Load() {
						t.Error("seen was called after Close")
					}
					select {
					case heard <- struct{}{}:
					default:
					}
				})
				if err != nil {
					t.Error(err)
					return
				}
				<-heard
				var closers sync.WaitGroup
				closers.Go(func() { a.Close() })
				a.Close()
				closed.Store(true)
				closers.Wait()
			}
		})
	}
	group.Wait()
}

func TestNothingIsLeftBehind(t *testing.T) {
	links := loopback(t)
	descriptors := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(entries)
	}
	port := testport.Next()
	startNode(t, configure("warm up", port, never), links).Close()
	goroutines, files := runtime.NumGoroutine(), descriptors()
	var nodes []*node
	for i := range 10 {
		nodes = append(nodes, startNode(t, configure(fmt.Sprintf("node %d", i), port, time.Millisecond), links))
	}
	nodes[0].seesNode("node 9")
	for i, n := range nodes {
		if i%2 == 0 {
			n.Goodbye(payload(n.cfg.Self, 0)(links[0]))
		}
		n.Close()
		n.Goodbye(payload(n.cfg.Self, 0)(links[0])) // too late, and harmless
	}
	eventually(t, "as many goroutines as before", func() bool { return runtime.NumGoroutine() <= goroutines })
	eventually(t, "as many descriptors as before", func() bool { return descriptors() <= files })
	receivers.Lock()
	defer receivers.Unlock()
	for e := range receivers.open {
		if e.port == port {
			t.Errorf("receiver %+v is still registered", e)
		}
	}
}
