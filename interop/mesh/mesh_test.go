//go:build linux && cgo && !purego

package mesh

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gozyre/zyre"
	"github.com/gozyre/zyre/fallback"
	"github.com/gozyre/zyre/internal/key"
	"github.com/gozyre/zyre/internal/netlab"
	"github.com/gozyre/zyre/internal/testport"
	"github.com/gozyre/zyre/interop/internal/cnode"
	"github.com/gozyre/zyre/interop/internal/lab"
)

// The members of a mesh: two of each of our engines, and libzyre in C.
const (
	inGo       = 0
	onLibzyre  = 2
	inC        = 4
	membership = 5
)

// discovery is how the members of a mesh find each other.
type discovery struct {
	hub   string // of the gossip; "": beacons
	binds int    // which member is the hub
	curve bool
}

// TestMesh has every kind of discovery, and with gossip a hub of every kind.
func TestMesh(t *testing.T) {
	t.Run("Beacon", func(t *testing.T) { testMesh(t, discovery{}) })
	t.Run("BeaconCurve", func(t *testing.T) { testMesh(t, discovery{curve: true}) })
	for hub, member := range map[string]int{"Go": inGo, "Libzyre": onLibzyre, "C": inC} {
		t.Run("GossipHub"+hub, func(t *testing.T) {
			testMesh(t, discovery{hub: testport.Endpoint(), binds: member})
		})
		t.Run("GossipCurveHub"+hub, func(t *testing.T) {
			cnode.NeedDrafts(t, "GOSSIP WITH CURVE")
			testMesh(t, discovery{hub: testport.Endpoint(), binds: member, curve: true})
		})
	}
}

// testMesh is a mesh in which all know each other, hear each other, have one
// leader, and miss whoever leaves.
func testMesh(t *testing.T, how discovery) {
	parties := newMesh(t, how)
	lab.Meet(t, parties...)
	lab.Talk(t, parties...)
	lab.Gather(t, "G", parties...)
	lab.ShoutAll(t, "G", parties...)
	elect(t, parties)
	for len(parties) > 1 {
		gone := parties[len(parties)-1]
		parties = parties[:len(parties)-1]
		gone.Stop()
		for _, p := range parties {
			p.Until(t, gone.ID, fallback.Exit)
		}
		lab.Talk(t, parties...)
	}
}

// elections is how often a group may fail to elect a leader: those of libzyre
// hang often when several members come at once, also without nodes of ours.
const elections = 20

func contested(i int) string { return fmt.Sprint("CONTESTED", i) }

