package fallback

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

const (
	tickEvasive = 5 * time.Second
	tickExpired = 30 * time.Second
	tickEvery   = time.Second                 // what follows from these
	tickPing    = tickEvasive - tickEvery*3/2 // two looks before the peer is evasive
	tickSend    = 3 * time.Second
)

// ticking is a presence without a network and a peer of it, to which a test
// shows whatever time it likes.
type ticking struct {
	t  *testing.T
	pr *presence
	p  *peer
}

func newTicking(t *testing.T) *ticking {
	t.Helper()
	cfg := testConfig("node", 0)
	cfg.Evasive, cfg.Expired, cfg.SendTimeout = tickEvasive, tickExpired, tickSend
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	pr := newPresence(n, n.UUID())
	dialsNobody(pr)
	n.pr.Store(pr)
	k := &ticking{t: t, pr: pr}
	pr.mu.Lock()
	k.p = pr.add(UUID{1}, tcpPlace(netip.MustParseAddrPort("127.0.0.1:2000")), [32]byte{}, fromBeacon)
	pr.mu.Unlock()
	t.Cleanup(func() {
		pr.cancel()
		k.remove()
		pr.tasks.Wait()
	})
	return k
}

func (k *ticking) remove() {
	k.pr.mu.Lock()
	defer k.pr.mu.Unlock()
	k.pr.remove(k.p, "the test is over")
}

// enter makes the peer one that the application knows, with both connections
// up as far as the presence can tell.
func (k *ticking) enter() {
	p, pr := k.p, k.pr
	pr.mu.Lock()
	p.name, p.entered, p.greeted, p.dialled = "peer", true, true, true
	pr.entered.set(p.id, p)
	p.out.mu.Lock()
	p.out.wrote = 1 // the HELLO
	p.out.mu.Unlock()
	pr.mu.Unlock()
	pr.node.inbox.put(&p.src, []Event{p.event(Enter)}, 0)
	k.events()
}

// heard says when the last message of the peer came.
func (k *ticking) heard(at time.Time) { k.p.seen.Store(int64(at.Sub(epoch))) }

// events returns the kinds of those that wait.
func (k *ticking) events() (kinds []Kind) {
	for {
		var ev Event
		if !k.pr.node.inbox.pop(&ev) {
			return kinds
		}
		kinds = append(kinds, ev.Kind)
	}
}

// at shows the presence a time and expects these events.
func (k *ticking) at(now time.Time, want ...Kind) {
	k.t.Helper()
	k.pr.look(now, tickEvery)
	if got := k.events(); !slices.Equal(got, want) {
		k.t.Errorf("%v after the last message: events %v, not %v", k.p.quiet(now), got, want)
	}
}

func (k *ticking) pings() int {
	k.p.out.mu.Lock()
	defer k.p.out.mu.Unlock()
	return k.p.out.wrap.pings
}

// TestFade: what a peer becomes that says nothing, to the nanosecond.
func TestFade(t *testing.T) {
	for _, silent := range []time.Duration{0, 10 * time.Second} {
		t.Run(fmt.Sprint("Silent=", silent), func(t *testing.T) {
			k := newTicking(t)
			k.pr.cfg.Silent = silent
			k.enter()
			start := time.Now()
			k.heard(start)
			if silent == 0 {
				silent = tickEvasive + tickEvery
			}
			k.at(start)
			k.at(start.Add(tickPing - 1))
			if n := k.pings(); n != 0 {
				t.Errorf("%d PINGs to a peer that is not quiet yet", n)
			}
			k.at(start.Add(tickPing))
			if n := k.pings(); n != 1 {
				t.Errorf("%d PINGs to a quiet peer", n)
			}
			k.at(start.Add(tickEvasive - 1))
			k.at(start.Add(tickEvasive), Evasive)
			k.at(start.Add(silent-1), Evasive)
			k.at(start.Add(silent), Evasive, Silent)
			k.at(start.Add(tickExpired-1), Evasive, Silent)
			k.at(start.Add(tickExpired), Exit)
			k.at(start.Add(tickExpired + tickEvery))
			if n := len(k.pr.node.Peers()); n != 0 {
				t.Errorf("%d peers are left", n)
			}
		})
	}
}

// TestFadeAndBack: one message, and a peer is as good as new.
func TestFadeAndBack(t *testing.T) {
	k := newTicking(t)
	k.enter()
	start := time.Now()
	k.heard(start)
	k.at(start.Add(tickExpired-1), Evasive, Silent)
	k.heard(start.Add(tickExpired - 1))
	k.at(start.Add(tickExpired))
	k.at(start.Add(tickExpired+tickEvasive-1), Evasive)
}

