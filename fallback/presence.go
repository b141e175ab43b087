package fallback

import (
	"container/list"
	"context"
	"crypto/rand"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gozyre/zyre/fallback/internal/beacon"
	"github.com/gozyre/zyre/fallback/internal/gossip"
	"github.com/gozyre/zyre/fallback/internal/transport"
	"github.com/gozyre/zyre/fallback/internal/zmtp"
	"github.com/gozyre/zyre/fallback/internal/zre"
	"github.com/gozyre/zyre/internal/netif"

	"github.com/gozyre/zyre/internal/key"
)

// presence is a node on the network, from Start to Stop: its identity, its
// listener and its peers.
//
// Locks, in the order in which they are taken: Node.life, Node.mu,
// presence.mu, then those of an inbox or a sender, under which nothing else
// is locked. Nothing waits for the network or for the application while it
// holds presence.mu.
type presence struct {
	node      *Node
	cfg       *Config
	log       *slog.Logger
	id        UUID
	identity  []byte     // what we say on connections that we open
	router    *zmtp.Self // what we are on those that we accept
	headers   map[string]string
	ctx       context.Context
	cancel    context.CancelFunc
	tasks     sync.WaitGroup // every goroutine but the beacon's
	dials     chan struct{}  // a token for each dial that goes on to where nobody has said HELLO
	callbacks chan struct{}  // the same for all others

	pace       pace         // of the senders
	strangers  atomic.Int64 // bytes that connections hold which have not said HELLO
	unfinished unfinished   // messages of peers

	port uint16 // of the listener, with TCP

	mu          sync.Mutex
	closing     bool
	beacon      *beacon.Announcer // nil: none
	gossip      *gossip.Gossip    // nil: none
	links       []netif.Link
	listener    net.Listener
	deaf        bool               // the listener could not be moved to where the links are
	bound       string             // its endpoint
	published   string             // what the gossip was told
	peers       map[UUID]*peer     // all, candidates too
	byEndpoint  map[string]*peer   // the same by where they are dialled
	entered     table[UUID, *peer] // those that the application knows
	groups      table[string, *group]
	memberships int      // of all peers
	own         []string // groups of this node
	status      uint8    // counts its joins and leaves
	elections   map[string]*election
	halfOpen    *list.List
	waiting     map[*inbound]*list.Element // its elements
	inbounds    map[*inbound]struct{}      // all connections that were accepted
	accepted    uint64                     // how many, ever
	sources     allowance
	hearsay     dialPace // to those that beacons and gossip tell of
	callers     dialPace // to those that have said HELLO
}

// ownProperty is the name of the property by which nodes of this package
// know each other in the handshake: they count sequence numbers in full.
const ownProperty = "X-Gozyre"

func newPresence(n *Node, id UUID) *presence {
	pr := &presence{
		node:       n,
		cfg:        &n.cfg,
		log:        n.log,
		id:         id,
		identity:   append([]byte{1}, id[:]...),
		headers:    n.cfg.Headers,
		dials:      make(chan struct{}, maxDials),
		callbacks:  make(chan struct{}, maxPeers), // no more than there can be
		peers:      map[UUID]*peer{},
		byEndpoint: map[string]*peer{},
		halfOpen:   list.New(),
		waiting:    map[*inbound]*list.Element{},
		inbounds:   map[*inbound]struct{}{},
	}
	pr.ctx, pr.cancel = context.WithCancel(context.Background())
	pr.entered.mu, pr.groups.mu = &pr.mu, &pr.mu
	pr.unfinished.pr, pr.unfinished.waiting = pr, map[*inbound]chan struct{}{}
	pr.router = &zmtp.Self{Socket: "ROUTER", Property: ownProperty, Curve: pr.server(), Listener: true}
	if keys := n.cfg.Keys; keys != nil {
		pr.headers = maps.Clone(pr.headers)
		if pr.headers == nil {
			pr.headers = map[string]string{}
		}
		pr.headers[keyHeader] = key.Encode(keys.Public)
	}
	return pr
}

// server is what a listener of this node needs for CURVE; nil: NULL.
func (pr *presence) server() *zmtp.Curve {
	if pr.cfg.Keys == nil {
		return nil
	}
	return &zmtp.Curve{Keys: *pr.cfg.Keys, Allow: func(key [32]byte) zmtp.Verdict {
		if !pr.allows(key) {
			return zmtp.Denied
		}
		return zmtp.Allowed
	}}
}

