package history

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// world is two nodes and the fates that they meet.
type world struct {
	a, b         *Life
	fateA, fateB Fate
}

// meet makes two nodes that know each other and are in the group.
func meet() *world {
	w := &world{a: NewLife(ID{1}, "a"), b: NewLife(ID{2}, "b")}
	w.enter()
	return w
}

func (w *world) enter() {
	enter(w.a, w.b)
	enter(w.b, w.a)
}

func (w *world) exit() {
	w.a.Exited(w.b.ID)
	w.b.Exited(w.a.ID)
}

func enter(l, peer *Life) {
	l.Entered(peer.ID)
	l.Joined(peer.ID)
}

// whisper sends from one to the other, who gets it.
func whisper(from, to *Life) { to.Received(from.ID, from.Whispering(to.ID)) }
func shout(from, to *Life)   { to.Received(from.ID, from.Shouting()) }

// talk lets both hear each other, as they must in the end.
func (w *world) talk() {
	for range 3 {
		whisper(w.a, w.b)
		whisper(w.b, w.a)
		shout(w.a, w.b)
	}
}

func (w *world) check() []string {
	return Check(Ended{w.a, w.fateA}, Ended{w.b, w.fateB})
}

// good are histories that may happen.
var good = map[string]func(w *world){
	"nothing but talk": func(w *world) {},
	"lost at a break": func(w *world) {
		w.a.Whispering(w.b.ID)
		w.a.Shouting()
		w.exit()
		w.enter()
	},
	"lost at a break, which only the sender was told of first": func(w *world) {
		w.a.Whispering(w.b.ID)
		w.a.Exited(w.b.ID)
		enter(w.a, w.b)
		m := w.a.Whispering(w.b.ID)
		w.b.Exited(w.a.ID)
		enter(w.b, w.a)
		w.b.Received(w.a.ID, m)
	},
	"sent in a new life of the connection that the application has not read of": func(w *world) {
		m := w.a.Whispering(w.b.ID)
		w.exit()
		w.enter()
		w.b.Received(w.a.ID, m)
	},
	"two breaks, with losses at both": func(w *world) {
		for range 2 {
			whisper(w.a, w.b)
			w.a.Whispering(w.b.ID)
			w.a.Shouting()
			w.exit()
			w.enter()
		}
	},
	"a shout that arrives though the sender did not know of the member": func(w *world) {
		w.exit()
		w.b.Entered(w.a.ID)
		w.b.Received(w.a.ID, w.a.Shouting())
		enter(w.a, w.b)
	},
	"sent to one that was killed": func(w *world) {
		w.a.Whispering(w.b.ID)
		w.a.Exited(w.b.ID)
		w.fateB = Died
	},
	"sent by one that was killed": func(w *world) {
		w.a.Whispering(w.b.ID)
		w.b.Exited(w.a.ID)
		w.fateA = Died
	},
	"a polite end": func(w *world) {
		whisper(w.a, w.b)
		w.b.Exited(w.a.ID)
		w.fateA = Left
	},
	"evasive and back": func(w *world) { w.a.Other(w.b.ID, "is evasive") },
}

func TestGood(t *testing.T) {
	for name, happens := range good {
		t.Run(name, func(t *testing.T) {
			w := meet()
			w.talk()
			happens(w)
			if w.fateA == Lives && w.fateB == Lives {
				w.talk()
				if p := Pending(w.a, w.b); p != "" {
					t.Error("pending:", p)
				}
			}
			for _, f := range w.check() {
				t.Error(f)
			}
		})
	}
}

// bad are histories with a violation, and what is to be said of it.
var bad = map[string]fault{
	"received twice": {func(w *world) {
		m := w.a.Whispering(w.b.ID)
		w.b.Received(w.a.ID, m)
		w.b.Received(w.a.ID, m)
	}, "twice or out of order"},
	"received again after a break": {func(w *world) {
		m := w.a.Whispering(w.b.ID)
		w.b.Received(w.a.ID, m)
		w.exit()
		w.enter()
		w.b.Received(w.a.ID, m)
	}, "twice or out of order"},
	"shout twice": {func(w *world) {
		m := w.a.Shouting()
		w.b.Received(w.a.ID, m)
		w.b.Received(w.a.ID, m)
	}, "twice or out of order"},
	"out of order": {func(w *world) {
		first, second := w.a.Whispering(w.b.ID), w.a.Whispering(w.b.ID)
		w.b.Received(w.a.ID, second)
		w.b.Received(w.a.ID, first)
	}, "twice or out of order"},
	"a whisper overtakes a shout": {func(w *world) {
		first, second := w.a.Shouting(), w.a.Whispering(w.b.ID)
		w.b.Received(w.a.ID, second)
		w.b.Received(w.a.ID, first)
	}, "sent later"},
	"a gap without a break": {func(w *world) {
		w.a.Whispering(w.b.ID)
		whisper(w.a, w.b)
	}, "is missing, and it has not exited"},
	"a gap in shouts without a break": {func(w *world) {
		w.a.Shouting()
		shout(w.a, w.b)
	}, "is missing, and it has not exited"},
	"a break of which the sender was never told": {func(w *world) {
		w.a.Whispering(w.b.ID)
		w.b.Exited(w.a.ID)
		enter(w.b, w.a)
	}, "whisper 4 was lost, and no exit told the sender"},
	"a break before the loss": {func(w *world) {
		w.exit()
		w.enter()
		w.a.Whispering(w.b.ID)
		w.b.Exited(w.a.ID)
		enter(w.b, w.a)
	}, "whisper 4 was lost, and no exit told the sender"},
	"a shout lost without a break": {func(w *world) {
		w.a.Shouting()
		w.b.Exited(w.a.ID)
		enter(w.b, w.a)
	}, "shout 4 was lost, and no exit told the sender"},
	"one entered twice": {func(w *world) { w.a.Entered(w.b.ID) }, "enters, and has not exited"},
	"one exited twice": {func(w *world) {
		w.exit()
		w.a.Exited(w.b.ID)
		w.enter()
	}, "exits, and has not entered"},
	"a message before the enter": {func(w *world) {
		w.exit()
		whisper(w.a, w.b)
		w.enter()
	}, "sends a whisper, and has not entered"},
	"joined before the enter": {func(w *world) {
		w.exit()
		w.a.Joined(w.b.ID)
		w.enter()
	}, "joins the group, and has not entered"},
	"evasive after the exit": {func(w *world) {
		w.exit()
		w.a.Other(w.b.ID, "is evasive")
		w.enter()
	}, "is evasive, and has not entered"},
	"the node meets itself":   {func(w *world) { w.a.Entered(w.a.ID) }, "the node itself enters"},
	"what nobody sent":        {func(w *world) { w.b.Received(w.a.ID, Message{Whisper, 4, 100}) }, "never sent"},
	"a shout that nobody did": {func(w *world) { w.b.Received(w.a.ID, Message{Shout, 4, 100}) }, "never sent"},
}

