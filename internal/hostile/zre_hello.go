package hostile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"
)

// Strangers returns the attacks by messages of ZRE from a node that is no
// peer yet: with HELLO, or without.
func Strangers() []Attack {
	return []Attack{
		{"messages before HELLO", "–", "each kind of message but HELLO", "ignored", beforeHello},
		{"no messages of ZRE", "4, 42", "empty and short frames; 100 messages with a wrong signature, id or version", "closes, after some", noMessages},
		{"HELLO cut short", "2, 3", "a HELLO cut at each of its bytes", "closes each time; no peer", cutHello},
		{"wrong counts in HELLO", "16", "2^32-1 groups or headers, one more than there are, lengths of 2^32-1", "closes", wrongCounts},
		{"wrong fields in HELLO", "24", "NUL in a group, name or header; empty group or header name; 5000 groups; group or value too long", "closes", wrongFields},
		{"HELLO out of place", "5, 22", "sequence number other than 1; frames behind it", "closes", helloOutOfPlace},
		{"endpoint of another transport", "14, 15", "inproc, ipc, udp, no port, port 0, 80, 70000, empty, a multicast or broadcast address", "closes; connects nowhere", badEndpoints},
		{"HELLO with the victim's endpoint", "10", "a HELLO that says it is where the victim is", "closes", helloOwn},
		{"HELLO with a live peer's endpoint", "11", "a HELLO that says it is where an honest peer is", "closes; keeps the peer", helloTaken},
		{"HELLO of a live peer", "13", "the identity of an honest peer, from another address", "closes; keeps the peer", helloImpostor},
		{"messages of a live peer", "13, 22", "the identity of an honest peer, from another address, without HELLO and with all sequence numbers", "ignored; keeps the peer", resumeImpostor},
		{"HELLO with a bystander's endpoint", "14", "ten HELLOs that name a port of a bystander, every second one hangs up at once", "connects to it a few times and gives up", bystander},
		{"many identities", "8", "1000 HELLOs with as many identities and endpoints, from one address", "as many enter as the limit for one address allows", manyIdentities},
		{"HELLO again and again", "23", "five more HELLOs of one peer on one connection, and one on a second", "EXIT and ENTER, once a second at most", helloAgain},
		{"HELLO with all there may be", "16, 17", "30 peers in 1000 groups each, with 100 headers", "enter; all memory comes back", fullHellos},
	}
}

// closesAfter is closes for messages behind a good handshake.
func closesAfter(attempts ...[]byte) func(*Scene) error {
	shaken := func(s *Scene) (*Conn, error) { return s.Shaken(newID()) }
	return closesThose(shaken, each(attempts)...)
}

// closesHellos is closesAfter for HELLOs.
func closesHellos(hellos ...[]byte) func(*Scene) error {
	for i := range hellos {
		hellos[i] = Frame(0, hellos[i])
	}
	return closesAfter(hellos...)
}

func beforeHello(s *Scene) error {
	c, err := s.Shaken(newID())
	if err != nil {
		return err
	}
	const id = "00000000000000000000000000000001"
	c.Send(
		Frame(0, Plain(KindPing, 1)), Frame(0, Plain(KindPingOK, 2)), Frame(0, Plain(KindGoodbye, 3)),
		Frame(0, Named(KindJoin, 4, "x", 1)), Frame(0, Named(KindLeave, 5, "x", 2)),
		Frame(More, Plain(KindWhisper, 6)), Frame(0, []byte("x")),
		Frame(More, Named(KindShout, 7, s.Group)), Frame(0, []byte("x")),
		Frame(0, Vote(KindElect, 8, "x", id)), Frame(0, Vote(KindLeader, 9, "x", id)),
	)
	return c.Alive()
}

