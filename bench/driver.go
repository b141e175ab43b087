package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gozyre/zyre/bench/internal/protocol"
	"github.com/gozyre/zyre/internal/testport"
)

// driver is a library under measurement.
type driver interface {
	name() string
	about() string

	// build makes the worker program in dir. An error says why the library
	// cannot be measured here.
	build(ctx context.Context, dir string) (program string, err error)

	// lacks says why the library has no part in a workload, or "".
	lacks(w *workload) string

	// find tells nodes how to find each other.
	find(net *network, open *protocol.Request)
}

// drivers in the order in which tables list them.
var drivers = []driver{fallback{}, cgo{}, plainC{}, libzmq{}, tcp{}}

// Names of the drivers that others are compared to.
const (
	libzyreName = "c"
	libzmqName  = "libzmq"
	tcpName     = "tcp"
)

// network is what a run has for nodes to find each other.
type network struct {
	isolated string // interface that can carry beacons of every library; "": there is none
}

// beacons has nodes find each other on an interface.
func beacons(iface string, open *protocol.Request) {
	open.Interface = iface
	open.Port = testport.Next()
}

// gossip has nodes find each other through party 0.
func gossip(open *protocol.Request) {
	open.Hub = testport.Endpoint()
}

// goBuild builds one of the workers in Go.
func goBuild(ctx context.Context, dir, name, pkg string, env ...string) (string, error) {
	program := filepath.Join(dir, name)
	return program, runIn(ctx, env, "go", "build", "-o", program, pkg)
}

// run runs a command, with what it printed in the error.
func run(ctx context.Context, name string, args ...string) error {
	return runIn(ctx, nil, name, args...)
}

// runIn is run with more in the environment.
func runIn(ctx context.Context, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	text := strings.TrimSpace(string(out))
	if lines := strings.Split(text, "\n"); len(lines) > 3 {
		text = strings.Join(lines[:3], "\n") + " …"
	}
	return fmt.Errorf("%s %s: %w: %s", name, args[0], err, text)
}

// needLibraries asks pkg-config for C libraries.
func needLibraries(ctx context.Context, names ...string) error {
	for _, name := range names {
		if err := exec.CommandContext(ctx, "pkg-config", "--exists", name).Run(); err != nil {
			return fmt.Errorf("pkg-config finds no %s (%w)", name, err)
		}
	}
	if _, err := exec.LookPath("cc"); err != nil {
		return errors.New("no C compiler")
	}
	return nil
}