// fault is what must be found when something has happened.
type fault struct {
	happens func(w *world)
	want    string
}

func (f fault) mustBeFound(t *testing.T) *world {
	t.Helper()
	w := meet()
	w.talk()
	f.happens(w)
	if faults := strings.Join(w.check(), "\n"); !strings.Contains(faults, f.want) {
		t.Errorf("not found: %s\nfound:\n%s", f.want, faults)
	}
	return w
}

func TestBad(t *testing.T) {
	for name, tt := range bad {
		t.Run(name, func(t *testing.T) {
			tt.mustBeFound(t)
		})
	}
}

// badEnds are histories that must not end as they do.
var badEnds = map[string]fault{
	"the last message is lost": {func(w *world) { w.a.Whispering(w.b.ID) }, "whisper 4 was lost"},
	"the last shout is lost":   {func(w *world) { w.a.Shouting() }, "shout 4 was lost"},
	"nodes that never met": {func(w *world) {
		w.a, w.b = NewLife(ID{1}, "a"), NewLife(ID{2}, "b")
	}, "does not know"},
	"lost at a polite end": {func(w *world) {
		w.a.Whispering(w.b.ID)
		w.b.Exited(w.a.ID)
		w.fateA = Left
	}, "whisper 4 was lost"},
	"muted after a break": {func(w *world) {
		w.exit()
		w.enter()
		whisper(w.b, w.a)
	}, "a 010000 to b 020000: no whisper was heard"},
	"they never met again":       {func(w *world) { w.exit() }, "does not know"},
	"a ghost":                    {func(w *world) { w.fateB = Died }, "020000 is a ghost"},
	"a ghost that left politely": {func(w *world) { w.fateB = Left }, "020000 is a ghost"},
	"a ghost that nobody knows":  {func(w *world) { w.a.Entered(ID{9}) }, "090000 is a ghost"},
}

func TestBadEnd(t *testing.T) {
	for name, tt := range badEnds {
		t.Run(name, func(t *testing.T) {
			if w := tt.mustBeFound(t); w.fateA == Lives && w.fateB == Lives && Pending(w.a, w.b) == "" {
				t.Error("nothing is pending")
			}
		})
	}
}

func TestMessageOnTheWire(t *testing.T) {
	m := Message{Shout, 1 << 40, 1<<40 + 7}
	frame := append(m.Append(nil), "padding"...)
	if got, ok := Parse(frame); !ok || got != m {
		t.Errorf("got %v, %t", got, ok)
	}
	if _, ok := Parse(frame[:stampSize-1]); ok {
		t.Error("a short frame is a message")
	}
	if _, ok := Parse(append([]byte{byte(streams)}, frame[1:]...)); ok {
		t.Error("an unknown stream is a message")
	}
}

// TestTravel tells that a life comes out of its encoding and of Clone as it was.
func TestTravel(t *testing.T) {
	w := meet()
	w.talk()
	w.a.Whispering(w.b.ID)
	w.exit()
	w.enter()
	whisper(w.a, w.b)
	w.b.Other(w.a.ID, "is evasive")
	var wire bytes.Buffer
	if err := json.NewEncoder(&wire).Encode(w.b); err != nil {
		t.Fatal(err)
	}
	var back Life
	if err := json.NewDecoder(&wire).Decode(&back); err != nil {
		t.Fatal(err)
	}
	clone := w.b.Clone()
	for _, other := range []*Life{&back, clone} {
		if !reflect.DeepEqual(other, w.b) {
			t.Errorf("%+v is not %+v", other, w.b)
		}
	}
	w.b.Received(w.a.ID, w.a.Whispering(w.b.ID))
	if clone.Peers[w.a.ID].Got[Whisper].Last == w.b.Peers[w.a.ID].Got[Whisper].Last {
		t.Error("the clone changed with the original")
	}
}

// TestFaultsAreBounded tells that a life that goes wrong all the time does
// not keep all of it.
func TestFaultsAreBounded(t *testing.T) {
	l := NewLife(ID{1}, "a")
	for range 10 * maxFaults {
		l.Exited(ID{2})
	}
	if len(l.Faults) != maxFaults {
		t.Errorf("%d faults", len(l.Faults))
	}
}
