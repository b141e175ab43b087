package conformance

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/gozyre/zyre"
)

var orderTests = []test{
	{"OrderOfAllKinds", orderOfAllKinds},
	{"SequenceNumbersWrap", sequenceWrap},
	{"SendersAtOnce", sendersAtOnce},
}

// number makes a frame of the i-th message of a sender.
func number(sender, i int) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(sender))
	return binary.BigEndian.AppendUint32(b, uint32(i))
}

// numberOf reads what number wrote.
func numberOf(ev zyre.Event) (sender, i int, err error) {
	if len(ev.Msg) != 1 || len(ev.Msg[0]) != 8 {
		return 0, 0, fmt.Errorf("got %v, not a numbered message", ev)
	}
	return int(binary.BigEndian.Uint32(ev.Msg[0])), int(binary.BigEndian.Uint32(ev.Msg[0][4:])), nil
}

// orderOfAllKinds: whispers, shouts, joins and leaves of one peer arrive as it
// made them.
func orderOfAllKinds(m *mesh) {
	a, b := m.pair()
	m.joined("G", []*node{b}, a)
	const count = 10_000
	send := func() error {
		for i := range count {
			if err := act(a, b.UUID(), i); err != nil {
				return fmt.Errorf("action %d: %w", i, err)
			}
		}
		return nil
	}
	check := func() error {
		for i := range count {
			ev, err := b.receive()
			if err != nil {
				return fmt.Errorf("event %d: %w", i, err)
			}
			if want := trace(a, i); !same(ev, want) {
				return fmt.Errorf("event %d is %v, not %v", i, ev, want)
			}
		}
		return nil
	}
	m.together(send, check)
}

// act is the i-th thing that a node does in orderOfAllKinds.
func act(n *node, peer zyre.UUID, i int) error {
	switch i % 8 {
	case 3:
		return n.Join("EXTRA")
	case 7:
		return n.Leave("EXTRA")
	case 1, 4:
		return n.Shout("G", number(0, i))
	default:
		return n.Whisper(peer, number(0, i))
	}
}

// trace is what others see of it.
func trace(n *node, i int) zyre.Event {
	switch i % 8 {
	case 3:
		return n.event(zyre.Join, "EXTRA")
	case 7:
		return n.event(zyre.Leave, "EXTRA")
	case 1, 4:
		return n.event(zyre.Shout, "G", number(0, i))
	default:
		return n.event(zyre.Whisper, "", number(0, i))
	}
}

// sequenceWrap sends more messages than the protocol's sequence numbers
// count, twice.
func sequenceWrap(m *mesh) {
	a, b := m.pair()
	count := 140_000
	if testing.Short() {
		count = 70_000
	}
	m.together(
		func() error { return sendNumbers(a, b.UUID(), 0, count) },
		func() error { return checkNumbers(b, map[zyre.UUID]int{a.UUID(): 1}, count) },
	)
	m.ok(b.Whisper(a.UUID(), mark), "whisper")
	a.expect(b.event(zyre.Whisper, "", mark)) // and no EXIT and ENTER before
}

// sendNumbers whispers numbered messages.
func sendNumbers(n Node, to zyre.UUID, sender, count int) error {
	for i := range count {
		if err := n.Whisper(to, number(sender, i)); err != nil {
			return fmt.Errorf("whisper %d of sender %d: %w", i, sender, err)
		}
	}
	return nil
}

// checkNumbers receives numbered messages: how many senders each peer has, and
// how many messages each sender sends.
func checkNumbers(n *node, senders map[zyre.UUID]int, count int) error {
	total := 0
	for _, s := range senders {
		total += s * count
	}
	type source struct {
		peer   zyre.UUID
		sender int
	}
	next := map[source]int{}
	for received := range total {
		ev, err := n.receive()
		if err != nil {
			return fmt.Errorf("after %d of %d messages: %w", received, total, err)
		}
		sender, i, err := numberOf(ev)
		if err != nil {
			return err
		}
		from := source{ev.Peer, sender}
		if sender >= senders[ev.Peer] || i != next[from] {
			return fmt.Errorf("message %d of sender %d of %s came where %d was due", i, sender, ev.Name, next[from])
		}
		next[from]++
	}
	return nil
}

// sendersAtOnce: several goroutines of several nodes send to one, and each
// goroutine's messages keep their order.
func sendersAtOnce(m *mesh) {
	const goroutines, count = 4, 1000
	sink := m.start("sink", Options{})
	nodes := []*node{sink}
	for i := range 3 {
		nodes = append(nodes, m.start(fmt.Sprint("sender ", i), Options{}))
	}
	m.meet(nodes...)
	senders := map[zyre.UUID]int{}
	work := []func() error{func() error { return checkNumbers(sink, senders, count) }}
	for _, n := range nodes[1:] {
		senders[n.UUID()] = goroutines
		for g := range goroutines {
			work = append(work, func() error { return sendNumbers(n, sink.UUID(), g, count) })
		}
	}
	m.together(work...)
}
