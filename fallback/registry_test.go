//go:build linux

package fallback

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
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

// A peer that the user names while the node stops is refused: nobody would end
// its dials, for which Stop waits.
func TestRequireBehindStop(t *testing.T) {
	n := startNode(t, testConfig("node", testport.Next()))
	pr := n.pr.Load()
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := pr.require(UUID{1}, "tcp://127.0.0.1:9", [32]byte{}); !errors.Is(err, ErrNotStarted) {
		t.Errorf("the error is %v", err)
	}
}

// The gossip comes and goes with the presence, whoever calls meanwhile.
func TestUnpublishWhileStopping(t *testing.T) {
	cfg := testConfig("node", testport.Next())
	cfg.GossipBind = []string{testport.Endpoint()}
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	var done atomic.Bool
	var calls sync.WaitGroup
	calls.Go(func() {
		for !done.Load() {
			if err := n.GossipUnpublish(UUID{1}); err != nil && !errors.Is(err, ErrNotStarted) {
				t.Error(err)
				return
			}
		}
	})
	for range 50 {
		if err := errors.Join(n.Start(t.Context()), n.Stop()); err != nil {
			t.Error(err)
		}
	}
	done.Store(true)
	calls.Wait()
}

// When a connection breaks by which nothing is lost, another one is made also
// while the application is slow: the peer hears of this node by it.
func TestRedialWhileTheApplicationIsSlow(t *testing.T) {
	port := testport.Next()
	slow, fast := testConfig("slow", port), testConfig("fast", port)
	slow.InboxLimit, fast.SendTimeout, fast.Expired = 8<<10, time.Hour, time.Hour
	a, b := startNode(t, slow), startNode(t, fast)
	expect(t, a, Enter)
	expect(t, b, Enter)
	p := a.pr.Load().entered.get(b.UUID())
	p.out.ping()
	eventually(t, "all has arrived", p.out.intact)
	go func() {
		for b.Whisper(a.UUID(), make([]byte, 1000)) == nil {
		}
	}()
	eventually(t, "it is held back", p.heldBack)
	p.out.mu.Lock()
	broken := p.out.conn
	p.out.mu.Unlock()
	broken.Close()
	eventually(t, "it is dialled again, or anew if a PING was on its way", func() bool {
		select {
		case <-p.done:
			return true
		default:
		}
		p.out.mu.Lock()
		defer p.out.mu.Unlock()
		return p.out.conn != nil && p.out.conn != broken
	})
}

// A large table that is changed again and again is not copied for each look.
func TestTableIsCopiedRarely(t *testing.T) {
	const entries, rounds = 10_000, 5_000
	table := table[int, bool]{mu: new(sync.Mutex)}
	for i := range entries {
		table.set(i, true)
	}
	copies := 0
	for i := range rounds {
		table.mu.Lock()
		table.drop(i)
		table.set(i, i%2 == 0)
		table.mu.Unlock()
		if table.get(i) != (i%2 == 0) {
			t.Fatalf("entry %d is wrong", i)
		}
		if table.snap.Load() != nil {
			copies++
		}
	}
	if copies > 2*rounds*tableCost/entries {
		t.Errorf("copied %d times in %d rounds", copies, rounds)
	}
	for range entries {
		table.get(0)
	}
	if table.snap.Load() == nil {
		t.Error("never copied, and so each look takes the lock")
	}
}

// All peers together are in so many groups at most, and each in some.
func TestMembershipsOfAll(t *testing.T) {
	_, pr := withoutNetwork(t)
	pr.mu.Lock()
	defer pr.mu.Unlock()
	pr.memberships = maxMemberships
	p := &peer{pr: pr}
	for i := range groupShare {
		if !pr.addMember(p, fmt.Sprint(i)) {
			t.Fatalf("refused after %d groups", i)
		}
	}
	if pr.addMember(p, "one more") {
		t.Error("one more than its share")
	}
	pr.dropMember(p, "0")
	if !pr.addMember(p, "0") || pr.memberships != maxMemberships+groupShare {
		t.Errorf("%d memberships", pr.memberships-maxMemberships)
	}
}

// A listener that could not be moved with an address is opened again when it
// can be.
func TestListenerThatCameBack(t *testing.T) {
	n := startNode(t, testConfig("node", testport.Next()))
	pr := n.pr.Load()
	pr.mu.Lock()
	pr.deaf = true
	pr.listener.Close()
	pr.mu.Unlock()
	eventually(t, "it listens", func() bool {
		conn, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", pr.port))
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// Two nodes of one host may have the same port, each at an address of its own.
func TestSamePortAtOtherAddresses(t *testing.T) {
	port, hub := testport.Next(), testport.Endpoint()
	a, b := testConfig("a", testport.Next()), testConfig("b", testport.Next())
	a.Endpoint, a.GossipBind = fmt.Sprint("tcp://127.0.0.1:", port), []string{hub}
	b.Endpoint, b.GossipConnect = fmt.Sprint("tcp://127.0.0.2:", port), []Hub{{Endpoint: hub}}
	first, second := startNode(t, a), startNode(t, b)
	expect(t, first, Enter)
	expect(t, second, Enter)
}

// While Start waits, for a name to be looked up, the node can be asked, and
// closed, which ends it.
func TestCallsWhileStarting(t *testing.T) {
	cfg := testConfig("", testport.Next())
	asked := make(chan error, 1)
	cfg.Logger = slog.New(pausing{"interface chosen", asked})
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan error, 1)
	go func() { started <- n.Start(t.Context()) }()
	eventually(t, "it starts", func() bool { n.mu.Lock(); defer n.mu.Unlock(); return n.abort != nil })
	err = n.Join("G")
	if id := n.UUID(); err != nil || n.Name() != hexID(id)[:6] || len(n.Groups()) != 1 {
		t.Errorf("%v, %s, %q", err, n.Name(), n.Groups())
	}
	closed := make(chan error, 1)
	go func() { closed <- n.Close() }()
	eventually(t, "it closes", n.isClosed)
	asked <- nil
	if err := <-started; !errors.Is(err, ErrClosed) {
		t.Errorf("Start: %v", err)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
}
