package fallback

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/gozyre/zyre/fallback/internal/transport"
	"github.com/gozyre/zyre/internal/netif"
)

// listen binds to the endpoint that the user named, else to the one address
// that is announced, or to all of them where there are several.
func (pr *presence) listen(ctx context.Context) error {
	endpoint := pr.cfg.Endpoint
	if endpoint == "" {
		endpoint = tcpPlace(netip.AddrPortFrom(pr.listenAddr(), uint16(pr.cfg.PeerPort))).endpoint
	}
	l, bound, err := transport.Listen(ctx, endpoint)
	if err != nil {
		return err
	}
	pr.listener, pr.bound = l, bound
	if tcp, ok := l.Addr().(*net.TCPAddr); ok {
		pr.port = tcp.AddrPort().Port()
	}
	return nil
}

// listenAddr returns the address of the links to listen on. With "*" it is
// ready for interfaces to come. That of all IPv6 addresses is that of all IPv4
// addresses too.
func (pr *presence) listenAddr() netip.Addr {
	switch {
	case len(pr.links) == 1 && !slices.Contains(pr.cfg.Interfaces, "*"):
		return pr.links[0].Addr
	case pr.cfg.IPv6 || pr.cfg.DualStack:
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// gossipAddr returns the address that goes into the gossip, where there can
// be one for all: that on the way to a hub, for from there it spreads; mu is
// held. It is invalid if there is none better than another.
func (pr *presence) gossipAddr() netip.Addr {
	hubs := slices.Clone(pr.cfg.GossipBind)
	for _, h := range pr.cfg.GossipConnect {
		hubs = append(hubs, h.Endpoint)
	}
	for _, hub := range hubs {
		host, _, _ := transport.SplitTCP(hub)
		to, err := netip.ParseAddr(host)
		if err != nil {
			continue
		}
		from := netif.Toward(to)
		if slices.ContainsFunc(pr.links, func(l netif.Link) bool { return l.Addr == from }) {
			return from
		}
	}
	return netip.Addr{}
}

// follow follows the interfaces while the node runs, where no beacon does.
func (pr *presence) follow(f *netif.Follower, links []netif.Link) {
	t := time.NewTicker(netif.FollowEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-pr.ctx.Done():
			return
		}
		var changed bool
		if links, changed = f.Look(links); changed {
			pr.relinked(links)
		}
	}
}

// relinked is told when the interfaces have changed. Peers are then told of
// other addresses, with the same port: there it must listen too.
func (pr *presence) relinked(links []netif.Link) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if pr.closing || len(links) == 0 {
		return
	}
	gone := netif.Gone(pr.links)
	pr.links = links
	if pr.cfg.Endpoint == "" {
		pr.relisten()
	}
	for _, p := range slices.Collect(maps.Values(pr.peers)) {
		if pr.misled(p, gone) {
			pr.again(p, "this host has other addresses now")
		}
	}
	if pr.gossip != nil {
		pr.gossip.Abandon(gone)
	}
	pr.publish()
}

// misled tells whether we must begin anew with a peer because some addresses
// of this host are gone: what we told it of where we are does not hold any
// more, or it has a connection on which nothing will ever arrive, or break; mu
// is held.
func (pr *presence) misled(p *peer, gone []netip.Addr) bool {
	return p.greeted && p.told != pr.endpointFor(p.local) ||
		p.dialled && slices.Contains(gone, p.local.WithZone("")) ||
		p.in != nil && slices.Contains(gone, addrOf(p.in.conn.LocalAddr()).WithZone(""))
}

// relisten moves the listener to where the links are now, unless it is at
// every address; mu is held. The connections that it has accepted stay.
func (pr *presence) relisten() {
	tcp, ok := pr.listener.Addr().(*net.TCPAddr)
	if !ok {
		return
	}
	before := netip.AddrPortFrom(addrOf(tcp), pr.port)
	after := netip.AddrPortFrom(pr.listenAddr(), pr.port)
	if before.Addr().IsUnspecified() || before == after && !pr.deaf {
		return
	}
	pr.listener.Close() // a port at one address cannot be had at every address
	for _, at := range []netip.AddrPort{after, before} {
		l, bound, err := transport.Listen(pr.ctx, tcpPlace(at).endpoint)
		if err == nil {
			pr.log.Info("listens elsewhere", "before", pr.bound, "now", bound)
			pr.listener, pr.bound, pr.deaf = l, bound, false
			return
		}
		pr.log.Warn("cannot listen", "address", at, "error", err)
	}
	pr.deaf = true // until retryListen finds that it can
}

// retryListen opens a listener where none could be opened.
func (pr *presence) retryListen() {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if pr.deaf && !pr.closing {
		pr.relisten()
		pr.publish()
	}
}

// nextConn takes a connection, from another listener if this one was closed
// for it meanwhile.
func (pr *presence) nextConn() (net.Conn, error) {
	for {
		l := pr.listening()
		conn, err := l.Accept()
		if err == nil || l == pr.listening() {
			return conn, err
		}
	}
}

func (pr *presence) listening() net.Listener {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	return pr.listener
}
