//go:build linux

package fallback

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gozyre/zyre/internal/key"
)

var robustness = flag.Bool("robustness", false, "write the figures of TestHostile into docs/robustness.md")

const (
	victimEnv  = "ZYRE_TEST_VICTIM" // its orders, in the process of a victim
	loadGroup  = "LOAD"
	honestName = "honest"
)

func TestMain(m *testing.M) {
	if text := os.Getenv(victimEnv); text != "" {
		beVictim(text)
		return
	}
	flag.Set("test.parallel", "4") // attacks wait more than they work; the command line may say otherwise
	os.Exit(m.Run())
}

// victimConfig is patient enough for a machine that has much else to do, and
// impatient enough for a test.
func victimConfig(port int) Config {
	cfg := testConfig("victim", port)
	cfg.Evasive, cfg.Expired, cfg.SendTimeout = 3*time.Second, 12*time.Second, 3*time.Second
	cfg.MessageLimit = 8 << 20
	return cfg
}

// orders say what kind of victim to be.
type orders struct {
	Port    int
	Keys    *key.Pair  // for CURVE
	Allowed [][32]byte // keys of its peers
	BadHub  string     // of gossip, to which it connects; then it is a hub itself
}

func (o orders) config() Config {
	cfg := victimConfig(o.Port)
	cfg.Keys, cfg.Allowed = o.Keys, o.Allowed
	if o.BadHub != "" {
		cfg.GossipBind, cfg.GossipConnect = []string{"tcp://127.0.0.1:*"}, []Hub{{Endpoint: o.BadHub}}
	}
	return cfg
}

// birth is what a victim says of itself first of all.
type birth struct {
	ID       UUID
	Endpoint netip.AddrPort
	Hub      string
}

// report is what it says of itself when it is asked.
type report struct {
	Goroutines int
	Live       int // bytes of heap and stacks in use, after a collection
	Peers      int // with those that have not entered
	Accepted   int // connections
	HalfOpen   int
	Groups     int
	Faults     []string
	Stats      Stats
}

// beVictim runs a node that answers and shouts, until stdin ends.
func beVictim(text string) {
	var o orders
	err := json.Unmarshal([]byte(text), &o)
	var n *Node
	if err == nil {
		n, err = New(o.config())
	}
	if err == nil {
		err = errors.Join(n.Join(loadGroup), n.Start(context.Background()))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer n.Close()
	pr := n.pr.Load()
	out := json.NewEncoder(os.Stdout)
	born := birth{ID: n.UUID(), Endpoint: netip.AddrPortFrom(pr.links[0].Addr, pr.port)}
	if pr.gossip != nil {
		born.Hub = pr.gossip.Bound()[0]
	}
	out.Encode(born)
	faults := &faultList{}
	go answer(n, faults)
	go shoutOn(n)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		debug.FreeOSMemory()
		out.Encode(pr.report(faults))
	}
}

func (pr *presence) report(faults *faultList) report {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r := report{
		Goroutines: runtime.NumGoroutine(), Live: int(m.HeapInuse + m.StackInuse),
		Faults: faults.list(), Stats: pr.node.Stats(), Groups: len(pr.node.PeerGroups()),
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	r.Peers, r.Accepted, r.HalfOpen = len(pr.peers), len(pr.inbounds), pr.halfOpen.Len()
	return r
}

// answer sends each whisper of an honest peer back and checks that they come
// in order; it does nothing about the others.
func answer(n *Node, faults *faultList) {
	last := map[UUID]uint64{}
	for {
		ev, err := n.Recv(context.Background())
		if err != nil {
			return
		}
		if !strings.HasPrefix(ev.Name, honestName) {
			continue
		}
		switch ev.Kind {
		case Exit:
			faults.add("%s has exited", ev.Name)
		case Whisper:
			number := binary.BigEndian.Uint64(ev.Msg[0])
			if number != last[ev.Peer]+1 {
				faults.add("%s: whisper %d after %d", ev.Name, number, last[ev.Peer])
			}
			last[ev.Peer] = number
			if err := n.Whisper(ev.Peer, ev.Msg...); err != nil {
				faults.add("answer to %s: %v", ev.Name, err)
			}
		}
	}
}

// shoutOn shouts numbers, for the same reason some at a time.
func shoutOn(n *Node) {
	for number := uint64(1); ; time.Sleep(8 * time.Millisecond) {
		for range 8 {
			if n.Shout(loadGroup, binary.BigEndian.AppendUint64(nil, number), make([]byte, 4<<10)) != nil {
				return
			}
			number++
		}
	}
}

// faultList is what went wrong between honest nodes.
type faultList struct {
	mu   sync.Mutex
	text []string
}

func (f *faultList) add(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.text) < 10 {
		f.text = append(f.text, fmt.Sprintf(format, args...))
	}
}

func (f *faultList) list() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.text...)
}
