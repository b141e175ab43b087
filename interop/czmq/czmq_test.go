//go:build linux

// Package czmq tests the beacons of package fallback against those of CZMQ,
// zbeacon, which libzyre announces its nodes with.
package czmq

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"io"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/zeromq/goczmq"

	"github.com/gozyre/zyre/internal/netlab"
	"github.com/gozyre/zyre/interop/internal/lab"
)

const (
	port     = 5670
	interval = 100   // ms between two beacons of zbeacon
	patience = 20000 // ms
)

func TestMain(m *testing.M) {
	// CZMQ reads it when it is first used, and Go's tests may have set it to lo.
	os.Setenv("ZSYS_INTERFACE", lab.Interface)
	lab.Main(m)
}

// TestTheirs is heard by zbeacon: the first beacon, and the one with port 0
// when the node stops.
func TestTheirs(t *testing.T) {
	b, host := newBeacon(t)
	if err := b.Subscribe("ZRE"); err != nil {
		t.Fatal(err)
	}
	node := lab.NewNode(t, lab.Config(t, "ours"))
	id := node.Start()
	hears(t, b, host, id, func(port uint16) bool { return port != 0 })
	node.Must(node.Stop())
	hears(t, b, host, id, func(port uint16) bool { return port == 0 })
}

// TestOurs hears zbeacon: a node connects to who announces a port, and lets
// go of who announces port 0. It would keep the connection for ever otherwise.
func TestOurs(t *testing.T) {
	b, host := newBeacon(t)
	ln, err := net.Listen("tcp4", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	cfg := lab.Config(t, "ours")
	cfg.Evasive, cfg.Expired = lab.Never/2, lab.Never
	lab.NewNode(t, cfg).Start()

	var id lab.UUID
	_, _ = rand.Read(id[:]) // never fails
	publish(t, b, id, uint16(ln.Addr().(*net.TCPAddr).Port))
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := shakeHands(conn, make([]byte, 1024)); err != nil {
		t.Fatal(err)
	}
	publish(t, b, id, 0)
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Fatalf("the connection is not closed: %v", err)
	}
}

// shakeHands greets as a ROUTER of ZMTP 3.1 and reads on until HELLO of ZRE,
// which says that the node is content.
func shakeHands(conn net.Conn, buf []byte) error {
	greeting := make([]byte, 64)
	copy(greeting, "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x01NULL")
	const ready = "\x04\x29\x05READY\x0bSocket-Type\x00\x00\x00\x06ROUTER\x08Identity\x00\x00\x00\x00"
	err := conn.SetDeadline(time.Now().Add(patience * time.Millisecond))
	if err == nil {
		_, err = conn.Write(append(greeting, ready...))
	}
	for n := 0; err == nil; {
		var more int
		more, err = conn.Read(buf[n:])
		n += more
		if bytes.Contains(buf[:n], []byte("\xaa\xa1\x01\x02\x00\x01")) {
			return nil
		}
	}
	return err
}

// newBeacon makes a zbeacon, which says on which address it is.
func newBeacon(t *testing.T) (b *goczmq.Beacon, host string) {
	t.Helper()
	netlab.Need(t)
	b = goczmq.NewBeacon()
	t.Cleanup(b.Destroy)
	host, err := b.Configure(port)
	if err != nil || host == "" {
		t.Fatalf("zbeacon on %q: %v", host, err)
	}
	return b, host
}

// hears waits until zbeacon hears the node with a port that is right.
func hears(t *testing.T, b *goczmq.Beacon, host string, id lab.UUID, right func(port uint16) bool) {
	t.Helper()
	for {
		heard := b.Recv(patience)
		if heard == nil {
			t.Fatal("zbeacon hears nothing")
		}
		from, datagram := string(heard[0]), heard[1]
		if bytes.HasPrefix(datagram, prefix(id)) && len(datagram) == 22 && right(binary.BigEndian.Uint16(datagram[20:])) {
			if from != host {
				t.Errorf("from %q instead of %q", from, host)
			}
			return
		}
	}
}

func publish(t *testing.T, b *goczmq.Beacon, id lab.UUID, port uint16) {
	t.Helper()
	if err := b.PublishBytes(binary.BigEndian.AppendUint16(prefix(id), port), interval); err != nil {
		t.Fatal(err)
	}
}

// prefix is a beacon but for the port.
func prefix(id lab.UUID) []byte { return slices.Concat([]byte("ZRE\x01"), id[:]) }
