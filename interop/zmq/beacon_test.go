//go:build linux

package zmq

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/gozyre/zyre/fallback"
	"github.com/gozyre/zyre/interop/internal/lab"
)

// TestBeacon meets and leaves by beacons of version 1 alone, written by hand,
// and hears those of our node.
func TestBeacon(t *testing.T) {
	var air *ether
	node, addr := newNode(t, func(c *fallback.Config) { air = newEther(t, c.Port) })
	our, port := node.UUID(), netip.MustParseAddrPort(addr).Port()
	air.expect(our, port)

	s := newStranger(t, addr)
	air.announce(s.id, s.port())
	s.expect(our, kindHello, 1)
	node.Quiet(t, s.id)
	s.hello("stranger", 0)
	node.Next(t, s.id, fallback.Enter)
	air.announce(s.id, 0)
	node.Next(t, s.id, fallback.Exit)

	node.Must(node.Stop())
	air.expect(our, 0)
}

// ether is a socket that hears and sends beacons on loopback.
type ether struct {
	t    *testing.T
	conn *net.UDPConn
	to   *net.UDPAddr
}

func newEther(t *testing.T, port int) *ether {
	t.Helper()
	shared := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
		})
		return errors.Join(err, failed)
	}}
	conn, err := shared.ListenPacket(context.Background(), "udp4", net.JoinHostPort("", strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &ether{t: t, conn: conn.(*net.UDPConn), to: &net.UDPAddr{IP: net.IPv4(127, 255, 255, 255), Port: port}}
}

// expect waits for the beacon of a node with that port.
func (e *ether) expect(id lab.UUID, port uint16) {
	e.t.Helper()
	want := datagram(id, port)
	if err := e.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		e.t.Fatal(err)
	}
	buf := make([]byte, 1500)
	for {
		n, from, err := e.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			e.t.Fatalf("no beacon %x: %v", want, err)
		}
		if slices.Equal(buf[:n], want) && from.Addr().Unmap() == netip.MustParseAddr("127.0.0.1") {
			return
		}
	}
}

func (e *ether) announce(id lab.UUID, port uint16) {
	e.t.Helper()
	if _, err := e.conn.WriteToUDP(datagram(id, port), e.to); err != nil {
		e.t.Fatal(err)
	}
}

// datagram is a beacon: RFC 36, "Beacon".
func datagram(id lab.UUID, port uint16) []byte {
	return binary.BigEndian.AppendUint16(slices.Concat([]byte("ZRE\x01"), id[:]), port)
}
