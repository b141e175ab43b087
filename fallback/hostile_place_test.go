//go:build linux

package fallback

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gozyre/zyre/fallback/internal/beacon"
	"github.com/gozyre/zyre/fallback/internal/zre"
	"github.com/gozyre/zyre/internal/hostile"
	"github.com/gozyre/zyre/internal/key"
	"github.com/gozyre/zyre/internal/testport"
)

// A stranger from another address who wants the place of a node: its UUID, its
// endpoint, its connection or its share.

const strangersAddr = "127.6.6.6"

// A stranger says that he is where a node is to come, and goes on talking. He
// can connect from elsewhere alone, and so has to go when it comes.
func TestEndpointTakenBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node, pr := withoutNetwork(t)
		defer node.Close()
		bad := callFrom(t, pr, strangersAddr, greets(UUID{6}, 3000))
		time.Sleep(2 * helloInterval)
		bad.say(hostile.Frame(0, hostile.Plain(byte(zre.KindPing), 2)))
		callFrom(t, pr, "127.0.0.1", greets(UUID{1}, 3000))
		if _, ok := node.Peer(UUID{1}); !ok {
			t.Errorf("who comes from there is refused: %+v", node.Stats())
		}
		if _, ok := node.Peer(UUID{6}); ok {
			t.Error("the stranger is still there")
		}
	})
}

// halfBroken is a peer that has whispered a word, and whose connection has just
// broken. Ours to it is up.
func halfBroken(t *testing.T, pr *presence, id UUID) *peer {
	w := (&caller{t, pr, id}).call("word")
	pr.mu.Lock()
	p := pr.peers[id]
	p.dialled, p.greeted = true, true
	pr.mu.Unlock()
	time.Sleep(2 * helloInterval)
	w.end()
	synctest.Wait()
	return p
}

// The connection of a peer has just broken, ours to it is up: a stranger from
// elsewhere can neither take its place nor have it removed.
func TestPlaceThatIsFreeForAMoment(t *testing.T) {
	for name, more := range map[string][]byte{
		"HELLO":           hostile.Frame(0, hostile.HelloAt(netip.MustParseAddrPort(strangersAddr+":3000")).Bytes(1)),
		"any message":     hostile.Frame(0, hostile.Plain(byte(zre.KindPing), 9)),
		"the next number": slices.Concat(hostile.Frame(hostile.More, hostile.Plain(hostile.KindWhisper, 3)), hostile.Frame(0, []byte("forged"))),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				node, pr := withoutNetwork(t)
				defer node.Close()
				p := halfBroken(t, pr, UUID{1})
				callFrom(t, pr, strangersAddr, slices.Concat(shaken(p.id), more))
				time.Sleep(verifyTimeout / 2)
				p.touch() // it shows that it is there, on its next connection
				time.Sleep(2 * verifyTimeout)
				for _, want := range []Kind{Enter, Whisper} {
					if ev := expect(t, node, want); ev.Kind == Whisper && string(ev.Msg[0]) != "word" {
						t.Errorf("the message is %q", ev.Msg)
					}
				}
				if n, _ := node.inbox.size(); n != 0 {
					t.Errorf("%d events more", n)
				}
			})
		})
	}
}

// A peer that has moved says something from its new address: nobody answers at
// the old one, and so it gets a HELLO.
func TestPeerThatHasMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node, pr := withoutNetwork(t)
		defer node.Close()
		id := halfBroken(t, pr, UUID{1}).id
		callFrom(t, pr, strangersAddr, slices.Concat(shaken(id), hostile.Frame(0, hostile.Plain(byte(zre.KindPing), 9))))
		expect(t, node, Exit)
		pr.mu.Lock()
		defer pr.mu.Unlock()
		if p := pr.peers[id]; p == nil || p.greeted {
			t.Error("it is not dialled with a HELLO")
		}
	})
}

// What one address may announce is not used up by another.
func TestAllowanceIsOfWhoAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node, pr := withoutNetwork(t)
		defer node.Close()
		for i := range uint16(sourceBurst) {
			callFrom(t, pr, strangersAddr, greets(UUID{6, byte(i >> 8), byte(i)}, 3000+i))
		}
		callFrom(t, pr, "127.0.0.1", greets(UUID{1}, 2999))
		if _, ok := node.Peer(UUID{1}); !ok {
			t.Errorf("the first node of an address is refused: %+v", node.Stats())
		}
	})
}

