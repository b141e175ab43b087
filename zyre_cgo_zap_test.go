//go:build cgo && !purego

package zyre

import (
	"fmt"
	"testing"
)

// Each node has its own list, and one that names nobody has no peers.
func TestAllowedKeysOfEachNode(t *testing.T) {
	opts := beacons(t)
	certs := [4]Cert{}
	for i := range certs {
		var err error
		certs[i], err = NewCert()
		must(t, err)
	}
	start := func(name string, cert Cert, more ...Option) *Node {
		return startNode(t, name, append(append(opts, WithCert(cert)), more...)...)
	}
	a := start("a", certs[0], WithAllowedKeys(certs[1].PublicKey()), WithAllowedKeys(certs[2].PublicKey()))
	hermit := start("hermit", certs[3], WithAllowedKeys())
	b := start("b", certs[1], WithAllowedKeys(certs[0].PublicKey()))
	open := start("open", certs[2])
	meet(t, a, b)
	meet(t, a, open)
	must(t, a.Stop())
	next(t, a, Stop)
	must(t, a.Start(t.Context()))
	for _, n := range []*Node{b, open} {
		for next(t, n, Enter).Peer != a.UUID() {
		}
	}
	for _, ev := range []Event{next(t, a, Enter), next(t, a, Enter)} {
		if ev.Peer != b.UUID() && ev.Peer != open.UUID() {
			t.Errorf("after the second start: %v", ev)
		}
	}
	for n, peers := range map[*Node]int{a: 2, b: 1, hermit: 0} {
		// The first a is gone when its farewell is here, which goes another way.
		waitFor(t, fmt.Sprintf("%s has %d peers", n.Name(), peers), func() bool { return len(n.Peers()) == peers })
	}
}

func TestAllowedKeysAndZAPDomain(t *testing.T) {
	cert, err := NewCert()
	must(t, err)
	_, err = New("n", WithCert(cert), WithAllowedKeys(cert.PublicKey()), WithZAPDomain("mine"))
	wantError(t, "two who decide", err, ErrInvalid)
}
