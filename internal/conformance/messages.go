package conformance

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"strings"
	"testing"

	"github.com/gozyre/zyre"
)

var messageTests = []test{
	{"WhisperIsPrivate", whisperIsPrivate},
	{"ShoutReachesTheGroup", shoutReachesGroup},
	{"ShoutToNobody", shoutToNobody},
	{"Frames", anyFrames},
	{"Sizes", sizes},
	{"LargestMessage", largestMessage},
	{"FramesAreTheCallers", framesAreTheCallers},
	{"ReleasedMemoryIsUsedAgain", releasedIsUsedAgain},
	{"ReleaseSparesOthers", releaseSparesOthers},
}

// mark is a message that tells that nothing came before it.
var mark = []byte("mark")

func whisperIsPrivate(m *mesh) {
	a, b, c := m.start("a", Options{}), m.start("b", Options{}), m.start("c", Options{})
	m.meet(a, b, c)
	m.ok(a.Whisper(b.UUID(), []byte("secret")), "whisper")
	m.ok(a.Whisper(c.UUID(), mark), "whisper")
	b.expect(a.event(zyre.Whisper, "", []byte("secret")))
	c.expect(a.event(zyre.Whisper, "", mark))
}

// shoutReachesGroup: all its members but the one who shouts, who may stand
// outside.
func shoutReachesGroup(m *mesh) {
	a, b, c := m.start("a", Options{}), m.start("b", Options{}), m.start("c", Options{})
	m.meet(a, b, c)
	m.joined("G", []*node{a, b}, c)
	inside, outside := []byte("inside"), []byte("outside")
	m.ok(a.Shout("G", inside), "shout of a member")
	b.expect(a.event(zyre.Shout, "G", inside))
	m.ok(c.Shout("G", outside), "shout of another")
	a.expect(c.event(zyre.Shout, "G", outside)) // and not its own before
	b.expect(c.event(zyre.Shout, "G", outside))
	for _, n := range []*node{a, b} {
		m.ok(n.Whisper(c.UUID(), mark), "whisper")
		c.expect(n.event(zyre.Whisper, "", mark))
	}
	// One who has left hears no more.
	m.ok(b.Leave("G"), "leave")
	a.awaitGroup(zyre.Leave, b.UUID(), "G")
	m.ok(a.Shout("G", inside), "shout to an empty group")
	m.ok(a.Whisper(b.UUID(), mark), "whisper")
	b.expect(a.event(zyre.Whisper, "", mark))
}

func shoutToNobody(m *mesh) {
	a, b := m.pair()
	m.ok(a.Shout("NONE", []byte("x")), "shout to a group that is none")
	m.ok(a.Join("ALONE"), "join")
	m.ok(a.Shout("ALONE", []byte("x")), "shout to a group of oneself")
	b.expect(a.event(zyre.Join, "ALONE"))
	m.ok(a.Whisper(b.UUID(), mark), "whisper")
	b.expect(a.event(zyre.Whisper, "", mark))
}

// anyFrames: a message arrives with the frames that it was sent with.
func anyFrames(m *mesh) {
	a, b := m.pair()
	m.joined("G", []*node{b}, a)
	everyByte := make([]byte, 256)
	for i := range everyByte {
		everyByte[i] = byte(i)
	}
	var hundred [][]byte
	for i := range 100 {
		hundred = append(hundred, bytes.Repeat([]byte{byte(i)}, i*7))
	}
	for _, msg := range [][][]byte{
		frames(""),
		{nil},
		frames("", ""),
		frames("", "", "", "x"),
		frames("one", "", "three", ""),
		frames("%s%n", "\x00", "\xff\xfe"),
		{everyByte, everyByte},
		hundred,
		make([][]byte, 1000),
		make([][]byte, 64<<10),
	} {
		m.deliver(a, b, msg)
	}
}

// deliver sends a message as a whisper and as a shout and checks that it
// arrives.
func (m *mesh) deliver(from, to *node, msg [][]byte) {
	m.Helper()
	m.ok(from.Whisper(to.UUID(), msg...), "whisper")
	to.expect(from.event(zyre.Whisper, "", msg...))
	m.ok(from.Shout("G", msg...), "shout")
	to.expect(from.event(zyre.Shout, "G", msg...))
}

