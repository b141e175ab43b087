package fallback

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gozyre/zyre/fallback/internal/zre"
	"github.com/gozyre/zyre/internal/key"
	"github.com/gozyre/zyre/internal/rule"
)

// Node is one node. Its methods are those of zyre.Node, which documents them.
type Node struct {
	cfg   Config
	log   *slog.Logger
	inbox *inbox

	life sync.Mutex // held over a whole Start, Stop or Close

	mu     sync.Mutex // guards what follows
	id     UUID
	fresh  bool // id was never on the network
	groups []string
	closed bool

	pr      atomic.Pointer[presence] // nil: not started; set with life and mu held
	leaving atomic.Pointer[presence] // while it is stopped

	received, receivedBytes    atomic.Uint64
	sent, sentBytes            atomic.Uint64 // of peers that are gone
	dropped, refused           atomic.Uint64
	enters, exited, reconnects atomic.Uint64
}

// New makes a node.
func New(cfg Config) (*Node, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.SendTimeout == 0 {
		cfg.SendTimeout = cfg.Evasive
	}
	if cfg.MessageLimit == 0 {
		cfg.MessageLimit = rule.MaxMessage
	}
	cfg.Headers = maps.Clone(cfg.Headers)
	cfg.Interfaces = slices.Clone(cfg.Interfaces)
	n := &Node{cfg: cfg, inbox: newInbox(cfg.InboxLimit), id: newUUID(), fresh: true}
	n.log = cfg.Logger.With("node", n.nameOf(n.id))
	return n, nil
}

// Start joins the network.
func (n *Node) Start(ctx context.Context) error {
	n.life.Lock()
	defer n.life.Unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.closed:
		return ErrClosed
	case n.pr.Load() != nil:
		return ErrStarted
	case ctx.Err() != nil:
		return ctx.Err()
	}
	if !n.fresh {
		n.id = newUUID()
	}
	pr := newPresence(n, n.id, slices.Clone(n.groups))
	err := pr.open(ctx)
	if err == nil {
		n.pr.Store(pr) // who gets the first event finds the node started
		err = pr.announce(ctx)
	}
	if err != nil {
		n.pr.Store(nil)
		pr.stop()
		return err
	}
	n.fresh = false
	return nil
}

// Stop leaves the network.
func (n *Node) Stop() error {
	n.life.Lock()
	defer n.life.Unlock()
	pr, err := n.detach(false)
	if err != nil {
		return err
	}
	n.leave(pr)
	n.inbox.post(nil, Event{Kind: Stop, Peer: pr.id, Name: n.nameOf(pr.id)})
	return nil
}

// Close ends the node.
func (n *Node) Close() error {
	// First of all, so that nothing waits for the application any more.
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.inbox.close()
	n.life.Lock()
	defer n.life.Unlock()
	if pr, err := n.detach(true); err == nil {
		n.leave(pr)
	}
	return nil
}

// detach takes the presence from the node, so that calls see it stopped.
func (n *Node) detach(closing bool) (*presence, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed && !closing {
		return nil, ErrClosed
	}
	pr := n.pr.Load()
	if pr == nil {
		return nil, ErrNotStarted
	}
	n.leaving.Store(pr)
	n.pr.Store(nil)
	return pr, nil
}

// leave stops what detach has taken.
func (n *Node) leave(pr *presence) {
	pr.stop()
	n.leaving.Store(nil)
}

// started returns the presence, or why there is none.
func (n *Node) started() (*presence, error) {
	if pr := n.pr.Load(); pr != nil {
		return pr, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, ErrClosed
	}
	return nil, ErrNotStarted
}

// Join enters a group.
func (n *Node) Join(group string) error { return n.member(zre.KindJoin, group) }

// Leave leaves a group.
func (n *Node) Leave(group string) error { return n.member(zre.KindLeave, group) }

