package gossip

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/gozyre/zyre/fallback/internal/transport"
	"github.com/gozyre/zyre/fallback/internal/zmtp"
)

// Connections that a hub takes.
const (
	maxLinks    = 2048
	maxPerHost  = 512
	maxHalfOpen = 256 // that have not shaken hands; the oldest goes first
)

// soundLife is how long a connection to a hub must last for the hub to be
// sound. To others it is made ever more rarely.
const soundLife = 5 * time.Second

// accept serves the clients of a hub.
func (g *Gossip) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			if !g.sleep(50 * time.Millisecond) {
				return
			}
			continue
		}
		l := newLink(g, conn, true)
		if !g.add(l) {
			g.refused.Add(1)
			conn.Close()
			continue
		}
		g.tasks.Go(func() { g.serve(l, g.cfg.Server, "gossip client gone") })
	}
}

// connect keeps a connection to a hub.
func (g *Gossip) connect(hub Hub) {
	for failures := 0; g.ctx.Err() == nil; failures++ {
		conn, err := transport.Dial(g.ctx, hub.Endpoint)
		if err != nil {
			g.cfg.Log.Debug("gossip hub not reached", "hub", hub.Endpoint, "error", err)
		} else if l := newLink(g, conn, false); !g.add(l) {
			conn.Close()
		} else {
			g.serve(l, g.cfg.Client(hub), "gossip hub gone")
			if l.ready && time.Since(l.since) > soundLife {
				failures = 0
			}
		}
		wait := min(100*time.Millisecond<<min(failures, 5), 2*time.Second)
		if !g.sleep(wait + rand.N(wait/2)) {
			return
		}
	}
}

// serve runs a connection to its end.
func (g *Gossip) serve(l *link, self *zmtp.Self, gone string) {
	err := l.run(self)
	l.close()
	g.mu.Lock()
	delete(g.links, l)
	if l.refusedBy(err) {
		g.refused.Add(1)
	}
	g.mu.Unlock()
	g.cfg.Log.Debug(gone, "remote", l.conn.RemoteAddr(), "error", err)
}

// refusedBy tells whether a connection ended by what the other side did.
func (l *link) refusedBy(err error) bool {
	return !l.ready && errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.Is(err, zmtp.ErrProtocol) || errors.Is(err, zmtp.ErrTooLarge) || errors.Is(err, zmtp.ErrDenied)
}

func (g *Gossip) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-g.ctx.Done():
		return false
	}
}

// add takes up a connection, unless that is one too many.
func (g *Gossip) add(l *link) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ctx.Err() != nil || l.hub && !g.room(l) {
		return false
	}
	g.links[l] = struct{}{}
	return true
}

// room tells whether a hub has room for a client. Those that have not shaken
// hands make room for the next; mu is held.
func (g *Gossip) room(l *link) bool {
	var neighbours, halfOpen int
	var oldest *link
	for other := range g.links {
		if l.host.IsValid() && other.host == l.host {
			neighbours++
		}
		if !other.ready && other.hub {
			halfOpen++
			if oldest == nil || other.since.Before(oldest.since) {
				oldest = other
			}
		}
	}
	if len(g.links) >= maxLinks || neighbours >= maxPerHost {
		return false
	}
	if halfOpen >= maxHalfOpen {
		g.refused.Add(1)
		oldest.close()
		delete(g.links, oldest)
	}
	return true
}

// hostOf returns the address of the other end, which is invalid for ipc and
// inproc, and whether that is on this host.
func hostOf(conn net.Conn) (host netip.Addr, local bool) {
	far, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}, true
	}
	host = far.AddrPort().Addr().Unmap()
	near, ok := conn.LocalAddr().(*net.TCPAddr)
	return host, host.IsLoopback() || ok && host == near.AddrPort().Addr().Unmap()
}
