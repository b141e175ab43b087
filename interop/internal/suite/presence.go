package suite

import (
	"testing"

	"github.com/gozyre/zyre/fallback"
	"github.com/gozyre/zyre/interop/internal/lab"
)

// testOurStop leaves politely, which is known at once: long before the half
// minute after which theirs gives a silent peer up. Then our node comes back.
func testOurStop(t *testing.T, impl Implementation) {
	p := newPair(t, impl, "G")
	p.ours.Must(p.ours.Whisper(p.their, []byte("last")))
	p.ours.Must(p.ours.Stop())
	wantFrames(t, p.theirs.Next(t, p.our, fallback.Whisper), []byte("last"))
	p.theirs.Next(t, p.our, fallback.Exit)
	if p.theirs.Knows(p.our) {
		t.Error("their node lists ours, which has stopped")
	}
	p.theirs.Quiet(t, p.our)

	p.our = p.ours.Start()
	p.theirs.Until(t, p.our, fallback.Enter)
	p.ours.Until(t, p.their, fallback.Enter)
	p.exchange(t)
}

// testTheirStop is told at once too: our node gives no peer up.
func testTheirStop(t *testing.T, impl Implementation) {
	p := newPair(t, impl)
	p.theirs.Stop()
	p.ours.Next(t, p.their, fallback.Exit)
	if err := p.ours.Whisper(p.their, []byte("too late")); err == nil {
		t.Error("our node whispers to a peer that has left")
	}
}

// testTheirDeath kills their node, which leaves without a word.
func testTheirDeath(t *testing.T, impl Implementation) {
	p := newPairOf(t, lab.NewNode(t, lab.Config(t, ourName)), impl)
	p.theirs.Kill()
	p.ours.Next(t, p.their, fallback.Exit)
	if len(p.ours.Peers()) != 0 {
		t.Error("our node lists a peer that has expired")
	}
}

// testTheirRestart replaces a node that died by another, as a supervisor does.
func testTheirRestart(t *testing.T, impl Implementation) {
	p := newPairOf(t, lab.NewNode(t, lab.Config(t, ourName)), impl, "G")
	p.theirs.Kill()
	former := p.their
	p.theirs = impl.launch(t)
	p.theirs.Start(theirName, theirHeaders, "G")
	p.their = p.theirs.UUID
	p.meet(t, "G")
	p.exchange(t)
	p.ours.Next(t, former, fallback.Exit)
	p.quiet(t)
}

// testRoom puts several nodes of each kind into one group, as a chat does:
// what one says all others hear, once.
func testRoom(t *testing.T, impl Implementation) {
	const each = 2
	var room room
	for range each {
		ours, theirs := newNode(t, "CHAT"), impl.launch(t)
		ours.Must(ours.Join("CHAT"))
		id := ours.Start()
		room = append(room, member{ours.Journal, id, func(s string) { ours.Must(ours.Shout("CHAT", []byte(s))) }})
		theirs.Start("CHAT", map[string]string{"CHAT_Header1": "example header1"}, "CHAT")
		room = append(room, member{theirs.Journal, theirs.UUID, func(s string) { theirs.Shout("CHAT", []byte(s)) }})
	}
	room.assemble(t)
	room.speak(t)
}

type member struct {
	*lab.Journal
	id  lab.UUID
	say func(string)
}

type room []member

// each calls f for each member with each other.
func (r room) each(f func(listener, speaker member)) {
	for _, l := range r {
		for _, s := range r {
			if l.id != s.id {
				f(l, s)
			}
		}
	}
}

func (r room) assemble(t *testing.T) {
	t.Helper()
	r.each(func(l, s member) {
		wantGroup(t, l.Until(t, s.id, fallback.Join), "CHAT")
	})
}

func (r room) speak(t *testing.T) {
	t.Helper()
	for _, s := range r {
		s.say("hello")
		s.say("bye")
	}
	r.each(func(l, s member) {
		wantShout(t, l.Until(t, s.id, fallback.Shout), "CHAT", []byte("hello"))
		wantShout(t, l.Next(t, s.id, fallback.Shout), "CHAT", []byte("bye"))
		l.Quiet(t, s.id)
	})
}

// exchange checks that each node gets what the other whispers.
func (p *pair) exchange(t *testing.T) {
	t.Helper()
	p.ours.Must(p.ours.Whisper(p.their, []byte("to theirs")))
	wantFrames(t, p.theirs.Until(t, p.our, fallback.Whisper), []byte("to theirs"))
	p.theirs.Whisper(p.our, []byte("to ours"))
	wantFrames(t, p.ours.Until(t, p.their, fallback.Whisper), []byte("to ours"))
}