func (n *Node) member(kind zre.Kind, group string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return ErrClosed
	}
	at := slices.Index(n.groups, group)
	if (at >= 0) == (kind == zre.KindJoin) {
		return nil
	}
	if kind == zre.KindJoin {
		if len(n.groups) >= maxGroups {
			return rule.Invalid("group", group, fmt.Sprintf("is one too many; at most %d", maxGroups))
		}
		n.groups = append(n.groups, group)
	} else {
		n.groups = slices.Delete(n.groups, at, at+1)
	}
	if pr := n.pr.Load(); pr != nil {
		pr.setMembership(kind, group)
	}
	return nil
}

// Whisper sends a message to one peer.
func (n *Node) Whisper(to UUID, frames ...[]byte) error {
	pr, err := n.started()
	if err != nil {
		return err
	}
	p := pr.entered.get(to)
	if p == nil || !p.out.send(zre.KindWhisper, "", frames) {
		return n.gone(to)
	}
	return nil
}

// gone is the answer to a message for a peer that is not there.
func (n *Node) gone(id UUID) error {
	if _, err := n.started(); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s", ErrUnknownPeer, hexID(id))
}

// Shout sends a message to the peers in a group.
func (n *Node) Shout(group string, frames ...[]byte) error {
	pr, err := n.started()
	if err != nil {
		return err
	}
	pr.shout(group, frames)
	if n.pr.Load() == pr {
		return nil
	}
	if _, err = n.started(); err == nil {
		err = ErrNotStarted // it was stopped meanwhile, and some may not have got it
	}
	return err
}

// Recv returns the next event.
func (n *Node) Recv(ctx context.Context) (Event, error) { return n.inbox.get(ctx) }

// RequirePeer connects to a peer that discovery does not find.
func (n *Node) RequirePeer(id UUID, endpoint, publicKey string) error {
	k, err := n.peerKey(publicKey)
	if err != nil {
		return err
	}
	pr, err := n.started()
	if err != nil {
		return err
	}
	return pr.require(id, endpoint, k)
}

// peerKey reads the public key of a peer: with CURVE there must be one.
func (n *Node) peerKey(text string) (k [32]byte, err error) {
	if n.cfg.Keys == nil {
		if text != "" {
			return k, rule.Invalid("key", text, "is of no use to a node without a certificate")
		}
		return k, nil
	}
	if k, err = key.Decode(text); err != nil {
		return k, rule.Invalid("key", text, "is not a public key of 40 characters in Z85, which a node with a certificate needs")
	}
	return k, nil
}

// GossipUnpublish withdraws a node that has gone from the gossip table.
func (n *Node) GossipUnpublish(id UUID) error {
	pr, err := n.started()
	if err != nil {
		return err
	}
	if !n.cfg.gossips() {
		return rule.Invalid("node", n.Name(), "has no gossip")
	}
	if !pr.unpublish(id) {
		return ErrNotStarted // it is being stopped
	}
	return nil
}

// UUID returns the identity of the presence, or of the one to come.
func (n *Node) UUID() UUID {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.id
}

// Name returns the name.
func (n *Node) Name() string { return n.nameOf(n.UUID()) }

func (n *Node) nameOf(id UUID) string {
	if n.cfg.Name != "" {
		return n.cfg.Name
	}
	return hexID(id)[:6]
}

func hexID(id UUID) string { return strings.ToUpper(hex.EncodeToString(id[:])) }

// Peers returns the peers that have entered.
func (n *Node) Peers() []UUID {
	pr := n.pr.Load()
	if pr == nil {
		return nil
	}
	return slices.Collect(maps.Keys(pr.entered.all()))
}

// GroupPeers returns the peers in a group.
func (n *Node) GroupPeers(name string) []UUID {
	pr := n.pr.Load()
	if pr == nil {
		return nil
	}
	g := pr.groups.get(name)
	if g == nil {
		return nil
	}
	var ids []UUID
	for _, p := range *g.list.Load() {
		ids = append(ids, p.id)
	}
	return ids
}

// Groups returns the groups of this node.
func (n *Node) Groups() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.groups)
}

// PeerGroups returns the groups that peers are in.
func (n *Node) PeerGroups() []string {
	pr := n.pr.Load()
	if pr == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(pr.groups.all()))
}

