//go:build linux

package fallback

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/gozyre/zyre/internal/hostile"
	"github.com/gozyre/zyre/internal/testport"
)

// slowConfig is that of nodes whose peers or applications take nothing.
func slowConfig(name string, port int) Config {
	cfg := testConfig(name, port)
	cfg.SendTimeout, cfg.SendLimit, cfg.InboxLimit = 2*time.Second, 256<<10, 256<<10
	cfg.Expired = time.Hour // nobody is removed for anything else
	return cfg
}

// numbered is a message that begins with a number.
func numbered(n uint64, size int) [][]byte {
	return [][]byte{binary.BigEndian.AppendUint64(nil, n), make([]byte, size)}
}

// sendUntilRefused whispers until the peer is gone and returns how many
// messages were taken.
func sendUntilRefused(t *testing.T, from *Node, to UUID, size int) (taken uint64) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); taken++ {
		if err := from.Whisper(to, numbered(taken+1, size)...); errors.Is(err, ErrUnknownPeer) {
			return taken
		} else if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("%d messages were taken, and still the peer is there", taken)
	return 0
}

// An application that never reads costs a bounded amount of memory and hurts
// itself alone: its node answers every call, and who sends to it is held back
// and then told that the peer is gone.
func TestApplicationThatNeverReads(t *testing.T) {
	t.Parallel()
	port := testport.Next()
	deaf := startNode(t, slowConfig("deaf", port))
	sender, other := startNode(t, slowConfig("sender", port)), startNode(t, slowConfig("other", port))
	for _, n := range []*Node{sender, other} {
		expect(t, n, Enter)
		expect(t, n, Enter)
	}
	eventually(t, "deaf knows both", func() bool { return len(deaf.Peers()) == 2 })

	const size = 10 << 10
	taken := sendUntilRefused(t, sender, deaf.UUID(), size)
	if ev := expect(t, sender, Exit); ev.Peer != deaf.UUID() {
		t.Fatalf("%+v", ev)
	}
	s := sender.Stats()
	if s.Dropped == 0 || s.Dropped > taken || s.QueuedBytes > 64<<10 {
		t.Errorf("of %d messages to one who takes nothing: %+v", taken, s)
	}
	if s := deaf.Stats(); s.InboxBytes > 256<<10+128<<10 || s.InboxBytes < 256<<10 {
		t.Errorf("unread: %+v", s)
	}
	callAll(t, deaf)

	if err := other.Whisper(sender.UUID(), []byte("are you there")); err != nil {
		t.Fatal(err)
	}
	if ev := expect(t, sender, Whisper); ev.Peer != other.UUID() {
		t.Fatalf("%+v", ev)
	}
	readInOrder(t, deaf, sender.UUID())
}

// callAll makes the calls that a node must answer whatever its application reads.
func callAll(t *testing.T, n *Node) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		n.Peers()
		n.PeerGroups()
		n.GroupPeers("G")
		for _, id := range n.Peers() {
			n.Peer(id)
		}
		n.Shout("G", []byte("x"))
		done <- errors.Join(n.Join("G"), n.Leave("G"))
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("a call hangs")
	}
}

// readInOrder reads the messages of a peer up to its Exit: those that came
// are the first ones, without a gap.
func readInOrder(t *testing.T, n *Node, from UUID) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for last := uint64(0); ; {
		ev, err := n.Recv(ctx)
		switch {
		case err != nil:
			t.Fatalf("after message %d: %v", last, err)
		case ev.Peer != from:
		case ev.Kind == Exit && last > 0:
			return
		case ev.Kind == Whisper:
			if number := binary.BigEndian.Uint64(ev.Msg[0]); number != last+1 {
				t.Fatalf("message %d after %d", number, last)
			}
			last++
		}
	}
}

// A peer that shakes hands and then reads nothing is removed when the send
// timeout is over, and what waited for it is counted and let go.
func TestPeerThatTakesNothing(t *testing.T) {
	t.Parallel()
	n := startNode(t, slowConfig("node", testport.Next()))
	scene := sceneOf(n)
	t.Cleanup(scene.Close)
	peer, err := scene.EnterWith(hostile.Deaf, "G")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, n, Enter)
	expect(t, n, Join)
	begin := time.Now()
	taken := sendUntilRefused(t, n, peer.ID, 10<<10)
	if took := time.Since(begin); took < slowConfig("", 0).SendTimeout {
		t.Errorf("removed after %v", took)
	}
	expect(t, n, Exit)
	if s := n.Stats(); s.Dropped == 0 || s.Dropped > taken || s.QueuedBytes != 0 || s.Peers != 0 {
		t.Errorf("of %d messages: %+v", taken, s)
	}
}

// A peer that takes a large message so slowly that between two writes of it, or
// before the kernel has room for more, the send timeout passes, is not stuck.
func TestLargeMessageToASlowPeer(t *testing.T) {
	t.Parallel()
	cfg := slowConfig("node", testport.Next())
	cfg.SendTimeout = 600 * time.Millisecond
	n := startNode(t, cfg)
	scene := sceneOf(n)
	t.Cleanup(scene.Close)
	peer, err := scene.EnterWith(hostile.Slowly(32<<10, 30*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	expect(t, n, Enter)
	const size = 5 << 20
	if err := n.Whisper(peer.ID, make([]byte, size)); err != nil {
		t.Errorf("the peer was removed while it took the message: %v", err)
	}
	eventually(t, "all has arrived", func() bool { return peer.Back.Bytes() > size })
}

// Stop waits for what was said to a peer that has not let this node in yet.
func TestStopBeforeTheConnection(t *testing.T) {
	n := startNode(t, slowConfig("node", testport.Next()))
	scene := sceneOf(n)
	t.Cleanup(scene.Close)
	peer, err := scene.EnterWith(func(l *hostile.Listener, c net.Conn) {
		time.Sleep(100 * time.Millisecond)
		hostile.Polite(l, c)
	})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, n, Enter)
	const size = 10 << 10
	if err := n.Whisper(peer.ID, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the message has arrived", func() bool { return peer.Back.Bytes() > size })
}

// A peer whose one message takes longer than peers may be silent is alive: it
// can say nothing else until the message is through.
func TestMessageOverASlowLink(t *testing.T) {
	t.Parallel()
	cfg := slowConfig("node", testport.Next())
	cfg.Evasive, cfg.Expired = 500*time.Millisecond, time.Second
	n := startNode(t, cfg)
	scene := sceneOf(n)
	t.Cleanup(scene.Close)
	peer, err := scene.Enter()
	if err != nil {
		t.Fatal(err)
	}
	const pieces, size = 60, 64 << 10
	go func() {
		peer.Send(hostile.Frame(hostile.More, hostile.Plain(hostile.KindWhisper, peer.Next())), hostile.Header(0, pieces*size))
		for range pieces {
			peer.Send(make([]byte, size))
			time.Sleep(50 * time.Millisecond) // the link is slow
		}
	}()
	if ev := expect(t, n, Whisper, Exit); ev.Kind == Exit {
		t.Error("the peer was removed in the middle of its message")
	}
}

// sceneOf is where attacks on a node of this process take place.
func sceneOf(n *Node) *hostile.Scene {
	pr := n.pr.Load()
	return &hostile.Scene{
		Victim: hostile.Party{ID: n.UUID(), Endpoint: netip.AddrPortFrom(pr.links[0].Addr, pr.port)},
		Port:   n.cfg.Port,
		Addr:   netip.MustParseAddr("127.2.0.1"),
		Other:  netip.MustParseAddr("127.2.0.2"),
	}
}
