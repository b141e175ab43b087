package hostile

import (
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"time"
)

// ZMTP returns the attacks on the handshake and the framing of connections
// to the victim's listener.
func ZMTP() []Attack {
	good := [][]byte{Greeting(1, "NULL"), Ready("DEALER", Identity(newID()))}
	after := func(parts ...[]byte) [][]byte { return append(good[:2:2], parts...) }
	greeted := func(parts ...[]byte) [][]byte { return append(good[:1:1], parts...) }
	command := func(body []byte) []byte { return Frame(Command, body) }
	return []Attack{
		{"other protocols", "42", "HTTP, TLS, SSH, ZMTP 1.0 and 2.0, noise", "closes", closes(
			[][]byte{[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")},
			[][]byte{{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}},
			[][]byte{[]byte("SSH-2.0-OpenSSH_9.2\r\n")},
			[][]byte{{1, 0}},
			[][]byte{altered(10, 1)},
			[][]byte{altered(9, 0x7e)},
			[][]byte{bytes.Repeat([]byte{0xff}, 64)},
		)},
		{"other mechanisms", "31", "greetings with PLAIN, CURVE, GSSAPI, none", "closes", closes(
			[][]byte{Greeting(1, "PLAIN")}, [][]byte{Greeting(1, "CURVE")},
			[][]byte{Greeting(1, "GSSAPI")}, [][]byte{Greeting(1, "")}, [][]byte{Greeting(1, "NULLX")},
		)},
		{"wrong READY", "31", "other socket types, properties cut short, trailing bytes, in two frames, 5 KiB, 2^62 bytes", "closes", closes(
			greeted(Ready("PUB", nil)), greeted(Ready("REP", nil)), greeted(Ready("", nil)),
			greeted(Cmd("READY", []byte{0})),
			greeted(Cmd("READY", []byte{5, 'A'})),
			greeted(Cmd("READY", append([]byte{1, 'A'}, 0xff, 0xff, 0xff, 0xff, 'x'))),
			greeted(Frame(More, []byte("\x05READY"))),
			greeted(Cmd("READY", Property("X", make([]byte, 5000)))),
			greeted(Header(Command, 1<<62)),
		)},
		{"something else than READY", "31", "PING, ERROR, INITIATE, a message, empty commands before READY", "closes", closes(
			greeted(Cmd("PING", []byte{0, 0})), greeted(Cmd("ERROR", []byte("\x02no"))),
			greeted(Cmd("INITIATE", nil)), greeted(Frame(0, Plain(KindPing, 1))),
			greeted(command(nil)), greeted(command([]byte{0})), greeted(command([]byte{200, 'R'})),
		)},
		{"identities", "13", "none, of 16, 18, 255, 256 bytes, not beginning with 1, the victim's own", "closes", identities},
		{"frame sizes", "18", "frames of 2^31, 2^62, 2^63, 2^64-1 bytes and of one too many, as message and as command", "closes", closes(
			after(Header(0, 1<<31)), after(Header(0, 1<<62)), after(Header(0, 1<<63)), after(Header(0, math.MaxUint64)),
			after(Header(More, 1<<62)), after(Header(Command, 1<<62)), after(Header(0, 2<<20)),
		)},
		{"malformed commands", "31", "after the handshake: empty, name longer than the command, PING without a TTL", "closes", closes(
			after(command(nil)), after(command([]byte{0})), after(command([]byte{9, 'P'})), after(Cmd("PING", []byte{1})),
		)},
		{"odd but legal", "31", "unknown commands, unknown flags, a PING with 300 bytes, long sizes where short would do", "goes on", oddities},
		{"endless frames", "17", "a message of empty frames, and one of 1 KiB frames, without end, before HELLO", "closes", closes(
			after(bytes.Repeat([]byte{More, 0}, 1<<18)),
			after(bytes.Repeat(Frame(More, make([]byte, 1024)), 3<<10)),
		)},
		{"unfinished HELLOs", "17", "600 connections that each send all but the end of the largest HELLO", "keeps a few of them, closes the others", unfinished},
		{"a thousand connections", "30", "1000 connections that say nothing", "keeps the newest, up to its limit", thousand},
		{"connections that come and go", "30", "2000 connections, closed at once, at each step of the handshake", "forgets them", comeAndGo},
		{"PING flood", "32", "50,000 PINGs of ZMTP, answers not read", "answers as far as they are taken, then closes", pingFlood},
	}
}

// altered returns a greeting with one byte changed.
func altered(at int, b byte) []byte {
	g := Greeting(1, "NULL")
	g[at] = b
	return g
}

// closes returns an attack of several connections, on each of which the
// victim must hang up.
func closes(attempts ...[][]byte) func(*Scene) error {
	return closesThose((*Scene).Dial, attempts...)
}

// closesThose is closes for connections that are made this way.
func closesThose(connect func(*Scene) (*Conn, error), attempts ...[][]byte) func(*Scene) error {
	return func(s *Scene) error {
		for i, parts := range attempts {
			c, err := connect(s)
			if err != nil {
				return err
			}
			c.Send(parts...)
			if err := c.Closed(); err != nil {
				return fmt.Errorf("attempt %d: %w", i+1, err)
			}
			c.Close()
		}
		return nil
	}
}

// each makes an attempt of each piece.
func each(pieces [][]byte) (attempts [][][]byte) {
	for _, b := range pieces {
		attempts = append(attempts, [][]byte{b})
	}
	return attempts
}

func identities(s *Scene) error {
	ready := func(identity []byte) [][]byte { return [][]byte{Greeting(1, "NULL"), Ready("DEALER", identity)} }
	id := newID()
	return closes(
		[][]byte{Greeting(1, "NULL"), Cmd("READY", Property("Socket-Type", []byte("DEALER")))},
		ready(nil), ready(id[:]), ready(append(Identity(id), 0)), ready(make([]byte, 255)), ready(make([]byte, 256)),
		ready(append([]byte{0}, id[:]...)), ready(append([]byte{2}, id[:]...)), ready(Identity(s.Victim.ID)),
	)(s)
}

func oddities(s *Scene) error {
	for _, odd := range [][]byte{
		Cmd("SUBSCRIBE", []byte("x")), Cmd("X", nil), Cmd("PONG", []byte("x")),
		Cmd("PING", make([]byte, 300)), Frame(Command|0x80, []byte("\x01X")),
		append(Header(Command, 4), []byte("\x01Xyz")...),
	} {
		c, err := s.Shaken(newID())
		if err != nil {
			return err
		}
		c.Send(odd)
		if err := c.Alive(); err != nil {
			return fmt.Errorf("after %q: %w", odd, err)
		}
		c.Close()
	}
	return nil
}

func unfinished(s *Scene) error {
	body := make([]byte, s.Limits.Hello-64)
	copy(body, Plain(KindHello, 1))
	for range 600 {
		c, err := s.Shaken(newID())
		if err != nil {
			return err
		}
		c.SetWriteDeadline(time.Now().Add(2 * time.Second))
		c.Send(Header(0, uint64(s.Limits.Hello)), body)
	}
	return nil
}

func thousand(s *Scene) error {
	const number = 1000
	var conns []*Conn
	for range number {
		c, err := s.Dial()
		if err != nil {
			return err
		}
		conns = append(conns, c)
	}
	for _, c := range conns[:number-s.Limits.HalfOpen-1] {
		if err := c.Closed(); err != nil {
			return fmt.Errorf("the oldest of %d connections: %w", number, err)
		}
	}
	newest := conns[number-1]
	newest.Send(Greeting(1, "NULL"), Ready("DEALER", Identity(newID())))
	return newest.Alive()
}

func comeAndGo(s *Scene) error {
	whole := bytes.Join([][]byte{
		Greeting(1, "NULL"), Ready("DEALER", Identity(newID())),
		Frame(0, HelloAt(netip.AddrPortFrom(s.Addr, 9)).Bytes(1)),
	}, nil)
	for i := range 2000 {
		c, err := s.Dial()
		if err != nil {
			return err
		}
		c.Send(whole[:i%(len(whole)-1)])
		c.Close()
	}
	return nil
}

func pingFlood(s *Scene) error {
	c, err := s.Shaken(newID())
	if err != nil {
		return err
	}
	c.SetWriteDeadline(time.Now().Add(time.Second))
	c.Send(bytes.Repeat(Cmd("PING", make([]byte, 18)), 50_000))
	return nil
}
