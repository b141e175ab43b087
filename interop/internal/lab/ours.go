package lab

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/gozyre/zyre/fallback"
)

// Node is a node of ours.
type Node struct {
	*fallback.Node
	*Journal
	t testing.TB
}

// Config is that of a node on Interface as package zyre would make it, but
// for an expiry that a test can wait for.
func Config(t testing.TB, name string) fallback.Config {
	return fallback.Config{
		Name:       name,
		Logger:     slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
		Port:       5670,
		Interval:   time.Second,
		Interfaces: []string{Interface},
		Evasive:    2 * time.Second,
		Expired:    6 * time.Second,
		InboxLimit: 16 << 20,
		SendLimit:  1 << 20,
	}
}

// NewNode makes a node that is closed when the test ends, and not yet started.
func NewNode(t testing.TB, cfg fallback.Config) *Node {
	t.Helper()
	engine, err := fallback.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	n := &Node{Node: engine, Journal: newJournal("ours " + cfg.Name), t: t}
	pumped := make(chan struct{})
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		<-pumped
	})
	go func() {
		defer close(pumped)
		n.end(n.pump())
	}()
	return n
}

// Watch keeps the journal of a node of some other kind until recv fails, as
// it does when the node is closed. Then ended is closed.
func Watch(owner string, recv func(context.Context) (Event, error)) (j *Journal, ended <-chan struct{}) {
	j = newJournal(owner)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			ev, err := recv(context.Background())
			if err != nil {
				j.end(err)
				return
			}
			j.add(ev)
		}
	}()
	return j, done
}

// Start starts the node and returns its new UUID.
func (n *Node) Start() UUID {
	n.t.Helper()
	n.Must(n.Node.Start(n.t.Context()))
	return n.UUID()
}

// Must fails the test if a call returned an error.
func (n *Node) Must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatalf("%s: %v", n.owner, err)
	}
}

// Flood whispers numbered messages as fast as the node takes them.
func (n *Node) Flood(peer UUID, count int) error {
	for i := range count {
		if err := n.Whisper(peer, bulkMessage(i)); err != nil {
			return fmt.Errorf("%s: numbered message %d: %w", n.owner, i, err)
		}
	}
	return nil
}

// pump fills the journal until the node is closed.
func (n *Node) pump() error {
	for {
		ev, err := n.Recv(context.Background())
		if err != nil {
			return err
		}
		number, bulk := bulkNumber(ev)
		if !bulk {
			n.add(ev)
			continue
		}
		n.count(ev.Peer, func(total *tally) { total.next(number) })
		if err := n.acknowledge(ev.Peer, number+1); err != nil {
			return err
		}
	}
}

func (n *Node) acknowledge(peer UUID, total int) error {
	if total%ackEvery != 0 {
		return nil
	}
	return n.Whisper(peer, fmt.Appendf(nil, "%c%d", ackMark, total))
}
