package gossip

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gozyre/zyre/fallback/internal/transport"
	"github.com/gozyre/zyre/fallback/internal/zmtp"
)

// Hub is a server to connect to.
type Hub struct {
	Endpoint string
	Key      [32]byte // its public key, for CURVE
}

// Config is what a Gossip is told.
type Config struct {
	Bind    []string
	Connect []Hub
	Server  *zmtp.Self             // what it is as a hub
	Client  func(h Hub) *zmtp.Self // and on a connection to one
	Log     *slog.Logger
	Deliver func(key, value string) // every tuple of others, some of them again; it must not block
}

// Gossip is a node's part in the gossip: the hubs that it binds, its
// connections to other hubs, and the table of tuples that it knows.
//
// Its lock is taken before that of a link. Deliver is called without it.
type Gossip struct {
	cfg     Config
	ctx     context.Context
	cancel  context.CancelFunc
	tasks   sync.WaitGroup
	bound   []string
	refused atomic.Uint64

	mu        sync.Mutex
	table     table
	links     map[*link]struct{}
	listeners []net.Listener
}

// Start binds the hubs, and connects to others in the background for as long
// as it takes.
func Start(ctx context.Context, cfg Config) (*Gossip, error) {
	g := &Gossip{cfg: cfg, table: table{}, links: map[*link]struct{}{}}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	for _, endpoint := range cfg.Bind {
		l, bound, err := transport.Listen(ctx, endpoint)
		if err != nil {
			g.Close()
			return nil, err
		}
		g.bound = append(g.bound, bound)
		g.listeners = append(g.listeners, l)
		g.tasks.Go(func() { g.accept(l) })
	}
	for _, hub := range cfg.Connect {
		g.tasks.Go(func() { g.connect(hub) })
	}
	g.tasks.Go(g.tick)
	return g, nil
}

// Close ends all.
func (g *Gossip) Close() error {
	g.cancel()
	g.mu.Lock()
	for _, l := range g.listeners {
		l.Close()
	}
	for l := range g.links {
		l.close()
	}
	g.mu.Unlock()
	g.tasks.Wait()
	return nil
}

// Bound returns the endpoints of the hubs.
func (g *Gossip) Bound() []string { return g.bound }

// Refused returns how many messages and connections broke the protocol or a
// limit, or were of no use.
func (g *Gossip) Refused() uint64 { return g.refused.Load() }

// Publish tells everybody a tuple of this node, now and whenever a
// connection is made.
func (g *Gossip) Publish(key, value string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.table[key] = &entry{value: value, own: true}
	g.tell(tuple{key, value}, nil)
}

// Unpublish withdraws a tuple: newcomers are not told of it any more. There
// is no message that would reach the others.
func (g *Gossip) Unpublish(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.table.withdraw(key)
}

// Lost is told that a node has gone without a word. Its tuple is delivered
// again now and then, for the network may heal; newcomers are not told of it
// any more.
func (g *Gossip) Lost(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.table.lose(key, time.Now())
}

// Found is told that a node is there.
func (g *Gossip) Found(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.table.find(key)
}

// Abandon ends the connections from addresses, without zones, that this host
// does not have any more: nothing would arrive on them, and nothing break them.
func (g *Gossip) Abandon(gone []netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for l := range g.links {
		near, ok := l.conn.LocalAddr().(*net.TCPAddr)
		if ok && slices.Contains(gone, near.AddrPort().Addr().Unmap().WithZone("")) {
			l.close()
		}
	}
}

// learn takes a tuple from a connection: what is new goes on to all others.
func (g *Gossip) learn(t tuple, from *link) {
	g.mu.Lock()
	news, ok := g.table.learn(t, time.Now())
	if news && ok {
		g.tell(t, from)
	}
	g.mu.Unlock()
	if ok {
		g.cfg.Deliver(t.key, t.value)
	}
}

// tell sends a tuple to every connection but one; mu is held.
func (g *Gossip) tell(t tuple, but *link) {
	for l := range g.links {
		if l != but {
			l.publish(t)
		}
	}
}

// tellAll sends the whole table to a connection; mu is held.
func (g *Gossip) tellAll(l *link) {
	for key, e := range g.table {
		if e.told() {
			l.publish(tuple{key, e.value})
		}
	}
}

// tick delivers the tuples of lost nodes again, and forgets the old ones.
func (g *Gossip) tick() {
	t := time.NewTicker(again)
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			g.mu.Lock()
			missing := g.table.missing(now)
			g.mu.Unlock()
			for _, t := range missing {
				g.cfg.Deliver(t.key, t.value)
			}
		case <-g.ctx.Done():
			return
		}
	}
}
