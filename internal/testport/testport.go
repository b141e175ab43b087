// Package testport gives tests and benchmarks ports to themselves: below those
// that the kernel gives to others, so that no connection takes one before they
// listen on it.
package testport

import (
	"fmt"
	"os"
	"sync/atomic"
)

const first, count = 10000, 20000

// last counts from a place that depends on the process: one strange node would
// spoil what they see.
var last atomic.Uint32

func init() { last.Store(uint32(os.Getpid()) * 211) }

// Next returns a port, for UDP or TCP, that nothing else in this process has
// from here, and most likely nothing in another.
func Next() int { return first + int(last.Add(1)%count) }

// Endpoint returns an endpoint on loopback with such a port.
func Endpoint() string { return fmt.Sprintf("tcp://127.0.0.1:%d", Next()) }
