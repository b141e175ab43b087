package fallback

import (
	"context"
	"encoding/hex"
	"fmt"
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
	abort  func() // ends a Start that goes on

	pr      atomic.Pointer[presence] // nil: not started; set with life held
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
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pr, err := n.next(ctx, cancel)
	if err != nil {
		return err
	}
	// mu is not held here: a name may have to be looked up.
	err = pr.open(ctx)
	if err == nil {
		err = n.attach(pr) // who gets the first event finds the node started
	}
	if err == nil {
		err = pr.announce(ctx)
	}
	if err != nil {
		n.pr.Store(nil)
		pr.stop()
		if n.isClosed() {
			err = ErrClosed
		}
	}
	return err
}

// next makes the presence that is to be started. Close calls abort.
func (n *Node) next(ctx context.Context, abort func()) (*presence, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.closed:
		return nil, ErrClosed
	case n.pr.Load() != nil:
		return nil, ErrStarted
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	if !n.fresh {
		n.id = newUUID()
	}
	n.abort = abort
	return newPresence(n, n.id), nil
}

// attach makes a presence that of the node, with the groups of now.
func (n *Node) attach(pr *presence) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return ErrClosed
	}
	pr.own, pr.status = slices.Clone(n.groups), uint8(len(n.groups))
	n.fresh = false
	n.pr.Store(pr)
	return nil
}

func (n *Node) isClosed() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.closed
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
	if n.abort != nil {
		n.abort() // a Start that goes on
	}
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

// parseID reads the digits of a UUID that a node may have.
func parseID(text []byte) (id UUID, ok bool) {
	if len(text) != hex.EncodedLen(len(id)) {
		return id, false
	}
	_, err := hex.Decode(id[:], text)
	return id, err == nil && id != UUID{}
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
	var ids []UUID
	for _, p := range pr.membersOf(pr.groups.get(name)) {
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
