//go:build linux

package fallback

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gozyre/zyre/internal/hostile"
	"github.com/gozyre/zyre/internal/testport"
)

// Large messages of several peers at once share little memory, and all of
// them arrive, also while others begin messages and leave them unfinished.
func TestLargeMessagesAtOnce(t *testing.T) {
	const size, stalled = 12 << 20, 3
	port := testport.Next()
	config := func(name string) Config {
		cfg := testConfig(name, port)
		cfg.InboxLimit, cfg.SendTimeout = 1<<20, patience
		return cfg
	}
	receiver := startNode(t, config("receiver"))
	var senders []*Node
	for i := range 3 {
		n := startNode(t, config(fmt.Sprint("sender", i)))
		if err := n.RequirePeer(receiver.UUID(), receiver.pr.Load().bound, ""); err != nil {
			t.Fatal(err)
		}
		for expect(t, n, Enter).Peer != receiver.UUID() {
		}
		senders = append(senders, n)
	}
	scene := sceneOf(receiver)
	t.Cleanup(scene.Close)
	var hostiles []*hostile.Conn
	for range stalled {
		c, err := scene.Enter()
		if err != nil {
			t.Fatal(err)
		}
		go c.Send(hostile.Frame(hostile.More, hostile.Plain(hostile.KindWhisper, c.Next())), hostile.Header(0, size), make([]byte, size/4))
		hostiles = append(hostiles, c)
	}
	un := &receiver.pr.Load().unfinished
	eventually(t, "messages begin", func() bool { return un.sum.Load() > freeUnfinished })
	for i, n := range senders {
		go n.Whisper(receiver.UUID(), bytes.Repeat([]byte{byte(i)}, size))
	}
	for whispers := 0; whispers < len(senders); {
		ev := expect(t, receiver, Whisper)
		if i := ev.Msg[0][0]; len(ev.Msg[0]) != size || !bytes.Equal(ev.Msg[0], bytes.Repeat([]byte{i}, size)) {
			t.Fatalf("%d bytes of %d have arrived", len(ev.Msg[0]), size)
		}
		whispers++
	}
	for _, c := range hostiles {
		c.Close()
	}
	eventually(t, "nothing is unfinished", func() bool { return un.sum.Load() == 0 })
	for _, n := range senders {
		if s := n.Stats(); s.Exited > 0 || s.Dropped > 0 {
			t.Errorf("%s: %+v", n.Name(), s)
		}
	}
}

// unfinishedCrowd makes connections of peers, the first of which is known longest.
func unfinishedCrowd(t *testing.T, n int) (un *unfinished, crowd []*inbound) {
	node, err := New(testConfig("node", 0))
	if err != nil {
		t.Fatal(err)
	}
	pr := newPresence(node, node.UUID())
	for i := range n {
		near, _ := net.Pipe()
		p := &peer{pr: pr, done: make(chan struct{}), born: time.Now().Add(time.Duration(i))}
		in := &inbound{pr: pr, conn: &line{Conn: near}, peer: p}
		p.in = in
		pr.peers[UUID{byte(i)}] = p
		crowd = append(crowd, in)
	}
	return &pr.unfinished, crowd
}

// Beyond the limit one message goes on at a time, that of the peer that is
// known longest first.
func TestUnfinishedMessagesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		un, in := unfinishedCrowd(t, 4)
		const most = freeUnfinished + 1
		if !un.take(in[3], freeMessage, freeMessage) || un.take(in[1], most, most) {
			t.Fatal("there is room for one and not for the other")
		}
		if err := un.await(in[1]); err != nil || !un.take(in[1], most, 2*most) {
			t.Fatal("one may always go on", err)
		}
		var order []int
		for _, i := range []int{2, 0} {
			if un.take(in[i], most, most) {
				t.Fatalf("%d need not wait", i)
			}
			go func() {
				un.await(in[i])
				order = append(order, i)
				un.take(in[i], 0, 0)
			}()
			synctest.Wait()
		}
		if len(order) > 0 {
			t.Fatal(order, "went on while another did")
		}
		if !un.take(in[1], 0, 0) {
			t.Error("must wait, with nothing to wait for")
		}
		synctest.Wait()
		if !slices.Equal(order, []int{0, 2}) {
			t.Errorf("went on in the order %v", order)
		}
		if un.take(in[3], 0, 0); un.sum.Load() != 0 || un.first != nil || len(un.waiting) > 0 {
			t.Errorf("left: %d bytes, first %v, %d wait", un.sum.Load(), un.first, len(un.waiting))
		}
	})
}

