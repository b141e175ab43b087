package beacon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gozyre/zyre/internal/netif"
	"github.com/gozyre/zyre/internal/rule"
	"github.com/gozyre/zyre/internal/testport"
)

// never is an interval after which no test is still running.
const never = time.Hour

var onLoopback = netif.Selection{Names: []string{"lo"}}

// loopback returns the link of lo, for tests that broadcast there.
func loopback(t *testing.T) []netif.Link {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("broadcasts on the loopback interface reach every socket on Linux only")
	}
	links, _, err := onLoopback.Choose()
	if err != nil {
		t.Skip(err)
	}
	return links
}

// node is an announcer and what it saw.
type node struct {
	*Announcer
	t    *testing.T
	seen chan Sighting
}

// configure returns a usable Config; the node's name is its UUID.
func configure(name string, port int, interval time.Duration) Config {
	uuid := uuidOf(name)
	return Config{Port: port, Interval: interval, Selection: onLoopback, Self: uuid, Payload: payload(uuid, 1)}
}

func startNode(t *testing.T, cfg Config, links []netif.Link) *node {
	t.Helper()
	n := &node{t: t, seen: make(chan Sighting, 10000)}
	var err error
	if n.Announcer, err = Start(cfg, links, func(s Sighting) { n.seen <- s }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// sees waits for a beacon for which ok is true.
func (n *node) sees(what string, ok func(Sighting) bool) Sighting {
	n.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case s := <-n.seen:
			if ok(s) {
				return s
			}
		case <-deadline:
			n.t.Fatalf("%s did not see %s", name(n.cfg.Self), what)
		}
	}
}

func (n *node) seesNode(other string) Sighting {
	n.t.Helper()
	return n.sees(other, func(s Sighting) bool { return name(s.Beacon.UUID) == other })
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("not true in time: " + what)
		}
		<-time.After(time.Millisecond)
	}
}

func TestTwoNodesSeeEachOther(t *testing.T) {
	links, port := loopback(t), testport.Next()
	alice := startNode(t, configure("alice", port, never), links)
	bob := startNode(t, configure("bob", port, never), links)
	// Bob's first beacon; and one of Alice's repetitions, for Bob came later.
	s := alice.seesNode("bob")
	if s.Beacon.Port != 1 || s.From.Addr() != links[0].Addr || int(s.From.Port()) != port {
		t.Errorf("saw %+v", s)
	}
	bob.seesNode("alice")
}

func TestOwnBeaconsAreNotTold(t *testing.T) {
	links, port := loopback(t), testport.Next()
	alice := startNode(t, configure("alice", port, 10*time.Millisecond), links)
	startNode(t, configure("bob", port, 10*time.Millisecond), links)
	for range 10 {
		alice.sees("bob", func(s Sighting) bool {
			if name(s.Beacon.UUID) == "alice" {
				t.Error("alice saw herself")
			}
			return name(s.Beacon.UUID) == "bob"
		})
	}
}

func TestPortsAreApart(t *testing.T) {
	links, port := loopback(t), testport.Next()
	alice := startNode(t, configure("alice", port, never), links)
	startNode(t, configure("mallory", testport.Next(), 10*time.Millisecond), links)
	startNode(t, configure("bob", port, 10*time.Millisecond), links)
	for range 10 {
		if s := alice.sees("anybody", func(Sighting) bool { return true }); name(s.Beacon.UUID) != "bob" {
			t.Fatalf("saw %s on another port", name(s.Beacon.UUID))
		}
	}
}

func TestManyNodesShareOneSocket(t *testing.T) {
	links, port := loopback(t), testport.Next()
	const count = 50
	var saw [count]sync.Map
	shared := map[*receiver]bool{}
	for i := range count {
		cfg := configure(fmt.Sprintf("node %d", i), port, 100*time.Millisecond)
		a, err := Start(cfg, links, func(s Sighting) { saw[i].Store(s.Beacon.UUID, true) })
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if shared[a.ears[0].subscription.receiver] = true; len(shared) != 1 {
			t.Fatal("one more receiving socket for", i)
		}
	}
	for i := range count {
		eventually(t, fmt.Sprintf("node %d sees all", i), func() bool {
			others := 0
			saw[i].Range(func(_, _ any) bool { others++; return true })
			return others == count-1
		})
	}
}

