package fallback

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gozyre/zyre/internal/key"
	"github.com/gozyre/zyre/internal/testport"
)

func newKeys(t testing.TB) *key.Pair {
	t.Helper()
	p, err := key.New()
	if err != nil {
		t.Fatal(err)
	}
	return &p
}

func TestCurve(t *testing.T) {
	port := testport.Next()
	start := func(name string, keys *key.Pair, allowed ...[32]byte) *Node {
		cfg := testConfig(name, port)
		cfg.Keys, cfg.Allowed = keys, allowed
		return startNode(t, cfg)
	}
	aliceKeys, bobKeys, eveKeys := newKeys(t), newKeys(t), newKeys(t)
	plain := start("plain", nil)
	eve := start("eve", eveKeys)
	alice := start("alice", aliceKeys, aliceKeys.Public, bobKeys.Public)
	bob := start("bob", bobKeys, aliceKeys.Public, bobKeys.Public)
	if ev := expect(t, alice, Enter); ev.Name != "bob" || ev.Headers[keyHeader] != key.Encode(bobKeys.Public) {
		t.Fatalf("%+v", ev)
	}
	expect(t, bob, Enter)
	big := strings.Repeat("secret ", 1<<18)
	for range 100 {
		for _, msg := range []string{"x", "", big} {
			if err := alice.Whisper(bob.UUID(), []byte(msg), []byte("tail")); err != nil {
				t.Fatal(err)
			}
			if ev := expect(t, bob, Whisper); string(ev.Msg[0]) != msg || string(ev.Msg[1]) != "tail" {
				t.Fatalf("%d bytes arrived as %d", len(msg), len(ev.Msg[0]))
			}
		}
	}
	// Whoever has no certificate, or one that is not on the list, has met
	// nobody meanwhile.
	ctx, cancel := context.WithTimeout(context.Background(), 1500*time.Millisecond)
	defer cancel()
	for _, n := range []*Node{plain, eve} {
		if ev, err := n.Recv(ctx); err == nil {
			t.Errorf("%s got %+v", n.Name(), ev)
		}
	}
	if len(alice.Peers()) != 1 || len(bob.Peers()) != 1 {
		t.Errorf("alice has %d peers and bob %d", len(alice.Peers()), len(bob.Peers()))
	}
}

func TestGossip(t *testing.T) {
	for name, keys := range map[string]func() *key.Pair{"null": func() *key.Pair { return nil }, "curve": func() *key.Pair { return newKeys(t) }} {
		t.Run(name, func(t *testing.T) {
			hub := testConfig("hub", 0)
			hub.GossipBind, hub.Keys = []string{"inproc://hub-" + name}, keys()
			nodes := []*Node{startNode(t, hub)}
			for _, name := range []string{"a", "b", "c"} {
				cfg := testConfig(name, 0)
				cfg.Keys = keys()
				h := Hub{Endpoint: hub.GossipBind[0]}
				if hub.Keys != nil {
					h.Key = hub.Keys.Public
				}
				cfg.GossipConnect = []Hub{h}
				nodes = append(nodes, startNode(t, cfg))
			}
			for _, n := range nodes {
				for range 3 {
					expect(t, n, Enter)
				}
			}
			gone := nodes[3].UUID()
			nodes[3].Stop()
			for _, n := range nodes[:3] {
				if ev := expect(t, n, Exit); ev.Peer != gone {
					t.Errorf("%+v", ev)
				}
			}
		})
	}
}

func TestEndpoints(t *testing.T) {
	dir := t.TempDir()
	for _, endpoints := range [][2]string{
		{"tcp://127.0.0.1:*", "tcp://*:*"},
		{"inproc://one", "inproc://two"},
		{"ipc://" + dir + "/one", "ipc://" + dir + "/two"},
	} {
		t.Run(endpoints[0][:6], func(t *testing.T) {
			a, b := testConfig("a", 0), testConfig("b", 0)
			a.Endpoint, b.Endpoint = endpoints[0], endpoints[1]
			a.GossipBind = []string{"inproc://gossip" + endpoints[0][:4]}
			b.GossipConnect = []Hub{{Endpoint: a.GossipBind[0]}}
			x, y := startNode(t, a), startNode(t, b)
			expect(t, x, Enter)
			expect(t, y, Enter)
			if err := x.Whisper(y.UUID(), []byte("hello")); err != nil {
				t.Fatal(err)
			}
			expect(t, y, Whisper)
		})
	}
}
