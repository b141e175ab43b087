//go:build !cgo || purego

package zyre

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/gozyre/zyre/fallback"
	"github.com/gozyre/zyre/internal/key"
)

// engine runs a node on package fallback.
type engine struct {
	node *fallback.Node
}

func engineVersion() string { return "fallback " + fallback.Version }

func newEngine(c *config) (*engine, error) {
	if c.zapDomain != "" {
		return nil, fmt.Errorf("zyre: the fallback engine has no ZAP, take WithAllowedKeys: %w", errors.ErrUnsupported)
	}
	var hubs []fallback.Hub
	for _, h := range c.gossipConnect {
		hub := fallback.Hub{Endpoint: h.endpoint}
		if h.key != "" {
			hub.Key, _ = key.Decode(h.key) // checked as an option
		}
		hubs = append(hubs, hub)
	}
	var keys *key.Pair
	if c.cert.hasSecret() {
		keys = &c.cert.pair
	}
	node, err := fallback.New(fallback.Config{
		Name:          c.name,
		Headers:       c.headers,
		Logger:        c.logger,
		Port:          c.port,
		PeerPort:      c.peerPort,
		Interval:      c.interval,
		Interfaces:    c.interfaces,
		Multicast:     slices.DeleteFunc([]string{c.multicast, c.multicast6}, func(g string) bool { return g == "" }),
		IPv6:          c.ipv6,
		DualStack:     c.dualStack,
		IPv6Addr:      c.ipv6Addr,
		Evasive:       c.evasive,
		Silent:        c.silent,
		Expired:       c.expired,
		Advertised:    c.advertised,
		Contests:      c.contests,
		Endpoint:      c.endpoint,
		GossipBind:    c.gossipBind,
		GossipConnect: hubs,
		Beacon:        c.beacon,
		Keys:          keys,
		Allowed:       c.allowed,
		InboxLimit:    c.inboxLimit,
		SendLimit:     c.sendLimit,
		MessageLimit:  c.messageLimit,
		SendTimeout:   c.sendTimeout,
	})
	if err != nil {
		return nil, err
	}
	return &engine{node}, nil
}

func (e *engine) start(ctx context.Context) error { return e.node.Start(ctx) }
func (e *engine) stop() error                     { return e.node.Stop() }
func (e *engine) close() error                    { return e.node.Close() }
func (e *engine) join(group string) error         { return e.node.Join(group) }
func (e *engine) leave(group string) error        { return e.node.Leave(group) }
func (e *engine) uuid() UUID                      { return e.node.UUID() }
func (e *engine) name() string                    { return e.node.Name() }
func (e *engine) peers() []UUID                   { return uuids(e.node.Peers()) }
func (e *engine) groupPeers(group string) []UUID  { return uuids(e.node.GroupPeers(group)) }
func (e *engine) groups() []string                { return e.node.Groups() }
func (e *engine) peerGroups() []string            { return e.node.PeerGroups() }
func (e *engine) gossipUnpublish(id UUID) error   { return e.node.GossipUnpublish(id) }
func (e *engine) stats() Stats                    { return Stats(e.node.Stats()) }
func (e *engine) dump(w io.Writer) error          { return e.node.Dump(w) }

func (e *engine) whisper(peer UUID, frames [][]byte) error {
	return e.node.Whisper(peer, frames...)
}

func (e *engine) shout(group string, frames [][]byte) error {
	return e.node.Shout(group, frames...)
}

func (e *engine) recv(ctx context.Context) (Event, error) {
	ev, err := e.node.Recv(ctx)
	return Event{
		Type:    EventType(ev.Kind),
		Peer:    ev.Peer,
		Name:    ev.Name,
		Addr:    ev.Addr,
		Group:   ev.Group,
		Headers: ev.Headers,
		Msg:     ev.Msg,
	}, err
}

func (e *engine) peer(id UUID) (Peer, bool) {
	p, ok := e.node.Peer(id)
	return Peer{UUID: p.UUID, Name: p.Name, Endpoint: p.Endpoint, Headers: p.Headers, Groups: p.Groups}, ok
}

func (e *engine) requirePeer(id UUID, endpoint, key string) error {
	return e.node.RequirePeer(id, endpoint, key)
}

func uuids(ids []fallback.UUID) []UUID {
	list := make([]UUID, len(ids))
	for i, id := range ids {
		list[i] = id
	}
	return list
}
