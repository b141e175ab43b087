package conformance

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gozyre/zyre"
)

// node is a node with its events that the test has received and not yet used.
// One goroutine uses it; from others use the Node in it.
type node struct {
	Node
	engine  Factory
	m       *mesh
	backlog []zyre.Event
}

// receive returns the next event from the node itself. EVASIVE and SILENT
// may come at any time and are left out, unless the test waits for them.
func (n *node) receive(also ...zyre.EventType) (zyre.Event, error) {
	for {
		ev, err := n.Recv(n.m.ctx)
		if err != nil || slices.Contains(also, ev.Type) || ev.Type != zyre.Evasive && ev.Type != zyre.Silent {
			return ev, err
		}
	}
}

// next returns the next event.
func (n *node) next() zyre.Event {
	n.m.Helper()
	if len(n.backlog) > 0 {
		ev := n.backlog[0]
		n.backlog = n.backlog[1:]
		return ev
	}
	ev, err := n.receive()
	n.m.ok(err, n.Name()+" waits for its next event")
	return ev
}

// find returns the first event that matches, and keeps those before it.
func (n *node) find(what string, also zyre.EventType, match func(zyre.Event) bool) zyre.Event {
	n.m.Helper()
	if i := slices.IndexFunc(n.backlog, match); i >= 0 {
		ev := n.backlog[i]
		n.backlog = slices.Delete(n.backlog, i, i+1)
		return ev
	}
	for {
		ev, err := n.receive(also)
		if err != nil {
			n.m.Fatalf("%s never got %s: %v; it has got %s", n.Name(), what, err, list(n.backlog))
		}
		if match(ev) {
			return ev
		}
		n.backlog = append(n.backlog, ev)
	}
}

// await waits for the first event of a type about a peer.
func (n *node) await(t zyre.EventType, peer zyre.UUID) zyre.Event {
	n.m.Helper()
	return n.find(fmt.Sprintf("%v of %s", t, peer.Short()), t, func(ev zyre.Event) bool {
		return ev.Type == t && ev.Peer == peer
	})
}

// awaitGroup waits for the first event of a type about a peer and a group.
func (n *node) awaitGroup(t zyre.EventType, peer zyre.UUID, group string) zyre.Event {
	n.m.Helper()
	return n.find(fmt.Sprintf("%v of %s in %q", t, peer.Short(), group), t, func(ev zyre.Event) bool {
		return ev.Type == t && ev.Peer == peer && ev.Group == group
	})
}

// expect checks that the next events are these. The Addr of an ENTER is not
// compared: the test does not know the port.
func (n *node) expect(want ...zyre.Event) {
	n.m.Helper()
	for _, w := range want {
		if got := n.next(); !same(got, w) {
			n.m.Fatalf("%s got %v, not %v", n.Name(), got, w)
		}
	}
}

// event is what others get to see of this node.
func (n *node) event(t zyre.EventType, group string, frames ...[]byte) zyre.Event {
	return zyre.Event{Type: t, Peer: n.UUID(), Name: n.Name(), Group: group, Msg: frames}
}

// same compares all but Addr. A field that a type of event does not have must
// be empty.
func same(a, b zyre.Event) bool {
	return a.Type == b.Type && a.Peer == b.Peer && a.Name == b.Name && a.Group == b.Group &&
		(a.Type == zyre.Enter) == (a.Addr != "") &&
		maps.Equal(a.Headers, b.Headers) && slices.EqualFunc(a.Msg, b.Msg, bytes.Equal)
}

// list is for messages: the last few events.
func list(events []zyre.Event) string {
	if len(events) == 0 {
		return "nothing else"
	}
	var b strings.Builder
	if n := len(events) - 10; n > 0 {
		fmt.Fprintf(&b, "%d more; ", n)
		events = events[n:]
	}
	for i, ev := range events {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(ev.String())
	}
	return b.String()
}

// frames makes a message of strings.
func frames(texts ...string) [][]byte {
	msg := make([][]byte, len(texts))
	for i, t := range texts {
		msg[i] = []byte(t)
	}
	return msg
}
