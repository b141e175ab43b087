// Package zyre lets the programs on a network find each other and talk
// without a broker: each announces itself by UDP beacon, connects to every
// other, joins named groups, whispers to one peer or shouts to a group, and
// is told as events who enters, joins, leaves, falls silent and exits.
//
// It speaks ZRE v2 (RFC 36 of ZeroMQ: https://rfc.zeromq.org/spec/36/), so
// its nodes work in the networks of Zyre (C), Pyre (Python) and zyre.js.
//
//	node, err := zyre.New("alice")
//	if err != nil { … }
//	defer node.Close()
//	if err := node.Start(ctx); err != nil { … }
//	node.Join("CHAT")
//	node.Shout("CHAT", []byte("hello"))
//	for ev, err := range node.Events(ctx) { … }
//
// # Engines
//
// One API, two engines, chosen when the program is built. With cgo the node
// runs on libzyre, which must be installed. With the build tag purego, or
// with CGO_ENABLED=0, it runs on package fallback, which is Go only and
// runs on every platform. [Version] tells which one a program has. The tag also
// turns off the assembly of golang.org/x/crypto, which makes [WithCert] fast:
// CGO_ENABLED=0 does not.
//
// # Concurrency
//
// Every function and method may be called from any goroutine at any time,
// also on a node that is not started or is closed: it then returns an error.
// No call waits for the application to read its events.
package zyre

import (
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/gozyre/zyre/internal/rule"
)

// Node is one node on the network. Make it with [New]. It is silent and
// invisible until Start, leaves politely on Stop, and may be started again.
type Node struct {
	cfg *config
	// The engine is a concrete type, chosen by build tag, so that a call does
	// not make its arguments escape to the heap; backend says what it must do.
	engine *engine
}

// backend is the seam between a Node and its engine. The engine checks the
// state of the node; the arguments were checked before.
type backend interface {
	start(ctx context.Context) error
	stop() error
	close() error
	join(group string) error
	leave(group string) error
	whisper(peer UUID, frames [][]byte) error
	shout(group string, frames [][]byte) error
	recv(ctx context.Context) (Event, error)
	uuid() UUID
	name() string
	peers() []UUID
	groupPeers(group string) []UUID
	groups() []string
	peerGroups() []string
	peer(id UUID) (Peer, bool)
	requirePeer(id UUID, endpoint, key string) error
	gossipUnpublish(id UUID) error
	stats() Stats
	dump(w io.Writer) error
}

var _ backend = (*engine)(nil)

// Peer is what a node knows of another.
type Peer struct {
	UUID     UUID
	Name     string
	Endpoint string            // where this node connected to, such as "tcp://192.168.1.7:49152"
	Headers  map[string]string // must not be changed
	Groups   []string          // sorted
}

// Stats are counters of a node since New, and its state now. An engine
// leaves at zero what it cannot count.
type Stats struct {
	Sent, Received           uint64 // messages: whispers, and shouts once per peer
	SentBytes, ReceivedBytes uint64 // of their frames
	Dropped                  uint64 // messages that were accepted and then lost with their peer
	Peers                    int    // that have entered
	Entered, Exited          uint64 // peers, over time
	Reconnects               uint64 // connections made again without losing the peer
	Refused                  uint64 // connections, datagrams and messages that broke the protocol or a limit
	InboxEvents, InboxBytes  int    // waiting for Recv
	QueuedBytes              int    // waiting to be sent, to all peers
}

// New makes a node with a name, which peers get with every event, up to 255
// bytes; if it is empty the node is named after its UUID. Nothing is opened
// or sent before Start. Close the node when it is no longer used.
//
// An option with a bad value is [ErrInvalid]; one that the engine does not
// have is [errors.ErrUnsupported].
func New(name string, opts ...Option) (*Node, error) {
	cfg, err := newConfig(name, opts)
	if err != nil {
		return nil, err
	}
	e, err := newEngine(cfg)
	if err != nil {
		return nil, err
	}
	return &Node{cfg: cfg, engine: e}, nil
}

// Start opens the node's ports and announces it. It returns as soon as that
// is done; ctx bounds only this call. Peers that run already are told of in
// the first milliseconds. Groups joined before count from the start.
//
// Errors: [ErrStarted], [ErrClosed], [ErrNoInterface], or that of a port
// that could not be opened.
func (n *Node) Start(ctx context.Context) error { return n.engine.start(ctx) }

// Stop leaves the network: what was sent is delivered, to peers that take it
// within a second, then they get Exit at once. A [Stop] event is the last one
// of this node until it is started again, which makes it a new presence with a
// new UUID. Groups stay joined.
// Stop of a node that is not started is [ErrNotStarted].
func (n *Node) Stop() error { return n.engine.stop() }

