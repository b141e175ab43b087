package hostile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"
)

// Conn is a connection to the victim's listener.
type Conn struct {
	net.Conn
	ID   UUID   // that the attacker took
	Seq  uint16 // of the last message
	Back *Listener

	onward bool
}

// Dial connects from the attacker's address and says nothing.
func (s *Scene) Dial() (*Conn, error) { return s.DialFrom(s.Addr) }

// DialFrom connects from another address.
func (s *Scene) DialFrom(from netip.Addr) (*Conn, error) { return s.dialTo(from, s.Victim.Endpoint) }

func (s *Scene) dialTo(from netip.Addr, to netip.AddrPort) (*Conn, error) {
	d := net.Dialer{Timeout: patience, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	c, err := d.Dial("tcp", to.String())
	if err != nil {
		return nil, err
	}
	c.SetWriteDeadline(time.Now().Add(2 * patience))
	s.keep(c)
	return &Conn{Conn: c, onward: s.Onward}, nil
}

// Shaken connects and shakes hands as a node does.
func (s *Scene) Shaken(id UUID) (*Conn, error) { return s.ShakenFrom(s.Addr, id) }

// ShakenFrom does so from another address.
func (s *Scene) ShakenFrom(from netip.Addr, id UUID) (*Conn, error) {
	c, err := s.DialFrom(from)
	if err != nil {
		return nil, err
	}
	c.ID = id
	c.Send(Greeting(1, "NULL"), Ready("DEALER", Identity(id)))
	c.readHandshake()
	return c, nil
}

// readHandshake reads what the victim says to that: libzmq takes nothing more
// before. That it says nothing shows later on.
func (c *Conn) readHandshake() {
	c.SetReadDeadline(time.Now().Add(prompt))
	defer c.SetReadDeadline(time.Time{})
	got := make([]byte, 66)
	if _, err := io.ReadFull(c, got); err == nil {
		io.CopyN(io.Discard, c, int64(got[65]))
	}
}

// Enter makes the attacker a peer of the victim, in some groups, with a
// listener that takes all and answers nothing.
func (s *Scene) Enter(groups ...string) (*Conn, error) {
	return s.EnterAs(s.Addr, newID(), groups...)
}

// EnterAs does so from an address and with an identity of choice.
func (s *Scene) EnterAs(from netip.Addr, id UUID, groups ...string) (*Conn, error) {
	c, err := s.enter(from, id, Polite, groups)
	if err != nil {
		return nil, err
	}
	if err := eventually("the victim says HELLO", func() bool { return c.Back.Hellos() > 0 }); err != nil {
		return nil, err
	}
	return c, nil
}

// EnterWith makes the attacker a peer that does so with the victim's connection.
func (s *Scene) EnterWith(do Behaviour, groups ...string) (*Conn, error) {
	c, err := s.enter(s.Addr, newID(), do, groups)
	if err != nil {
		return nil, err
	}
	return c, c.Back.Contacted(1)
}

// enter says HELLO, and does so with what the victim then connects to.
func (s *Scene) enter(from netip.Addr, id UUID, do Behaviour, groups []string) (*Conn, error) {
	back, err := s.ListenOn(netip.AddrPortFrom(from, 0), do)
	if err != nil {
		return nil, err
	}
	c, err := s.ShakenFrom(from, id)
	if err != nil {
		return nil, err
	}
	c.Back = back
	c.Hello(HelloAt(back.Addr(), groups...))
	return c, nil
}

// Send writes all parts at once. That the victim has closed the connection
// shows when it is read.
func (c *Conn) Send(parts ...[]byte) { c.Write(bytes.Join(parts, nil)) }

// Hello says HELLO.
func (c *Conn) Hello(h *Hello) {
	c.Seq = 1
	c.Send(Frame(0, h.Bytes(1)))
}

// Next returns the next sequence number.
func (c *Conn) Next() uint16 {
	c.Seq++
	return c.Seq
}

// errOpen says that the victim bears with what it should not.
var errOpen = errors.New("the victim has not closed the connection")

// Closed waits until the victim has closed the connection, which it must do at once.
func (c *Conn) Closed() error {
	if c.onward {
		_ = c.closedWithin(prompt / 50)
		return nil
	}
	return c.closedWithin(prompt)
}

func (c *Conn) closedWithin(d time.Duration) error {
	c.SetReadDeadline(time.Now().Add(d))
	buf := make([]byte, 4096)
	for {
		if _, err := c.Read(buf); errors.Is(err, os.ErrDeadlineExceeded) {
			return errOpen
		} else if err != nil {
			return nil
		}
	}
}

// Alive checks that the victim still reads the connection, by a PING of ZMTP.
func (c *Conn) Alive() error {
	token := newID()
	c.Send(Cmd("PING", append([]byte{0, 0}, token[:]...)))
	c.SetReadDeadline(time.Now().Add(patience))
	var got []byte
	buf := make([]byte, 4096)
	for !bytes.Contains(got, append([]byte("\x04PONG"), token[:]...)) {
		n, err := c.Read(buf)
		if err != nil {
			return fmt.Errorf("the victim no longer answers here: %w", err)
		}
		got = append(got, buf[:n]...)
		if len(got) > 1<<16 {
			got = got[len(got)-64:]
		}
	}
	return nil
}

// Answers checks that the victim still holds the attacker a peer, by a PING
// of ZRE.
func (c *Conn) Answers() error {
	before := c.Back.PingOKs()
	c.Send(Frame(0, Plain(KindPing, c.Next())))
	return eventually("the victim answers PING with PING-OK", func() bool { return c.Back.PingOKs() > before })
}