func TestGarbageIsCountedAndHarmless(t *testing.T) {
	links, port := loopback(t), testport.Next()
	alice := startNode(t, configure("alice", port, never), links)
	c, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	good := payload(uuidOf("bob"), 1)(links[0])
	garbage := [][]byte{{}, []byte("ZRE"), good[:21], append(good[:22:22], 0), bytes.Repeat([]byte{0xff}, 22), make([]byte, 9000)}
	for _, g := range garbage {
		if _, err := c.Write(g); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Write(good); err != nil {
		t.Fatal(err)
	}
	alice.seesNode("bob")
	if n := alice.Refused(); n != uint64(len(garbage)) {
		t.Errorf("%d refused, want %d", n, len(garbage))
	}
	if n := startNode(t, configure("carol", port, never), links).Refused(); n != 0 {
		t.Errorf("a new node has %d refused", n)
	}
}

// A receiver as Pyre has it, bound to the broadcast address, hears the very
// bytes of the beacon from the beacon port.
func TestForeignSocketOnTheSamePort(t *testing.T) {
	links, port := loopback(t), testport.Next()
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error { return control(c, shareAddress) }}
	foreign, err := config.ListenPacket(context.Background(), "udp4", fmt.Sprintf("127.255.255.255:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	startNode(t, configure("alice", port, never), links)
	foreign.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 100)
	n, from, err := foreign.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	if want := payload(uuidOf("alice"), 1)(links[0]); !bytes.Equal(buf[:n], want) || from.String() != fmt.Sprintf("127.0.0.1:%d", port) {
		t.Errorf("got %x from %v", buf[:n], from)
	}
}

func TestTwoProcesses(t *testing.T) {
	links, port := loopback(t), testport.Next()
	alice := startNode(t, configure("alice", port, 50*time.Millisecond), links)
	bob := startNode(t, configure("bob", port, never), links)
	theirs := startChild(t, exec.Command(os.Args[0]), childSettings{UUID: uuidOf("child"), Port: port, Selection: onLoopback})
	alice.seesNode("child")
	bob.seesNode("child")
	theirs.expect("saw alice 1 127.0.0.1")
	theirs.stop()
	alice.sees("the child's goodbye", func(s Sighting) bool { return s.Beacon.Port == 0 })
	bob.sees("the child's goodbye", func(s Sighting) bool { return s.Beacon.Port == 0 })
}

func TestNoPayloadNoBeacon(t *testing.T) {
	links, port := loopback(t), testport.Next()
	alice := startNode(t, configure("alice", port, never), links)
	var asked atomic.Int32
	mute := configure("mute", port, time.Millisecond)
	mute.Payload = func(netif.Link) []byte { asked.Add(1); return nil }
	startNode(t, mute, links)
	nothing := configure("nothing", port, time.Millisecond)
	nothing.Payload = nil
	startNode(t, nothing, links)
	eventually(t, "the payload is asked for", func() bool { return asked.Load() > 10 })
	startNode(t, configure("bob", port, never), links)
	if s := alice.sees("anybody", func(Sighting) bool { return true }); name(s.Beacon.UUID) != "bob" {
		t.Errorf("saw %s", name(s.Beacon.UUID))
	}
}

func TestSendErrorIsLoggedOnceAndRetried(t *testing.T) {
	links, port := loopback(t), testport.Next()
	alice := startNode(t, configure("alice", port, never), links)
	lines := make(chan string, 100)
	var asked atomic.Int32
	bob := configure("bob", port, 5*time.Millisecond)
	good, tooLong := bob.Payload(links[0]), make([]byte, 1<<17)
	bob.Payload = func(netif.Link) []byte {
		if asked.Add(1) < 100 {
			return tooLong
		}
		return good
	}
	bob.Logger = slog.New(logTo(func(line string) { lines <- line }))
	startNode(t, bob, links)
	alice.seesNode("bob")
	for _, want := range []string{"cannot send beacons, trying again link=lo 127.0.0.1", "beacons are sent again link=lo 127.0.0.1"} {
		if line := <-lines; !strings.HasPrefix(line, want) {
			t.Errorf("logged %q, want %q", line, want)
		}
	}
	if len(lines) > 0 {
		t.Errorf("logged also %q", <-lines)
	}
}

// With only loopback links a node ignores what comes from a network.
func TestLoopbackNodeIgnoresNetworks(t *testing.T) {
	var saw []string
	s := &subscription{seen: func(s Sighting) { saw = append(saw, s.From.String()) }}
	r := &receiver{}
	r.setSubscriptions([]*subscription{s})
	datagram := payload(uuidOf("bob"), 1)(netif.Link{})
	for _, only := range []bool{true, false} {
		s.loopbackOnly.Store(only)
		for _, from := range []string{"127.0.0.1:5670", "192.0.2.7:5670"} {
			r.deliver(datagram, netip.MustParseAddrPort(from))
		}
	}
	if got := fmt.Sprint(saw); got != "[127.0.0.1:5670 127.0.0.1:5670 192.0.2.7:5670]" {
		t.Errorf("saw %v", got)
	}
}

func TestSenderWithoutTheBeaconPort(t *testing.T) {
	links := loopback(t)
	taken, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.LocalAddr().(*net.UDPAddr).Port
	s := &sender{link: links[0], port: port}
	defer s.close()
	if err := s.open(); err != nil {
		t.Fatal(err)
	}
	if from := s.conn.LocalAddr().(*net.UDPAddr).Port; from == port {
		t.Errorf("sends from port %d, which another program has", from)
	}
	if _, err := Start(configure("alice", port, never), links, func(Sighting) {}); err == nil || !strings.Contains(err.Error(), fmt.Sprint(port)) {
		t.Errorf("Start on a port that is not shared: %v", err)
	}
}

func TestBadMulticastGroups(t *testing.T) {
	for _, group := range []string{"here", "192.0.2.1", "ff02::1"} {
		_, err := Start(Config{Port: 1, Interval: never, Multicast: []string{group}}, nil, func(Sighting) {})
		if !errors.Is(err, rule.ErrInvalid) || !strings.Contains(err.Error(), group) {
			t.Errorf("group %q: %v", group, err)
		}
	}
}

func TestDelays(t *testing.T) {
	const ms = time.Millisecond
	for interval, want := range map[time.Duration][]time.Duration{
		1000 * ms: {100 * ms, 200 * ms, 1000 * ms, 1000 * ms},
		150 * ms:  {100 * ms, 150 * ms, 150 * ms},
		20 * ms:   {20 * ms, 20 * ms, 20 * ms},
	} {
		for n, d := range want {
			if got := delay(n, interval); got != d {
				t.Errorf("interval %v: delay %d is %v, want %v", interval, n, got, d)
			}
		}
	}
}
