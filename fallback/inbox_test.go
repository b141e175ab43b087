package fallback

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gozyre/zyre/fallback/internal/zre"
)

// Of two in Recv one has looked and found nothing; two events come; the other
// one takes both into the half that is read and returns the first. Then the
// first one must not wait.
func TestNobodyWaitsBesideAnEvent(t *testing.T) {
	b := newInbox(1 << 20)
	var ev Event
	if b.pop(&ev) {
		t.Fatal("there is something")
	}
	b.put(&source{}, []Event{{Kind: Enter}, {Kind: Join}}, 0)
	if !b.pop(&ev) {
		t.Fatal("there is nothing")
	}
	if _, wait := b.sitDown(); wait {
		t.Error("one waits although there is an event")
	}
}

// The same as it happens: one event for each of two.
func TestTwoEventsForTwo(t *testing.T) {
	for round := range 20_000 {
		b := newInbox(1 << 20)
		got := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := b.get(context.Background())
				got <- err
			}()
		}
		go b.put(&source{}, []Event{{Kind: Enter}, {Kind: Join}}, 0)
		for range 2 {
			select {
			case <-got:
			case <-time.After(patience):
				n, _ := b.size()
				t.Fatalf("round %d: %d event waits, and one sleeps", round, n)
			}
		}
		b.close()
	}
}

// A Recv that is woken and gives up at that moment leaves the event to another.
func TestWakeUpOfOneThatGivesUp(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			b := newInbox(1 << 20)
			recv := func() (errs chan error, cancel context.CancelFunc) {
				ctx, cancel := context.WithCancel(context.Background())
				errs = make(chan error, 1)
				go func() { _, err := b.get(ctx); errs <- err }()
				synctest.Wait()
				return errs, cancel
			}
			first, giveUp := recv()
			second, end := recv()
			b.post(nil, Event{Kind: Stop})
			giveUp()
			synctest.Wait()
			if len(first) == 1 && <-first != nil && len(second) == 0 {
				t.Error("one has given up, and the other one sleeps beside the event")
			}
			end()
		})
	}
}

// In the counters a peer is there, or it has exited; and bytes are sent when
// their message is.
func TestCountersAgree(t *testing.T) {
	n, pr := withoutNetwork(t)
	defer n.Close()
	pr.mu.Lock()
	p := pr.add(UUID{1}, place{endpoint: "tcp://127.0.0.1:3000"}, [32]byte{}, fromUser)
	pr.enter(p, unread(pr), &zre.Hello{Name: "peer"})
	pr.mu.Unlock()
	if err := n.Whisper(p.id, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if s := n.Stats(); s.Entered != 1 || s.Exited != 0 || s.Peers != 1 || s.SentBytes != 0 || s.QueuedBytes < 100 {
		t.Errorf("while it is there: %+v", s)
	}
	pr.leave(p, "its Enter was not read") // nor is its Exit
	if s := n.Stats(); s.Entered != 1 || s.Exited != 1 || s.Peers != 0 || s.SentBytes != 0 || s.Dropped != 1 {
		t.Errorf("when it has gone: %+v", s)
	}
}
