package main

import (
	"context"

	"github.com/gozyre/zyre/bench/internal/protocol"
)

// fallback is package zyre with its engine in Go.
type fallback struct{}

func (fallback) name() string { return "fallback" }

func (fallback) about() string { return "package zyre, engine in Go alone (CGO_ENABLED=0)" }

func (fallback) build(ctx context.Context, dir string) (string, error) {
	// Not the tag purego, which also turns off the assembly of
	// golang.org/x/crypto.
	return goBuild(ctx, dir, "fallback", "./worker/zyre", "CGO_ENABLED=0")
}

func (fallback) lacks(*workload) string { return "" }

func (fallback) find(net *network, open *protocol.Request) {
	iface := "lo"
	if net.isolated != "" {
		iface = net.isolated
	}
	beacons(iface, open)
}
