//go:build linux

package fallback

import (
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gozyre/zyre/internal/hostile"
	"github.com/gozyre/zyre/internal/rule"
)

// TestHostile attacks a node, in a process of its own, while it talks to two
// honest peers without a break. It must answer each attack as it should, its
// peers must lose nothing, and its memory, goroutines and descriptors must
// come back. With -robustness the figures go into docs/robustness.md.
func TestHostile(t *testing.T) {
	book := &ledger{}
	t.Run("all", func(t *testing.T) {
		for _, g := range []struct {
			name    string
			attacks []hostile.Attack
			victim  victimKind
			atOnce  bool
		}{
			{"Beacons", hostile.UDP(), plain, false},
			{"Connections", hostile.ZMTP(), plain, false},
			{"Slow handshakes", hostile.Slow(), plain, true},
			{"Strangers", hostile.Strangers(), plain, false},
			{"Peers", hostile.Peers(), plain, false},
			{"Duplicates", hostile.Twice(), plain, false},
			{"Listeners", hostile.Listeners(), plain, false},
			{"CURVE", hostile.CurveAttacks(), secured, false},
			{"CURVE with allowed keys", hostile.DeniedAttacks(), closedTo, false},
			{"Clients of a gossip hub", hostile.HubAttacks(), gossiping, false},
			{"Gossip hubs", hostile.BadHubs(), gossiping, false},
		} {
			chapter := book.chapter(g.name, len(g.attacks))
			t.Run(g.name, func(t *testing.T) {
				t.Parallel()
				v := startVictim(t, g.victim)
				if g.atOnce {
					chapter.note(v.suffer(t, g.attacks), g.attacks...)
					return
				}
				for _, a := range g.attacks {
					t.Run(a.Name, func(t *testing.T) { chapter.note(v.suffer(t, []hostile.Attack{a}), a) })
				}
			})
		}
	})
	if *robustness && !t.Failed() {
		if err := book.publish("../docs/robustness.md"); err != nil {
			t.Fatal(err)
		}
	}
}

// suffer lets attacks loose on the victim, all at once, and returns what they
// cost it. What is too much memory must be so three times: where the processor
// is busy with other things the collector comes late.
func (v *victim) suffer(t *testing.T, attacks []hostile.Attack) cost {
	c := v.sufferOnce(t, attacks)
	for tries := 1; tries < 3 && c.tooMuch(); tries++ {
		t.Logf("%v; once more", c)
		c = v.sufferOnce(t, attacks)
	}
	if c.tooMuch() {
		t.Errorf("needs %.0f MiB meanwhile", mebibytes(c.peak))
	}
	return c
}

// tooMuch tells whether an attack takes more memory than it may. With the race
// detector it is not known: that one takes most.
func (c cost) tooMuch() bool { return !raceEnabled && c.peak > hostile.Memory }

func (v *victim) sufferOnce(t *testing.T, attacks []hostile.Attack) cost {
	v.resetPeak(t)
	var scenes []*hostile.Scene
	var running sync.WaitGroup
	for _, a := range attacks {
		s := v.scene()
		scenes = append(scenes, s)
		running.Go(func() {
			if err := a.Run(s); err != nil {
				t.Errorf("%s: %v", a.Name, err)
			}
		})
	}
	running.Wait()
	v.fence(t) // it still serves its peers, before the attacker has gone
	for _, s := range scenes {
		s.Close()
	}
	c := v.settle(t)
	v.fence(t)
	v.blameless(t)
	if raceEnabled {
		t.Logf("%+.1f MiB live; resident is what the race detector keeps", mebibytes(c.after.Live-c.before.Live))
	} else {
		t.Log(c)
	}
	return c
}

// scene gives each attack addresses of its own, for the limits are by address.
func (v *victim) scene() *hostile.Scene {
	v.scenes++
	address := func(host byte) netip.Addr { return netip.AddrFrom4([4]byte{127, 1, byte(v.scenes), host}) }
	s := &hostile.Scene{
		Victim: hostile.Party{ID: v.born.ID, Endpoint: v.born.Endpoint},
		Honest: v.honest[0].party(),
		Port:   v.orders.Port,
		Group:  loadGroup,
		Addr:   address(1),
		Other:  address(2),
		Slow:   raceEnabled,
		Limits: hostile.Limits{
			HalfOpen: maxHalfOpen, Handshake: helloTimeout, Hello: maxHello, Groups: maxGroups, Foreign: maxForeign,
			Frames: rule.MaxFrames, Message: victimConfig(0).MessageLimit, Burst: sourceBurst, Rate: sourceRate, Dials: dialBurst, DialRate: dialRate,
			Send: victimConfig(0).SendTimeout,
		},
	}
	if v.orders.Keys != nil {
		s.Key = v.orders.Keys.Public
	}
	if v.orders.BadHub != "" {
		s.Hub = tcpAddr(v.born.Hub)
		s.BadHub = tcpAddr(v.orders.BadHub)
	}
	return s
}

func tcpAddr(endpoint string) netip.AddrPort {
	return netip.MustParseAddrPort(strings.TrimPrefix(endpoint, "tcp://"))
}

// fence waits until the victim has answered all that its peers have said so
// far and has said something of its own.
func (v *victim) fence(t *testing.T) {
	t.Helper()
	for _, h := range v.honest {
		sent, shouted := h.sent.Load(), h.shouted.Load()
		served := func() bool { return h.echoed.Load() > sent && h.shouted.Load() > shouted }
		for deadline := time.Now().Add(patience); !served(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the victim does not serve %s any more: %s", h.node.Name(), h.state())
			}
		}
	}
}

// blameless checks that nothing was lost or disturbed between honest nodes.
func (v *victim) blameless(t *testing.T) {
	t.Helper()
	for _, fault := range v.look(t).Faults {
		t.Errorf("the victim: %s", fault)
	}
	for _, h := range v.honest {
		for _, fault := range h.faults.list() {
			t.Errorf("%s: %s", h.node.Name(), fault)
		}
	}
}

// settle waits until the victim is as it was before all attacks.
func (v *victim) settle(t *testing.T) cost {
	t.Helper()
	var now figures
	var why string
	deadline := time.Now().Add(victimConfig(0).Expired + patience)
	for {
		now = v.figures(t)
		if why = now.worseThan(v.before); why == "" {
			return cost{before: v.before, after: now, peak: v.peak(t) - v.before.Resident}
		}
		if time.Now().After(deadline) {
			t.Errorf("the victim does not come back to what it was: %s\nbefore: %+v\nnow: %+v", why, v.before, now)
			return cost{before: v.before, after: now, peak: v.peak(t) - v.before.Resident}
		}
		time.Sleep(50 * time.Millisecond)
	}
}
