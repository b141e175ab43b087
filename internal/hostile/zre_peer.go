package hostile

import (
	"bytes"
	"fmt"
	"net/netip"
	"time"
)

// Peers returns the attacks by a node that has said HELLO and has entered.
func Peers() []Attack {
	const id = "00000000000000000000000000000001"
	return []Attack{
		{"wrong status", "1", "JOIN and LEAVE whose status is not the next one", "drops the peer", drops(
			func(c *Conn) []byte { return Frame(0, Named(KindJoin, 2, "x", 7)) },
			func(c *Conn) []byte { return Frame(0, Named(KindLeave, 2, "x", 0)) },
			func(c *Conn) []byte { return bytes.Repeat(Frame(0, Named(KindJoin, 2, "x", 2)), 2) },
		)},
		{"wrong sequence", "22", "a number too low, too high, repeated, from far away", "drops the peer", drops(
			ping(0), ping(1), ping(3), ping(32770), ping(65535), ping(2, 2), ping(2, 4),
		)},
		{"messages cut short", "3, 4, 6", "SHOUT, JOIN, LEAVE, ELECT, LEADER cut at each byte; empty frames", "drops the peer", drops(cutMessages(id)...)},
		{"wrong groups", "19, 24", "JOIN, LEAVE, SHOUT with an empty group or a NUL in it", "drops the peer", drops(
			func(*Conn) []byte { return Frame(0, Named(KindJoin, 2, "", 1)) },
			func(*Conn) []byte { return Frame(0, Named(KindJoin, 2, "a\x00b", 1)) },
			func(*Conn) []byte { return Frame(0, Named(KindLeave, 2, "", 1)) },
			func(*Conn) []byte { return append(Frame(More, Named(KindShout, 2, "")), Frame(0, nil)...) },
		)},
		{"wrong ids", "21", "ELECT and LEADER whose id is empty, short, long, not hex", "drops the peer", drops(wrongIDs(id)...)},
		{"votes out of the blue", "20, 21", "ELECT and LEADER for strangers, for the victim, for groups that nobody is in", "ignored", votes},
		{"elections that it wins", "21", "ELECT and LEADER for itself, 2000 times, of one that nothing can be told", "drops the peer", elections},
		{"extra frames", "5", "frames behind PING, PING-OK, JOIN", "drops the peer", drops(
			func(*Conn) []byte { return append(Frame(More, Plain(KindPing, 2)), Frame(0, nil)...) },
			func(*Conn) []byte { return append(Frame(More, Plain(KindPingOK, 2)), Frame(0, Identity(newID()))...) },
			func(*Conn) []byte { return append(Frame(More, Named(KindJoin, 2, "x", 1)), Frame(0, nil)...) },
		)},
		{"content of all shapes", "6", "WHISPER and SHOUT without content, with empty frames, with 1000 frames, to unknown groups", "delivered", shapes},
		{"foreign messages", "42", "more messages of another version than are borne with", "drops the peer", func(s *Scene) error {
			foreign := Plain(KindPing, 2)
			foreign[3] = 9
			return drops(func(*Conn) []byte { return bytes.Repeat(Frame(0, foreign), s.Limits.Foreign+1) })(s)
		}},
		{"huge frames", "17, 18", "one byte more than a message may have, 2^62, 2^64-1", "drops the peer", func(s *Scene) error {
			return drops(
				func(*Conn) []byte {
					return append(Frame(More, Plain(KindWhisper, 2)), Header(0, uint64(s.Limits.Message)+1)...)
				},
				func(*Conn) []byte { return append(Frame(More, Plain(KindWhisper, 2)), Header(0, 1<<62)...) },
				func(*Conn) []byte { return append(Frame(More, Plain(KindWhisper, 2)), Header(More, 1<<64-1)...) },
			)(s)
		}},
		{"unfinished messages", "17", "40 peers that each send 4 MiB of a larger message, and stop", "lets one after the other go on, and drops those that do not", unfinishedMessages},
		{"endless frames of a peer", "17", "a message of empty frames without end, and one of 64 KiB frames", "drops the peer", func(s *Scene) error {
			return drops(
				func(*Conn) []byte {
					return append(Frame(More, Plain(KindWhisper, 2)), bytes.Repeat([]byte{More, 0}, s.Limits.Frames+1)...)
				},
				func(*Conn) []byte {
					part := Frame(More, make([]byte, 64<<10))
					return append(Frame(More, Plain(KindWhisper, 2)), bytes.Repeat(part, s.Limits.Message/(64<<10)+20)...)
				},
			)(s)
		}},
		{"endless groups", "19", "JOINs of ever new groups", "drops the peer at the limit", endlessGroups},
		{"JOIN and LEAVE storm", "37", "40,000 JOINs and LEAVEs", "events each, in order", joinStorm},
		{"PING flood of a peer", "36", "100,000 PINGs of ZRE whose answers are not read", "answers while there is room, then drops the peer", pingStorm},
		{"flood of messages", "35", "100,000 WHISPERs and SHOUTs as fast as they go", "back-pressure; serves its other peers", flood},
		{"GOODBYE and on", "–", "GOODBYE, and messages behind it", "no harm", farewell},
		{"never reads", "34", "is in the group that the victim shouts to, and reads nothing", "drops the peer after the send timeout", neverReads},
		{"a crowd that cannot be reached", "34", "50 peers in the group that the victim shouts to, where nobody listens", "drops them in a few send timeouts, not in one for each", crowd},
		{"comes and goes", "7, 23", "enters, is in a group, hangs up, 100 times", "EXIT each time; all memory comes back", churn},
	}
}

