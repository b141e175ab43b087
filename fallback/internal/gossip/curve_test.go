package gossip

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/gozyre/zyre/fallback/internal/transport"
	"github.com/gozyre/zyre/fallback/internal/zmtp"
	"github.com/gozyre/zyre/internal/key"
)

func newKeys(t *testing.T) key.Pair {
	t.Helper()
	k, err := key.New()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// secret starts a node with keys that publishes the tuple of a number. As a
// hub it lets in whom allow says, or all. The hub that it connects to must
// have the key server.
func secret(t *testing.T, i int, own key.Pair, allow func([32]byte) zmtp.Verdict, bind, connect string, server [32]byte) *node {
	t.Helper()
	cfg := Config{
		Server: &zmtp.Self{Socket: "ROUTER", Curve: &zmtp.Curve{Keys: own, Allow: allow}, Listener: true},
		Client: func(h Hub) *zmtp.Self {
			return &zmtp.Self{Socket: "DEALER", Curve: &zmtp.Curve{Keys: own, ServerKey: h.Key}}
		},
	}
	if bind != "" {
		cfg.Bind = []string{bind}
	}
	if connect != "" {
		cfg.Connect = []Hub{{connect, server}}
	}
	n := startWith(t, cfg)
	n.Publish(keyOf(i), secretOf(i, own))
	return n
}

// secretOf is the value of such a node.
func secretOf(i int, own key.Pair) string { return valueOf(i) + "|" + key.Encode(own.Public) }

func TestCurve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := []key.Pair{newKeys(t), newKeys(t), newKeys(t)}
		allow := func(client [32]byte) zmtp.Verdict {
			if client == keys[1].Public || client == keys[2].Public {
				return zmtp.Allowed
			}
			return zmtp.Denied
		}
		hub := secret(t, 0, keys[0], allow, "inproc://hub", "", [32]byte{})
		nodes := []*node{hub}
		for i := 1; i < 3; i++ {
			nodes = append(nodes, secret(t, i, keys[i], nil, "", "inproc://hub", keys[0].Public))
		}
		settle()
		for i, n := range nodes {
			for j := range nodes {
				if got, want := n.has(keyOf(j), secretOf(j, keys[j])), i != j; got != want {
					t.Errorf("node %d knows of %d: %v", i, j, got)
				}
			}
			if n.Refused() != 0 {
				t.Errorf("node %d refused %d", i, n.Refused())
			}
		}
	})
}

func TestCurveRefuses(t *testing.T) {
	server, client := newKeys(t), newKeys(t)
	deny := func([32]byte) zmtp.Verdict { return zmtp.Denied }
	later := func([32]byte) zmtp.Verdict { return zmtp.Later }
	for name, pair := range map[string]func(t *testing.T) (hub, n *node){
		"a client without keys": func(t *testing.T) (hub, n *node) {
			return secret(t, 0, server, nil, "inproc://hub", "", [32]byte{}), named(t, 1, "", "inproc://hub")
		},
		"a hub without keys": func(t *testing.T) (hub, n *node) {
			return named(t, 0, "inproc://hub"), secret(t, 1, client, nil, "", "inproc://hub", server.Public)
		},
		"another server key": func(t *testing.T) (hub, n *node) {
			return secret(t, 0, server, nil, "inproc://hub", "", [32]byte{}),
				secret(t, 1, client, nil, "", "inproc://hub", client.Public)
		},
		"no server key": func(t *testing.T) (hub, n *node) {
			return secret(t, 0, server, nil, "inproc://hub", "", [32]byte{}),
				secret(t, 1, client, nil, "", "inproc://hub", [32]byte{})
		},
		"a client that is not allowed": func(t *testing.T) (hub, n *node) {
			return secret(t, 0, server, deny, "inproc://hub", "", [32]byte{}),
				secret(t, 1, client, nil, "", "inproc://hub", server.Public)
		},
		"a client that is not allowed yet": func(t *testing.T) (hub, n *node) {
			return secret(t, 0, server, later, "inproc://hub", "", [32]byte{}),
				secret(t, 1, client, nil, "", "inproc://hub", server.Public)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub, n := pair(t)
				settle()
				if hub.total() != 0 || n.total() != 0 || len(hub.tuples()) != 1 || len(n.tuples()) != 1 {
					t.Errorf("the hub has %v, the node %v", hub.tuples(), n.tuples())
				}
			})
		})
	}
}

// A node of libzyre that uses CURVE aborts when it hears of one without.
func TestCurveCarriesNoTupleWithoutKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newKeys(t)
		hub := secret(t, 0, server, nil, "inproc://hub", "", [32]byte{})
		hub.Publish(keyOf(1), valueOf(1))
		conn := connectTo(t, hub.hub())
		p := shake(t, conn, &zmtp.Self{Socket: "DEALER", Curve: &zmtp.Curve{Keys: newKeys(t), ServerKey: server.Public}})
		p.say(kindHello, tuple{})
		p.publish(2)
		if came := p.answered(); len(came) != 1 || came[0] != (tuple{keyOf(0), secretOf(0, server)}) {
			t.Errorf("the hub tells %v", came)
		}
		if hub.count(keyOf(2)) != 0 || hub.Refused() != 1 {
			t.Errorf("the hub has learnt %v, and refused %d", hub.tuples(), hub.Refused())
		}
	})
}

// A proxy sees no word of it.
func TestCurveShowsNothing(t *testing.T) {
	server, client := newKeys(t), newKeys(t)
	hub := secret(t, 0, server, nil, "tcp://127.0.0.1:*", "", [32]byte{})
	proxy := spyOn(t, hub.hub())
	n := secret(t, 1, client, nil, "", proxy.endpoint, server.Public)
	n.awaits(t, keyOf(0), secretOf(0, server))
	hub.awaits(t, keyOf(1), secretOf(1, client))
	seen := proxy.all()
	for _, word := range []string{keyOf(0), keyOf(1), "tcp://", "127.1.2.3", key.Encode(client.Public), "DEALER", "ROUTER"} {
		if bytes.Contains(seen, []byte(word)) {
			t.Errorf("%q is seen", word)
		}
	}
	if !bytes.Contains(seen, []byte("INITIATE")) {
		t.Error("nothing is seen")
	}
}

// spy passes connections on, and keeps what they carry.
type spy struct {
	endpoint string
	mu       sync.Mutex
	seen     []byte
}

func spyOn(t *testing.T, endpoint string) *spy {
	t.Helper()
	l, bound, err := transport.Listen(t.Context(), "tcp://127.0.0.1:*")
	if err != nil {
		t.Fatal(err)
	}
	s := &spy{endpoint: bound}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := transport.Dial(t.Context(), endpoint)
			if err != nil {
				near.Close()
				return
			}
			conns.Go(func() { s.pass(near, far) })
			conns.Go(func() { s.pass(far, near) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		conns.Wait()
	})
	return s
}

func (s *spy) pass(to, from net.Conn) {
	defer to.Close()
	io.Copy(to, io.TeeReader(from, s))
}

func (s *spy) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, b...)
	return len(b), nil
}

func (s *spy) all() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.seen)
}
