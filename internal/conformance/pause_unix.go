//go:build unix

package conformance

import (
	"slices"
	"syscall"
	"time"

	"github.com/gozyre/zyre"
)

var pauseTests = []test{
	{"PausedForGood", pausedForGood},
	{"PausedForAWhile", pausedForAWhile},
	{"SilentTimeout", silentTimeout},
}

// Pause stops the process without ending it: no answer, no FIN. It goes on
// when the test ends at the latest, so that its node can be closed.
func (r *Remote) Pause() {
	r.t.Helper()
	r.signal(syscall.SIGSTOP)
	r.t.Cleanup(r.Resume)
}

// Resume lets it go on.
func (r *Remote) Resume() { r.signal(syscall.SIGCONT) }

func (r *Remote) signal(s syscall.Signal) {
	r.t.Helper()
	if err := r.process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}

// pausedForGood: who falls silent without a word becomes evasive, then
// silent, and exits.
func pausedForGood(m *mesh) {
	a := m.start("a", soon)
	b, process := m.process("b", soon)
	m.meet(a, b)
	life := b.event(0, "")
	process.Pause()
	a.seesFade(life)
}

// pausedForAWhile: who comes back before it has expired never exits, and no
// message is lost on either side.
func pausedForAWhile(m *mesh) {
	o := soon
	o.Expired = long
	a := m.start("a", o)
	b, process := m.process("b", o)
	m.meet(a, b)
	m.joined("G", []*node{b}, a)
	id := b.UUID()
	process.Pause()
	a.await(zyre.Evasive, id)
	const count = 100
	m.ok(sendNumbers(a.Node, id, 0, count), "whispers to the paused")
	m.ok(a.Shout("G", mark), "shout to the paused")
	process.Resume()
	m.ok(checkNumbers(b, map[zyre.UUID]int{a.UUID(): 1}, count), "what was sent meanwhile")
	b.expect(a.event(zyre.Shout, "G", mark))
	m.ok(b.Whisper(a.UUID(), mark), "whisper")
	a.expect(b.event(zyre.Whisper, "", mark)) // and no EXIT before
}

// silentTimeout: who is to be silent no sooner than it exits is only evasive,
// each time that is looked at. libzyre has no such timeout.
func silentTimeout(m *mesh) {
	o := Options{Evasive: 500 * time.Millisecond, Silent: 8 * time.Second, Expired: 8 * time.Second}
	m.factories = slices.DeleteFunc(m.factories, func(f Factory) bool { return f.Partial })
	if len(m.factories) == 0 {
		return
	}
	a := m.start("a", o)
	b, process := m.process("b", Options{})
	m.meet(a, b)
	life := b.event(0, "")
	process.Pause()
	for _, t := range []zyre.EventType{zyre.Evasive, zyre.Evasive, zyre.Exit} {
		life.Type = t
		ev, err := a.receive(zyre.Evasive, zyre.Silent)
		for ; err == nil && t == zyre.Exit && ev.Type == zyre.Evasive; ev, err = a.receive(zyre.Evasive, zyre.Silent) {
		}
		if err != nil || !same(ev, life) {
			m.Fatalf("got %v, %v, not %v", ev, err, life)
		}
	}
}
