//go:build linux

package fallback

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gozyre/zyre/fallback/internal/transport"
	"github.com/gozyre/zyre/internal/hostile"
	"github.com/gozyre/zyre/internal/key"
	"github.com/gozyre/zyre/internal/testport"
)

// victim is a node in a process of its own, seen from outside, and the honest
// peers that keep it busy.
type victim struct {
	cmd    *exec.Cmd
	orders orders
	born   birth
	honest []*honest
	scenes int
	before figures

	mu  sync.Mutex
	in  io.Writer
	out *bufio.Reader
}

// victimKind completes the orders of a victim, and returns the keys that its
// honest peers have.
type victimKind func(*testing.T, *orders) *key.Pair

func plain(*testing.T, *orders) *key.Pair { return nil }

func gossiping(_ *testing.T, o *orders) *key.Pair {
	o.BadHub = fmt.Sprintf("tcp://127.3.0.1:%d", testport.Next())
	return nil
}

func secured(t *testing.T, o *orders) *key.Pair {
	o.Keys = newKeys(t)
	return newKeys(t)
}

// closedTo lets nobody in but the honest peers.
func closedTo(t *testing.T, o *orders) *key.Pair {
	keys := secured(t, o)
	o.Allowed = [][32]byte{keys.Public}
	return keys
}

// startVictim returns when both honest peers are in conversation with it.
func startVictim(t *testing.T, kind victimKind) *victim {
	t.Helper()
	v := &victim{orders: orders{Port: testport.Next()}}
	honestKeys := kind(t, &v.orders)
	text, err := json.Marshal(v.orders)
	if err != nil {
		t.Fatal(err)
	}
	v.cmd = exec.Command(os.Args[0])
	v.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s", victimEnv, text))
	log := &strings.Builder{}
	v.cmd.Stderr = log
	in, err := v.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v.in, v.out = in, bufio.NewReader(out)
	t.Cleanup(func() {
		in.Close()
		if err := v.cmd.Wait(); err != nil || log.Len() > 0 {
			t.Errorf("the victim's end: %v\n%s", err, log)
		}
	})
	v.read(t, &v.born)
	hidden := testport.Next() // beacons of an attack are for the victim alone
	for i := range 2 {
		v.honest = append(v.honest, befriend(t, v, fmt.Sprint(honestName, i), hidden, honestKeys))
	}
	v.fence(t)
	v.before = v.figures(t)
	for range 3 {
		v.before.Goroutines = max(v.before.Goroutines, v.figures(t).Goroutines)
	}
	return v
}

func (v *victim) read(t *testing.T, into any) {
	t.Helper()
	line, err := v.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, into)
	}
	if err != nil {
		t.Fatalf("the victim says %q: %v", line, err)
	}
}

// look asks the victim how it is.
func (v *victim) look(t *testing.T) (r report) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Fprintln(v.in)
	v.read(t, &r)
	return r
}

// figures are what must come back after an attack.
type figures struct {
	report
	Descriptors int
	Resident    int // bytes
}

// memoryLimit is by how much memory may be more than before the first attack.
const memoryLimit = 32 << 20

func (v *victim) figures(t *testing.T) figures {
	t.Helper()
	f := figures{report: v.look(t)}
	open, err := os.ReadDir(v.proc("fd"))
	if err != nil {
		t.Fatal(err)
	}
	f.Descriptors = len(open)
	f.Resident = v.status(t, "VmRSS:")
	return f
}

func (v *victim) proc(file string) string { return fmt.Sprintf("/proc/%d/%s", v.cmd.Process.Pid, file) }

// status reads a size from the victim's status.
func (v *victim) status(t *testing.T, field string) int {
	t.Helper()
	text, err := os.ReadFile(v.proc("status"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n"+field)
	var kib int
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// resetPeak begins to measure the largest resident size anew.
func (v *victim) resetPeak(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(v.proc("clear_refs"), []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
}

func (v *victim) peak(t *testing.T) int { return v.status(t, "VmHWM:") }

// worseThan says what is more than it was.
func (f *figures) worseThan(before figures) string {
	switch {
	case f.Peers > before.Peers:
		return "peers"
	case f.Accepted > before.Accepted || f.HalfOpen > before.HalfOpen:
		return "connections"
	case f.Groups > before.Groups:
		return "groups"
	case f.Goroutines > before.Goroutines:
		return "goroutines"
	case f.Descriptors > before.Descriptors:
		return "descriptors"
	case f.Live > before.Live+memoryLimit:
		return "live memory"
	case !raceEnabled && f.Resident > before.Resident+memoryLimit:
		return "resident memory" // the race detector keeps its own
	}
	return ""
}

// honest is a peer that exchanges numbered messages with the victim.
type honest struct {
	node    *Node
	to      UUID
	sent    atomic.Uint64
	echoed  atomic.Uint64
	shouted atomic.Uint64
	faults  faultList
}

func befriend(t *testing.T, v *victim, name string, port int, keys *key.Pair) *honest {
	t.Helper()
	cfg := victimConfig(port)
	cfg.Name, cfg.Keys = name, keys
	h := &honest{node: startNode(t, cfg), to: v.born.ID}
	h.node.Join(loadGroup)
	publicKey := ""
	if v.orders.Keys != nil {
		publicKey = key.Encode(v.orders.Keys.Public)
	}
	if err := h.node.RequirePeer(h.to, transport.TCP(v.born.Endpoint), publicKey); err != nil {
		t.Fatal(err)
	}
	for expect(t, h.node, Enter).Peer != h.to {
	}
	ctx, cancel := context.WithCancel(context.Background())
	var talking sync.WaitGroup
	talking.Go(func() { h.hear(ctx) })
	talking.Go(func() { h.talk(ctx) })
	t.Cleanup(func() {
		cancel()
		talking.Wait()
	})
	return h
}

func (h *honest) party() hostile.Party {
	pr := h.node.pr.Load()
	return hostile.Party{ID: h.node.UUID(), Endpoint: netip.AddrPortFrom(pr.links[0].Addr, pr.port)}
}

func (h *honest) state() string {
	return fmt.Sprintf("%d whispers sent, %d answered, shout %d", h.sent.Load(), h.echoed.Load(), h.shouted.Load())
}

// talk whispers numbers to the victim, some at a time: with eleven victims it is
// waking up that costs, not the messages.
func (h *honest) talk(ctx context.Context) {
	tick := time.NewTicker(8 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for range 12 {
			if err := h.node.Whisper(h.to, binary.BigEndian.AppendUint64(nil, h.sent.Add(1)), make([]byte, 100)); err != nil {
				h.faults.add("whisper: %v", err)
				return
			}
		}
	}
}

// hear checks what comes from the victim.
func (h *honest) hear(ctx context.Context) {
	for {
		ev, err := h.node.Recv(ctx)
		if err != nil {
			return
		}
		if ev.Peer != h.to {
			continue
		}
		switch ev.Kind {
		case Whisper:
			h.expect(&h.echoed, ev)
		case Shout:
			h.expect(&h.shouted, ev)
		case Exit:
			h.faults.add("the victim has exited")
		}
	}
}

// expect checks that a message has the next number. The first shout may have any.
func (h *honest) expect(last *atomic.Uint64, ev Event) {
	number := binary.BigEndian.Uint64(ev.Msg[0])
	if old := last.Swap(number); number != old+1 && !(old == 0 && ev.Kind == Shout) {
		h.faults.add("number %d after %d of event %d", number, old, ev.Kind)
	}
}