// Close stops the node if it runs and ends every blocked call with
// [ErrClosed]. Events that were not read are dropped. Closing again does
// nothing.
func (n *Node) Close() error { return n.engine.close() }

// Join makes the node a member of a group: it gets what peers shout there,
// and they get a Join event. Joining again does nothing. The name is 1 to
// 255 bytes without NUL. Possible before Start.
func (n *Node) Join(group string) error {
	if err := rule.Group(group); err != nil {
		return err
	}
	return n.engine.join(group)
}

// Leave ends the membership in a group; peers get a Leave event. Leaving a
// group that the node is not in does nothing.
func (n *Node) Leave(group string) error {
	if err := rule.Group(group); err != nil {
		return err
	}
	return n.engine.leave(group)
}

// Whisper sends a message of one or more frames to one peer. Frames may be
// empty; together they may have up to 64 MiB. They are not used after the
// call returns.
//
// Messages of one goroutine to one peer arrive in order, shouts included.
// Whisper waits while the peer's queue is full, see [WithSendLimit]; it does
// not wait for the peer to receive the message. If the peer leaves before
// that, its Exit event says so.
//
// Errors: [ErrUnknownPeer], [ErrEmptyMessage], [ErrTooLarge],
// [ErrNotStarted], [ErrClosed].
func (n *Node) Whisper(peer UUID, frames ...[]byte) error {
	if err := rule.Frames(frames); err != nil {
		return err
	}
	return n.engine.whisper(peer, frames)
}

// Shout sends a message to the other members of a group, which the node
// need not be a member of itself. It is not delivered to the sender, and a
// group without members is no error. Otherwise it is like [Node.Whisper].
func (n *Node) Shout(group string, frames ...[]byte) error {
	if err := rule.Group(group); err != nil {
		return err
	}
	if err := rule.Frames(frames); err != nil {
		return err
	}
	return n.engine.shout(group, frames)
}

// Whisperf whispers one formatted frame.
func (n *Node) Whisperf(peer UUID, format string, args ...any) error {
	return n.Whisper(peer, fmt.Appendf(nil, format, args...))
}

// Shoutf shouts one formatted frame.
func (n *Node) Shoutf(group, format string, args ...any) error {
	return n.Shout(group, fmt.Appendf(nil, format, args...))
}

// Recv returns the next event. It waits for one until ctx is done, whose
// error it then returns, or until the node is closed, which is [ErrClosed].
// Events of a stopped node can still be read. Several goroutines may call it;
// each event goes to one of them.
func (n *Node) Recv(ctx context.Context) (Event, error) { return n.engine.recv(ctx) }

// Events is the loop over Recv. It ends after yielding an error once, which
// is that of ctx or [ErrClosed].
func (n *Node) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for {
			ev, err := n.Recv(ctx)
			if !yield(ev, err) || err != nil {
				return
			}
		}
	}
}

// UUID returns the node's identity, which changes when it is started again.
func (n *Node) UUID() UUID { return n.engine.uuid() }

// Name returns the node's name.
func (n *Node) Name() string { return n.engine.name() }

// Peers returns the peers that have entered and not left.
func (n *Node) Peers() []UUID { return n.engine.peers() }

// GroupPeers returns the peers that are in a group.
func (n *Node) GroupPeers(group string) []UUID { return n.engine.groupPeers(group) }

// Groups returns the groups that this node has joined, in that order.
func (n *Node) Groups() []string { return n.engine.groups() }

// PeerGroups returns the groups that peers are in, sorted.
func (n *Node) PeerGroups() []string { return n.engine.peerGroups() }

// Peer returns what the node knows of a peer that has entered.
func (n *Node) Peer(id UUID) (Peer, bool) { return n.engine.peer(id) }

// RequirePeer connects to a peer that discovery does not find: its UUID, its
// endpoint such as "tcp://10.1.2.3:49152" and, with CURVE, its public key in
// Z85, else "". It does not wait; an Enter event says that the peer answered.
// A peer that is known already is left as it is.
func (n *Node) RequirePeer(id UUID, endpoint, key string) error {
	if id.IsZero() {
		return rule.Invalid("UUID", id, "is zero")
	}
	if err := rule.Endpoint(endpoint); err != nil {
		return err
	}
	return n.engine.requirePeer(id, endpoint, key)
}

// GossipUnpublish withdraws a node that has gone from the gossip table.
func (n *Node) GossipUnpublish(id UUID) error { return n.engine.gossipUnpublish(id) }

// Stats returns the node's counters.
func (n *Node) Stats() Stats { return n.engine.stats() }

// Dump writes the state of the node, its peers and groups for a person to read.
func (n *Node) Dump(w io.Writer) error { return n.engine.dump(w) }

// Version names the engine that the program was built with and its version:
// "fallback 0.1.0", or libzyre's, "libzyre 2.0.1".
func Version() string { return engineVersion() }
