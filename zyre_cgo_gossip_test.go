//go:build cgo && !purego

package zyre

import (
	"errors"
	"strings"
	"testing"

	"github.com/gozyre/zyre/internal/testport"
)

const anyLocal = "tcp://127.0.0.1:*"

func TestGossip(t *testing.T) {
	hub := testport.Endpoint()
	a := startNode(t, "a", WithEndpoint(anyLocal), WithGossipBind(hub))
	b := startNode(t, "b", WithEndpoint(anyLocal), WithGossipConnect(hub), WithHeader("K", "v"))
	c := startNode(t, "c", WithInterface("lo"), WithGossipConnect(hub)) // no endpoint: it chooses
	meet(t, a, b, c)
	if ev := next(t, c, Enter); !strings.HasPrefix(ev.Addr, "tcp://127.0.0.1:") {
		t.Errorf("enter: %v", ev)
	}
	must(t, b.Whisper(c.UUID(), []byte("hello")))
	if ev := next(t, c, Whisper); ev.Text() != "hello" {
		t.Errorf("whisper: %v", ev)
	}
	id := b.UUID()
	must(t, b.Stop())
	if ev := next(t, c, Exit); ev.Peer != id {
		t.Errorf("exit: %v", ev)
	}
	wantError(t, "Unpublish", a.GossipUnpublish(id), unlessDrafts())
}

// unlessDrafts is the error of what needs a czmq with draft functions.
func unlessDrafts() error {
	if czmqHasDrafts() {
		return nil
	}
	return errors.ErrUnsupported
}

func TestAdvertisedEndpoint(t *testing.T) {
	hub, listen := testport.Endpoint(), testport.Endpoint()
	// Another name of the same address, as a NAT would give it.
	advertised := strings.Replace(listen, "127.0.0.1", "127.0.0.2", 1)
	a := startNode(t, "a", WithEndpoint(anyLocal), WithGossipBind(hub))
	startNode(t, "b", WithEndpoint(strings.Replace(listen, "127.0.0.1", "*", 1)), WithAdvertisedEndpoint(advertised), WithGossipConnect(hub))
	ev := next(t, a, Enter)
	if p, _ := a.Peer(ev.Peer); ev.Addr != advertised || p.Endpoint != advertised {
		t.Errorf("advertised %s: %v, %+v", advertised, ev, p)
	}
}

func TestRequirePeer(t *testing.T) {
	endpoint := testport.Endpoint()
	a := startNode(t, "a", WithEndpoint(anyLocal))
	b := startNode(t, "b", WithEndpoint(endpoint))
	wantError(t, "no endpoint", a.RequirePeer(b.UUID(), "nonsense", ""), ErrInvalid)
	wantError(t, "no port", a.RequirePeer(b.UUID(), "tcp://127.0.0.1", ""), ErrInvalid)
	wantError(t, "a key", a.RequirePeer(b.UUID(), endpoint, strings.Repeat("k", 40)), ErrInvalid)
	must(t, a.RequirePeer(b.UUID(), endpoint, ""))
	meet(t, a, b)
	if p, _ := a.Peer(b.UUID()); p.Endpoint != endpoint {
		t.Errorf("peer: %+v", p)
	}
}

// A peer that says that it is where another is takes nothing from that one.
func TestPeersOfOneAddress(t *testing.T) {
	endpoint, elsewhere := testport.Endpoint(), testport.Endpoint()
	a := startNode(t, "a", WithEndpoint(anyLocal))
	b := startNode(t, "b", WithEndpoint(endpoint))
	c := startNode(t, "c", WithEndpoint(elsewhere), WithAdvertisedEndpoint(endpoint))
	must(t, a.RequirePeer(b.UUID(), endpoint, ""))
	meet(t, a, b)
	must(t, a.RequirePeer(c.UUID(), elsewhere, ""))
	meet(t, a, c)
	for _, peer := range []*Node{b, c} {
		must(t, a.Whisper(peer.UUID(), []byte("still there?")))
		next(t, peer, Whisper)
		must(t, peer.Whisper(a.UUID(), []byte("yes")))
		if ev := next(t, a, Whisper, Exit); ev.Type != Whisper || ev.Peer != peer.UUID() {
			t.Errorf("instead of the answer of %q: %v", peer.Name(), ev)
		}
	}
}

