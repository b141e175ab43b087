//go:build linux

package fallback

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/gozyre/zyre/internal/hostile"
	"github.com/gozyre/zyre/internal/testport"
)

// Beacons are forged with one packet and without a trace. Whatever they name,
// a node connects to one address no more often than its allowance says, and
// only to where the beacon came from.
func TestForgedBeaconsMakeFewConnections(t *testing.T) {
	n := startNode(t, testConfig("node", testport.Next()))
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

// Before it knows who is there a node answers one that connects with no more
// than it was told, and says no more than its part of the handshake to one
// that it was made to connect to.
func TestStrangersGetLittle(t *testing.T) {
	const dialled = 124 // bytes: a greeting of 64 and a READY of 60
	n := startNode(t, testConfig("node", testport.Next()))
	scene := sceneOf(n)
	t.Cleanup(scene.Close)

	silent, err := scene.Dial()
	if err != nil {
		t.Fatal(err)
	}
	if got := heard(silent, time.Second); got > 0 {
		t.Errorf("one that connects and says nothing gets %d bytes", got)
	}
	c, err := scene.Dial()
	if err != nil {
		t.Fatal(err)
	}
	told, got := 0, 0
	for _, part := range handshakeParts() {
		c.Send(part)
		told += len(part)
		got += heard(c, 50*time.Millisecond)
		if got > told {
			t.Errorf("%d bytes for %d", got, told)
		}
	}
	if got == 0 {
		t.Error("no answer")
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
	if got, most := l.Bytes(), dialled*l.Accepted(); got > most {
		t.Errorf("a listener that says nothing gets %d bytes in %d connections", got, l.Accepted())
	}
}

// handshakeParts are what a stranger says up to HELLO, cut where libzmq cuts
// it and elsewhere.
func handshakeParts() (parts [][]byte) {
	whole := bytes.Join([][]byte{
		hostile.Greeting(1, "NULL"), hostile.Ready("DEALER", hostile.Identity(UUID{1})),
		hostile.Cmd("PING", []byte("\x00\x00context")), hostile.Frame(0, hostile.Plain(hostile.KindPing, 1)),
	}, nil)
	last := 0
	for _, cut := range []int{1, 10, 11, 63, 64, 70, len(whole) - 20, len(whole)} {
		parts = append(parts, whole[last:cut])
		last = cut
	}
	return parts
}

// heard returns how many bytes come on a connection in a while.
func heard(c *hostile.Conn, d time.Duration) (got int) {
	c.SetReadDeadline(time.Now().Add(d))
	for buf := make([]byte, 4096); ; {
		m, err := c.Read(buf)
		got += m
		if err != nil {
			return got
		}
	}
}

// However many addresses tell of nodes, dials go on at a bounded rate.
func TestDialPace(t *testing.T) {
	var pace dialPace
	now := time.Now()
	for i := range dialBurst {
		if d := pace.reserve(now); d > 0 {
			t.Fatalf("dial %d waits for %v", i, d)
		}
	}
	for i := range 3 * dialRate {
		want := time.Second * time.Duration(i+1) / dialRate
		if d := pace.reserve(now); d < want-time.Millisecond || d > want+time.Millisecond {
			t.Fatalf("dial %d behind the burst waits for %v, want %v", i, d, want)
		}
	}
	if d := pace.reserve(now.Add(time.Hour)); d > 0 {
		t.Errorf("after an hour a dial waits for %v", d)
	}
}