func noMessages(s *Scene) error {
	foreign := func(at int, b byte) []byte {
		m := Plain(KindPing, 1)
		m[at] = b
		return bytes.Repeat(Frame(0, m), s.Limits.Foreign+1)
	}
	return closesAfter(
		Frame(0, nil), Frame(0, []byte{0xaa}), Frame(0, Plain(KindPing, 1)[:5]),
		foreign(0, 0), foreign(1, 0), foreign(2, 0), foreign(2, 11), foreign(2, 255), foreign(3, 1), foreign(3, 3),
	)(s)
}

func (s *Scene) goodHello() *Hello {
	h := HelloAt(netip.AddrPortFrom(s.Addr, 2000), "group")
	h.Headers = [][2]string{{"X-A", "value"}}
	return h
}

func cutHello(s *Scene) error {
	whole := s.goodHello().Bytes(1)
	var cut [][]byte
	for n := range whole {
		cut = append(cut, bytes.Clone(whole[:n]))
	}
	return closesHellos(cut...)(s)
}

func wrongCounts(s *Scene) error {
	h := s.goodHello()
	at := len(Named(KindHello, 1, h.Endpoint)) // of the count of groups
	hash := len(h.Bytes(1)) - len("\x00\x00\x00\x01\x03X-A\x00\x00\x00\x05value")
	patched := func(at int, n uint32) []byte {
		b := h.Bytes(1)
		binary.BigEndian.PutUint32(b[at:], n)
		return b
	}
	return closesHellos(
		patched(at, 1<<32-1), patched(at, 1<<31), patched(at, 9), patched(at+4, 1<<32-1),
		patched(hash, 1<<32-1), patched(hash, 1<<31), patched(hash, 2), patched(hash+8, 1<<32-1),
	)(s)
}

func wrongFields(s *Scene) error {
	var attempts [][]byte
	for _, spoil := range []func(*Hello){
		func(h *Hello) { h.Groups = []string{"a\x00b"} },
		func(h *Hello) { h.Groups = []string{""} },
		func(h *Hello) { h.Groups = []string{strings.Repeat("g", 256)} },
		func(h *Hello) { h.Groups = names(s.Limits.Groups + 1) },
		func(h *Hello) { h.Name = "a\x00b" },
		func(h *Hello) { h.Endpoint += "\x00" },
		func(h *Hello) { h.Headers[0][0] = "" },
		func(h *Hello) { h.Headers[0][0] = "X\x00" },
		func(h *Hello) { h.Headers[0][1] = "a\x00b" },
		func(h *Hello) { h.Headers[0][1] = strings.Repeat("v", 64<<10+1) },
	} {
		h := s.goodHello()
		spoil(h)
		attempts = append(attempts, h.Bytes(1))
	}
	return closesHellos(attempts...)(s)
}

// names returns different names of groups.
func names(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("group %d", i))
	}
	return list
}

func helloOutOfPlace(s *Scene) error {
	h := s.goodHello()
	return closesAfter(
		Frame(0, h.Bytes(0)), Frame(0, h.Bytes(2)), Frame(0, h.Bytes(65535)),
		append(Frame(More, h.Bytes(1)), Frame(0, nil)...),
		append(Frame(More, h.Bytes(1)), Frame(0, Plain(KindPing, 2))...),
	)(s)
}

func badEndpoints(s *Scene) error {
	var attempts [][]byte
	for _, endpoint := range []string{
		"", "tcp://", "tcp://:", "inproc://zyre", "ipc:///x", "udp://127.0.0.1:2000", "127.0.0.1:2000",
		"tcp://127.0.0.1", "tcp://127.0.0.1:", "tcp://127.0.0.1:0", "tcp://127.0.0.1:80", "tcp://127.0.0.1:70000",
		"tcp://127.0.0.1:-1", "tcp://127.0.0.1:2000x", "tcp://224.0.0.1:2000", "tcp://255.255.255.255:2000",
		"tcp://ff02::1:2000", strings.Repeat("x", 255),
	} {
		h := s.goodHello()
		h.Endpoint = endpoint
		attempts = append(attempts, h.Bytes(1))
	}
	return closesHellos(attempts...)(s)
}

