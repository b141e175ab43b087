package hostile

import (
	"bytes"
	"fmt"
	"math"
	"time"
)

// Listeners returns the attacks by what the victim connects to, after a
// beacon that names it.
func Listeners() []Attack {
	greeting := Greeting(1, "NULL")
	ping := Cmd("PING", make([]byte, 18))
	return []Attack{
		{"listener that speaks something else", "31", "HTTP, ZMTP 1.0 and 2.0, PLAIN, a wrong socket type, READY cut short, ERROR", "closes and gives up", gaveUp(
			Says([]byte("HTTP/1.1 200 OK\r\n\r\n")), Says([]byte{1, 0}), Says(altered(10, 1)), Says(Greeting(1, "PLAIN")),
			Says(greeting, Ready("PUB", nil)), Says(greeting, Cmd("READY", []byte{0})),
			Says(greeting, Cmd("ERROR", []byte("\x03no!"))), Says(greeting, Header(Command, 1<<62)),
			Says(greeting, Frame(0, []byte("x"))),
		)},
		{"listener that closes at once", "7", "accepts and hangs up", "tries again ever more slowly", patient(Rude, 8)},
		{"huge frames from a listener", "18, 33", "frames of 5 KiB, 2^62, 2^64-1 bytes on the victim's own connection", "closes", inTheBack(
			Frame(0, make([]byte, 5000)), Header(0, 1<<62), Header(0, math.MaxUint64), Header(Command, 1<<40),
		)},
		{"messages from a listener", "33", "1000 messages of ZRE on the victim's own connection", "closes after some", inTheBack(
			bytes.Repeat(Frame(0, Plain(KindPing, 1)), 1000), bytes.Repeat([]byte{More, 0}, 1000),
		)},
		{"PING flood from a listener", "32", "200,000 PINGs of ZMTP, answers not read", "answers at most one at a time", patient(Floods(bytes.Repeat(ping, 1000), 200), 8)},
		{"endless commands from a listener", "33", "100,000 unknown commands", "ignored", patient(Floods(bytes.Repeat(Cmd("NOISE", nil), 1000), 100), 8)},
	}
}

// gaveUp returns an attack of several listeners, of which the victim must let
// go after a short while.
func gaveUp(listeners ...Behaviour) func(*Scene) error {
	return func(s *Scene) error {
		var all []*Listener
		for _, b := range listeners {
			l, err := s.Listen(b)
			if err != nil {
				return err
			}
			if err := s.Beacons(s.Addr, Beacon(newID(), l.Port())); err != nil {
				return err
			}
			all = append(all, l)
		}
		for i, l := range all {
			if err := l.Contacted(1); err != nil {
				return fmt.Errorf("listener %d: %w", i+1, err)
			}
		}
		time.Sleep(time.Second)
		for i, l := range all {
			if err := l.atMost(5, 1); err != nil {
				return fmt.Errorf("listener %d: %w", i+1, err)
			}
		}
		return nil
	}
}

// found listens, and returns when the victim, told by a beacon, has connected.
func (s *Scene) found(b Behaviour) (*Listener, error) {
	l, err := s.Listen(b)
	if err != nil {
		return nil, err
	}
	if err := s.Beacons(s.Addr, Beacon(newID(), l.Port())); err != nil {
		return nil, err
	}
	return l, l.Contacted(1)
}

// patient returns an attack of one listener, to which the victim must not
// connect more often than so.
func patient(b Behaviour, most int) func(*Scene) error {
	return func(s *Scene) error {
		l, err := s.found(b)
		if err != nil {
			return err
		}
		time.Sleep(1500 * time.Millisecond)
		return l.atMost(float64(most), 2)
	}
}

// inTheBack returns an attack by listeners that shake hands as they should
// and then send what must make the victim hang up, which shows in that it
// connects again.
func inTheBack(sent ...[]byte) func(*Scene) error {
	return func(s *Scene) error {
		for i, b := range sent {
			l, err := s.Listen(Says(Greeting(1, "NULL"), Ready("ROUTER", nil), b))
			if err != nil {
				return err
			}
			if err := s.Beacons(s.Addr, Beacon(newID(), l.Port())); err != nil {
				return err
			}
			if err := l.Contacted(2); err != nil {
				return fmt.Errorf("listener %d: %w", i+1, err)
			}
			l.Close()
		}
		return nil
	}
}
