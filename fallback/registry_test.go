package fallback

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/gozyre/zyre/fallback/internal/zre"
	"github.com/gozyre/zyre/internal/testport"
)

// pausing is a handler of logs that waits when a message comes.
type pausing struct {
	at    string
	until <-chan error
}

func (p pausing) Enabled(context.Context, slog.Level) bool { return true }
func (p pausing) WithAttrs([]slog.Attr) slog.Handler       { return p }
func (p pausing) WithGroup(string) slog.Handler            { return p }

func (p pausing) Handle(_ context.Context, r slog.Record) error {
	if r.Message != p.at {
		return nil
	}
	select {
	case err := <-p.until:
		return err
	case <-time.After(patience):
		return errors.New("nothing came")
	}
}

// TestFirstEventFindsTheNodeStarted: a program that waits for events before it
// starts the node can answer the first one, even if Start has not returned.
func TestFirstEventFindsTheNodeStarted(t *testing.T) {
	port := testport.Next()
	startNode(t, testConfig("there", port))
	cfg := testConfig("comes", port)
	answered := make(chan error, 1)
	cfg.Logger = slog.New(pausing{"node started", answered})
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	go func() {
		ev, err := n.Recv(t.Context())
		if err == nil {
			err = n.Whisper(ev.Peer, []byte("hello"))
		}
		if err != nil {
			t.Errorf("the answer to the first event: %v", err)
		}
		if len(n.Peers()) != 1 {
			t.Errorf("peers at the first event: %v", n.Peers())
		}
		answered <- nil
	}()
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestNothingOfAPeerBehindItsExit: who has seen the Exit of a peer finds it
// nowhere. The calls look without the lock under which it is removed.
func TestNothingOfAPeerBehindItsExit(t *testing.T) {
	n, pr := withoutNetwork(t)
	defer n.Close()
	at := tcpPlace(netip.MustParseAddrPort("127.0.0.1:3000"))
	for i := range 10_000 {
		id := UUID{1, byte(i >> 8), byte(i)}
		pr.mu.Lock()
		p := pr.add(id, at, [32]byte{}, fromUser)
		if !pr.enter(p, unread(pr), &zre.Hello{Name: "peer", Groups: []string{"G"}}) {
			t.Fatal("the peer could not enter")
		}
		pr.mu.Unlock()
		n.inbox.put(&p.src, []Event{p.event(Enter)}, 0)
		if len(n.Peers()) != 1 || len(n.GroupPeers("G")) != 1 {
			t.Fatalf("peers %v, in the group %v", n.Peers(), n.GroupPeers("G"))
		}
		go func() {
			for n.inbox.idle.Load() == 0 { // until the application waits
				runtime.Gosched()
			}
			pr.leave(p, "the test wants it")
		}()
		expect(t, n, Enter)
		expect(t, n, Exit)
		if err := n.Whisper(id, []byte("x")); !errors.Is(err, ErrUnknownPeer) {
			t.Fatalf("peer %d, whisper to one who left: %v", i, err)
		}
		if len(n.Peers()) != 0 || len(n.GroupPeers("G")) != 0 || len(n.PeerGroups()) != 0 {
			t.Fatalf("peer %d, behind its exit: peers %v, groups %q", i, n.Peers(), n.PeerGroups())
		}
	}
}
