package fallback

import (
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gozyre/zyre/fallback/internal/beacon"
	"github.com/gozyre/zyre/fallback/internal/zre"
	"github.com/gozyre/zyre/internal/hostile"
	"github.com/gozyre/zyre/internal/netif"
)

// FuzzConversation has a node talk to up to four connections, beacons,
// gossip, its application and its clock, as the input says, and looks after
// each step whether its tables and the events it has given are what they must
// be. The clock is one of testing/synctest: seconds cost nothing, what happens
// is the same each time, and a goroutine that is left over is a failure.
//
// Messages are right where the input does not say otherwise, with the
// sequence number and the status that come next, so that inputs get far.
func FuzzConversation(f *testing.F) {
	for _, seed := range conversationSeeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		synctest.Test(t, func(t *testing.T) { converse(t, input) })
	})
}

// conversationSeeds are what libzyre was recorded to say, and short
// conversations by hand.
func conversationSeeds(f testing.TB) (seeds [][]byte) {
	files, err := filepath.Glob("internal/zre/testdata/*_to_*.hex")
	if err != nil || len(files) == 0 {
		f.Fatal("no captures", err)
	}
	for _, file := range files {
		seeds = append(seeds, spoken(captured(f, file)))
	}
	join, leave, say := []byte{opMember, 0, 0, 1, 0, 0}, []byte{opMember, 0, 0, 1, 1, 0}, []byte{opSay, 0, 0, 1, 2}
	enter := []byte{opOpen, 0, 0, 0, opHello, 0, 0, 0, 2}
	other := []byte{opOpen, 1, 1, 1, opHello, 1, 0, 1, 2}
	for _, steps := range [][][]byte{
		{enter, join, say, leave, {opRead}},
		{enter, {opHello, 0, 0, 0, 1}, {opWait, 2}, {opRead}, join},
		{enter, {opOpen, 1, 0, 0, opHello, 1, 0, 0, 2}, {opWait, 2}, say},
		{enter, {opOpen, 1, 0, 1, opHello, 1, 0, 0, 2}, {opWait, 1}, say},
		{enter, {opShut, 0}, {opOpen, 0, 0, 0}, join, {opWait, 4}},
		{enter, other, {opBeacon, 0, 1, 1}, {opBeacon, 1, 0, 2}, {opWait, 1}, {opBeacon, 0, 0, 0}, {opWait, 4}},
		{enter, other, {opOwn, 0}, join, {opVote, 0, 0, 0, 1}, {opVote, 1, 0, 0, 1}, {opVote, 0, 0, 1, 1}, {opOwn, 1}, leave},
		{{opSmall}, enter, say, say, say, other, {opWait, 4}, {opRead}, say},
		{enter, {opCommand, 0, 0}, {opCommand, 0, 1}, {opSimple, 0, 0, 4}, join},
		{{opGossip, 0, 1}, {opGossip, 1, 1}, enter, {opWait, 4}},
	} {
		var seed []byte
		for _, s := range steps {
			seed = append(seed, s...)
		}
		seeds = append(seeds, seed)
	}
	return seeds
}

// captured returns what the connecting side said.
func captured(f testing.TB, file string) (stream []byte) {
	text, err := os.ReadFile(file)
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if digits, ok := strings.CutPrefix(strings.TrimSpace(line), "C "); ok {
			b, err := hex.DecodeString(digits)
			if err != nil {
				f.Fatal(err)
			}
			stream = append(stream, b...)
		}
	}
	return stream
}

// spoken is an input that says bytes as they are.
func spoken(stream []byte) []byte {
	input := []byte{opRaw, 0, 0}
	for len(stream) > 0 {
		n := min(len(stream), 200)
		input = append(append(input, opBytes, 0, byte(n)), stream[:n]...)
		stream = stream[n:]
	}
	return append(input, opRead)
}

// The steps of a conversation. What follows each is in the function for it.
const (
	opOpen = iota
	opRaw
	opBytes
	opShut
	opHello
	opMember
	opSay
	opSimple
	opVote
	opCommand
	opBeacon
	opGossip
	opWait
	opRead
	opOwn
	opSmall
	ops
)

const maxSteps = 60

// conversation is a node without a network.
type conversation struct {
	t     *testing.T
	input []byte
	node  *Node
	pr    *presence
	conns [4]*speaker
	known map[UUID]*acquaintance // by the events
}

