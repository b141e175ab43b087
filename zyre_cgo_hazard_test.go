//go:build cgo && !purego

package zyre

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gozyre/zyre/internal/netlab"
	"github.com/gozyre/zyre/internal/testport"
)

// A pipe with a limit would make the node's actor wait for the application,
// and every call for the actor.
func TestUnreadInboxBlocksNothing(t *testing.T) {
	a, b := startPair(t)
	const messages = 6000
	for i := range messages {
		must(t, a.Whisperf(b.UUID(), "%d", i))
	}
	waitFor(t, "messages", func() bool { return b.Stats().Received == messages })
	within(t, "calls of a node whose inbox is not read", func() {
		must(t, b.Join("G"))
		if p, ok := b.Peer(a.UUID()); !ok || p.Endpoint == "" {
			t.Errorf("peer: %+v, %v", p, ok)
		}
		must(t, b.Whisper(a.UUID(), []byte("answer")))
		next(t, a, Whisper)
		must(t, b.Stop())
	})
	for i := range messages {
		if ev := next(t, b, Whisper, Stop); ev.Text() != fmt.Sprint(i) {
			t.Fatalf("instead of %d: %v %s", i, ev, ev.Text())
		}
	}
	next(t, b, Stop)
}

// libzyre would have more messages wait for a peer than libzmq can count.
func TestLongExpiredTimeout(t *testing.T) {
	const longest = 21_474_836 * time.Millisecond
	_, err := New("n", WithExpiredTimeout(longest+time.Millisecond))
	wantError(t, "an expired timeout of six hours", err, errors.ErrUnsupported)
	startPair(t, WithExpiredTimeout(longest))
}

// Close ends a node with an unread inbox at once.
func TestCloseWithUnreadInbox(t *testing.T) {
	a, b := startPair(t)
	for range 6000 {
		must(t, a.Whisper(b.UUID(), []byte("unread")))
	}
	within(t, "Close", func() { must(t, b.Close()) })
	waitFor(t, "exit", func() bool { return len(a.Peers()) == 0 })
}

// The interface is one setting for the process, read some time after a node
// was started.
func TestTwoInterfacesInOneProcess(t *testing.T) {
	opts := beacons(t)
	out, err := exec.Command("ip", "address", "replace", "10.79.0.1/24", "brd", "+", "dev", "veth1").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	watcher := startNode(t, "watcher", opts...)
	for range 10 {
		nodes := []*Node{
			newNode(t, "10.78.0.1", append(opts, WithInterface("veth0"))...),
			newNode(t, "10.79.0.1", append(opts, WithInterface("veth1"))...),
		}
		var wg sync.WaitGroup
		for _, n := range nodes {
			wg.Go(func() {
				if err := n.Start(context.Background()); err != nil {
					t.Errorf("Start: %v", err)
				}
			})
		}
		wg.Wait()
		for range nodes {
			if ev := next(t, watcher, Enter); !strings.HasPrefix(ev.Addr, "tcp://"+ev.Name+":") {
				t.Errorf("node on %s listens at %s", ev.Name, ev.Addr)
			}
		}
		for _, n := range nodes {
			must(t, n.Close())
		}
	}
}

// The nodes that run may need the network again, at a beacon that fails.
func TestFailedStartLeavesTheNetwork(t *testing.T) {
	a := startNode(t, "a", beacons(t)...)
	before := process.current
	choose := someTCPPort
	defer func() { someTCPPort = choose }()
	someTCPPort = func(string) int { return 0 }
	n := newNode(t, "n", append(beacons(t), WithMulticast("ff02::1"))...)
	wantError(t, "Start without a port", n.Start(t.Context()), syscall.EADDRINUSE)
	if process.current != before {
		t.Errorf("%q runs, and the network is %+v instead of %+v", a.Name(), process.current, before)
	}
}

func TestInterfacesThatCannotBeUsed(t *testing.T) {
	opts := beacons(t)
	for _, name := range []string{"nosuch0", "192.0.2.1", "lo", "127.0.0.1"} {
		err := newNode(t, "n", append(opts, WithInterface(name))...).Start(t.Context())
		wantError(t, name, err, ErrNoInterface)
		if err != nil && !strings.Contains(err.Error(), netlab.IsolatedInterface) {
			t.Errorf("the error does not say what is usable: %v", err)
		}
	}
	err := newNode(t, "n", append(opts, WithInterface("lo"))...).Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "libzyre cannot beacon") {
		t.Errorf("lo: %v", err)
	}
	_, err = New("n", WithInterface("veth0", "veth1"))
	wantError(t, "two interfaces", err, errors.ErrUnsupported)
}

