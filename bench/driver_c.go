package main

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gozyre/zyre/bench/internal/protocol"
)

// plainC is a C program on libzyre: what package zyre is compared to.
type plainC struct{}

func (plainC) name() string { return libzyreName }

func (plainC) about() string { return "libzyre itself, a plain C program" }

func (plainC) build(ctx context.Context, dir string) (string, error) {
	libraries := []string{"libzyre", "libczmq", "libzmq"}
	if err := needLibraries(ctx, libraries...); err != nil {
		return "", err
	}
	flags, err := exec.CommandContext(ctx, "pkg-config", append([]string{"--cflags", "--libs"}, libraries...)...).Output()
	if err != nil {
		return "", err
	}
	sources, err := filepath.Glob("c/*.c")
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "zyreperf")
	args := append([]string{"-O2", "-Wall", "-o", program}, sources...)
	args = append(args, strings.Fields(string(flags))...)
	return program, run(ctx, "cc", append(args, "-lpthread")...)
}

func (plainC) lacks(w *workload) string { return libzyreLacks(w) }

func (plainC) find(net *network, open *protocol.Request) { findLibzyre(net, open) }
