package beacon

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"github.com/gozyre/zyre/internal/netif"
)

// sendTimeout bounds the wait for room in a socket buffer, which a stuck
// network driver can fill. The beacon is lost then.
const sendTimeout = 100 * time.Millisecond

// sender sends on one link, from the interface's address and the UDP port of
// beacons, as libzyre does.
//
// Its socket is connected to where beacons go. That is no conversation: it
// keeps the system from giving the socket anything that arrives, so that it
// neither collects broadcasts nor takes unicast datagrams away from the
// sockets of other programs which are there to receive.
type sender struct {
	link    netif.Link
	group   netip.Addr // invalid: broadcast
	port    int
	conn    net.Conn // nil: opening failed
	opening error    // why
	failure string   // what of it was logged; "": it works
}

// open opens the socket. Where the port cannot be shared it takes another:
// receivers look at the address only.
func (s *sender) open() error {
	s.conn, s.opening = s.dial(s.port)
	if s.opening != nil {
		if conn, err := s.dial(0); err == nil {
			s.conn, s.opening = conn, nil
		}
	}
	return s.opening
}

func (s *sender) dial(fromPort int) (net.Conn, error) {
	from := netip.AddrPortFrom(s.numericZone(s.link.Addr), uint16(fromPort))
	d := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(from), Control: s.prepare}
	return d.DialContext(context.Background(), s.network(), s.target().String())
}

// prepare sets the options that a socket needs before it is bound. The others
// have the right value: package net allows broadcasts, and multicast stays on
// the link (one hop) and is heard on this host too unless told otherwise.
func (s *sender) prepare(_, _ string, c syscall.RawConn) error {
	return control(c, func(fd handle) error {
		if err := shareAddress(fd); err != nil {
			return err
		}
		if s.group.IsValid() {
			return multicastFrom(fd, s.link)
		}
		return nil
	})
}

func (s *sender) network() string { return network(s.link.Addr.Is6()) }

// target returns where beacons go.
func (s *sender) target() netip.AddrPort {
	to := s.link.Broadcast
	if s.group.IsValid() {
		to = s.group
	}
	if to.IsLinkLocalMulticast() || to.IsInterfaceLocalMulticast() {
		to = s.numericZone(to)
	}
	return netip.AddrPortFrom(to, uint16(s.port))
}

// numericZone puts the interface's index into an IPv6 address where a zone is
// needed. Package net would look its name up in a cache that is up to a minute
// old and knows of one network namespace only.
func (s *sender) numericZone(a netip.Addr) netip.Addr {
	if a.Is6() && (a.Zone() != "" || a.IsMulticast()) {
		return a.WithZone(strconv.Itoa(s.link.Index))
	}
	return a
}

// send sends one datagram.
func (s *sender) send(datagram []byte) error {
	if s.conn == nil {
		return s.opening
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return err
	}
	_, err := s.conn.Write(datagram)
	return err
}

func (s *sender) close() {
	if s.conn != nil {
		s.conn.Close()
		s.conn, s.opening = nil, net.ErrClosed
	}
}
