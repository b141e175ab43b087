//go:build linux

package faults

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gozyre/zyre/fallback"
	"github.com/gozyre/zyre/internal/history"
)

// group is the one that all nodes are in.
const group = "ALL"

// Spec is what a node is made of, and how its application behaves.
type Spec struct {
	Name                                            string
	Interface                                       string
	Port                                            int
	Interval, Evasive, Silent, Expired, SendTimeout time.Duration
	InboxLimit, SendLimit                           int

	Gap   time.Duration // between two messages
	Large int           // size of one message in 50
}

func (s *Spec) config() fallback.Config {
	return fallback.Config{
		Name: s.Name, Port: s.Port, Interfaces: []string{s.Interface}, Interval: s.Interval,
		Evasive: s.Evasive, Silent: s.Silent, Expired: s.Expired, SendTimeout: s.SendTimeout,
		InboxLimit: s.InboxLimit, SendLimit: s.SendLimit,
	}
}

// actor is the application of one node: it sends and receives, and keeps the
// history of each life.
type actor struct {
	spec Spec
	node *fallback.Node
	stop chan struct{} // closed to end talk

	talking, hearing sync.WaitGroup

	// speaking is held from when a message gets its number until it is sent:
	// what nudges comes while another goroutine still talks.
	speaking sync.Mutex

	mu      sync.Mutex
	life    *history.Life
	mode    Mode
	changed *sync.Cond // mode, with mu
	turn    int
}

// Mode is how an application behaves.
type Mode struct {
	Quiet bool          // it sends only when it is nudged
	Stuck bool          // it does not receive
	Slow  time.Duration // that it needs for each message
}

// newActor makes a node that is not started.
func newActor(s Spec) (*actor, error) {
	node, err := fallback.New(s.config())
	if err != nil {
		return nil, err
	}
	a := &actor{spec: s, node: node}
	a.changed = sync.NewCond(&a.mu)
	return a, node.Join(group)
}

// begin starts the node, which begins a life.
func (a *actor) begin() (history.ID, error) {
	if err := a.node.Start(context.Background()); err != nil {
		return history.ID{}, err
	}
	id := history.ID(a.node.UUID())
	a.mu.Lock()
	a.life = history.NewLife(id, a.spec.Name)
	a.mu.Unlock()
	a.stop = make(chan struct{})
	a.hearing.Go(a.hear)
	a.talking.Go(a.talk)
	return id, nil
}

// end stops the node and returns its life, in which all events were read.
func (a *actor) end() (*history.Life, error) {
	close(a.stop)
	a.talking.Wait()
	err := a.node.Stop()
	a.hearing.Wait()
	return a.life, err
}

// hear reads events up to Stop.
func (a *actor) hear() {
	for {
		a.mu.Lock()
		for a.mode.Stuck {
			a.changed.Wait()
		}
		slow := a.mode.Slow
		a.mu.Unlock()
		ev, err := a.node.Recv(context.Background())
		if err != nil || ev.Kind == fallback.Stop {
			return
		}
		a.note(ev)
		if len(ev.Msg) > 0 {
			time.Sleep(slow)
		}
	}
}

func (a *actor) note(ev fallback.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	id := history.ID(ev.Peer)
	switch ev.Kind {
	case fallback.Enter:
		a.life.Entered(id)
	case fallback.Exit:
		a.life.Exited(id)
	case fallback.Join:
		a.life.Joined(id)
	case fallback.Evasive:
		a.life.Other(id, evasive)
	case fallback.Silent:
		a.life.Other(id, silent)
	case fallback.Whisper, fallback.Shout:
		m, ok := history.Parse(ev.Msg[0])
		if !ok || (ev.Kind == fallback.Shout) != (m.Stream == history.Shout) {
			a.life.Fault("event %d of %v has %q, which nobody sent", ev.Kind, id, ev.Msg[0])
			return
		}
		a.life.Received(id, m)
	}
}

// What a life notes of peers that fade.
const (
	evasive = "is evasive"
	silent  = "is silent"
)

// talk sends messages to one peer after the other, and to the group.
func (a *actor) talk() {
	tick := time.NewTicker(a.spec.Gap)
	defer tick.Stop()
	for {
		select {
		case <-a.stop:
			return
		case <-tick.C:
		}
		a.mu.Lock()
		quiet := a.mode.Quiet
		a.turn++
		turn := a.turn
		a.mu.Unlock()
		switch {
		case quiet:
		case turn%4 == 0:
			a.shout()
		default:
			a.whisper(turn)
		}
	}
}

// body is a message with something behind it that varies in size.
func (a *actor) body(m history.Message) []byte {
	size := rand.IntN(200)
	if a.spec.Large > 0 && rand.IntN(50) == 0 {
		size = a.spec.Large
	}
	return append(m.Append(nil), make([]byte, size)...)
}

func (a *actor) shout() {
	a.speaking.Lock()
	defer a.speaking.Unlock()
	a.mu.Lock()
	m := a.life.Shouting()
	a.mu.Unlock()
	a.sent(a.node.Shout(group, a.body(m)))
}

// whisper sends to one of the peers.
func (a *actor) whisper(turn int) {
	a.speaking.Lock()
	defer a.speaking.Unlock()
	a.mu.Lock()
	view := a.life.View()
	if len(view) == 0 {
		a.mu.Unlock()
		return
	}
	to := view[turn%len(view)]
	m := a.life.Whispering(to)
	a.mu.Unlock()
	a.sent(a.node.Whisper(fallback.UUID(to), a.body(m)))
}

// sent takes note of errors that no call may have here.
func (a *actor) sent(err error) {
	if err == nil || errors.Is(err, fallback.ErrUnknownPeer) || errors.Is(err, fallback.ErrNotStarted) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.life.Fault("sending: %v", err)
}

// nudge sends a whisper to everybody and a shout.
func (a *actor) nudge() {
	a.mu.Lock()
	n := len(a.life.View())
	a.mu.Unlock()
	for i := range n {
		a.whisper(i)
	}
	a.shout()
}

func (a *actor) behave(m Mode) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mode = m
	a.changed.Broadcast()
}

func (a *actor) history() *history.Life {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.life.Clone()
}