// Addresses that take a connection and then say nothing do not keep a node from
// dialling one that has said HELLO.
func TestDialledAheadOfTheSilent(t *testing.T) {
	n := startNode(t, testConfig("node", testport.Next()))
	pr := n.pr.Load()
	for range maxDials { // as dials do that nobody answers, also some to who has said HELLO
		pr.dials <- struct{}{}
		pr.callbacks <- struct{}{}
	}
	honest := startNode(t, testConfig("honest", testport.Next()))
	if err := honest.RequirePeer(n.UUID(), pr.bound, ""); err != nil {
		t.Fatal(err)
	}
	expect(t, n, Enter)
	expect(t, honest, Enter)
}

// However many nodes beacons tell of, there is room for one that says HELLO.
func TestRoomBesideHearsay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node, pr := withoutNetwork(t)
		defer node.Close()
		for i := range uint16(2 * maxCandidates) {
			pr.sighted(beacon.Sighting{
				Beacon: zre.Beacon{UUID: UUID{9, byte(i >> 8), byte(i)}, Port: 2000 + i},
				From:   netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 6, 6, byte(i)}), 5670),
			})
		}
		callFrom(t, pr, "127.0.0.1", greets(UUID{1}, 2999))
		if _, ok := node.Peer(UUID{1}); !ok {
			t.Errorf("who says HELLO is refused: %+v", node.Stats())
		}
		pr.mu.Lock()
		defer pr.mu.Unlock()
		if n := len(pr.peers); n != maxCandidates+1 {
			t.Errorf("%d peers with those that nobody has heard of", n)
		}
	})
}

// With CURVE a peer is where its key was proved, wherever it connects from.
func TestClaimThatIsProved(t *testing.T) {
	_, pr := withoutNetwork(t)
	p := &peer{pr: pr, entered: true, dialled: true, from: netip.MustParseAddr(strangersAddr), at: tcpPlace(netip.MustParseAddrPort("127.0.0.1:3000"))}
	if !p.claims() {
		t.Error("without CURVE whoever listens there may be another")
	}
	pr.cfg.Keys = &key.Pair{}
	if p.claims() {
		t.Error("it has proved its key there")
	}
	if p.dialled = false; !p.claims() {
		t.Error("there is no connection on which it has proved anything")
	}
}

// A goodbye is forged for a peer that is slow to take what it is sent: before
// that it cannot show that it is there.
func TestGoodbyeOfABusyPeer(t *testing.T) {
	t.Parallel()
	cfg := slowConfig("node", testport.Next())
	cfg.SendTimeout = time.Hour
	n := startNode(t, cfg)
	scene := sceneOf(n)
	t.Cleanup(scene.Close)
	peer, err := scene.EnterWith(hostile.Deaf)
	if err != nil {
		t.Fatal(err)
	}
	enter := expect(t, n, Enter)
	go func() {
		for n.Whisper(peer.ID, make([]byte, 10<<10)) == nil {
		}
	}()
	p := n.pr.Load().entered.get(peer.ID)
	eventually(t, "it takes nothing", func() bool { return !p.out.stuckSince().IsZero() })
	begun := time.Now()
	n.pr.Load().sighted(beacon.Sighting{Beacon: zre.Beacon{UUID: peer.ID}, From: netip.MustParseAddrPort(enter.Addr[len("tcp://"):])})
	if expect(t, n, Exit); time.Since(begun) < verifyTimeout+busyTimeout/2 {
		t.Errorf("removed %v after the goodbye", time.Since(begun))
	}
}

// The UUID of all zeros belongs to no node: in elections it stands for nobody.
func TestNobodyIsNoPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node, pr := withoutNetwork(t)
		defer node.Close()
		callFrom(t, pr, "127.0.0.1", greets(UUID{}, 3000))
		pr.sighted(beacon.Sighting{Beacon: zre.Beacon{Port: 3001}, From: netip.MustParseAddrPort("127.0.0.1:5670")})
		pr.mu.Lock()
		defer pr.mu.Unlock()
		if len(pr.peers) > 0 {
			t.Errorf("%d peers", len(pr.peers))
		}
	})
}
