package main

import (
	"context"

	"github.com/gozyre/zyre/bench/internal/protocol"
)

// tcp is raw TCP in Go: the floor that the kernel gives.
type tcp struct{}

func (tcp) name() string { return tcpName }

func (tcp) about() string { return "raw TCP, records of the size that a whisper has on the wire" }

func (tcp) build(ctx context.Context, dir string) (string, error) {
	return goBuild(ctx, dir, "tcp", "./worker/tcp")
}

func (tcp) lacks(w *workload) string {
	if w.curve {
		return "it has no CURVE"
	}
	return bareLacks(w)
}

func (tcp) find(*network, *protocol.Request) {}