// A large message takes its turn even where there is room, so that there is
// some for others, and it does so at once where no other has it.
func TestLargeUnfinishedMessageIsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		un, in := unfinishedCrowd(t, 3)
		const large = freeMessage + 1
		if un.take(in[0], large, large) {
			t.Fatal("a large message goes on beside others")
		}
		if err := un.await(in[0]); err != nil || !un.take(in[0], large, large) {
			t.Fatal("there is nobody to wait for", err)
		}
		if !un.take(in[1], freeMessage, freeMessage) || un.take(in[2], large, large) {
			t.Fatal("beside a large message there is room for a small one alone")
		}
		if un.enqueue(in[2]); len(un.waiting[in[2]]) > 0 {
			t.Error("a second large message goes on")
		}
	})
}

// Where memory is scarce a reader asks for little before it comes, and for
// less if it is not the one that goes on.
func TestUnfinishedMessagesAreThrifty(t *testing.T) {
	un, in := unfinishedCrowd(t, 2)
	if un.take(in[0], 1, freeUnfinished/2); un.thrift(in[0]) != 0 {
		t.Error("thrifty with half of the room free")
	}
	un.take(in[0], 1, freeUnfinished)
	un.enqueue(in[0])
	if first, other := un.thrift(in[0]), un.thrift(in[1]); first != firstAhead || other != tightAhead {
		t.Errorf("ahead with no room: %d of the first, %d of others", first, other)
	}
}

// What becomes free is for one at a time where many wait.
func TestCrowdGoesOnOneAtATime(t *testing.T) {
	for _, n := range []int{together, together + 1} {
		un, in := unfinishedCrowd(t, n+2)
		un.take(in[n], freeUnfinished, freeUnfinished)
		un.enqueue(in[n])
		un.take(in[n+1], freeMessage, freeMessage)
		un.dequeue(in[n])
		for _, in := range in[:n] {
			un.take(in, 1, unfinishedShare+1)
			un.enqueue(in)
		}
		un.take(in[n], 0, 0)
		awake := 0
		for _, wake := range un.waiting {
			awake += len(wake)
		}
		if want := map[bool]int{true: n, false: 1}[n <= together]; awake != want {
			t.Errorf("of %d that wait %d go on, not %d", n, awake, want)
		}
	}
}

// Who does not get on is given up when others wait, and only then.
func TestUnfinishedMessagesAreGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		un, in := unfinishedCrowd(t, 3)
		un.take(in[0], slowUnfinished, slowUnfinished)
		un.await(in[0])
		un.take(in[1], freeUnfinished, freeUnfinished)
		time.Sleep(10 * turnTime)
		if in[0].part.stalled.Load() || in[1].part.stalled.Load() {
			t.Fatal("given up while nobody waits")
		}
		un.take(in[2], slowUnfinished, slowUnfinished)
		go un.await(in[2])
		got := slowUnfinished
		for range 30 { // in[0] goes on, in[1] does not
			got += leastProgress
			un.take(in[0], got, got)
			time.Sleep(turnTime / 10)
		}
		if in[0].part.stalled.Load() || !in[1].part.stalled.Load() || in[2].part.stalled.Load() {
			t.Errorf("given up: %v, %v, %v", in[0].part.stalled.Load(), in[1].part.stalled.Load(), in[2].part.stalled.Load())
		}
		un.pr.cancel()
	})
}

// What strangers take is given back when they go.
func TestStrangersGiveBack(t *testing.T) {
	n := startNode(t, testConfig("node", testport.Next()))
	scene := sceneOf(n)
	t.Cleanup(scene.Close)
	pr := n.pr.Load()
	for range 3 {
		c, err := scene.Shaken(UUID{1})
		if err != nil {
			t.Fatal(err)
		}
		c.Send(hostile.Header(0, maxHello), make([]byte, maxHello-1))
		eventually(t, "it holds memory", func() bool { return pr.strangers.Load() >= maxHello-1 })
		c.Close()
		eventually(t, "none is held", func() bool { return pr.strangers.Load() == 0 })
	}
}

// A message is not given up because this node's own application does not make
// room for what came before.
func TestUnfinishedBehindOurselves(t *testing.T) {
	t.Parallel()
	port := testport.Next()
	cfg := testConfig("receiver", port)
	cfg.InboxLimit = 1 << 20
	receiver := startNode(t, cfg)
	for i := range 2 {
		n := startNode(t, testConfig(fmt.Sprint("sender", i), port))
		for expect(t, n, Enter).Peer != receiver.UUID() {
		}
		go func() {
			for n.Whisper(receiver.UUID(), []byte("a small one"), make([]byte, 3<<20)) == nil {
			}
		}()
	}
	for range 4 {
		expect(t, receiver, Whisper)
	}
	time.Sleep(3 * turnTime) // the application is busy
	for range 10 {
		if ev := expect(t, receiver, Whisper, Exit); ev.Kind == Exit {
			t.Fatalf("a peer was removed that had to wait: %+v", receiver.Stats())
		}
	}
}
