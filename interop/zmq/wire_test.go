//go:build linux

package zmq

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/pebbe/zmq4"

	"github.com/gozyre/zyre/fallback"
)

// TestHello is found by a HELLO and answers with every byte as it has to be.
func TestHello(t *testing.T) {
	node, addr := newNode(t)
	s := newStranger(t, addr)
	s.hello("stranger", 2, "A", "B")

	ev := node.Next(t, s.id, fallback.Enter)
	if ev.Name != "stranger" || ev.Addr != s.endpoint || ev.Headers["X-NAME"] != "stranger" || len(ev.Headers) != 1 {
		t.Errorf("Enter: %+v", ev)
	}
	for _, group := range []string{"A", "B"} {
		if ev := node.Next(t, s.id, fallback.Join); ev.Group != group {
			t.Errorf("Join of %q instead of %q", ev.Group, group)
		}
	}

	m := s.expect(node.UUID(), kindHello, 1)
	want := slices.Concat(
		str("tcp://"+addr),
		[]byte{0, 0, 0, 1, 0, 0, 0, 5}, []byte("EARLY"),
		[]byte{1}, // status: one join
		str("ours"),
		[]byte{0, 0, 0, 1}, str("X-KEY"), []byte{0, 0, 0, 5}, []byte("value"),
	)
	if !bytes.Equal(m.fields, want) || m.version != zreVersion || len(m.content) != 0 {
		t.Errorf("HELLO:\n%q\nwant\n%q", m.fields, want)
	}
}

// TestMessages has each message of a conversation, both ways.
func TestMessages(t *testing.T) {
	node, addr := newNode(t)
	s := newStranger(t, addr)
	acquaint(t, node, s)

	s.send(kindJoin, groupFields("G", 1))
	node.Next(t, s.id, fallback.Join)
	s.send(kindWhisper, nil, []byte("one"), []byte{}, []byte("three"))
	if ev := node.Next(t, s.id, fallback.Whisper); !equal(ev.Msg, "one", "", "three") {
		t.Errorf("Whisper: %q", ev.Msg)
	}
	s.send(kindShout, str("EARLY"), []byte("loud"), []byte("and clear"))
	if ev := node.Next(t, s.id, fallback.Shout); ev.Group != "EARLY" || !equal(ev.Msg, "loud", "and clear") {
		t.Errorf("Shout to %q: %q", ev.Group, ev.Msg)
	}
	s.send(kindPing, nil)
	s.expect(node.UUID(), kindPingOK, 2)

	node.Must(node.Whisper(s.id, []byte("one"), nil, []byte("three")))
	if m := s.expect(node.UUID(), kindWhisper, 3); !equal(m.content, "one", "", "three") || len(m.fields) != 0 {
		t.Errorf("WHISPER: %q %q", m.fields, m.content)
	}
	node.Must(node.Shout("G", []byte("loud"), []byte("and clear")))
	if m := s.expect(node.UUID(), kindShout, 4); !bytes.Equal(m.fields, str("G")) || !equal(m.content, "loud", "and clear") {
		t.Errorf("SHOUT: %q %q", m.fields, m.content)
	}
	node.Must(node.Join("H"))
	if m := s.expect(node.UUID(), kindJoin, 5); !bytes.Equal(m.fields, groupFields("H", 2)) {
		t.Errorf("JOIN: %q", m.fields)
	}
	node.Must(node.Leave("EARLY"))
	if m := s.expect(node.UUID(), kindLeave, 6); !bytes.Equal(m.fields, groupFields("EARLY", 3)) {
		t.Errorf("LEAVE: %q", m.fields)
	}
	s.send(kindLeave, groupFields("G", 2))
	node.Next(t, s.id, fallback.Leave)
	node.Quiet(t, s.id)
}

// TestGap loses a message: the stranger is removed, and is met anew when it
// says HELLO again, as our node's new HELLO asks it to.
func TestGap(t *testing.T) {
	node, addr := newNode(t)
	s := newStranger(t, addr)
	acquaint(t, node, s)
	s.sendAs(kindWhisper, 3, nil, []byte("not the next"))
	node.Next(t, s.id, fallback.Exit)
	s.expect(node.UUID(), kindHello, 1)
	s.again()
	node.Next(t, s.id, fallback.Enter)
	s.send(kindWhisper, nil, []byte("next"))
	node.Next(t, s.id, fallback.Whisper)
}