// libzyre on a czmq without drafts would go on in clear.
func TestCurveNeverFallsBackToClear(t *testing.T) {
	cert, err := NewCert()
	must(t, err)
	if czmqHasDrafts() {
		t.Skip("this czmq has draft functions")
	}
	_, err = New("n", WithCert(cert), WithEndpoint(anyLocal), WithGossipConnectCurve(cert.PublicKey(), "tcp://127.0.0.1:1"))
	wantError(t, "gossip with CURVE", err, errors.ErrUnsupported)
	_, err = New("n", WithCert(cert), WithGossipBind(anyLocal))
	wantError(t, "gossip hub with CURVE", err, errors.ErrUnsupported)
	_, err = New("n", WithGossipBind(anyLocal), WithBeacon())
	wantError(t, "beacons beside gossip", err, errors.ErrUnsupported)
}

func TestCurve(t *testing.T) {
	opts := beacons(t)
	var certs [3]Cert
	for i := range certs {
		var err error
		certs[i], err = NewCert()
		must(t, err)
	}
	a := startNode(t, "a", append(opts, WithCert(certs[0]), WithZAPDomain("nobody listens"))...)
	plain := startNode(t, "clear", opts...)
	b := startNode(t, "b", append(opts, WithCert(certs[1]))...)
	meet(t, a, b)
	must(t, a.Whisper(b.UUID(), []byte("secret")))
	if ev := next(t, b, Whisper); ev.Text() != "secret" || ev.Peer != a.UUID() {
		t.Errorf("whisper: %v", ev)
	}
	if len(plain.Peers()) != 0 {
		t.Errorf("a node without a certificate has peers %v", plain.Peers())
	}

	endpoint := testport.Endpoint()
	c := startNode(t, "c", WithCert(certs[2]), WithEndpoint(endpoint))
	wantError(t, "no key", a.RequirePeer(c.UUID(), endpoint, ""), ErrInvalid)
	wantError(t, "bad key", a.RequirePeer(c.UUID(), endpoint, "short"), ErrInvalid)
	must(t, a.RequirePeer(c.UUID(), endpoint, certs[2].PublicKey()))
	meet(t, a, c)
}

func TestEndpointsThatCannotBeUsed(t *testing.T) {
	for _, endpoint := range []string{"x", "tcp://", "tcp://*", "tcp://127.0.0.1:99999", "tcp://:5", "udp://127.0.0.1:5", "%s%n"} {
		for name, option := range map[string]Option{
			"endpoint": WithEndpoint(endpoint), "bind": WithGossipBind(endpoint), "connect": WithGossipConnect(endpoint),
		} {
			_, err := New("n", option)
			wantError(t, name+" "+endpoint, err, ErrInvalid)
		}
	}
	// One that only libzmq finds out about.
	n := newNode(t, "n", WithEndpoint("tcp://nosuch0:6000"))
	if err := n.Start(t.Context()); err == nil {
		t.Error("started on an interface that does not exist")
	}
}

func TestContest(t *testing.T) {
	opts := append(beacons(t), WithContest("G"))
	a, b := newNode(t, "a", opts...), newNode(t, "b", opts...)
	for _, n := range []*Node{a, b} {
		must(t, n.Join("G"))
		start(t, n)
	}
	meet(t, a, b)
	la, lb := next(t, a, Leader), next(t, b, Leader)
	if la.Peer != lb.Peer || la.Group != "G" || la.Peer != a.UUID() && la.Peer != b.UUID() || la.Name != lb.Name {
		t.Errorf("elected %v and %v", la, lb)
	}
}

func TestMulticast(t *testing.T) {
	opts := append(beacons(t), WithMulticast("ff02::1"))
	a, b := startNode(t, "a", opts...), startNode(t, "b", opts...)
	meet(t, a, b)
	if ev := next(t, a, Enter); !strings.HasPrefix(ev.Addr, "tcp://[fe80:") && !strings.HasPrefix(ev.Addr, "tcp://fe80:") {
		t.Errorf("enter: %v", ev)
	}
	// One setting for the process, which nodes with IPv6 go on reading.
	err := newNode(t, "c", beacons(t)...).Start(t.Context())
	wantError(t, "an IPv4 node beside them", err, errors.ErrUnsupported)
	must(t, a.Close())
	must(t, b.Close())
	start(t, newNode(t, "d", beacons(t)...))

	_, err = New("n", WithMulticast("239.1.2.3"))
	wantError(t, "an IPv4 group that is not in the environment", err, unlessDrafts())
}
