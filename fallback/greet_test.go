package fallback

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gozyre/zyre/fallback/internal/beacon"
	"github.com/gozyre/zyre/fallback/internal/zre"
	"github.com/gozyre/zyre/internal/hostile"
	"github.com/gozyre/zyre/internal/netif"
)

// caller opens connections to a presence without a network, as one node.
type caller struct {
	t  *testing.T
	pr *presence
	id UUID
}

// call opens a connection on which a node says HELLO and whispers a word.
func (c *caller) call(word string) *wire {
	return callFrom(c.t, c.pr, "127.0.0.1", slices.Concat(greets(c.id, 3000),
		hostile.Frame(hostile.More, hostile.Plain(byte(zre.KindWhisper), 2)), hostile.Frame(0, []byte(word))))
}

// callFrom opens a connection from an address and says something.
func callFrom(t *testing.T, pr *presence, addr string, what []byte) *wire {
	w := newWire(&net.TCPAddr{IP: net.ParseIP(addr), Port: 5000})
	t.Cleanup(w.end)
	pr.accept(w)
	w.say(what)
	synctest.Wait()
	return w
}

// shaken is what a node says to shake hands.
func shaken(id UUID) []byte {
	return slices.Concat(hostile.Greeting(1, "NULL"), hostile.Ready("DEALER", hostile.Identity(id)))
}

// greets is what a node says first that is at a port of loopback.
func greets(id UUID, port uint16, groups ...string) []byte {
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)
	return slices.Concat(shaken(id), hostile.Frame(0, hostile.HelloAt(at, groups...).Bytes(1)))
}

// withoutNetwork is a node that hears and can dial nobody.
func withoutNetwork(t *testing.T) (*Node, *presence) {
	t.Helper()
	node, err := New(testConfig("node", 0))
	if err != nil {
		t.Fatal(err)
	}
	pr := newPresence(node, node.UUID())
	pr.port, pr.links = 2000, []netif.Link{{Addr: netip.MustParseAddr("127.0.0.1")}}
	dialsNobody(pr)
	node.pr.Store(pr)
	return node, pr
}

// dialsNobody lets every dial wait for ever.
func dialsNobody(pr *presence) { pr.dials, pr.callbacks = make(chan struct{}), make(chan struct{}) }

// unread is a connection that somebody has opened and nobody reads.
func unread(pr *presence) *inbound {
	return &inbound{pr: pr, conn: &line{Conn: newWire(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5000})}}
}

// TestHelloSaysWhere: a node that was found at an address where it was not
// reached is dialled where it says that it is, unless the user has said where.
func TestHelloSaysWhere(t *testing.T) {
	id, elsewhere := UUID{7}, netip.MustParseAddrPort("127.0.0.9:3000")
	for name, tt := range map[string]struct {
		find func(*Node, *presence) error
		want string
	}{
		"by nobody": {func(*Node, *presence) error { return nil }, "tcp://127.0.0.1:3000"},
		"by beacon": {func(_ *Node, pr *presence) error {
			pr.sighted(beacon.Sighting{Beacon: zre.Beacon{UUID: id, Port: elsewhere.Port()}, From: elsewhere})
			return nil
		}, "tcp://127.0.0.1:3000"},
		"by gossip": {func(_ *Node, pr *presence) error {
			pr.gossiped(hexID(id), "tcp://"+elsewhere.String())
			return nil
		}, "tcp://127.0.0.1:3000"},
		"by the user": {func(n *Node, _ *presence) error {
			return n.RequirePeer(id, "tcp://"+elsewhere.String(), "")
		}, "tcp://127.0.0.9:3000"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				node, pr := withoutNetwork(t)
				defer node.Close()
				if err := tt.find(node, pr); err != nil {
					t.Fatal(err)
				}
				c := &caller{t, pr, id}
				defer c.call("word").Close()
				if p, ok := node.Peer(id); !ok || p.Endpoint != tt.want {
					t.Errorf("it is %+v, not at %s", p, tt.want)
				}
			})
		})
	}
}

// TestLaterConnectionCounts: a connection broke at the end of the node that
// opened it, which said HELLO on another. What it had said on the first must
// not come in later than what it says now. The HELLOs wait for each other, as
// they come in quick succession.
func TestLaterConnectionCounts(t *testing.T) {
	for range 20 { // who waits until the same instant goes on in any order
		synctest.Test(t, func(t *testing.T) {
			node, pr := withoutNetwork(t)
			defer node.Close()

			c := &caller{t, pr, UUID{7}}
			for _, word := range []string{"first", "broken", "broken too", "last"} {
				defer c.call(word).end()
			}
			time.Sleep(3 * helloInterval)
			synctest.Wait()
			var words []string
			for {
				var ev Event
				if !node.inbox.pop(&ev) {
					break
				}
				if ev.Kind == Whisper {
					words = append(words, string(ev.Msg[0]))
				}
			}
			if !slices.Equal(words, []string{"first", "last"}) {
				t.Errorf("heard %q", words)
			}
		})
	}
}