// TestNobody gets nothing from a socket without the identity of a node.
func TestNobody(t *testing.T) {
	node, addr := newNode(t)
	nobody := socket(t, zmq4.DEALER)
	s := newStranger(t, addr)
	s.must(nobody.Connect("tcp://" + addr))
	_, err := nobody.SendMessage(append(header(kindHello, 1), helloFields(s.endpoint, "nobody", 0, nil)...))
	s.must(err)
	acquaint(t, node, s)
	if peers := node.Peers(); len(peers) != 1 {
		t.Errorf("peers: %X", peers)
	}
}

// counting is how an implementation counts the messages of a peer.
type counting struct {
	last    uint16 // is followed by 0
	version bool   // counts what has another protocol version, with the number 0
	goodbye bool   // counts GOODBYE, which RFC 36 does not have
}

var (
	libzyre = counting{last: 65535, goodbye: true}
	pyre    = counting{last: 65534, goodbye: true, version: true}
	zyrejs  = counting{last: 65534}
)

// TestSequences sends more messages than there are sequence numbers, to and
// from nodes that count as others do.
func TestSequences(t *testing.T) {
	const count = 2 * 65600
	t.Run("FromLibzyre", func(t *testing.T) { testSequenceFrom(t, libzyre, count) })
	t.Run("FromPyreOrZyreJS", func(t *testing.T) { testSequenceFrom(t, pyre, count) })
	t.Run("ToLibzyre", func(t *testing.T) { testSequenceTo(t, libzyre, count) })
	t.Run("ToPyre", func(t *testing.T) { testSequenceTo(t, pyre, count) })
	t.Run("ToZyreJS", func(t *testing.T) { testSequenceTo(t, zyrejs, count) })
}

func testSequenceFrom(t *testing.T, how counting, count int) {
	node, addr := newNode(t)
	s := newStranger(t, addr)
	acquaint(t, node, s)
	for i := range count {
		s.sendAs(kindWhisper, how.after(s.seq), nil, binary.BigEndian.AppendUint32(nil, uint32(i)))
	}
	for i := range count {
		if ev := node.Next(t, s.id, fallback.Whisper); binary.BigEndian.Uint32(ev.Msg[0]) != uint32(i) {
			t.Fatalf("message %x instead of %x", ev.Msg[0], i)
		}
	}
	node.Quiet(t, s.id)
}

func testSequenceTo(t *testing.T, how counting, count int) {
	var port int
	node, addr := newNode(t, func(c *fallback.Config) { port = c.Port })
	s := newStranger(t, addr)
	newEther(t, port).announce(s.id, s.port()) // all three use beacons
	acquaint(t, node, s)
	sent := make(chan error, 1)
	go func() { sent <- node.Flood(s.id, count) }()
	for seq, whispers := uint16(1), 0; whispers < count; {
		m, counted := how.count(s.recvAny(node.UUID()))
		if counted {
			seq = how.after(seq)
		}
		if counted && m.seq != seq {
			t.Fatalf("kind %d has number %d instead of %d, after %d whispers", m.kind, m.seq, seq, whispers)
		}
		switch {
		case counted && m.kind == kindPing:
			s.sendAs(kindPingOK, how.after(s.seq), nil)
		case m.kind == kindWhisper:
			whispers++
		}
	}
	node.Must(<-sent)
	node.Quiet(t, s.id)
}

// count says whether a message is counted, and how it is understood.
func (how counting) count(m message) (message, bool) {
	switch {
	case m.version != zreVersion:
		m.seq = 0
		return m, how.version
	case m.kind > kindPingOK:
		return m, how.goodbye
	}
	return m, true
}

// after is the number that follows another.
func (how counting) after(seq uint16) uint16 {
	if seq == how.last {
		return 0
	}
	return seq + 1
}

// TestLargestFrame is 64 MiB, the limit, both ways.
func TestLargestFrame(t *testing.T) {
	node, addr := newNode(t)
	s := newStranger(t, addr)
	acquaint(t, node, s)
	large := bytes.Repeat([]byte("0123456789abcdef"), 64<<20/16)
	s.send(kindWhisper, nil, large)
	if ev := node.Next(t, s.id, fallback.Whisper); len(ev.Msg) != 1 || !bytes.Equal(ev.Msg[0], large) {
		t.Error("to our node: not what was sent")
	}
	node.Must(node.Whisper(s.id, large))
	if m := s.expect(node.UUID(), kindWhisper, 2); len(m.content) != 1 || !bytes.Equal(m.content[0], large) {
		t.Error("from our node: not what was sent")
	}
}

func equal(frames [][]byte, want ...string) bool {
	return slices.EqualFunc(frames, want, func(a []byte, b string) bool { return string(a) == b })
}
