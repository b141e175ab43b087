package conformance

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/gozyre/zyre"
	"github.com/gozyre/zyre/internal/testport"
)

var captureTests = []test{
	{"ClearTextWithoutCurve", func(m *mesh) { m.capture(false) }},
	{"NoClearTextWithCurve", func(m *mesh) { m.capture(true) }},
	{"NoClearTextInGossipWithCurve", gossipCapture},
}

// wiretap is a place at which a node can be reached, and what has passed there
// in both directions.
type wiretap struct {
	endpoint string

	mu     sync.Mutex
	passed bytes.Buffer
}

// tap listens to all that is said to the node at an endpoint by those who
// reach it through the tap.
func (m *mesh) tap(endpoint string) *wiretap {
	m.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	m.ok(err, "listen")
	m.Cleanup(func() { l.Close() })
	w := &wiretap{endpoint: "tcp://" + l.Addr().String()}
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go w.join(near, strings.TrimPrefix(endpoint, "tcp://"))
		}
	}()
	return w
}

// join passes on what comes until one of the two ends hangs up.
func (w *wiretap) join(near net.Conn, address string) {
	defer near.Close()
	far, err := net.Dial("tcp", address)
	if err != nil {
		return // the node has gone, or not come yet
	}
	defer far.Close()
	go func() {
		_, _ = io.Copy(near, io.TeeReader(far, w))
		near.Close()
	}()
	_, _ = io.Copy(far, io.TeeReader(near, w))
}

// Write records.
func (w *wiretap) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.passed.Write(b)
}

// bytes returns how many have passed.
func (w *wiretap) bytes() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.passed.Len()
}

func (w *wiretap) heard(text []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return bytes.Contains(w.passed.Bytes(), text)
}

// secrets are what nobody on the way may read, by what it is.
func secrets(nodes ...*node) map[string][]byte {
	texts := map[string][]byte{}
	for _, s := range []string{"name", "header", "value", "group", "whisper", "shout"} {
		texts[s] = []byte("the secret " + s)
	}
	for i, n := range nodes {
		id := n.UUID()
		texts[fmt.Sprint("UUID ", i)] = id[:]
	}
	return texts
}

// capture has all that two nodes say to each other pass a wiretap. Without
// CURVE it can be read there, which shows that the tap is at the right place.
func (m *mesh) capture(curve bool) {
	certs := []zyre.Cert{newCert(m), newCert(m)}
	var taps []*wiretap
	var nodes []*node
	for i := range 2 {
		o := Options{Endpoint: testport.Endpoint(), Headers: map[string]string{"the secret header": "the secret value"}}
		taps = append(taps, m.tap(o.Endpoint))
		o.Advertised = taps[i].endpoint
		if curve {
			o.SecretKey = certs[i].SecretKey()
		}
		nodes = append(nodes, m.start("the secret name", o))
	}
	a, b := nodes[0], nodes[1]
	key := ""
	if curve {
		key = certs[1].PublicKey()
	}
	m.ok(a.RequirePeer(b.UUID(), taps[1].endpoint, key), "RequirePeer")
	m.meet(a, b)
	const group = "the secret group"
	m.joined(group, nodes)
	whisper, shout := []byte("the secret whisper"), []byte("the secret shout")
	m.ok(a.Whisper(b.UUID(), whisper), "whisper")
	m.ok(a.Shout(group, shout), "shout")
	b.expect(a.event(zyre.Whisper, "", whisper), a.event(zyre.Shout, group, shout))
	texts := secrets(nodes...)
	if curve {
		for i, cert := range certs {
			texts[fmt.Sprint("key ", i)] = []byte(cert.PublicKey())
		}
	}
	m.overheard(curve, texts, taps)
}

// overheard checks what of the texts has passed the taps: with CURVE none,
// without it all.
func (m *mesh) overheard(curve bool, texts map[string][]byte, taps []*wiretap) {
	m.Helper()
	for what, text := range texts {
		heard := slices.ContainsFunc(taps, func(w *wiretap) bool { return w.heard(text) })
		if heard == curve {
			m.Errorf("with CURVE: %v; the %s was heard: %v", curve, what, heard)
		}
	}
	for i, w := range taps {
		if w.heard([]byte("CURVE")) != curve || w.bytes() < 200 {
			m.Errorf("tap %d has heard %d bytes, not a conversation", i, w.bytes())
		}
	}
}

// gossipCapture: what a hub is told of the nodes cannot be read on the way.
func gossipCapture(m *mesh) {
	cert, hub := newCert(m), testport.Endpoint()
	bind := binds(hub)
	bind.SecretKey = cert.SecretKey()
	if m.factories = m.enginesWith(bind); len(m.factories) == 0 {
		return
	}
	tap := m.tap(hub)
	nodes := []*node{m.start("hub", bind)}
	texts := map[string][]byte{"key of the hub": []byte(cert.PublicKey()), "endpoint": []byte("tcp://")}
	for _, name := range []string{"a", "b"} {
		own := newCert(m)
		texts["key of "+name] = []byte(own.PublicKey())
		nodes = append(nodes, m.start(name, Options{
			Interface: "lo", GossipConnect: []Hub{{tap.endpoint, cert.PublicKey()}}, SecretKey: own.SecretKey(),
		}))
	}
	m.meet(nodes...)
	for what, id := range secrets(nodes...) {
		texts[what] = id
		texts["text of "+what] = fmt.Appendf(nil, "%X", id)
	}
	m.overheard(true, texts, []*wiretap{tap})
}
