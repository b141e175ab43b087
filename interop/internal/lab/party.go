package lab

import (
	"fmt"
	"testing"

	"github.com/gozyre/zyre/fallback"
)

// Party is a started node of any kind, seen from outside.
type Party struct {
	*Journal
	ID      UUID
	Whisper func(peer UUID, frames ...[]byte)
	Shout   func(group string, frames ...[]byte)
	Join    func(group string)
	Stop    func() // politely
}

// Party starts the node and returns it.
func (n *Node) Party() Party {
	n.t.Helper()
	return Party{
		Journal: n.Journal,
		ID:      n.Start(),
		Whisper: func(peer UUID, frames ...[]byte) { n.Must(n.Whisper(peer, frames...)) },
		Shout:   func(group string, frames ...[]byte) { n.Must(n.Shout(group, frames...)) },
		Join:    func(group string) { n.Must(n.Join(group)) },
		Stop:    func() { n.Must(n.Stop()) },
	}
}

// Party starts the node and returns it.
func (f *Foreign) Party(setup Setup) Party {
	f.t.Helper()
	f.StartAs(setup)
	return Party{Journal: f.Journal, ID: f.UUID, Whisper: f.Whisper, Shout: f.Shout, Join: f.Join, Stop: f.Stop}
}

// Meet waits until each party has met each other one, now or before.
func Meet(t testing.TB, parties ...Party) {
	t.Helper()
	pairs(parties, func(listener, other Party) { listener.Met(t, other.ID) })
}

// Gather brings all parties into a group and waits until each knows.
func Gather(t testing.TB, group string, parties ...Party) {
	t.Helper()
	for _, p := range parties {
		p.Join(group)
	}
	pairs(parties, func(listener, other Party) {
		if ev := listener.Until(t, other.ID, fallback.Join); ev.Group != group {
			t.Fatalf("%s: Join of %q instead of %q", listener.owner, ev.Group, group)
		}
	})
}

// Talk lets each party whisper to each other one.
func Talk(t testing.TB, parties ...Party) {
	t.Helper()
	text := func(from, to Party) string { return fmt.Sprintf("%X to %X", from.ID, to.ID) }
	pairs(parties, func(listener, speaker Party) {
		speaker.Whisper(listener.ID, []byte(text(speaker, listener)))
	})
	pairs(parties, func(listener, speaker Party) {
		ev := listener.Until(t, speaker.ID, fallback.Whisper)
		if len(ev.Msg) != 1 || string(ev.Msg[0]) != text(speaker, listener) {
			t.Fatalf("%s: whisper %q instead of %q", listener.owner, ev.Msg, text(speaker, listener))
		}
	})
}

// ShoutAll lets each party shout to a group that all are in: every other one
// hears it, once.
func ShoutAll(t testing.TB, group string, parties ...Party) {
	t.Helper()
	for _, p := range parties {
		for _, text := range []string{"hello", "bye"} {
			p.Shout(group, fmt.Appendf(nil, "%s from %X", text, p.ID), []byte("second frame"))
		}
	}
	pairs(parties, func(listener, speaker Party) {
		for i, text := range []string{"hello", "bye"} {
			ev := listener.Until(t, speaker.ID, fallback.Shout)
			want := fmt.Sprintf("%s from %X", text, speaker.ID)
			if ev.Group != group || len(ev.Msg) != 2 || string(ev.Msg[0]) != want {
				t.Fatalf("%s: shout %d to %q: %q instead of %q", listener.owner, i, ev.Group, ev.Msg, want)
			}
		}
	})
	pairs(parties, func(listener, speaker Party) { listener.Quiet(t, speaker.ID) })
}

// pairs calls f for each party with each other one.
func pairs(parties []Party, f func(listener, speaker Party)) {
	for _, l := range parties {
		for _, s := range parties {
			if l.ID != s.ID {
				f(l, s)
			}
		}
	}
}
