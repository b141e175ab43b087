package conformance

import (
	"slices"
	"testing"

	"github.com/gozyre/zyre"
	"github.com/gozyre/zyre/internal/testport"
)

var curveTests = []test{
	{"Curve", curve},
	{"CurveAllowedKeys", curveAllowedKeys},
	{"CurveRequirePeer", curveRequirePeer},
	{"CurveStopAndStart", curveStopStart},
}

// keyHeader is where a node with a certificate shows its public key.
const keyHeader = "X-PUBLICKEY"

func newCert(t testing.TB) zyre.Cert {
	t.Helper()
	cert, err := zyre.NewCert()
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// safe starts a node with a certificate.
func (m *mesh) safe(name string, cert zyre.Cert, o Options) *node {
	m.Helper()
	o.SecretKey = cert.SecretKey()
	return m.start(name, o)
}

// curve: nodes with a certificate show their keys to each other, and those
// without one are another network.
func curve(m *mesh) {
	plain := []*node{m.start("plain", Options{}), m.start("plain too", Options{})}
	m.meet(plain...)
	certs := []zyre.Cert{newCert(m), newCert(m), newCert(m)}
	nodes := []*node{m.safe("a", certs[0], Options{}), m.safe("b", certs[1], Options{})}
	m.meet(nodes...)
	nodes = append(nodes, m.safe("c", certs[2], Options{Headers: map[string]string{"X-ROLE": "late"}}))
	c := nodes[2]
	for i, n := range nodes[:2] {
		if ev := n.await(zyre.Enter, c.UUID()); ev.Header(keyHeader) != certs[2].PublicKey() || ev.Header("X-ROLE") != "late" {
			m.Errorf("the peer's headers are %q, its key is %s", ev.Headers, certs[2].PublicKey())
		}
		if ev := c.await(zyre.Enter, n.UUID()); ev.Header(keyHeader) != certs[i].PublicKey() {
			m.Errorf("the peer's headers are %q, its key is %s", ev.Headers, certs[i].PublicKey())
		}
	}
	m.joined("G", nodes)
	m.shoutAll("G", nodes)
	msg := frames("secret", "", "\x00", string(make([]byte, 1<<20)), "tail")
	m.ok(c.Whisper(nodes[0].UUID(), msg...), "whisper")
	nodes[0].expect(c.event(zyre.Whisper, "", msg...))
	m.talk(nodes[1], c, 5000)
	m.apart(nodes)
	m.apart(plain)
}

// curveAllowedKeys: who is not on the list is no peer, whatever his engine,
// hears nothing of what is said, and is not heard.
func curveAllowedKeys(m *mesh) {
	listed := []zyre.Cert{newCert(m), newCert(m), newCert(m)}
	var list []string
	for _, cert := range listed {
		list = append(list, cert.PublicKey())
	}
	o := Options{AllowedKeys: list}
	nodes := []*node{m.safe("a", listed[0], o), m.safe("b", listed[1], o)}
	m.meet(nodes...)
	var strangers []*node
	for range m.factories {
		stranger := m.safe("stranger", newCert(m), Options{})
		m.ok(stranger.Join("G"), "join")
		strangers = append(strangers, stranger)
	}
	nodes = append(nodes, m.safe("c", listed[2], o))
	m.meet(nodes[0], nodes[2])
	m.meet(nodes[1], nodes[2])
	m.joined("G", nodes)
	m.shoutAll("G", nodes)
	// Libzyre introduces itself to those whom it cannot hear.
	shy := slices.DeleteFunc(slices.Clone(nodes), func(n *node) bool { return n.engine.Partial })
	for _, s := range strangers {
		m.unheard(s, shy)
	}
	for _, s := range strangers {
		m.ok(s.Shout("G", frames("from a stranger")...), "shout")
		for _, id := range s.Peers() {
			m.ok(s.Whisper(id, frames("from a stranger")...), "whisper")
		}
	}
	m.talk(nodes[0], nodes[1], 100)
	m.talk(nodes[1], nodes[2], 100)
	m.apart(nodes)
}

// unheard checks that a stranger has met none of the nodes. Strangers may
// know each other.
func (m *mesh) unheard(stranger *node, nodes []*node) {
	m.Helper()
	for _, n := range nodes {
		if p, ok := stranger.Peer(n.UUID()); ok {
			m.Errorf("the stranger knows %+v", p)
		}
	}
	if got := stranger.Stats().Received; got != 0 {
		m.Errorf("the stranger has received %d messages", got)
	}
}

// curveRequirePeer: a peer is found by hand with its key, and with that alone.
func curveRequirePeer(m *mesh) {
	second, cert := testport.Next(), newCert(m)
	target := m.safe("target", cert, Options{Port: second})
	guide := m.safe("guide", newCert(m), Options{Port: second})
	addr := guide.await(zyre.Enter, target.UUID()).Addr
	target.await(zyre.Enter, guide.UUID())
	mistaken, n := m.safe("mistaken", newCert(m), Options{Port: testport.Next()}), m.safe("n", newCert(m), Options{})
	m.is(n.RequirePeer(target.UUID(), addr, ""), zyre.ErrInvalid, "RequirePeer without a key")
	m.is(n.RequirePeer(target.UUID(), addr, "short"), zyre.ErrInvalid, "RequirePeer with a bad key")
	m.ok(mistaken.RequirePeer(target.UUID(), addr, newCert(m).PublicKey()), "RequirePeer with another's key")
	m.ok(n.RequirePeer(target.UUID(), addr, cert.PublicKey()), "RequirePeer")
	m.meet(n, target)
	m.talk(n, target, 10)
	m.same("the peers of the target", target.Peers(), guide, n)
	m.unheard(mistaken, []*node{target})
}

// curveStopStart: a certificate outlives the presence.
func curveStopStart(m *mesh) {
	cert := newCert(m)
	a, b := m.safe("a", newCert(m), Options{}), m.safe("b", cert, Options{})
	m.meet(a, b)
	exit := b.event(zyre.Exit, "")
	m.ok(b.Stop(), "stop")
	a.expect(exit)
	m.startAgain(b)
	if ev := a.await(zyre.Enter, b.UUID()); ev.Header(keyHeader) != cert.PublicKey() {
		m.Errorf("got %v", ev)
	}
	b.await(zyre.Enter, a.UUID())
	m.talk(a, b, 10)
}
