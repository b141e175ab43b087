package hostile

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
)

// CurveAttacks returns the attacks on a node that uses CURVE, and lets
// everybody in who has a key.
func CurveAttacks() []Attack {
	return []Attack{
		{"downgrade", "31", "NULL, PLAIN, a READY of NULL, messages in clear before HELLO", "closes", closes(
			[][]byte{Greeting(1, "NULL"), Ready("DEALER", Identity(newID()))},
			[][]byte{Greeting(1, "PLAIN")},
			[][]byte{Greeting(1, "CURVE"), Ready("DEALER", Identity(newID()))},
			[][]byte{Greeting(1, "CURVE"), Frame(0, Plain(KindPing, 1))},
			[][]byte{Greeting(1, "CURVE"), Cmd("INITIATE", make([]byte, 400))},
			[][]byte{Greeting(1, "CURVE"), Header(Command, 1<<62)},
		)},
		{"wrong HELLO", "40", "cut, too long, of another version, for another server, for a key of zeros or of low order, forged", "closes", spoilt(wrongHellos()...)},
		{"wrong INITIATE", "40", "cut, with another cookie, not sealed, of nobody's key, with the vouch of another, for another server or connection", "closes", spoilt(wrongInitiates()...)},
		{"wrong metadata", "31", "in INITIATE: cut, other socket types, identities, 5 KiB", "closes", spoilt(wrongMetadata()...)},
		{"wrong messages", "40", "in clear, a nonce again or of before, forged, cut, commands inside", "closes", spoilt(wrongMessages()...)},
		{"wrong key header", "25", "a HELLO of ZRE without X-PUBLICKEY, with an empty one, with nonsense, with the key of another", "closes", wrongHeaders},
		{"UUID of a live peer", "13", "an honest peer's UUID with another valid key, from that peer's address", "closes; keeps the peer", takeover},
		{"flood of handshakes", "41", "2000 connections that make the victim work for a WELCOME and hang up", "answers each; serves its peers", handshakes},
		{"beacons without a key", "25", "of version 1, and such whose key is zeros, of low order, or not that of who listens", "ignored, or a few connections", keylessBeacons},
	}
}

// DeniedAttacks returns those on a node that names the keys of its peers.
func DeniedAttacks() []Attack {
	return []Attack{{"unknown keys", "41", "200 whole handshakes with valid keys that may not be peers", "says so and closes", func(s *Scene) error {
		for range 200 {
			c, err := s.DialCurve(NewKeys())
			if err != nil {
				return err
			}
			if err := c.Shaken(); err == nil || !strings.Contains(err.Error(), "ERROR") {
				return fmt.Errorf("a key that is not on the list is not told so: %w", err)
			}
			if err := c.Closed(); err != nil {
				return err
			}
			c.Close()
		}
		return nil
	}}}
}

// spoilt returns an attack of several handshakes. Each says something after
// which the victim must hang up.
func spoilt(attempts ...func(c *Curve) error) func(*Scene) error {
	return func(s *Scene) error {
		for i, attempt := range attempts {
			c, err := s.DialCurve(NewKeys())
			if err == nil {
				err = attempt(c)
			}
			if err == nil {
				err = c.Closed()
			}
			if err != nil {
				return fmt.Errorf("attempt %d: %w", i+1, err)
			}
			c.Close()
		}
		return nil
	}
}

