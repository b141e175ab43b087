package hostile

import (
	"fmt"
	"net"
	"net/netip"
	"time"
)

// UDP returns the attacks by beacons.
func UDP() []Attack {
	return []Attack{
		{"datagrams of all lengths", "39", "0 to 300 bytes and 60 KiB, with and without the signature of ZRE", "ignored", lengths},
		{"versions", "42", "beacons of all versions but 1, a key of zeros, a wrong signature", "ignored", versions},
		{"own UUID", "9", "the victim's UUID with another port", "never connects to it", ownUUID},
		{"own endpoint", "10", "other UUIDs at the victim's own endpoint", "ignored", ownEndpoint},
		{"closed ports", "7", "2000 UUIDs, each at another closed port", "dials as many as the limit for one address allows, gives up", closedPorts},
		{"many addresses", "7", "1000 UUIDs, each at another endpoint of 250 addresses, which all hang up", "dials as many as the limit for all addresses allows", manyAddresses},
		{"privileged port", "14", "a port below 1024 where somebody listens", "never connects to it", privileged},
		{"one endpoint, many UUIDs", "7, 11", "300 UUIDs at an endpoint where a node listens", "one connection at a time, a new one twice a second at most", manyNodes(300, Polite, 2)},
		{"one endpoint that hangs up", "7, 11", "300 UUIDs at an endpoint that closes every connection", "tries again ever more slowly", manyNodes(300, Rude, 5)},
		{"third party", "14", "200 UUIDs at one port of a bystander that speaks HTTP", "connects a few times and gives up", manyNodes(200, Says([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")), 5)},
		{"one UUID that moves", "7", "a UUID at two ports of a bystander in turn, 300 times", "dials a few times and gives up", moves},
		{"endpoint of a live peer", "11", "200 UUIDs at the endpoint of an honest peer", "asks that peer for a sign of life and keeps it", liveEndpoint},
		{"goodbye of a live peer", "12", "port 0 with the UUID of an honest peer, from its address and from another", "asks that peer for a sign of life and keeps it", goodbye},
		{"live peer elsewhere", "13", "the UUID of an honest peer with another port and another address", "keeps the peer, does not connect", elsewhere},
		{"storm of known beacons", "38", "20,000 beacons of an honest peer", "looks each up and ignores it", storm},
	}
}

// Beacons sends datagrams to the victim from an address, with a pause now and
// then, since a full socket buffer would help the victim. They go to loopback
// wherever it lives: to its own address libzyre has a socket that is not read.
func (s *Scene) Beacons(from netip.Addr, datagrams ...[]byte) error {
	to := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: s.Port}
	c, err := net.DialUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), to)
	if err != nil {
		return err
	}
	defer c.Close()
	for i, d := range datagrams {
		if _, err := c.Write(d); err != nil {
			return err
		}
		if i%64 == 63 {
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

// caughtUp waits until the victim has acted on all beacons before: it takes
// them in order, and so it has when it connects to a new node.
func (s *Scene) caughtUp() error {
	l, err := s.ListenOn(netip.AddrPortFrom(s.Other, 0), Polite)
	if err != nil {
		return err
	}
	defer l.Close()
	id, key := newID(), NewKeys()
	return eventually("the victim follows a good beacon", func() bool {
		if s.Key != ([32]byte{}) {
			s.Beacons(s.Other, KeyBeacon(id, l.Port(), key.Public))
			return l.Accepted() > 0
		}
		s.Beacons(s.Other, Beacon(id, l.Port()))
		return l.Hellos() > 0
	})
}

// nowhere runs an attack by datagrams from the attacker's address which must
// not make the victim connect to the listener.
func (s *Scene) nowhere(at netip.AddrPort, from netip.Addr, datagrams func(port uint16) [][]byte) error {
	l, err := s.ListenOn(at, Polite)
	if err != nil {
		return err
	}
	if err := s.Beacons(from, datagrams(l.Port())...); err != nil {
		return err
	}
	if err := s.caughtUp(); err != nil {
		return err
	}
	return l.atMost(0, 0)
}

func lengths(s *Scene) error {
	return s.nowhere(netip.AddrPortFrom(s.Addr, 0), s.Addr, func(port uint16) (d [][]byte) {
		id := newID()
		good := Beacon(id, port)
		for n := range 301 {
			if n == len(good) || n == len(good)+32 {
				continue // beacons of version 1, though the second is of odd size
			}
			d = append(d, make([]byte, n), append(good[:min(n, len(good)):len(good)], make([]byte, max(0, n-len(good)))...))
		}
		return append(d, make([]byte, 60<<10))
	})
}

func versions(s *Scene) error {
	return s.nowhere(netip.AddrPortFrom(s.Addr, 0), s.Addr, func(port uint16) (d [][]byte) {
		for v := range 256 {
			if v == 1 {
				continue
			}
			b := Beacon(newID(), port)
			b[3] = byte(v)
			d = append(d, b)
		}
		wrong := Beacon(newID(), port)
		wrong[0] = 'z'
		return append(d, wrong, KeyBeacon(newID(), port, [32]byte{}))
	})
}

func ownUUID(s *Scene) error {
	return s.nowhere(netip.AddrPortFrom(s.Addr, 0), s.Addr, func(port uint16) [][]byte {
		return [][]byte{Beacon(s.Victim.ID, port), Beacon(s.Victim.ID, 0)}
	})
}

func ownEndpoint(s *Scene) error {
	if err := s.Beacons(s.Victim.Endpoint.Addr(), many(200, s.Victim.Endpoint.Port())...); err != nil {
		return err
	}
	return s.caughtUp()
}

// many returns beacons of new nodes that are all at one port.
func many(n int, port uint16) (d [][]byte) {
	for range n {
		d = append(d, Beacon(newID(), port))
	}
	return d
}

func closedPorts(s *Scene) error {
	var d [][]byte
	for port := range uint16(2000) {
		d = append(d, Beacon(newID(), 62000+port)) // above the ports that the system gives out
	}
	if err := s.Beacons(s.Addr, d...); err != nil {
		return err
	}
	return s.caughtUp()
}

func manyAddresses(s *Scene) error {
	var all []*Listener
	begin := time.Now()
	for i := range 1000 {
		from := s.Addr.As4()
		from[1], from[3] = 2, byte(1+i%250)
		l, err := s.ListenOn(netip.AddrPortFrom(netip.AddrFrom4(from), 0), Rude)
		if err != nil {
			return err
		}
		defer l.Close()
		if err := s.Beacons(l.Addr().Addr(), Beacon(newID(), l.Port())); err != nil {
			return err
		}
		all = append(all, l)
	}
	dials := func() (sum int) {
		for _, l := range all {
			sum += l.Accepted()
		}
		return sum
	}
	if err := eventually("the victim dials", func() bool { return dials() >= s.Limits.Dials }); err != nil {
		return err
	}
	time.Sleep(3 * time.Second) // for more than there should be
	got, most := dials(), s.Limits.Dials+int(float64(s.Limits.DialRate)*(1+time.Since(begin).Seconds()))
	if got > most {
		return fmt.Errorf("%w, want %d at most", ConnectedError(got), most)
	}
	return nil
}

func privileged(s *Scene) error {
	return s.nowhere(netip.AddrPortFrom(s.Addr, 1023), s.Addr, func(port uint16) [][]byte { return many(20, port) })
}

// pressed sends beacons that name the port over and over for a while.
func (s *Scene) pressed(l *Listener, beacons [][]byte) error {
	for range 15 {
		if err := s.Beacons(s.Addr, beacons...); err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
	return l.Contacted(1)
}

// manyNodes returns an attack with beacons of so many nodes at one endpoint, to
// which the victim must connect at most so often at once.
func manyNodes(n int, b Behaviour, atOnce float64) func(*Scene) error {
	return func(s *Scene) error {
		l, err := s.Listen(b)
		if err != nil {
			return err
		}
		begin := time.Now()
		if err := s.pressed(l, many(n, l.Port())); err != nil {
			return err
		}
		return l.atMost(atOnce+2*time.Since(begin).Seconds(), 2)
	}
}

func moves(s *Scene) error {
	first, err := s.Listen(Rude)
	if err != nil {
		return err
	}
	second, err := s.Listen(Rude)
	if err != nil {
		return err
	}
	id := newID()
	var turns [][]byte
	for range 300 {
		turns = append(turns, Beacon(id, first.Port()), Beacon(id, second.Port()))
	}
	begin := time.Now()
	if err := s.pressed(first, turns); err != nil {
		return err
	}
	most := 5 + 2*time.Since(begin).Seconds()
	if err := first.atMost(most, 2); err != nil {
		return err
	}
	return second.atMost(most, 2)
}

// ConnectedError is the error of a victim that has connected so often, where it
// should not.
type ConnectedError int

func (times ConnectedError) Error() string {
	return fmt.Sprintf("the victim has connected %d times", int(times))
}

// atMost checks how often the victim has connected.
func (l *Listener) atMost(times float64, open int) error {
	if n := l.Accepted(); float64(n) > times {
		return fmt.Errorf("%w, want %.0f at most", ConnectedError(n), times)
	}
	if n := l.Most(); n > open {
		return fmt.Errorf("the victim has had %d connections open at a time", n)
	}
	return nil
}

func liveEndpoint(s *Scene) error {
	if err := s.Beacons(s.Honest.Endpoint.Addr(), many(200, s.Honest.Endpoint.Port())...); err != nil {
		return err
	}
	return s.caughtUp()
}

func goodbye(s *Scene) error {
	for range 3 {
		for _, from := range []netip.Addr{s.Honest.Endpoint.Addr(), s.Addr} {
			if err := s.Beacons(from, Beacon(s.Honest.ID, 0)); err != nil {
				return err
			}
		}
		if err := s.caughtUp(); err != nil {
			return err
		}
	}
	return nil
}

func elsewhere(s *Scene) error {
	from := s.Honest.Endpoint.Addr()
	return inTurn(
		func() error {
			return s.nowhere(netip.AddrPortFrom(from, 0), from, func(port uint16) [][]byte { return [][]byte{Beacon(s.Honest.ID, port)} })
		},
		func() error {
			return s.nowhere(netip.AddrPortFrom(s.Addr, 0), s.Addr, func(port uint16) [][]byte { return [][]byte{Beacon(s.Honest.ID, port)} })
		},
	)
}

func storm(s *Scene) error {
	d := make([][]byte, 20000)
	for i := range d {
		d[i] = Beacon(s.Honest.ID, s.Honest.Endpoint.Port())
	}
	if err := s.Beacons(s.Honest.Endpoint.Addr(), d...); err != nil {
		return err
	}
	return s.caughtUp()
}
