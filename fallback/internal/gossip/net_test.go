package gossip

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gozyre/zyre/fallback/internal/transport"
)

// These tests use real sockets.

func connectTo(t *testing.T, endpoint string) net.Conn {
	t.Helper()
	conn, err := transport.Dial(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// dialFrom connects by tcp from an address of this host.
func dialFrom(t *testing.T, addr, endpoint string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}}
	conn, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(endpoint, "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// kinds returns an endpoint of each kind.
func kinds(t *testing.T) map[string]string {
	dir, err := os.MkdirTemp("", "zyre") //nolint:usetesting // the path of a socket may have 100 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	all := map[string]string{
		"tcp":    "tcp://127.0.0.1:*",
		"ipc":    "ipc://" + filepath.Join(dir, "hub"),
		"inproc": "inproc://" + t.Name(),
	}
	if runtime.GOOS == "linux" {
		all["abstract"] = fmt.Sprintf("ipc://@%s-%d", t.Name(), os.Getpid())
	}
	return all
}

func TestHubOfEveryKind(t *testing.T) {
	for name, endpoint := range kinds(t) {
		t.Run(name, func(t *testing.T) {
			hub := named(t, 0, endpoint)
			at := hub.hub()
			a, b := named(t, 1, "", at), named(t, 2, "", at)
			hub.knows(t, 1, 2)
			a.knows(t, 0, 2)
			b.knows(t, 0, 1)
			hub.Close()
			named(t, 3, at)
			c := named(t, 4, "", at)
			c.knows(t, 1, 2, 3)
			a.knows(t, 3, 4)
			b.knows(t, 3, 4)
		})
	}
}

func TestHubOfAllKindsAtOnce(t *testing.T) {
	cfg := named(t, 100, "", "inproc://unused").cfg
	cfg.Connect = nil
	for _, endpoint := range kinds(t) {
		cfg.Bind = append(cfg.Bind, endpoint)
	}
	hub := startWith(t, cfg)
	hub.Publish(keyOf(0), valueOf(0))
	var nodes []*node
	for i, at := range hub.Bound() {
		nodes = append(nodes, named(t, 1+i, "", at))
	}
	for i, n := range nodes {
		for j := range nodes {
			if i != j {
				n.knows(t, 1+j)
			}
		}
		n.knows(t, 0)
	}
}

func TestFiftyClientsAndThreeHubs(t *testing.T) {
	const clients = 50
	a := named(t, 0, "tcp://127.0.0.1:*")
	b := named(t, 1, "tcp://127.0.0.1:*", a.hub())
	c := named(t, 2, "tcp://127.0.0.1:*", b.hub(), a.hub())
	nodes := []*node{a, b, c}
	for i := range clients {
		nodes = append(nodes, named(t, 3+i, "", nodes[i%3].hub()))
	}
	for i, n := range nodes {
		for j := range nodes {
			if i != j {
				n.knows(t, j)
			}
		}
		if n.Refused() != 0 {
			t.Errorf("node %d refused %d", i, n.Refused())
		}
	}
}

// Descriptors and goroutines are those of before once all is closed.
func TestNothingIsLeft(t *testing.T) {
	files, goroutines := openFiles(t), runtime.NumGoroutine()
	for range 3 {
		hub := named(t, 0, "tcp://127.0.0.1:*")
		at := hub.hub()
		nodes := []*node{hub}
		for i := 1; i < 10; i++ {
			nodes = append(nodes, named(t, i, "ipc://"+shortPath(t), at, "tcp://127.0.0.1:1"))
		}
		raw := dial(t, at)
		hub.knows(t, 1, 9)
		nodes[9].knows(t, 0, 1)
		for _, n := range nodes {
			n.Close()
		}
		raw.conn.Close()
	}
	for deadline := time.Now().Add(patience); openFiles(t) > files || runtime.NumGoroutine() > goroutines; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors and %d goroutines, before %d and %d",
				openFiles(t), runtime.NumGoroutine(), files, goroutines)
		}
	}
}

func shortPath(t *testing.T) string {
	return strings.TrimPrefix(kinds(t)["ipc"], "ipc://")
}

// openFiles counts descriptors, where the system tells.
func openFiles(t *testing.T) int {
	if runtime.GOOS != "linux" {
		return 0
	}
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
