package main

import (
	"context"

	"github.com/gozyre/zyre/bench/internal/protocol"
)

// libzmq is bare libzmq through github.com/pebbe/zmq4.
type libzmq struct{}

func (libzmq) name() string { return libzmqName }

func (libzmq) about() string { return "bare libzmq, DEALER to ROUTER, messages of one frame" }

func (libzmq) build(ctx context.Context, dir string) (string, error) {
	if err := needLibraries(ctx, "libzmq"); err != nil {
		return "", err
	}
	return goBuild(ctx, dir, "libzmq", "./worker/libzmq")
}

func (libzmq) lacks(w *workload) string { return bareLacks(w) }

func (libzmq) find(*network, *protocol.Request) {}

// bareLacks: a bare transport has no nodes that find each other.
func bareLacks(w *workload) string {
	if w.kind == mesh {
		return "it has no discovery"
	}
	return ""
}