// TestBlockedPeerDoesNotFade: it seems silent because this node does not
// listen, which is no fault of the peer.
func TestBlockedPeerDoesNotFade(t *testing.T) {
	k := newTicking(t)
	k.enter()
	start := time.Now()
	k.heard(start)
	inbox := k.pr.node.inbox
	inbox.mu.Lock()
	k.p.src.blocked = true
	inbox.mu.Unlock()
	k.at(start.Add(tickEvasive))
	k.at(start.Add(10 * tickExpired))
	if n := k.pings(); n != 2 {
		t.Errorf("%d PINGs told the peer that this node lives", n)
	}
	inbox.mu.Lock()
	k.p.src.blocked = false
	inbox.mu.Unlock()
	k.at(start.Add(tickEvasive), Evasive)
}

// TestPeerTakesNothing: it is given up after the send timeout, even if it
// goes on talking.
func TestPeerTakesNothing(t *testing.T) {
	k := newTicking(t)
	k.enter()
	start := time.Now()
	k.heard(start.Add(tickSend))
	k.p.out.mu.Lock()
	k.p.out.stalled = start
	k.p.out.mu.Unlock()
	k.at(start.Add(tickSend))
	k.at(start.Add(tickSend+1), Exit)
}

// TestExcuse: what passed while this node did not run itself is nobody's
// silence, but no more than that is forgiven.
func TestExcuse(t *testing.T) {
	const asleep = tickExpired
	k := newTicking(t)
	k.enter()
	woken := time.Now()
	k.heard(woken.Add(-asleep))
	k.p.out.mu.Lock()
	k.p.out.stalled = woken.Add(-asleep)
	k.p.out.mu.Unlock()
	k.pr.excuse(asleep)
	k.at(woken)
	k.at(woken.Add(tickSend))
	k.at(woken.Add(tickSend+1), Exit)

	k = newTicking(t)
	k.enter()
	k.heard(woken)
	k.p.out.mu.Lock()
	k.p.out.stalled = woken
	k.p.out.mu.Unlock()
	k.pr.excuse(asleep)
	if since := k.p.out.stuckSince(); since.After(time.Now()) {
		t.Errorf("stuck from %v on", time.Until(since))
	}
	if quiet := k.p.quiet(time.Now()); quiet < 0 {
		t.Errorf("heard of in %v from now", -quiet)
	}
}

// TestCandidateIsGivenUp: one that was announced and never reached goes
// without an event.
func TestCandidateIsGivenUp(t *testing.T) {
	k := newTicking(t)
	born := k.p.born
	known := func() bool {
		k.pr.mu.Lock()
		defer k.pr.mu.Unlock()
		return k.pr.peers[k.p.id] != nil
	}
	k.heard(born)
	k.at(born.Add(tickExpired - 1))
	if !known() {
		t.Error("a candidate was given up early")
	}
	k.at(born.Add(tickExpired))
	if known() {
		t.Error("a candidate is tried for ever")
	}
}

// wallTime returns the time with the clock on the wall set by that much, and
// the monotonic one as it was: what a program reads after somebody set the
// clock. See the comment on time.Time.
func wallTime(t *testing.T, now time.Time, set time.Duration) time.Time {
	t.Helper()
	later := now
	const secondBit = 30
	*(*uint64)(unsafe.Pointer(&later)) += uint64(set/time.Second) << secondBit
	if later.Sub(now) != 0 || later.Unix()-now.Unix() != int64(set/time.Second) {
		t.Fatal("time.Time is not laid out as it was")
	}
	return later
}

// TestClockJump: somebody sets the clock by years, in either direction.
func TestClockJump(t *testing.T) {
	const years = 24 * 365 * time.Hour
	for _, jump := range []time.Duration{10 * years, -10 * years} {
		t.Run(jump.String(), func(t *testing.T) {
			k := newTicking(t)
			k.enter()
			start := time.Now()
			k.heard(start)
			k.p.out.mu.Lock()
			k.p.out.stalled = start
			k.p.out.mu.Unlock()
			k.at(wallTime(t, start, jump))
			k.p.out.mu.Lock()
			k.p.out.stalled = time.Time{}
			k.p.out.mu.Unlock()
			k.at(wallTime(t, start.Add(tickEvasive-1), jump))
			k.at(wallTime(t, start.Add(tickEvasive), jump), Evasive)
			k.at(wallTime(t, start.Add(tickExpired), jump), Exit)
		})
	}
}

// TestTicker: the timer shows the presence the time as often as it must. A
// peer that is not touched fades by itself.
func TestTicker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newTicking(t)
		k.enter()
		k.p.touch()
		start := time.Now()
		k.pr.tasks.Go(k.pr.tick)
		var want, got []string
		for s := tickEvasive; s < tickExpired; s += tickEvery {
			want = append(want, fmt.Sprint(s, Evasive))
			if s > tickEvasive {
				want = append(want, fmt.Sprint(s, Silent))
			}
		}
		want = append(want, fmt.Sprint(tickExpired, Exit))
		for range want {
			ev, err := k.pr.node.Recv(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(time.Since(start), ev.Kind))
		}
		if !slices.Equal(got, want) {
			t.Errorf("events came at %v, not %v", got, want)
		}
	})
}
