package hostile

import (
	"net"
	"time"
)

// Slow returns the attacks that take as long as the victim's patience with a
// handshake. They may run at the same time.
func Slow() []Attack {
	greeting := Greeting(1, "NULL")
	return []Attack{
		{"silent for ever", "30", "connects and says nothing", "closes when the time for HELLO is over", stalls(nil)},
		{"greeting and nothing more", "30", "sends its greeting only", "closes when the time for HELLO is over", stalls(greeting)},
		{"no HELLO", "30", "shakes hands and says nothing", "closes when the time for HELLO is over", stalls(append(greeting, Ready("DEALER", Identity(newID()))...))},
		{"byte by byte", "30", "a byte now and then, for ever", "closes when the time for HELLO is over", byteByByte},
		{"chatter before HELLO", "30", "PINGs of ZMTP, but no HELLO", "closes when the time for HELLO is over", chatter},
		{"listener that accepts and is silent", "30", "is found by a beacon, accepts, says nothing", "few connections at a time, each of bounded time", mute},
		{"listener that never says READY", "30", "is found by a beacon, sends its greeting only", "few connections at a time, each of bounded time", greetsOnly},
	}
}

// longest is how long a connection that leads to nothing may last.
func (s *Scene) longest() time.Duration { return s.Limits.Handshake + patience/2 }

func stalls(said []byte) func(*Scene) error {
	return func(s *Scene) error {
		c, err := s.Dial()
		if err != nil {
			return err
		}
		c.Send(said)
		return c.closedWithin(s.longest())
	}
}

func byteByByte(s *Scene) error { return s.drip(Greeting(1, "NULL"), 1) }

func chatter(s *Scene) error {
	c, err := s.Shaken(newID())
	if err != nil {
		return err
	}
	c.Close()
	ping := Cmd("PING", []byte{0, 0})
	opening := append(Greeting(1, "NULL"), Ready("DEALER", Identity(newID()))...)
	for range 1000 {
		opening = append(opening, ping...)
	}
	return s.drip(opening, len(ping))
}

// drip sends some bytes at a time until the victim closes.
func (s *Scene) drip(b []byte, step int) error {
	c, err := s.Dial()
	if err != nil {
		return err
	}
	closed := make(chan error, 1)
	go func() { closed <- c.closedWithin(s.longest()) }()
	tick := time.NewTicker(s.Limits.Handshake / 40)
	defer tick.Stop()
	for i := 0; ; i += step {
		select {
		case err := <-closed:
			return err
		case <-tick.C:
			c.Send(b[min(i, len(b)):min(i+step, len(b))])
		}
	}
}

func mute(s *Scene) error { return s.hold(Mute) }

func greetsOnly(s *Scene) error {
	return s.hold(func(l *Listener, c net.Conn) {
		c.Write(Greeting(1, "NULL"))
		l.readOn(c)
	})
}

// hold has the victim connect to a listener for as long as a handshake may
// last, and looks at how many connections that makes.
func (s *Scene) hold(b Behaviour) error {
	l, err := s.found(b)
	if err != nil {
		return err
	}
	time.Sleep(s.Limits.Handshake)
	return l.atMost(4, 4)
}
