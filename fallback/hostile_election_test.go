//go:build linux

package fallback

import (
	"testing"
	"testing/synctest"

	"github.com/gozyre/zyre/fallback/internal/zre"
	"github.com/gozyre/zyre/internal/hostile"
	"github.com/gozyre/zyre/internal/testport"
)

// terms are elections that a peer begins, and wins at once.
func terms(count int, id UUID, next func() uint16) (all []byte) {
	for range count {
		all = append(all, hostile.Frame(0, hostile.Vote(byte(zre.KindElect), next(), "G", hexID(id)))...)
		all = append(all, hostile.Frame(0, hostile.Vote(byte(zre.KindLeader), next(), "G", hexID(id)))...)
	}
	return all
}

// A peer that takes no votes is given up in the middle of the election that it
// has begun, whichever vote it is that finds no room.
func TestElectionOfOneThatTakesNothing(t *testing.T) {
	for _, contests := range [][]string{nil, {"G"}} {
		for before := range 3 {
			synctest.Test(t, func(t *testing.T) {
				node, pr := withoutNetwork(t)
				defer node.Close()
				node.cfg.Contests = contests
				if err := node.Join("G"); err != nil {
					t.Fatal(err)
				}
				c := &caller{t, pr, UUID{15: 1}} // lower than any other
				w := c.call("hello")
				defer w.end()
				seq := uint16(3)
				next := func() uint16 { seq++; return seq }
				w.say(hostile.Frame(0, append(hostile.Named(byte(zre.KindJoin), 3, "G"), 1)))
				for range before { // whose answers take some room
					w.say(hostile.Frame(0, hostile.Plain(byte(zre.KindPing), next())))
				}
				for range 500 {
					w.say(terms(1, c.id, next))
					synctest.Wait()
				}
				if len(node.Peers()) != 0 {
					t.Error("it is still there")
				}
			})
		}
	}
}

// Leaders count for the room in the inbox as messages do: who makes an
// application hear of one after the other has to wait for it.
func TestLeadersWaitForRoom(t *testing.T) {
	cfg := testConfig("node", testport.Next())
	cfg.InboxLimit = 64 << 10
	n := startNode(t, cfg)
	if err := n.Join("G"); err != nil {
		t.Fatal(err)
	}
	scene := sceneOf(n)
	t.Cleanup(scene.Close)
	c, err := scene.Enter("G")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, n, Enter)
	go c.Send(terms(10_000, c.ID, c.Next))
	p := n.pr.Load().entered.get(c.ID)
	eventually(t, "it is held back", p.heldBack)
	if s := n.Stats(); s.InboxBytes > 2*cfg.InboxLimit {
		t.Errorf("%d events of %d bytes are unread", s.InboxEvents, s.InboxBytes)
	}
}