// A node whose Start failed can be started when the reason is gone.
func TestPortsInUse(t *testing.T) {
	opts := beacons(t)
	l, err := net.Listen("tcp", "0.0.0.0:0")
	must(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	taken := fmt.Sprintf("tcp://127.0.0.1:%d", port)

	peerPort := newNode(t, "n", append(opts, WithPeerPort(port))...)
	endpoint := newNode(t, "n", WithEndpoint(taken))
	hub := newNode(t, "n", WithEndpoint("tcp://127.0.0.1:*"), WithGossipBind(taken))
	for _, n := range []*Node{peerPort, endpoint, hub} {
		if err := n.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "in use") {
			t.Errorf("Start on a port in use: %v", err)
		}
	}
	must(t, l.Close())
	for _, n := range []*Node{peerPort, endpoint, hub} {
		start(t, n)
		must(t, n.Close())
	}

	u, err := net.ListenPacket("udp4", "0.0.0.0:0")
	must(t, err)
	defer u.Close()
	n := newNode(t, "n", append(opts, WithPort(u.LocalAddr().(*net.UDPAddr).Port))...)
	if err := n.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("Start on a UDP port in use: %v", err)
	}
}

// A port that was free a moment ago may have become that of a connection, or
// of another who listens. For it libzyre would wait for ever, while Start has
// said that all is well.
func TestPortTakenMeanwhile(t *testing.T) {
	opts := beacons(t)
	l, err := net.Listen("tcp", "10.78.0.1:0")
	must(t, err)
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	must(t, err)
	defer conn.Close()
	taken := []int{conn.LocalAddr().(*net.TCPAddr).Port, l.Addr().(*net.TCPAddr).Port}

	choose := someTCPPort
	defer func() { someTCPPort = choose }()
	offered := 0
	someTCPPort = func(host string) int {
		if offered++; offered <= len(taken) {
			return taken[offered-1]
		}
		return choose(host)
	}
	a := startNode(t, "a", opts...)
	if offered != 3 {
		t.Errorf("the node starts with port %d of those that it was offered", offered)
	}
	meet(t, a, startNode(t, "b", opts...))

	n := newNode(t, "n", opts...)
	for _, port := range append(taken, 0) {
		someTCPPort = func(string) int { return port }
		wantError(t, fmt.Sprint("Start on port ", port), n.Start(t.Context()), syscall.EADDRINUSE)
	}
	ctx, cancel := context.WithCancel(t.Context())
	someTCPPort = func(string) int { cancel(); return 0 }
	wantError(t, "Start that is cancelled while it looks for a port", n.Start(ctx), context.Canceled)
	someTCPPort = choose
	must(t, n.Start(t.Context()))
	meet(t, a, n)
}

// Of several IPv6 addresses of an interface czmq chooses one, not we.
func TestSeveralIPv6Addresses(t *testing.T) {
	beacons(t)
	ip := func(do string, more ...string) {
		args := append([]string{"address", do, "fd00:78::1/64", "dev", netlab.IsolatedInterface}, more...)
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
	ip("add", "nodad")
	t.Cleanup(func() { ip("del") })
	opts := []Option{WithInterface(netlab.IsolatedInterface), WithMulticast("ff02::1")}
	meet(t, startNode(t, "a", opts...), startNode(t, "b", opts...))
}

func TestPeerPort(t *testing.T) {
	port := testport.Next()
	opts := beacons(t)
	a := startNode(t, "a", opts...)
	startNode(t, "b", append(opts, WithPeerPort(port))...)
	if ev := next(t, a, Enter); !strings.HasSuffix(ev.Addr, fmt.Sprintf(":%d", port)) {
		t.Errorf("want port %d: %v", port, ev)
	}
}

// czmq's default of 1,024 sockets is an abort at 200 nodes and some.
func TestManyNodes(t *testing.T) {
	for i := range 300 {
		if n := newNode(t, fmt.Sprint("n", i)); n.UUID().IsZero() {
			t.Fatalf("node %d has no UUID", i)
		}
	}
}

// 16 goroutines call everything at once, on a node that starts and stops.
func TestCallsFromEverywhere(t *testing.T) {
	opts := beacons(t)
	a, b := newNode(t, "a", opts...), startNode(t, "b", opts...)
	must(t, b.Join("G"))
	calls := []func(r *rand.Rand) error{
		func(*rand.Rand) error { return a.Start(context.Background()) },
		func(*rand.Rand) error { return a.Stop() },
		func(r *rand.Rand) error { return a.Join(fmt.Sprint("G", r.IntN(5))) },
		func(r *rand.Rand) error { return a.Leave(fmt.Sprint("G", r.IntN(5))) },
		func(*rand.Rand) error { return a.Whisper(b.UUID(), []byte("hello"), nil) },
		func(*rand.Rand) error { return a.Shout("G", []byte("all")) },
		func(*rand.Rand) error { return b.Shout("G1", []byte("all")) },
		func(*rand.Rand) error { _, _ = a.Peer(b.UUID()); return nil },
		func(*rand.Rand) error { _, _ = a.Peers(), a.PeerGroups(); return nil },
		func(*rand.Rand) error { _, _ = a.Groups(), a.GroupPeers("G"); return nil },
		func(*rand.Rand) error { _, _ = a.Stats(), a.Name(); return nil },
		func(*rand.Rand) error { _ = a.UUID(); return nil },
		func(*rand.Rand) error {
			ctx, cancel := context.WithTimeout(context.Background(), 1)
			defer cancel()
			_, err := a.Recv(ctx)
			return err
		},
		func(*rand.Rand) error { return a.RequirePeer(UUID{1}, "tcp://127.0.0.1:9", "") },
	}
	allowed := []error{ErrStarted, ErrNotStarted, ErrUnknownPeer, context.DeadlineExceeded}
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 1))
			for range 700 {
				i := r.IntN(len(calls))
				if i < 2 && r.IntN(5) > 0 {
					i = 2 // start and stop less often
				}
				if err := calls[i](r); err != nil && !isAny(err, allowed) {
					t.Errorf("call %d: %v", i, err)
				}
			}
		})
	}
	within(t, "calls from 16 goroutines", wg.Wait)
	if err := a.Start(context.Background()); err != nil && !errors.Is(err, ErrStarted) {
		t.Fatal(err)
	}
	meet(t, a, b)
	must(t, a.Whisper(b.UUID(), []byte("last")))
	waitFor(t, "a message after all that", func() bool {
		ev := next(t, b, Whisper)
		return ev.Text() == "last"
	})
}

