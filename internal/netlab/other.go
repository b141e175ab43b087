//go:build !linux

package netlab

import (
	"net/netip"
	"os/exec"
	"runtime"
	"testing"
	"time"
)

// IsolatedInterface is the Ethernet interface of an isolated test process.
const IsolatedInterface = "veth0"

// Isolate does nothing: only Linux has network namespaces.
func Isolate() (code int, reran bool) { return 0, false }

// Isolated reports false.
func Isolated() bool { return false }

// Need skips the test: only Linux has network namespaces.
func Need(t testing.TB) {
	t.Helper()
	t.Skip("needs network namespaces, which " + runtime.GOOS + " does not have")
}

// Lab is a network of hosts, which can only be made on Linux.
type Lab struct{}

// New skips the test, so none of the methods is ever called.
func New(t testing.TB) *Lab {
	t.Helper()
	Need(t)
	return nil
}

func (*Lab) Host(name string) *Host { return nil }
func (*Lab) Partition(a, b *Host)   {}
func (*Lab) Block(from, to *Host)   {}
func (*Lab) Heal()                  {}

func (*Lab) Connect(a, b *Host) (onA, onB Port) { return Port{}, Port{} }

// Line is how bad the line of a host is.
type Line struct {
	Delay, Jitter             time.Duration
	Reorder, Duplicate, Reset int
}

// Port is an interface of a host.
type Port struct {
	Name string
	Addr netip.Addr
}

// Host is one host of a lab.
type Host struct{}

func (*Host) Name() string                                  { return "" }
func (*Host) Interface() string                             { return "" }
func (*Host) Addr() netip.Addr                              { return netip.Addr{} }
func (*Host) Do(f func())                                   {}
func (*Host) Command(name string, args ...string) *exec.Cmd { return nil }
func (*Host) LinkDown()                                     {}
func (*Host) LinkUp()                                       {}
func (*Host) SetAddr(addr netip.Addr)                       {}
func (*Host) IP(words string)                               {}
func (*Host) Loss(percent int)                              {}
func (*Host) Shape(l Line)                                  {}
func (*Host) Vanish()                                       {}
