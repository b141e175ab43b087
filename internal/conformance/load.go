package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/gozyre/zyre"
)

var loadTests = []test{
	{"UnreadInboxBlocksNoCall", unreadInbox},
	{"SlowReaderLosesNothing", slowReader},
	{"PeersTalkPastOneWhoDoesNotRead", talkPast},
}

// unreadInbox: a node whose application never reads answers every call while
// others shout at it.
func unreadInbox(m *mesh) {
	deaf := m.start("deaf", Options{InboxLimit: 64 << 10, Evasive: 2 * time.Second, Expired: long})
	a := m.start("a", Options{Evasive: 2 * time.Second, Expired: long})
	b := m.start("b", Options{Evasive: 2 * time.Second, Expired: long})
	m.meet(a, b)
	a.await(zyre.Enter, deaf.UUID())
	b.await(zyre.Enter, deaf.UUID())
	m.ok(deaf.Join("G"), "join")
	a.awaitGroup(zyre.Join, deaf.UUID(), "G")
	b.awaitGroup(zyre.Join, deaf.UUID(), "G")

	var stopped atomic.Bool
	var shouted atomic.Int32
	shouting := func(n *node) func() error {
		text := bytes.Repeat([]byte("loud "), 2000)
		return func() error {
			for i := 0; i < 2000 && !stopped.Load(); i++ {
				if err := n.Shout("G", text); err != nil {
					return fmt.Errorf("shout: %w", err)
				}
				shouted.Add(1)
			}
			return nil
		}
	}
	calling := func() error {
		defer stopped.Store(true)
		for shouted.Load() < 50 { // far more than its inbox takes
			if m.ctx.Err() != nil {
				return m.ctx.Err()
			}
			deaf.Stats()
			time.Sleep(time.Millisecond)
		}
		for i := range 20 {
			group := fmt.Sprint("H", i)
			if err := errors.Join(deaf.Join(group), deaf.Leave(group), deaf.Shout("NONE", mark)); err != nil {
				return err
			}
			for _, id := range deaf.Peers() {
				deaf.Peer(id)
				if err := deaf.Whisper(id, mark); err != nil && !errors.Is(err, zyre.ErrUnknownPeer) {
					return err
				}
			}
			deaf.GroupPeers("G")
			deaf.PeerGroups()
			deaf.Groups()
			deaf.UUID()
		}
		return errors.Join(deaf.Stop(), anyTime(deaf.Start(m.ctx)), anyTime(deaf.Stop()), deaf.Close())
	}
	m.together(shouting(a), shouting(b), m.within(calling))
}

// slowReader: a full inbox holds its peers back and drops nothing.
func slowReader(m *mesh) {
	o := Options{InboxLimit: 64 << 10, SendLimit: 64 << 10}
	a, b := m.start("a", o), m.start("b", o)
	m.meet(a, b)
	const count = 20_000 // of 8 bytes and an event each: several times the limit
	pause := time.After(300 * time.Millisecond)
	m.together(
		func() error { return sendNumbers(a, b.UUID(), 0, count) },
		func() error {
			<-pause
			return checkNumbers(b, map[zyre.UUID]int{a.UUID(): 1}, count)
		},
	)
}

// talkPast: one who does not read holds nobody back who whispers to others.
func talkPast(m *mesh) {
	deaf := m.start("deaf", Options{InboxLimit: 64 << 10})
	a, b := m.pair()
	a.await(zyre.Enter, deaf.UUID())
	b.await(zyre.Enter, deaf.UUID())
	const loud, count = 5000, 1000
	flood := func() error {
		data := make([]byte, 10_000)
		for range loud {
			err := a.Whisper(deaf.UUID(), data)
			if errors.Is(err, zyre.ErrClosed) || errors.Is(err, zyre.ErrUnknownPeer) {
				return nil // the others are done, or the deaf was given up
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	m.together(flood, func() error {
		send := func() error { return sendNumbers(a, b.UUID(), 0, count) }
		check := func() error { return checkNumbers(b, map[zyre.UUID]int{a.UUID(): 1}, count) }
		m.together(send, check)
		return a.Close()
	})
}
