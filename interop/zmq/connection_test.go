//go:build linux

package zmq

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pebbe/zmq4"

	"github.com/gozyre/zyre/fallback"
	"github.com/gozyre/zyre/interop/internal/lab"
)

// behindCables is a node and a stranger that know each other, each connected
// to the other through a cable.
func behindCables(t *testing.T, node *lab.Node, addr string, options ...func(*zmq4.Socket) error) (s *stranger, toNode, toStranger *cable) {
	t.Helper()
	toNode = newCable(t, addr)
	s = newStranger(t, toNode.addr(), options...)
	toStranger = newCable(t, strings.TrimPrefix(s.endpoint, "tcp://"))
	s.endpoint = "tcp://" + toStranger.addr()
	acquaint(t, node, s)
	return s, toNode, toStranger
}

// TestHeartbeats answers those that libzmq sends where ZMQ_HEARTBEAT_IVL is
// set: without answers it cuts the connection.
func TestHeartbeats(t *testing.T) {
	const beats = 5
	node, addr := newNode(t)
	s, toNode, toStranger := behindCables(t, node, addr, func(s *zmq4.Socket) error {
		return errors.Join(
			s.SetHeartbeatIvl(50*time.Millisecond),
			s.SetHeartbeatTimeout(patience),
			s.SetHeartbeatTtl(patience),
		)
	})
	toNode.awaitPongs(farEnd, beats)
	toStranger.awaitPongs(nearEnd, beats)
	s.send(kindWhisper, nil, []byte("still here"))
	node.Next(t, s.id, fallback.Whisper)
	node.Must(node.Whisper(s.id, []byte("me too")))
	s.expect(node.UUID(), kindWhisper, 2)
	node.Quiet(t, s.id)
}

// TestTheirReconnect cuts the connection of libzmq's DEALER, which connects
// again as if nothing had been: same identity, next number.
func TestTheirReconnect(t *testing.T) {
	node, addr := newNode(t)
	s, toNode, _ := behindCables(t, node, addr)
	for i := range 3 {
		toNode.cut()
		toNode.awaitConnections(i + 2)
		s.send(kindWhisper, nil, fmt.Append(nil, i))
		if ev := node.Next(t, s.id, fallback.Whisper); !equal(ev.Msg, fmt.Sprint(i)) {
			t.Errorf("Whisper: %q", ev.Msg)
		}
	}
	node.Quiet(t, s.id)
}

// TestHandover is a reconnection that comes while the old connection seems
// to live, as after a change of network: the new one takes over.
func TestHandover(t *testing.T) {
	node, addr := newNode(t)
	s, toNode, _ := behindCables(t, node, addr)
	toNode.hang()
	toNode.awaitConnections(2)
	s.send(kindWhisper, nil, []byte("from the new connection"))
	node.Next(t, s.id, fallback.Whisper)
	node.Quiet(t, s.id)
}

// TestOurReconnect cuts the connection that our node made, when the stranger
// has answered to all that was said on it: so nothing is lost, and the next
// connection goes on with the next number.
func TestOurReconnect(t *testing.T) {
	node, addr := newNode(t, func(c *fallback.Config) { c.Evasive, c.SendTimeout = 3*time.Second, lab.Never })
	s, _, toStranger := behindCables(t, node, addr)
	ping := s.recvAny(node.UUID())
	if ping.kind != kindPing {
		t.Fatalf("message of kind %d", ping.kind)
	}
	s.send(kindPingOK, nil)
	s.send(kindWhisper, nil, []byte("behind the answer"))
	node.Next(t, s.id, fallback.Whisper)
	toStranger.cut()
	toStranger.awaitConnections(2)
	node.Must(node.Whisper(s.id, []byte("again")))
	s.expect(node.UUID(), kindWhisper, ping.seq+1)
	node.Quiet(t, s.id)
}

// TestOurNewBeginning cuts the connection that our node made when something
// may be lost with it. Our node forgets the stranger and says HELLO anew, to
// which the stranger has to answer, as all nodes do.
func TestOurNewBeginning(t *testing.T) {
	node, addr := newNode(t)
	s, _, toStranger := behindCables(t, node, addr)
	for range 3 {
		node.Must(node.Whisper(s.id, []byte("lost, for all that our node knows")))
		s.expect(node.UUID(), kindWhisper, 2)
		toStranger.cut()
		node.Next(t, s.id, fallback.Exit)
		s.expect(node.UUID(), kindHello, 1)
		s.again()
		node.Next(t, s.id, fallback.Enter)
	}
}

// TestRequirePeer connects to a stranger of whom nothing else is known.
func TestRequirePeer(t *testing.T) {
	node, addr := newNode(t)
	s := newStranger(t, addr)
	node.Must(node.RequirePeer(s.id, s.endpoint, ""))
	s.expect(node.UUID(), kindHello, 1)
	node.Quiet(t, s.id)
	s.hello("stranger", 0)
	node.Next(t, s.id, fallback.Enter)
	node.Must(node.Whisper(s.id, []byte("hello")))
	s.expect(node.UUID(), kindWhisper, 2)
}

// TestSlowReader does not read until our node makes the application wait.
// Then everything comes, in order.
func TestSlowReader(t *testing.T) {
	const count, size = 60_000, 1000 // far more than TCP holds
	node, addr := newNode(t, func(c *fallback.Config) { c.SendLimit, c.SendTimeout = 64<<10, lab.Never })
	s := newStranger(t, addr)
	acquaint(t, node, s)
	var accepted atomic.Int64
	sent := make(chan error, 1)
	go func() {
		var err error
		for frame := make([]byte, size); err == nil && accepted.Load() < count; accepted.Add(1) {
			err = node.Whisper(s.id, frame)
		}
		sent <- err
	}()
	awaitRest(&accepted)
	if n := accepted.Load(); n == count {
		t.Error("our node takes everything at once")
	}
	for i := range count {
		s.expect(node.UUID(), kindWhisper, uint16(i+2))
	}
	node.Must(<-sent)
	node.Quiet(t, s.id)
}

// awaitRest waits until a counter has started and rests for a moment.
func awaitRest(counter *atomic.Int64) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for last := int64(0); last == 0 || counter.Load() != last; {
		last = counter.Load()
		<-tick.C
	}
}

// TestDeafReader never reads: it is given up after the send timeout, and who
// waits for it is told.
func TestDeafReader(t *testing.T) {
	node, addr := newNode(t, func(c *fallback.Config) { c.SendLimit, c.SendTimeout = 64<<10, time.Second })
	s := newStranger(t, addr)
	acquaint(t, node, s)
	frame := make([]byte, 1024)
	var err error
	for err == nil {
		err = node.Whisper(s.id, frame)
	}
	if !errors.Is(err, fallback.ErrUnknownPeer) {
		t.Errorf("Whisper: %v", err)
	}
	node.Next(t, s.id, fallback.Exit)
}
