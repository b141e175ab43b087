//go:build linux

package libzyre

import (
	"fmt"
	"os/exec"
	"testing"

	"github.com/gozyre/zyre/fallback"
	"github.com/gozyre/zyre/internal/netlab"
	"github.com/gozyre/zyre/internal/testport"
	"github.com/gozyre/zyre/interop/internal/cnode"
	"github.com/gozyre/zyre/interop/internal/lab"
)

const anyLocal = "tcp://127.0.0.1:*"

// gossips starts nodes that find each other through a hub.
type gossips struct {
	t      *testing.T
	launch func(testing.TB) *exec.Cmd
	hub    string
}

func newGossips(t *testing.T) *gossips {
	netlab.Need(t)
	return &gossips{t: t, launch: cnode.Build(t), hub: testport.Endpoint()}
}

// config is that of a node of ours that would not miss a peer which has gone
// without a word.
func (g *gossips) config(name string) fallback.Config {
	cfg := lab.Config(g.t, name)
	cfg.Interfaces, cfg.Endpoint = []string{"lo"}, anyLocal
	cfg.Evasive, cfg.Expired = lab.Never/2, lab.Never
	return cfg
}

func (g *gossips) ourHub() lab.Party {
	g.t.Helper()
	cfg := g.config("our hub")
	cfg.GossipBind = []string{g.hub}
	return lab.NewNode(g.t, cfg).Party()
}

func (g *gossips) ours(name string) lab.Party {
	g.t.Helper()
	cfg := g.config(name)
	cfg.GossipConnect = []fallback.Hub{{Endpoint: g.hub}}
	return lab.NewNode(g.t, cfg).Party()
}

func (g *gossips) theirHub() (party lab.Party, kill func()) {
	g.t.Helper()
	f := lab.Launch(g.t, g.launch(g.t))
	return f.Party(lab.Setup{Name: "their hub", Listen: anyLocal, GossipBind: []string{g.hub}}), f.Kill
}

func (g *gossips) theirs(name string) lab.Party {
	g.t.Helper()
	f := lab.Launch(g.t, g.launch(g.t))
	return f.Party(lab.Setup{Name: name, Listen: anyLocal, GossipConnect: []lab.Hub{{Endpoint: g.hub}}})
}

// Nodes of both kinds find each other through a hub of either kind. Without
// it they stay together, and when it is there again newcomers find them.
func TestGossipThroughOurHub(t *testing.T) {
	g := newGossips(t)
	hub := g.ourHub()
	old := []lab.Party{g.ours("ours"), g.theirs("theirs"), g.theirs("theirs too")}
	everybody(t, append(old, hub)...)
	hub.Stop()
	for _, p := range old {
		p.Until(t, hub.ID, fallback.Exit) // which is told by GOODBYE
	}
	lab.Talk(t, old...)
	g.ourHub()
	newcomers(t, g, old)
}

func TestGossipThroughTheirHub(t *testing.T) {
	g := newGossips(t)
	hub, kill := g.theirHub()
	old := []lab.Party{g.ours("ours"), g.ours("ours too"), g.theirs("theirs")}
	everybody(t, append(old, hub)...)
	kill()
	lab.Talk(t, old...)
	g.theirHub()
	newcomers(t, g, old)
}

// newcomers of both kinds find those that a hub, which was started again, has
// never been told of by anybody but themselves.
func newcomers(t *testing.T, g *gossips, old []lab.Party) {
	t.Helper()
	everybody(t, append(old, g.theirs("their newcomer"), g.ours("our newcomer"))...)
}

// A node that stops says GOODBYE, which is acted on at once.
func TestGossipGoodbye(t *testing.T) {
	g := newGossips(t)
	hub := g.ourHub()
	ours, theirs := g.ours("ours"), g.theirs("theirs")
	everybody(t, hub, ours, theirs)
	ours.Stop()
	theirs.Until(t, ours.ID, fallback.Exit)
	hub.Until(t, ours.ID, fallback.Exit)
	theirs.Stop()
	hub.Until(t, theirs.ID, fallback.Exit)
}

func everybody(t *testing.T, parties ...lab.Party) {
	t.Helper()
	group := fmt.Sprintf("G%X", parties[len(parties)-1].ID[:2])
	lab.Meet(t, parties...)
	lab.Talk(t, parties...)
	lab.Gather(t, group, parties...)
	lab.ShoutAll(t, group, parties...)
}