// client is what a connection needs for CURVE to a listener with this key;
// nil: NULL.
func (pr *presence) client(key [32]byte) *zmtp.Curve {
	if pr.cfg.Keys == nil {
		return nil
	}
	return &zmtp.Curve{Keys: *pr.cfg.Keys, ServerKey: key}
}

// dealer is what we are on a connection to a peer with this key.
func (pr *presence) dealer(key [32]byte) *zmtp.Self {
	return &zmtp.Self{Socket: "DEALER", Identity: pr.identity, Curve: pr.client(key)}
}

func newUUID() (id UUID) {
	rand.Read(id[:])
	id[6] = id[6]&0x0f | 0x40 // version 4, random
	id[8] = id[8]&0x3f | 0x80
	return id
}

// selection says which interfaces the user wants.
func (pr *presence) selection() netif.Selection {
	return netif.Selection{Names: pr.cfg.Interfaces, IPv6: pr.cfg.IPv6, DualStack: pr.cfg.DualStack, IPv6Addr: pr.cfg.IPv6Addr}
}

// open opens the listener, at which nobody is served yet.
func (pr *presence) open(ctx context.Context) error {
	links, why, err := pr.selection().Choose()
	if err != nil {
		return err
	}
	pr.links = links
	for _, l := range links {
		pr.log.Info("interface chosen", "interface", l.Name, "address", l.Addr, "because", why)
	}
	return pr.listen(ctx)
}

// announce serves peers, and tells and hears where they are.
func (pr *presence) announce(ctx context.Context) error {
	links, bound := pr.links, pr.bound
	pr.tasks.Go(pr.acceptAll)
	pr.tasks.Go(pr.tick)
	if pr.cfg.gossips() {
		if err := pr.startGossip(ctx); err != nil {
			return err
		}
	}
	if pr.cfg.beacons() {
		if err := pr.startBeacon(links); err != nil {
			return err
		}
	} else {
		follower := netif.NewFollower(pr.selection(), pr.log)
		pr.tasks.Go(func() { pr.follow(follower, links) })
	}
	pr.log.Info("node started", "endpoint", bound)
	return nil
}

