package fallback

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// lender is a node whose only talking peer has its connection lent.
type lender struct {
	*testing.T
	node, peer *Node
}

func newLender(t *testing.T) *lender {
	a, b := meet(t)
	l := &lender{T: t, node: b, peer: a}
	l.lend()
	return l
}

// say has the peer whisper, once the node waits for it.
func (l *lender) say(text string) {
	l.Helper()
	if err := l.peer.Whisper(l.node.UUID(), []byte(text)); err != nil {
		l.Fatal(err)
	}
}

// lend whispers one message after the other until the connection is lent and
// a Recv has read it.
func (l *lender) lend() {
	l.Helper()
	before := l.reads()
	deadline := time.Now().Add(patience)
	for l.reads() == before {
		if time.Now().After(deadline) {
			l.Fatal("the connection is not lent")
		}
		time.AfterFunc(time.Millisecond, func() { l.peer.Whisper(l.node.UUID(), []byte("lend")) })
		expect(l, l.node, Whisper)
	}
}

func (l *lender) loan() (lent, reading bool) {
	b := l.node.inbox
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.loan.in != nil, b.loan.reading
}

func (l *lender) reads() uint64 {
	b := l.node.inbox
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.loan.reads
}

// receive has a Recv read the connection, and returns where its outcome comes.
func (l *lender) receive(ctx context.Context) <-chan error {
	l.Helper()
	l.lend()
	done := make(chan error, 1)
	go func() {
		for {
			ev, err := l.node.Recv(ctx)
			if err == nil && ev.Kind == Whisper && string(ev.Msg[0]) == "lend" {
				continue
			}
			done <- err
			return
		}
	}()
	return done
}

func (l *lender) wait(what string, ok func() bool) {
	l.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			l.Fatal(what)
		}
	}
}

// ended waits for what receive has started.
func (l *lender) ended(done <-chan error, want error) {
	l.Helper()
	select {
	case err := <-done:
		if !errors.Is(err, want) {
			l.Errorf("Recv returned %v, not %v", err, want)
		}
	case <-time.After(patience):
		l.Fatal("Recv does not end")
	}
}

func TestLentConnectionGoesBackUnread(t *testing.T) {
	l := newLender(t)
	l.wait("nobody reads the connection, and it is still lent", func() bool { lent, _ := l.loan(); return !lent })
	l.say("unread")
	l.wait("the reader does not read", func() bool { n, _ := l.node.inbox.size(); return n > 0 })
}

func TestLentConnectionTakesAllKinds(t *testing.T) {
	l := newLender(t)
	for i := range 50 {
		l.lend()
		group := strconv.Itoa(i)
		time.AfterFunc(time.Millisecond, func() { l.peer.Join(group) })
		if ev := expect(l, l.node, Join); ev.Group != group {
			t.Fatalf("JOIN of %q, not %q", ev.Group, group)
		}
		l.wait("the peer is not in its group", func() bool {
			return slices.Contains(l.node.GroupPeers(group), l.peer.UUID())
		})
	}
}

func TestRecvOnLentConnectionEnds(t *testing.T) {
	t.Run("context", func(t *testing.T) {
		l := newLender(t)
		for range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			done := l.receive(ctx)
			cancel()
			l.ended(done, context.Canceled)
		}
	})
	t.Run("deadline", func(t *testing.T) {
		l := newLender(t)
		for range 5 {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Millisecond)
			l.ended(l.receive(ctx), context.DeadlineExceeded)
			cancel()
		}
	})
	t.Run("close", func(t *testing.T) {
		l := newLender(t)
		done := l.receive(t.Context())
		l.node.Close()
		l.ended(done, ErrClosed)
	})
	t.Run("stop", func(t *testing.T) {
		l := newLender(t)
		done := l.receive(t.Context())
		if err := l.node.Stop(); err != nil {
			t.Fatal(err)
		}
		l.ended(done, nil)
	})
	t.Run("peer", func(t *testing.T) {
		l := newLender(t)
		done := l.receive(t.Context())
		l.peer.Close()
		l.ended(done, nil)
	})
	t.Run("another's message", func(t *testing.T) {
		l := newLender(t)
		other := startNode(t, testConfig("other", l.node.cfg.Port))
		expect(t, other, Enter)
		for expect(t, l.node, Enter).Peer != other.UUID() {
		}
		for range 50 {
			done := l.receive(t.Context())
			if err := other.Whisper(l.node.UUID(), []byte("other")); err != nil {
				t.Fatal(err)
			}
			l.ended(done, nil)
		}
	})
}

// TestLoansAndManyReaders: with readers that come and go, and others that
// talk in between, every message arrives once.
func TestLoansAndManyReaders(t *testing.T) {
	const rounds = 2000
	a, b := meet(t)
	other := startNode(t, testConfig("other", a.cfg.Port))
	for len(other.Peers()) < 2 || len(b.Peers()) < 2 {
		time.Sleep(time.Millisecond)
	}
	var answered atomic.Int32
	for range 2 { // readers
		go func() {
			for {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				ev, err := b.Recv(ctx)
				cancel()
				switch {
				case err == nil && ev.Kind == Whisper:
					answered.Add(1) // before the answer, after which it is looked at
					b.Whisper(ev.Peer, ev.Msg...)
				case errors.Is(err, context.DeadlineExceeded):
				case err != nil:
					return
				}
			}
		}()
	}
	go func() {
		for i := range rounds / 10 {
			other.Whisper(b.UUID(), []byte(strconv.Itoa(i)))
			time.Sleep(time.Millisecond)
		}
	}()
	for i := range rounds {
		if err := a.Whisper(b.UUID(), []byte(strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
		if ev := expect(t, a, Whisper); string(ev.Msg[0]) != strconv.Itoa(i) {
			t.Fatalf("%s came for %d", ev.Msg[0], i)
		}
	}
	echoed := make(map[string]bool) // two readers answer in any order
	for range rounds / 10 {
		echoed[string(expect(t, other, Whisper).Msg[0])] = true
	}
	if len(echoed) != rounds/10 {
		t.Errorf("%d messages of the other, not %d", len(echoed), rounds/10)
	}
	if n := answered.Load(); n != rounds+rounds/10 {
		t.Errorf("%d messages, not %d", n, rounds+rounds/10)
	}
}
