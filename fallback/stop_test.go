//go:build linux

package fallback

import (
	"context"
	"encoding/binary"
	"testing"
	"time"
)

// sendNumbered whispers messages with the numbers from 1 on.
func sendNumbered(t *testing.T, from, to *Node, messages uint64, size int) {
	t.Helper()
	for i := range messages {
		if err := from.Whisper(to.UUID(), numbered(i+1, size)...); err != nil {
			t.Fatal(err)
		}
	}
}

// countNumbered reads the messages of a peer up to its Exit, with a pause after
// some of them, and returns how many came.
func countNumbered(n *Node, every uint64, pause time.Duration) (count uint64) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		ev, err := n.Recv(ctx)
		switch {
		case err != nil || ev.Kind == Exit:
			return count
		case ev.Kind == Whisper:
			if binary.BigEndian.Uint64(ev.Msg[0]) == count+1 {
				count++
			}
			if count%every == 0 {
				time.Sleep(pause)
			}
		}
	}
}

// A node that stops knows what has arrived by the answer to its PING: that must
// not come before what was sent ahead of the PING is where the application gets
// it, however slow it is.
func TestStopWaitsForASlowApplication(t *testing.T) {
	a, b := meet(t)
	b.inbox.mu.Lock()
	b.inbox.limit = 4 << 10
	b.inbox.mu.Unlock()
	const messages = 400
	sendNumbered(t, a, b, messages, 100)
	go a.Stop()
	if got := countNumbered(b, 16, 4*time.Millisecond); got != messages {
		t.Errorf("%d of %d arrived", got, messages)
	}
}

// Close delivers what was sent as Stop does, also while peers are talking: they
// must be listened to for their answers.
func TestCloseWhileTalkedTo(t *testing.T) {
	for range 5 {
		a, b := meet(t)
		go func() {
			for b.Whisper(a.UUID(), make([]byte, 100)) == nil {
				time.Sleep(100 * time.Microsecond)
			}
		}()
		go func() {
			for {
				if _, err := a.Recv(context.Background()); err != nil {
					return
				}
			}
		}()
		arrived := make(chan uint64)
		const messages = 1000
		go func() { arrived <- countNumbered(b, 1, 100*time.Microsecond) }()
		sendNumbered(t, a, b, messages, 4000)
		a.Close()
		if got := <-arrived; got != messages {
			t.Errorf("%d of %d arrived", got, messages)
		}
	}
}

// What was counted stays counted while the node stops.
func TestStatsWhileStopping(t *testing.T) {
	a, b := meet(t)
	const messages = 100
	sendNumbered(t, a, b, messages, 100)
	eventually(t, "all are counted", func() bool { return a.Stats().Sent == messages })
	before := a.Stats()
	done := make(chan error)
	go func() { done <- a.Stop() }()
	for {
		if s := a.Stats(); s.Sent < before.Sent || s.SentBytes < before.SentBytes || s.Refused < before.Refused {
			t.Fatalf("%+v, before %+v", s, before)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
	}
}