// drops returns an attack of several peers, whose connection the victim must
// close.
func drops(attempts ...func(c *Conn) []byte) func(*Scene) error {
	return func(s *Scene) error {
		for i, attempt := range attempts {
			c, err := s.Enter()
			if err != nil {
				return err
			}
			c.Send(attempt(c))
			if err := c.Closed(); err != nil {
				return fmt.Errorf("attempt %d: %w", i+1, err)
			}
			c.Close()
			c.Back.Close()
		}
		return nil
	}
}

// ping returns PINGs with sequence numbers of choice.
func ping(seqs ...uint16) func(*Conn) []byte {
	return func(*Conn) (b []byte) {
		for _, seq := range seqs {
			b = append(b, Frame(0, Plain(KindPing, seq))...)
		}
		return b
	}
}

// cutMessages returns each kind of message with fields, cut at each byte of
// its fields.
func cutMessages(id string) (cuts []func(*Conn) []byte) {
	for _, m := range [][]byte{
		Named(KindShout, 2, "ab"), Named(KindJoin, 2, "ab", 1), Named(KindLeave, 2, "ab", 1),
		Vote(KindElect, 2, "a", id), Vote(KindLeader, 2, "a", id)[:12], nil,
	} {
		step := max(1, len(m)/6)
		for n := 0; n < len(m); n += step {
			cuts = append(cuts, func(*Conn) []byte { return Frame(0, m[:n]) })
		}
	}
	return cuts
}

func wrongIDs(id string) (attempts []func(*Conn) []byte) {
	for _, wrong := range []string{"", id[1:], id + "0", "Z" + id[1:], "\x00" + id[1:]} {
		attempts = append(attempts,
			func(*Conn) []byte { return Frame(0, Vote(KindElect, 2, "a", wrong)) },
			func(*Conn) []byte { return Frame(0, Vote(KindLeader, 2, "a", wrong)) },
		)
	}
	return attempts
}

func votes(s *Scene) error {
	c, err := s.Enter(s.Group)
	if err != nil {
		return err
	}
	for _, id := range []UUID{newID(), s.Victim.ID, s.Honest.ID, c.ID, {}} {
		for _, group := range []string{s.Group, "of nobody"} {
			for _, kind := range []byte{KindElect, KindLeader, KindElect} {
				c.Send(Frame(0, Vote(kind, c.Next(), group, fmt.Sprintf("%X", id))))
			}
		}
	}
	return c.Answers()
}

func elections(s *Scene) error {
	c, err := s.EnterWith(Mute, s.Group)
	if err != nil {
		return err
	}
	id := fmt.Sprintf("%X", c.ID)
	for range 2000 {
		c.Send(Frame(0, Vote(KindElect, c.Next(), s.Group, id)), Frame(0, Vote(KindLeader, c.Next(), s.Group, id)))
	}
	return c.Closed()
}

func shapes(s *Scene) error {
	c, err := s.Enter(s.Group)
	if err != nil {
		return err
	}
	c.Send(
		Frame(0, Plain(KindWhisper, c.Next())),
		Frame(0, Named(KindShout, c.Next(), s.Group)),
		Frame(More, Plain(KindWhisper, c.Next())), Frame(0, nil),
		Frame(More, Plain(KindWhisper, c.Next())), bytes.Repeat([]byte{More, 0}, 1000), Frame(0, nil),
		Frame(More, Named(KindShout, c.Next(), "unknown")), Frame(0, []byte("x")),
		Frame(More, append(Plain(KindWhisper, c.Next()), "trailing"...)), Frame(0, []byte("x")),
		Frame(More, Named(KindShout, c.Next(), string(bytes.Repeat([]byte{0xff}, 255)))), Frame(0, nil),
	)
	return c.Answers()
}

// The size of an attack by messages that never end.
const (
	unfinishedPeers = 40
	unfinishedBytes = 4 << 20 // that each peer sends
)

func unfinishedMessages(s *Scene) error {
	part := make([]byte, unfinishedBytes)
	var conns []*Conn
	for range unfinishedPeers {
		c, err := s.Enter()
		if err != nil {
			return err
		}
		c.SetWriteDeadline(time.Now().Add(3 * time.Second))
		go c.Send(Frame(More, Plain(KindWhisper, c.Next())), Header(0, uint64(s.Limits.Message)), part)
		conns = append(conns, c)
	}
	return eventually("those that do not get on are dropped", func() bool {
		left := 0
		for _, c := range conns {
			if c.closedWithin(time.Millisecond) != nil {
				left++
			}
		}
		return left <= unfinishedPeers-5
	})
}

