//go:build cgo && !purego

package zyre_test

import (
	"cmp"
	"context"
	"strings"
	"testing"

	"github.com/gozyre/zyre"
	"github.com/gozyre/zyre/fallback"
	"github.com/gozyre/zyre/internal/conformance"
	"github.com/gozyre/zyre/internal/key"
	"github.com/gozyre/zyre/internal/netlab"
)

func init() { factories = append(factories, pureGo()) }

// TestMixed runs the suite on networks of both engines.
func TestMixed(t *testing.T) {
	needNetwork(t)
	conformance.Run(t, engine(), pureGo())
}

// TestHostsMixed has an engine on each host.
func TestHostsMixed(t *testing.T) { conformance.RunHosts(t, engine(), pureGo()) }

// pureGo makes nodes of package fallback in a program that was built with
// libzyre, which package zyre itself does not do.
func pureGo() conformance.Factory {
	return conformance.Factory{
		Name:      "fallback " + fallback.Version,
		Interface: netlab.IsolatedInterface,
		New: func(name string, o conformance.Options) (conformance.Node, error) {
			interfaces := o.Interfaces
			if interfaces == nil {
				interfaces = []string{o.Interface}
			}
			var groups []string
			if o.Multicast != "" {
				groups = []string{o.Multicast}
			}
			cfg := fallback.Config{
				Name:         name,
				Headers:      o.Headers,
				Port:         o.Port,
				PeerPort:     o.PeerPort,
				Interfaces:   interfaces,
				Multicast:    groups,
				IPv6:         strings.Contains(o.Multicast, ":") && !o.DualStack,
				DualStack:    o.DualStack,
				Interval:     o.Interval,
				Evasive:      o.Evasive,
				Silent:       o.Silent,
				Expired:      o.Expired,
				InboxLimit:   cmp.Or(o.InboxLimit, zyre.DefaultInboxLimit),
				SendLimit:    cmp.Or(o.SendLimit, zyre.DefaultSendLimit),
				MessageLimit: o.MessageLimit,
				Endpoint:     o.Endpoint,
				Advertised:   o.Advertised,
				GossipBind:   o.GossipBind,
				Beacon:       o.Beacon,
				Contests:     o.Contests,
			}
			for _, hub := range o.GossipConnect {
				cfg.GossipConnect = append(cfg.GossipConnect, fallback.Hub{Endpoint: hub.Endpoint, Key: keyOf(hub.Key)})
			}
			for _, k := range o.AllowedKeys {
				cfg.Allowed = append(cfg.Allowed, keyOf(k))
			}
			if o.SecretKey != "" {
				pair, err := key.From(keyOf(o.SecretKey))
				if err != nil {
					return nil, err
				}
				cfg.Keys = &pair
			}
			n, err := fallback.New(cfg)
			if err != nil {
				return nil, err
			}
			return fallbackNode{n}, nil
		},
	}
}

// keyOf reads a key that the suite made; none is zero.
func keyOf(text string) (k [32]byte) {
	if text != "" {
		var err error
		if k, err = key.Decode(text); err != nil {
			panic(err)
		}
	}
	return k
}

// fallbackNode is a node of package fallback with the types of package zyre.
type fallbackNode struct{ *fallback.Node }

func (n fallbackNode) Whisper(to zyre.UUID, frames ...[]byte) error {
	return n.Node.Whisper(to, frames...)
}

func (n fallbackNode) Recv(ctx context.Context) (zyre.Event, error) {
	ev, err := n.Node.Recv(ctx)
	return zyre.Event{
		Type: zyre.EventType(ev.Kind), Peer: ev.Peer, Name: ev.Name, Addr: ev.Addr,
		Group: ev.Group, Headers: ev.Headers, Msg: ev.Msg,
	}, err
}

func (n fallbackNode) Peer(id zyre.UUID) (zyre.Peer, bool) {
	p, ok := n.Node.Peer(id)
	return zyre.Peer{UUID: p.UUID, Name: p.Name, Endpoint: p.Endpoint, Headers: p.Headers, Groups: p.Groups}, ok
}

func (n fallbackNode) RequirePeer(id zyre.UUID, endpoint, key string) error {
	return n.Node.RequirePeer(id, endpoint, key)
}

func (n fallbackNode) GossipUnpublish(id zyre.UUID) error {
	return n.Node.GossipUnpublish(id)
}

func (n fallbackNode) UUID() zyre.UUID                 { return n.Node.UUID() }
func (n fallbackNode) Peers() []zyre.UUID              { return ids(n.Node.Peers()) }
func (n fallbackNode) GroupPeers(g string) []zyre.UUID { return ids(n.Node.GroupPeers(g)) }
func (n fallbackNode) Stats() zyre.Stats               { return zyre.Stats(n.Node.Stats()) }

func ids(list []fallback.UUID) []zyre.UUID {
	var converted []zyre.UUID
	for _, id := range list {
		converted = append(converted, id)
	}
	return converted
}