// elect brings all into a contested group.
func elect(t *testing.T, parties []lab.Party) {
	t.Helper()
	first := slices.MinFunc(parties, func(a, b lab.Party) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	for i := range elections {
		lab.Gather(t, contested(i), parties...)
		if follow(parties, contested(i), first.ID) {
			return
		}
		t.Logf("no agreement on a leader of %s", contested(i))
	}
	t.Fatalf("no agreement on a leader in %d groups", elections)
}

// follow waits a while until all have the same leader in a group.
func follow(parties []lab.Party, group string, leader lab.UUID) bool {
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	late := time.After(3 * time.Second)
	for slices.ContainsFunc(parties, func(p lab.Party) bool { return p.Leader(group) != leader }) {
		select {
		case <-poll.C:
		case <-late:
			return false
		}
	}
	return true
}

func newMesh(t *testing.T, how discovery) []lab.Party {
	t.Helper()
	netlab.Need(t)
	m := &mesh{t: t, discovery: how}
	for i := range m.certs {
		cert, err := zyre.NewCert()
		if err != nil {
			t.Fatal(err)
		}
		m.certs[i] = cert
	}
	launch := cnode.Build(t)
	return []lab.Party{
		m.goNode(inGo), m.goNode(inGo + 1),
		m.libzyreNode(onLibzyre), m.libzyreNode(onLibzyre + 1),
		lab.Launch(t, launch(t)).Party(m.cSetup(inC)),
	}
}

type mesh struct {
	t *testing.T
	discovery
	certs [membership]zyre.Cert
}

func (m *mesh) goNode(i int) lab.Party {
	m.t.Helper()
	cfg := lab.Config(m.t, fmt.Sprint("go ", i))
	cfg.Evasive, cfg.Expired = lab.Never/2, lab.Never
	for e := range elections {
		cfg.Contests = append(cfg.Contests, contested(e))
	}
	if m.curve {
		cfg.Keys = m.pair(i)
	}
	if m.hub != "" {
		cfg.Interfaces, cfg.Endpoint = []string{"lo"}, anyLocal
	}
	if m.hub != "" && m.binds == i {
		cfg.GossipBind = []string{m.hub}
	} else if m.hub != "" {
		hub := fallback.Hub{Endpoint: m.hub}
		if m.curve {
			hub.Key = m.pair(m.binds).Public
		}
		cfg.GossipConnect = []fallback.Hub{hub}
	}
	return lab.NewNode(m.t, cfg).Party()
}

// pair returns the keys of a member's certificate.
func (m *mesh) pair(i int) *key.Pair {
	m.t.Helper()
	secret, err := key.Decode(m.certs[i].SecretKey())
	m.must(err)
	pair, err := key.From(secret)
	m.must(err)
	return &pair
}

func (m *mesh) libzyreNode(i int) lab.Party {
	m.t.Helper()
	options := []zyre.Option{zyre.WithEvasiveTimeout(lab.Never / 2), zyre.WithExpiredTimeout(lab.Never)}
	for e := range elections {
		options = append(options, zyre.WithContest(contested(e)))
	}
	if m.curve {
		options = append(options, zyre.WithCert(m.certs[i]))
	}
	switch {
	case m.hub == "":
		options = append(options, zyre.WithInterface(lab.Interface))
	case m.binds == i:
		options = append(options, zyre.WithEndpoint(anyLocal), zyre.WithGossipBind(m.hub))
	case m.curve:
		options = append(options, zyre.WithEndpoint(anyLocal), zyre.WithGossipConnectCurve(m.certs[m.binds].PublicKey(), m.hub))
	default:
		options = append(options, zyre.WithEndpoint(anyLocal), zyre.WithGossipConnect(m.hub))
	}
	node, err := zyre.New(fmt.Sprint("libzyre ", i), options...)
	m.must(err)
	journal, ended := lab.Watch(node.Name(), func(ctx context.Context) (lab.Event, error) {
		ev, err := node.Recv(ctx)
		return lab.Event{
			Kind: fallback.Kind(ev.Type), Peer: ev.Peer, Name: ev.Name, Addr: ev.Addr,
			Group: ev.Group, Headers: ev.Headers, Msg: ev.Msg,
		}, err
	})
	m.t.Cleanup(func() {
		if err := node.Close(); err != nil {
			m.t.Errorf("Close: %v", err)
		}
		<-ended
	})
	m.must(node.Start(m.t.Context()))
	return lab.Party{
		Journal: journal,
		ID:      lab.UUID(node.UUID()),
		Whisper: func(peer lab.UUID, frames ...[]byte) { m.must(node.Whisper(peer, frames...)) },
		Shout:   func(group string, frames ...[]byte) { m.must(node.Shout(group, frames...)) },
		Join:    func(group string) { m.must(node.Join(group)) },
		Stop:    func() { m.must(node.Stop()) },
	}
}

func (m *mesh) cSetup(i int) lab.Setup {
	never := int(lab.Never.Milliseconds())
	setup := lab.Setup{Name: fmt.Sprint("c ", i), Evasive: never / 2, Expired: never}
	for e := range elections {
		setup.Contests = append(setup.Contests, contested(e))
	}
	if m.curve {
		setup.Public, setup.Secret = m.certs[i].PublicKey(), m.certs[i].SecretKey()
	}
	if m.hub == "" {
		return setup
	}
	setup.Listen = anyLocal
	if m.binds == i {
		setup.GossipBind = []string{m.hub}
		return setup
	}
	hub := lab.Hub{Endpoint: m.hub}
	if m.curve {
		hub.Key = m.certs[m.binds].PublicKey()
	}
	setup.GossipConnect = []lab.Hub{hub}
	return setup
}

func (m *mesh) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}
