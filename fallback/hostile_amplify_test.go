//go:build linux

package fallback

import (
	"net/netip"
	"testing"
	"time"

	"github.com/gozyre/zyre/internal/hostile"
)

// Beacons are forged with one packet and without a trace. Whatever they name,
// a node connects to one address no more often than its allowance says, and
// only to where the beacon came from.
func TestForgedBeaconsMakeFewConnections(t *testing.T) {
	n := startNode(t, testConfig("node", int(hostilePort.Add(1))))
	scene := sceneOf(n)
	t.Cleanup(scene.Close)
	begin := time.Now()
	var named []*hostile.Listener
	var forged [][]byte
	for i := range sourceBurst + 400 {
		l, err := scene.Listen(hostile.Mute)
		if err != nil {
			t.Fatal(err)
		}
		named = append(named, l)
		forged = append(forged, hostile.Beacon(UUID{1, byte(i >> 8), byte(i)}, l.Port()))
	}
	bystander, err := scene.ListenOn(netip.AddrPortFrom(scene.Other, named[0].Port()), hostile.Mute)
	if err != nil {
		t.Fatal(err)
	}
	connections := func() (sum int) {
		for _, l := range named {
			sum += l.Accepted()
		}
		return sum
	}
	for range 20 {
		if err := scene.Beacons(scene.Addr, forged...); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond) // the attack takes its time
	}
	eventually(t, "the node dials as many at a time as it may", func() bool { return connections() >= maxDials })
	if got, most := connections(), sourceBurst+sourceRate*int(time.Since(begin).Seconds()+1); got > most {
		t.Errorf("%d connections, want %d at most", got, most)
	}
	if got := connections(); got > maxDials {
		t.Errorf("%d connections that were not answered, want %d at most", got, maxDials)
	}
	if bystander.Accepted() > 0 {
		t.Error("a connection to an address that sent no beacon")
	}
	if s := n.Stats(); s.Refused == 0 {
		t.Errorf("%d beacons, and none was refused: %+v", len(forged), s)
	}
}

// Before it knows who is there a node sends no more than its part of the
// handshake, to one that connects and to one that it was made to connect to.
func TestStrangersGetLittle(t *testing.T) {
	const handshake = 160 // bytes: a greeting of 64 and a READY
	n := startNode(t, testConfig("node", int(hostilePort.Add(1))))
	scene := sceneOf(n)
	t.Cleanup(scene.Close)

	c, err := scene.Dial()
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(time.Second))
	got := 0
	for buf := make([]byte, 4096); ; {
		m, err := c.Read(buf)
		got += m
		if err != nil {
			break
		}
	}
	if got > handshake {
		t.Errorf("one that connects and says nothing gets %d bytes", got)
	}

	l, err := scene.Listen(hostile.Says())
	if err != nil {
		t.Fatal(err)
	}
	if err := scene.Beacons(scene.Addr, hostile.Beacon(UUID{1}, l.Port())); err != nil {
		t.Fatal(err)
	}
	if err := l.Contacted(1); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node's greeting", func() bool { return l.Bytes() > 0 })
	time.Sleep(200 * time.Millisecond) // for more than there should be
	if got, most := l.Bytes(), handshake*l.Accepted(); got > most {
		t.Errorf("a listener that says nothing gets %d bytes in %d connections", got, l.Accepted())
	}
}