// lowOrder are public keys whose shared secret everybody knows.
var lowOrder = [][32]byte{
	{}, {1},
	{0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
	{0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
}

func wrongHellos() (attempts []func(*Curve) error) {
	say := func(change func(c *Curve, data []byte) []byte) {
		attempts = append(attempts, func(c *Curve) error {
			c.Send(Cmd("HELLO", change(c, c.HelloData())))
			return nil
		})
	}
	for _, n := range []int{0, 1, 2, 74, 106, 114, 193} {
		say(func(_ *Curve, data []byte) []byte { return data[:n] })
	}
	for _, at := range []int{0, 1, 74, 106, 113, 114, 193} {
		say(func(_ *Curve, data []byte) []byte { data[at] ^= 1; return data })
	}
	for _, key := range lowOrder {
		say(func(_ *Curve, data []byte) []byte { copy(data[74:], key[:]); return data })
	}
	say(func(_ *Curve, data []byte) []byte { return append(data, 0) })
	say(func(c *Curve, _ []byte) []byte { c.Server = NewKeys().Public; return c.HelloData() })
	return attempts
}

func wrongInitiates() (attempts []func(*Curve) error) {
	say := func(change func(c *Curve) []byte) {
		attempts = append(attempts, func(c *Curve) error {
			if err := c.Greeted(); err != nil {
				return err
			}
			c.Send(Cmd("INITIATE", change(c)))
			return nil
		})
	}
	good := func(c *Curve) []byte { return c.InitiateData(c.Vouch(c.Own, c.Server), c.Metadata()) }
	for _, n := range []int{0, 1, 95, 96, 104, 120, 200, 247} {
		say(func(c *Curve) []byte { return good(c)[:n] })
	}
	for _, at := range []int{0, 95, 96, 104, 200} {
		say(func(c *Curve) []byte { data := good(c); data[at] ^= 0x80; return data })
	}
	say(func(c *Curve) []byte { return c.InitiateData(c.Vouch(NewKeys(), c.Server), c.Metadata()) })
	say(func(c *Curve) []byte { return c.InitiateData(c.Vouch(c.Own, NewKeys().Public), c.Metadata()) })
	say(func(c *Curve) []byte { c.short = NewKeys(); return good(c) })
	say(func(c *Curve) []byte { return c.InitiateData(make([]byte, 96), c.Metadata()) })
	for _, key := range lowOrder {
		say(func(c *Curve) []byte {
			vouch := c.Vouch(c.Own, c.Server)
			c.Own.Public = key
			return c.InitiateData(vouch, c.Metadata())
		})
	}
	attempts = append(attempts, func(c *Curve) error {
		if err := c.Greeted(); err != nil {
			return err
		}
		c.Send(Cmd("HELLO", c.HelloData())) // once more
		return nil
	})
	return attempts
}

func wrongMetadata() (attempts []func(*Curve) error) {
	for _, m := range [][]byte{
		Property("Socket-Type", []byte("PUB")), {0}, {5, 'A'}, {1, 'A', 0xff, 0xff, 0xff, 0xff, 'x'},
		Property("X", make([]byte, 5000)),
		append(Property("Socket-Type", []byte("DEALER")), Property("Identity", make([]byte, 256))...),
		append(Property("Socket-Type", []byte("DEALER")), Property("Identity", nil)...),
	} {
		attempts = append(attempts, func(c *Curve) error {
			if err := c.Greeted(); err != nil {
				return err
			}
			c.Send(Cmd("INITIATE", c.InitiateData(c.Vouch(c.Own, c.Server), m)))
			return nil
		})
	}
	return attempts
}

func wrongMessages() (attempts []func(*Curve) error) {
	for _, change := range []func(c *Curve) []byte{
		func(*Curve) []byte { return Frame(0, Plain(KindPing, 1)) },
		func(*Curve) []byte { return Cmd("PING", []byte("\x00\x00abc")) },
		func(c *Curve) []byte { return bytes.Repeat(c.Sealed(0, Plain(KindPing, 1)), 2) },
		func(c *Curve) []byte { c.nonce = 0; return c.Sealed(0, Plain(KindPing, 1)) },
		func(c *Curve) []byte {
			first, second := c.Sealed(0, Plain(KindPing, 1)), c.Sealed(0, Plain(KindPing, 2))
			return append(second, first...)
		},
		func(c *Curve) []byte { b := c.Sealed(0, Plain(KindPing, 1)); b[len(b)-1] ^= 1; return b },
		func(c *Curve) []byte { b := c.Sealed(0, Plain(KindPing, 1)); b[len(b)-10] ^= 1; return b },
		func(c *Curve) []byte { return Frame(0, []byte("\x07MESSAGE")) },
		func(c *Curve) []byte { return Frame(0, append([]byte("\x07MESSAGE"), make([]byte, 24)...)) },
		func(c *Curve) []byte { return Cmd("MESSAGE", make([]byte, 40)) },
		func(c *Curve) []byte { return c.Sealed(2, []byte{9, 'P'}) },
		func(c *Curve) []byte { return Header(0, 1<<62) },
	} {
		attempts = append(attempts, func(c *Curve) error {
			if err := c.Shaken(); err != nil {
				return err
			}
			c.Send(change(c))
			return nil
		})
	}
	return attempts
}

func wrongHeaders(s *Scene) error {
	at := netip.AddrPortFrom(s.Addr, 62000)
	if err := s.entersWithKey(); err != nil {
		return err
	}
	return spoilt(
		func(c *Curve) error {
			if err := c.Shaken(); err != nil {
				return err
			}
			c.Send(c.Sealed(0, HelloAt(at).Bytes(1)))
			return nil
		},
		saysKey(at, ""), saysKey(at, "x"), saysKey(at, Z85(NewKeys().Public)), saysKey(at, Z85(s.Key)),
		saysKey(at, string(make([]byte, 40))),
	)(s)
}

// entersWithKey says what is right, to which the victim connects back.
func (s *Scene) entersWithKey() error {
	back, err := s.ListenOn(netip.AddrPortFrom(s.Other, 0), Mute)
	if err != nil {
		return err
	}
	own := NewKeys()
	c, err := s.DialCurveFrom(s.Other, newID(), own)
	if err != nil {
		return err
	}
	if err := saysKey(back.Addr(), Z85(own.Public))(c); err != nil {
		return err
	}
	return back.Contacted(1)
}

func saysKey(at netip.AddrPort, publicKey string) func(*Curve) error {
	return func(c *Curve) error {
		if err := c.Shaken(); err != nil {
			return err
		}
		c.Send(c.HelloOf(at, publicKey))
		return nil
	}
}

func takeover(s *Scene) error {
	from := s.Honest.Endpoint.Addr()
	for _, at := range []netip.AddrPort{s.Honest.Endpoint, netip.AddrPortFrom(s.Addr, 62000)} {
		own := NewKeys()
		c, err := s.DialCurveFrom(from, s.Honest.ID, own)
		if err != nil {
			return err
		}
		if err := saysKey(at, Z85(own.Public))(c); err != nil {
			return err
		}
		if err := c.Closed(); err != nil {
			return err
		}
	}
	return nil
}

// handshakes says the same HELLO on each connection: for the victim it is as
// much work as a new one, and none for the attacker.
func handshakes(s *Scene) error {
	var hello []byte
	count := 2000
	if s.Slow {
		count /= 5
	}
	for range count {
		c, err := s.greetCurve(s.Addr, newID())
		if err != nil {
			return err
		}
		if hello == nil {
			c.short = NewKeys()
			hello = Cmd("HELLO", c.HelloData())
		}
		c.Send(hello)
		if _, err := c.command("WELCOME"); err != nil {
			return err
		}
		c.Close()
	}
	return nil
}

func keylessBeacons(s *Scene) error {
	if err := s.nowhere(netip.AddrPortFrom(s.Addr, 0), s.Addr, func(port uint16) [][]byte { return many(50, port) }); err != nil {
		return err
	}
	for _, key := range append(lowOrder, NewKeys().Public) {
		l, err := s.Listen(Says(Greeting(1, "CURVE"), Cmd("WELCOME", make([]byte, 160))))
		if err != nil {
			return err
		}
		if err := s.Beacons(s.Addr, KeyBeacon(newID(), l.Port(), key)); err != nil {
			return err
		}
		if err := s.caughtUp(); err != nil {
			return err
		}
		if err := l.atMost(4, 1); err != nil {
			return err
		}
		l.Close()
	}
	return nil
}
