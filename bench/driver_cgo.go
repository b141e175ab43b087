package main

import (
	"context"

	"github.com/gozyre/zyre/bench/internal/protocol"
	"github.com/gozyre/zyre/internal/netlab"
)

// cgo is package zyre with its engine over libzyre.
type cgo struct{}

func (cgo) name() string { return "cgo" }

func (cgo) about() string { return "package zyre, engine over libzyre" }

func (cgo) build(ctx context.Context, dir string) (string, error) {
	if err := needLibraries(ctx, "libzyre", "libczmq", "libzmq"); err != nil {
		return "", err
	}
	return goBuild(ctx, dir, "cgo", "./worker/zyre", "CGO_ENABLED=1")
}

func (cgo) lacks(w *workload) string { return libzyreLacks(w) }

func (cgo) find(net *network, open *protocol.Request) { findLibzyre(net, open) }

// libzyreLacks: libzyre has no back-pressure, and with a czmq as most are no
// gossip with CURVE, which is how its nodes meet where they cannot beacon; the
// worker in C has one group.
func libzyreLacks(w *workload) string {
	switch {
	case w.curve && !netlab.Isolated():
		return "libzyre with CURVE needs beacons, see -isolate"
	case w.kind == unthrottled:
		return "libzyre loses messages in silence when the receiver is slower"
	case w.also > 0:
		return "its worker joins no further groups"
	}
	return ""
}

// findLibzyre: libzyre refuses to send beacons on the loopback interface.
func findLibzyre(net *network, open *protocol.Request) {
	if net.isolated == "" {
		gossip(open)
		return
	}
	beacons(net.isolated, open)
}
