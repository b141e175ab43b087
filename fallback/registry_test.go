package fallback

import (
	"errors"
	"net/netip"
	"runtime"
	"testing"

	"github.com/gozyre/zyre/fallback/internal/zre"
)

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
		if !pr.enter(p, nil, &zre.Hello{Name: "peer", Groups: []string{"G"}}) {
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
