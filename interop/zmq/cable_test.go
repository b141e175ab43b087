//go:build linux

package zmq

import (
	"bytes"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// cable relays TCP connections to an address until it is cut, keeps what it
// has relayed, and counts the answers to heartbeats that it sees.
type cable struct {
	t      *testing.T
	target string
	ln     net.Listener

	mu      sync.Mutex
	plugged []*relay // connections, in order
	seen    [][]byte // what was relayed, a direction of a connection in each
	changed *sync.Cond
}

// relay is one connection: near is who dialled the cable, far is the target.
type relay struct {
	near, far net.Conn
	pongs     [2]int // that each end sent
}

// The ends of a relay.
const (
	nearEnd = iota
	farEnd
)

func newCable(t *testing.T, target string) *cable {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{t: t, target: target, ln: ln}
	c.changed = sync.NewCond(&c.mu)
	var relays sync.WaitGroup
	relays.Go(func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			relays.Go(func() { c.relay(near) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		c.cut()
		relays.Wait()
	})
	return c
}

func (c *cable) addr() string { return c.ln.Addr().String() }

// cut closes all connections at both ends.
func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.plugged {
		r.near.Close()
		r.far.Close()
	}
}

// shows tells whether a text went over the cable.
func (c *cable) shows(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.seen, func(b []byte) bool { return bytes.Contains(b, []byte(text)) })
}

// hang closes all connections at the near end only: the far end goes on with
// a connection that nobody is at any more.
func (c *cable) hang() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.plugged {
		r.near.Close()
	}
}

// awaitConnections waits until so many connections have been made, ever.
func (c *cable) awaitConnections(n int) {
	c.t.Helper()
	c.await(func() bool { return len(c.plugged) >= n })
}

// awaitPongs waits until one end of the last connection has answered n
// heartbeats of the other.
func (c *cable) awaitPongs(end, n int) {
	c.t.Helper()
	c.await(func() bool {
		return len(c.plugged) > 0 && c.plugged[len(c.plugged)-1].pongs[end] >= n
	})
}

func (c *cable) await(done func() bool) {
	c.t.Helper()
	late := false
	timer := time.AfterFunc(patience, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		late = true
		c.changed.Broadcast()
	})
	defer timer.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for !done() {
		if late {
			c.t.Fatal("not seen on the cable in time")
		}
		c.changed.Wait()
	}
}

func (c *cable) change(do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	do()
	c.changed.Broadcast()
}

func (c *cable) relay(near net.Conn) {
	far, err := net.Dial("tcp4", c.target)
	if err != nil {
		near.Close()
		return
	}
	r := &relay{near: near, far: far}
	c.change(func() { c.plugged = append(c.plugged, r) })
	var both sync.WaitGroup
	both.Go(func() { c.pump(far, near, &r.pongs[nearEnd]) })
	both.Go(func() { c.pump(near, far, &r.pongs[farEnd]) })
	both.Wait()
}

// pump relays one direction. A connection that ends at one end stays open at
// the other until the cable is cut, as when a host vanishes.
func (c *cable) pump(dst io.Writer, src io.Reader, pongs *int) {
	buf := make([]byte, 64<<10)
	var direction int
	c.change(func() {
		direction = len(c.seen)
		c.seen = append(c.seen, nil)
	})
	for {
		n, err := src.Read(buf)
		if n > 0 {
			c.change(func() {
				c.seen[direction] = append(c.seen[direction], buf[:n]...)
				*pongs += bytes.Count(buf[:n], []byte("\x04PONG"))
			})
			_, _ = dst.Write(buf[:n]) // the reading side reports the end
		}
		if err != nil {
			return
		}
	}
}