// Peer returns what is known of a peer.
func (n *Node) Peer(id UUID) (Peer, bool) {
	pr := n.pr.Load()
	if pr == nil {
		return Peer{}, false
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	p := pr.entered.m[id]
	if p == nil {
		return Peer{}, false
	}
	return p.describe(), true
}

// describe is called with the presence's lock held.
func (p *peer) describe() Peer {
	return Peer{
		UUID: p.id, Name: p.name, Endpoint: p.at.endpoint, Headers: p.headers,
		Groups: slices.Sorted(maps.Keys(p.groups)),
	}
}

// lost adds the counts of a sender that ends to those of the node.
func (n *Node) lost(s *sender) {
	n.dropped.Add(s.close())
	messages, bytes, _ := s.counts()
	n.sent.Add(messages)
	n.sentBytes.Add(bytes)
}

// Stats returns the counters.
func (n *Node) Stats() Stats {
	var s Stats
	pr := n.pr.Load()
	if pr == nil {
		pr = n.leaving.Load()
	}
	if pr != nil {
		// While it is held, no peer moves from its own counters to the node's.
		pr.mu.Lock()
		defer pr.mu.Unlock()
		pr.count(&s)
	}
	s.InboxEvents, s.InboxBytes = n.inbox.size()
	s.Sent += n.sent.Load()
	s.SentBytes += n.sentBytes.Load()
	s.Received, s.ReceivedBytes = n.received.Load(), n.receivedBytes.Load()
	s.Entered, s.Exited = n.enters.Load(), n.exited.Load()
	s.Dropped, s.Reconnects = n.dropped.Load(), n.reconnects.Load()
	s.Refused += n.refused.Load()
	return s
}

// count adds what the presence and its peers count; mu is held.
func (pr *presence) count(s *Stats) {
	s.Peers = len(pr.entered.m)
	s.Refused += pr.refused()
	for _, p := range pr.peers {
		messages, bytes, waiting := p.out.counts()
		s.Sent += messages
		s.SentBytes += bytes
		s.QueuedBytes += waiting
	}
}

// refused is what discovery has refused; mu is held.
func (pr *presence) refused() (n uint64) {
	if pr.beacon != nil {
		n += pr.beacon.Refused()
	}
	if pr.gossip != nil {
		n += pr.gossip.Refused()
	}
	return n
}

// Dump writes the state for a person to read.
func (n *Node) Dump(w io.Writer) error {
	var b strings.Builder
	id := n.UUID()
	fmt.Fprintf(&b, "node %q %s (%s)\n", n.nameOf(id), hexID(id), "fallback "+Version)
	fmt.Fprintf(&b, "groups: %q\n", n.Groups())
	if pr := n.pr.Load(); pr == nil {
		b.WriteString("not started\n")
	} else {
		pr.dump(&b)
	}
	fmt.Fprintf(&b, "%+v\n", n.Stats())
	_, err := io.WriteString(w, b.String())
	return err
}

func (pr *presence) dump(b *strings.Builder) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	fmt.Fprintf(b, "listens on %s\n", pr.bound)
	for _, l := range pr.links {
		fmt.Fprintf(b, "announced on %s as %s\n", l.Name, l.Addr)
	}
	if pr.published != "" {
		fmt.Fprintf(b, "told the gossip %s\n", pr.published)
	}
	peers := slices.SortedFunc(maps.Values(pr.peers), func(a, b *peer) int { return strings.Compare(a.name, b.name) })
	for _, p := range peers {
		d := p.describe()
		state := "entered"
		if !p.entered {
			state = "found, has not said HELLO"
		}
		_, _, waiting := p.out.counts()
		fmt.Fprintf(b, "peer %q %s at %s: %s; we are connected to it: %t, it to us: %t; %d bytes wait; groups %q, headers %q\n",
			d.Name, hexID(d.UUID), d.Endpoint, state, p.dialled, p.in != nil, waiting, d.Groups, d.Headers)
	}
}
