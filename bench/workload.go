package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/gozyre/zyre/bench/internal/protocol"
)

type kind int

const (
	windowed    kind = iota // one way, bounded by acks
	unthrottled             // one way, bounded by the library's back-pressure
	roundTrip
	shout
	mesh
)

// workload is one thing to measure.
type workload struct {
	name  string
	about string
	kind  kind
	size  int // bytes of a message
	nodes int // of all processes
	procs int // that share the nodes, of a mesh
	also  int // groups that each node of a mesh is in besides
	curve bool
	keep  bool // the receiver leaves the memory of messages to the collector

	figures []metric // that it gives
}

const (
	shoutTo   = 10
	meshProcs = 5
	// maxWindow is what libzyre stands: its queues hold 1000 events.
	maxWindow = 800
	// maxInFlight keeps the window of large messages out of swap.
	maxInFlight = 64 << 20
)

// workloads in the order of tables.
var workloads = func() []*workload {
	var list []*workload
	sizes := []struct {
		name  string
		bytes int
	}{{"16", 16}, {"1k", 1 << 10}, {"64k", 64 << 10}, {"1m", 1 << 20}}
	for _, s := range sizes {
		list = append(list, newWhisper("whisper-"+s.name, s.bytes))
	}
	for _, s := range sizes {
		list = append(list, newUnthrottled("unthrottled-"+s.name, s.bytes))
	}
	for _, s := range sizes[2:] {
		w := newWhisper("kept-"+s.name, s.bytes)
		w.keep, w.about = true, w.about+", none released by a receiver in Go"
		list = append(list, w)
	}
	for _, w := range []*workload{newWhisper("curve-whisper-1k", 1<<10), newUnthrottled("curve-unthrottled-1k", 1<<10)} {
		w.curve, w.about = true, "with CURVE, "+w.about
		list = append(list, w)
	}
	return append(list,
		&workload{name: "roundtrip", kind: roundTrip, size: 16, nodes: 2, figures: []metric{p50, p99}, about: "round trip of 16 B"},
		newShout("shout", shoutTo),
		newMesh(10, discovery),
		newMesh(50, discovery, memoryPerNode),
		newMesh(100, discovery, memoryPerNode, idleCPU))
}()

func newWhisper(name string, size int) *workload {
	w := &workload{name: name, kind: windowed, size: size, nodes: 2, figures: []metric{rate, processor}}
	w.about = fmt.Sprintf("whispers of %s one way, at most %d without an ack", bytesText(size), w.window())
	return w
}

func newUnthrottled(name string, size int) *workload {
	return &workload{name: name, kind: unthrottled, size: size, nodes: 2, figures: []metric{rate, processor},
		about: "whispers of " + bytesText(size) + " one way, as fast as the library takes them"}
}

func newShout(name string, members int) *workload {
	return &workload{name: name, kind: shout, size: 16, nodes: 1 + members, figures: []metric{rate, processor},
		about: fmt.Sprintf("shouts of 16 B to %d nodes in one process, at most %d without an ack", members, maxWindow)}
}

// bytesText writes a size that is a power of two.
func bytesText(size int) string {
	switch {
	case size >= 1<<20:
		return fmt.Sprintf("%d MiB", size>>20)
	case size >= 1<<10:
		return fmt.Sprintf("%d KiB", size>>10)
	}
	return fmt.Sprintf("%d B", size)
}

func newMesh(nodes int, figures ...metric) *workload {
	return &workload{name: fmt.Sprintf("mesh-%d", nodes), kind: mesh, nodes: nodes, procs: meshProcs, figures: figures,
		about: fmt.Sprintf("%d nodes in %d processes", nodes, meshProcs)}
}

// gives reports whether a figure is wanted of a workload.
func (w *workload) gives(m metric) bool { return slices.Contains(w.figures, m) }

// window is how many messages may be without an ack.
func (w *workload) window() int {
	if w.kind == unthrottled || w.kind == mesh {
		return 0
	}
	return min(maxWindow, maxInFlight/w.size)
}

// pace is how long things are done.
type pace struct {
	warm, run time.Duration
	settle    time.Duration // before a mesh is idle
	idle      time.Duration // over which its CPU time is taken
	deadline  time.Duration // of any one request
}

var (
	full  = pace{warm: 200 * time.Millisecond, run: time.Second, settle: 2 * time.Second, idle: 10 * time.Second, deadline: 30 * time.Second}
	quick = pace{warm: 20 * time.Millisecond, run: 100 * time.Millisecond, settle: 200 * time.Millisecond, idle: time.Second, deadline: 30 * time.Second}
)

// maxMessages bounds a measurement in count, maxTrips one of round trips.
const (
	maxMessages = 200_000_000
	maxTrips    = 1_000_000
)

// request is what workers are asked to do with messages.
func (w *workload) request(do string, p pace) protocol.Request {
	limit := maxMessages
	if w.kind == roundTrip {
		limit = maxTrips
	}
	return protocol.Request{
		Do: do, Size: w.size, Total: w.nodes, Shout: w.kind == shout, Curve: w.curve, Keep: w.keep,
		Window: w.window(), Every: w.window() / 4,
		WarmMS: int(p.warm.Milliseconds()), RunMS: int(p.run.Milliseconds()), Max: limit,
		Groups: w.also, DeadlineMS: int(p.deadline.Milliseconds()),
	}
}
