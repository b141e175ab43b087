// Package conformance is what a Zyre node does, written down once as tests.
// [Run] runs them against one engine, or against a mesh of two that must not
// be told apart.
//
// Each test has a network of its own, told from the others by its UDP port,
// so tests run in parallel. Nothing sleeps to wait: a test reads events until
// the one that it expects, and fails when its patience is over.
//
// [Launch] and [Serve] run nodes in processes of their own, which a test can
// kill, stop, or start inside a host of package netlab.
package conformance

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gozyre/zyre"
)

// Node is the part of [zyre.Node] that the tests use.
type Node interface {
	Start(ctx context.Context) error
	Stop() error
	Close() error
	Join(group string) error
	Leave(group string) error
	Whisper(peer zyre.UUID, frames ...[]byte) error
	Shout(group string, frames ...[]byte) error
	Recv(ctx context.Context) (zyre.Event, error)
	UUID() zyre.UUID
	Name() string
	Peers() []zyre.UUID
	GroupPeers(group string) []zyre.UUID
	Groups() []string
	PeerGroups() []string
	Peer(id zyre.UUID) (zyre.Peer, bool)
	RequirePeer(id zyre.UUID, endpoint, key string) error
	GossipUnpublish(id zyre.UUID) error
	Stats() zyre.Stats
	Dump(w io.Writer) error
}

var _ Node = (*zyre.Node)(nil)

// Options are what a test asks of a node. What is zero is left to the engine,
// but for Port and Interface, which the suite fills in.
type Options struct {
	Headers                             map[string]string
	Interface                           string
	Interfaces                          []string // instead of Interface, where one is not enough
	Multicast                           string
	DualStack                           bool
	Port, PeerPort                      int
	Interval, Evasive, Silent, Expired  time.Duration
	InboxLimit, SendLimit, MessageLimit int

	Endpoint, Advertised string
	GossipBind           []string
	GossipConnect        []Hub
	Beacon               bool // beside gossip
	Contests             []string
	SecretKey            string   // of the certificate, in Z85
	AllowedKeys          []string // public, in Z85
}

func (o *Options) gossips() bool {
	return o.Endpoint != "" || len(o.GossipBind)+len(o.GossipConnect) > 0
}

// Hub is a gossip hub to connect to, with its public key if it uses CURVE.
type Hub struct{ Endpoint, Key string }

// Zyre returns the options of package zyre that say the same.
func (o Options) Zyre() []zyre.Option {
	var opts []zyre.Option
	for name, value := range o.Headers {
		opts = append(opts, zyre.WithHeader(name, value))
	}
	if o.Interface != "" {
		opts = append(opts, zyre.WithInterface(o.Interface))
	}
	if o.Interfaces != nil {
		opts = append(opts, zyre.WithInterface(o.Interfaces...))
	}
	if o.Multicast != "" {
		opts = append(opts, zyre.WithMulticast(o.Multicast))
	}
	if o.DualStack {
		opts = append(opts, zyre.WithDualStack())
	}
	number := func(with func(int) zyre.Option, n int) {
		if n != 0 {
			opts = append(opts, with(n))
		}
	}
	number(zyre.WithPort, o.Port)
	number(zyre.WithPeerPort, o.PeerPort)
	number(zyre.WithInboxLimit, o.InboxLimit)
	number(zyre.WithSendLimit, o.SendLimit)
	number(zyre.WithMessageLimit, o.MessageLimit)
	duration := func(with func(time.Duration) zyre.Option, d time.Duration) {
		if d != 0 {
			opts = append(opts, with(d))
		}
	}
	duration(zyre.WithInterval, o.Interval)
	duration(zyre.WithEvasiveTimeout, o.Evasive)
	duration(zyre.WithSilentTimeout, o.Silent)
	duration(zyre.WithExpiredTimeout, o.Expired)
	return append(opts, o.discovery()...)
}

func (o Options) discovery() (opts []zyre.Option) {
	texts := func(with func(string) zyre.Option, texts ...string) {
		for _, text := range texts {
			if text != "" {
				opts = append(opts, with(text))
			}
		}
	}
	texts(zyre.WithEndpoint, o.Endpoint)
	texts(zyre.WithAdvertisedEndpoint, o.Advertised)
	texts(zyre.WithGossipBind, o.GossipBind...)
	texts(zyre.WithContest, o.Contests...)
	for _, hub := range o.GossipConnect {
		if hub.Key == "" {
			opts = append(opts, zyre.WithGossipConnect(hub.Endpoint))
		} else {
			opts = append(opts, zyre.WithGossipConnectCurve(hub.Key, hub.Endpoint))
		}
	}
	if o.Beacon {
		opts = append(opts, zyre.WithBeacon())
	}
	if o.SecretKey != "" {
		opts = append(opts, withSecretKey(o.SecretKey))
	}
	if o.AllowedKeys != nil {
		opts = append(opts, zyre.WithAllowedKeys(o.AllowedKeys...))
	}
	return opts
}

func withSecretKey(secretKey string) zyre.Option {
	cert, err := zyre.CertFromSecret(secretKey)
	if err != nil {
		panic(err) // the test made it
	}
	return zyre.WithCert(cert)
}

// Factory makes the nodes of one engine.
type Factory struct {
	Name      string // of the engine
	Interface string // on which its nodes find each other in tests
	New       func(name string, o Options) (Node, error)

	// ReusesPorts says that a node listens on the first free TCP port. It
	// then gets what is still on its way to the node of another test that
	// was there just before, so the suite gives each node its own port.
	ReusesPorts bool

	// Partial says that the engine lacks what the table of differences in
	// package zyre says; it then answers errors.ErrUnsupported.
	Partial bool
}

// Zyre is the engine that package zyre was built with, on this interface.
func Zyre(iface string) Factory {
	return Factory{
		Name:        zyre.Version(),
		Interface:   iface,
		ReusesPorts: OnLibzyre(),
		Partial:     OnLibzyre(),
		New: func(name string, o Options) (Node, error) {
			n, err := zyre.New(name, o.Zyre()...)
			if err != nil {
				return nil, err // not a nil *zyre.Node in an interface
			}
			return n, nil
		},
	}
}

// OnLibzyre reports whether package zyre was built with libzyre.
func OnLibzyre() bool { return strings.HasPrefix(zyre.Version(), "libzyre") }

// test is one test of the suite.
type test struct {
	name string
	run  func(m *mesh)
}

// inTurn are tests whose first node has another part than the others: in a
// mixed network it is once of each engine.
func inTurn(tests []test) []test {
	var both []test
	for _, tt := range tests {
		both = append(both, tt, test{tt.name + "InTurn", func(m *mesh) {
			slices.Reverse(m.factories)
			tt.run(m)
		}})
	}
	return both
}

// Run runs the suite. The nodes of each test are made by a and b in turn, so
// that with one factory twice it tests one engine, and with two a mixed
// network. The tests of a node by itself use a alone.
func Run(t *testing.T, a, b Factory) {
	// What counts goroutines and descriptors needs the process for itself;
	// it runs before the parallel tests do.
	for _, tt := range churnTests {
		t.Run(tt.name, func(t *testing.T) { tt.run(newMesh(t, a, b)) })
	}
	roles := slices.Concat(gossipTests, curveTests, captureTests, electionTests)
	if a.Name != b.Name {
		roles = inTurn(roles)
	}
	for _, group := range [][]test{
		lifecycleTests, inputTests, eventTests, tableTests, messageTests,
		orderTests, loadTests, processTests, roles,
	} {
		for _, tt := range group {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				tt.run(newMesh(t, a, b))
			})
		}
	}
}
