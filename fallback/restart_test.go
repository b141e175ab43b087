package fallback

import (
	"fmt"
	"testing"

	"github.com/gozyre/zyre/internal/key"
	"github.com/gozyre/zyre/internal/testport"
)

// discovery is a way in which two nodes find each other: the configuration of
// each, on a network and around a hub of the test's own.
type discovery struct {
	name    string
	stays   func(cfg *Config, hub Hub)
	returns func(cfg *Config, hub Hub)
}

var discoveries = []discovery{
	{"beacon", byBeacon, byBeacon},
	{"multicast", byMulticast, byMulticast},
	{"gossip, the hub returns", connects, binds},
	{"gossip, a client returns", binds, connects},
	{"beacon beside gossip, the hub returns", byBoth(connects), byBoth(binds)},
	{"beacon beside gossip, a client returns", byBoth(binds), byBoth(connects)},
	{"multicast beside gossip", byBoth(byMulticast, binds), byBoth(byMulticast, connects)},
}

func byBeacon(*Config, Hub)          {}
func byMulticast(cfg *Config, _ Hub) { cfg.Multicast = []string{"239.255.56.70"} }
func binds(cfg *Config, hub Hub)     { cfg.GossipBind = []string{hub.Endpoint} }
func connects(cfg *Config, hub Hub)  { cfg.GossipConnect = []Hub{hub} }
func byBoth(ways ...func(*Config, Hub)) func(*Config, Hub) {
	return func(cfg *Config, hub Hub) {
		cfg.Beacon = true
		for _, way := range ways {
			way(cfg, hub)
		}
	}
}

// TestStopAndStart: however nodes find each other, one that stops takes leave
// at once, and when it starts again it is found as a new one, in the groups
// that it was in.
func TestStopAndStart(t *testing.T) {
	for _, d := range discoveries {
		for _, curve := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, CURVE %t", d.name, curve), func(t *testing.T) {
				t.Parallel()
				d.stopAndStart(t, curve)
			})
		}
	}
}

func (d *discovery) stopAndStart(t *testing.T, curve bool) {
	port := testport.Next()
	var keys [2]*key.Pair
	if curve {
		keys = [2]*key.Pair{newKeys(t), newKeys(t)}
	}
	configure := func(name string, own, other *key.Pair, way func(*Config, Hub)) Config {
		cfg := testConfig(name, port)
		hub := Hub{Endpoint: fmt.Sprintf("tcp://127.0.0.1:%d", port)}
		if cfg.Keys = own; curve {
			hub.Key = other.Public
			cfg.Allowed = [][32]byte{other.Public}
		}
		way(&cfg, hub)
		return cfg
	}
	stays := startNode(t, configure("stays", keys[0], keys[1], d.stays))
	returns := startNode(t, configure("returns", keys[1], keys[0], d.returns))
	returns.Join("G")
	lives := map[UUID]bool{}
	for round := range 4 {
		id := returns.UUID()
		lives[id] = true
		if ev := expect(t, stays, Enter); ev.Peer != id || ev.Name != "returns" {
			t.Fatalf("round %d: %+v", round, ev)
		}
		if ev := expect(t, returns, Enter); ev.Peer != stays.UUID() {
			t.Fatalf("round %d: %+v", round, ev)
		}
		if ev := expect(t, stays, Join); ev.Peer != id || ev.Group != "G" {
			t.Fatalf("round %d: %+v", round, ev)
		}
		text := fmt.Sprint("round ", round)
		if err := returns.Whisper(stays.UUID(), []byte(text)); err != nil {
			t.Fatal(err)
		}
		if ev := expect(t, stays, Whisper); ev.Peer != id || string(ev.Msg[0]) != text {
			t.Fatalf("round %d: %+v", round, ev)
		}
		if err := stays.Shout("G", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if ev := expect(t, returns, Shout); string(ev.Msg[0]) != text {
			t.Fatalf("round %d: %+v", round, ev)
		}
		if err := returns.Stop(); err != nil {
			t.Fatal(err)
		}
		if ev := expect(t, returns, Stop); ev.Peer != id {
			t.Fatalf("round %d: %+v", round, ev)
		}
		if ev := expect(t, stays, Exit); ev.Peer != id {
			t.Fatalf("round %d: %+v", round, ev)
		}
		if err := returns.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, stays, Enter)
	if len(lives) != 4 || lives[returns.UUID()] {
		t.Errorf("a presence had the UUID of another: %d in 4 rounds", len(lives))
	}
	if s := stays.Stats(); s.Peers != 1 || s.Exited != 4 {
		t.Errorf("%+v", s)
	}
}
