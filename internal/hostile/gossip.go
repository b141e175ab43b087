package hostile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"
)

// Kinds of message of zgossip.
const (
	gossipHello   = 1
	gossipPing    = 3
	gossipPong    = 4
	gossipInvalid = 5
)

// Gossip returns a message of zgossip without fields.
func Gossip(kind byte) []byte { return []byte{0xaa, 0xa0, kind, 1} }

// Tuple returns a PUBLISH.
func Tuple(key, value string) []byte {
	b := append(Gossip(2), byte(len(key)))
	b = append(b, key...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
	return append(append(b, value...), 0, 0, 0, 0)
}

func tupleAt(id UUID, at netip.AddrPort) []byte {
	return Frame(0, Tuple(fmt.Sprintf("%X", id), fmt.Sprint("tcp://", at)))
}

// HubAttacks returns the attacks by clients of a hub that the victim binds.
func HubAttacks() []Attack {
	return []Attack{
		{"malformed gossip", "27", "cut, of other kinds, versions and signatures, empty, in several frames", "closes, after some", closesGossip(
			bytes.Repeat(Frame(0, nil), 40), bytes.Repeat(Frame(0, Gossip(9)), 40), bytes.Repeat(Frame(0, []byte{0xaa, 0xa0, 1, 7}), 40),
			bytes.Repeat(Frame(0, Tuple("k", "v")[:9]), 40), bytes.Repeat(Frame(0, append(Gossip(2), 200, 'x')), 40),
			bytes.Repeat(Frame(More, Gossip(gossipHello)), 40), Header(0, 1<<62), Header(0, 20<<10), Frame(Command, nil),
			Header(0, 1<<64-1), Cmd("PING", nil),
		)},
		{"tuples that say nothing", "28", "keys that are no UUID, values that are no endpoint or of other transports", "ignored", meaningless},
		{"tuples of the victim", "9, 10", "its UUID elsewhere, and others at its own endpoint", "never connects", nowhereGossip(func(s *Scene, at netip.AddrPort) [][]byte {
			return [][]byte{tupleAt(s.Victim.ID, at), tupleAt(newID(), s.Victim.Endpoint)}
		})},
		{"tuples of a live peer", "11, 13", "an honest peer's UUID elsewhere, and others at its endpoint", "keeps the peer, does not connect", nowhereGossip(func(s *Scene, at netip.AddrPort) [][]byte {
			return [][]byte{tupleAt(s.Honest.ID, at), tupleAt(newID(), s.Honest.Endpoint)}
		})},
		{"tuples of a privileged port", "14", "a port below 1024 where somebody listens", "never connects", func(s *Scene) error {
			return nowhereGossipAt(s, 1023, func(_ *Scene, at netip.AddrPort) [][]byte {
				return [][]byte{tupleAt(newID(), at), tupleAt(newID(), at)}
			})
		}},
		{"tuples of a third party", "14", "200 UUIDs at one port of a bystander that speaks HTTP", "connects a few times", gossipThirdParty},
		{"flood of tuples", "29", "5000 UUIDs, each at another closed port", "takes a bounded number of them, dials within limits", gossipFlood},
		{"clients that say nothing", "30", "400 connections, half of them silent, half with a greeting", "keeps the newest", silentClients},
		{"clients that never read", "34", "30 that say HELLO and PING 20,000 times and read nothing", "answers while they take it", deafClients},
		{"clients that come and go", "30", "1000 connections, each with a HELLO", "forgets them", passingClients},
	}
}

// BadHubs returns the attacks by a hub that the victim connects to.
func BadHubs() []Attack {
	shaken := func(parts ...[]byte) Behaviour {
		return Says(append([][]byte{Greeting(1, "NULL"), Ready("ROUTER", nil)}, parts...)...)
	}
	return []Attack{
		{"hub that speaks something else", "31", "HTTP, PLAIN, READY cut short, hangs up", "tries again ever more slowly", hubs(
			Says([]byte("HTTP/1.1 200 OK\r\n\r\n")), Says(Greeting(1, "PLAIN")), Says(Greeting(1, "NULL"), Cmd("READY", []byte{0})), Rude)},
		{"hub that says nonsense", "27", "malformed messages, frames of 20 KiB and 2^62 bytes, INVALID without end", "closes, or bears with it", hubs(
			shaken(bytes.Repeat(Frame(0, Gossip(99)), 1000)), shaken(Header(0, 20<<10)), shaken(Header(0, 1<<62)),
			shaken(bytes.Repeat(Frame(0, Gossip(gossipInvalid)), 10_000)))},
		{"hub that floods", "29", "10,000 tuples of closed ports", "takes a bounded number of them, dials within limits", func(s *Scene) error {
			return hubs(shaken(floodOfTuples(s.Addr, 10_000)))(s)
		}},
	}
}

// Client connects to the victim's hub as a client does.
func (s *Scene) Client() (*Conn, error) {
	c, err := s.dialTo(s.Addr, s.Hub)
	if err == nil {
		c.Send(Greeting(1, "NULL"), Ready("DEALER", nil))
		c.readHandshake()
	}
	return c, err
}

// Member does so and says HELLO, without which the hub of libzyre takes nothing.
func (s *Scene) Member() (*Conn, error) {
	c, err := s.Client()
	if err == nil {
		c.Send(Frame(0, Gossip(gossipHello)))
	}
	return c, err
}

// answeredBy waits for the hub's answer to a PING, which comes behind all that
// was said before.
func (c *Conn) answeredBy() error {
	c.Send(Frame(0, Gossip(gossipPing)))
	c.SetReadDeadline(time.Now().Add(patience))
	var got []byte
	buf := make([]byte, 4096)
	for !bytes.Contains(got, Gossip(gossipPong)) {
		n, err := c.Read(buf)
		if err != nil {
			return fmt.Errorf("the hub no longer answers: %w", err)
		}
		got = append(got[max(0, len(got)-8):], buf[:n]...)
	}
	return nil
}

// closesGossip is closes for clients of a hub.
func closesGossip(attempts ...[]byte) func(*Scene) error {
	return closesThose((*Scene).Client, each(attempts)...)
}

func meaningless(s *Scene) error {
	c, err := s.Member()
	if err != nil {
		return err
	}
	good := fmt.Sprintf("%X", newID())
	at := fmt.Sprintf("tcp://%v:62000", s.Addr)
	for _, t := range [][2]string{
		{"", at}, {good[1:], at}, {good + "0", at}, {"X" + good[1:], at}, {strings.Repeat("\x00", 32), at},
		{good, ""}, {good, "tcp://"}, {good, "tcp://" + s.Addr.String()}, {good, "tcp://*:*"}, {good, at + "0000"},
		{good, "udp://127.0.0.1:1"}, {good, at + "|"}, {good, at + "|nonsense"}, {good, "tcp://a\x00b:2000"},
		{good, "tcp://" + strings.Repeat("x", 300) + ":2000"}, {good, "tcp://0.0.0.0:2000"}, {good, "tcp://224.0.0.1:2000"},
		{good, at + "|" + Z85(NewKeys().Public)},
	} {
		c.Send(Frame(0, Tuple(t[0], t[1])))
	}
	c.Send(Frame(0, Gossip(gossipPong)), Frame(0, Gossip(gossipInvalid)))
	return c.answeredBy()
}

func nowhereGossip(tuples func(s *Scene, at netip.AddrPort) [][]byte) func(*Scene) error {
	return func(s *Scene) error { return nowhereGossipAt(s, 0, tuples) }
}

func nowhereGossipAt(s *Scene, port uint16, tuples func(s *Scene, at netip.AddrPort) [][]byte) error {
	l, err := s.ListenOn(netip.AddrPortFrom(s.Addr, port), Polite)
	if err != nil {
		return err
	}
	c, err := s.Member()
	if err != nil {
		return err
	}
	c.Send(tuples(s, l.Addr())...)
	if err := c.answeredBy(); err != nil {
		return err
	}
	if err := s.follows(c); err != nil {
		return err
	}
	return l.atMost(0, 0)
}

// follows waits until the victim has acted on all tuples of a client.
func (s *Scene) follows(c *Conn) error {
	l, err := s.ListenOn(netip.AddrPortFrom(s.Other, 0), Polite)
	if err != nil {
		return err
	}
	defer l.Close()
	c.Send(tupleAt(newID(), l.Addr()))
	return eventually("the victim follows a good tuple", func() bool { return l.Hellos() > 0 })
}

func gossipThirdParty(s *Scene) error {
	l, err := s.Listen(Says([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")))
	if err != nil {
		return err
	}
	c, err := s.Member()
	if err != nil {
		return err
	}
	begin := time.Now()
	for range 200 {
		c.Send(tupleAt(newID(), l.Addr()))
	}
	if err := l.Contacted(1); err != nil {
		return err
	}
	time.Sleep(1500 * time.Millisecond) // for more than there should be
	return l.atMost(5+2*time.Since(begin).Seconds(), 2)
}

func floodOfTuples(at netip.Addr, n int) (b []byte) {
	for i := range n {
		b = append(b, tupleAt(newID(), netip.AddrPortFrom(at, uint16(60000+i%5000)))...)
	}
	return b
}

func gossipFlood(s *Scene) error {
	c, err := s.Member()
	if err != nil {
		return err
	}
	go io.Copy(io.Discard, c)
	c.Send(floodOfTuples(s.Addr, 5000))
	other, err := s.Client()
	if err != nil {
		return err
	}
	return other.answeredBy()
}

func silentClients(s *Scene) error {
	for i := range 400 {
		c, err := s.dialTo(s.Addr, s.Hub)
		if err != nil {
			return err
		}
		if i%2 == 0 {
			c.Send(Greeting(1, "NULL"))
		}
	}
	c, err := s.Client()
	if err != nil {
		return err
	}
	return c.answeredBy()
}

func deafClients(s *Scene) error {
	for range 30 {
		c, err := s.Client()
		if err != nil {
			return err
		}
		c.SetWriteDeadline(time.Now().Add(time.Second))
		c.Send(bytes.Repeat(append(Frame(0, Gossip(gossipHello)), Frame(0, Gossip(gossipPing))...), 10_000))
	}
	c, err := s.Client()
	if err != nil {
		return err
	}
	return c.answeredBy()
}

func passingClients(s *Scene) error {
	for range 1000 {
		c, err := s.Client()
		if err != nil {
			return err
		}
		c.Send(Frame(0, Gossip(gossipHello)))
		c.Close()
	}
	return nil
}

// hubs returns an attack by several hubs, one after the other, where the
// victim looks for one.
func hubs(behaviours ...Behaviour) func(*Scene) error {
	return func(s *Scene) error {
		for i, b := range behaviours {
			l, err := s.ListenOn(s.BadHub, b)
			if err != nil {
				return err
			}
			if err := l.Contacted(1); err != nil {
				return fmt.Errorf("hub %d: %w", i+1, err)
			}
			time.Sleep(time.Second)
			if l.Accepted() > 8 {
				return errors.New("the victim connects again and again")
			}
			l.Close()
		}
		return nil
	}
}
