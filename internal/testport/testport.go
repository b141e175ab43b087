// Package testport gives tests and benchmarks ports to themselves: below those
// that the kernel gives to others, so that no connection takes one before they
// listen on it.
package testport

import (
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
)

// The ports are cut into blocks, of which each process has one.
const first, blocks, block = 10000, 20, 1000

// holding is the block of a process.
type holding struct {
	at   int          // its first port
	lock net.Listener // which listens there, never closed; nil: it is shared
}

var (
	own  = sync.OnceValue(claim)
	used atomic.Uint32
)

// claim takes a block that no other process has. If all are taken it shares one.
func claim() holding {
	mine := os.Getpid() % blocks
	for n := range blocks {
		at := first + (mine+n)%blocks*block
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", at)); err == nil {
			return holding{at, l}
		}
	}
	return holding{at: first + mine*block}
}

// Next returns a port, for UDP or TCP, that nothing else has from here, in this
// process or another, before a thousand have been given out.
func Next() int { return own().at + 1 + int(used.Add(1)-1)%(block-1) }

// Endpoint returns an endpoint on loopback with such a port.
func Endpoint() string { return fmt.Sprintf("tcp://127.0.0.1:%d", Next()) }