func (pr *presence) startBeacon(links []netif.Link) error {
	b, err := beacon.Start(beacon.Config{
		Port: pr.cfg.Port, Interval: pr.cfg.Interval, Selection: pr.selection(), Multicast: pr.cfg.Multicast,
		Logger: pr.log, Self: pr.id, Relinked: pr.relinked,
		Payload: func(netif.Link) []byte { return pr.datagram(pr.port) },
	}, links, pr.sighted)
	if err != nil {
		return err
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	pr.beacon = b
	return nil
}

func (pr *presence) startGossip(ctx context.Context) error {
	hubs := make([]gossip.Hub, len(pr.cfg.GossipConnect))
	for i, h := range pr.cfg.GossipConnect {
		hubs[i] = gossip.Hub(h)
	}
	g, err := gossip.Start(ctx, gossip.Config{
		Bind: pr.cfg.GossipBind, Connect: hubs, Log: pr.log, Deliver: pr.gossiped,
		Server: &zmtp.Self{Socket: "ROUTER", Curve: pr.server(), Listener: true},
		Client: func(h gossip.Hub) *zmtp.Self { return &zmtp.Self{Socket: "DEALER", Curve: pr.client(h.Key)} },
	})
	if err != nil {
		return err
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	pr.gossip = g
	pr.publish()
	return nil
}

// publish tells the gossip where this node is, unless it knows; mu is held.
func (pr *presence) publish() {
	if pr.gossip == nil {
		return
	}
	value := pr.endpointFor(pr.gossipAddr())
	if keys := pr.cfg.Keys; keys != nil {
		value += "|" + key.Encode(keys.Public)
	}
	if value != pr.published {
		pr.published = value
		pr.gossip.Publish(hexID(pr.id), value)
	}
}

// endpointFor returns the endpoint that somebody is told who reaches us at
// this address: the one that the user advertises, the one that we listen on,
// or where that is every address, this one; mu is held.
func (pr *presence) endpointFor(addr netip.Addr) string {
	if pr.cfg.Advertised != "" {
		return pr.cfg.Advertised
	}
	tcp, ok := pr.listener.Addr().(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return pr.bound
	}
	if !addr.IsValid() {
		addr = pr.links[0].Addr
	}
	return transport.TCP(netip.AddrPortFrom(addr, pr.port))
}

// datagram is the beacon of this node; with port 0 it says goodbye.
func (pr *presence) datagram(port uint16) []byte {
	b := zre.Beacon{UUID: pr.id, Port: port}
	if keys := pr.cfg.Keys; keys != nil {
		b.Key, b.HasKey = keys.Public, true
	}
	return b.Append(nil)
}

// stop leaves the network: what was sent arrives first, and peers are told.
func (pr *presence) stop() {
	pr.mu.Lock()
	pr.closing = true
	peers := slices.Collect(maps.Values(pr.peers))
	if pr.listener != nil {
		pr.listener.Close()
	}
	pr.mu.Unlock()
	var lingering sync.WaitGroup
	for _, p := range peers {
		p.out.end()
		lingering.Go(func() { pr.linger(p) })
	}
	lingering.Wait()
	pr.cancel() // ends the peers and closes their connections
	pr.mu.Lock()
	for _, p := range pr.peers {
		pr.forget(p)
		pr.node.inbox.end(&p.src)
	}
	for in := range pr.inbounds {
		in.conn.Close()
	}
	b, g := pr.beacon, pr.gossip
	pr.mu.Unlock()
	if b != nil {
		b.Goodbye(pr.datagram(0))
		b.Close()
	}
	if g != nil {
		g.Close()
	}
	pr.tasks.Wait()
	pr.mu.Lock()
	defer pr.mu.Unlock()
	pr.node.refused.Add(pr.refused())
	pr.beacon, pr.gossip = nil, nil
}

// linger sees to it that a peer has what was sent to it: the goodbye by UDP
// must not come before.
func (pr *presence) linger(p *peer) {
	pr.mu.Lock()
	entered, answers, gossip := p.entered, p.in != nil, pr.gossip != nil
	pr.mu.Unlock()
	switch {
	case !entered:
		return
	case answers:
		p.out.settle(lingerTimeout)
	default:
		p.out.flush(lingerTimeout) // there is no way for an answer now
	}
	if gossip {
		p.out.simple(zre.KindGoodbye)
		p.out.flush(lingerTimeout)
	}
}

// acceptAll takes connections until the listener is closed.
func (pr *presence) acceptAll() {
	for delay := time.Duration(0); ; {
		conn, err := pr.nextConn()
		if err == nil {
			delay = 0
			pr.accept(conn)
			continue
		}
		if pr.ctx.Err() != nil || pr.isClosing() {
			return
		}
		// Out of descriptors, most likely: what there is goes on.
		delay = min(max(2*delay, 5*time.Millisecond), time.Second)
		pr.log.Warn("cannot accept a connection", "error", err)
		pr.retryListen()
		select {
		case <-time.After(delay):
		case <-pr.ctx.Done():
			return
		}
	}
}

func (pr *presence) isClosing() bool {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	return pr.closing
}

func (pr *presence) accept(conn net.Conn) {
	in := &inbound{pr: pr, conn: &line{Conn: conn}, from: addrOf(conn.RemoteAddr()), done: make(chan struct{}), back: make(chan error, 1)}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if pr.closing {
		conn.Close()
		return
	}
	if pr.halfOpen.Len() >= maxHalfOpen {
		oldest := pr.halfOpen.Front().Value.(*inbound)
		oldest.conn.Close()
		pr.unwait(oldest)
	}
	pr.accepted++
	in.number = pr.accepted
	pr.inbounds[in] = struct{}{}
	pr.waiting[in] = pr.halfOpen.PushBack(in)
	pr.tasks.Go(in.run)
}

// unwait takes a connection off the list of those that have not said HELLO;
// mu is held.
func (pr *presence) unwait(in *inbound) {
	if e := pr.waiting[in]; e != nil {
		pr.halfOpen.Remove(e)
		delete(pr.waiting, in)
	}
}

// settled is told when a connection belongs to a peer.
func (pr *presence) settled(in *inbound) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	pr.unwait(in)
}

// refuse counts and logs what broke the protocol or a limit.
func (pr *presence) refuse(what string, from any, err error) {
	pr.node.refused.Add(1)
	pr.log.Warn("refused a "+what, "from", from, "error", err)
}