func isAny(err error, targets []error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// Calls that race with Close return, with an error.
func TestCloseRaces(t *testing.T) {
	opts := beacons(t)
	for range 10 {
		n := startNode(t, "n", opts...)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for n.Shout("G", []byte("x")) == nil {
				}
			})
			wg.Go(func() {
				for {
					if _, err := n.Recv(context.Background()); err != nil {
						return
					}
				}
			})
			wg.Go(func() { must(t, n.Close()) })
		}
		within(t, "calls that race with Close", wg.Wait)
	}
}

// A node that is dropped without Close does not keep its threads.
func TestAbandonedNodeIsEnded(t *testing.T) {
	opts := beacons(t)
	watcher := startNode(t, "watcher", opts...)
	func() {
		n, err := New("abandoned", opts...)
		must(t, err)
		must(t, n.Start(t.Context()))
		next(t, watcher, Enter)
	}()
	waitFor(t, "the end of a node that nobody refers to", func() bool {
		runtime.GC()
		return len(watcher.Peers()) == 0
	})
	next(t, watcher, Exit)
}

// A peer that was required and never answered is nobody, although libzyre
// tells that it is evasive and has left.
func TestPeerThatNeverEntersIsNotToldOf(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	var log outputBuffer
	n := startNode(t, "n", append(beacons(t), WithEvasiveTimeout(20e6), WithExpiredTimeout(100e6), WithLogger(textLogger(&log, -4)))...)
	id := UUID{1, 2, 3}
	must(t, n.RequirePeer(id, "tcp://"+l.Addr().String(), ""))
	waitFor(t, "libzyre to give it up", func() bool { return strings.Contains(log.String(), "peer expired") })
	if len(n.Peers()) != 0 {
		t.Errorf("peers: %v", n.Peers())
	}
	wantError(t, "Whisper", n.Whisper(id, []byte("x")), ErrUnknownPeer)
	must(t, n.Stop())
	if ev := next(t, n); ev.Type != Stop {
		t.Errorf("told of: %v", ev)
	}
}

// An application that runs on, with traffic, joins, leaves and peers that come
// and go, does not grow.
func TestMemoryStaysFlat(t *testing.T) {
	opts := beacons(t)
	a, b := startPair(t)
	round := func() {
		c := startNode(t, "c", opts...)
		must(t, c.Close())
		for i := range 20 {
			must(t, b.Join("G"))
			waitFor(t, "join", func() bool { return len(a.GroupPeers("G")) == 1 })
			for range 100 {
				must(t, a.Shout("G", make([]byte, 1000), nil))
				must(t, a.Whisper(b.UUID(), []byte("x")))
			}
			must(t, a.Whisper(b.UUID(), make([]byte, 64<<10), make([]byte, 1<<20)))
			for range 201 {
				next(t, b, Whisper, Shout)
			}
			must(t, b.Leave("G"))
			waitFor(t, fmt.Sprint("leave ", i), func() bool { return len(a.GroupPeers("G")) == 0 })
			for a.Stats().InboxEvents > 0 {
				next(t, a)
			}
		}
	}
	measure := func() int {
		for range 10 { // 40,000 messages, 400 memberships, 10 nodes
			round()
		}
		debug.FreeOSMemory()
		return residentBytes(t)
	}
	// What grows settles after a while; a leak does not.
	const windows, slack = 5, 1 << 20
	before := measure()
	for range windows {
		after := measure()
		if after-before < slack {
			return
		}
		before = after
	}
	t.Errorf("memory has grown in each of %d rounds, at last to %d KiB", windows, before>>10)
}

func residentBytes(t testing.TB) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	must(t, err)
	var size, resident int
	_, err = fmt.Sscan(string(text), &size, &resident)
	must(t, err)
	return resident * os.Getpagesize()
}