func endlessGroups(s *Scene) error {
	return drops(func(c *Conn) (b []byte) {
		for i, name := range names(s.Limits.Groups + 1) {
			b = append(b, Frame(0, Named(KindJoin, c.Next(), name, byte(i+1)))...)
		}
		return b
	})(s)
}

func joinStorm(s *Scene) error {
	c, err := s.Enter()
	if err != nil {
		return err
	}
	var b []byte
	for i := range 40_000 {
		kind := byte(KindJoin)
		if i%2 == 1 {
			kind = KindLeave
		}
		b = append(b, Frame(0, Named(kind, c.Next(), "storm", byte(i+1)))...)
	}
	c.Send(b)
	return c.Answers()
}

func pingStorm(s *Scene) error {
	c, err := s.EnterWith(Deaf)
	if err != nil {
		return err
	}
	c.SetWriteDeadline(time.Now().Add(time.Second))
	var b []byte
	for range 100_000 {
		b = append(b, Frame(0, Plain(KindPing, c.Next()))...)
	}
	c.Send(b)
	return nil
}

func flood(s *Scene) error {
	c, err := s.Enter()
	if err != nil {
		return err
	}
	content := Frame(0, make([]byte, 100))
	for range 1000 {
		var b []byte
		for range 50 {
			b = append(append(b, Frame(More, Plain(KindWhisper, c.Next()))...), content...)
			b = append(append(b, Frame(More, Named(KindShout, c.Next(), s.Group))...), content...)
		}
		c.Send(b)
	}
	return c.Answers()
}

func farewell(s *Scene) error {
	c, err := s.Enter(s.Group)
	if err != nil {
		return err
	}
	c.Send(Frame(0, Plain(KindGoodbye, c.Next())), Frame(0, Plain(KindPing, c.Next())), Frame(0, Plain(KindGoodbye, c.Next())))
	return nil
}

func neverReads(s *Scene) error {
	c, err := s.EnterWith(Deaf, s.Group)
	if err != nil {
		return err
	}
	return s.lastsUntilDropped(10*s.Limits.Send+patience, c)
}

func crowd(s *Scene) error {
	var conns []*Conn
	for i := range 50 {
		c, err := s.Shaken(newID())
		if err != nil {
			return err
		}
		c.Hello(HelloAt(netip.AddrPortFrom(s.Addr, uint16(62000+i)), s.Group))
		conns = append(conns, c)
	}
	return s.lastsUntilDropped(time.Duration(len(conns)/3)*s.Limits.Send, conns...)
}

// lastsUntilDropped gives signs of life, for whose lack the victim would
// remove its peers, until it has removed them all.
func (s *Scene) lastsUntilDropped(within time.Duration, conns ...*Conn) error {
	closed := make(chan error, len(conns))
	for _, c := range conns {
		go func() { closed <- c.closedWithin(within) }()
	}
	tick := time.NewTicker(s.Limits.Send / 10)
	defer tick.Stop()
	for left := len(conns); left > 0; {
		select {
		case err := <-closed:
			if err != nil {
				return fmt.Errorf("%d are still there: %w", left, err)
			}
			left--
		case <-tick.C:
			for _, c := range conns {
				c.Send(Frame(0, Plain(KindPingOK, c.Next())))
			}
		}
	}
	return nil
}

func churn(s *Scene) error {
	for range 100 {
		c, err := s.EnterAs(s.Addr, newID(), s.Group)
		if err != nil {
			return err
		}
		c.Close()
		c.Back.Close()
	}
	return nil
}

// Twice returns the attacks by a second node with the identity of a first,
// both of the attacker's. What NULL cannot tell apart is not refused here; no
// honest peer may come to harm by it.
func Twice() []Attack {
	return []Attack{
		{"duplicate from the same address", "13", "HELLO with the identity of another node of the attacker's host", "the newer one takes its place: NULL cannot tell", func(s *Scene) error { return s.duplicate(s.Addr, true) }},
		{"duplicate from another address", "13", "the same from another host", "closes; keeps the older one", func(s *Scene) error { return s.duplicate(s.Other, false) }},
	}
}

func (s *Scene) duplicate(from netip.Addr, wins bool) error {
	first, err := s.Enter(s.Group)
	if err != nil {
		return err
	}
	alive := make(chan error, 1)
	go func() { alive <- first.beatFor(2 * time.Second) }()
	second, err := s.ShakenFrom(from, first.ID)
	if err != nil {
		return err
	}
	second.Hello(HelloAt(netip.AddrPortFrom(from, first.Back.Port()), s.Group))
	if !wins {
		if err := second.Closed(); err != nil {
			return err
		}
		return <-alive
	}
	return eventually("the victim greets the newer one", func() bool { return first.Back.Hellos() > 1 })
}

// beatFor gives signs of life for a while, as an honest peer does.
func (c *Conn) beatFor(d time.Duration) error {
	for deadline := time.Now().Add(d); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		c.Send(Frame(0, Plain(KindPing, c.Next())))
	}
	return c.Alive()
}
