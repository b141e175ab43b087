package gossip

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// These tests run on the clock of a bubble, over inproc: when everything
// waits, all tuples have arrived. A bubble also fails if a goroutine is left.

// settle lets pass what takes a moment, such as to connect, and then waits
// until nothing moves any more.
func settle() {
	time.Sleep(5 * time.Second)
	synctest.Wait()
}

// complete checks that every node has heard of all others, and not of itself.
func complete(t *testing.T, nodes ...*node) {
	t.Helper()
	for i, n := range nodes {
		for j := range nodes {
			if got, want := n.has(keyOf(j), valueOf(j)), i != j; got != want {
				t.Errorf("node %d knows of %d: %v", i, j, got)
			}
		}
	}
}

func TestTwoNodesAndAHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := named(t, 0, "inproc://hub")
		a, b := named(t, 1, "", hub.hub()), named(t, 2, "", hub.hub())
		settle()
		complete(t, hub, a, b)
		if n := hub.Refused() + a.Refused() + b.Refused(); n != 0 {
			t.Errorf("%d refused", n)
		}
	})
}

func TestChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := []*node{named(t, 0, "inproc://0")}
		for i := 1; i < 5; i++ {
			nodes = append(nodes, named(t, i, fmt.Sprint("inproc://", i), nodes[i-1].hub()))
		}
		settle()
		complete(t, nodes...)
	})
}

// ring starts three hubs, each a client of the next.
func ring(t *testing.T) []*node {
	var nodes []*node
	for i := range 3 {
		nodes = append(nodes, named(t, i, fmt.Sprint("inproc://", i), fmt.Sprint("inproc://", (i+1)%3)))
	}
	return nodes
}

func TestRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := ring(t)
		nodes = append(nodes, named(t, 3, "", "inproc://0"), named(t, 4, "", "inproc://1", "inproc://2"))
		settle()
		complete(t, nodes...)
	})
}

// Values that change while the former ones are still on the way round must
// neither chase each other for ever nor leave the hubs with different ones.
func TestRingAgreesOnTheLastValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := ring(t)
		settle()
		for i := 1; i <= 3; i++ {
			nodes[0].Publish(keyOf(0), valueOf(100*i))
		}
		settle()
		before := nodes[1].count(keyOf(0)) + nodes[2].count(keyOf(0))
		settle()
		if after := nodes[1].count(keyOf(0)) + nodes[2].count(keyOf(0)); after != before {
			t.Errorf("%d deliveries, and then %d", before, after)
		}
		for i, n := range nodes {
			if got := n.tuples()[keyOf(0)]; got != valueOf(300) {
				t.Errorf("node %d has %s", i, got)
			}
		}
	})
}

// Two who publish the same key at different hubs of a ring.
func TestRingWithAConflictComesToRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := ring(t)
		settle()
		a, b := dial(t, "inproc://0"), dial(t, "inproc://1")
		a.say(kindPublish, tuple{keyOf(9), valueOf(1)})
		b.say(kindPublish, tuple{keyOf(9), valueOf(2)})
		settle()
		counts := func() (all []int) {
			for _, n := range nodes {
				all = append(all, n.count(keyOf(9)))
			}
			return all
		}
		before := counts()
		settle()
		if after := counts(); !slices.Equal(before, after) || slices.Max(after) > 10 {
			t.Errorf("deliveries %v, and then %v", before, after)
		}
	})
}

func TestLateJoinerGetsTheTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := named(t, 0, "inproc://hub")
		a := named(t, 1, "", hub.hub())
		settle()
		a.Close()
		synctest.Wait()
		late := named(t, 2, "", hub.hub())
		settle()
		late.knows(t, 0, 1)
	})
}

func TestHubStartsLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := named(t, 1, "", "inproc://hub"), named(t, 2, "", "inproc://hub")
		settle()
		hub := named(t, 0, "inproc://hub")
		settle()
		complete(t, hub, a, b)
	})
}

func TestHubRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := named(t, 0, "inproc://hub")
		a, b := named(t, 1, "", hub.hub()), named(t, 2, "", hub.hub())
		settle()
		hub.Close()
		settle()
		hub = named(t, 3, "inproc://hub")
		c := named(t, 4, "", hub.hub())
		settle()
		hub.knows(t, 0, 1, 2, 4)
		for _, n := range []*node{a, b} {
			n.knows(t, 3, 4)
		}
		c.knows(t, 0, 1, 2, 3)
	})
}

func TestUnpublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := start(t, "inproc://hub")
		a := named(t, 1, "", hub.hub())
		settle()
		a.Unpublish(keyOf(1))
		hub.Unpublish(keyOf(1))
		// Neither the hub nor the node itself, when it connects anew, tells.
		hub.Gossip.mu.Lock()
		for l := range hub.links {
			l.close()
		}
		hub.Gossip.mu.Unlock()
		late := start(t, "", hub.hub())
		settle()
		if late.count(keyOf(1)) != 0 || hub.tuples()[keyOf(1)] != "" {
			t.Error("still published")
		}
		a.Publish(keyOf(1), valueOf(2))
		settle()
		late.awaits(t, keyOf(1), valueOf(2))
	})
}

func TestEchoOfAWithdrawnTuple(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, a := byHand(t, 1)
		hub.expect(kindPublish, tuple{keyOf(1), valueOf(1)})
		a.Unpublish(keyOf(1))
		hub.publish(1)
		hub.publish(2)
		settle()
		a.knows(t, 2)
		if a.count(keyOf(1)) != 0 || a.tuples()[keyOf(1)] != "" {
			t.Error("an echo brings the tuple back")
		}
	})
}

func TestNobodyElsePublishesOurKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := named(t, 0, "inproc://hub")
		thief := dial(t, hub.hub())
		thief.say(kindPublish, tuple{keyOf(0), valueOf(666)})
		thief.answered()
		late := start(t, "", hub.hub())
		settle()
		if hub.count(keyOf(0)) != 0 {
			t.Error("the node is told of itself")
		}
		late.knows(t, 0)
	})
}

func TestLostNodesAreLookedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := named(t, 0, "inproc://hub")
		a := named(t, 1, "", hub.hub())
		settle()
		before := a.count(keyOf(0))
		settle()
		if a.count(keyOf(0)) != before {
			t.Error("delivered again without need")
		}
		a.Found(keyOf(0))
		a.Lost(keyOf(0))
		time.Sleep(10*again + again/2)
		synctest.Wait()
		during := a.count(keyOf(0))
		if during != before+10 {
			t.Errorf("%d deliveries while it was lost", during-before)
		}
		a.Found(keyOf(0))
		settle()
		if a.count(keyOf(0)) != during {
			t.Error("delivered again though it is found")
		}
		a.Lost(keyOf(0))
		time.Sleep(keepLost + 2*again)
		synctest.Wait()
		if a.tuples()[keyOf(0)] != "" {
			t.Error("it is never forgotten")
		}
	})
}

// A tuple of a dead node must not live on because newcomers hand it round.
func TestNewcomersDoNotHearOfTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := named(t, 0, "inproc://hub")
		a := named(t, 1, "", hub.hub())
		named(t, 2, "", hub.hub()).Close()
		dead := named(t, 3, "", hub.hub())
		settle()
		dead.Close()
		a.Lost(keyOf(3))
		hub.Lost(keyOf(3))
		late := named(t, 4, "", hub.hub())
		settle()
		if late.knows(t, 0, 1); late.count(keyOf(3)) != 0 {
			t.Error("told of the dead")
		}
		// It was not dead: whoever came meanwhile must hear of it.
		named(t, 3, "", hub.hub())
		settle()
		late.knows(t, 3)
	})
}

func TestCloseInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// One hub does not take the connection, one does not shake hands.
		silent := listen(t, "inproc://silent")
		listen(t, "inproc://deaf")
		n := named(t, 1, "inproc://hub", "inproc://deaf", "inproc://silent", "inproc://nobody", "inproc://hub")
		conn, err := silent.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		synctest.Wait()
		begin := time.Now()
		n.Close()
		n.Close()
		if d := time.Since(begin); d != 0 {
			t.Errorf("Close took %v", d)
		}
		n.Publish(keyOf(1), valueOf(1)) // whoever comes too late does no harm
		n.Lost(keyOf(2))
		n.Unpublish(keyOf(1))
	})
}

func TestBindFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		taken := start(t, "inproc://taken")
		cfg := taken.cfg
		cfg.Bind = []string{"inproc://free", "inproc://taken"}
		if g, err := Start(t.Context(), cfg); err == nil || g != nil {
			t.Fatal(g, err)
		}
		start(t, "inproc://free")
	})
}
