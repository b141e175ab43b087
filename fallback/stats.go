package fallback

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// What a node tells of itself to those who look after it.

// lost adds the counts of a sender that ends to those of the node.
func (n *Node) lost(s *sender) {
	n.dropped.Add(s.close())
	messages, bytes, _ := s.counts()
	n.sent.Add(messages)
	n.sentBytes.Add(bytes)
}

// Stats returns the counters.
func (n *Node) Stats() Stats {
	var s Stats
	pr := n.pr.Load()
	if pr == nil {
		pr = n.leaving.Load()
	}
	if pr != nil {
		// While it is held, no peer moves from its own counters to the node's.
		pr.mu.Lock()
		defer pr.mu.Unlock()
		pr.count(&s)
	}
	s.InboxEvents, s.InboxBytes = n.inbox.size()
	s.Sent += n.sent.Load()
	s.SentBytes += n.sentBytes.Load()
	s.Received, s.ReceivedBytes = n.received.Load(), n.receivedBytes.Load()
	s.Entered, s.Exited = n.enters.Load(), n.exited.Load()
	s.Dropped, s.Reconnects = n.dropped.Load(), n.reconnects.Load()
	s.Refused += n.refused.Load()
	return s
}

// count adds what the presence and its peers count; mu is held.
func (pr *presence) count(s *Stats) {
	s.Peers = len(pr.entered.m)
	s.Refused += pr.refused()
	for _, p := range pr.peers {
		messages, bytes, waiting := p.out.counts()
		s.Sent += messages
		s.SentBytes += bytes
		s.QueuedBytes += waiting
	}
}

// refused is what discovery has refused; mu is held.
func (pr *presence) refused() (n uint64) {
	if pr.beacon != nil {
		n += pr.beacon.Refused()
	}
	if pr.gossip != nil {
		n += pr.gossip.Refused()
	}
	return n
}

// Dump writes the state for a person to read.
func (n *Node) Dump(w io.Writer) error {
	var b strings.Builder
	id := n.UUID()
	fmt.Fprintf(&b, "node %q %s (%s)\n", n.nameOf(id), hexID(id), "fallback "+Version)
	fmt.Fprintf(&b, "groups: %q\n", n.Groups())
	if pr := n.pr.Load(); pr == nil {
		b.WriteString("not started\n")
	} else {
		pr.dump(&b)
	}
	fmt.Fprintf(&b, "%+v\n", n.Stats())
	_, err := io.WriteString(w, b.String())
	return err
}

func (pr *presence) dump(b *strings.Builder) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	fmt.Fprintf(b, "listens on %s\n", pr.bound)
	for _, l := range pr.links {
		fmt.Fprintf(b, "announced on %s as %s\n", l.Name, l.Addr)
	}
	if pr.published != "" {
		fmt.Fprintf(b, "told the gossip %s\n", pr.published)
	}
	peers := slices.SortedFunc(maps.Values(pr.peers), func(a, b *peer) int { return strings.Compare(a.name, b.name) })
	for _, p := range peers {
		d := p.describe()
		state := "entered"
		if !p.entered {
			state = "found, has not said HELLO"
		}
		_, _, waiting := p.out.counts()
		fmt.Fprintf(b, "peer %q %s at %s: %s; we are connected to it: %t, it to us: %t; %d bytes wait; groups %q, headers %q\n",
			d.Name, hexID(d.UUID), d.Endpoint, state, p.dialled, p.in != nil, waiting, d.Groups, d.Headers)
	}
}