// speaker is the far end of a connection.
type speaker struct {
	*wire
	id     UUID
	seq    uint16
	status byte
}

// acquaintance is a peer as the application sees it.
type acquaintance struct {
	name   string
	groups map[string]bool
}

func converse(t *testing.T, input []byte) {
	c := &conversation{t: t, input: input, known: map[UUID]*acquaintance{}}
	cfg := testConfig("node", 0)
	cfg.Contests = []string{"G"}
	if len(input) > 0 && input[0] == opSmall {
		cfg.InboxLimit = 1000
	}
	node, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.node, c.pr = node, newPresence(node, node.UUID())
	c.pr.port, c.pr.links = 2000, []netif.Link{{Addr: netip.MustParseAddr("127.0.0.1")}}
	c.pr.bound = "tcp://127.0.0.1:2000"
	dialsNobody(c.pr)
	c.pr.tasks.Go(c.pr.tick)
	node.pr.Store(c.pr)
	for range maxSteps {
		if len(c.input) == 0 {
			break
		}
		c.step()
		synctest.Wait()
		c.checkTables()
	}
	c.readAll()
	c.checkKnown()
	for i := range c.conns {
		c.shut(i)
	}
	node.Close()
}

func (c *conversation) next() byte {
	if len(c.input) == 0 {
		return 0
	}
	b := c.input[0]
	c.input = c.input[1:]
	return b
}

func (c *conversation) step() {
	switch c.next() % ops {
	case opOpen:
		c.open(int(c.next()), c.next(), c.next())
	case opRaw:
		c.raw(int(c.next()), c.next())
	case opBytes:
		c.bytes(int(c.next()), int(c.next()))
	case opShut:
		c.shut(int(c.next()) % len(c.conns))
	case opHello:
		c.hello(int(c.next()), c.next(), c.next(), c.next())
	case opMember:
		c.member(int(c.next()), c.next(), c.next(), c.next(), c.next())
	case opSay:
		c.say(int(c.next()), c.next(), c.next(), c.next())
	case opSimple:
		c.message(int(c.next()), c.next(), func(seq uint16) []byte { return hostile.Plain(c.next()%12, seq) })
	case opVote:
		c.vote(int(c.next()), c.next(), c.next(), c.next())
	case opCommand:
		c.command(int(c.next()), c.next())
	case opBeacon:
		c.beacon(c.next(), c.next(), c.next())
	case opGossip:
		c.pr.gossiped(fmt.Sprintf("%X", c.identity(c.next())), c.endpoint(c.next()))
	case opWait:
		time.Sleep([]time.Duration{10 * time.Millisecond, 600 * time.Millisecond, 1100 * time.Millisecond, 6 * time.Second, 31 * time.Second}[c.next()%5])
	case opRead:
		c.readAll()
		c.checkKnown()
	case opOwn:
		c.own(c.next())
	}
}

// identity returns one of a few, the last being that of the node itself.
func (c *conversation) identity(n byte) UUID {
	if n %= 5; n < 4 {
		return UUID{n, 1, 2, 3}
	}
	return c.pr.id
}

func (c *conversation) endpoint(n byte) string {
	return []string{
		"tcp://127.0.0.1:3000", "tcp://127.0.0.2:3000", "tcp://127.0.0.1:3001", "tcp://127.0.0.1:2000",
		"tcp://0.0.0.0:3002", "tcp://host:3003", "tcp://127.0.0.1:80", "inproc://x", "tcp://fe80::1:3000", "",
	}[n%10]
}

func (c *conversation) group(n byte) string {
	return []string{"G", "H", strings.Repeat("x", 255), "a\x00b", ""}[n%5]
}

// raw opens a connection on which nothing was said.
func (c *conversation) raw(slot int, from byte) {
	slot %= len(c.conns)
	c.shut(slot)
	s := &speaker{wire: newWire(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1+from%2), Port: 5000})}
	c.conns[slot] = s
	c.pr.accept(s.wire)
}

// open opens one and shakes hands.
func (c *conversation) open(slot int, from, id byte) {
	c.raw(slot, from)
	s := c.conns[slot%len(c.conns)]
	s.id = c.identity(id)
	s.say(append(hostile.Greeting(1, "NULL"), hostile.Ready("DEALER", hostile.Identity(s.id))...))
}