// sizes are those around the limits of length fields, buffers and segments.
func sizes(m *mesh) {
	a, b := m.pair()
	m.joined("G", []*node{a, b})
	data := pattern(1 << 20)
	for _, size := range []int{1, 2, 100, 1 << 8, 1 << 10, 1 << 12, 1 << 13, 1 << 15, 1 << 16, 1 << 17, 1 << 20} {
		for d := -10; d <= 10 && size >= 100; d++ {
			if n := size + d; n <= len(data) {
				m.ok(a.Whisper(b.UUID(), data[:n]), "whisper")
				b.expect(a.event(zyre.Whisper, "", data[:n]))
			}
		}
		m.deliver(a, b, [][]byte{data[:size]})
		m.deliver(b, a, [][]byte{data[:size/2], data[:size/3], data[:1]})
	}
}

// pattern returns bytes that tell when some are missing or swapped.
func pattern(size int) []byte {
	b := make([]byte, 0, size+8)
	for i := uint64(0); len(b) < size; i++ {
		b = binary.LittleEndian.AppendUint64(b, i*0x9E3779B97F4A7C15)
	}
	return b[:size]
}

func largestMessage(m *mesh) {
	if testing.Short() {
		m.Skip("64 MiB are not short")
	}
	a, b := m.pair()
	m.joined("G", []*node{b}, a)
	data := pattern(64 << 20)
	m.deliver(a, b, [][]byte{data})
	m.deliver(a, b, [][]byte{data[:1], data[1 : 32<<20], nil, data[32<<20:]})
	m.deliver(a, b, [][]byte{mark})
}

// framesAreTheCallers: the sender may use its buffers again as soon as the
// call returns, and the receiver may write into what it got.
func framesAreTheCallers(m *mesh) {
	a, b := m.pair()
	for _, size := range []int{10, 1000, 100_000} {
		buf := make([]byte, size)
		const rounds = 50
		for i := range byte(rounds) {
			fill(buf, i)
			m.ok(a.Whisper(b.UUID(), buf[:size/2], buf[size/2:]), "whisper")
		}
		fill(buf, 0xff)
		for i := range byte(rounds) {
			ev := b.next()
			got := bytes.Join(ev.Msg, nil)
			if len(got) != size || strings.Trim(string(got), string([]byte{i})) != "" {
				m.Fatalf("message %d of %d bytes is not what was sent", i, size)
			}
			for _, f := range ev.Msg {
				fill(f, 0xee)
				_ = append(f, 0xdd) // must not reach the next frame's memory
			}
		}
	}
}

func fill(b []byte, with byte) {
	for i := range b {
		b[i] = with
	}
}

// releasedIsUsedAgain: a large message comes in the memory of the one before,
// if that was released. Tests beside this one have their share of that memory,
// and may have all of it until the collector has been.
func releasedIsUsedAgain(m *mesh) {
	a, b := m.pair()
	data := pattern(200 << 10)
	var last *byte
	for i, inARow := 0, 0; inARow < 10; i++ {
		if i%50 == 49 {
			runtime.GC()
		}
		m.ok(a.Whisper(b.UUID(), data), "whisper")
		ev := b.next()
		if want := a.event(zyre.Whisper, "", data); !same(ev, want) {
			m.Fatalf("got %v, not %v", ev, want)
		}
		if inARow++; &ev.Msg[0][0] != last {
			inARow = 0
		}
		last = &ev.Msg[0][0]
		ev.Release()
		if ev.Msg != nil {
			m.Fatal("a released event has a message")
		}
		ev.Release() // which is of no effect
	}
}

// releaseSparesOthers: whatever is released, messages that are not keep their
// content.
func releaseSparesOthers(m *mesh) {
	a, b := m.pair()
	data := pattern(300 << 10)
	message := func(i int) [][]byte {
		at := 8 * i
		return [][]byte{
			data[at : at+64<<10], nil, data[at : at+10], data[at : at+i<<10], {}, data[at : at+100<<10],
		}[i%3 : 4+i%3]
	}
	const messages, flight = 120, 30
	var kept []zyre.Event
	check := func(i int) {
		if want := a.event(zyre.Whisper, "", message(i)...); !same(kept[i], want) {
			m.Fatalf("message %d is %v, not %v, or has another content", i, kept[i], want)
		}
	}
	for i := range messages {
		m.ok(a.Whisper(b.UUID(), message(i)...), "whisper")
		if i < flight {
			continue
		}
		kept = append(kept, b.next())
		if first := i - 2*flight; first >= 0 && first%2 == 0 {
			check(first)
			kept[first].Release()
		}
	}
	for i := range kept {
		if kept[i].Msg != nil {
			check(i)
		}
	}
}