func helloOwn(s *Scene) error { return closesHellos(HelloAt(s.Victim.Endpoint).Bytes(1))(s) }

func helloTaken(s *Scene) error { return closesHellos(HelloAt(s.Honest.Endpoint, s.Group).Bytes(1))(s) }

// impostor connects with the identity of the honest peer.
func (s *Scene) impostor() (*Conn, error) { return s.ShakenFrom(s.Addr, s.Honest.ID) }

func helloImpostor(s *Scene) error {
	for _, endpoint := range []netip.AddrPort{s.Honest.Endpoint, netip.AddrPortFrom(s.Addr, 2000)} {
		c, err := s.impostor()
		if err != nil {
			return err
		}
		c.Hello(HelloAt(endpoint))
		if err := c.Closed(); err != nil {
			return err
		}
	}
	return nil
}

func resumeImpostor(s *Scene) error {
	c, err := s.impostor()
	if err != nil {
		return err
	}
	var all []byte
	for seq := range 1 << 16 {
		all = append(all, Frame(0, Plain(KindPing, uint16(seq)))...)
	}
	c.Send(all)
	return c.Alive()
}

func bystander(s *Scene) error {
	l, err := s.ListenOn(netip.AddrPortFrom(s.Other, 0), Says([]byte("220 mail.example ESMTP\r\n")))
	if err != nil {
		return err
	}
	begin := time.Now()
	for i := range 10 {
		c, err := s.Shaken(newID())
		if err != nil {
			return err
		}
		c.Hello(HelloAt(l.Addr()))
		if i%2 == 1 {
			c.Close()
		}
	}
	if err := l.Contacted(1); err != nil {
		return err
	}
	time.Sleep(time.Second)
	return l.atMost(5+2*time.Since(begin).Seconds(), 2)
}

func manyIdentities(s *Scene) error {
	begin := time.Now()
	var conns []*Conn
	for i := range 1000 {
		c, err := s.Shaken(newID())
		if err != nil {
			return err
		}
		c.Hello(HelloAt(netip.AddrPortFrom(s.Addr, uint16(3000+i)), s.Group))
		conns = append(conns, c)
	}
	allowed := s.Limits.Burst + int(time.Since(begin).Seconds()+1)*s.Limits.Rate
	var closed atomic.Int64
	for _, c := range conns {
		go func() {
			if c.Closed() == nil {
				closed.Add(1)
			}
		}()
	}
	refused := len(conns) - allowed
	return eventually(fmt.Sprintf("%d of %d connections are closed", refused, len(conns)), func() bool {
		return int(closed.Load()) >= refused
	})
}

func helloAgain(s *Scene) error {
	begin := time.Now()
	c, err := s.Enter(s.Group)
	if err != nil {
		return err
	}
	again := HelloAt(c.Back.Addr(), s.Group)
	for range 5 {
		c.Hello(again)
	}
	second, err := s.ShakenFrom(s.Addr, c.ID)
	if err != nil {
		return err
	}
	second.Hello(again)
	// Once the second connection has entered, the first counts no more.
	if err := eventually("the victim greets anew", func() bool { return c.Back.Hellos() >= 2 }); err != nil {
		return err
	}
	if took := time.Since(begin); took < time.Second {
		return fmt.Errorf("once more within %v", took)
	}
	return nil
}

func fullHellos(s *Scene) error {
	var errs []error
	for range 30 {
		back, err := s.Listen(Polite)
		if err != nil {
			return err
		}
		h := HelloAt(back.Addr(), names(1000)...)
		for i := range 100 {
			h.Headers = append(h.Headers, [2]string{fmt.Sprintf("X-%d", i), strings.Repeat("v", 1000)})
		}
		c, err := s.Shaken(newID())
		if err != nil {
			return err
		}
		c.Hello(h)
		errs = append(errs, eventually("the victim says HELLO", func() bool { return back.Hellos() > 0 }))
	}
	return errors.Join(errs...)
}
