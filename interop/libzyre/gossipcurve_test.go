//go:build linux

package libzyre

import (
	"testing"

	"github.com/gozyre/zyre/fallback"
	"github.com/gozyre/zyre/internal/key"
	"github.com/gozyre/zyre/internal/netlab"
	"github.com/gozyre/zyre/internal/testport"
	"github.com/gozyre/zyre/interop/internal/cnode"
	"github.com/gozyre/zyre/interop/internal/lab"
)

// TestGossipCurveStrangers: a node without a certificate, and one that takes
// the hub for another, learn of nobody, and nobody learns of them.
func TestGossipCurveStrangers(t *testing.T) {
	netlab.Need(t)
	cnode.NeedDrafts(t, "GOSSIP WITH CURVE")
	s := newSafe(t)
	hubKeys, wrong := s.keys(), s.keys()
	hub := testport.Endpoint()
	ours := func(name string, keys *key.Pair, change func(*fallback.Config)) lab.Party {
		cfg := lab.Config(t, name)
		cfg.Interfaces, cfg.Endpoint, cfg.Keys = []string{"lo"}, anyLocal, keys
		change(&cfg)
		return lab.NewNode(t, cfg).Party()
	}
	theirs := func(name string, keys *key.Pair, hubKey string) lab.Party {
		setup := lab.Setup{Name: name, Listen: anyLocal, GossipConnect: []lab.Hub{{Endpoint: hub, Key: hubKey}}}
		if keys != nil {
			setup.Public, setup.Secret = key.Encode(keys.Public), key.Encode(keys.Secret)
		}
		return lab.Launch(t, s.launch(t)).Party(setup)
	}
	center := ours("hub", hubKeys, func(c *fallback.Config) { c.GossipBind = []string{hub} })
	strangers := []lab.Party{
		theirs("their stranger", nil, ""),
		theirs("their other stranger", s.keys(), key.Encode(wrong.Public)),
		ours("our stranger", nil, func(c *fallback.Config) { c.GossipConnect = []fallback.Hub{{Endpoint: hub}} }),
		ours("our other stranger", s.keys(), func(c *fallback.Config) {
			c.GossipConnect = []fallback.Hub{{Endpoint: hub, Key: wrong.Public}}
		}),
	}
	friends := []lab.Party{center, theirs("friend", s.keys(), key.Encode(hubKeys.Public))}
	everybody(t, friends...)
	for _, stranger := range strangers {
		center.Quiet(t, stranger.ID)
		if n := stranger.Count(fallback.Enter); n != 0 {
			t.Errorf("a stranger has met %d nodes", n)
		}
	}
}
