package gossip

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gozyre/zyre/fallback/internal/transport"
	"github.com/gozyre/zyre/fallback/internal/zmtp"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// keyOf and valueOf make the tuple of a node number.
func keyOf(i int) string   { return fmt.Sprintf("%032X", i) }
func valueOf(i int) string { return fmt.Sprintf("tcp://127.1.2.3:%d", 1024+i%60000) }

// node is a Gossip, and what it has delivered.
type node struct {
	*Gossip
	mu      sync.Mutex
	changed sync.Cond
	values  map[string]string // the last one of each key
	times   map[string]int    // how often a key was delivered
}

// start starts a node that the end of the test closes.
func start(t testing.TB, bind string, connect ...string) *node {
	t.Helper()
	cfg := Config{
		Server: &zmtp.Self{Socket: "ROUTER", Listener: true},
		Client: func(Hub) *zmtp.Self { return &zmtp.Self{Socket: "DEALER"} },
	}
	if bind != "" {
		cfg.Bind = []string{bind}
	}
	for _, endpoint := range connect {
		cfg.Connect = append(cfg.Connect, Hub{Endpoint: endpoint})
	}
	return startWith(t, cfg)
}

func startWith(t testing.TB, cfg Config) *node {
	t.Helper()
	n := &node{values: map[string]string{}, times: map[string]int{}}
	n.changed.L = &n.mu
	cfg.Log = slog.New(slog.DiscardHandler)
	cfg.Deliver = func(key, value string) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.values[key] = value
		n.times[key]++
		n.changed.Broadcast()
	}
	g, err := Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	n.Gossip = g
	t.Cleanup(func() { g.Close() })
	return n
}

// named starts a node that publishes the tuple of a number.
func named(t testing.TB, i int, bind string, connect ...string) *node {
	t.Helper()
	n := start(t, bind, connect...)
	n.Publish(keyOf(i), valueOf(i))
	return n
}

// hub is the endpoint of the only hub of a node.
func (n *node) hub() string { return n.Bound()[0] }

// has tells whether the last delivered value of a key is this one.
func (n *node) has(key, value string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.values[key] == value
}

// count tells how often a key was delivered.
func (n *node) count(key string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.times[key]
}

// total is how many keys were delivered.
func (n *node) total() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.values)
}

// knows waits until the tuples of other nodes are delivered.
func (n *node) knows(t testing.TB, others ...int) {
	t.Helper()
	for _, i := range others {
		n.awaits(t, keyOf(i), valueOf(i))
	}
}

func (n *node) awaits(t testing.TB, key, value string) {
	t.Helper()
	late := false
	timer := time.AfterFunc(patience, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		late = true
		n.changed.Broadcast()
	})
	defer timer.Stop()
	n.mu.Lock()
	defer n.mu.Unlock()
	for n.values[key] != value && !late {
		n.changed.Wait()
	}
	if late {
		t.Fatalf("%s did not come; there is %q of %d", value, n.values[key], len(n.values))
	}
}

// tuples returns a copy of the table.
func (g *Gossip) tuples() map[string]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := map[string]string{}
	for key, e := range g.table {
		all[key] = e.value
	}
	return all
}

// peer is a connection made by hand: of a client, or of a hub's side.
type peer struct {
	t      testing.TB
	conn   net.Conn
	rd     *zmtp.Reader
	sealer *zmtp.Sealer // nil: no CURVE
}

// dial connects to a hub by hand.
func dial(t testing.TB, hub string) *peer {
	t.Helper()
	conn, err := transport.Dial(t.Context(), hub)
	if err != nil {
		t.Fatal(err)
	}
	return shake(t, conn, &zmtp.Self{Socket: "DEALER"})
}

func shake(t testing.TB, conn net.Conn, self *zmtp.Self) *peer {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	rd, remote, err := zmtp.Handshake(conn, self, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return &peer{t, conn, rd, remote.Sealer}
}

// say sends a message. That the other side has gone shows in what is heard.
func (p *peer) say(k kind, t tuple) {
	b := appendMessage(nil, k, t)
	if p.sealer != nil {
		p.write(p.sealer.Append(nil, 0, b))
	} else {
		p.write(frame(b))
	}
}

func (p *peer) publish(i int) { p.say(kindPublish, tuple{keyOf(i), valueOf(i)}) }

func (p *peer) write(b []byte) {
	p.conn.SetWriteDeadline(time.Now().Add(patience))
	p.conn.Write(b)
}

// hear waits for a message.
func (p *peer) hear() (kind, tuple, error) {
	p.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		flags, body, ok, err := p.rd.Next()
		switch {
		case err != nil:
			return 0, tuple{}, err
		case ok && flags&zmtp.Command == 0:
			return parse(body)
		case ok:
			continue
		}
		if err := p.rd.Fill(); err != nil {
			return 0, tuple{}, err
		}
	}
}

// expect waits for a message and passes over others.
func (p *peer) expect(k kind, t tuple) {
	p.t.Helper()
	for {
		gotKind, got, err := p.hear()
		if err != nil {
			p.t.Fatalf("instead of kind %d with %v: %v", k, t, err)
		}
		if gotKind == k && got == t {
			return
		}
	}
}

// answered sends a PING and waits for its PONG: all that was sent before was
// taken. It returns the tuples that came meanwhile.
func (p *peer) answered() (came []tuple) {
	p.t.Helper()
	p.say(kindPing, tuple{})
	for {
		k, t, err := p.hear()
		switch {
		case err != nil:
			p.t.Fatal("no answer to a PING: ", err)
		case k == kindPong:
			return came
		}
		came = append(came, t)
	}
}

// ended waits until the other side closes the connection.
func (p *peer) ended() {
	p.t.Helper()
	for {
		_, _, err := p.hear()
		if e, ok := err.(net.Error); ok && e.Timeout() {
			p.t.Fatal("the connection is not closed")
		}
		if err != nil && err != errMalformed && err != errForeign {
			return
		}
	}
}

// frame wraps a message that may be none.
func frame(b []byte) []byte { return zmtp.AppendFrame(nil, 0, b) }
