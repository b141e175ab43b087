package fallback

import (
	"context"
	"net"
	"net/netip"

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

// listenAddr returns the address of the links to listen on.
func (pr *presence) listenAddr() netip.Addr {
	switch {
	case len(pr.links) == 1:
		return pr.links[0].Addr
	case pr.cfg.IPv6:
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// relinked is told when the interfaces have changed. Peers are then told of
// other addresses, with the same port: there it must listen too.
func (pr *presence) relinked(links []netif.Link) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if pr.closing || len(links) == 0 {
		return
	}
	pr.links = links
	if pr.cfg.Endpoint == "" {
		pr.relisten()
	}
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
	if before.Addr().IsUnspecified() || before == after {
		return
	}
	pr.listener.Close() // a port at one address cannot be had at every address
	for _, at := range []netip.AddrPort{after, before} {
		l, bound, err := transport.Listen(pr.ctx, tcpPlace(at).endpoint)
		if err == nil {
			pr.log.Info("listens elsewhere", "before", pr.bound, "now", bound)
			pr.listener, pr.bound = l, bound
			return
		}
		pr.log.Warn("cannot listen", "address", at, "error", err)
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