// shut closes a connection, after what was said on it if that is read.
func (c *conversation) shut(slot int) {
	s := c.conns[slot]
	if s == nil {
		return
	}
	c.conns[slot] = nil
	s.end()
	synctest.Wait()
	s.Close()
}

// bytes says so many bytes of the input.
func (c *conversation) bytes(slot, n int) {
	n = min(n, len(c.input))
	if s := c.conns[slot%len(c.conns)]; s != nil {
		s.say(c.input[:n])
	}
	c.input = c.input[n:]
}

// message says a message of ZRE, with content if there is some. A wrong
// number is one where the input says so.
func (c *conversation) message(slot int, wrong byte, encode func(seq uint16) []byte, content ...[]byte) {
	s := c.conns[slot%len(c.conns)]
	if s == nil {
		return
	}
	s.seq++
	seq := s.seq
	if wrong >= 250 {
		seq += uint16(wrong)
	}
	frames := append([][]byte{encode(seq)}, content...)
	var b []byte
	for i, f := range frames {
		flags := byte(hostile.More)
		if i == len(frames)-1 {
			flags = 0
		}
		b = append(b, hostile.Frame(flags, f)...)
	}
	s.say(b)
}

func (c *conversation) hello(slot int, wrong, endpoint, groups byte) {
	s := c.conns[slot%len(c.conns)]
	if s == nil {
		return
	}
	h := hostile.Hello{Endpoint: c.endpoint(endpoint), Name: fmt.Sprint("peer", s.id[0]), Status: groups % 7}
	for i := range groups % 7 {
		h.Groups = append(h.Groups, c.group(i%3+groups/200))
	}
	s.seq, s.status = 0, h.Status
	c.message(slot, wrong, h.Bytes)
}

func (c *conversation) member(slot int, wrong, change, kind, group byte) {
	s := c.conns[slot%len(c.conns)]
	if s == nil {
		return
	}
	s.status += change % 3 // 1 is right
	c.message(slot, wrong, func(seq uint16) []byte {
		return hostile.Named(hostile.KindJoin+kind%2, seq, c.group(group), s.status)
	})
}

func (c *conversation) say(slot int, wrong, kind, frames byte) {
	content := make([][]byte, frames%8)
	for i := range content {
		content[i] = make([]byte, int(frames)*i)
	}
	c.message(slot, wrong, func(seq uint16) []byte {
		if kind%2 == 0 {
			return hostile.Named(hostile.KindShout, seq, c.group(kind/2))
		}
		return hostile.Plain(hostile.KindWhisper, seq)
	}, content...)
}

func (c *conversation) vote(slot int, wrong, kind, id byte) {
	c.message(slot, wrong, func(seq uint16) []byte {
		return hostile.Vote(hostile.KindElect+kind%2, seq, c.group(kind/2), fmt.Sprintf("%X", c.identity(id)))
	})
}

func (c *conversation) command(slot int, which byte) {
	if s := c.conns[slot%len(c.conns)]; s != nil {
		s.say([][]byte{
			hostile.Cmd("PING", []byte{0, 0, 1, 2}), hostile.Cmd("UNKNOWN", nil), hostile.Cmd("PING", nil),
			hostile.Cmd("ERROR", []byte{0}), hostile.Frame(hostile.Command, nil), hostile.Header(0, 1<<62),
			hostile.Header(0, 1<<20), {hostile.More, 0},
		}[which%8])
	}
}

func (c *conversation) beacon(from, id, port byte) {
	at := netip.AddrFrom4([4]byte{127, 0, 0, 1 + from%2})
	uuid := c.identity(id)
	if uuid == c.pr.id {
		return // the receiver of beacons does not pass them on
	}
	c.pr.sighted(beacon.Sighting{
		Beacon: zre.Beacon{UUID: uuid, Port: []uint16{0, 3000, 3001, 2000, 80}[port%5]},
		From:   netip.AddrPortFrom(at, 5670),
	})
}

// own is what the application of the node does.
func (c *conversation) own(what byte) {
	switch what % 8 {
	case 0:
		c.node.Join("G")
	case 1:
		c.node.Leave("G")
	case 2:
		c.node.Join("H")
	case 3:
		c.node.Shout("G", []byte("hello"))
	case 4:
		c.node.Whisper(c.identity(what/8), []byte("hello"))
	case 5:
		c.node.Stats()
	case 6:
		c.node.Dump(io.Discard)
	case 7:
		c.node.Peer(c.identity(what / 8))
	}
}
